//! Every limit of the server, with its unit in its name. `LIMITS.md` lists them for users; a test
//! holds the two together.

use std::time::Duration;

/// Largest request body as it comes over the wire, compressed or not. Over it: 413.
pub const WIRE_BYTES_MAX: usize = 64 << 20;
/// Largest request body after decompression, unless set with `--max-body`. Over it: 413.
pub const DECODED_BYTES_MAX: usize = 64 << 20;
/// Bodies up to this many decoded bytes are decoded on the network thread.
pub const INLINE_DECODE_BYTES_MAX: usize = 256 << 10;
/// The same for a project with redaction rules.
pub const INLINE_REDACT_BYTES_MAX: usize = 16 << 10;
/// Smallest `--memory` that the server starts with: with less, what does not grow with the budget is more than the quarter beside it.
pub const MEMORY_BYTES_MIN: u64 = 128 << 20;
/// `--memory` when it is not given: of what the machine, or the control group, has one part in this many, and no less than the smallest.
pub const MEMORY_SHARE_DEFAULT: u64 = 4;
/// `--memory` when it is not given and the system does not tell how much there is.
pub const MEMORY_BYTES_UNKNOWN: u64 = 1 << 30;
/// Share of the memory budget that requests in flight may hold, as bodies and as the rows they decode
/// to: one part in this many. The last quarter of it is for projects that hold no more than as much. Over it: 503.
pub const BODY_MEMORY_SHARE: u64 = 4;

/// Bytes of bodies that are decoded, logged and made visible at once, for each processor; a project has at most half of them, and an eighth while there is another of which nothing waits. What is over it waits.
pub const INGEST_WORK_BYTES_PER_PROCESSOR: u64 = 512 << 10;
/// The same in all, as a share of the memory budget: one part in this many, half of what the commit queue has.
pub const INGEST_WORK_MEMORY_SHARE: u64 = 32;
/// Bodies that wait for that, beside one of each project. Over it: 503.
pub const INGEST_WAITING_MAX: usize = 2048;
/// Bodies of one project that wait for it. Over it: 503.
pub const INGEST_WAITING_PER_PROJECT_MAX: usize = 512;
/// How long a body waits for it. Over it: 503.
pub const INGEST_WAIT_TIME_MAX: Duration = Duration::from_secs(2);

/// Connections at once, or fewer, as the budget says. At the limit the oldest one that never sent a byte makes room; if there is none, the new one is closed.
pub const CONNECTIONS_MAX: usize = 4096;
/// Share of the memory budget that connections may hold beside bodies: one part in this many.
pub const CONNECTION_MEMORY_SHARE: u64 = 8;
/// What a connection of HTTP/1 holds at most, beside bodies: a head, and nearly as much that is there while nothing is sent. One of HTTP/2 may hold more: a head and an answer of each stream, and its window.
pub const CONNECTION_BYTES: u64 = 64 << 10;
/// Connections at once from one address (of IPv6: one /64), and no more than half of all that there may be. Not counted where a proxy hides
/// addresses, nor on this machine. Over it: the new one is closed.
pub const CONNECTIONS_PER_ADDRESS_MAX: usize = 512;
/// TLS handshakes at once; further connections wait for theirs.
pub const TLS_HANDSHAKES_MAX: usize = 256;
/// How long a TLS handshake may take, once it has begun.
pub const TLS_HANDSHAKE_TIME_MAX: Duration = Duration::from_secs(5);
/// Headers of a request. Over it: 431.
pub const HEADERS_MAX: usize = 100;
/// Bytes of a request's head. Over it: 431.
pub const HEAD_BYTES_MAX: usize = 32 << 10;
/// Bytes of bodies that an HTTP/2 connection takes before anybody reads them.
pub const WINDOW_BYTES: u32 = 128 << 10;
/// Bytes of an answer that a stream of HTTP/2 takes before its client reads them.
pub const SEND_BYTES: usize = 64 << 10;
/// From the first byte of a request to the end of its head, and from accept to the first byte.
pub const HEAD_TIME_MAX: Duration = Duration::from_secs(10);
/// How often a connection is looked at for these times.
pub const PACE_CHECK_TIME: Duration = Duration::from_secs(1);
/// How long a connection may stay without a request.
pub const IDLE_TIME_MAX: Duration = Duration::from_secs(75);
/// How long a client may take no byte of its answer.
pub const WRITE_STALL_TIME_MAX: Duration = Duration::from_secs(30);
/// How long a body may come slower than [`BODY_BYTES_PER_SECOND_MIN`].
pub const BODY_GRACE_TIME: Duration = Duration::from_secs(5);
/// Slowest body, bytes per second, after the grace time.
pub const BODY_BYTES_PER_SECOND_MIN: u64 = 1024;
/// Streams of one HTTP/2 connection.
pub const STREAMS_PER_CONNECTION_MAX: u32 = 128;
/// Body bytes that no handler read, which are read and thrown away, so that the client gets to see
/// the answer instead of a reset.
pub const REFUSED_BODY_BYTES_MAX: usize = 256 << 20;
/// The same for a request that was not let in, or that was over a rate or quota.
pub const UNKNOWN_BODY_BYTES_MAX: usize = 1 << 20;
/// How long the rest of a body is read.
pub const REFUSED_BODY_TIME_MAX: Duration = Duration::from_secs(5);

