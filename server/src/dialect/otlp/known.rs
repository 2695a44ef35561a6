//! Attributes that name facts which other dialects know too. `README.md` has the tables.
//!
//! Several conventions name the same fact; each name has a rank, and the lowest rank that is
//! present wins whatever the order of the attributes.

use obsrv_engine::doc::{DocRef, DocWriter};
use obsrv_engine::model;

use super::value::Any;
use super::wire::Fields;
use crate::dialect::bad::Bad;
use crate::dialect::{ATTRIBUTES_MAX, JSON_DEPTH_MAX, json};

/// Attribute names that start with these carry what the user attached.
const METADATA_PREFIXES: [&str; 5] = [
    "metadata.",
    "langfuse.trace.metadata.",
    "langfuse.observation.metadata.",
    "ai.telemetry.metadata.",
    "traceloop.association.properties.",
];

/// A value of the best rank so far.
#[derive(Clone, Copy, Debug)]
struct Best<T>(Option<(u8, T)>);

impl<T> Default for Best<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T: Copy> Best<T> {
    fn offer(&mut self, rank: u8, value: Option<T>) {
        if let Some(value) = value
            && self.0.is_none_or(|(best, _)| rank < best)
        {
            self.0 = Some((rank, value));
        }
    }

    fn get(self) -> Option<T> {
        self.0.map(|(_, v)| v)
    }
}

/// What the attributes of one span say under known names.
#[derive(Debug, Default)]
pub(super) struct Known<'a> {
    kind: Best<&'static str>,
    model: Best<&'a str>,
    tool: Best<&'a str>,
    entity: Best<&'a str>,
    user: Best<&'a str>,
    group: Best<&'a str>,
    error: Best<&'a str>,
    input: Best<i64>,
    output: Best<i64>,
    total: Best<i64>,
    cost: Best<f64>,
    tags: Best<Fields<'a>>,
    metadata: Vec<(&'a str, Any<'a>)>,
    metadata_json: Option<&'a str>,
    has_model_request: bool,
}

impl<'a> Known<'a> {
    /// Takes note of one attribute.
    pub(super) fn note(&mut self, key: &'a str, any: Any<'a>) {
        match key {
            "gen_ai.tool.name" => self.tool.offer(0, text(any)),
            "ai.toolCall.name" => self.tool.offer(1, text(any)),
            "tool.name" => self.tool.offer(2, text(any)),
            "tool_name" => self.tool.offer(3, text(any)),
            "traceloop.entity.name" => self.entity.offer(0, text(any)),
            "error.message" => self.error.offer(0, text(any)),
            "error.type" => self.error.offer(1, text(any)),
            "metadata" => self.metadata_json = any.as_str(),
            _ => {
                self.note_kind(key, any);
                self.note_model(key, any);
                self.note_usage(key, any);
                self.note_person(key, any);
            }
        }
        for prefix in METADATA_PREFIXES {
            if let Some(name) = key.strip_prefix(prefix).filter(|n| !n.is_empty()) {
                self.metadata.push((name, any));
            }
        }
    }

    fn note_kind(&mut self, key: &str, any: Any<'a>) {
        let rank = match key {
            "openinference.span.kind" => 0,
            "gen_ai.operation.name" => 1,
            "langfuse.observation.type" => 2,
            "ai.operationId" => 3,
            "traceloop.span.kind" => 4,
            "llm.request.type" => 5,
            _ => return,
        };
        self.kind.offer(rank, any.as_str().and_then(kind_named));
    }

    fn note_model(&mut self, key: &str, any: Any<'a>) {
        let rank = match key {
            "gen_ai.request.model" => 0,
            "llm.model_name" => 1,
            "ai.model.id" => 2,
            "llm.request.model" => 3,
            "langfuse.observation.model.name" => 4,
            "embedding.model_name" => 5,
            "gen_ai.response.model" => 6,
            "ai.response.model" => 7,
            _ => return,
        };
        self.has_model_request |= matches!(rank, 0 | 1 | 3);
        self.model.offer(rank, text(any));
    }

