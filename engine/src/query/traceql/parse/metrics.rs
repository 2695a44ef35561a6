//! What is worked out over time, what is done with the series, and hints.

use super::super::ast::{Fold, Measure, Metrics, Second, Static};
use super::super::lexer::Word;
use super::super::{BY_MAX, COMPARED_MAX, HINTS_MAX, SECOND_MAX, TOP_MAX};
use super::Parser;
use crate::query::ParseError;
use crate::query::aggregate::QUANTILES_MAX;

const FOLDS: [(&str, Fold); 4] = [
    ("min_over_time", Fold::Min),
    ("max_over_time", Fold::Max),
    ("sum_over_time", Fold::Sum),
    ("avg_over_time", Fold::Avg),
];

/// Whether it is the name of a function over time.
pub(super) fn is_function(name: &str) -> bool {
    let others = [
        "rate",
        "count_over_time",
        "quantile_over_time",
        "histogram_over_time",
        "compare",
    ];
    others.contains(&name) || FOLDS.iter().any(|(known, _)| *known == name)
}

impl Parser {
    /// A function over time, if one comes next.
    pub(super) fn metrics(&mut self) -> Result<Option<Metrics>, ParseError> {
        let Some(measure) = self.measure()? else {
            return Ok(None);
        };
        self.node(())?;
        let by = if self.take_call("by") {
            self.fields(BY_MAX)?
        } else {
            Vec::new()
        };
        let second = self.seconds(Vec::new())?;
        Ok(Some(Metrics {
            measure,
            by,
            second,
        }))
    }

    /// What is done with the series, one step after the other, behind what was done `before`.
    pub(super) fn seconds(&mut self, before: Vec<Second>) -> Result<Vec<Second>, ParseError> {
        let mut second = before;
        while let Some(step) = self.second()? {
            second.push(step);
            if second.len() > SECOND_MAX {
                let message = format!("too many steps after the function max={SECOND_MAX}");
                return Err(self.error("fewer steps", message));
            }
        }
        Ok(second)
    }

    fn measure(&mut self) -> Result<Option<Measure>, ParseError> {
        let Some(name) = self.sees_call().map(str::to_owned) else {
            return Ok(None);
        };
        let fold = FOLDS.iter().find(|(known, _)| *known == name);
        let measure = match &*name {
            "rate" | "count_over_time" => {
                self.at += 2;
                if name == "rate" {
                    Measure::Rate
                } else {
                    Measure::Count
                }
            }
            "quantile_over_time" => {
                self.at += 2;
                self.quantiles()?
            }
            "histogram_over_time" => {
                self.at += 2;
                Measure::Histogram(self.field()?)
            }
            "compare" => {
                self.at += 2;
                self.compare()?
            }
            _ => match fold {
                Some((_, fold)) => {
                    self.at += 2;
                    Measure::Of(*fold, self.field()?)
                }
                None => return Ok(None),
            },
        };
        self.must_take(")", "bracket of the function not closed")?;
        Ok(Some(measure))
    }

    fn quantiles(&mut self) -> Result<Measure, ParseError> {
        let field = self.field()?;
        let mut at = Vec::new();
        while self.take(",") {
            let p = match self.peek() {
                Word::Int(0) => 0.0,
                Word::Int(1) => 1.0,
                Word::Float(p) if (0.0..=1.0).contains(p) => *p,
                _ => return Err(self.error("a number from 0 to 1", "not a quantile")),
            };
            self.at += 1;
            at.push(p);
            if at.len() > QUANTILES_MAX {
                let message = format!("too many quantiles max={QUANTILES_MAX}");
                return Err(self.error("fewer quantiles", message));
            }
        }
        if at.is_empty() {
            return Err(self.error(", and a number from 0 to 1", "no quantile is named"));
        }
        Ok(Measure::Quantiles(field, at))
    }

