//! Attributes that name facts which other dialects know too. `README.md` has the tables.
//!
//! Several conventions name the same fact; each name has a rank, and the lowest rank that is
//! present wins whatever the order of the attributes.

use obsrv_engine::doc::{DocRef, DocWriter};
use obsrv_engine::model;

use super::usage::{Count, Usage};
use super::value::{Any, Attribute};
use crate::dialect::langfuse;
use crate::dialect::{ATTRIBUTES_MAX, ID_BYTES_MAX, JSON_DEPTH_MAX, json};

/// What an attribute's name says that its value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fact {
    Kind,
    Model,
    Tool,
    Entity,
    User,
    Group,
    /// The run that it belongs to, whatever its trace.
    Run,
    /// The user's own name for the run that [`Fact::Run`] names.
    RunAlias,
    /// The trace of a log record that has none itself.
    Trace,
    Error,
    Tokens(Count),
    /// Langfuse's JSON text of both.
    UsageJson,
    CostJson,
    Cost,
    /// A whole number of cents, and of which currency.
    Cents,
    Currency,
    Tags,
    MetadataJson,
}

/// The names, each with its rank for its fact.
pub(super) const NAMES: [(&str, Fact, u8); 95] = [
    ("openinference.span.kind", Fact::Kind, 0),
    ("gen_ai.operation.name", Fact::Kind, 1),
    ("langfuse.observation.type", Fact::Kind, 2),
    ("ai.operationId", Fact::Kind, 3),
    ("traceloop.span.kind", Fact::Kind, 4),
    ("llm.request.type", Fact::Kind, 5),
    ("theazo.operation", Fact::Kind, 6),
    ("gen_ai.request.model", Fact::Model, 0),
    ("llm.model_name", Fact::Model, 1),
    ("ai.model.id", Fact::Model, 2),
    ("llm.request.model", Fact::Model, 3),
    ("langfuse.observation.model.name", Fact::Model, 4),
    ("embedding.model_name", Fact::Model, 5),
    ("gen_ai.response.model", Fact::Model, 6),
    ("ai.response.model", Fact::Model, 7),
    ("theazo.model", Fact::Model, 8),
    ("gen_ai.tool.name", Fact::Tool, 0),
    ("ai.toolCall.name", Fact::Tool, 1),
    ("tool.name", Fact::Tool, 2),
    ("tool_name", Fact::Tool, 3),
    ("theazo.tool", Fact::Tool, 4),
    ("traceloop.entity.name", Fact::Entity, 0),
    ("user.id", Fact::User, 0),
    ("langfuse.user.id", Fact::User, 1),
    ("enduser.id", Fact::User, 2),
    ("traceloop.association.properties.user_id", Fact::User, 3),
    ("ai.telemetry.metadata.userId", Fact::User, 4),
    ("theazo.user.id", Fact::User, 5),
    ("session.id", Fact::Group, 0),
    ("gen_ai.conversation.id", Fact::Group, 1),
    ("langfuse.session.id", Fact::Group, 2),
    (
        "traceloop.association.properties.session_id",
        Fact::Group,
        3,
    ),
    ("ai.telemetry.metadata.sessionId", Fact::Group, 4),
    ("tcc.sessionId", Fact::Group, 5),
    (
        "traceloop.association.properties.tcc.sessionId",
        Fact::Group,
        5,
    ),
    ("ai.telemetry.metadata.tcc.sessionId", Fact::Group, 5),
    ("ai.settings.context.tcc.sessionId", Fact::Group, 5),
    ("metadata.tcc.sessionId", Fact::Group, 5),
    ("theazo.session.id", Fact::Group, 6),
    ("obtrace.session_id", Fact::Group, 7),
    ("tcc.runId", Fact::Run, 0),
    ("metadata.tcc.runId", Fact::Run, 1),
    ("theazo.trace.id", Fact::Run, 2),
    ("ai.settings.context.tcc.runId", Fact::RunAlias, 0),
    ("obtrace.trace_id", Fact::Trace, 0),
    ("error.message", Fact::Error, 0),
    ("error.type", Fact::Error, 1),
    ("gen_ai.usage.input_tokens", Fact::Tokens(Count::Input), 0),
    ("gen_ai.usage.prompt_tokens", Fact::Tokens(Count::Input), 1),
    ("llm.token_count.prompt", Fact::Tokens(Count::Input), 2),
    ("ai.usage.inputTokens", Fact::Tokens(Count::Input), 3),
    ("ai.usage.promptTokens", Fact::Tokens(Count::Input), 4),
    ("gen_ai.usage.output_tokens", Fact::Tokens(Count::Output), 0),
    (
        "gen_ai.usage.completion_tokens",
        Fact::Tokens(Count::Output),
        1,
    ),
    ("llm.token_count.completion", Fact::Tokens(Count::Output), 2),
    ("ai.usage.outputTokens", Fact::Tokens(Count::Output), 3),
    ("ai.usage.completionTokens", Fact::Tokens(Count::Output), 4),
    ("gen_ai.usage.total_tokens", Fact::Tokens(Count::Total), 0),
    ("llm.token_count.total", Fact::Tokens(Count::Total), 1),
    ("llm.usage.total_tokens", Fact::Tokens(Count::Total), 2),
    ("ai.usage.totalTokens", Fact::Tokens(Count::Total), 3),
    ("theazo.tokens", Fact::Tokens(Count::Total), 4),
    (
        "gen_ai.usage.cache_read.input_tokens",
        Fact::Tokens(Count::CacheRead),
        0,
    ),
    (
        "gen_ai.usage.cache_read_input_tokens",
        Fact::Tokens(Count::CacheRead),
        1,
    ),
    (
        "llm.token_count.prompt_details.cache_read",
        Fact::Tokens(Count::CacheRead),
        2,
    ),
    (
        "ai.usage.inputTokenDetails.cacheReadTokens",
        Fact::Tokens(Count::CacheRead),
        3,
    ),
    (
        "ai.usage.cachedInputTokens",
        Fact::Tokens(Count::CacheRead),
        4,
    ),
    (
        "gen_ai.usage.details.cache_read_tokens",
        Fact::Tokens(Count::CacheRead),
        5,
    ),
    (
        "gen_ai.usage.details.cached_tokens",
        Fact::Tokens(Count::CacheRead),
        6,
    ),
    (
        "gen_ai.usage.cache_read_tokens",
        Fact::Tokens(Count::CacheRead),
        7,
    ),
    (
        "gen_ai.usage.input_cached_tokens",
        Fact::Tokens(Count::CacheRead),
        8,
    ),
    (
        "gen_ai.usage.cache_write.input_tokens",
        Fact::Tokens(Count::CacheWrite),
        5,
    ),
    (
        "gen_ai.usage.cache_write_tokens",
        Fact::Tokens(Count::CacheWrite),
        6,
    ),
    (
        "gen_ai.usage.cache_creation.input_tokens",
        Fact::Tokens(Count::CacheWrite),
        0,
    ),
    (
        "gen_ai.usage.cache_creation_input_tokens",
        Fact::Tokens(Count::CacheWrite),
        1,
    ),
    (
        "llm.token_count.prompt_details.cache_write",
        Fact::Tokens(Count::CacheWrite),
        2,
    ),
    (
        "ai.usage.inputTokenDetails.cacheWriteTokens",
        Fact::Tokens(Count::CacheWrite),
        3,
    ),
    (
        "gen_ai.usage.details.cache_write_tokens",
        Fact::Tokens(Count::CacheWrite),
        4,
    ),
    (
        "gen_ai.usage.reasoning.output_tokens",
        Fact::Tokens(Count::Reasoning),
        0,
    ),
    (
        "gen_ai.usage.reasoning_tokens",
        Fact::Tokens(Count::Reasoning),
        1,
    ),
    (
        "llm.token_count.completion_details.reasoning",
        Fact::Tokens(Count::Reasoning),
        2,
    ),
    (
        "ai.usage.outputTokenDetails.reasoningTokens",
        Fact::Tokens(Count::Reasoning),
        3,
    ),
    (
        "ai.usage.reasoningTokens",
        Fact::Tokens(Count::Reasoning),
        4,
    ),
    (
        "gen_ai.usage.details.reasoning_tokens",
        Fact::Tokens(Count::Reasoning),
        5,
    ),
    (
        "ai.usage.inputTokenDetails.noCacheTokens",
        Fact::Tokens(Count::Uncached),
        0,
    ),
    ("langfuse.observation.usage_details", Fact::UsageJson, 0),
    ("langfuse.observation.cost_details", Fact::CostJson, 0),
    ("gen_ai.usage.cost", Fact::Cost, 0),
    ("llm.cost.total", Fact::Cost, 1),
    ("theazo.cost.amount", Fact::Cents, 2),
    ("theazo.cost.currency", Fact::Currency, 0),
    ("tag.tags", Fact::Tags, 0),
    ("langfuse.trace.tags", Fact::Tags, 1),
    ("ai.telemetry.metadata.tags", Fact::Tags, 2),
    ("metadata", Fact::MetadataJson, 0),
];

