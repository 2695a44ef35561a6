//! What a span cost, as far as the layer above can work it out.
//!
//! A cost is no fact that a sender sent but follows from one and from a table of prices, so it is worked
//! out when a span's row is made, and stands in the row's view beside what was sent: lists, sums, facets and
//! filters find it as they find any field. It is part of no event: a retry under another table is still
//! the same event. Whoever works it out is told every control event in the order of the log, before any
//! record behind it, so that replay comes to the same (I-6).
//!
//! Complete events are priced on the thread that submits them ([`Ready`]); the commit thread does it only
//! for what is folded of several events, and where prices changed in between.

use bytes::Bytes;

use crate::body::{self, Content};
use crate::doc::{self, DocError, DocRef, DocWriter, find_raw};
use crate::model;
use crate::row::{Event, ProjectId, Table};

/// Where a cost is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CostSource {
    /// The sender said it.
    Stated,
    /// A table of prices says it.
    Priced,
    /// The span used something, and nobody says what it cost.
    Unknown,
    /// What an agent or a chain says of the steps below it: never added to theirs.
    RollUp,
}

impl CostSource {
    /// Its name in rows.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stated => "stated",
            Self::Priced => "priced",
            Self::Unknown => "unknown",
            Self::RollUp => "roll_up",
        }
    }
}

/// What a span cost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cost {
    /// Where it is from.
    pub source: CostSource,
    /// US dollars, finite; none if it is unknown. Of a roll-up what a table says of it, if it does.
    pub dollars: Option<f64>,
}

// Dollars are finite, so that they equal themselves.
impl Eq for Cost {}

/// Bytes of a key's length, and of a value's tag and length.
const LEN_BYTES: usize = 4;
const TAG_BYTES: usize = 1;

impl Cost {
    fn dollars_key(self) -> &'static str {
        match self.source {
            CostSource::RollUp => model::COST_AGAIN,
            CostSource::Stated | CostSource::Priced | CostSource::Unknown => model::COST,
        }
    }

    /// Entries of a map, as they stand behind what was sent.
    pub(crate) fn fields(self) -> Vec<u8> {
        let mut out = DocWriter::new();
        if let Some(dollars) = self.dollars {
            out.key(self.dollars_key());
            out.f64(dollars);
        }
        out.key(model::COST_SOURCE);
        out.str(self.source.as_str());
        out.finish()
    }

    /// How many bytes those are.
    pub(crate) fn fields_len(self) -> usize {
        let key = |key: &str| LEN_BYTES + key.len() + TAG_BYTES;
        let dollars = self
            .dollars
            .map_or(0, |_| key(self.dollars_key()) + size_of::<f64>());
        dollars + key(model::COST_SOURCE) + LEN_BYTES + self.source.as_str().len()
    }
}

/// A span's top-level fields by name.
pub type Fields<'f, 'a> = &'f dyn Fn(&str) -> Option<DocRef<'a>>;

/// Works out what spans cost.
pub trait Costs: Send + Sync + std::fmt::Debug {
    /// A control event, in the order of the log.
    fn control(&self, body: &[u8]);

    /// Another number whenever some span may cost something else.
    fn epoch(&self) -> u64;

    /// What a span cost; `None` if it used nothing.
    fn of_span(&self, project: ProjectId, start_ns: i64, fields: Fields<'_, '_>) -> Option<Cost>;
}

/// Knows no price, and leaves rows as they were sent.
#[derive(Clone, Copy, Debug)]
pub struct NoCosts;

impl Costs for NoCosts {
    fn control(&self, _: &[u8]) {}

    fn epoch(&self) -> u64 {
        0
    }

    fn of_span(&self, _: ProjectId, _: i64, _: Fields<'_, '_>) -> Option<Cost> {
        None
    }
}

/// What was worked out of a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Known(pub(crate) Option<Cost>);