/// How long a request waits for the log, and a change for those before it. Over it: 503, outcome unknown, or not stored if
/// it was not written yet.
pub const COMMIT_TIME_MAX: Duration = Duration::from_secs(30);
/// How long a group commit may run until the disk counts as stuck: `/ready` says so, with 503.
pub const STUCK_TIME: Duration = Duration::from_secs(10);
/// How long a query waits for its turn. Over it: 503.
pub const QUERY_WAIT_TIME_MAX: Duration = Duration::from_secs(5);
/// Light queries that run at once.
pub const QUERIES_LIGHT_MAX: usize = 4;
/// Light queries that wait. Over it: 503.
pub const QUERIES_LIGHT_WAITING_MAX: usize = 256;
/// Light queries of one project that wait. Over it: 429.
pub const QUERIES_LIGHT_WAITING_PER_PROJECT_MAX: usize = 128;
/// Heavy queries that run at once: those that read much, and exports.
pub const QUERIES_HEAVY_MAX: usize = 2;
/// Heavy queries that wait; each may keep a thread meanwhile. Over it: 503.
pub const QUERIES_HEAVY_WAITING_MAX: usize = 64;
/// Heavy queries of one project that wait. Over it: 429.
pub const QUERIES_HEAVY_WAITING_PER_PROJECT_MAX: usize = 32;
/// How long a query runs, what it waits included.
pub const QUERY_TIME_MAX: Duration = Duration::from_secs(10);
/// A query that ran for so long is in the log and among [`SLOW_QUERIES_KEPT`].
pub const SLOW_QUERY_TIME: Duration = Duration::from_millis(500);
/// The slow queries that `/debug/status` shows; the oldest makes room.
pub const SLOW_QUERIES_KEPT: usize = 64;
/// Bytes of what is written down of a slow query's filter; the rest is left out.
pub const SLOW_QUERY_SHAPE_BYTES_MAX: usize = 512;
/// Live rows of the row groups that one query may look into.
pub const QUERY_ROWS_MAX: u64 = 1_000_000_000;
/// Bytes of bodies that one query reads to decide rows, one after the other. Over it: 422. Most end by their time first.
pub const QUERY_READ_BYTES_MAX: u64 = 64 << 30;
/// Share of the memory budget that the bodies of a page or of a whole trace, and the groups of an aggregate, may hold:
/// one part in this many. Over it: a shorter page, or 422.
pub const QUERY_MEMORY_SHARE: u64 = 4;
/// Requests that a stopping server waits for.
pub const DRAIN_TIME_MAX: Duration = Duration::from_secs(10);

