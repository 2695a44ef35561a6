//! Which part of a conjunction to look at next: the one that costs least for each row that it rules out.
//!
//! Of every part a source tells beforehand about how many rows pass: a bitmap how many it has, a dictionary how many
//! values, a column of numbers from where to where it goes, an index of terms the blocks that it leaves. A guess decides
//! in which order parts are looked at and never what passes; where a source knows nothing, the order of the plan stands.

use std::sync::Arc;

use super::QueryError;
use super::ast::{Literal, Test};
use super::meter::{Meter, len_u64};
use super::plan::Node;
use super::value::test_scalar;
use crate::doc::Scalar;
use crate::source::{Access, Column, Outline, Source, Wanted};

/// Of a part over one source. Costs are nanoseconds, roughly: only which are larger matters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Guess {
    /// Which share of the rows it leaves: 0 to 1.
    pub(super) share: f64,
    /// What it costs, however few rows are looked at.
    pub(super) fixed: f64,
    /// What it costs for each of them.
    pub(super) per_row: f64,
}

impl Guess {
    /// How many of these rows it leaves.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of the rows is not below 0 nor above their number"
    )]
    pub(super) fn of(&self, rows: u64) -> u64 {
        (self.share.clamp(0.0, 1.0) * float(rows)).round() as u64
    }
}

/// To open what a column needs.
const OPEN_COST: f64 = 1_000.0;
/// To try one value, to look for a text in one, and to match one.
const TRY_COST: f64 = 30.0;
const FIND_COST: f64 = 150.0;
const MATCH_COST: f64 = 500.0;
/// To read a code or a number of a row, and the document of one.
const READ_COST: f64 = 10.0;
const DOCUMENT_COST: f64 = 20_000.0;
/// To look up a trace.
const TRACE_COST: f64 = 500.0;
/// Shares of the rows with a value, where nothing tells: those that a comparison, a text and a number leave.
const RAY_SHARE: f64 = 0.3;
const TEXT_SHARE: f64 = 0.1;
const ONE_SHARE: f64 = 0.02;
/// Of a step in the plan's order, where a source knows nothing.
const UNKNOWN_COST: f64 = 1e9;

/// What leaves every row and costs nothing.
const WHOLE: Guess = Guess {
    share: 1.0,
    fixed: 0.0,
    per_row: 0.0,
};

/// What is known of no row: looked at in the order of the plan, behind what is known.
fn unknown(plan_cost: u32) -> Guess {
    Guess {
        share: 0.5,
        fixed: UNKNOWN_COST * (1.0 + f64::from(plan_cost)),
        per_row: 0.0,
    }
}

/// A row count as a number to reckon with.
#[expect(clippy::cast_precision_loss, reason = "an estimate")]
fn float(n: u64) -> f64 {
    n as f64
}

