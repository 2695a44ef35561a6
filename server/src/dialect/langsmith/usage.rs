//! Where `LangSmith` runs say what a call used, and in which terms.

use obsrv_engine::doc::DocRef;

use super::Run;
use crate::dialect::tokens::{Tokens, count};

/// Paths of `usage_metadata`, below `extra` and below `outputs`.
const IN_EXTRA: &[&str] = &["metadata", "usage_metadata"];
const IN_OUTPUTS: &[&str] = &["usage_metadata"];

/// The run's `usage_metadata`, or the one of the message that it gave.
fn usage_metadata<'a>(run: &Run<'a>) -> Option<DocRef<'a>> {
    let outputs = run.field("outputs");
    let of_message = || {
        let message = first(first(outputs?.get("generations")?)?)?.get("message")?;
        let fields = message.get("kwargs").unwrap_or(message);
        fields.get("usage_metadata")
    };
    run.field("extra")
        .and_then(|extra| extra.at(IN_EXTRA))
        .or_else(|| outputs?.at(IN_OUTPUTS))
        .or_else(of_message)
        .filter(|usage| usage.entries().is_some())
}

fn first(list: DocRef<'_>) -> Option<DocRef<'_>> {
    match list {
        DocRef::Array(mut items) => items.next()?.ok(),
        _ => None,
    }
}

/// What it used. Input and output contain what their details list.
pub(super) fn tokens<'a>(run: &Run<'a>) -> Option<Tokens<'a>> {
    if let Some(usage) = usage_metadata(run) {
        return of_usage_metadata(usage);
    }
    let usage = run.field("outputs")?.at(&["llm_output", "token_usage"])?;
    let tokens = Tokens {
        input: count(usage, "prompt_tokens")?,
        output: count(usage, "completion_tokens").unwrap_or(0),
        cache_read: detail(usage, "prompt_tokens_details", "cached_tokens"),
        reasoning: detail(usage, "completion_tokens_details", "reasoning_tokens"),
        total: count(usage, "total_tokens"),
        ..Tokens::default()
    };
    Some(tokens.carved())
}

fn of_usage_metadata(usage: DocRef<'_>) -> Option<Tokens<'_>> {
    let said = |key| count(usage, key);
    let total = said("total_tokens");
    let (input, output) = (said("input_tokens"), said("output_tokens"));
    if (input, output, total) == (None, None, None) {
        return None;
    }
    let (input_details, output_details) = ("input_token_details", "output_token_details");
    let tokens = Tokens {
        input: input.unwrap_or(0),
        output: output.unwrap_or(0),
        cache_read: detail(usage, input_details, "cache_read"),
        cache_write: detail(usage, input_details, "cache_creation"),
        reasoning: detail(usage, output_details, "reasoning"),
        total,
        ..Tokens::default()
    };
    Some(tokens.carved())
}

/// A detail, by itself or for a tier of service (`flex_cache_read`).
fn detail(usage: DocRef<'_>, details: &str, key: &str) -> i64 {
    let Some(details) = usage.get(details) else {
        return 0;
    };
    let tiers = ["", "priority_", "flex_"];
    let mut counts = tiers
        .iter()
        .map(|tier| count(details, &format!("{tier}{key}")));
    counts.find_map(|n| n).unwrap_or(0)
}

/// US dollars, if the run says them.
pub(super) fn cost(run: &Run<'_>) -> Option<f64> {
    let usage = usage_metadata(run)?;
    let amount = |key| usage.get(key).and_then(DocRef::as_f64);
    amount("total_cost").or_else(|| match (amount("input_cost"), amount("output_cost")) {
        (None, None) => None,
        (input, output) => Some(input.unwrap_or(0.0) + output.unwrap_or(0.0)),
    })
}
