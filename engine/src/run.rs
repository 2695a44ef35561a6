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

/// What is added up of each span, in the order of a stored roll-up: tokens in, out and in all,
/// nano-dollars, and the tokens that were read from a cache, written to one, and thought.
type Sums = [i64; 7];

/// The buckets of tokens beside input, output and total, where they stand in [`Sums`].
const BUCKETS: [(&str, usize); 3] = [("cache_read", 4), ("cache_write", 5), ("reasoning", 6)];

/// Place of the cost in [`Sums`].
const COST: usize = 3;

/// What the spans of a run add up to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rollup {
    spans: i64,
    errors: i64,
    running: i64,
    /// Of steps that did the work.
    leaf: Sums,
    /// Of agents, chains and others that repeat what steps say.
    above: Sums,
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
        let above =
            matches!(kind, Some("agent" | "chain")) || says.repeats == Some(DocRef::Bool(true));
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

    /// What the steps say. Tokens and cost are each taken from the agents and chains above when no step
    /// says any: some senders tell the one where the work is done and the other only where it ends.
    fn usage(&self) -> Sums {
        let of_steps = |cost: bool| {
            let mut sums = self.leaf.iter().enumerate();
            sums.any(|(place, n)| (place == COST) == cost && *n != 0)
        };
        let (tokens, cost) = (of_steps(false), of_steps(true));
        let mut usage = self.leaf;
        for (place, (sum, above)) in usage.iter_mut().zip(self.above).enumerate() {
            if !(if place == COST { cost } else { tokens }) {
                *sum = above;
            }
        }
        usage
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
    repeats: Option<DocRef<'a>>,
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
                model::REPEATS => &mut says.repeats,
                _ => continue,
            };
            field.get_or_insert(value);
        }
        says
    }

    fn is_declared_root(&self) -> bool {
        self.root == Some(DocRef::Bool(true))
    }

    /// What the span adds to its run.
    fn usage(&self) -> Sums {
        let tokens = |key| {
            let found = self.tokens.and_then(|t| t.get(key));
            found.and_then(DocRef::as_i64).unwrap_or(0)
        };
        let dollars = self.cost.and_then(DocRef::as_f64).unwrap_or(0.0);
        let mut sums = [
            tokens("input"),
            tokens("output"),
            0,
            nanos(dollars),
            0,
            0,
            0,
        ];
        for (key, place) in BUCKETS {
            sums[place] = tokens(key);
        }
        let [input, output, _, _, buckets @ ..] = sums;
        let all = buckets.into_iter().chain([input, output]);
        sums[2] = match tokens("total") {
            0 => all.fold(0, i64::saturating_add),
            n => n,
        };
        sums
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
            if *sums != [0; 7] {
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
        // Of roll-ups that were stored before there were buckets the first four.
        let sums = |key| -> Sums {
            let mut sums = [0; 7];
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

    /// `usage` as a span has it; none where it is null.
    fn used(kind: &str, tokens: &[(&str, i64)], cost: Option<f64>) -> Vec<u8> {
        let mut out = DocWriter::new();
        let open = out.begin_map();
        out.key(model::KIND);
        out.str(kind);
        if let Some(cost) = cost {
            out.key(model::COST_USD);
            out.f64(cost);
        }
        out.key(model::TOKENS);
        let inner = out.begin_map();
        for (key, n) in tokens {
            out.key(key);
            out.i64(*n);
        }
        out.end(inner);
        out.end(open);
        out.finish()
    }

    fn run_of(spans: &[Vec<u8>]) -> Bytes {
        let mut run = Run::default();
        for (place, view) in spans.iter().enumerate() {
            run.rollup.add(SpanFacts {
                id: &place.to_string(),
                start_ns: 1,
                end_ns: Some(2),
                view: DocRef::parse(view).unwrap(),
            });
        }
        run.body()
    }

    #[test]
    fn buckets_of_tokens_add_up_to_the_total() {
        let call = [
            ("input", 4),
            ("output", 3),
            ("cache_read", 20),
            ("cache_write", 2),
            ("reasoning", 1),
        ];
        let body = run_of(&[used("llm", &call, None), used("llm", &call, None)]);
        let view = crate::body::view(&body).unwrap();
        for (key, n) in call.iter().chain(&[("total", 30)]) {
            assert_eq!(view.at(&["tokens", key]), Some(DocRef::I64(2 * n)), "{key}");
        }
        let body = run_of(&[used("llm", &[("input", 4)], None)]);
        let view = crate::body::view(&body).unwrap();
        assert_eq!(view.at(&["tokens", "cache_read"]), None);
    }

    #[test]
    fn a_cost_that_only_the_agent_tells_is_the_runs_beside_the_tokens_of_its_steps() {
        let agent = used("agent", &[("input", 30)], Some(0.5));
        let step = used("llm", &[("input", 10)], None);
        let body = run_of(&[agent.clone(), step.clone(), step.clone()]);
        let view = crate::body::view(&body).unwrap();
        assert_eq!(view.at(&["tokens", "total"]), Some(DocRef::I64(20)));
        assert_eq!(view.get(model::COST_USD), Some(DocRef::F64(0.5)));
        let body = run_of(&[agent, step, used("llm", &[], Some(0.25))]);
        let view = crate::body::view(&body).unwrap();
        assert_eq!(view.get(model::COST_USD), Some(DocRef::F64(0.25)));
    }

    #[test]
    fn what_a_client_tells_of_its_own_call_counts_where_nobody_else_does() {
        let call = used("llm", &[("input", 10)], None);
        let mut own = DocWriter::new();
        let open = own.begin_map();
        let view = DocRef::parse(&call).unwrap();
        own.entries(view.entries().unwrap());
        own.key(model::REPEATS);
        own.bool(true);
        own.end(open);
        let own = own.finish();
        for (spans, total) in [
            (vec![call.clone(), own.clone()], 10),
            (vec![own.clone(), own], 20),
        ] {
            let body = run_of(&spans);
            let view = crate::body::view(&body).unwrap();
            assert_eq!(view.at(&["tokens", "total"]), Some(DocRef::I64(total)));
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