    fn note_usage(&mut self, key: &str, any: Any<'a>) {
        match key {
            "gen_ai.usage.input_tokens" => self.input.offer(0, whole(any)),
            "gen_ai.usage.prompt_tokens" => self.input.offer(1, whole(any)),
            "llm.token_count.prompt" => self.input.offer(2, whole(any)),
            "ai.usage.inputTokens" => self.input.offer(3, whole(any)),
            "ai.usage.promptTokens" => self.input.offer(4, whole(any)),
            "gen_ai.usage.output_tokens" => self.output.offer(0, whole(any)),
            "gen_ai.usage.completion_tokens" => self.output.offer(1, whole(any)),
            "llm.token_count.completion" => self.output.offer(2, whole(any)),
            "ai.usage.outputTokens" => self.output.offer(3, whole(any)),
            "ai.usage.completionTokens" => self.output.offer(4, whole(any)),
            "gen_ai.usage.total_tokens" => self.total.offer(0, whole(any)),
            "llm.token_count.total" => self.total.offer(1, whole(any)),
            "llm.usage.total_tokens" => self.total.offer(2, whole(any)),
            "ai.usage.totalTokens" => self.total.offer(3, whole(any)),
            "gen_ai.usage.cost" => self.cost.offer(0, number(any)),
            "llm.cost.total" => self.cost.offer(1, number(any)),
            _ => {}
        }
    }

    fn note_person(&mut self, key: &str, any: Any<'a>) {
        match key {
            "user.id" => self.user.offer(0, text(any)),
            "langfuse.user.id" => self.user.offer(1, text(any)),
            "enduser.id" => self.user.offer(2, text(any)),
            "traceloop.association.properties.user_id" => self.user.offer(3, text(any)),
            "ai.telemetry.metadata.userId" => self.user.offer(4, text(any)),
            "session.id" => self.group.offer(0, text(any)),
            "gen_ai.conversation.id" => self.group.offer(1, text(any)),
            "langfuse.session.id" => self.group.offer(2, text(any)),
            "traceloop.association.properties.session_id" => self.group.offer(3, text(any)),
            "ai.telemetry.metadata.sessionId" => self.group.offer(4, text(any)),
            "tcc.sessionId"
            | "traceloop.association.properties.tcc.sessionId"
            | "ai.telemetry.metadata.tcc.sessionId" => self.group.offer(5, text(any)),
            "tag.tags" => self.tags.offer(0, list(any)),
            "langfuse.trace.tags" => self.tags.offer(1, list(any)),
            "ai.telemetry.metadata.tags" => self.tags.offer(2, list(any)),
            _ => {}
        }
    }