/// Length of the longest of [`NAMES`], in bytes.
const NAME_BYTES_MAX: usize = 46;

/// [`NAMES`] by length: those of `n` bytes stand in the second list from place `n` of the first to
/// the place after. Every attribute of every span is looked up, and few are the names of a length.
const BY_LENGTH: ([usize; NAME_BYTES_MAX + 2], [usize; NAMES.len()]) = {
    let mut starts = [0; NAME_BYTES_MAX + 2];
    let mut order = [0; NAMES.len()];
    let (mut bytes, mut placed) = (0, 0);
    while bytes <= NAME_BYTES_MAX {
        let mut i = 0;
        while i < NAMES.len() {
            if NAMES[i].0.len() == bytes {
                order[placed] = i;
                placed += 1;
            }
            i += 1;
        }
        bytes += 1;
        starts[bytes] = placed;
    }
    assert!(placed == NAMES.len(), "a name is longer than the longest");
    (starts, order)
};

/// What this name says, and how sure it is.
fn fact_named(key: &str) -> Option<(Fact, u8)> {
    let (starts, order) = &BY_LENGTH;
    let from = *starts.get(key.len())?;
    let to = *starts.get(key.len() + 1)?;
    order
        .get(from..to)?
        .iter()
        .filter_map(|i| NAMES.get(*i))
        .find(|(name, ..)| *name == key)
        .map(|(_, fact, rank)| (*fact, *rank))
}

