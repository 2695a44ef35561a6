//! An attachment on its way in: admit, spool, put, then the record of the row. Answered when both are durable.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::extract::Request;
use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use serde::Serialize;
use serde_json::json;

use super::receive::{announced, receive, refuse_when_full, refused};
use super::shown::held;
use crate::blob::Blobs;
use crate::blob::key::{ContentHash, Owner};
use crate::blob::link::Wanted;
use crate::blob::reference::Reference;
use crate::blob::sniff;
use crate::blob::spool::Spooled;
use crate::http::auth::Tenant;
use crate::http::error::{ApiError, ErrorCode};
use crate::http::ingest::{self, Locks};
use crate::http::params::Params;
use crate::http::{App, governance, query, usage};
use crate::limits::{BLOB_NAME_BYTES_MAX, BLOB_TRACE_ID_BYTES_MAX, BLOBS_PER_TRACE_MAX};
use crate::quota::Amounts;
use crate::redact::{Media, Redactor};

/// What stands in the place of media in a project that keeps none.
pub(super) const REPLACED: &str = "[media]";

/// What is said of an attachment beside its bytes.
#[derive(Debug, Default)]
pub(super) struct Incoming {
    /// The trace, as the sender calls it.
    pub(super) trace_id: String,
    pub(super) wanted: Wanted,
}

impl Incoming {
    /// What the URL and the head say; the trace is still to be told.
    pub(super) fn of(params: &Params, headers: &HeaderMap) -> Result<Self, ApiError> {
        let text = |name| params.one(name).map(|text| text.map(str::to_owned));
        let declared = headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok());
        Ok(Self {
            trace_id: String::new(),
            wanted: Wanted {
                name: text("name")?,
                span_id: text("span_id")?,
                field: text("field")?,
                declared_type: declared.map(str::to_owned),
                ..Wanted::default()
            },
        })
    }

    pub(super) fn check(&self) -> Result<(), ApiError> {
        let wanted = &self.wanted;
        for (name, text) in [
            ("name", &wanted.name),
            ("content-type", &wanted.declared_type),
            ("span_id", &wanted.span_id),
            ("field", &wanted.field),
        ] {
            if text
                .as_ref()
                .is_some_and(|text| text.len() > BLOB_NAME_BYTES_MAX)
            {
                let message = format!("too long max_bytes={BLOB_NAME_BYTES_MAX}");
                return Err(ApiError::parameter(name, message));
            }
        }
        Ok(())
    }

    /// The same with what the project's rules leave of it.
    fn redacted(self, redactor: Option<&Redactor>) -> Self {
        let Some(redactor) = redactor else {
            return self;
        };
        let Wanted {
            name,
            declared_type,
            span_id,
            field,
            upload,
            size,
            sha256,
        } = self.wanted;
        let text = |text: Option<String>| text.map(|text| redactor.text(&text));
        Self {
            trace_id: redactor.id(&self.trace_id).into_owned(),
            wanted: Wanted {
                name: text(name),
                declared_type: text(declared_type),
                span_id: span_id.map(|id| redactor.id(&id).into_owned()),
                field: text(field),
                upload,
                size,
                sha256,
            },
        }
    }
}

/// What became of it.
pub(super) enum Taken {
    /// Durable, in this trace.
    Stored(String, Box<Reference>),
    /// The project's rules replace media: nothing was stored.
    Replaced,
}

/// Takes an attachment. Counts what became of it.
pub(super) async fn take(
    app: &Arc<App>,
    tenant: &Tenant,
    incoming: Incoming,
    request: Request,
) -> Result<Taken, ApiError> {
    let (parts, mut body) = request.into_parts();
    let taken = match admit(app, tenant, incoming, &parts.headers, &mut body).await {
        Ok(None) => Ok(Taken::Replaced),
        Ok(Some((incoming, spooled))) => store(app, tenant, incoming, spooled).await,
        Err(error) => Err(error),
    };
    if let Err(error) = &taken {
        usage::count_refused(app, tenant, error);
    }
    taken
}

/// Everything before the bytes are put; `None` if they are not to be kept.
async fn admit(
    app: &Arc<App>,
    tenant: &Tenant,
    incoming: Incoming,
    headers: &HeaderMap,
    body: &mut axum::body::Body,
) -> Result<Option<(Incoming, Spooled)>, ApiError> {
    let blobs = app.core()?.blobs()?;
    usage::admit_send(app, tenant, announced(headers).unwrap_or(0))?;
    incoming.check()?;
    let redactor = governance::redactor_of(app, tenant).await?;
    match redactor.as_ref().map(|redactor| redactor.media()) {
        None | Some(Media::Keep) => {}
        Some(Media::Replace) => return Ok(None),
        Some(Media::Refuse) => {
            let message = "the project's redaction rules refuse media";
            return Err(ApiError::new(ErrorCode::Forbidden, message));
        }
    }
    let incoming = incoming.redacted(redactor.as_deref());
    let spooled = receive(app, (tenant, blobs), headers, body).await?;
    let wanted = &incoming.wanted;
    let is_size = wanted.size.is_none_or(|size| size == spooled.len());
    let is_hash = wanted.sha256.is_none_or(|hash| hash == spooled.hash().0);
    if !is_size || !is_hash {
        let message = "body is not what the link is for: another length or another sha-256";
        return Err(ApiError::new(ErrorCode::InvalidRequest, message));
    }
    Ok(Some((incoming, spooled)))
}

/// The owner of a trace's blobs.
pub(super) fn owner(tenant: &Tenant, trace_id: &str) -> Result<Owner, ApiError> {
    Owner::new(tenant.project(), trace_id).ok_or_else(|| {
        let message = format!(
            "trace id is empty or too long for attachments max_bytes={BLOB_TRACE_ID_BYTES_MAX}"
        );
        ApiError::parameter("trace_id", message)
    })
}

