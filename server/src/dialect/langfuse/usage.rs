//! Langfuse's `usage`, `usageDetails` and `costDetails` → tokens and cost.

use obsrv_engine::doc::DocRef;

use crate::dialect::theta::check::whole;
use crate::dialect::tokens::{Tokens, count};

/// Bucket of a usage type, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bucket {
    Input,
    CacheRead,
    CacheWrite,
    Output,
    Reasoning,
}

/// Names of usage types that the integrations use.
const BUCKETS: [(&str, Bucket); 22] = [
    ("input", Bucket::Input),
    ("input_tokens", Bucket::Input),
    ("prompt_tokens", Bucket::Input),
    ("output", Bucket::Output),
    ("output_tokens", Bucket::Output),
    ("completion_tokens", Bucket::Output),
    ("cached_tokens", Bucket::CacheRead),
    ("input_cached", Bucket::CacheRead),
    ("input_cached_tokens", Bucket::CacheRead),
    ("input_cache_read", Bucket::CacheRead),
    ("input_cache_read_tokens", Bucket::CacheRead),
    ("cache_read_input_tokens", Bucket::CacheRead),
    ("cached_content_token_count", Bucket::CacheRead),
    ("input_cache_creation", Bucket::CacheWrite),
    ("input_cache_write", Bucket::CacheWrite),
    ("cache_creation_input_tokens", Bucket::CacheWrite),
    ("input_cache_creation_5m", Bucket::CacheWrite),
    ("input_cache_creation_1h", Bucket::CacheWrite),
    ("output_reasoning", Bucket::Reasoning),
    ("output_reasoning_tokens", Bucket::Reasoning),
    ("reasoning_tokens", Bucket::Reasoning),
    ("thoughts_token_count", Bucket::Reasoning),
];

/// What an observation used: `usageDetails`, else `usage` if its unit is tokens.
pub(super) fn tokens(body: DocRef<'_>) -> Option<Tokens<'_>> {
    let said = |key| body.get(key).filter(|v| has_counts(*v));
    if let Some(details) = said("usageDetails") {
        return of_details(details);
    }
    let usage = said("usage")?;
    let unit = usage.get("unit").and_then(DocRef::as_str);
    unit.is_none_or(|unit| unit.eq_ignore_ascii_case("tokens"))
        .then(|| of_usage(usage))
}

/// What `usageDetails` say, if they count anything.
pub(in crate::dialect) fn of_details(details: DocRef<'_>) -> Option<Tokens<'_>> {
    has_counts(details).then(|| of_openai(details).unwrap_or_else(|| of_types(details)))
}

fn has_counts(usage: DocRef<'_>) -> bool {
    let mut values = usage.entries().into_iter().flatten().flatten();
    values.any(|(_, v)| whole(v).is_some())
}

/// The forms of `OpenAI`'s two interfaces: the details are parts of the input and the output.
fn of_openai(usage: DocRef<'_>) -> Option<Tokens<'_>> {
    let forms = [
        ("prompt_tokens", "completion_tokens"),
        ("input_tokens", "output_tokens"),
    ];
    let total = count(usage, "total_tokens")?;
    let (from, to) = forms
        .into_iter()
        .find(|(key, _)| usage.get(key).is_some())?;
    let detail = |side: &str, key| {
        let details = usage.get(&format!("{side}_details"));
        details.and_then(|d| count(d, key)).unwrap_or(0)
    };
    let tokens = Tokens {
        input: count(usage, from)?,
        output: count(usage, to)?,
        cache_read: detail(from, "cached_tokens"),
        cache_write: detail(from, "cache_write_tokens"),
        reasoning: detail(to, "reasoning_tokens"),
        total: Some(total),
        ..Tokens::default()
    };
    Some(tokens.carved())
}

/// Usage types of any name, which exclude one another. Senders that count a part twice are told by
/// their total: when it is input and output alone, the other types are parts of these; when it lacks
/// one part alone, that one was counted within, too.
fn of_types(usage: DocRef<'_>) -> Tokens<'_> {
    let mut tokens = Tokens::default();
    for (key, value) in usage.entries().into_iter().flatten().flatten() {
        let Some(n) = whole(value).filter(|n| *n >= 0) else {
            continue;
        };
        if key == "total" || key == "total_tokens" {
            tokens.total = Some(n);
            continue;
        }
        let known = BUCKETS.iter().find(|(name, _)| *name == key);
        let slot = match known.map(|(_, bucket)| *bucket) {
            Some(Bucket::Input) => &mut tokens.input,
            Some(Bucket::CacheRead) => &mut tokens.cache_read,
            Some(Bucket::CacheWrite) => &mut tokens.cache_write,
            Some(Bucket::Output) => &mut tokens.output,
            Some(Bucket::Reasoning) => &mut tokens.reasoning,
            None => {
                tokens.other.push((key, n));
                continue;
            }
        };
        *slot = slot.saturating_add(n);
    }
    let whole_of_it = tokens.input.saturating_add(tokens.output);
    if tokens.total == Some(whole_of_it) && tokens.sum() > whole_of_it {
        tokens = tokens.carved();
        // Parts of the two, by a name that says not how to price them.
        tokens.other.clear();
    }
    let twice = tokens.total.map_or(0, |total| tokens.sum() - total);
    if twice > 0 {
        let (read, written, thought) = (tokens.cache_read, tokens.cache_write, tokens.reasoning);
        if (twice == written || twice == read) && twice <= tokens.input {
            tokens.input -= twice;
        } else if twice == thought && twice <= tokens.output {
            tokens.output -= twice;
        }
    }
    tokens
}

/// The older form, in Langfuse's own names or in `OpenAI`'s.
fn of_usage(usage: DocRef<'_>) -> Tokens<'_> {
    let first = |keys: [&str; 3]| keys.into_iter().find_map(|key| count(usage, key));
    Tokens {
        input: first(["input", "promptTokens", "prompt_tokens"]).unwrap_or(0),
        output: first(["output", "completionTokens", "completion_tokens"]).unwrap_or(0),
        total: first(["total", "totalTokens", "total_tokens"]),
        ..Tokens::default()
    }
}

/// US dollars: the total of `costDetails`, else its sum, else what `usage` says.
pub(super) fn cost(body: DocRef<'_>) -> Option<f64> {
    if let Some(cost) = body.get("costDetails").and_then(cost_of) {
        return Some(cost);
    }
    let usage = body.get("usage")?;
    let of = |key| usage.get(key).and_then(amount);
    of("totalCost").or_else(|| match (of("inputCost"), of("outputCost")) {
        (None, None) => None,
        (input, output) => Some(input.unwrap_or(0.0) + output.unwrap_or(0.0)),
    })
}

fn amount(value: DocRef<'_>) -> Option<f64> {
    value.as_f64().filter(|n| n.is_finite())
}

/// US dollars of `costDetails`.
pub(in crate::dialect) fn cost_of(details: DocRef<'_>) -> Option<f64> {
    let parts = details.entries().into_iter().flatten().flatten();
    let sum = || {
        parts
            .filter_map(|(_, v)| amount(v))
            .reduce(|sum, n| sum + n)
    };
    details.get("total").and_then(amount).or_else(sum)
}
