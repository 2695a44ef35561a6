//! The way of a body into the log, once its sender is let in: admit, read, decompress, decode, submit, wait.
//!
//! The room that the body holds, and its place among those that are worked on, go with it into the engine's callback, so
//! a client that hangs up frees nothing early. Small bodies are decoded on the network thread, larger ones on a blocking
//! thread, and only there may the engine write a side file. Rows with media in them go by way of `ingest/media.rs`.

mod media;
mod places;
mod turns;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::extract::Request;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use super::access::{Access, TraceWrite};
use super::admission::{self, Charge, Received};
use super::auth::Tenant;
use super::error::{ApiError, ErrorCode, READS_RETRY_TIME};
use super::store::Store;
use super::{App, governance, usage};
use crate::dialect::encoding::EncodingError;
use crate::dialect::import::{Format, archive};
use crate::dialect::{DecodeError, Decoded, Dialect, Item, Route, SniffError};
use crate::governance::Governance;
use crate::interpreter::{self, Encoding, Meaning};
use crate::limits::{
    ARCHIVE_BYTES_MAX, COMMIT_TIME_MAX, INGEST_WAIT_TIME_MAX, INLINE_DECODE_BYTES_MAX,
    INLINE_REDACT_BYTES_MAX,
};
use crate::offload::holds_media;
use crate::quota::Amounts;
use crate::redact::{Redactor, rows};
use crate::tenancy::Right;
use obsrv_engine::engine::{Done, Engine, Envelope, IngestError, Pressure, Receipt};
use obsrv_engine::row::Event;

pub(crate) use places::{Place, Places};
pub(crate) use turns::Bounds;

const NAMED_PROJECT: &str = "x-theta-project";
/// How often a request that waits for the log looks whether that waits for the disk.
const LOOK_TIME: Duration = Duration::from_millis(250);
const COMMIT_LOOKS: u128 = COMMIT_TIME_MAX.as_millis() / LOOK_TIME.as_millis();

/// What was made durable.
#[derive(Debug)]
pub(crate) struct Stored {
    /// How the body was read.
    pub(crate) dialect: Dialect,
    /// What became of its items.
    pub(crate) items: Vec<Item>,
    /// Whether anything of it was stored.
    pub(crate) is_empty: bool,
    /// Events of it that were taken: not every protocol lists items.
    events: u64,
}

impl Stored {
    /// How many items were refused.
    pub(crate) fn rejected(&self) -> u64 {
        u64::try_from(self.refused()).unwrap_or(u64::MAX)
    }

    fn refused(&self) -> usize {
        let is_refused = |item: &&Item| item.error.is_some();
        self.items.iter().filter(is_refused).count()
    }
}

/// The other end of a callback.
pub(crate) type Outcome = oneshot::Receiver<Result<Receipt, IngestError>>;

/// Everything about a request but its body's bytes.
struct Job {
    app: Arc<App>,
    store: Store,
    governance: Arc<Governance>,
    tenant: Tenant,
    route: Route,
    content_type: String,
    encoding: Encoding,
    subject: String,
    named_project: Option<String>,
    /// The project's rules, if it has any.
    redactor: Option<Arc<Redactor>>,
    /// Held until it is durable, whether or not anybody waits for that.
    locks: Option<Locks>,
}

/// What keeps others away from the files of a trace.
pub(crate) type Locks = Box<dyn Send + Sync>;

/// Stores a request; answers when it is durable. Counts what became of it.
pub(crate) async fn accept(
    app: &Arc<App>,
    access: &Access<TraceWrite>,
    request: Request,
    route: Route,
    subject: String,
) -> Result<Stored, ApiError> {
    let tenant = access.tenant();
    let stored = accept_uncounted(app, tenant, request, route, subject).await;
    match &stored {
        Ok(stored) => {
            app.metrics
                .items_accepted
                .fetch_add(stored.events, Ordering::Relaxed);
            app.metrics
                .items_rejected
                .fetch_add(stored.rejected(), Ordering::Relaxed);
            usage::count_refused_items(app, tenant, stored.rejected());
        }
        Err(error) => usage::count_refused(app, tenant, error),
    }
    stored
}

/// Stores what obsrv itself says of a project, in a body of its own making: JSON that has of the sender's words
/// what the project's rules leave.
pub(crate) async fn accept_own(
    app: &Arc<App>,
    tenant: &Tenant,
    body: Vec<u8>,
    locks: Option<Locks>,
) -> Result<(), ApiError> {
    let core = app.core()?;
    let charge = app.admission.charge_for(tenant.project().0, body.len())?;
    let job = Job {
        redactor: None,
        app: Arc::clone(app),
        store: core.store(tenant),
        governance: Arc::clone(core.governance()),
        tenant: tenant.clone(),
        route: Route::Own,
        content_type: "application/json".to_owned(),
        encoding: Encoding::Identity,
        subject: String::new(),
        named_project: None,
        locks,
    };
    let bytes = Bytes::from(body);
    let (_stored, outcome) = job.run(Received { bytes, charge }).await?;
    match outcome {
        Some(outcome) => wait(core.engine(), outcome).await.map(drop),
        None => Err(ApiError::new(ErrorCode::Internal, "nothing to store")),
    }
}

