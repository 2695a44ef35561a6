//! Scores beside the rows of a page, where `fields` names `scores.NAME`: the mean of the numbers of a row's scores of the
//! name, by which lists are ordered, too; else their words, one or a list.

use obsrv_engine::query::aggregate::{AggregateRequest, Measure, Value as Figure};
use obsrv_engine::query::ast::{Filter, Literal, Test};
use obsrv_engine::query::{Budget, Explain, Hit, LIMIT_MAX, Told};
use obsrv_engine::row::Table;
use serde_json::{Map, Value};

use super::ask::Over;
use super::project::Fields;
use crate::http::error::ApiError;
use crate::http::store::View;
use crate::wire;

/// Under which key they stand.
pub(super) const KEY: &str = "scores";

/// Of each row its scores by name, as they stand under [`KEY`]; nothing if none are asked for.
pub(super) fn beside(
    view: &View,
    (over, hits): (Over, &[Hit]),
    fields: &Fields,
    (explain, budget): (&mut Explain, &Budget<'_>),
) -> Result<Vec<Value>, ApiError> {
    let names: Vec<&str> = fields.scores().iter().map(String::as_str).collect();
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let mut all = Vec::with_capacity(hits.len());
    for hits in hits.chunks(LIMIT_MAX) {
        let rows = hits.iter().map(|hit| (&*hit.core.trace_id, &*hit.core.id));
        let rows: Vec<(&str, &str)> = rows.collect();
        let (told, cost) = view.told(over.table(), (&rows, &names), budget)?;
        explain.add(cost);
        all.extend(told.into_iter().map(|of_row| {
            let pairs = names.iter().zip(of_row);
            let said = pairs.filter_map(|(name, told)| Some(((*name).to_owned(), value(told?))));
            Value::Object(said.collect::<Map<_, _>>())
        }));
    }
    Ok(all)
}

fn value(told: Told) -> Value {
    match told {
        Told::Number(mean) => wire::literal(&Literal::F64(mean)),
        Told::Words(words) => match <[Box<str>; 1]>::try_from(words) {
            Ok([word]) => Value::String(word.into()),
            Err(words) => words
                .into_iter()
                .map(|word| Value::String(word.into()))
                .collect(),
        },
    }
}

/// Adds to a row what its scores say, if that is asked for.
pub(super) fn put(row: &mut Value, scores: Option<&Value>) {
    if let (Value::Object(row), Some(scores)) = (row, scores) {
        row.insert(KEY.to_owned(), scores.clone());
    }
}

/// Which of these scores are nothing but numbers, yes and no.
pub(super) fn are_numbers(
    view: &View,
    names: &[String],
    budget: &Budget<'_>,
) -> Result<Vec<bool>, ApiError> {
    let worth = Over::Scores.figure("value");
    let of_name = |name: &String| {
        let name = Test::Eq(Literal::Str(name.clone()));
        let yes_or_no = Test::In(vec![Literal::Bool(true), Literal::Bool(false)]);
        let measures = vec![
            Measure::Avg(worth.clone()),
            Measure::CountIf(Filter::Is(worth.clone(), yes_or_no)),
        ];
        let named = Filter::Is(Over::Scores.column("name"), name);
        let request = AggregateRequest::new(named, measures);
        let answer = view.aggregate(Table::Scores, &request, budget)?;
        let measures = &answer.total.measures;
        let bools = match measures.get(1).map(|measured| &measured.value) {
            Some(Figure::Count(count)) => *count,
            _ => 0,
        };
        let others = measures.first().map_or(0, |measured| measured.not_numbers);
        Ok(others <= bools)
    };
    names.iter().map(of_name).collect()
}
