//! Functions over time in brackets, and what is calculated with them.

use super::super::ast::{Arith, Measure, Metrics, Query};
use super::super::lexer::Word;
use super::super::math::Math;
use super::Parser;
use super::metrics::is_function;
use crate::query::ParseError;

const PART: &str = "a number, or a function over time in brackets like ({ } | rate())";

impl Parser {
    /// Whether the query begins like a calculation and has a function over time in brackets.
    pub(super) fn sees_math(&self) -> bool {
        let begins = matches!(
            self.peek(),
            Word::Sign("(" | "-") | Word::Int(_) | Word::Float(_) | Word::Duration(_)
        );
        begins && self.functions_from(self.at).any(|depth| depth > 0)
    }

    /// How many brackets are open at each function over time from a word on, up to where one more
    /// is closed than opened.
    fn functions_from(&self, at: usize) -> impl Iterator<Item = usize> {
        let mut open = Some(0usize);
        let words = self.words.get(at..).unwrap_or_default();
        words
            .iter()
            .zip(words.iter().skip(1))
            .filter_map(move |pair| {
                let depth = open?;
                match pair {
                    ((_, Word::Sign("(")), _) => open = Some(depth + 1),
                    ((_, Word::Sign(")")), _) => open = depth.checked_sub(1),
                    ((_, Word::Name(name)), (_, Word::Sign("("))) if is_function(name) => {
                        return Some(depth);
                    }
                    _ => {}
                }
                None
            })
    }

    /// A query that calculates with functions over time.
    pub(super) fn math_query(&mut self) -> Result<Query, ParseError> {
        let begin = self.place();
        let mut math = self.sum_of_series()?;
        // One function in brackets is that function.
        let before = match &mut math {
            Math::Query(query) => query
                .metrics
                .as_mut()
                .map(|m| std::mem::take(&mut m.second)),
            _ => None,
        };
        let second = self.seconds(before.unwrap_or_default())?;
        let hints = self.hints()?;
        if *self.peek() != Word::End {
            let expected = "+, -, *, /, | topk(), | bottomk(), a comparison, with() or the end";
            return Err(self.error(expected, "the calculation does not go on like this"));
        }
        match math {
            Math::Query(query) => {
                let metrics = query.metrics.map(|metrics| Metrics { second, ..metrics });
                Ok(Query {
                    metrics,
                    hints,
                    ..*query
                })
            }
            Math::Number(_) => {
                let message = "numbers alone say nothing of the spans";
                Err(ParseError::new(begin, PART, message))
            }
            math @ Math::Both(..) => Ok(Query {
                selectors: Vec::new(),
                stages: Vec::new(),
                metrics: Some(Metrics {
                    measure: Measure::Math(math),
                    by: Vec::new(),
                    second,
                }),
                hints,
            }),
        }
    }

    fn sum_of_series(&mut self) -> Result<Math, ParseError> {
        let mut left = self.product_of_series()?;
        loop {
            let place = self.place();
            let Some(op) = self.arithmetic(&["+", "-"]) else {
                return Ok(left);
            };
            let right = self.product_of_series()?;
            left = self.both_series((op, place), left, right)?;
        }
    }

    fn product_of_series(&mut self) -> Result<Math, ParseError> {
        let mut left = self.one_series()?;
        loop {
            let place = self.place();
            if self.sees("%") || self.sees("^") {
                let message = "neither % nor ^ is known of functions over time";
                return Err(self.error("+, -, * or /", message));
            }
            let Some(op) = self.arithmetic(&["*", "/"]) else {
                return Ok(left);
            };
            let right = self.one_series()?;
            left = self.both_series((op, place), left, right)?;
        }
    }

    fn one_series(&mut self) -> Result<Math, ParseError> {
        if self.sees("(") {
            // What is in this bracket itself is a function, or calculates with deeper ones.
            let is_function = self.functions_from(self.at + 1).any(|depth| depth == 0);
            self.at += 1;
            let is_function = is_function || self.sees("{");
            let inner = if is_function {
                self.nested(Self::function_in_brackets)?
            } else {
                self.nested(Self::sum_of_series)?
            };
            self.must_take(")", "bracket not closed")?;
            return Ok(inner);
        }
        let place = self.place();
        if self.take("-") {
            return match self.nested(Self::one_series)? {
                Math::Number(x) => Ok(Math::Number(-x)),
                _ => Err(ParseError::new(
                    place,
                    "-1 * before the function",
                    "- stands before numbers alone",
                )),
            };
        }
        let number = match self.peek() {
            #[expect(clippy::cast_precision_loss, reason = "series are floats")]
            Word::Int(n) => *n as f64,
            Word::Float(x) => *x,
            Word::Duration(_) => {
                let message = "a duration is not calculated with: series are in seconds";
                return Err(self.error("a number", message));
            }
            _ => return Err(self.error(PART, "nothing to calculate with")),
        };
        self.at += 1;
        self.node(Math::Number(number))
    }

    /// `{ } | rate()`, whose bracket is open.
    fn function_in_brackets(&mut self) -> Result<Math, ParseError> {
        let (stages, metrics) = self.steps()?;
        let selectors = std::mem::take(&mut self.selectors);
        self.selectors_before += selectors.len();
        if metrics.is_none() {
            return Err(self.error("| and a function like rate()", "no function over time"));
        }
        Ok(Math::Query(Box::new(Query {
            selectors,
            stages,
            metrics,
            hints: Vec::new(),
        })))
    }

    fn both_series(
        &mut self,
        (op, place): (Arith, usize),
        a: Math,
        b: Math,
    ) -> Result<Math, ParseError> {
        if [&a, &b].into_iter().any(is_compare) {
            let message = "compare() makes no numbers to calculate with";
            return Err(ParseError::new(place, "another function", message));
        }
        if let (Math::Number(a), Math::Number(b)) = (&a, &b) {
            let x = op.of(*a, *b);
            if !x.is_finite() {
                let message = "what the numbers come to is none";
                return Err(ParseError::new(
                    place,
                    "numbers that make a number",
                    message,
                ));
            }
            return self.node(Math::Number(x));
        }
        self.node(Math::Both(op, Box::new(a), Box::new(b)))
    }
}

fn is_compare(math: &Math) -> bool {
    let Math::Query(query) = math else {
        return false;
    };
    let measure = query.metrics.as_ref().map(|metrics| &metrics.measure);
    matches!(measure, Some(Measure::Compare { .. }))
}