/// Which of these to look at next, while so many rows are left. Of several that are as good, the first.
pub(super) fn next(candidates: u64, parts: &[Guess]) -> Option<usize> {
    let rank = |guess: &Guess| {
        let cost = guess.fixed + guess.per_row * float(candidates);
        let ruled_out = 1.0 - guess.share.clamp(0.0, 1.0);
        // What rules out nothing comes last, and of that the cheapest first.
        if ruled_out > 0.0 {
            (false, cost / ruled_out)
        } else {
            (true, cost)
        }
    };
    let ranks = parts.iter().map(rank).enumerate();
    let best = ranks.min_by(|(_, a), (_, b)| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
    best.map(|(at, _)| at)
}

/// Of a test of a column that has `total` rows, of which a source tells this.
pub(super) fn of_test(test: &Test, outline: &Outline, total: u64) -> Guess {
    let total = float(total.max(1));
    let with_value = (float(outline.rows) / total).min(1.0);
    let share = match outline.passing {
        Some(passing) => float(passing) / total,
        None => with_value * share_of_values(test, outline),
    };
    let try_cost = match test {
        Test::Contains(_) | Test::Prefix(_) => FIND_COST,
        Test::Regex(_) => MATCH_COST,
        _ => TRY_COST,
    };
    let distinct = float(outline.distinct);
    let (fixed, per_row) = match outline.access {
        Access::Bitmaps => (distinct * try_cost, 0.0),
        // Each value once, or each row if these are fewer.
        Access::Codes => (0.0, READ_COST + try_cost * (distinct / total).min(1.0)),
        Access::Numbers => (0.0, READ_COST + try_cost),
        Access::Documents => (0.0, DOCUMENT_COST),
    };
    Guess {
        share: share.clamp(0.0, 1.0),
        fixed: OPEN_COST + fixed,
        per_row,
    }
}

/// Which share of the rows with a value passes, if values are spread evenly.
fn share_of_values(test: &Test, outline: &Outline) -> f64 {
    let one = if outline.distinct > 0 {
        1.0 / float(outline.distinct)
    } else {
        ONE_SHARE
    };
    let lies_within = |literal: &Literal| match (number(literal), outline.zone) {
        (Some(n), Some((min, max))) => min <= n && n <= max,
        (None, Some(_)) => false,
        (_, None) => true,
    };
    let above = |literal: &Literal| match (number(literal), outline.zone) {
        (Some(n), Some((min, max))) if max > min => ((max - n) / (max - min)).clamp(0.0, 1.0),
        (Some(n), Some((min, _))) => f64::from(min > n),
        (None, Some(_)) => 0.0,
        (_, None) => RAY_SHARE,
    };
    match test {
        Test::Exists => 1.0,
        Test::Eq(literal) if lies_within(literal) => one,
        Test::Eq(_) => 0.0,
        Test::In(list) => {
            let within = list.iter().filter(|literal| lies_within(literal)).count();
            (one * float(len_u64(within))).min(1.0)
        }
        Test::Gt(literal) | Test::Ge(literal) => above(literal),
        Test::Lt(literal) | Test::Le(literal) => match outline.zone {
            Some(_) if number(literal).is_none() => 0.0,
            Some(_) => 1.0 - above(literal),
            None => RAY_SHARE,
        },
        Test::Contains(_) | Test::Prefix(_) | Test::Regex(_) => TEXT_SHARE,
    }
}

fn number(literal: &Literal) -> Option<f64> {
    match literal {
        #[expect(clippy::cast_precision_loss, reason = "an estimate")]
        Literal::I64(n) => Some(*n as f64),
        Literal::F64(x) if !x.is_nan() => Some(*x),
        Literal::F64(_) | Literal::Str(_) | Literal::Bool(_) => None,
    }
}

/// Of each part of a conjunction over a source: worked out once for all of its row groups.
pub(super) fn of_parts(
    parts: &[Node<'_>],
    source: &dyn Source,
    meter: &mut Meter<'_>,
) -> Result<Arc<[Guess]>, QueryError> {
    let key = (
        std::ptr::from_ref(source).cast::<()>().addr(),
        parts.as_ptr().addr(),
    );
    // Another plan may stand where one was that is gone.
    if let Some(known) = meter.guesses.get(&key).filter(|k| k.len() == parts.len()) {
        return Ok(Arc::clone(known));
    }
    let mut guesses = Vec::with_capacity(parts.len());
    for part in parts {
        meter.check()?;
        guesses.push(of_node(part, source, meter)?);
    }
    let guesses: Arc<[Guess]> = guesses.into();
    meter.keep_guesses(key, &guesses);
    Ok(guesses)
}

/// Of a part and all below it. Of one of which a source knows a part only it knows nothing.
fn of_node(
    node: &Node<'_>,
    source: &dyn Source,
    meter: &mut Meter<'_>,
) -> Result<Guess, QueryError> {
    meter.check()?;
    let guess = match node {
        Node::And(parts) => {
            let mut all = WHOLE;
            for part in parts {
                let one = of_node(part, source, meter)?;
                all = Guess {
                    share: all.share * one.share,
                    fixed: all.fixed + one.fixed,
                    per_row: all.per_row + one.per_row * all.share,
                };
            }
            all
        }
        Node::Or(parts) => {
            let mut any = Guess {
                share: 0.0,
                ..WHOLE
            };
            for part in parts {
                let one = of_node(part, source, meter)?;
                any = Guess {
                    share: (any.share + one.share).min(1.0),
                    fixed: any.fixed + one.fixed,
                    per_row: any.per_row + one.per_row,
                };
            }
            any
        }
        Node::Not(part) => {
            let one = of_node(part, source, meter)?;
            Guess {
                share: 1.0 - one.share,
                ..one
            }
        }
        leaf => of_leaf(leaf, source),
    };
    if guess.fixed >= UNKNOWN_COST {
        return Ok(unknown(node.cost()));
    }
    Ok(guess)
}

fn of_leaf(node: &Node<'_>, source: &dyn Source) -> Guess {
    let total = u64::from(source.row_count());
    match node {
        Node::All | Node::And(_) | Node::Or(_) | Node::Not(_) => WHOLE,
        Node::Is(column, test) => of_column(column, test, source).unwrap_or(unknown(node.cost())),
        Node::Matches(column, pattern) => {
            let test = |value: Scalar<'_>| match value {
                Scalar::Str(text) => Some(pattern.is_match(text)),
                _ => None,
            };
            let wanted = Wanted {
                test: &test,
                one: None,
            };
            let any = Test::Regex(String::new());
            let outline = source.outline(column, wanted);
            outline.map_or(unknown(node.cost()), |o| of_test(&any, &o, total))
        }
        // What an index found is at hand for who asks next.
        Node::Text(text) => match text.narrow(source).as_deref() {
            Ok(Some(blocks)) => {
                let left = blocks.left.iter().map(|(rows, _)| rows.len()).sum();
                Guess {
                    share: (float(left) / float(total.max(1))).min(1.0),
                    fixed: OPEN_COST,
                    per_row: 0.0,
                }
            }
            _ => WHOLE,
        },
        Node::Traces(traces) => of_traces(traces.len(), source).unwrap_or(unknown(node.cost())),
        Node::Scored(spans) => of_traces(spans.len(), source).unwrap_or(unknown(node.cost())),
    }
}

fn of_column(column: &Column, test: &Test, source: &dyn Source) -> Option<Guess> {
    let passes = |value: Scalar<'_>| test_scalar(test, value);
    let one = match test {
        Test::Eq(Literal::Str(text)) => Some(Scalar::Str(text)),
        _ => None,
    };
    let wanted = Wanted { test: &passes, one };
    let outline = source.outline(column, wanted)?;
    Some(of_test(test, &outline, u64::from(source.row_count())))
}

/// Of so many traces, or spans of as many.
fn of_traces(count: usize, source: &dyn Source) -> Option<Guess> {
    let wanted = Wanted {
        test: &|_| Some(false),
        one: None,
    };
    let known = source.outline(&Column::TraceId, wanted)?;
    let count = float(len_u64(count));
    Some(Guess {
        share: (count / float(known.distinct.max(1))).min(1.0),
        fixed: count * TRACE_COST,
        per_row: READ_COST,
    })
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "worked out in the same way")]
mod tests {
    use super::*;

