//! A run's row: what people list, derived from the run's own events and from its spans.
//!
//! The roll-up of the spans is a sum, a union or a choice by a total order, so it does not depend
//! on the order of arrival. A new span is added to the stored roll-up; when a span is superseded
//! the roll-up is made again from all spans of the run.

mod rollup;
mod root;
mod says;

use bytes::Bytes;

use crate::body::PartRef;
use crate::cost::CostSource;
use crate::doc::{DocError, DocRef, DocWriter};
use crate::fold::Parts;
use crate::model;
use crate::row::Stamp;
pub(crate) use rollup::Difference;
pub use rollup::{NAMES_MAX, Rollup, SpanFacts};
use says::BUCKETS;

/// The state of a run's row: its own events and its roll-up.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Run {
    /// The run's own events.
    pub parts: Parts,
    /// What its spans add up to.
    pub rollup: Rollup,
}

impl Run {
    /// Reads the state back from a stored row.
    pub fn from_body(body: &Bytes, start_ns: i64, end_ns: Option<i64>) -> Result<Self, DocError> {
        let mut parts = Parts::from_body(body, start_ns, end_ns)?;
        let rollup = match parts.take_derived() {
            Some(part) => Rollup::read(DocRef::parse(&part.doc)?, &part.doc)?,
            None => Rollup::default(),
        };
        Ok(Self { parts, rollup })
    }

    /// Start of the run: its own word, else its earliest span.
    pub fn start_ns(&self) -> i64 {
        self.parts.start_ns().or(self.rollup.start_ns).unwrap_or(0)
    }

    /// End of the run: its own word, else, once the root has ended, its latest span's.
    pub fn end_ns(&self) -> Option<i64> {
        let root_ended = self
            .rollup
            .root
            .as_ref()
            .is_some_and(|r| r.end_ns.is_some());
        self.parts
            .end_ns()
            .or_else(|| self.rollup.end_ns.filter(|_| root_ended))
    }

    /// The row's body.
    pub fn body(&self) -> Bytes {
        let rollup = self.rollup.write();
        let view = self.view(&rollup);
        let derived = PartRef {
            stamp: Stamp::default(),
            partial: true,
            start_ns: None,
            end_ns: None,
            doc: &rollup,
        };
        Bytes::from(self.parts.body_with_view(&view, Some(derived)))
    }

    fn view(&self, rollup: &[u8]) -> Vec<u8> {
        let own = self.parts.view();
        let own = DocRef::parse(&own).ok();
        let own_has = |key: &str| own.is_some_and(|d| d.get(key).is_some());
        let mut out = DocWriter::new();
        let open = out.begin_map();
        for (key, value) in own
            .and_then(DocRef::entries)
            .into_iter()
            .flatten()
            .flatten()
        {
            out.key(key);
            out.value(value);
        }
        let root = self
            .rollup
            .root
            .as_ref()
            .and_then(|r| DocRef::parse(&r.fields).ok());
        for (key, value) in root
            .and_then(DocRef::entries)
            .into_iter()
            .flatten()
            .flatten()
        {
            if !own_has(key) {
                out.key(key);
                out.value(value);
            }
        }
        self.write_usage(&own_has, &mut out);
        let stated = own.and_then(|own| own.get(model::COST_USD)?.as_f64());
        let stated = stated.filter(|dollars| dollars.is_finite());
        self.write_cost(stated, &mut out);
        out.key("has_error");
        out.bool(self.rollup.errors > 0);
        // A model that the run alone names is one of its models, too.
        let named = own.and_then(|own| own.get(model::MODEL));
        let rollup = self.rollup.with_model(named, rollup);
        if let Ok(value) = DocRef::parse(&rollup) {
            out.key(model::ROLLUP);
            out.value(value);
        }
        out.end(open);
        out.finish()
    }

    fn write_usage(&self, own_has: &dyn Fn(&str) -> bool, out: &mut DocWriter) {
        let usage = self.rollup.usage();
        let [input, output, total, cost, ..] = usage;
        if total > 0 && !own_has(model::TOKENS) {
            out.key(model::TOKENS);
            let open = out.begin_map();
            let parts = BUCKETS.map(|(key, place)| (key, usage[place]));
            let parts = parts.into_iter().filter(|(_, n)| *n != 0);
            let named = [("input", input), ("output", output)];
            for (key, n) in named.into_iter().chain(parts).chain([("total", total)]) {
                out.key(key);
                out.i64(n);
            }
            out.end(open);
        }
        if cost > 0 && !own_has(model::COST_USD) {
            out.key(model::COST_USD);
            out.f64(dollars(cost));
        }
    }

    /// The cost that lists show: what the run says itself, else what its steps come to.
    fn write_cost(&self, stated: Option<f64>, out: &mut DocWriter) {
        let (cost, source, unknown) = if let Some(stated) = stated {
            (Some(stated), Some(CostSource::Stated.as_str()), 0)
        } else {
            let (cost, source, unknown) = self.rollup.cost();
            (cost.map(dollars), source, unknown)
        };
        if let Some(cost) = cost {
            out.key(model::COST);
            out.f64(cost);
        }
        if let Some(source) = source {
            out.key(model::COST_SOURCE);
            out.str(source);
        }
        if unknown > 0 {
            out.key(model::COST_UNKNOWN);
            out.i64(unknown);
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "nano-dollars shown as dollars")]
fn dollars(nanos: i64) -> f64 {
    nanos as f64 / 1e9
}

#[cfg(test)]
mod tests;
