//! Many cheap rows at once, so that sections grow bitmaps and several row groups.

use obsrv_engine::row::Table;
use obsrv_wal::sim::SimRng;

use super::value::{Fact, Val};
use super::vocabulary::{below, metadata as attached, pick, scalar, text};

/// Spans of one trace.
const TRACE_SPANS: u64 = 40;
const SECOND: i64 = 1_000_000_000;

/// A request that says something about many spans.
#[derive(Clone, Debug)]
pub struct Bulk {
    pub(super) project: u64,
    /// Whose spans: rounds have traces of their own.
    pub(super) round: u64,
    pub(super) rows: u64,
    /// 1: all spans are new. Above: an update of every so manieth.
    pub(super) stride: u64,
    pub(super) seed: u64,
}

impl Bulk {
    pub(super) fn facts(&self) -> Vec<Fact> {
        let rng = SimRng::new(self.seed);
        let of = (0..self.rows).filter(|n| n % self.stride == 0);
        of.map(|n| self.fact(n, &rng)).collect()
    }

    pub(super) fn fact(&self, n: u64, rng: &SimRng) -> Fact {
        let update = self.stride > 1;
        let spread = if rng.chance(9) { 3_600 } else { 60 };
        let start = 1_760_000_000 * SECOND + below(rng, spread) * SECOND;
        Fact {
            table: Table::Spans,
            trace: format!("b{}-{}", self.round, n / TRACE_SPANS),
            id: format!("s{n}"),
            start: (!update || rng.chance(3)).then_some(start),
            end: rng.chance(2).then(|| start + below(rng, 5_000)),
            version: if update { 2 + rng.below(2) } else { 1 },
            partial: update && rng.chance(2),
            doc: doc(n, rng),
        }
    }
}

/// A column of every kind: few values, more than have bitmaps, one for each row, several for one.
fn doc(n: u64, rng: &SimRng) -> Val {
    let mut fields = vec![
        (
            "status",
            Val::str(pick(rng, &["success", "success", "error", "running"])),
        ),
        ("kind", Val::str(pick(rng, &["llm", "tool", "agent"]))),
        ("index", Val::I64(below(rng, 9_000))),
    ];
    if rng.chance(3) {
        fields.push(("model", Val::Str(format!("m{}", rng.below(90)))));
    }
    if rng.chance(4) {
        let tags = (0..rng.below(3)).map(|_| Val::Str(format!("tag{}", rng.below(5))));
        fields.push(("tags", Val::Array(tags.collect())));
    }
    if rng.chance(5) {
        let metadata = [
            ("a", Val::I64(below(rng, 3))),
            ("b", Val::Str(format!("customer-{}", rng.below(400)))),
            (
                "k",
                Val::Str(format!(
                    "{n}-{}",
                    "x".repeat(if rng.chance(9) { 96 } else { 4 })
                )),
            ),
        ];
        fields.push(("metadata", Val::map(metadata)));
    }
    if rng.chance(8) {
        fields.push(("attributes", attached(rng)));
    }
    if rng.chance(8) {
        fields.push(("odd", scalar(rng)));
    }
    if rng.chance(2) {
        let filler = "of words that all have ".repeat(4);
        fields.push(("note", Val::Str(format!("word{n} {filler}{}", text(rng)))));
    }
    Val::map(fields)
}