/// The name under which a user attached this, for the conventions that put it behind a prefix.
fn metadata_name(key: &str) -> Option<&str> {
    let name = match key.as_bytes().first()? {
        b'm' => key.strip_prefix("metadata."),
        b'l' => key
            .strip_prefix("langfuse.trace.metadata.")
            .or_else(|| key.strip_prefix("langfuse.observation.metadata.")),
        b'a' => key.strip_prefix("ai.telemetry.metadata."),
        b't' => key.strip_prefix("traceloop.association.properties."),
        _ => None,
    };
    name.filter(|name| !name.is_empty())
}

/// A value of the best rank so far.
#[derive(Clone, Copy, Debug)]
pub(super) struct Best<T>(Option<(u8, T)>);

impl<T> Default for Best<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T: Copy> Best<T> {
    pub(super) fn offer(&mut self, rank: u8, value: Option<T>) {
        if let Some(value) = value
            && self.0.is_none_or(|(best, _)| rank < best)
        {
            self.0 = Some((rank, value));
        }
    }

    pub(super) fn get(self) -> Option<T> {
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
    run: Best<&'a str>,
    run_alias: Option<&'a str>,
    trace: Option<&'a str>,
    usage: Usage,
    usage_json: Option<&'a str>,
    cost_json: Option<&'a str>,
    cost: Best<f64>,
    cents: Option<f64>,
    currency: Option<&'a str>,
    /// Where the list stands in the document.
    tags: Best<(usize, usize)>,
    /// Names, and where the values stand in the document.
    metadata: Vec<(&'a str, (usize, usize))>,
    metadata_json: Option<&'a str>,
    has_model_request: bool,
}

impl<'a> Known<'a> {
    /// Takes note of one attribute.
    pub(super) fn note(&mut self, attribute: Attribute<'a>) {
        let Attribute { key, any, written } = attribute;
        if let Some((fact, rank)) = fact_named(key) {
            match fact {
                Fact::Kind => self.kind.offer(rank, any.as_str().and_then(kind_named)),
                Fact::Model => {
                    self.has_model_request |= matches!(rank, 0 | 1 | 3);
                    self.model.offer(rank, text(any));
                }
                Fact::Tool => self.tool.offer(rank, text(any)),
                Fact::Entity => self.entity.offer(rank, text(any)),
                Fact::User => self.user.offer(rank, text(any)),
                Fact::Group => self.group.offer(rank, text(any)),
                Fact::Error => self.error.offer(rank, text(any)),
                Fact::Run => self.run.offer(rank, id(any)),
                Fact::RunAlias => self.run_alias = id(any),
                Fact::Trace => self.trace = id(any),
                Fact::Tokens(count) => self.usage.offer(count, rank, whole(any)),
                Fact::UsageJson => self.usage_json = any.as_str(),
                Fact::CostJson => self.cost_json = any.as_str(),
                Fact::Cents => self.cents = number(any),
                Fact::Currency => self.currency = any.as_str(),
                Fact::Cost => self.cost.offer(rank, number(any)),
                Fact::Tags => {
                    let list = matches!(any, Any::Array(_)).then_some(written);
                    self.tags.offer(rank, list);
                }
                Fact::MetadataJson => self.metadata_json = any.as_str(),
            }
        }
        if let Some(name) = metadata_name(key) {
            self.metadata.push((name, written));
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

    /// Whether it writes this field of the model.
    pub(super) fn says(&self, key: &str) -> bool {
        match key {
            model::MODEL => self.model.get().is_some(),
            model::TOOL => self.tool.get().or(self.entity.get()).is_some(),
            model::GROUP => self.group.get().is_some(),
            model::COST_USD => self.cost().is_some(),
            model::TOKENS => self.usage.is_said() || self.usage_json.is_some(),
            _ => false,
        }
    }

    /// What the attributes say went wrong.
    pub(super) fn error(&self) -> Option<&'a str> {
        self.error.get()
    }

    /// Writes the fields of the model that it knows, into an open map.
    pub(super) fn write(&self, out: &mut DocWriter) {
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
        if let Some(cost) = self.cost() {
            out.key(model::COST_USD);
            out.f64(cost);
        }
        if let Some(tags) = self.tags.get() {
            out.key(model::TAGS);
            out.again(tags.0..tags.1);
        }
        self.write_metadata(out);
    }

    fn write_tokens(&self, out: &mut DocWriter) {
        if self.usage.is_said() {
            return self.usage.write(out);
        }
        json_of(self.usage_json, |details| {
            if let Some(tokens) = langfuse::usage::of_details(details) {
                tokens.write(out);
            }
        });
    }

    /// US dollars.
    fn cost(&self) -> Option<f64> {
        let is_usd = self.currency.is_none_or(|c| c.eq_ignore_ascii_case("usd"));
        let of_cents = || self.cents.filter(|_| is_usd).map(|cents| cents / 100.0);
        let mut of_json = None;
        if self.cost.get().is_none() {
            json_of(self.cost_json, |details| {
                of_json = langfuse::usage::cost_of(details);
            });
        }
        self.cost.get().or(of_json).or_else(of_cents)
    }

    /// The run that it belongs to, if it names one other than its trace.
    pub(super) fn run(&self) -> Option<&'a str> {
        self.run.get()
    }

    /// The user's own name for that run, if there are two.
    pub(super) const fn run_alias(&self) -> Option<&'a str> {
        self.run_alias
    }

    /// The trace of a log record that has none itself.
    pub(super) const fn trace(&self) -> Option<&'a str> {
        self.trace
    }

