//! Random questions, most of them about what is there.

use obsrv_engine::model::score::Fact as OfScore;
use obsrv_engine::query::ast::{Filter, Literal, Test, TextTest};
use obsrv_engine::query::{Order, Request};
use obsrv_engine::row::Table;
use obsrv_engine::source::Column;
use obsrv_wal::sim::SimRng;

use super::facts::SCORE_NAMES;
use super::text::PATTERNS;
use super::value::{Fact, Val};
use super::vocabulary::{known_path, number, path, pick, text};

/// A search over one table of one project.
#[derive(Clone, Debug)]
pub struct Question {
    pub(super) project: u64,
    pub(super) table: Table,
    pub(super) request: Request,
}

pub(super) fn question(rng: &SimRng, project: u64, sent: &[&Fact]) -> Question {
    let table = pick(
        rng,
        &[
            Table::Runs,
            Table::Runs,
            Table::Spans,
            Table::Spans,
            Table::Scores,
            Table::Logs,
            Table::Points,
        ],
    );
    let asker = Asker {
        rng,
        runs: table == Table::Runs,
        scores: table == Table::Scores,
        sent,
    };
    let facets = if rng.chance(3) { 1 + rng.below(3) } else { 0 };
    let request = Request {
        filter: asker.filter(3, Asks::of(table)),
        order: asker.order(),
        limit: pick(rng, &[0, 1, 2, 3, 7, 50, 1_000]),
        after: None,
        total: rng.chance(2),
        facets: (0..facets).map(|_| asker.column()).collect(),
        facet_values_max: pick(rng, &[0, 1, 3, 1_000]),
    };
    Question {
        project,
        table,
        request,
    }
}

const FACTS: [OfScore; 6] = [
    OfScore::Name,
    OfScore::Value,
    OfScore::Worth,
    OfScore::Span,
    OfScore::User,
    OfScore::Source,
];

/// Which tests of other rows a filter may hold.
#[derive(Clone, Copy)]
struct Asks {
    spans: bool,
    scores: bool,
}

impl Asks {
    fn of(table: Table) -> Self {
        Self {
            spans: table == Table::Runs,
            scores: matches!(table, Table::Runs | Table::Spans),
        }
    }

    const NOTHING: Self = Self {
        spans: false,
        scores: false,
    };
}

struct Asker<'a> {
    rng: &'a SimRng,
    runs: bool,
    scores: bool,
    sent: &'a [&'a Fact],
}

