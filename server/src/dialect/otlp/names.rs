//! The names under which conventions tell the same facts, and their words for kinds of steps.
//!
//! Each name has a rank, and the lowest rank that is present wins whatever the order of the attributes.

use super::mlflow;
use super::usage::Count;

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
    /// JSON of the parameters of a call, which name the model where nothing else does.
    Parameters,
    /// Whose API was called.
    Provider,
    /// Logfire's word for what a span is, and the parent of the open span that a record stands for.
    SpanType,
    PendingParent,
    Error,
    Tokens(Count),
    /// Langfuse's JSON text of both.
    UsageJson,
    CostJson,
    /// `MLflow`'s JSON text of both.
    MlflowUsage,
    MlflowCost,
    Cost,
    /// A whole number of cents, and of which currency.
    Cents,
    Currency,
    Tags,
    MetadataJson,
}

/// The names, each with its rank for its fact.
pub(super) const NAMES: [(&str, Fact, u8); 116] = [
    ("openinference.span.kind", Fact::Kind, 0),
    ("gen_ai.operation.name", Fact::Kind, 1),
    ("langfuse.observation.type", Fact::Kind, 2),
    ("ai.operationId", Fact::Kind, 3),
    ("traceloop.span.kind", Fact::Kind, 4),
    ("llm.request.type", Fact::Kind, 5),
    ("theazo.operation", Fact::Kind, 6),
    ("mlflow.spanType", Fact::Kind, 7),
    ("gen_ai.request.model", Fact::Model, 0),
    ("llm.model_name", Fact::Model, 1),
    ("ai.model.id", Fact::Model, 2),
    ("llm.request.model", Fact::Model, 3),
    ("langfuse.observation.model.name", Fact::Model, 4),
    ("embedding.model_name", Fact::Model, 5),
    ("gen_ai.response.model", Fact::Model, 6),
    ("ai.response.model", Fact::Model, 7),
    ("theazo.model", Fact::Model, 8),
    ("mlflow.llm.model", Fact::Model, 9),
    ("llm.invocation_parameters", Fact::Parameters, 0),
    ("gen_ai.provider.name", Fact::Provider, 0),
    ("gen_ai.system", Fact::Provider, 1),
    ("llm.provider", Fact::Provider, 2),
    ("llm.system", Fact::Provider, 3),
    ("ai.model.provider", Fact::Provider, 4),
    ("mlflow.llm.provider", Fact::Provider, 5),
    ("gen_ai.tool.name", Fact::Tool, 0),
    ("ai.toolCall.name", Fact::Tool, 1),
    ("tool.name", Fact::Tool, 2),
    ("tool_name", Fact::Tool, 3),
    ("theazo.tool", Fact::Tool, 4),
    ("tool_call.function.name", Fact::Tool, 5),
    ("traceloop.entity.name", Fact::Entity, 0),
    ("mlflow.spanFunctionName", Fact::Entity, 1),
    ("user.id", Fact::User, 0),
    ("langfuse.user.id", Fact::User, 1),
    ("enduser.id", Fact::User, 2),
    ("traceloop.association.properties.user_id", Fact::User, 3),
    ("ai.telemetry.metadata.userId", Fact::User, 4),
    ("theazo.user.id", Fact::User, 5),
    ("mlflow.trace.user", Fact::User, 6),
    ("gcp.vertex.agent.user_id", Fact::User, 7),
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
    ("mlflow.trace.session", Fact::Group, 8),
    ("gcp.vertex.agent.session_id", Fact::Group, 9),
    ("tcc.runId", Fact::Run, 0),
    ("metadata.tcc.runId", Fact::Run, 1),
    ("theazo.trace.id", Fact::Run, 2),
    ("ai.settings.context.tcc.runId", Fact::RunAlias, 0),
    ("obtrace.trace_id", Fact::Trace, 0),
    ("logfire.span_type", Fact::SpanType, 0),
    ("logfire.pending_parent_id", Fact::PendingParent, 0),
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
    ("mlflow.chat.tokenUsage", Fact::MlflowUsage, 0),
    ("mlflow.llm.cost", Fact::MlflowCost, 0),
    ("gen_ai.usage.cost", Fact::Cost, 0),
    ("llm.cost.total", Fact::Cost, 1),
    ("operation.cost", Fact::Cost, 2),
    ("theazo.cost.amount", Fact::Cents, 2),
    ("theazo.cost.currency", Fact::Currency, 0),
    ("tag.tags", Fact::Tags, 0),
    ("langfuse.trace.tags", Fact::Tags, 1),
    ("ai.telemetry.metadata.tags", Fact::Tags, 2),
    ("logfire.tags", Fact::Tags, 3),
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
pub(super) fn fact_named(key: &str) -> Option<(Fact, u8)> {
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
pub(super) fn metadata_name(key: &str) -> Option<&str> {
    let name = match key.as_bytes().first()? {
        b'm' => key
            .strip_prefix("metadata.")
            .or_else(|| key.strip_prefix(mlflow::TAG)),
        b'l' => key
            .strip_prefix("langfuse.trace.metadata.")
            .or_else(|| key.strip_prefix("langfuse.observation.metadata.")),
        b'a' => key
            .strip_prefix("ai.telemetry.metadata.")
            .or_else(|| key.strip_prefix("ai.settings.context.")),
        b't' => key.strip_prefix("traceloop.association.properties."),
        _ => None,
    };
    name.filter(|name| !name.is_empty())
}

/// The kind that a convention's own word for it means.
pub(super) fn kind_named(word: &str) -> Option<&'static str> {
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
        | "CHAT_MODEL"
        | "model.call" => "llm",
        "TOOL" | "tool" | "execute_tool" | "ai.toolCall" | "tool.exec" => "tool",
        "RETRIEVER" | "RERANKER" | "retriever" | "rerank" | "retrieval" => "retrieval",
        "AGENT" | "agent" | "invoke_agent" | "create_agent" | "agent.run" => "agent",
        "CHAIN" | "WORKFLOW" | "TASK" | "chain" | "workflow" | "task" | "invoke_workflow"
        | "ai.generateText" | "ai.streamText" | "ai.generateObject" | "ai.streamObject" => "chain",
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