async fn accept_uncounted(
    app: &Arc<App>,
    tenant: &Tenant,
    request: Request,
    route: Route,
    subject: String,
) -> Result<Stored, ApiError> {
    let (parts, mut body) = request.into_parts();
    let core = app.core()?;
    let text_of = |name: &str| parts.headers.get(name).and_then(|v| v.to_str().ok());
    let announced = text_of("content-length").and_then(|v| v.parse().ok());
    usage::admit_send(app, tenant, announced.unwrap_or(0))?;
    let encoding = Encoding::of_header(text_of("content-encoding").unwrap_or(""))
        .map_err(|error| ApiError::new(ErrorCode::UnsupportedMedia, error.to_string()))?;
    let project = tenant.project().0;
    let mut received =
        admission::receive(&app.admission, project, &parts.headers, &mut body).await?;
    let redactor = governance::redactor_of(app, tenant).await?;
    let job = Job {
        redactor,
        app: Arc::clone(app),
        store: core.store(tenant),
        governance: Arc::clone(core.governance()),
        tenant: tenant.clone(),
        route,
        content_type: text_of(CONTENT_TYPE.as_str()).unwrap_or("").to_owned(),
        encoding,
        subject,
        named_project: text_of(NAMED_PROJECT).map(str::to_owned),
        locks: None,
    };
    // With the room that its body holds, so that others find less.
    if let Pressure::Slow(time) = core.engine().pressure_on(tenant.project()) {
        sleep(time).await;
    }
    // Who is refused in any case waits for nothing.
    job.store.admit()?;
    let bytes = encoding.likely_bytes(received.bytes.len());
    received.charge.work = Some(place(app, tenant, bytes).await?);
    let (stored, outcome) = job.run(received).await?;
    if let Some(outcome) = outcome {
        wait(core.engine(), outcome).await?;
    }
    Ok(stored)
}

/// A place in the work for a body of so many bytes.
async fn place(app: &App, tenant: &Tenant, bytes: usize) -> Result<Place, ApiError> {
    let project = tenant.project().0;
    app.ingest.enter(project, bytes, INGEST_WAIT_TIME_MAX).await
}

/// A callback for the engine and its other end.
pub(crate) fn outcome() -> (Done, Outcome) {
    let (sender, outcome) = oneshot::channel();
    let done = Box::new(move |result| {
        // The client may have gone: then nobody wants to know.
        let _ = sender.send(result);
    });
    (done, outcome)
}

/// Waits for the log: for [`COMMIT_TIME_MAX`] at most, and no longer than until the engine says that it waits for the
/// disk to read, which may take as long as somebody needs to mend that.
pub(crate) async fn wait(engine: &Engine, mut outcome: Outcome) -> Result<Receipt, ApiError> {
    let unknown = || {
        ApiError::new(
            ErrorCode::OutcomeUnknown,
            "outcome unknown; sending it again is safe",
        )
    };
    for _ in 0..COMMIT_LOOKS {
        match timeout(LOOK_TIME, &mut outcome).await {
            Ok(Ok(Ok(receipt))) => return Ok(receipt),
            Ok(Ok(Err(error))) => return Err(error.into()),
            // The engine dropped the callback.
            Ok(Err(_)) => return Err(unknown()),
            Err(_) if engine.is_unreadable() => return Err(unknown().after(READS_RETRY_TIME)),
            Err(_) => {}
        }
    }
    // The disk does not answer.
    Err(unknown())
}

/// What became of a body once it was read.
enum Step {
    /// Given to the engine, unless there is nothing in it.
    Done(Stored, Option<Outcome>),
    /// There is media in its rows.
    Media(Box<Ready>),
}

/// A request that may be given to the engine.
struct Ready {
    job: Job,
    dialect: Dialect,
    envelope: Envelope,
    items: Vec<Item>,
    events: Vec<Event>,
    body: Bytes,
    amounts: Amounts,
    charge: Charge,
    /// What is charged for.
    held_bytes: usize,
}

impl Ready {
    /// Logs the rows instead of the body.
    fn submit_rows(mut self) -> Result<Step, ApiError> {
        let (encoding, body) = interpreter::body_of_rows(&self.events);
        self.body = body;
        self.envelope.dialect = rows::DIALECT_NUMBER;
        self.envelope.encoding = encoding.number();
        // What it was is in the rows, as far as the rules leave it there.
        self.envelope.subject = String::new();
        self.submit()
    }

