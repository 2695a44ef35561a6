//! One simulated file: what the disk has, what is on its way, what reads show.

use std::io;
use std::sync::Arc;

use super::fault::Event;
use super::rng::Stream;

/// The unit that a power loss cannot tear.
pub(super) const SECTOR: u64 = 512;

/// A change that no sync covers.
#[derive(Clone, Debug)]
enum Change {
    Write { offset: u64, bytes: Vec<u8> },
    ZeroTo(u64),
}

#[derive(Clone, Debug, Default)]
pub(super) struct Inode {
    // Shared while they are equal, and between forks: most files of a machine are never written again.
    durable: Arc<Vec<u8>>,
    pending: Vec<Change>,
    view: Arc<Vec<u8>>,
    /// A sync failed, so the view may show what neither disk nor pending changes have.
    stale: bool,
}

pub(super) fn index(offset: u64) -> usize {
    usize::try_from(offset).expect("BUG: simulated file larger than memory")
}

fn count(len: usize) -> u64 {
    u64::try_from(len).expect("BUG: usize wider than u64")
}

fn put(bytes: &mut Vec<u8>, offset: u64, part: &[u8]) {
    let start = index(offset);
    let end = start + part.len();
    if bytes.len() < end {
        bytes.resize(end, 0);
    }
    bytes[start..end].copy_from_slice(part);
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Write {
                offset,
                bytes: part,
            } => put(bytes, *offset, part),
            Self::ZeroTo(len) if bytes.len() < index(*len) => bytes.resize(index(*len), 0),
            Self::ZeroTo(_) => {}
        }
    }

    /// Does to `bytes` what a power loss leaves of the change.
    fn survive(&self, bytes: &mut Vec<u8>, rng: &mut Stream) -> Event {
        match (rng.below(8), self) {
            (0..3, _) => {
                self.apply(bytes);
                Event::WriteKept
            }
            (3..5, _) => Event::WriteDropped,
            (
                5,
                Self::Write {
                    offset,
                    bytes: part,
                },
            ) => {
                Self::ZeroTo(offset + count(part.len())).apply(bytes);
                Event::WriteZeroed
            }
            (
                _,
                Self::Write {
                    offset,
                    bytes: part,
                },
            ) => {
                tear(*offset, part, bytes, rng);
                Event::WriteTorn
            }
            (_, Self::ZeroTo(len)) => {
                Self::ZeroTo(rng.below(*len)).apply(bytes);
                Event::WriteTorn
            }
        }
    }
}

/// Keeps some sectors of a write.
fn tear(offset: u64, part: &[u8], bytes: &mut Vec<u8>, rng: &mut Stream) {
    let mut start = 0;
    while start < part.len() {
        let place = offset + count(start);
        let room = index(SECTOR - place % SECTOR);
        let end = part.len().min(start + room);
        if rng.coin() {
            put(bytes, place, &part[start..end]);
        }
        start = end;
    }
}

impl Inode {
    pub(super) fn len(&self) -> u64 {
        count(self.view.len())
    }

    pub(super) fn view(&self) -> &[u8] {
        &self.view
    }

    pub(super) fn read(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let range = usize::try_from(offset).ok().and_then(|start| {
            let end = start.checked_add(buf.len())?;
            self.view.get(start..end)
        });
        match range {
            Some(bytes) => {
                buf.copy_from_slice(bytes);
                Ok(())
            }
            None => Err(io::Error::from(io::ErrorKind::UnexpectedEof)),
        }
    }

    pub(super) fn write(&mut self, offset: u64, bytes: &[u8]) {
        if !bytes.is_empty() {
            put(Arc::make_mut(&mut self.view), offset, bytes);
            self.pending.push(Change::Write {
                offset,
                bytes: bytes.to_vec(),
            });
        }
    }

    pub(super) fn zero_fill(&mut self, len: u64) {
        let change = Change::ZeroTo(len);
        change.apply(Arc::make_mut(&mut self.view));
        self.pending.push(change);
    }

    /// Applies the pending changes only, never the whole view: after a failed sync the view shows
    /// bytes that no later sync makes durable.
    pub(super) fn sync(&mut self) {
        if self.pending.is_empty() {
            return;
        }
        let durable = Arc::make_mut(&mut self.durable);
        for change in self.pending.drain(..) {
            change.apply(durable);
        }
    }

    /// Some of the pending changes may have reached the disk; all of them count as clean.
    pub(super) fn fail_sync(&mut self, rng: &mut Stream) {
        let lose_all = rng.coin();
        for change in self.pending.drain(..) {
            if !lose_all {
                change.survive(Arc::make_mut(&mut self.durable), rng);
            }
        }
        self.stale = true;
    }

    pub(super) fn lose_power(&mut self, rng: &mut Stream, seen: &mut dyn FnMut(Event)) {
        if self.pending.is_empty() && !self.stale {
            return;
        }
        for change in self.pending.drain(..) {
            seen(change.survive(Arc::make_mut(&mut self.durable), rng));
        }
        self.view = Arc::clone(&self.durable);
        self.stale = false;
    }

    /// Drops clean pages, as the kernel may at any time; true if that can have shown.
    pub(super) fn evict(&mut self) -> bool {
        if !self.stale {
            return false;
        }
        self.view = Arc::clone(&self.durable);
        for change in &self.pending {
            change.apply(Arc::make_mut(&mut self.view));
        }
        self.stale = false;
        true
    }

    /// Changes disk and view alike, behind everyone's back.
    pub(super) fn decay(&mut self, change: &mut dyn FnMut(&mut Vec<u8>)) {
        change(Arc::make_mut(&mut self.durable));
        change(Arc::make_mut(&mut self.view));
    }
}
