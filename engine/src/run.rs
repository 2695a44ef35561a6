//! A run's row: what people list, derived from the run's own events and from its spans.
//!
//! The roll-up of the spans is a sum, a union or a choice by a total order, so it does not depend
//! on the order of arrival. A new span is added to the stored roll-up; when a span is superseded
//! the roll-up is made again from all spans of the run.

use std::collections::BTreeSet;

use bytes::Bytes;

use crate::body::PartRef;
use crate::doc::{COLUMN_VALUE_BYTES_MAX, DocError, DocRef, DocWriter};
use crate::fold::Parts;
use crate::model;
use crate::row::Stamp;

/// Distinct models and tools that a run's row lists; more are left out of the list.
pub const NAMES_MAX: usize = 64;

/// Fields that a run takes from its root span when it does not have them itself.
const FROM_ROOT: [&str; 11] = [
    model::NAME,
    model::STATUS,
    model::ERROR_MESSAGE,
    model::USER_ID,
    model::GROUP,
    model::SERVICE,
    model::MODEL,
    model::TAGS,
    model::METADATA,
    model::ATTRIBUTES,
    model::RESOURCE,
];

/// What the spans of a run add up to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rollup {
    spans: i64,
    errors: i64,
    running: i64,
    /// Tokens (input, output, total) and nano-dollars of steps that did the work.
    leaf: [i64; 4],
    /// The same of agents and chains, which repeat what their steps say.
    above: [i64; 4],
    models: BTreeSet<String>,
    tools: BTreeSet<String>,
    start_ns: Option<i64>,
    end_ns: Option<i64>,
    root: Option<Root>,
}

#[derive(Clone, Debug, PartialEq)]
struct Root {
    declared: bool,
    start_ns: i64,
    end_ns: Option<i64>,
    id: String,
    /// A map of the fields of [`FROM_ROOT`] that it has.
    fields: Bytes,
}

/// A span as the roll-up sees it.
#[derive(Clone, Copy, Debug)]
pub struct SpanFacts<'a> {
    /// Its id.
    pub id: &'a str,
    /// Its start.
    pub start_ns: i64,
    /// Its end.
    pub end_ns: Option<i64>,
    /// Its folded document.
    pub view: DocRef<'a>,
}

impl Rollup {
    /// Adds a span that is not in it yet.
    pub fn add(&mut self, span: SpanFacts<'_>) {
        let says = Says::of(span.view);
        self.spans += 1;
        let status = says.status.and_then(DocRef::as_str);
        self.errors += i64::from(status == Some(model::status::ERROR));
        self.running += i64::from(status == Some(model::status::RUNNING));
        let kind = says.kind.and_then(DocRef::as_str);
        let above = matches!(kind, Some("agent" | "chain"));
        let sums = if above {
            &mut self.above
        } else {
            &mut self.leaf
        };
        for (sum, n) in sums.iter_mut().zip(says.usage()) {
            *sum = sum.saturating_add(n);
        }
        note(&mut self.models, says.model.and_then(DocRef::as_str));
        note(&mut self.tools, says.tool.and_then(DocRef::as_str));
        self.start_ns = Some(
            self.start_ns
                .map_or(span.start_ns, |s| s.min(span.start_ns)),
        );
        self.end_ns = self.end_ns.max(span.end_ns);
        let rank = (!says.is_declared_root(), span.start_ns, span.id);
        if self.root.as_ref().is_none_or(|r| rank < r.rank()) {
            self.root = Some(Root::of(span, says.is_declared_root()));
        }
    }

    fn usage(&self) -> [i64; 4] {
        if self.leaf == [0; 4] {
            self.above
        } else {
            self.leaf
        }
    }
}

impl Root {
    fn of(span: SpanFacts<'_>, declared: bool) -> Self {
        let mut out = DocWriter::new();
        let open = out.begin_map();
        for key in FROM_ROOT {
            if let Some(value) = span.view.get(key) {
                out.key(key);
                copy_short(value, &mut out);
            }
        }
        out.end(open);
        Self {
            declared,
            start_ns: span.start_ns,
            end_ns: span.end_ns,
            id: span.id.to_owned(),
            fields: Bytes::from(out.finish()),
        }
    }

    /// The smallest is the root: a declared one, then the earliest, then the smallest id.
    fn rank(&self) -> (bool, i64, &str) {
        (!self.declared, self.start_ns, &self.id)
    }
}

/// What a span says of itself, of the fields that a roll-up is made of.
#[derive(Clone, Copy, Debug, Default)]
struct Says<'a> {
    status: Option<DocRef<'a>>,
    kind: Option<DocRef<'a>>,
    model: Option<DocRef<'a>>,
    tool: Option<DocRef<'a>>,
    tokens: Option<DocRef<'a>>,
    cost: Option<DocRef<'a>>,
    root: Option<DocRef<'a>>,
}