/// Runs of one page when `limit` is not given.
pub const PAGE_ROWS_DEFAULT: usize = 100;
/// Runs of one page.
pub const PAGE_ROWS_MAX: usize = 1000;
/// Rows of one page of obsrv's own lists when `limit` is not given.
pub const READ_PAGE_ROWS_DEFAULT: usize = 50;
/// Keys that `fields` may name.
pub const READ_FIELDS_MAX: usize = 64;
/// Values of a facet or a key when `limit` is not given.
pub const READ_FACET_VALUES_DEFAULT: usize = 20;
/// Keys that are listed when `limit` is not given.
pub const READ_NAMES_DEFAULT: usize = 1000;
/// Groups of an aggregate when `limit` is not given.
pub const AGGREGATE_GROUPS_DEFAULT: usize = 100;
/// Groups of an aggregate.
pub const AGGREGATE_GROUPS_MAX: usize = 10_000;
/// Scores that stand in the head of a trace.
pub const SCORES_SHOWN_MAX: usize = 1000;
/// Spans of a trace that is shown as a tree. Over it: 422.
pub const OUTLINE_SPANS_MAX: usize = 1_000_000;
/// Rows of one page of a tree when `limit` is not given.
pub const TREE_PAGE_ROWS_DEFAULT: usize = 1000;
/// Rows of one page of a tree.
pub const TREE_PAGE_ROWS_MAX: usize = 10_000;
/// The same as columns.
pub const TREE_COLUMN_ROWS_MAX: usize = 100_000;
/// Values of a row that are asked which of its fields come from them.
pub const ORIGIN_VALUES_MAX: usize = 512;
/// Bytes of such a value; no field is said to come from a longer one.
pub const ORIGIN_VALUE_BYTES_MAX: usize = 16 << 10;
/// Bytes of all of them.
pub const ORIGIN_BYTES_MAX: usize = 256 << 10;
/// Bytes of a document of which is asked where its talk comes from.
pub const ORIGIN_READ_BYTES_MAX: usize = 1 << 20;
/// Maps within maps in which such values are looked for.
pub const ORIGIN_DEPTH_MAX: usize = 4;
/// Bytes of a filter as JSON.
pub const FILTER_BYTES_MAX: usize = 16 << 10;
/// Traces that a search of Tempo's API lists when `limit` is not given.
pub const TEMPO_TRACES_DEFAULT: usize = 20;
/// Spans of a set that such a search shows when `spss` is not given.
pub const TEMPO_SPANS_DEFAULT: usize = 3;
/// Names of tags, and values of one, that Tempo's API lists when `limit` is not given, and at most.
pub const TEMPO_TAGS_MAX: usize = 5000;
/// Steps of a series when `step` is not given.
pub const TEMPO_STEPS_DEFAULT: i64 = 240;
/// How far back series, searches and dependencies go when no start is given.
pub const TOOL_TIME_DEFAULT: Duration = Duration::from_hours(1);
/// Traces that a search of Jaeger's API gives when `limit` is not given.
pub const JAEGER_TRACES_DEFAULT: usize = 20;
/// Traces that a search of Jaeger's API gives, whole, as far as a query's memory goes.
pub const JAEGER_TRACES_MAX: usize = 1000;
/// Services, and operations of one, that Jaeger's API lists.
pub const JAEGER_NAMES_MAX: usize = 1000;
/// Rows of one page of Langfuse's lists when `limit` is not given.
pub const LANGFUSE_PAGE_ROWS_DEFAULT: usize = 50;
/// Rows of one page of those that have numbers, and of scores.
pub const LANGFUSE_PAGE_ROWS_MAX: usize = 100;
/// Rows before such a page. Over it: 400.
pub const LANGFUSE_ROWS_BEFORE_MAX: usize = 100_000;
/// Ids of observations and scores that a page of traces tells. Over it: 422.
pub const LANGFUSE_IDS_MAX: usize = 20_000;
/// Observations of a trace that is told whole. Over it: 422.
pub const LANGFUSE_OBSERVATIONS_MAX: usize = 10_000;
/// Traces that one request deletes by their ids.
pub const LANGFUSE_DELETED_MAX: usize = 100;
/// Bytes of the `query` of Langfuse's metrics.
pub const LANGFUSE_METRICS_BYTES: usize = 16 << 10;
/// Rows of an answer of Langfuse's metrics, if `config.row_limit` is not given.
pub const LANGFUSE_METRICS_ROWS_DEFAULT: usize = 100;
/// Rows of an answer of Langfuse's metrics.
pub const LANGFUSE_METRICS_ROWS_MAX: usize = 1_000;
/// Bars of a histogram, if `config.bins` is not given.
pub const LANGFUSE_METRICS_BINS_DEFAULT: usize = 10;
/// Bars of a histogram.
pub const LANGFUSE_METRICS_BINS_MAX: usize = 100;
/// Ways in which rows keep the dimensions of one question: places of one times places of the next.
pub const LANGFUSE_METRICS_WAYS_MAX: usize = 256;
/// Messages of one page of a conversation when `limit` is not given.
pub const CONVERSATION_PAGE_DEFAULT: usize = 200;
/// Messages of one page of a conversation.
pub const CONVERSATION_PAGE_MAX: usize = 1000;
/// Bytes of the messages of one page of a conversation. Over it: a shorter page.
pub const CONVERSATION_BYTES_MAX: usize = 16 << 20;
/// Tokens of a trace as text when `tokens` is not given.
pub const RENDER_TOKENS_DEFAULT: usize = 4000;
/// Fewest tokens of a trace as text.
pub const RENDER_TOKENS_MIN: usize = 200;
/// Most tokens of a trace as text.
pub const RENDER_TOKENS_MAX: usize = 100_000;
/// Spans of each of two traces that are laid side by side. Over it: 422.
pub const DIFF_STEPS_MAX: usize = 2000;
/// Keys that are compared between two sets of rows.
pub const COMPARE_KEYS_MAX: usize = 128;
/// Scores among them: all scores of a name are read for each.
pub const COMPARE_SCORES_MAX: usize = 32;
/// Values in which two sets differ that are listed when `limit` is not given.
pub const COMPARE_LISTED_DEFAULT: usize = 50;
/// Values in which two sets differ that are listed.
pub const COMPARE_LISTED_MAX: usize = 1000;
/// Runs whose steps are put together when `limit` is not given.
pub const PATH_RUNS_DEFAULT: usize = 200;
/// Runs whose steps are put together.
pub const PATH_RUNS_MAX: usize = 5000;
/// Spans of all these runs. Past it: fewer runs.
pub const PATH_SPANS_MAX: usize = 200_000;
/// Names of steps that are told apart.
pub const PATH_NODES_MAX: usize = 1000;
/// Whole sequences of steps that are listed.
pub const PATH_SEQUENCES_MAX: usize = 20;
/// Saved views of a project.
pub const VIEWS_PER_PROJECT_MAX: usize = 500;
/// Bytes of a saved view, its name aside.
pub const VIEW_BYTES_MAX: usize = 3 << 10;
/// Runs of one page of a queue of reviews.
pub const REVIEW_PAGE_ROWS_MAX: usize = 200;
/// Runs that are looked at for one page of such a queue. Past it: an empty page with a cursor.
pub const REVIEW_RUNS_MAX: usize = 10_000;
/// Comments of a project.
pub const COMMENTS_PER_PROJECT_MAX: usize = 10_000;
/// Bytes of a comment.
pub const COMMENT_BYTES_MAX: usize = 2 << 10;
/// Experiments of a project.
pub const EXPERIMENTS_PER_PROJECT_MAX: usize = 200;
/// Arms of an experiment. Over it: 400.
pub const EXPERIMENT_ARMS_MAX: usize = 20;
/// Bytes of the id of an experiment, and of an arm. Over it: 400.
pub const EXPERIMENT_ID_BYTES_MAX: usize = 64;
/// Bytes of an experiment: of its name, and of the ids, names, prompts and models of its arms. Over it: 400.
pub const EXPERIMENT_BYTES_MAX: usize = 32 << 10;
/// Arms of which results are told, those included that an experiment has no more.
pub const EXPERIMENT_ARMS_SHOWN_MAX: usize = 100;
/// Runs of each arm of an experiment whose scores are told: the newest.
pub const EXPERIMENT_SCORED_RUNS_MAX: usize = 5_000;
/// Names of scores that results tell of each arm: those of its newest runs.
pub const EXPERIMENT_SCORES_MAX: usize = 100;
/// Rows of one page of an export.
pub const EXPORT_PAGE_ROWS: usize = 1000;
/// Pages of an export that wait for the client.
pub const EXPORT_PAGES_WAITING: usize = 2;
/// Runs whose spans an export as OTLP looks for at once.
pub const EXPORT_RUNS: usize = 64;
/// Bytes of documents in one request of an export as OTLP; a larger row has a request of its own.
pub const EXPORT_REQUEST_BYTES: usize = 1 << 20;
/// Traces, scores, log lines or points that one request deletes of what passes its filter; another goes on.
pub const DELETE_STEP_ROWS: usize = 5_000;
/// Bytes of a filter by which is deleted: the audit log keeps it for good. Over it: 400.
pub const DELETE_FILTER_BYTES_MAX: usize = 1 << 10;
/// Versions, errors and lines that `releases` and `timeline` list of each kind when `limit` is not given.
pub const RELEASES_DEFAULT: usize = 100;
/// Versions, errors and lines that `releases` and `timeline` list of each kind. Over it: 400.
pub const RELEASES_MAX: usize = 1_000;
/// Log lines of one answer of `/v1/logs/query` when `limit` is not given.
pub const THEAZO_LOGS_DEFAULT: usize = 100;
/// Log lines that `/v1/logs/query` passes over at most. Over it: 400.
pub const THEAZO_OFFSET_MAX: usize = 10_000;
/// Traces of one answer of `/v1/agents/traces` when `limit` is not given.
pub const THEAZO_TRACES_DEFAULT: usize = 20;
/// Traces of one answer of `/v1/agents/traces`. Over it: 400.
pub const THEAZO_TRACES_MAX: usize = 100;
/// Bytes of spans after which traces of such an answer come without theirs.
pub const THEAZO_TRACES_BYTES: usize = 16 << 20;
/// Spans below one another in an answer in Theazo's words; deeper ones stand beside their parents.
pub const THEAZO_DEPTH_MAX: usize = 64;
/// Runs whose cost is added up by one question, as of one user. Over it: 422.
pub const COST_RUNS_MAX: usize = 100_000;
/// Users or models whose costs are listed when `limit` is not given.
pub const COST_GROUPS_DEFAULT: usize = 100;
/// Users or models whose costs are listed.
pub const COST_GROUPS_MAX: usize = 1000;
/// Bytes of one frame that the client of a WebSocket sends. Over it the connection is closed.
pub const SOCKET_FRAME_BYTES_MAX: usize = 4 << 10;
/// Exports as Parquet at once. Over it: 503.
pub const PARQUET_EXPORTS_MAX: usize = 4;
/// Rows of one row group of an export as Parquet.
pub const PARQUET_GROUP_ROWS: usize = 65_536;
/// Bytes of values at which a row group of an export as Parquet is written.
pub const PARQUET_GROUP_BYTES: usize = 8 << 20;
/// Rows that a live tail looks at in one round: the newest. Over it: told as missed.
pub const TAIL_ROUND_ROWS: u64 = 65_536;
/// Bytes of rows that one round reads to decide, and once more of those that pass. Over it: told as missed.
pub const TAIL_ROUND_BYTES: u64 = 32 << 20;
/// Rows that one question is given in one round. Over it: told as missed.
pub const TAIL_PASSING_MAX: u64 = 1_024;
/// Bytes of the events that a live tail keeps of one question for those who are slow or come back.
pub const TAIL_RING_BYTES: usize = 512 << 10;
/// Bytes of the events of all questions: with more than 64 each keeps its share.
pub const TAIL_RINGS_BYTES: usize = 32 << 20;
/// Questions that are watched at once in one project. Over it: 503.
pub const TAIL_CHANNELS_MAX: usize = 512;
/// Connections that watch at once. Over it: 503.
pub const TAIL_WATCHERS_MAX: usize = 1024;
/// How long a live tail waits before it looks at what came meanwhile.
pub const TAIL_PACE_TIME: Duration = Duration::from_millis(100);
/// How long a question stays ready when nobody watches any more.
pub const TAIL_IDLE_TIME: Duration = Duration::from_secs(30);
/// How often a live tail says that it is there.
pub const TAIL_HEARTBEAT_TIME: Duration = Duration::from_secs(15);
/// How long one connection watches; it comes back and shows again who it is.
pub const TAIL_TIME_MAX: Duration = Duration::from_mins(15);
/// Events that are sent at once.
pub const TAIL_EVENTS_PER_PIECE: usize = 64;
/// Bytes of the events that are sent at once; one that is larger goes alone.
pub const TAIL_PIECE_BYTES: usize = 32 << 10;
/// Pieces that wait for a client.
pub const TAIL_PIECES_WAITING: usize = 2;
/// Parameters of a URL.
pub const PARAMS_MAX: usize = 256;
/// Facets of one request.
pub const FACETS_MAX: usize = 32;
/// Bytes of a cursor.
pub const CURSOR_BYTES_MAX: usize = 2 << 10;
/// Bytes of a trace id in a URL.
pub const TRACE_ID_BYTES_MAX: usize = 512;