    /// One of the kinds of the model.
    pub(super) fn kind(&self) -> &'static str {
        match self.kind.get() {
            Some(kind) => kind,
            None if self.tool.get().is_some() => "tool",
            None if self.has_model_request => "llm",
            None => "custom",
        }
    }

    /// What the attributes say went wrong.
    pub(super) fn error(&self) -> Option<&'a str> {
        self.error.get()
    }

    /// Writes the fields of the model that it knows, into an open map.
    pub(super) fn write(&self, out: &mut DocWriter) -> Result<(), Bad> {
        let entity = self.entity.get().filter(|_| self.kind() == "tool");
        let texts = [
            (model::MODEL, self.model.get()),
            (model::TOOL, self.tool.get().or(entity)),
            (model::USER_ID, self.user.get()),
            (model::GROUP, self.group.get()),
        ];
        for (key, value) in texts {
            if let Some(value) = value {
                out.key(key);
                out.str(value);
            }
        }
        self.write_tokens(out);
        if let Some(cost) = self.cost.get() {
            out.key(model::COST_USD);
            out.f64(cost);
        }
        if let Some(tags) = self.tags.get() {
            out.key(model::TAGS);
            Any::Array(tags).write("attributes", 0, out)?;
        }
        self.write_metadata(out)
    }

    fn write_tokens(&self, out: &mut DocWriter) {
        let (input, output) = (self.input.get(), self.output.get());
        let sum = input.unwrap_or(0).checked_add(output.unwrap_or(0));
        let total = self
            .total
            .get()
            .or(sum.filter(|_| input.is_some() || output.is_some()));
        if total.is_none() {
            return;
        }
        out.key(model::TOKENS);
        let open = out.begin_map();
        for (key, value) in [("input", input), ("output", output), ("total", total)] {
            if let Some(value) = value {
                out.key(key);
                out.i64(value);
            }
        }
        out.end(open);
    }

    fn write_metadata(&self, out: &mut DocWriter) -> Result<(), Bad> {
        let parsed = self
            .metadata_json
            .and_then(|text| json::read(text.as_bytes(), JSON_DEPTH_MAX).ok());
        let parsed = parsed.as_deref().and_then(|doc| DocRef::parse(doc).ok());
        let entries = parsed.and_then(DocRef::entries);
        if self.metadata.is_empty() && entries.is_none() {
            return Ok(());
        }
        out.key(model::METADATA);
        let open = out.begin_map();
        for (key, any) in &self.metadata {
            out.key(key);
            any.write("attributes", 0, out)?;
        }
        // Beyond the limits it stays in the attribute, as text.
        for (key, value) in entries.into_iter().flatten().flatten().take(ATTRIBUTES_MAX) {
            out.key(key);
            out.value(value);
        }
        out.end(open);
        Ok(())
    }
}

fn text(any: Any<'_>) -> Option<&str> {
    any.as_str().filter(|s| !s.is_empty())
}

/// A count: whole, not negative. Some senders make every number a float.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the range is checked first"
)]
fn whole(any: Any<'_>) -> Option<i64> {
    match any {
        Any::I64(n) => Some(n),
        Any::F64(n) if n.fract() == 0.0 && n.abs() < 9e15 => Some(n as i64),
        _ => None,
    }
    .filter(|n| *n >= 0)
}

#[expect(clippy::cast_precision_loss, reason = "a price in dollars")]
fn number(any: Any<'_>) -> Option<f64> {
    match any {
        Any::F64(n) => Some(n).filter(|n| n.is_finite()),
        Any::I64(n) => Some(n as f64),
        _ => None,
    }
}

fn list(any: Any<'_>) -> Option<Fields<'_>> {
    match any {
        Any::Array(values) => Some(values),
        _ => None,
    }
}

/// The kind that a convention's own word for it means.
fn kind_named(word: &str) -> Option<&'static str> {
    Some(match word {
        "LLM"
        | "chat"
        | "text_completion"
        | "generate_content"
        | "generation"
        | "completion"
        | "ai.generateText.doGenerate"
        | "ai.streamText.doStream"
        | "ai.generateObject.doGenerate"
        | "ai.streamObject.doStream" => "llm",
        "TOOL" | "tool" | "execute_tool" | "ai.toolCall" => "tool",
        "RETRIEVER" | "RERANKER" | "retriever" | "rerank" | "retrieval" => "retrieval",
        "AGENT" | "agent" | "invoke_agent" | "create_agent" => "agent",
        "CHAIN" | "chain" | "workflow" | "task" | "invoke_workflow" | "ai.generateText"
        | "ai.streamText" | "ai.generateObject" | "ai.streamObject" => "chain",
        "EMBEDDING"
        | "embedding"
        | "embeddings"
        | "ai.embed"
        | "ai.embedMany"
        | "ai.embed.doEmbed"
        | "ai.embedMany.doEmbed" => "embedding",
        "GUARDRAIL" | "guardrail" => "guardrail",
        _ => return None,
    })
}