impl<'a> Says<'a> {
    /// Reads the fields in one pass; of a key that stands twice the first is meant.
    fn of(view: DocRef<'a>) -> Self {
        let mut says = Self::default();
        let entries = view.entries().into_iter().flatten();
        for (key, value) in entries.filter_map(Result::ok) {
            let field = match key {
                model::STATUS => &mut says.status,
                model::KIND => &mut says.kind,
                model::MODEL => &mut says.model,
                model::TOOL => &mut says.tool,
                model::TOKENS => &mut says.tokens,
                model::COST_USD => &mut says.cost,
                model::ROOT => &mut says.root,
                _ => continue,
            };
            field.get_or_insert(value);
        }
        says
    }

    fn is_declared_root(&self) -> bool {
        self.root == Some(DocRef::Bool(true))
    }

    /// Input, output and total tokens, and nano-dollars.
    fn usage(&self) -> [i64; 4] {
        let tokens = |key| {
            let found = self.tokens.and_then(|t| t.get(key));
            found.and_then(DocRef::as_i64).unwrap_or(0)
        };
        let (input, output) = (tokens("input"), tokens("output"));
        let total = match tokens("total") {
            0 => input.saturating_add(output),
            n => n,
        };
        let dollars = self.cost.and_then(DocRef::as_f64).unwrap_or(0.0);
        [input, output, total, nanos(dollars)]
    }
}

/// Whole nano-dollars, so that sums do not depend on their order.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the range is checked first"
)]
fn nanos(dollars: f64) -> i64 {
    let nanos = (dollars * 1e9).round();
    if nanos.abs() < 9e18 { nanos as i64 } else { 0 }
}

fn note(names: &mut BTreeSet<String>, name: Option<&str>) {
    if let Some(name) = name.filter(|n| !n.is_empty() && n.len() <= COLUMN_VALUE_BYTES_MAX) {
        if !names.contains(name) {
            names.insert(name.to_owned());
        }
        if names.len() > NAMES_MAX {
            // The smallest names stay, whatever the order of arrival.
            names.pop_last();
        }
    }
}

/// Copies what a filter over runs can use: short values and the maps around them.
fn copy_short(value: DocRef<'_>, out: &mut DocWriter) {
    match value {
        DocRef::Map(entries) => {
            let open = out.begin_map();
            for (key, child) in entries.filter_map(Result::ok).filter(|(_, v)| is_short(*v)) {
                out.key(key);
                copy_short(child, out);
            }
            out.end(open);
        }
        other => out.value(other),
    }
}

