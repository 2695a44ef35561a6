//! Log events of coding agents (Claude Code, Codex CLI, Gemini CLI), which tell by them what others tell by
//! spans, and spans of Claude Code, which have the same names. Facts that [`Known`] has from their attributes
//! stay as it has them.

use obsrv_engine::doc::DocWriter;
use obsrv_engine::model::{self, status};

use super::known::Known;
use super::span::text;
use super::value::{Any, Attribute};

/// How an agent counts tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Agent {
    /// Buckets exclude one another.
    Claude,
    /// Input includes what was cached, output what was thought.
    Codex,
    /// Input includes what was cached.
    Gemini,
}

impl Agent {
    /// Whose event this is.
    fn of(name: &str) -> Option<Self> {
        match name.split_once('.')?.0 {
            "claude_code" => Some(Self::Claude),
            "codex" => Some(Self::Codex),
            "gemini_cli" => Some(Self::Gemini),
            _ => None,
        }
    }
}

/// The counts, as they come.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    input: Option<i64>,
    output: Option<i64>,
    cache_read: Option<i64>,
    cache_write: Option<i64>,
    reasoning: Option<i64>,
}

/// What the attributes of a log record say if it is an agent's.
#[derive(Debug, Default)]
pub(super) struct Facts<'a> {
    model: Option<&'a str>,
    tool: Option<&'a str>,
    thread: Option<&'a str>,
    error: Option<&'a str>,
    success: Option<bool>,
    span_type: Option<&'a str>,
    cost: Option<f64>,
    counts: Counts,
}

impl<'a> Facts<'a> {
    /// Takes note of one attribute.
    pub(super) fn note(&mut self, Attribute { key, any, .. }: Attribute<'a>) {
        let texts = any.as_str().filter(|text| !text.is_empty());
        let counts = &mut self.counts;
        match key {
            "model" => self.model = texts,
            "tool_name" | "function_name" => self.tool = texts,
            "conversation.id" => self.thread = texts,
            "error" | "error.message" => self.error = texts,
            "span.type" => self.span_type = texts,
            "success" => self.success = truth(any),
            "cost_usd" => self.cost = number(any),
            "input_tokens" | "input_token_count" => counts.input = count(any),
            "output_tokens" | "output_token_count" => counts.output = count(any),
            "cache_read_tokens" | "cached_token_count" | "cached_content_token_count" => {
                counts.cache_read = count(any);
            }
            "cache_creation_tokens" | "cache_write_token_count" => counts.cache_write = count(any),
            "reasoning_token_count" | "thoughts_token_count" => counts.reasoning = count(any),
            _ => {}
        }
    }

    /// Beginning of the scopes whose spans have these names.
    pub(super) const SPANS_OF: &'static str = "com.anthropic.claude_code.";

    /// The kind of the span, which its agent names by a word of its own.
    pub(super) fn kind(&self) -> Option<&'static str> {
        (self.span_type == Some("interaction")).then_some("agent")
    }

    /// Writes what a span says, into an open map.
    pub(super) fn write_span(&self, known: &Known<'_>, out: &mut DocWriter) {
        self.write_names(known, out);
        if !known.says(model::TOKENS) {
            self.counts.write(Agent::Claude, out);
        }
    }

    fn write_names(&self, known: &Known<'_>, out: &mut DocWriter) {
        for (key, value) in [
            (model::MODEL, self.model),
            (model::TOOL, self.tool),
            (model::GROUP, self.thread),
        ] {
            if !known.says(key) {
                text(out, key, value.unwrap_or(""));
            }
        }
    }

    /// Writes what the event of this name says, into an open map.
    pub(super) fn write(&self, event: &str, known: &Known<'_>, out: &mut DocWriter) {
        let Some(agent) = Agent::of(event) else {
            return;
        };
        self.write_names(known, out);
        let failed = self.success == Some(false) || event.ends_with("_error");
        if failed {
            text(out, model::STATUS, status::ERROR);
            text(out, model::ERROR_MESSAGE, self.error.unwrap_or(""));
        } else if self.success == Some(true) {
            text(out, model::STATUS, status::SUCCESS);
        }
        if let Some(cost) = self.cost.filter(|_| !known.says(model::COST_USD)) {
            out.key(model::COST_USD);
            out.f64(cost);
        }
        if !known.says(model::TOKENS) {
            self.counts.write(agent, out);
        }
    }
}

impl Counts {
    fn write(&self, agent: Agent, out: &mut DocWriter) {
        let (Some(input), Some(output)) = (self.input, self.output) else {
            return;
        };
        let cache_read = self.cache_read.unwrap_or(0);
        let cache_write = self.cache_write.unwrap_or(0);
        let reasoning = self.reasoning.unwrap_or(0);
        let (input, output) = match agent {
            Agent::Claude => (input, output),
            Agent::Codex => (
                without(input, cache_read.saturating_add(cache_write)),
                without(output, reasoning),
            ),
            Agent::Gemini => (without(input, cache_read), output),
        };
        let buckets = [
            ("input", input),
            ("output", output),
            ("cache_read", cache_read),
            ("cache_write", cache_write),
            ("reasoning", reasoning),
        ];
        let total = buckets
            .iter()
            .fold(0, |sum: i64, (_, n)| sum.saturating_add(*n));
        out.key(model::TOKENS);
        let open = out.begin_map();
        for (key, n) in buckets {
            if n > 0 || matches!(key, "input" | "output") {
                out.key(key);
                out.i64(n);
            }
        }
        out.key("total");
        out.i64(total);
        out.end(open);
    }
}

/// The rest of a sum; the sum itself if the part is larger than it.
const fn without(sum: i64, part: i64) -> i64 {
    if part <= sum { sum - part } else { sum }
}

/// Some versions send every attribute as text.
fn count(any: Any<'_>) -> Option<i64> {
    number(any).filter(|n| (0.0..9e15).contains(n)).map(whole)
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the range is checked first"
)]
const fn whole(n: f64) -> i64 {
    n as i64
}

#[expect(clippy::cast_precision_loss, reason = "a price or a count of tokens")]
fn number(any: Any<'_>) -> Option<f64> {
    match any {
        Any::I64(n) => Some(n as f64),
        Any::F64(n) => Some(n),
        Any::Str(text) => text.parse().ok(),
        _ => None,
    }
    .filter(|n: &f64| n.is_finite() && *n >= 0.0)
}

fn truth(any: Any<'_>) -> Option<bool> {
    match any {
        Any::Bool(b) => Some(b),
        Any::Str("true") => Some(true),
        Any::Str("false") => Some(false),
        _ => None,
    }
}
