//! Tokens in buckets that do not overlap.
//!
//! Senders count in two ways: the input with what was read from a cache in it (`OpenAI`, `LangSmith`),
//! or beside it (Anthropic, Langfuse). A row always has them side by side, and their sum as `total`,
//! so that nothing is counted twice.

use obsrv_engine::doc::{DocRef, DocWriter};
use obsrv_engine::model;

use super::theta::check::whole;

/// What one call used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Tokens<'a> {
    /// Neither read from nor written to a cache.
    pub(super) input: i64,
    pub(super) cache_read: i64,
    pub(super) cache_write: i64,
    /// Without what the model thought.
    pub(super) output: i64,
    pub(super) reasoning: i64,
    /// Buckets under names of the sender's own.
    pub(super) other: Vec<(&'a str, i64)>,
    /// As the sender said it.
    pub(super) total: Option<i64>,
}

impl Tokens<'_> {
    /// The sum of the buckets.
    pub(super) fn sum(&self) -> i64 {
        [
            self.input,
            self.cache_read,
            self.cache_write,
            self.output,
            self.reasoning,
        ]
        .into_iter()
        .chain(self.other.iter().map(|(_, n)| *n))
        .fold(0, i64::saturating_add)
    }

    /// Takes the parts out of an input and an output that contain them.
    #[must_use]
    pub(super) fn carved(mut self) -> Self {
        for part in [self.cache_read, self.cache_write] {
            self.input = self.input.saturating_sub(part).max(0);
        }
        self.output = self.output.saturating_sub(self.reasoning).max(0);
        self
    }

    /// Writes the field `tokens` of a sender that says nothing but the sum.
    pub(super) fn write_total(total: i64, out: &mut DocWriter) {
        out.key(model::TOKENS);
        let open = out.begin_map();
        out.key("total");
        out.i64(total);
        out.end(open);
    }

    /// Writes the field `tokens`.
    pub(super) fn write(&self, out: &mut DocWriter) {
        out.key(model::TOKENS);
        let open = out.begin_map();
        let mut put = |key: &str, n: i64| {
            out.key(key);
            out.i64(n);
        };
        put("input", self.input);
        put("output", self.output);
        let named = [
            ("cache_read", self.cache_read),
            ("cache_write", self.cache_write),
            ("reasoning", self.reasoning),
        ];
        let other = self.other.iter().copied();
        for (key, n) in named.into_iter().chain(other).filter(|(_, n)| *n != 0) {
            put(key, n);
        }
        put("total", self.total.unwrap_or_else(|| self.sum()));
        out.end(open);
    }
}

/// The count that stands under a key: a whole number that is not negative.
pub(super) fn count(usage: DocRef<'_>, key: &str) -> Option<i64> {
    usage.get(key).and_then(whole).filter(|n| *n >= 0)
}

/// What a provider's answer says of a call, in the forms of `OpenAI`'s two interfaces and of Anthropic's: details
/// are parts of the input and the output, what Anthropic says of its cache stands beside the input. A
/// proxy that gives both forms is told by a total that leaves no room for the latter.
pub(super) fn of_provider(usage: DocRef<'_>) -> Option<Tokens<'_>> {
    let first = |keys: [&str; 2]| keys.into_iter().find_map(|key| count(usage, key));
    let (input, output) = (
        first(["input_tokens", "prompt_tokens"]),
        first(["output_tokens", "completion_tokens"]),
    );
    let total = count(usage, "total_tokens");
    if (input, output, total) == (None, None, None) {
        return None;
    }
    let detail = |keys: [&str; 2], part: &str| {
        let details = keys.into_iter().find_map(|key| usage.get(key));
        details.and_then(|details| count(details, part))
    };
    let of_input = ["input_tokens_details", "prompt_tokens_details"];
    let of_output = ["output_tokens_details", "completion_tokens_details"];
    let (input, output) = (input.unwrap_or(0), output.unwrap_or(0));
    let beside = [
        count(usage, "cache_read_input_tokens"),
        count(usage, "cache_creation_input_tokens"),
    ];
    let parts = [
        detail(of_input, "cached_tokens"),
        detail(of_input, "cache_write_tokens"),
    ];
    let has_parts = parts.iter().any(Option::is_some)
        || (beside.iter().any(Option::is_some) && total == Some(input.saturating_add(output)));
    let mut tokens = Tokens {
        input,
        output,
        cache_read: parts[0].or(beside[0]).unwrap_or(0),
        cache_write: parts[1].or(beside[1]).unwrap_or(0),
        total,
        ..Tokens::default()
    };
    if has_parts {
        tokens = tokens.carved();
    }
    tokens.reasoning = detail(of_output, "reasoning_tokens").unwrap_or(0);
    tokens.output = tokens.output.saturating_sub(tokens.reasoning).max(0);
    Some(tokens)
}