/// Organizations of a data directory.
pub const ORGS_MAX: usize = 10_000;
/// Members of an organization.
pub const MEMBERS_PER_ORG_MAX: usize = 10_000;
/// Teams of an organization.
pub const TEAMS_PER_ORG_MAX: usize = 1000;
/// Invitations of an organization that are open.
pub const INVITATIONS_PER_ORG_MAX: usize = 1000;
/// How long an invitation may be taken up.
pub const INVITATION_TIME: Duration = Duration::from_hours(168);
/// Bytes of an e-mail address.
pub const EMAIL_BYTES_MAX: usize = 254;
/// Bytes of an organization's name in addresses.
pub const SLUG_BYTES_MAX: usize = 64;
/// Bytes of the address of an issuer.
pub const SSO_ISSUER_BYTES_MAX: usize = 512;
/// Projects of a data directory, deleted ones not included.
pub const PROJECTS_MAX: usize = 20_000;
/// Projects of an organization, deleted ones not included.
pub const PROJECTS_PER_ORG_MAX: usize = 1000;
/// Roles that people and teams have at one project.
pub const GRANTS_PER_PROJECT_MAX: usize = 1000;
/// Environments of a project.
pub const ENVIRONMENTS_PER_PROJECT_MAX: usize = 100;
/// Keys of a project that are neither revoked nor expired.
pub const KEYS_PER_PROJECT_MAX: usize = 1000;
/// Keys of an organization that are neither revoked nor expired.
pub const KEYS_PER_ORG_MAX: usize = 10_000;
/// Keys of a project that are revoked or expired and still shown; the oldest are forgotten.
pub const DEAD_KEYS_PER_PROJECT_MAX: usize = 1000;
/// Keys of a data directory that are neither revoked nor expired.
pub const KEYS_MAX: usize = 100_000;
/// Bytes of the name of a project, organization, team, environment or key.
pub const PROJECT_NAME_BYTES_MAX: usize = 128;
/// Shortest key that `OBSRV_BOOTSTRAP_KEY` may hold, in bytes.
pub const KEY_BYTES_MIN: usize = 8;
/// Longest key, in bytes.
pub const KEY_BYTES_MAX: usize = 256;
/// Names that requests give to projects, of which uses are counted one by one; more share one
/// count.
pub const NAMED_PROJECTS_MAX: usize = 1000;
/// How often it is written down which keys and sessions were used when, and which names requests
/// gave to projects. A crash forgets what was used since.
pub const USES_TIME: Duration = Duration::from_hours(1);
/// Bytes of the file that says so. A larger one is left out.
pub const USES_BYTES_MAX: usize = 64 << 20;
/// Sessions that the file says of when they were used; others end after a restart as if unused
/// since they began.
pub const USES_SESSIONS_MAX: usize = 1 << 20;
/// How long after its deletion the purge of a project begins: requests that were let in before are
/// over by then.
pub const PURGE_DELAY: Duration = Duration::from_mins(1);
/// How often it is looked for deleted projects.
pub const PURGE_TIME: Duration = Duration::from_secs(30);
/// How often what was deleted is taken off the disk: the log turns, what is in memory is flushed, and segments with
/// dead rows are written anew. So it is gone a day after the delete, and the time that the writing takes.
pub const DISK_PURGE_TIME: Duration = Duration::from_hours(24);
/// How often it is looked whether that is due, or over.
pub const DISK_PURGE_LOOK_TIME: Duration = Duration::from_mins(1);
/// Rows of a deleted project that are looked up at once.
pub const PURGE_PAGE_ROWS: usize = 1000;
/// Log lines or points that one record deletes.
pub const DELETE_ROWS_MAX: usize = 256;
/// Records of the audit log that one request looks at. Past it: an earlier end of the page.
pub const AUDIT_LOOK_MAX: usize = 10_000;
/// Organizations of a person in whose audit logs one record about that person stands.
pub const ORGS_PER_RECORD_MAX: usize = 64;
/// Connections of the admin socket at once.
pub const ADMIN_CONNECTIONS_MAX: usize = 16;
/// Bytes of a body on the admin socket.
pub const ADMIN_BODY_BYTES_MAX: usize = 64 << 10;
/// Users of one answer of the admin socket.
pub const ADMIN_USERS_MAX: usize = 500;
/// Bytes of all control events, which stay in memory and in the manifest. Over it: no more changes.
pub const CONTROL_LOG_BYTES_MAX: usize = 128 << 20;
/// The last of them, in which only ends are written: keys revoked, sessions ended, people disabled
/// or removed, projects and traces deleted.
pub const CONTROL_LOG_RESERVE_BYTES: usize = 16 << 20;
/// Bytes of control events of one organization but the first, ends not included. Over it: that
/// organization changes nothing more.
pub const CONTROL_LOG_BYTES_PER_ORG_MAX: usize = 16 << 20;
/// Bytes of control events that one person or key makes at a time, ends not included. Over it: 429.
pub const CONTROL_BYTES_PER_PRINCIPAL: usize = 1 << 20;
/// How long it takes until they may make another byte.
pub const CONTROL_BYTES_PER_PRINCIPAL_TIME: Duration = Duration::from_millis(20);
/// Bytes of one control event.
pub const CONTROL_EVENT_BYTES_MAX: usize = 72 << 10;

