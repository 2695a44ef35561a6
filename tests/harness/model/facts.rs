//! What requests say: spans, runs' own words, scores, logs, points; new, again, as news of what was said before.

use obsrv_engine::row::{Table, outside_traces};

use super::make::{Maker, Shape};
use super::value::{Fact, Val};
use super::vocabulary::{below, metadata, number, pick, scalar, text};

const SECOND: i64 = 1_000_000_000;
const NOW: i64 = 1_760_000_000 * SECOND;
/// Seconds between starts: within and across the windows of sections and merges.
const WINDOWS: [i64; 10] = [0, 0, 0, 1, 540, 660, 3_540, 3_660, 90_000, 3_456_000];

/// What most scores are called.
pub(super) const SCORE_NAMES: [&str; 3] = ["good", "a b", "京"];

impl Maker {
    pub(super) fn facts(&mut self, project: u64) -> Vec<Fact> {
        let facts: Vec<_> = (0..=self.rng.below(6))
            .map(|_| self.fact(project))
            .collect();
        self.sent.extend(facts.iter().map(|f| (project, f.clone())));
        facts
    }

    fn fact(&self, project: u64) -> Fact {
        let rng = &self.rng;
        let mine: Vec<&Fact> = self
            .sent
            .iter()
            .filter(|(p, _)| *p == project)
            .map(|s| &s.1)
            .collect();
        match rng.below(16) {
            0 if !mine.is_empty() => pick(rng, &mine).clone(),
            1..=5 if !mine.is_empty() => self.update(pick(rng, &mine)),
            6 => self.header(),
            7 => self.score(),
            8 => self.log(),
            9 => self.point(None),
            _ => self.span(),
        }
    }

    /// News of a row that is there: newer, older or as new as what is known.
    fn update(&self, old: &Fact) -> Fact {
        let rng = &self.rng;
        let version = match rng.below(6) {
            0 => old.version.saturating_sub(1),
            1 => old.version,
            2 => old.version + 2,
            _ => old.version + 1,
        };
        let fresh = match old.table {
            Table::Runs => self.header(),
            Table::Scores => self.score(),
            Table::Logs => self.log(),
            Table::Points => self.point(old.start),
            Table::Spans => self.span(),
        };
        let silent = rng.chance(2) && old.table != Table::Points;
        Fact {
            trace: old.trace.clone(),
            id: old.id.clone(),
            version,
            partial: rng.chance(2),
            start: if silent { None } else { fresh.start },
            ..fresh
        }
    }

    pub(super) fn trace_name(&self) -> String {
        match self.rng.below(self.traces) {
            0 => format!("trace-{}", "0".repeat(100)),
            1 => "Spur 京".to_owned(),
            n => format!("t{n}"),
        }
    }

    fn span_name(&self) -> String {
        match self.rng.below(self.spans) {
            0 => format!("span-{}", "f".repeat(95)),
            1 => "шаг 1".to_owned(),
            n => format!("s{n}"),
        }
    }

    fn start(&self) -> Option<i64> {
        let rng = &self.rng;
        match rng.below(60) {
            0 => Some(pick(rng, &[i64::MIN, i64::MAX, 0, -1])),
            1..=6 => None,
            _ => Some(NOW + pick(rng, &WINDOWS) * SECOND + below(rng, 12) * 1_000),
        }
    }

    fn end(&self, start: Option<i64>) -> Option<i64> {
        let length = below(&self.rng, 9) * 500 - 500;
        let end = start.unwrap_or(NOW).saturating_add(length);
        (!self.rng.chance(4)).then_some(end)
    }

    fn span(&self) -> Fact {
        let start = self.start();
        Fact {
            table: Table::Spans,
            trace: self.trace_name(),
            id: self.span_name(),
            start,
            end: self.end(start),
            version: 1 + self.rng.below(3),
            partial: self.rng.chance(3),
            doc: self.span_doc(),
        }
    }

