//! The values of scores of one name among the rows that pass, worked out score by score.

use std::collections::{BTreeMap, BTreeSet};

use obsrv_engine::engine::Snapshot;
use obsrv_engine::query::aggregate::{
    AggregateRequest, KEYS_LISTED_MAX, Measure, Number, ScoreValuesRequest, Value,
};
use obsrv_engine::query::{Budget, FACET_VALUES_MAX};
use obsrv_engine::row::{ProjectId, Table};
use obsrv_engine::source::{Column, Taken};

use super::answer::{Listed, Others, passing};
use super::coverage::Coverage;
use super::facts::SCORE_NAMES;
use super::machine::chain;
use super::questions::Question;
use super::state::Rows;

/// Asks and checks.
pub(super) fn ask(
    snapshot: &Snapshot,
    (rows, others): (&Rows, &Others),
    question: &Question,
    budget: &Budget<'_>,
    coverage: &mut Coverage,
) -> Result<(), String> {
    let (project, table) = (ProjectId(question.project), question.table);
    if !matches!(table, Table::Runs | Table::Spans) {
        return Ok(());
    }
    for name in SCORE_NAMES {
        let request = ScoreValuesRequest {
            filter: question.request.filter.clone(),
            name: name.to_owned(),
            prefix: String::new(),
            limit: FACET_VALUES_MAX,
        };
        let got = snapshot.score_values(project, table, &request, budget);
        let (facet, with, _) = got.map_err(|e| chain(&e))?;
        let got: BTreeMap<Listed, u64> = facet
            .values
            .iter()
            .map(|(value, count)| (Listed::of_literal(value), *count))
            .collect();
        let (right, right_with) = counts(rows, others, question, name);
        if (&got, with) != (&right, right_with) {
            return Err(format!(
                "values of scores {name}: {got:?} of {with}, not {right:?} of {right_with}"
            ));
        }
        coverage.note_many("values of scores", got.len());
        means(snapshot, (rows, others), question, (name, budget))?;
    }
    let names = snapshot.score_names(project, table, ("", KEYS_LISTED_MAX), budget);
    let names = names.map_err(|e| chain(&e))?.keys;
    let got: BTreeSet<&str> = names.iter().map(|key| &*key.path).collect();
    let right = others.score_names();
    if got.iter().copied().ne(right.iter().map(String::as_str)) {
        return Err(format!("names of scores {got:?}, not {right:?}"));
    }
    Ok(())
}

/// The smallest and the largest mean of the rows' scores, and how many rows have one.
fn means(
    snapshot: &Snapshot,
    (rows, others): (&Rows, &Others),
    question: &Question,
    (name, budget): (&str, &Budget<'_>),
) -> Result<(), String> {
    let column = Column::Scored(name.into(), Taken::Mean);
    let measures = vec![Measure::Min(column.clone()), Measure::Max(column)];
    let request = AggregateRequest::new(question.request.filter.clone(), measures);
    let project = ProjectId(question.project);
    let answer = snapshot.aggregate(project, question.table, &request, budget);
    let got = answer.map_err(|e| chain(&e))?.total.measures;
    let means = passing(rows, others, &question.request.filter);
    let means = means.iter().filter_map(|row| others.score_mean(row, name));
    let mut means: Vec<f64> = means.filter(|mean| !mean.is_nan()).collect();
    means.sort_by(f64::total_cmp);
    let right = [means.first(), means.last()];
    for (got, right) in got.iter().zip(right) {
        let number = match &got.value {
            Value::Number(Some(Number::Float(x))) => Some(*x),
            Value::Number(Some(Number::Whole(n))) => {
                return Err(format!("mean of scores {name}: the whole number {n}"));
            }
            _ => None,
        };
        // Neither of the two zeros comes before the other.
        if number != right.copied() || got.count != means.len() as u64 {
            return Err(format!("mean of scores {name}: {got:?}, not {right:?}"));
        }
    }
    Ok(())
}

fn counts(
    rows: &Rows,
    others: &Others,
    question: &Question,
    name: &str,
) -> (BTreeMap<Listed, u64>, u64) {
    let (mut counts, mut with) = (BTreeMap::new(), 0);
    for row in passing(rows, others, &question.request.filter) {
        let values = others.score_values(&row, name);
        with += u64::from(!values.is_empty());
        let listed: BTreeSet<Listed> = values.iter().filter_map(|v| v.listed().ok()).collect();
        for value in listed {
            *counts.entry(value).or_default() += 1;
        }
    }
    (counts, with)
}