impl Asker<'_> {
    fn order(&self) -> Order {
        let rng = self.rng;
        if rng.chance(3) {
            return Order::default();
        }
        Order {
            column: self.column(),
            descending: rng.chance(2),
        }
    }

    fn column(&self) -> Column {
        let rng = self.rng;
        match rng.below(12) {
            0 => Column::TraceId,
            1 => Column::Id,
            2 => Column::Start,
            3 => Column::End,
            4 => Column::Duration,
            5 | 6 => self.fact_or(path(rng)),
            7 | 8 if !self.sent.is_empty() => {
                let found = leaf_of(rng, &pick(rng, self.sent).doc);
                Column::Path(found.map_or(String::new(), |(path, _)| path).into())
            }
            _ => Column::Path(known_path(rng, self.runs).into()),
        }
    }

    /// Over scores one of their facts in the place of any path.
    fn fact_or(&self, path: String) -> Column {
        let fact = FACTS.get(path.len() % FACTS.len()).filter(|_| self.scores);
        fact.map_or_else(|| Column::Path(path.into()), |fact| Column::Score(*fact))
    }

    fn filter(&self, depth: u64, asks: Asks) -> Filter {
        let rng = self.rng;
        let parts = || -> Vec<Filter> {
            // None at all is legal.
            let count = if rng.chance(8) { 0 } else { 2 + rng.below(2) };
            let some = (0..count).map(|_| self.filter(depth - 1, asks));
            some.collect()
        };
        match rng.below(14) {
            0 if rng.chance(3) => Filter::All,
            1..=2 if depth > 0 => Filter::And(parts()),
            3..=4 if depth > 0 => Filter::Or(parts()),
            5 if depth > 0 => Filter::Not(Box::new(self.filter(depth - 1, asks))),
            6 if asks.spans => {
                let spans = Asker {
                    runs: false,
                    ..*self
                };
                let asks = Asks {
                    spans: false,
                    ..asks
                };
                Filter::AnySpan(Box::new(spans.filter(depth.saturating_sub(1), asks)))
            }
            8..=9 if asks.scores => {
                let depth = depth.saturating_sub(1);
                Filter::AnyScore(Box::new(self.of_scores(depth)))
            }
            7 => Filter::Text(self.text_test()),
            _ => self.is(),
        }
    }

    /// About scores, most of it in the words that every protocol has.
    fn of_scores(&self, depth: u64) -> Filter {
        let rng = self.rng;
        let parts = || (0..2).map(|_| self.of_scores(depth - 1)).collect();
        match rng.below(10) {
            0..=1 if depth > 0 => Filter::And(parts()),
            2 if depth > 0 => Filter::Or(parts()),
            3 if depth > 0 => Filter::Not(Box::new(self.of_scores(depth - 1))),
            4 => {
                let scores = Asker {
                    runs: false,
                    scores: true,
                    ..*self
                };
                scores.filter(depth, Asks::NOTHING)
            }
            _ => {
                let fact = pick(
                    rng,
                    &[
                        OfScore::Name,
                        OfScore::Name,
                        OfScore::Value,
                        OfScore::Value,
                        OfScore::Span,
                        OfScore::User,
                    ],
                );
                let column = Column::Score(fact);
                let literal = match fact {
                    OfScore::Name => Literal::Str(pick(rng, &SCORE_NAMES).to_owned()),
                    OfScore::Value => self.literal(&Column::Path("score".into())),
                    _ => self.literal(&column),
                };
                Filter::Is(column, self.test(literal))
            }
        }
    }

    fn is(&self) -> Filter {
        let rng = self.rng;
        if self.sent.is_empty() || rng.chance(5) {
            let column = self.column();
            let literal = self.literal(&column);
            return Filter::Is(column, self.test(literal));
        }
        let fact = pick(rng, self.sent);
        match rng.below(8) {
            0 => Filter::Is(Column::TraceId, self.test(Literal::Str(fact.trace.clone()))),
            1 => Filter::Is(Column::Id, self.test(Literal::Str(fact.id.clone()))),
            2 => {
                let at = Literal::I64(fact.start.unwrap_or(0));
                Filter::Is(Column::Start, self.test(at))
            }
            _ => match leaf_of(rng, &fact.doc) {
                Some((path, value)) => {
                    Filter::Is(Column::Path(path.into()), self.test(literal_of(&value)))
                }
                None => Filter::Is(Column::Path("metadata".into()), Test::Exists),
            },
        }
    }

    fn literal(&self, column: &Column) -> Literal {
        let rng = self.rng;
        let time = || self.sent.first().and_then(|f| f.start).unwrap_or(0);
        match column {
            Column::Start | Column::End if rng.chance(2) => Literal::I64(time()),
            Column::Duration => Literal::I64(pick(rng, &[0, -500, 500, 1_500])),
            _ => match rng.below(5) {
                0 => Literal::Bool(rng.chance(2)),
                1 | 2 => literal_of(&number(rng)),
                _ => Literal::Str(text(rng)),
            },
        }
    }

    fn test(&self, literal: Literal) -> Test {
        let rng = self.rng;
        match rng.below(12) {
            0 => Test::Lt(literal),
            1 => Test::Le(literal),
            2 => Test::Gt(literal),
            3 => Test::Ge(literal),
            4 => Test::Exists,
            5 => {
                let other = self.literal(&Column::Id);
                Test::In(vec![other, literal])
            }
            6 => Test::In(Vec::new()),
            7 => Test::Contains(part_of(rng, &literal)),
            8 => Test::Prefix(prefix_of(rng, &literal)),
            9 if rng.chance(3) => Test::Regex(pick(rng, &PATTERNS).0.to_owned()),
            _ => Test::Eq(literal),
        }
    }

    fn text_test(&self) -> TextTest {
        let rng = self.rng;
        match rng.below(9) {
            0 => TextTest::Regex(pick(rng, &PATTERNS).0.to_owned()),
            1 | 2 => TextTest::Contains(self.needle()),
            3 => TextTest::Beginning(self.needle()),
            4 | 5 => TextTest::Words(text(rng)),
            _ => TextTest::Words(self.needle()),
        }
    }

    /// A text to look for anywhere.
    fn needle(&self) -> String {
        let rng = self.rng;
        let found = (!self.sent.is_empty())
            .then(|| leaf_of(rng, &pick(rng, self.sent).doc))
            .flatten();
        match found {
            Some((path, _)) if rng.chance(4) => path,
            Some((_, value)) => part_of(rng, &literal_of(&value)),
            None => text(rng),
        }
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "the rule for whole numbers above i64"
)]
fn literal_of(value: &Val) -> Literal {
    match value {
        Val::Bool(b) => Literal::Bool(*b),
        Val::I64(n) => Literal::I64(*n),
        Val::U64(n) => Literal::F64(*n as f64),
        Val::F64(x) => Literal::F64(*x),
        // Longer than any column, shorter than a filter may hold.
        Val::Str(text) => Literal::Str(text.chars().take(4_000).collect()),
        _ => Literal::Str(String::new()),
    }
}

fn text_of(literal: &Literal) -> &str {
    match literal {
        Literal::Str(text) => text,
        _ => "1",
    }
}

/// A few characters from somewhere within, maybe in other case.
fn part_of(rng: &SimRng, literal: &Literal) -> String {
    let chars: Vec<char> = text_of(literal).chars().collect();
    let len = u64::try_from(chars.len()).unwrap_or(0);
    let skip = usize::try_from(rng.below(len)).unwrap_or(0);
    let take = usize::try_from(rng.below(12)).unwrap_or(0);
    let part: String = chars.iter().skip(skip).take(take).collect();
    if rng.chance(3) {
        part.to_ascii_uppercase()
    } else {
        part
    }
}

fn prefix_of(rng: &SimRng, literal: &Literal) -> String {
    let take = pick(rng, &[0, 1, 2, 95, 96, 97, 1_000]);
    text_of(literal).chars().take(take).collect()
}

/// Some value and the path to it.
fn leaf_of(rng: &SimRng, value: &Val) -> Option<(String, Val)> {
    let mut value = value;
    let mut path = String::new();
    loop {
        match value {
            Val::Map(entries) if entries.is_empty() => return None,
            Val::Array(items) if items.is_empty() => return None,
            Val::Map(entries) => {
                let all: Vec<_> = entries.iter().collect();
                let (key, child) = pick(rng, &all);
                if !path.is_empty() {
                    path.push('.');
                }
                path.push_str(key);
                value = child;
            }
            Val::Array(items) => {
                let all: Vec<_> = items.iter().collect();
                value = pick(rng, &all);
            }
            leaf => return Some((path, leaf.clone())),
        }
    }
}