    /// The run's own words.
    fn header(&self) -> Fact {
        let trace = self.trace_name();
        let start = self.start().filter(|_| self.rng.chance(2));
        Fact {
            table: Table::Runs,
            id: trace.clone(),
            trace,
            start,
            end: self.end(start).filter(|_| self.rng.chance(2)),
            version: 1 + self.rng.below(3),
            partial: self.rng.chance(2),
            doc: self.run_doc(),
        }
    }

    fn score(&self) -> Fact {
        let start = self.start();
        let rng = &self.rng;
        let mut doc = Vec::new();
        let name = || {
            if rng.chance(5) {
                Val::Str(text(rng))
            } else {
                Val::str(pick(rng, &SCORE_NAMES))
            }
        };
        let said = || match rng.below(4) {
            0 => Val::Bool(rng.chance(2)),
            1 => scalar(rng),
            _ => number(rng),
        };
        if !rng.chance(4) {
            doc.push(("name", name()));
        }
        let mut maybe = |one_in, key, value: &dyn Fn() -> Val| {
            if rng.chance(one_in) {
                doc.push((key, value()));
            }
        };
        maybe(3, "label", &name);
        maybe(2, "score", &said);
        maybe(3, "value", &said);
        maybe(3, "user_id", &|| scalar(rng));
        maybe(2, "step_id", &|| Val::Str(self.span_name()));
        maybe(6, "span_id", &|| Val::Str(self.span_name()));
        maybe(3, "metadata", &|| metadata(rng));
        Fact {
            table: Table::Scores,
            trace: self.trace_name(),
            id: format!("c{}", self.rng.below(4)),
            start,
            end: self.end(start),
            version: 1 + self.rng.below(2),
            partial: false,
            doc: Val::map(doc),
        }
    }

    /// A log line; some belong to no trace.
    fn log(&self) -> Fact {
        let rng = &self.rng;
        let mut doc = vec![("body", Val::Str(text(rng))), ("level", self.label("l"))];
        if rng.chance(2) {
            doc.push(("attributes", metadata(rng)));
        }
        let together = outside_traces(&rng.below(self.traces).to_string());
        Fact {
            table: Table::Logs,
            trace: pick(rng, &[self.trace_name(), self.trace_name(), together]),
            id: format!("l{}", rng.below(6)),
            start: self.start(),
            end: None,
            version: rng.below(2),
            partial: false,
            doc: Val::map(doc),
        }
    }

    /// A point of a series, at its time.
    fn point(&self, at: Option<i64>) -> Fact {
        let rng = &self.rng;
        let at = at.unwrap_or_else(|| NOW + pick(rng, &WINDOWS) * SECOND + below(rng, 4));
        let mut doc = vec![("name", self.label("m")), ("value", number(rng))];
        if rng.chance(3) {
            let counts = (0..rng.below(5)).map(|_| Val::I64(below(rng, 9)));
            doc.push(("bucket_counts", Val::Array(counts.collect())));
        }
        Fact {
            table: Table::Points,
            trace: self.trace_name(),
            id: at.to_string(),
            start: Some(at),
            end: None,
            version: rng.below(2),
            partial: false,
            doc: Val::map(doc),
        }
    }

    fn run_doc(&self) -> Val {
        let rng = &self.rng;
        let mut doc = Vec::new();
        let mut maybe = |one_in, key, value: &dyn Fn() -> Val| {
            if rng.chance(one_in) {
                doc.push((key, value()));
            }
        };
        maybe(3, "status", &|| self.status());
        maybe(3, "name", &|| Val::Str(text(rng)));
        maybe(4, "user_id", &|| scalar(rng));
        maybe(4, "group", &|| Val::Str(text(rng)));
        maybe(4, "model", &|| self.label("m"));
        maybe(6, "environment", &|| scalar(rng));
        maybe(5, "tags", &|| self.tags());
        maybe(6, "tokens", &|| self.tokens());
        maybe(6, "cost_usd", &|| self.cost());
        maybe(3, "metadata", &|| metadata(rng));
        Val::map(doc)
    }