    fn guess(share: f64, fixed: f64, per_row: f64) -> Guess {
        Guess {
            share,
            fixed,
            per_row,
        }
    }

    /// All of them, in the order in which they are looked at if each leaves what it should.
    fn order(mut candidates: u64, parts: &[Guess]) -> Vec<usize> {
        let mut left: Vec<usize> = (0..parts.len()).collect();
        let mut order = Vec::new();
        while !left.is_empty() {
            let of_left: Vec<Guess> = left.iter().map(|at| parts[*at]).collect();
            let at = left.remove(next(candidates, &of_left).unwrap());
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_precision_loss,
                clippy::cast_sign_loss,
                reason = "a share of few rows"
            )]
            let rest = (parts[at].share * candidates as f64) as u64;
            candidates = rest;
            order.push(at);
        }
        order
    }

    #[test]
    fn what_rules_out_most_for_its_cost_is_looked_at_first() {
        let (bitmap, slow) = (guess(0.01, 100.0, 0.0), guess(0.01, 100.0, 40.0));
        assert_eq!(order(65_536, &[slow, bitmap]), [1, 0]);
        assert_eq!(order(65_536, &[bitmap, slow]), [0, 1]);
        // As dear: by what is left.
        let (few, many) = (guess(0.1, 500.0, 0.0), guess(0.9, 500.0, 0.0));
        assert_eq!(order(65_536, &[many, few]), [1, 0]);
        // What leaves all is last, and the cheaper of two of those before the other.
        let (all, dear) = (guess(1.0, 0.0, 0.0), guess(1.0, 9.0, 0.0));
        assert_eq!(order(65_536, &[dear, all, slow, few]), [3, 2, 1, 0]);
        // As good: the order of the plan.
        assert_eq!(order(10, &[few, few, few]), [0, 1, 2]);
        assert_eq!(next(10, &[]), None);
    }

    #[test]
    fn few_rows_are_looked_at_one_by_one_before_a_dear_bitmap() {
        let (bitmaps, codes) = (guess(0.5, 30_000.0, 0.0), guess(0.5, 1_000.0, 10.0));
        assert_eq!(next(65_536, &[codes, bitmaps]), Some(1));
        assert_eq!(next(2_901, &[codes, bitmaps]), Some(1));
        assert_eq!(next(2_899, &[bitmaps, codes]), Some(1));
        // Shares beyond all and nothing, and no number, do not matter to the rest.
        let odd = guess(f64::NAN, 1.0, 1.0);
        assert_eq!(next(1, &[odd, guess(7.0, 1.0, 1.0), codes]), Some(2));
    }

    fn text(text: &str) -> Literal {
        Literal::Str(text.to_owned())
    }

    #[test]
    fn a_share_is_what_bitmaps_dictionaries_and_zones_say() {
        let share = |test: &Test, outline: Outline| of_test(test, &outline, 1_000).share;
        let eq = Test::Eq(text("a"));
        let codes = Outline {
            rows: 500,
            distinct: 50,
            ..Outline::default()
        };
        assert_eq!(share(&eq, codes), 0.01);
        assert_eq!(share(&Test::Exists, codes), 0.5);
        assert_eq!(
            share(&Test::In(vec![text("a"); 3]), codes),
            0.5 * (0.02 * 3.0)
        );
        assert_eq!(share(&Test::In(vec![text("a"); 99]), codes), 0.5);
        let counted = Outline {
            passing: Some(123),
            ..codes
        };
        assert_eq!(share(&eq, counted), 0.123);
        let more_than_all = Outline {
            passing: Some(1_001),
            ..codes
        };
        assert_eq!(share(&eq, more_than_all), 1.0);
        assert_eq!(of_test(&eq, &counted, 0).share, 1.0);
        assert_eq!(of_test(&eq, &Outline::default(), 0).share, 0.0);
    }

    #[test]
    fn a_comparison_leaves_its_part_of_the_zone() {
        let zone = |min, max| Outline {
            access: Access::Numbers,
            rows: 1_000,
            zone: Some((min, max)),
            ..Outline::default()
        };
        let share = |test: &Test, outline: Outline| of_test(test, &outline, 1_000).share;
        let n = Literal::I64;
        for (test, expect) in [
            (Test::Gt(n(25)), 0.75),
            (Test::Ge(n(0)), 1.0),
            (Test::Gt(n(101)), 0.0),
            (Test::Lt(n(25)), 0.25),
            (Test::Le(n(-1)), 0.0),
            (Test::Lt(n(101)), 1.0),
            (Test::Lt(text("a")), 0.0),
            (Test::Gt(text("a")), 0.0),
            (Test::Eq(n(101)), 0.0),
            (Test::Eq(n(100)), ONE_SHARE),
            (Test::Gt(Literal::F64(f64::NAN)), 0.0),
        ] {
            assert_eq!(share(&test, zone(0.0, 100.0)), expect, "{test:?}");
        }
        assert_eq!(share(&Test::Gt(n(5)), zone(5.0, 5.0)), 0.0);
        assert_eq!(share(&Test::Gt(n(4)), zone(5.0, 5.0)), 1.0);
        let unknown = Outline {
            zone: None,
            ..zone(0.0, 0.0)
        };
        assert_eq!(share(&Test::Gt(n(5)), unknown), RAY_SHARE);
    }

    #[test]
    fn documents_cost_most_and_bitmaps_nothing_for_a_row() {
        let cost = |access, test: &Test| {
            let outline = Outline {
                access,
                rows: 1_000,
                distinct: 10,
                ..Outline::default()
            };
            let guess = of_test(test, &outline, 1_000);
            guess.fixed + 1_000.0 * guess.per_row
        };
        let eq = Test::Eq(text("a"));
        let all = [
            Access::Bitmaps,
            Access::Codes,
            Access::Numbers,
            Access::Documents,
        ];
        assert!(
            all.map(|access| cost(access, &eq))
                .is_sorted_by(|a, b| a < b)
        );
        let contains = Test::Contains("a".into());
        assert!(cost(Access::Bitmaps, &contains) > cost(Access::Bitmaps, &eq));
    }
}
