//! What went wrong while what was going on: counted, so that a suite can fail over what never did.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use obsrv_wal::sim::Hits;

/// What the engine was doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// The first open of an empty directory.
    Create,
    /// An open of what an earlier life left behind.
    Recover,
    /// Taking a request: side files are written here.
    Submit,
    /// Group commit.
    Commit,
    /// Freezing the active memtable. Makes no call, so things go wrong right after it.
    Freeze,
    /// Flush of a frozen memtable.
    Flush,
    /// Compaction.
    Compact,
    /// Making the log's next file ahead of need.
    Spare,
    /// Witnessing the log's last group after a pause.
    Witness,
    /// Turning the log so that what was deleted can leave it.
    Purge,
}

/// What was made to go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ill {
    /// The power went.
    PowerLoss,
    /// The process was killed.
    Kill,
    /// A call failed.
    Failure,
}

/// A sort of record, by what it does. A request may be several.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Record {
    /// An ingest with its body in the log.
    Inline,
    /// An ingest with its body in a side file.
    Side,
    /// An event for a row that is there.
    Update,
    /// A partial event for a row that is there.
    Partial,
    /// A delete.
    Delete,
    /// A control event.
    Control,
}

/// What happened to deletion vectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Marks {
    /// A flush put marks into the manifest.
    Persisted,
    /// A compaction carried marks, not yet in the manifest, to its output.
    Moved,
    /// A compaction carried marks that became durable while it ran.
    MovedDurable,
}

/// How often what happened.
#[derive(Clone, Debug, Default)]
pub struct Coverage {
    /// Calls, by what befell them.
    pub points: Hits,
    /// During a step.
    pub during: BTreeMap<(Step, Ill), u64>,
    /// Right after a step, between two calls.
    pub after: BTreeMap<(Step, Ill), u64>,
    /// Records that were under way, unanswered, when the machine or process went down.
    pub flying: BTreeMap<(Record, Ill), u64>,
    /// Deletion vectors.
    pub marks: BTreeMap<Marks, u64>,
    /// Steps that ran in the middle of another one: (outer, inner).
    pub woven: BTreeMap<(Step, Step), u64>,
    /// Crash points: lives that ended in a power loss or kill.
    pub crashes: u64,
}

fn merge<K: Ord + Copy>(into: &mut BTreeMap<K, u64>, from: &BTreeMap<K, u64>) {
    for (key, count) in from {
        *into.entry(*key).or_default() += count;
    }
}

fn lines<K: std::fmt::Debug>(out: &mut String, title: &str, counts: &BTreeMap<K, u64>) {
    for (key, count) in counts {
        let _ = writeln!(out, "{count:>9}  {title} {key:?}");
    }
}

impl Coverage {
    /// Adds what another machine went through.
    pub fn add(&mut self, other: &Self) {
        merge(&mut self.points, &other.points);
        merge(&mut self.during, &other.during);
        merge(&mut self.after, &other.after);
        merge(&mut self.flying, &other.flying);
        merge(&mut self.marks, &other.marks);
        merge(&mut self.woven, &other.woven);
        self.crashes += other.crashes;
    }

    /// The counts, a line each.
    pub fn table(&self) -> String {
        let mut out = String::new();
        for (event, count) in &self.points {
            let _ = writeln!(out, "{count:>9}  {event}");
        }
        lines(&mut out, "during", &self.during);
        lines(&mut out, "after", &self.after);
        lines(&mut out, "in flight", &self.flying);
        lines(&mut out, "marks", &self.marks);
        lines(&mut out, "woven", &self.woven);
        let _ = writeln!(out, "{:>9}  crash points", self.crashes);
        out
    }
}

impl Step {
    /// Steps that call the disk.
    pub const CALLING: [Self; 9] = [
        Self::Create,
        Self::Recover,
        Self::Submit,
        Self::Commit,
        Self::Flush,
        Self::Compact,
        Self::Spare,
        Self::Witness,
        Self::Purge,
    ];
}

impl Ill {
    /// Every ill.
    pub const ALL: [Self; 3] = [Self::PowerLoss, Self::Kill, Self::Failure];
}

impl Record {
    /// Every sort.
    pub const ALL: [Self; 6] = [
        Self::Inline,
        Self::Side,
        Self::Update,
        Self::Partial,
        Self::Delete,
        Self::Control,
    ];
}

impl Marks {
    /// Everything that happens to marks.
    pub const ALL: [Self; 3] = [Self::Persisted, Self::Moved, Self::MovedDurable];
}