/// How long a request's redaction may take. Over it: 413.
pub const REDACTION_TIME_MAX: Duration = Duration::from_secs(10);
/// Redaction patterns of a project's own.
pub const REDACTION_PATTERNS_MAX: usize = 32;
/// Bytes of one such pattern.
pub const REDACTION_PATTERN_BYTES_MAX: usize = 1 << 10;
/// Bytes of one such pattern, and of all of a project together, when compiled.
pub const REDACTION_PATTERN_COMPILED_BYTES_MAX: usize = 1 << 20;
/// Bytes that stand where such a pattern matched.
pub const REDACTION_REPLACEMENT_BYTES_MAX: usize = 64;
/// Paths of each list of keys in redaction rules.
pub const REDACTION_PATHS_MAX: usize = 256;
/// Bytes of one such path.
pub const REDACTION_PATH_BYTES_MAX: usize = 256;
/// Bytes of a project's settings as JSON. Over it: 413.
pub const SETTINGS_BYTES_MAX: usize = 64 << 10;
/// Compiled redaction rules that are kept; those of other projects are compiled again when needed.
pub const REDACTORS_MAX: usize = 256;
/// Bytes of a request to try redaction rules. Over it: 413.
pub const PREVIEW_BYTES_MAX: usize = 256 << 10;
/// Longest retention, in days. The shortest is one.
pub const RETENTION_DAYS_MAX: u32 = 3650;
/// How often a project is looked at for traces that are older than it keeps them.
pub const RETENTION_TIME: Duration = Duration::from_hours(24);
/// A clock that has gone so much further than time did has jumped, and nothing expires for
/// [`CLOCK_SETTLE_TIME`].
pub const CLOCK_JUMP_TIME: Duration = Duration::from_hours(24);
/// The same of a start: how long nothing was noted before it.
pub const CLOCK_GAP_TIME: Duration = Duration::from_hours(24 * 30);
/// How long an operator has to mend a clock that has jumped before old rows are deleted by it.
pub const CLOCK_SETTLE_TIME: Duration = Duration::from_hours(24);
/// How exactly it is known when a row was received: traces may stay that much longer.
pub const RETENTION_MARK_TIME: Duration = Duration::from_hours(1);
/// How much of a rate may be used at once after silence, as time.
pub const RATE_BURST_TIME: Duration = Duration::from_secs(10);
/// How often counts of use are stored. After a crash at most what was counted since then is missing.
pub const USAGE_STEP_TIME: Duration = Duration::from_secs(10);
/// Counts of use that are stored at once, as one record; the others follow.
pub const USAGE_ROWS_MAX: usize = 1000;
/// Keys of a project whose use is counted apart in a month: the first. What more of them use counts as that of others.
pub const USAGE_KEYS_MAX: usize = 1000;
/// Triples of project, key and reason of which refusals are counted one by one; more share one count.
pub const REFUSALS_MAX: usize = 10_000;
/// Bytes of a plan's name.
pub const PLAN_NAME_BYTES_MAX: usize = 64;
/// Bytes of a client's report of its own use. Over it: 413.
pub const USAGE_BODY_BYTES_MAX: usize = 4 << 10;
/// Steps of a trace whose cost is told one by one; the sums count all.
pub const COST_STEPS_MAX: usize = 1_000;
/// Bytes of a file of prices. Over it: the server does not start.
pub const PRICE_FILE_BYTES_MAX: usize = 4 << 20;
/// Models of a table of prices. Over it: the server does not start.
pub const PRICE_MODELS_MAX: usize = 4_096;
/// Bytes that an archive may come to, all its files together, and that messages of a pool may. Over it: refused.
pub const ARCHIVE_BYTES_MAX: usize = DECODED_BYTES_MAX;
/// Files of an archive. Over it: refused.
pub const ARCHIVE_ENTRIES_MAX: usize = 16_384;
/// Bytes of a table's patterns once they are compiled. Over it: the server does not start.
pub const PRICE_PATTERNS_BYTES_MAX: usize = 64 << 20;
/// Names of models whose entry in a table is remembered; one more: all are forgotten.
pub const PRICE_NAMES_MAX: usize = 1_024;
/// Bytes of a model's name. A longer one has no price.
pub const PRICE_NAME_BYTES_MAX: usize = 256;
/// Bytes of an organization's own prices. Over it: 413.
pub const PRICES_BYTES_MAX: usize = 48 << 10;
/// Models of an organization's own prices. Over it: 413.
pub const PRICES_MODELS_MAX: usize = 256;
/// Bytes of an organization's own patterns once they are compiled. Over it: 413.
pub const PRICES_PATTERNS_BYTES_MAX: usize = 2 << 20;
/// How often it is looked whether what is stored has the prices that hold.
pub const PRICES_STEP_TIME: Duration = Duration::from_secs(2);
/// How long after a failure what is stored is not priced again.
pub const PRICES_RETRY_TIME: Duration = Duration::from_mins(1);
/// How long a remap waits when the log has no room for it.
pub const REMAP_RETRY_TIME: Duration = Duration::from_millis(100);
/// Pages that a remap looks at in one snapshot. Whoever takes a snapshot waits until runs are up to date, and while it is held, files
/// that were merged meanwhile stay.
pub const REMAP_SNAPSHOT_PAGES: usize = 64;
/// Rows that are looked at together when prices or the mapping have changed.
pub const SWEEP_PAGE_ROWS: usize = 256;
/// Bytes of their bodies. Over it: one at a time.
pub const SWEEP_PAGE_BYTES: u64 = 32 << 20;
/// Bytes of what an Obtrace client says of itself when it starts. Over it: 413.
pub const INIT_BODY_BYTES_MAX: usize = 16 << 10;
/// Bytes of an attachment, unless `--max-blob` says less. Over it: 413.
pub const BLOB_BYTES_MAX: u64 = 1 << 30;
/// Bytes of an attachment if `--max-blob` says nothing. Over it: 413.
pub const BLOB_BYTES_DEFAULT: u64 = 256 << 20;
/// Attachments of a trace. Over it: 400.
pub const BLOBS_PER_TRACE_MAX: usize = 1_000;
/// How often a row may say that an attachment was taken out of its trace. Over it: it says nothing.
pub const BLOB_ROUND_MAX: u64 = 1 << 32;
/// Bytes of the id of a trace that has attachments: it is part of the name of a file. Over it: 400.
pub const BLOB_TRACE_ID_BYTES_MAX: usize = 180;
/// Bytes of the name of an attachment, and of its declared type, its span and its field. Over it: 400.
pub const BLOB_NAME_BYTES_MAX: usize = 512;
/// Bytes of an attachment that are written or read at once; a request holds a few such pieces in memory.
pub const BLOB_PIECE_BYTES: usize = 256 << 10;
/// Such pieces that one request is charged for.
pub const BLOB_PIECES_HELD: usize = 4;
/// Bytes of an attachment that go to a bucket at once; larger ones go in parts.
pub const BLOB_UPLOAD_PART_BYTES: usize = 8 << 20;
/// How long one question to a bucket may take, tries included.
pub const BLOB_STORE_TIME_MAX: Duration = Duration::from_secs(30);
/// Locks that keep uploads and deletes of one trace apart; more traces than these share them.
pub const BLOB_LOCKS: usize = 256;
/// How long a request waits for uploads to its trace, or deletes from it, that go on. Over it: 503; media of OTLP stays in its
/// row.
pub const BLOB_LOCK_TIME_MAX: Duration = Duration::from_secs(3);
/// Bytes of a signed link.
pub const BLOB_LINK_BYTES_MAX: usize = 6 << 10;
/// How long a signed link lives if nobody says.
pub const BLOB_LINK_TIME_DEFAULT: Duration = Duration::from_hours(1);
/// How long a signed link may live. Over it: 400.
pub const BLOB_LINK_TIME_MAX: Duration = Duration::from_hours(24);
/// How old a file must be before the sweep removes it because no row refers to it.
pub const BLOB_GRACE_TIME: Duration = Duration::from_hours(1);
/// How long the sweep rests after it has seen every file.
pub const BLOB_SWEEP_TIME: Duration = Duration::from_hours(1);
/// How long it rests after each page of files.
pub const BLOB_SWEEP_STEP_TIME: Duration = Duration::from_secs(5);
/// Files of such a page.
pub const BLOB_SWEEP_KEYS: usize = 1_000;
/// Signs of base64, or bytes, from which on media in a value of a row that comes as OTLP becomes an attachment. Below it:
/// stays where it is.
pub const MEDIA_BYTES_MIN: usize = 64 << 10;
/// Different attachments that media in the values of one request becomes. Over it: what is in further rows stays where it is.
pub const MEDIA_PER_REQUEST_MAX: usize = 100;
/// Of them so many are put at once.
pub const MEDIA_PUTS_AT_ONCE: usize = 8;
/// How long a request puts files: less than clients wait for an answer. Over it: what is not there stays in its row.
pub const MEDIA_PUT_TIME_MAX: Duration = Duration::from_secs(5);
/// Bytes of values that are put back from attachments in one answer, or in one piece of an export. Over it: the value says
/// which attachment it means; in an export the row is a piece of its own, and whole.
pub const MEDIA_ANSWER_BYTES_MAX: u64 = 32 << 20;
/// Bytes of a request for a place to send media to, and of what is told of it later. Over it: 413.
pub const MEDIA_BODY_BYTES_MAX: usize = 64 << 10;

