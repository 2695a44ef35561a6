//! The log of records.

use std::fmt::Debug;

use obsrv_wal::log::{Durable, Log, LogError, Spare, SpareWork, TrimWork, Trimmed};

use crate::row::Lsn;

/// A place in a log of several streams. The local log is one stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// Which stream.
    pub stream: u32,
    /// The record in it.
    pub sequence: Lsn,
}

/// A log that records are appended to in batches. It is read once, from its beginning, when an
/// engine opens.
pub trait RecordLog: Send + Debug {
    /// Adds a record to the batch that [`RecordLog::sync`] makes durable.
    fn append(&mut self, kind: u8, parts: &[&[u8]]) -> Result<Position, LogError>;

    /// Makes the batch durable. After an error other than `NoSpace` it is not known whether it is.
    fn sync(&mut self) -> Result<Durable, LogError>;

    /// Whether damage to the last batch could still be taken for one that was never durable.
    fn wants_watermark(&self) -> bool;

    /// Ends that: writes down, durably, how far the log is durable.
    fn watermark(&mut self) -> Result<Durable, LogError>;

    /// Goes on where [`RecordLog::trim`] can give up every record so far; says which is the last of them.
    /// After `NoSpace` it goes on as before.
    fn turn(&mut self) -> Result<Position, LogError>;

    /// The giving up of records up to a position, all of which are in segments.
    fn trim(&self, through: Position) -> TrimWork;

    /// Takes note of what was given up.
    fn take_trimmed(&mut self, trimmed: Trimmed);

    /// Bytes that it takes.
    fn bytes(&self) -> u64;

    /// Whether [`RecordLog::ask_spare`] has something to do.
    fn wants_spare(&self) -> bool;

    /// Room to be made ahead of need, while the log goes on.
    fn ask_spare(&mut self) -> Option<SpareWork>;

    /// Takes the room that was made.
    fn take_spare(&mut self, spare: Spare);
}

/// The stream of the local log.
const LOCAL: u32 = 0;

impl Position {
    /// A record of the local log.
    pub const fn local(sequence: Lsn) -> Self {
        Self {
            stream: LOCAL,
            sequence,
        }
    }
}

impl RecordLog for Log {
    fn append(&mut self, kind: u8, parts: &[&[u8]]) -> Result<Position, LogError> {
        Self::append(self, kind, parts).map(Position::local)
    }

    fn sync(&mut self) -> Result<Durable, LogError> {
        Self::sync(self)
    }

    fn wants_watermark(&self) -> bool {
        Self::wants_watermark(self)
    }

    fn watermark(&mut self) -> Result<Durable, LogError> {
        Self::watermark(self)
    }

    fn turn(&mut self) -> Result<Position, LogError> {
        Self::turn(self).map(Position::local)
    }

    fn trim(&self, through: Position) -> TrimWork {
        Self::trim(self, through.sequence)
    }

    fn take_trimmed(&mut self, trimmed: Trimmed) {
        Self::take_trimmed(self, trimmed);
    }

    fn bytes(&self) -> u64 {
        Self::bytes(self)
    }

    fn wants_spare(&self) -> bool {
        Self::wants_spare(self)
    }

    fn ask_spare(&mut self) -> Option<SpareWork> {
        Self::ask_spare(self)
    }

    fn take_spare(&mut self, spare: Spare) {
        Self::take_spare(self, spare);
    }
}
