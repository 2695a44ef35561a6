//! Measures as they are asked for, and what they come to as JSON.

use obsrv_engine::query::aggregate::{DistinctMode, Measure, Measured, Number, Value as Figure};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::http::error::ApiError;
use crate::http::read::ask::Over;

/// A measure.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http::read) struct MeasureAsked {
    /// `count`, `rate` (rows a second), `sum`, `avg`, `min`, `max`, `quantile`, `histogram`, `distinct`,
    /// `share` (of rows that pass `where`).
    #[serde(rename = "fn")]
    function: String,
    /// The key whose numbers or values are meant; of traces and spans also `scores.NAME`, the mean of a row's scores.
    of: Option<String>,
    /// Of a quantile: which, from 0 to 1; one or several.
    q: Option<Quantiles>,
    /// Of `count` and `share`: a filter that rows pass besides.
    #[serde(rename = "where")]
    filter: Option<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
enum Quantiles {
    One(f64),
    Many(Vec<f64>),
}

/// A measure that is understood.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) name: String,
    pub(super) measure: Measure,
    form: Form,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Plain,
    /// Per second.
    Rate,
    /// Of all rows.
    Share,
    /// The only quantile, not in a list.
    Only,
}

/// The measures; the count of rows if there are none.
pub(super) fn asked(
    over: Over,
    measures: &[MeasureAsked],
    now_ns: i64,
) -> Result<Vec<Asked>, ApiError> {
    if measures.is_empty() {
        return Ok(vec![Asked {
            name: "count".to_owned(),
            measure: Measure::Count,
            form: Form::Plain,
        }]);
    }
    measures
        .iter()
        .map(|asked| Asked::of(over, asked, now_ns))
        .collect()
}

fn refused(message: impl Into<String>) -> ApiError {
    ApiError::parameter("measures", message)
}

impl Asked {
    fn of(over: Over, asked: &MeasureAsked, now_ns: i64) -> Result<Self, ApiError> {
        let function = asked.function.as_str();
        let needed = || refused(format!("names no key in `of` fn={function}"));
        let of = || Ok::<_, ApiError>(over.figure(asked.of.as_deref().ok_or_else(needed)?));
        let filter = || {
            asked
                .filter
                .as_deref()
                .map(|q| over.searched(q, now_ns))
                .transpose()
        };
        let (measure, form) = match function {
            "count" => (
                filter()?.map_or(Measure::Count, Measure::CountIf),
                Form::Plain,
            ),
            "rate" => (
                filter()?.map_or(Measure::Count, Measure::CountIf),
                Form::Rate,
            ),
            "share" => {
                let filter =
                    filter()?.ok_or_else(|| refused("a share needs a filter in `where`"))?;
                (Measure::CountIf(filter), Form::Share)
            }
            "sum" => (Measure::Sum(of()?), Form::Plain),
            "avg" => (Measure::Avg(of()?), Form::Plain),
            "min" => (Measure::Min(of()?), Form::Plain),
            "max" => (Measure::Max(of()?), Form::Plain),
            "histogram" => (Measure::Histogram(of()?), Form::Plain),
            "distinct" => (
                Measure::Distinct {
                    column: over.key(asked.of.as_deref().ok_or_else(needed)?),
                    mode: DistinctMode::ExactOrEstimated,
                },
                Form::Plain,
            ),
            "quantile" => {
                let column = of()?;
                let (at, form) = match &asked.q {
                    Some(Quantiles::One(q)) => (vec![*q], Form::Only),
                    Some(Quantiles::Many(all)) => (all.clone(), Form::Plain),
                    None => return Err(refused("a quantile needs a number in `q`")),
                };
                (Measure::Quantiles { column, at }, form)
            }
            _ => {
                return Err(refused(
                    "fn is none of count, rate, share, sum, avg, min, max, quantile, histogram, distinct",
                ));
            }
        };
        Ok(Self {
            name: asked
                .of
                .as_deref()
                .map_or_else(|| function.to_owned(), |of| format!("{function}({of})")),
            measure,
            form,
        })
    }

    pub(super) fn is_rate(&self) -> bool {
        self.form == Form::Rate
    }

    /// What it came to; `time` is what a rate is over.
    pub(super) fn value(&self, measured: &Measured, rows: u64, time: Option<(i64, i64)>) -> Value {
        match (&measured.value, self.form) {
            (Figure::Count(count), Form::Rate) => per_second(*count, time),
            (Figure::Count(count), Form::Share) if rows > 0 => json!(float(*count) / float(rows)),
            (Figure::Count(_), Form::Share) => Value::Null,
            (Figure::Number(number), _) => number.map_or(Value::Null, number_value),
            (Figure::Quantiles(all), Form::Only) => json!(all.first().copied().flatten()),
            (Figure::Quantiles(all), _) => json!(all),
            (Figure::Histogram(buckets), _) => buckets
                .iter()
                .map(|(from, to, count)| json!({ "from": from, "to": to, "count": count }))
                .collect(),
            (Figure::Count(count) | Figure::Distinct { count, .. }, _) => json!(count),
        }
    }
}

fn per_second(count: u64, time: Option<(i64, i64)>) -> Value {
    let Some(length) = time.map(|(from, to)| to.saturating_sub(from)) else {
        return Value::Null;
    };
    match u64::try_from(length) {
        Ok(ns) if ns > 0 => json!(float(count) / (float(ns) / 1e9)),
        _ => Value::Null,
    }
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
const fn float(n: u64) -> f64 {
    n as f64
}

/// A whole number as it is as far as JSON's readers hold it.
#[expect(clippy::cast_precision_loss, reason = "over 64 bits")]
pub(in crate::http::read) fn number_value(number: Number) -> Value {
    match number {
        Number::Whole(n) => i64::try_from(n).map_or_else(|_| json!(n as f64), |n| json!(n)),
        Number::Float(n) => json!(n),
    }
}
