//! The fields that every dialect fills under the same name: keys of a row's document.
//!
//! A dialect writes what it knows and leaves out the rest. What it has no name for stays as it came
//! under `metadata` (what the user set), `attributes` (the source's own) and `resource`.

pub mod score;

/// Display name; of a log line the name of its event, of a point that of its metric. Text.
pub const NAME: &str = "name";
/// `success`, `error` or `running`. Runs and spans; text.
pub const STATUS: &str = "status";
/// `llm`, `tool`, `retrieval`, `agent`, `chain`, `embedding`, `guardrail`, `robotics`, `human`,
/// `file`, `sandbox`, `annotation` or `custom`. Spans; text.
pub const KIND: &str = "kind";
/// The id of the parent span, which may never arrive. Spans; text.
pub const PARENT_ID: &str = "parent_id";
/// True on the span that its source declares the root. Spans; bool.
pub const ROOT: &str = "root";
/// Place among the spans of the run, in order of creation. Spans; whole number.
pub const INDEX: &str = "index";
/// Model name. Runs and spans; text.
pub const MODEL: &str = "model";
/// Tool name. Spans; text.
pub const TOOL: &str = "tool";
/// What went wrong. Runs and spans; text.
pub const ERROR_MESSAGE: &str = "error_message";
/// The user. Runs, spans, logs and points; text.
pub const USER_ID: &str = "user_id";
/// The thread or session that it belongs to. Runs, spans, logs and points; text.
pub const GROUP: &str = "group";
/// The service that sent it. Runs, spans, logs and points; text.
pub const SERVICE: &str = "service";
/// Where it ran: `prod`, `staging`. Runs, spans, logs and points; text.
pub const ENVIRONMENT: &str = "environment";
/// Which version of the service, or of what it serves. Runs, spans, logs and points; text.
pub const VERSION: &str = "version";
/// Which release, build or revision of the code. Runs, spans, logs and points; text.
pub const RELEASE: &str = "release";
/// In which region. Runs, spans, logs and points; text.
pub const REGION: &str = "region";
/// Where, and as what, something ran.
pub const PLACE: [&str; 4] = [ENVIRONMENT, VERSION, RELEASE, REGION];
/// Labels. Runs and spans; array of text.
pub const TAGS: &str = "tags";
/// Tokens: a map with `input`, `output`, `total`, each a whole number. Runs and spans. There may be
/// `cache_read`, `cache_write` and `reasoning` beside them: `input` and `output` are without these,
/// and `total` is with them.
pub const TOKENS: &str = "tokens";
/// True on a step that tells of a call which another step may tell too (a client's own span below that of an
/// instrumentor): what it used counts for the run where no other step says any. Spans; bool.
pub const REPEATS: &str = "repeats";
/// Cost in US dollars as the source stated it. Runs and spans; number.
pub const COST_USD: &str = "cost_usd";
/// Cost in US dollars, stated or worked out: see [`crate::cost`]. Of a span that repeats what the steps below it
/// say, and of one whose cost nobody knows, there is none. Runs and spans; number; derived.
pub const COST: &str = "cost_known_usd";
/// Where [`COST`] is from: `stated`, `priced`, `unknown`, of spans also `roll_up`, of runs also `mixed`.
/// None where nothing was used. Runs and spans; text; derived.
pub const COST_SOURCE: &str = "cost_source";
/// What a step says again of the steps below it, or of the same call as another step, in US dollars: it counts for the run where no
/// other step has a cost. Spans; number; derived.
pub const COST_AGAIN: &str = "cost_repeated_usd";
/// Steps that used something and whose cost nobody knows, if there are any: [`COST`] is a lower bound then. Runs; whole number;
/// derived.
pub const COST_UNKNOWN: &str = "cost_unknown_steps";
/// What the user attached: a map. Runs and spans.
pub const METADATA: &str = "metadata";
/// The source's own attributes as they came: a map. Spans, logs and points.
pub const ATTRIBUTES: &str = "attributes";
/// The source's resource attributes as they came: a map. Spans, logs and points.
pub const RESOURCE: &str = "resource";
/// What a log line says: of any type. Logs.
pub const BODY: &str = "body";
/// `trace`, `debug`, `info`, `warn`, `error` or `fatal`. Logs; text.
pub const LEVEL: &str = "level";
/// The span that a log line was written in. Logs; text.
pub const SPAN_ID: &str = "span_id";
/// `gauge`, `sum`, `histogram`, `exponential_histogram` or `summary`. Points; text.
pub const TYPE: &str = "type";
/// The unit of a point's value. Points; text.
pub const UNIT: &str = "unit";
/// `delta` or `cumulative`. Points; text.
pub const TEMPORALITY: &str = "temporality";
/// Whether a sum only grows. Points; bool.
pub const MONOTONIC: &str = "monotonic";
/// The value of a gauge or sum. Points; number.
pub const VALUE: &str = "value";
/// Files that belong to it and are kept outside of rows: a list of maps with `id`, `sha256`, `content_type`, `size`
/// and, where known, `name`, `declared_type`, `span_id`, `field` and `upload`. Adds up over events. Runs.
pub const BLOBS: &str = "blobs";
/// What was cut out of the row's values and is kept as files of its trace: a map, written by the server and read by it
/// alone. Spans.
pub const OFFLOADED: &str = "offloaded";
/// Which dialect the event came in: `otlp`, `theta`, `langfuse`, `langsmith`, `aiobs`, `tcc`. Every row; text.
pub const DIALECT: &str = "dialect";
/// The key that it came with, as the server names it: hex digits. Every row but scores; text.
pub const KEY_ID: &str = "key_id";
/// What the engine derives for a run from its spans: a map, see `FORMAT.md`. Runs.
pub const ROLLUP: &str = "rollup";

/// Values of [`STATUS`].
pub mod status {
    /// Ended well.
    pub const SUCCESS: &str = "success";
    /// Ended badly.
    pub const ERROR: &str = "error";
    /// Not ended.
    pub const RUNNING: &str = "running";
}