    /// Gives it to the engine.
    fn submit(self) -> Result<Step, ApiError> {
        let Self {
            job,
            dialect,
            envelope,
            items,
            events,
            body,
            amounts,
            charge,
            ..
        } = self;
        let taken_events = amounts.spans;
        let taken = usage::take(&job.app, &job.tenant, amounts)?;
        let (done, outcome) = outcome();
        let (governance, tenant) = (Arc::clone(&job.governance), job.tenant.clone());
        let locks = job.locks;
        let done = Box::new(move |result| {
            drop((charge, locks));
            // Of an unknown outcome the counts stay: it may well be stored.
            if matches!(&result, Err(error) if *error != IngestError::OutcomeUnknown) {
                usage::give_back(&governance, &tenant, taken);
            }
            done(result);
        });
        job.store.submit(envelope, body, events, done);
        let stored = Stored {
            dialect,
            items,
            is_empty: false,
            events: taken_events,
        };
        Ok(Step::Done(stored, Some(outcome)))
    }
}

impl Job {
    async fn run(self, received: Received) -> Result<(Stored, Option<Outcome>), ApiError> {
        let inline_max = match self.redactor {
            None => INLINE_DECODE_BYTES_MAX,
            Some(_) => INLINE_REDACT_BYTES_MAX,
        };
        let step = if self.encoding.likely_bytes(received.bytes.len()) <= inline_max {
            self.run_guarded(received)
        } else {
            tokio::task::spawn_blocking(move || self.run_guarded(received))
                .await
                .unwrap_or_else(|_| Err(ApiError::new(ErrorCode::Internal, "decoding was cut off")))
        };
        match step? {
            Step::Done(stored, outcome) => Ok((stored, outcome)),
            Step::Media(ready) => media::store(*ready).await,
        }
    }

    /// A panic while decoding would come again with the same body: that is a 500 and a log line,
    /// not a dropped connection that makes the client send it again for ever.
    fn run_guarded(self, received: Received) -> Result<Step, ApiError> {
        catch_unwind(AssertUnwindSafe(|| self.decode_and_submit(received))).unwrap_or_else(|_| {
            Err(ApiError::new(
                ErrorCode::Internal,
                "a fault of obsrv in reading this body",
            ))
        })
    }

    fn decode_and_submit(self, received: Received) -> Result<Step, ApiError> {
        // Reading a body costs more than storing it: while flushes are behind, those who try again would take the time of these.
        self.store.admit()?;
        let Received { bytes, mut charge } = received;
        let plain = self.decompress(&bytes, &mut charge)?;
        if self.route == Route::Import(Format::Inspect) && plain.starts_with(archive::SIGN) {
            // What comes out of it, and its traces.
            charge.grow_to(plain.len().saturating_add(2 * ARCHIVE_BYTES_MAX))?;
        }
        let received_ns = self.app.clock.wall_ns();
        let (dialect, decoded) = self.read(&plain, received_ns)?;
        let plain_bytes = plain.len();
        drop(plain);
        let held_bytes = bytes.len().saturating_add(decoded.held_bytes());
        charge.set_to(held_bytes)?;
        if decoded.events.is_empty() {
            let stored = Stored {
                dialect,
                items: decoded.items,
                is_empty: true,
                events: 0,
            };
            return Ok(Step::Done(stored, None));
        }
        self.check_project()?;
        let envelope = self.envelope(dialect, received_ns, &decoded);
        let Decoded { events, items, .. } = decoded;
        let is_ruled = self.redactor.is_some();
        // The rules decide over media where they read rows.
        let has_media =
            !is_ruled && self.app.core()?.blobs().is_ok() && events.iter().any(holds_media);
        let ready = Ready {
            amounts: Amounts::of_request(&events, plain_bytes),
            job: self,
            dialect,
            envelope,
            items,
            events,
            body: bytes,
            charge,
            held_bytes,
        };
        if has_media {
            return Ok(Step::Media(Box::new(ready)));
        }
        if is_ruled {
            ready.submit_rows()
        } else {
            ready.submit()
        }
    }