/// What the complete spans of a request cost, worked out before it waits for the commit thread.
#[derive(Debug, Default)]
pub(crate) struct Ready {
    epoch: u64,
    /// By the place of the event.
    costs: Vec<Option<Known>>,
}

impl Ready {
    /// Of these events.
    pub(crate) fn of(costs: &dyn Costs, project: ProjectId, events: &[Event]) -> Self {
        let epoch = costs.epoch();
        let one = |event: &Event| {
            if event.table != Table::Spans {
                return None;
            }
            let seen = Seen::of(&event.doc);
            let cost = seen.cost(costs, (project, event.start_ns.unwrap_or(0)), &event.doc);
            // What comes in parts is priced as a whole; that its model's name is looked up now saves it then.
            (!event.partial && !seen.derived).then_some(Known(cost))
        };
        let costs = events.iter().map(one).collect();
        Self { epoch, costs }
    }

    /// What the event at this place cost, if that still holds.
    pub(crate) fn at(&self, costs: &dyn Costs, place: usize) -> Option<Known> {
        let known = self.costs.get(place).copied().flatten();
        known.filter(|_| self.epoch == costs.epoch())
    }
}

/// What is there of what a cost follows from, and of what follows.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    used: bool,
    derived: bool,
}

impl Seen {
    fn of(doc: &[u8]) -> Self {
        let mut seen = Self::default();
        doc::each_key(doc, &mut |key| {
            let is = |name: &str| key == name.as_bytes();
            seen.used |= is(model::TOKENS) || is(model::COST_USD);
            seen.derived |= DERIVED.into_iter().any(is);
        });
        seen
    }

    fn cost(self, costs: &dyn Costs, (project, start_ns): Of, doc: &[u8]) -> Option<Cost> {
        if !self.used {
            return None;
        }
        let field = |key: &str| DocRef::parse(find_raw(doc, key)?).ok();
        costs.of_span(project, start_ns, &field)
    }
}

type Of = (ProjectId, i64);

/// The content with its cost worked out, and whether that changed it.
pub(crate) fn costed(
    costs: &dyn Costs,
    of: Of,
    content: Content,
) -> Result<(Content, bool), DocError> {
    match content {
        Content::Complete {
            stamp,
            doc,
            cost: old,
        } => {
            let seen = Seen::of(&doc);
            let cost = seen.cost(costs, of, &doc);
            let doc = if seen.derived {
                Bytes::from(without_cost(&doc)?)
            } else {
                doc
            };
            let is_other = seen.derived || cost != old;
            let content = Content::Complete { stamp, doc, cost };
            Ok((content, is_other))
        }
        Content::Folded(body) => {
            let stored = body::decode(&body)?;
            let seen = Seen::of(stored.view);
            let cost = seen.cost(costs, of, stored.view);
            if cost.is_none() && !seen.derived {
                return Ok((Content::Folded(body), false));
            }
            let mut view = Vec::new();
            let plain = without_cost(stored.view)?;
            match cost {
                Some(cost) => doc::put_map_with(&mut view, &plain, &cost.fields()),
                None => view = plain,
            }
            if view == stored.view {
                return Ok((Content::Folded(body), false));
            }
            let new = body::encode(stored.stamp, &view, &stored.parts);
            Ok((Content::Folded(Bytes::from(new)), true))
        }
    }
}

/// What follows from prices.
const DERIVED: [&str; 3] = [model::COST, model::COST_SOURCE, model::COST_AGAIN];

fn without_cost(view: &[u8]) -> Result<Vec<u8>, DocError> {
    let mut out = DocWriter::new();
    out.reserve(view.len());
    let open = out.begin_map();
    let entries = DocRef::parse(view)?.entries();
    let kept = entries.into_iter().flatten().filter_map(Result::ok);
    for (key, value) in kept.filter(|(key, _)| !DERIVED.contains(key)) {
        out.key(key);
        out.value(value);
    }
    out.end(open);
    Ok(out.finish())
}

#[cfg(test)]
mod tests;
