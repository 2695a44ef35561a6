//! What one span adds to its run.

use crate::doc::DocRef;
use crate::model;

/// What is added up of each span, in the order of a stored roll-up: tokens in, out and in all,
/// nano-dollars as stated, the tokens that were read from a cache, written to one, and thought; then
/// nano-dollars as priced, and steps whose cost is stated, priced and unknown. Of agents and chains, which
/// have no price, none of them is unknown.
pub(super) type Sums = [i64; SUMS];

/// How many.
pub(super) const SUMS: usize = 11;

/// The buckets of tokens beside input, output and total, where they stand in [`Sums`].
pub(super) const BUCKETS: [(&str, usize); 3] =
    [("cache_read", 4), ("cache_write", 5), ("reasoning", 6)];

/// Place of the stated cost in [`Sums`].
pub(super) const COST: usize = 3;
/// Place of the priced cost.
pub(super) const PRICED: usize = 7;
/// Places of the counts of steps by where their cost is from.
pub(super) const STEPS_STATED: usize = 8;
pub(super) const STEPS_PRICED: usize = 9;
pub(super) const STEPS_UNKNOWN: usize = 10;

/// What a span says of itself, of the fields that a roll-up is made of.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Says<'a> {
    pub(super) status: Option<DocRef<'a>>,
    kind: Option<DocRef<'a>>,
    pub(super) model: Option<DocRef<'a>>,
    pub(super) tool: Option<DocRef<'a>>,
    tokens: Option<DocRef<'a>>,
    cost: Option<DocRef<'a>>,
    all_cost: Option<DocRef<'a>>,
    cost_again: Option<DocRef<'a>>,
    cost_source: Option<DocRef<'a>>,
    root: Option<DocRef<'a>>,
    repeats: Option<DocRef<'a>>,
}

impl<'a> Says<'a> {
    /// Reads the fields in one pass; of a key that stands twice the first is meant.
    pub(super) fn of(view: DocRef<'a>) -> Self {
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
                model::COST => &mut says.all_cost,
                model::COST_AGAIN => &mut says.cost_again,
                model::COST_SOURCE => &mut says.cost_source,
                model::ROOT => &mut says.root,
                model::REPEATS => &mut says.repeats,
                _ => continue,
            };
            field.get_or_insert(value);
        }
        says
    }

    pub(super) fn repeats(&self) -> bool {
        self.repeats == Some(DocRef::Bool(true))
    }

    /// Whether it says again what other steps say.
    pub(super) fn is_above(&self) -> bool {
        let kind = self.kind.and_then(DocRef::as_str);
        matches!(kind, Some("agent" | "chain")) || self.repeats()
    }

    pub(super) fn is_declared_root(&self) -> bool {
        self.root == Some(DocRef::Bool(true))
    }

    /// What the span adds to its run.
    pub(super) fn usage(&self) -> Sums {
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
            0,
            0,
            0,
            0,
        ];
        let source = self.cost_source.and_then(DocRef::as_str);
        match source {
            Some("stated") => sums[STEPS_STATED] = 1,
            Some("priced") => sums[STEPS_PRICED] = 1,
            Some("unknown") => sums[STEPS_UNKNOWN] = 1,
            Some("roll_up") if self.cost.is_some() => sums[STEPS_STATED] = 1,
            Some("roll_up") if self.cost_again.is_some() => sums[STEPS_PRICED] = 1,
            Some("roll_up") => sums[STEPS_UNKNOWN] = i64::from(self.repeats()),
            _ => {}
        }
        if sums[STEPS_PRICED] > 0 {
            let priced = self.all_cost.or(self.cost_again).and_then(DocRef::as_f64);
            sums[PRICED] = nanos(priced.unwrap_or(0.0));
        }
        for (key, place) in BUCKETS {
            sums[place] = tokens(key);
        }
        let buckets = BUCKETS.map(|(_, place)| sums[place]);
        let all = buckets.into_iter().chain([sums[0], sums[1]]);
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