    fn span_doc(&self) -> Val {
        let rng = &self.rng;
        let mut doc = Vec::new();
        let mut maybe = |one_in, key, value: &dyn Fn() -> Val| {
            if rng.chance(one_in) {
                doc.push((key, value()));
            }
        };
        maybe(2, "status", &|| self.status());
        maybe(3, "name", &|| Val::Str(text(rng)));
        maybe(2, "kind", &|| {
            Val::str(pick(rng, &["llm", "tool", "agent", "chain", ""]))
        });
        maybe(4, "parent_id", &|| Val::Str(self.span_name()));
        maybe(6, "root", &|| {
            pick(
                rng,
                &[
                    Val::Bool(true),
                    Val::Bool(true),
                    Val::Bool(false),
                    Val::str("true"),
                ],
            )
        });
        maybe(3, "model", &|| self.label("m"));
        maybe(4, "tool", &|| self.label("tool"));
        maybe(6, "error_message", &|| Val::Str(text(rng)));
        maybe(6, "service", &|| scalar(rng));
        maybe(6, "environment", &|| scalar(rng));
        maybe(6, "version", &|| scalar(rng));
        maybe(8, "release", &|| scalar(rng));
        maybe(8, "region", &|| Val::Str(text(rng)));
        maybe(5, "tags", &|| self.tags());
        maybe(3, "tokens", &|| self.tokens());
        maybe(4, "cost_usd", &|| self.cost());
        maybe(2, "metadata", &|| metadata(rng));
        maybe(4, "attributes", &|| metadata(rng));
        maybe(8, "resource", &|| metadata(rng));
        maybe(9, "odd", &|| scalar(rng));
        // A field that a map has twice is rare and legal.
        maybe(30, "status", &|| self.status());
        let long = if self.shape == Shape::Fat {
            20_000
        } else {
            900
        };
        maybe(5, "output", &|| {
            let words = (0..rng.below(long) / 8).map(|n| format!("w{:x} ", n * n));
            Val::Str(words.collect())
        });
        Val::map(doc)
    }

    fn status(&self) -> Val {
        let known = ["success", "success", "error", "running"].map(Val::str);
        if self.rng.chance(12) {
            scalar(&self.rng)
        } else {
            pick(&self.rng, &known)
        }
    }

    /// A name; over time more than a run lists.
    fn label(&self, kind: &str) -> Val {
        match self.rng.below(8) {
            0 => scalar(&self.rng),
            1 => Val::Str(text(&self.rng)),
            2 => Val::Str(format!("{kind}{}", self.rng.below(90))),
            _ => Val::Str(format!("{kind}{}", self.rng.below(3))),
        }
    }

    fn tags(&self) -> Val {
        let some = (0..self.rng.below(4)).map(|_| Val::Str(text(&self.rng)));
        Val::Array(some.collect())
    }

    /// Sums that stay within an i64: what is above is not promised to be the same in any order.
    fn tokens(&self) -> Val {
        let mut fields = Vec::new();
        for key in ["input", "output", "total", "cached"] {
            if self.rng.chance(2) {
                let odd = [
                    Val::str("5"),
                    Val::F64(2.5),
                    Val::U64(u64::MAX),
                    Val::I64(-3),
                ];
                let some = [0, 1, 7, 100, 100_000].map(Val::I64);
                let from: &[Val] = if self.rng.chance(9) { &odd } else { &some };
                fields.push((key, pick(&self.rng, from)));
            }
        }
        Val::map(fields)
    }

    fn cost(&self) -> Val {
        pick(
            &self.rng,
            &[
                Val::F64(0.1),
                Val::F64(0.2),
                Val::F64(1e-9),
                Val::F64(0.000_123_456_7),
                Val::I64(2),
                Val::F64(-0.3),
                Val::F64(f64::NAN),
                Val::F64(f64::INFINITY),
                Val::F64(1e300),
                Val::str("0.1"),
            ],
        )
    }
}