    fn write_metadata(&self, out: &mut DocWriter) {
        let parsed = self
            .metadata_json
            .and_then(|text| json::read(text.as_bytes(), JSON_DEPTH_MAX).ok());
        let parsed = parsed.as_deref().and_then(|doc| DocRef::parse(doc).ok());
        let entries = parsed.and_then(DocRef::entries);
        if self.metadata.is_empty() && entries.is_none() {
            return;
        }
        out.key(model::METADATA);
        let open = out.begin_map();
        for (key, (start, end)) in &self.metadata {
            out.key(key);
            out.again(*start..*end);
        }
        // Beyond the limits it stays in the attribute, as text.
        for (key, value) in entries.into_iter().flatten().flatten().take(ATTRIBUTES_MAX) {
            out.key(key);
            out.value(value);
        }
        out.end(open);
    }
}

/// Calls back with what a text means as JSON.
fn json_of(text: Option<&str>, then: impl FnOnce(DocRef<'_>)) {
    let doc = text.and_then(|text| json::read(text.as_bytes(), JSON_DEPTH_MAX).ok());
    if let Some(value) = doc.as_deref().and_then(|doc| DocRef::parse(doc).ok()) {
        then(value);
    }
}

fn id(any: Any<'_>) -> Option<&str> {
    text(any).filter(|id| id.len() <= ID_BYTES_MAX)
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
        | "ai.streamObject.doStream"
        | "model.call" => "llm",
        "TOOL" | "tool" | "execute_tool" | "ai.toolCall" | "tool.exec" => "tool",
        "RETRIEVER" | "RERANKER" | "retriever" | "rerank" | "retrieval" => "retrieval",
        "AGENT" | "agent" | "invoke_agent" | "create_agent" | "agent.run" => "agent",
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
        "file.read" | "file.write" => "file",
        "sandbox.boot" | "sandbox.exec" | "sandbox.destroy" => "sandbox",
        _ => return None,
    })
}