fn is_short(value: DocRef<'_>) -> bool {
    match value {
        DocRef::Str(s) => s.len() <= COLUMN_VALUE_BYTES_MAX,
        DocRef::Bytes(_) => false,
        DocRef::Array(mut items) => items.all(|v| v.is_ok_and(is_short)),
        _ => true,
    }
}

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
        out.key("has_error");
        out.bool(self.rollup.errors > 0);
        if let Ok(value) = DocRef::parse(rollup) {
            out.key(model::ROLLUP);
            out.value(value);
        }
        out.end(open);
        out.finish()
    }

    fn write_usage(&self, own_has: &dyn Fn(&str) -> bool, out: &mut DocWriter) {
        let [input, output, total, cost] = self.rollup.usage();
        if total > 0 && !own_has(model::TOKENS) {
            out.key(model::TOKENS);
            let open = out.begin_map();
            for (key, n) in [("input", input), ("output", output), ("total", total)] {
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
}

#[expect(clippy::cast_precision_loss, reason = "nano-dollars shown as dollars")]
fn dollars(nanos: i64) -> f64 {
    nanos as f64 / 1e9
}

impl Rollup {
    fn write(&self) -> Vec<u8> {
        let mut out = DocWriter::new();
        let open = out.begin_map();
        for (key, n) in [
            ("span_count", self.spans),
            ("error_count", self.errors),
            ("running", self.running),
        ] {
            out.key(key);
            out.i64(n);
        }
        for (key, sums) in [("leaf", &self.leaf), ("above", &self.above)] {
            if *sums != [0; 4] {
                out.key(key);
                let open = out.begin_array();
                sums.iter().for_each(|n| out.i64(*n));
                out.end(open);
            }
        }
        for (key, names) in [("models", &self.models), ("tools", &self.tools)] {
            out.key(key);
            let open = out.begin_array();
            names.iter().for_each(|n| out.str(n));
            out.end(open);
        }
        for (key, time) in [("start_ns", self.start_ns), ("end_ns", self.end_ns)] {
            if let Some(time) = time {
                out.key(key);
                out.i64(time);
            }
        }
        if let Some(root) = &self.root {
            out.key("root");
            root.write(&mut out);
        }
        out.end(open);
        out.finish()
    }

    /// Reads what `write` wrote; `shared` is the buffer that `doc` borrows from.
    fn read(doc: DocRef<'_>, shared: &Bytes) -> Result<Self, DocError> {
        let number = |key| doc.get(key).and_then(DocRef::as_i64);
        let sums = |key| -> [i64; 4] {
            let mut sums = [0; 4];
            if let Some(DocRef::Array(items)) = doc.get(key) {
                for (slot, n) in sums.iter_mut().zip(items) {
                    *slot = n.ok().and_then(DocRef::as_i64).unwrap_or(0);
                }
            }
            sums
        };
        let names = |key| -> BTreeSet<String> {
            let Some(DocRef::Array(items)) = doc.get(key) else {
                return BTreeSet::new();
            };
            items
                .filter_map(|n| Some(n.ok()?.as_str()?.to_owned()))
                .collect()
        };
        Ok(Self {
            spans: number("span_count").ok_or(DocError::Short)?,
            errors: number("error_count").ok_or(DocError::Short)?,
            running: number("running").ok_or(DocError::Short)?,
            leaf: sums("leaf"),
            above: sums("above"),
            models: names("models"),
            tools: names("tools"),
            start_ns: number("start_ns"),
            end_ns: number("end_ns"),
            root: doc.get("root").map(|r| Root::read(r, shared)).transpose()?,
        })
    }
}

impl Root {
    fn write(&self, out: &mut DocWriter) {
        let open = out.begin_map();
        out.key("id");
        out.str(&self.id);
        out.key("declared");
        out.bool(self.declared);
        out.key("start_ns");
        out.i64(self.start_ns);
        if let Some(end) = self.end_ns {
            out.key("end_ns");
            out.i64(end);
        }
        // As bytes, so that columns index the fields once: on the run itself.
        out.key("fields");
        out.bytes(&self.fields);
        out.end(open);
    }

    fn read(doc: DocRef<'_>, shared: &Bytes) -> Result<Self, DocError> {
        let Some(DocRef::Bytes(fields)) = doc.get("fields") else {
            return Err(DocError::Short);
        };
        Ok(Self {
            declared: doc.get("declared") == Some(DocRef::Bool(true)),
            start_ns: doc
                .get("start_ns")
                .and_then(DocRef::as_i64)
                .ok_or(DocError::Short)?,
            end_ns: doc.get("end_ns").and_then(DocRef::as_i64),
            id: doc
                .get("id")
                .and_then(DocRef::as_str)
                .ok_or(DocError::Short)?
                .to_owned(),
            fields: shared.slice_ref(fields),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn doc(status: &str, kind: &str, tokens: i64, cost: f64, root: bool) -> Vec<u8> {
        let mut out = DocWriter::new();
        let open = out.begin_map();
        out.key(model::STATUS);
        out.str(status);
        out.key(model::KIND);
        out.str(kind);
        out.key(model::COST_USD);
        out.f64(cost);
        out.key(model::TOKENS);
        let inner = out.begin_map();
        out.key("input");
        out.i64(tokens);
        out.end(inner);
        if root {
            out.key(model::ROOT);
            out.bool(true);
            out.key(model::NAME);
            out.str("the root");
        }
        out.end(open);
        out.finish()
    }

    proptest! {
        #[test]
        fn the_order_of_spans_and_storage_between_them_do_not_matter(
            specs in prop::collection::vec((0usize..3, 0usize..2, 0i64..99, 0.0f64..1.0, any::<bool>(), 0i64..50), 1..20),
        ) {
            let spans: Vec<_> = specs.iter().enumerate().map(|(i, &(s, k, t, c, r, start))| {
                let status = ["success", "error", "running"][s];
                (format!("s{i}"), start, doc(status, ["llm", "agent"][k], t, c, r))
            }).collect();
            let facts = |(id, start, view): &(String, i64, Vec<u8>)| {
                (id.clone(), *start, view.clone())
            };
            let add = |run: &mut Run, (id, start_ns, view): &(String, i64, Vec<u8>)| run.rollup.add(SpanFacts {
                id, start_ns: *start_ns, end_ns: Some(start_ns + 5), view: DocRef::parse(view).unwrap(),
            });
            let mut forward = Run::default();
            spans.iter().for_each(|s| add(&mut forward, &facts(s)));
            let mut backward = Run::default();
            for s in spans.iter().rev() {
                add(&mut backward, s);
                let body = backward.body();
                backward = Run::from_body(&body, backward.start_ns(), backward.end_ns()).unwrap();
            }
            prop_assert_eq!(forward.body(), backward.body());
            let body = forward.body();
            let view = crate::body::view(&body).unwrap();
            let count = i64::try_from(spans.len()).unwrap();
            prop_assert_eq!(view.at(&["rollup", "span_count"]), Some(DocRef::I64(count)));
        }
    }

    #[test]
    fn tokens_of_an_agent_are_not_added_to_those_of_its_steps() {
        let mut run = Run::default();
        for (id, kind, tokens) in [("a", "agent", 30), ("b", "llm", 10), ("c", "llm", 20)] {
            let view = doc("success", kind, tokens, 0.0, kind == "agent");
            let view = DocRef::parse(&view).unwrap();
            run.rollup.add(SpanFacts {
                id,
                start_ns: 1,
                end_ns: Some(2),
                view,
            });
        }
        let body = run.body();
        let view = crate::body::view(&body).unwrap();
        assert_eq!(view.at(&["tokens", "total"]), Some(DocRef::I64(30)));
        assert_eq!(view.get("name"), Some(DocRef::Str("the root")));
    }
}
