//! Which calls the engine makes, and what must have befallen each before a suite may pass.

use obsrv_engine::io::FileKind;
use obsrv_wal::sim::{Event, Fault, Op, Point};

use super::cover::{Coverage, Ill, Marks, Record, Step};

/// Every sort of call that the engine makes on a healthy disk.
pub(super) fn calls() -> Vec<Point> {
    use FileKind::{Manifest, Secret, Segment, Side, Wal};
    let on = |kind: FileKind, ops: &[Op]| -> Vec<Point> {
        ops.iter().map(|op| Point::of(*op, kind)).collect()
    };
    let made = [
        Op::Create,
        Op::WriteAt,
        Op::SyncData,
        Op::Publish,
        Op::SyncDir,
        Op::Open,
        Op::ReadAt,
    ];
    let mut all = vec![Point::bare(Op::List)];
    for kind in [Wal, Manifest, Segment, Side, Secret] {
        all.extend(on(kind, &made));
    }
    for kind in [Wal, Manifest] {
        all.extend(on(kind, &[Op::ZeroFill, Op::Len, Op::Remove]));
    }
    all.extend(on(Segment, &[Op::Len, Op::Remove]));
    all.extend(on(Side, &[Op::Len, Op::Remove]));
    all
}

/// Calls that are made only after something else failed.
pub(super) fn rare() -> Vec<Point> {
    let mut all: Vec<_> = FileKind::ALL
        .into_iter()
        .map(|kind| Point::of(Op::Discard, kind))
        .collect();
    all.push(Point::bare(Op::SyncDir));
    // An identity whose name may not be durable.
    all.push(Point::of(Op::Remove, FileKind::Secret));
    all
}

impl Coverage {
    /// What should have gone wrong and never did; and calls that nobody expects.
    pub fn missing(&self) -> Vec<String> {
        let mut missing = Vec::new();
        let mut need = |event: Event| {
            if !self.points.contains_key(&event) {
                missing.push(event.to_string());
            }
        };
        for point in calls() {
            need(Event::PowerLoss(point));
            need(Event::Killed(point));
            need(Event::Failed(point, Fault::Eio));
            need(Event::Slow(point));
            need(Event::Stuck(point));
            need(Event::EndedStuck(point));
            if matches!(point.op, Op::Create | Op::WriteAt | Op::ZeroFill) {
                need(Event::Failed(point, Fault::NoSpace));
            }
            if point.op == Op::WriteAt {
                need(Event::Failed(point, Fault::Short));
            }
        }
        for event in [
            Event::WriteKept,
            Event::WriteDropped,
            Event::WriteTorn,
            Event::WriteZeroed,
            Event::NameKept,
            Event::NameDropped,
            Event::Evicted,
            Event::QuotaHit,
            Event::Decayed,
        ] {
            need(event);
        }
        for event in self.points.keys() {
            if let Event::Call(point) = event
                && !calls().contains(point)
                && !rare().contains(point)
            {
                missing.push(format!("not in the list of calls: {point}"));
            }
        }
        self.missing_steps(&mut missing);
        missing
    }

    fn missing_steps(&self, missing: &mut Vec<String>) {
        for ill in Ill::ALL {
            for step in Step::CALLING {
                if !self.during.contains_key(&(step, ill)) {
                    missing.push(format!("{ill:?} during {step:?}"));
                }
            }
        }
        for ill in [Ill::PowerLoss, Ill::Kill] {
            for step in [
                Step::Recover,
                Step::Commit,
                Step::Freeze,
                Step::Flush,
                Step::Compact,
            ] {
                if !self.after.contains_key(&(step, ill)) {
                    missing.push(format!("{ill:?} after {step:?}"));
                }
            }
            for record in Record::ALL {
                if !self.flying.contains_key(&(record, ill)) {
                    missing.push(format!("{record:?} in flight at {ill:?}"));
                }
            }
        }
        for what in Marks::ALL {
            if !self.marks.contains_key(&what) {
                missing.push(format!("marks {what:?}"));
            }
        }
        for pair in [
            (Step::Flush, Step::Commit),
            (Step::Flush, Step::Compact),
            (Step::Compact, Step::Commit),
            (Step::Compact, Step::Flush),
        ] {
            if !self.woven.contains_key(&pair) {
                missing.push(format!("{:?} in the middle of {:?}", pair.1, pair.0));
            }
        }
    }
}