    /// `{…}`, `{…}, 10` or `{…}, 10, FROM, TO`
    fn compare(&mut self) -> Result<Measure, ParseError> {
        self.must_take("{", "compare() takes a selector")?;
        let selector = self.selector()?;
        let mut numbers = Vec::new();
        while numbers.len() < 3 && self.take(",") {
            let Word::Int(n) = self.peek() else {
                return Err(self.error("a whole number", "not a whole number"));
            };
            numbers.push(*n);
            self.at += 1;
        }
        let top = numbers.first().copied().unwrap_or(10);
        let top = usize::try_from(top)
            .ok()
            .filter(|n| (1..=COMPARED_MAX).contains(n));
        let Some(top) = top else {
            let message = format!("number of values out of range max={COMPARED_MAX}");
            return Err(self.error("a number from 1", message));
        };
        let range = match numbers[..] {
            [_, from, to] => Some((from, to)),
            [_, _] => return Err(self.error(", and an end", "a start without an end")),
            _ => None,
        };
        Ok(Measure::Compare {
            selector,
            top,
            range,
        })
    }

    fn second(&mut self) -> Result<Option<Second>, ParseError> {
        if let Some(cmp) = self.comparison(false) {
            let is_negative = self.take("-");
            let x = match self.peek() {
                #[expect(clippy::cast_precision_loss, reason = "compared with floats")]
                Word::Int(n) => *n as f64,
                Word::Float(x) => *x,
                #[expect(clippy::cast_precision_loss, reason = "series are in seconds")]
                Word::Duration(ns) => *ns as f64 / 1e9,
                _ => return Err(self.error("a number", "series are compared with numbers")),
            };
            self.at += 1;
            return Ok(Some(Second::Keep(cmp, if is_negative { -x } else { x })));
        }
        if !self.sees("|") {
            return Ok(None);
        }
        self.at += 1;
        let is_top = self.take_call("topk");
        if !(is_top || self.take_call("bottomk")) {
            return Err(self.error(
                "topk() or bottomk()",
                "nothing else can be done with series",
            ));
        }
        let n = match self.peek() {
            Word::Int(n) => usize::try_from(*n)
                .ok()
                .filter(|n| (1..=TOP_MAX).contains(n)),
            _ => None,
        };
        let Some(n) = n else {
            let message = format!("how many series is out of range max={TOP_MAX}");
            return Err(self.error("a whole number from 1", message));
        };
        self.at += 1;
        self.must_take(")", "bracket not closed")?;
        Ok(Some(if is_top {
            Second::Top(n)
        } else {
            Second::Bottom(n)
        }))
    }

    /// `with(name=value, …)`, any number of times.
    pub(super) fn hints(&mut self) -> Result<Vec<(Box<str>, Static)>, ParseError> {
        let mut hints = Vec::new();
        while self.take_call("with") {
            loop {
                let Word::Name(name) = self.peek() else {
                    return Err(self.error("a name like sample", "no hint here"));
                };
                let name = name.as_str().into();
                self.at += 1;
                self.must_take("=", "a hint has a value")?;
                let value = match self.peek() {
                    Word::Int(n) => Static::Int(*n),
                    Word::Float(x) => Static::Float(*x),
                    Word::Duration(ns) => Static::Duration(*ns),
                    Word::Text(text) => Static::Str(text.as_str().into()),
                    Word::Name(name) if name == "true" => Static::Bool(true),
                    Word::Name(name) if name == "false" => Static::Bool(false),
                    _ => return Err(self.error("a value", "not the value of a hint")),
                };
                self.at += 1;
                hints.push((name, value));
                if hints.len() > HINTS_MAX {
                    let message = format!("too many hints max={HINTS_MAX}");
                    return Err(self.error("fewer hints", message));
                }
                if !self.take(",") {
                    break;
                }
            }
            self.must_take(")", "with( is not closed")?;
        }
        Ok(hints)
    }
}