async fn store(
    app: &Arc<App>,
    tenant: &Tenant,
    incoming: Incoming,
    spooled: Spooled,
) -> Result<Taken, ApiError> {
    let core = app.core()?;
    let blobs = Arc::clone(core.blobs()?);
    let owner = owner(tenant, &incoming.trace_id)?;
    let mut reference = reference(incoming.wanted, &spooled);
    let amounts = Amounts {
        bytes: spooled.len(),
        ..Amounts::default()
    };
    // Until the row is durable nobody removes what it does not refer to yet.
    let shared = shared_lock(&blobs, &owner).await?;
    reference.round = round_of(app, tenant, &incoming.trace_id, &reference).await?;
    let taken = usage::take(app, tenant, amounts)?;
    let key = owner.blob(spooled.hash());
    let of_put = Arc::clone(&blobs);
    let put = tokio::task::spawn_blocking(move || of_put.store().put_once(&key, spooled)).await;
    let put = put.map_err(|_| ApiError::new(ErrorCode::Internal, "writing was cut off"));
    let stored = match put.and_then(|done| done.map_err(|error| refused(&error))) {
        Ok(()) => {
            let trace_id = &incoming.trace_id;
            refer((app, tenant), trace_id, &reference, shared).await
        }
        Err(error) => Err(error),
    };
    match stored {
        Ok(()) => {
            let tally = core.blobs()?.tally();
            tally.kept.fetch_add(1, Ordering::Relaxed);
            tally.kept_bytes.fetch_add(amounts.bytes, Ordering::Relaxed);
            Ok(Taken::Stored(incoming.trace_id, Box::new(reference)))
        }
        Err(error) => {
            if error.code != ErrorCode::OutcomeUnknown {
                usage::give_back(core.governance(), tenant, taken);
            }
            Err(error)
        }
    }
}

fn reference(wanted: Wanted, spooled: &Spooled) -> Reference {
    Reference {
        id: spooled.hash().id(),
        sha256: spooled.hash(),
        content_type: sniff::content_type(spooled.head()).to_owned(),
        size: spooled.len(),
        declared_type: wanted.declared_type,
        name: wanted.name,
        span_id: wanted.span_id,
        field: wanted.field,
        upload: wanted.upload,
        round: 0,
    }
}

/// The lock of a trace that uploads to it share.
pub(super) async fn shared_lock(blobs: &Blobs, owner: &Owner) -> Result<Locks, ApiError> {
    let shared = blobs.shared_locks(std::slice::from_ref(owner)).await;
    Ok(Box::new(shared.ok_or_else(busy)?))
}

pub(super) fn busy() -> ApiError {
    let message = "attachments of this trace are being put or removed, nothing stored: try again";
    ApiError::new(ErrorCode::Overloaded, message)
}

/// Writes to the run's row that it has the blob, or has it no more. The lock is held until that is durable, even if whoever
/// asked goes away: else what is noted here might be done after what another one finds.
pub(super) async fn refer(
    (app, tenant): (&Arc<App>, &Tenant),
    trace_id: &str,
    what: &(impl Serialize + Sync),
    locks: Locks,
) -> Result<(), ApiError> {
    let body = json!({ "trace_id": trace_id, "blob": what }).to_string();
    ingest::accept_own(app, tenant, body.into_bytes(), Some(locks)).await
}

/// Takes an attachment that came with something else, whose sender is let in, in a project without rules.
pub(in crate::http) async fn keep(
    app: &Arc<App>,
    tenant: &Tenant,
    trace_id: &str,
    wanted: Wanted,
    bytes: Bytes,
) -> Result<(), ApiError> {
    let incoming = Incoming {
        trace_id: trace_id.to_owned(),
        wanted,
    };
    incoming.check()?;
    let blobs = Arc::clone(app.core()?.blobs()?);
    let max = blobs.terms().bytes_max;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > max {
        let message = format!("attachment too large max_bytes={max}");
        return Err(ApiError::new(ErrorCode::TooLarge, message));
    }
    refuse_when_full(app, &blobs, u64::try_from(bytes.len()).unwrap_or(u64::MAX))?;
    let spool = move || {
        let mut spooling = blobs.spool().begin()?;
        spooling.write(&bytes)?;
        spooling.finish()
    };
    let spooled = tokio::task::spawn_blocking(spool).await;
    let spooled = spooled.map_err(|_| ApiError::new(ErrorCode::Internal, "writing was cut off"))?;
    let spooled = spooled.map_err(|error| refused(&error))?;
    store(app, tenant, incoming, spooled).await.map(drop)
}

/// How often the bytes were taken out of the run before, if it has room for one more.
async fn round_of(
    app: &Arc<App>,
    tenant: &Tenant,
    trace_id: &str,
    new: &Reference,
) -> Result<u64, ApiError> {
    let (store, trace_id) = (app.core()?.store(tenant), trace_id.to_owned());
    let known = query::run(app, tenant.project(), move |_| held(&store, &trace_id)).await?;
    let known = known.unwrap_or_default();
    let round = known.round(new.sha256);
    let new = Reference {
        round,
        ..new.clone()
    };
    if known.has_room(&new) {
        return Ok(round);
    }
    let message = format!("trace has too many attachments max={BLOBS_PER_TRACE_MAX}");
    Err(ApiError::new(ErrorCode::InvalidRequest, message))
}

/// What stands for a trace where its sender named none.
pub(super) fn trace_of_one(hash: ContentHash) -> String {
    format!("media_{}", hash.id())
}