/// Users of a data directory, disabled ones included.
pub const USERS_MAX: usize = 100_000;
/// Bytes of a user's name.
pub const USER_NAME_BYTES_MAX: usize = 128;
/// Shortest password, in characters.
pub const PASSWORD_CHARS_MIN: usize = 12;
/// Longest password, in characters.
pub const PASSWORD_CHARS_MAX: usize = 256;
/// Longest password, in bytes.
pub const PASSWORD_BYTES_MAX: usize = 1024;
/// Password hashes that are made at once; each takes 19 MiB.
pub const HASHES_MAX: usize = 2;
/// Password hashes that are made or wait for their turn. Over it: 503.
pub const HASHES_WAITING_MAX: usize = 256;
/// Attempts to sign in to one account from one address (of IPv6: one /64) at a time, and letters to
/// it from anywhere. Over it: 429.
pub const ATTEMPTS_PER_ACCOUNT: u32 = 10;
/// How long it takes until an account takes another attempt or letter.
pub const ATTEMPTS_PER_ACCOUNT_TIME: Duration = Duration::from_mins(1);
/// Attempts to sign in to one account at a time, from all addresses together at which it was not
/// signed in to before. Over it: 429.
pub const ATTEMPTS_PER_ACCOUNT_EVERYWHERE: u32 = 100;
/// How long it takes until they may attempt again.
pub const ATTEMPTS_PER_ACCOUNT_EVERYWHERE_TIME: Duration = Duration::from_secs(6);
/// Attempts to sign in, or to use a link, from one address (of IPv6: one /64) at a time. Over it:
/// 429. Not counted where a proxy hides addresses.
pub const ATTEMPTS_PER_ADDRESS: u32 = 50;
/// How long it takes until an address may attempt again.
pub const ATTEMPTS_PER_ADDRESS_TIME: Duration = Duration::from_secs(5);
/// Counters of attempts, of accounts, letters and addresses each; more accounts than these share them.
pub const ATTEMPT_BUCKETS: usize = 1 << 14;
/// Sessions of one user; another one ends the oldest.
pub const SESSIONS_PER_USER_MAX: usize = 32;
/// How long a session lasts at most.
pub const SESSION_TIME_MAX: Duration = Duration::from_hours(7 * 24);
/// How long a session lasts without a request.
pub const SESSION_IDLE_TIME_MAX: Duration = Duration::from_hours(12);
/// How often sessions and links are looked at for their ends.
pub const SESSION_CHECK_TIME: Duration = Duration::from_mins(1);
/// Links that live at once.
pub const LINKS_MAX: usize = 10_000;
/// Links for one purpose that one address may have at once; another one ends the oldest.
pub const LINKS_PER_ADDRESS_MAX: usize = 3;
/// How long a link lives that shows that mail arrives.
pub const LINK_VERIFY_TIME: Duration = Duration::from_hours(3 * 24);
/// How long a link to a new password lives.
pub const LINK_RESET_TIME: Duration = Duration::from_hours(1);
/// How long the set-up link lives; a restart makes another.
pub const LINK_SETUP_TIME: Duration = Duration::from_hours(24);
/// Bytes of a file with a secret in it.
pub const SECRET_FILE_BYTES_MAX: usize = 64 << 10;
/// How often the files of TLS are looked at for a change; SIGHUP looks at once.
pub const TLS_CHECK_TIME: Duration = Duration::from_secs(5);
/// Requests for links that wait for the mail; more are forgotten, with a line in the log.
pub const MAIL_QUEUE_MAX: usize = 64;
/// How long sending one letter may take.
pub const MAIL_TIME_MAX: Duration = Duration::from_secs(30);
/// Bytes of one reply of the mail server.
pub const MAIL_REPLY_BYTES_MAX: usize = 4 << 10;
/// Providers by which people may sign in.
pub const PROVIDERS_MAX: usize = 16;
/// Bytes of an answer of a provider.
pub const OUTBOUND_BYTES_MAX: usize = 64 << 10;
/// How long one question to a provider may take.
pub const OUTBOUND_TIME_MAX: Duration = Duration::from_secs(10);
/// Bytes of an ID token.
pub const OIDC_TOKEN_BYTES_MAX: usize = 16 << 10;
/// Bytes of a subject, a code or a state.
pub const OIDC_TEXT_BYTES_MAX: usize = 255;
/// Keys of a provider.
pub const OIDC_KEYS_MAX: usize = 64;
/// How much a provider's clock may differ.
pub const OIDC_SKEW_TIME: Duration = Duration::from_mins(1);
/// How long a person may take at the provider.
pub const OIDC_FLOW_TIME: Duration = Duration::from_mins(10);
/// How long a provider's description and keys are kept.
pub const OIDC_CACHE_TIME: Duration = Duration::from_hours(1);
/// How soon keys are asked for again because a token names one that is not known.
pub const OIDC_KEYS_AGAIN_TIME: Duration = Duration::from_mins(1);
/// Flows that are remembered as used until their time is over.
pub const OIDC_STATES_MAX: usize = 10_000;
/// Bytes of a code that a provider sends back.
pub const OIDC_CODE_BYTES_MAX: usize = 2 << 10;
/// Bytes of a body of the routes under `/v1/auth`.
pub const SIGN_IN_BODY_BYTES_MAX: usize = 16 << 10;

/// Bytes of one line, or of a whole file that is not lines, of `obsrv import`.
pub const IMPORT_ITEM_BYTES_MAX: usize = 60 << 20;
/// Bytes of one answer that the command line reads.
pub const ANSWER_BYTES_MAX: usize = 64 << 20;
/// Bytes of one batch of `obsrv import`.
pub const IMPORT_BATCH_BYTES: usize = 4 << 20;
/// Lines of one batch of `obsrv import`.
pub const IMPORT_BATCH_LINES: usize = 500;
/// How often `obsrv import` sends a batch that was answered 503 or not at all.
pub const IMPORT_ATTEMPTS: u32 = 8;

#[cfg(test)]
mod tests;