    /// What the body says, without what the project's rules take out of it.
    fn read(&self, plain: &Bytes, received_ns: i64) -> Result<(Dialect, Decoded), ApiError> {
        let dialect =
            crate::dialect::sniff(&self.content_type, self.route, plain).map_err(|error| {
                let code = match error {
                    SniffError::ContentType(_) | SniffError::NotForm(_) => {
                        ErrorCode::UnsupportedMedia
                    }
                    SniffError::Keys { .. } => ErrorCode::InvalidRequest,
                };
                self.refusal(code, error.to_string())
            })?;
        let meaning = Meaning {
            dialect,
            project: self.tenant.project(),
            subject: &self.subject,
            received_ns,
            key_id: self.tenant.key_id(),
        };
        let unread = |e: DecodeError| self.refusal(ErrorCode::InvalidRequest, e.to_string());
        let Some(redactor) = &self.redactor else {
            let decoded = interpreter::read(meaning, plain).map_err(unread)?;
            return Ok((dialect, decoded));
        };
        let hash = redactor.body_hash(plain);
        let decoded = interpreter::read_hashed(meaning, plain, hash).map_err(unread)?;
        let redacted = redactor.decoded(decoded, &governance::give_up(&self.app));
        let decoded =
            redacted.map_err(|error| ApiError::new(ErrorCode::TooLarge, error.to_string()))?;
        Ok((dialect, decoded))
    }

    /// An error that quotes the body only where the project has no rules.
    fn refusal(&self, code: ErrorCode, message: String) -> ApiError {
        match self.redactor {
            None => ApiError::new(code, message),
            Some(_) => ApiError::new(code, Redactor::refusal()),
        }
    }

    /// The plain bytes. The charge grows to what the body and its plain form need, and as much again
    /// for its events, whose size is not known yet.
    fn decompress(&self, body: &Bytes, charge: &mut Charge) -> Result<Bytes, ApiError> {
        let max = self.app.decoded_bytes_max;
        let first = self.encoding.likely_bytes(body.len()).min(max);
        // A second time only if the first guess was too small.
        for limit in [first, max] {
            charge.grow_to(body.len().saturating_add(limit.saturating_mul(2)))?;
            match interpreter::decompress(self.encoding, body, limit) {
                Ok(plain) => return Ok(plain),
                Err(EncodingError::TooLarge { .. }) => {}
                Err(error @ EncodingError::Corrupt { .. }) => {
                    return Err(ApiError::new(ErrorCode::InvalidRequest, error.to_string()));
                }
                Err(error @ EncodingError::Unsupported(_)) => {
                    return Err(ApiError::new(
                        ErrorCode::UnsupportedMedia,
                        error.to_string(),
                    ));
                }
            }
        }
        let message = format!("decoded body too large max_bytes={max}");
        Err(ApiError::new(ErrorCode::TooLarge, message))
    }

    /// What was taken while the body came counts: a project that was deleted or archived takes nothing
    /// more, a key that was revoked sends nothing more.
    fn check_project(&self) -> Result<(), ApiError> {
        let now_ns = self.app.clock.wall_ns();
        self.tenant
            .recheck(self.app.core()?, Right::TraceWrite, now_ns)
    }

    fn envelope(&self, dialect: Dialect, received_ns: i64, decoded: &Decoded) -> Envelope {
        let named = decoded
            .named_project
            .as_deref()
            .or(self.named_project.as_deref());
        let named = named.filter(|name| !self.tenant.is_called(name));
        let named = named.map(|name| match &self.redactor {
            None => name.to_owned(),
            Some(redactor) => redactor.text(name),
        });
        let named = named.as_deref();
        if let (Some(name), Ok(core)) = (named, self.app.core()) {
            core.directory().count_named(self.tenant.project(), name);
        }
        let refused = decoded.items.iter().filter(|item| item.error.is_some());
        Envelope {
            project: self.tenant.project().0,
            key_id: self.tenant.key_id(),
            dialect: dialect.number(),
            encoding: self.encoding.number(),
            mapping: crate::dialect::MAPPING_VERSION,
            received_ns,
            subject: self.subject.clone(),
            named_project: named.map(str::to_owned),
            rejected: refused
                .filter_map(|item| u32::try_from(item.index).ok())
                .collect(),
            digest: decoded.digest,
        }
    }
}

/// The answer to a request that holds one thing: what it became, or a 400 if nothing of it could
/// be taken.
pub(crate) fn single(stored: Stored) -> Result<Value, ApiError> {
    let refused: Vec<&Item> = stored
        .items
        .iter()
        .filter(|item| item.error.is_some())
        .collect();
    if let (true, Some(first)) = (stored.is_empty, refused.first()) {
        let reason = first.error.clone().unwrap_or_default();
        return Err(ApiError::new(ErrorCode::InvalidRequest, reason)
            .at(format!("{} {}", first.kind, first.index)));
    }
    let trace_id = stored
        .items
        .iter()
        .find_map(|item| item.trace_id.as_deref());
    let mut answer = json!({ "status": "accepted", "trace_id": trace_id });
    if let Some(id) = stored.items.iter().find_map(|item| item.id.as_deref()) {
        answer["id"] = id.into();
    }
    if !refused.is_empty() {
        answer["rejected"] = refused
            .iter()
            .map(|item| json!({ "index": item.index, "kind": item.kind, "error": item.error }))
            .collect();
    }
    Ok(answer)
}
