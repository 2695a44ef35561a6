//! `GET` and `PUT /v1/projects/{project}/settings`, `POST …/redaction/preview`.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use bytes::Bytes;
use obsrv_engine::doc::{DocRef, DocWriter};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::access::{Access, ProjectEdit, SettingsRead};
use super::admission::NOBODY;
use super::answers::{Changed, Receipt};
use super::auth::Tenant;
use super::error::{ApiError, ErrorCode};
use super::input::parse;
use super::routes::Routes;
use super::{App, admission};
use crate::dialect::{JSON_DEPTH_MAX, doc_json, format_micros, read_json};
use crate::governance::{Governance, ProjectSettings, Revised, SetError};
use crate::limits::{PREVIEW_BYTES_MAX, REDACTION_TIME_MAX, SETTINGS_BYTES_MAX};
use crate::redact::{Redactor, Rules};

pub(super) fn add(routes: &mut Routes) {
    let settings = "/v1/projects/{project}/settings";
    routes
        .get(settings, SettingsRead, show)
        .says("Settings of a project: redaction, rates, retention.")
        .gives::<Shown>();
    routes
        .put(settings, ProjectEdit, change)
        .says("Change the settings of a project.")
        .takes::<Change>()
        .gives::<Changed<Shown>>();
    routes
        .post(
            "/v1/projects/{project}/redaction/preview",
            ProjectEdit,
            preview,
        )
        .says("Say what redaction rules would do to a text or a document.")
        .takes::<PreviewAsked>()
        .gives::<Previewed>();
}

/// A body of at most `max` bytes.
pub(super) async fn small_body(app: &App, request: Request, max: usize) -> Result<Bytes, ApiError> {
    let (parts, mut body) = request.into_parts();
    let over = || {
        ApiError::new(
            ErrorCode::TooLarge,
            format!("body too large max_bytes={max}"),
        )
    };
    let announced = parts.headers.get(http::header::CONTENT_LENGTH);
    let announced = announced.and_then(|v| v.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|n| n > max) {
        return Err(over());
    }
    let received = admission::receive(&app.admission, NOBODY, &parts.headers, &mut body).await?;
    if received.bytes.len() > max {
        return Err(over());
    }
    Ok(received.bytes)
}

/// Settings of a project.
#[derive(Debug, Serialize, JsonSchema)]
struct Shown {
    /// How often they were changed.
    revision: u64,
    /// When they were changed last.
    changed_at: Option<String>,
    /// What they are.
    settings: ProjectSettings,
}

impl Shown {
    fn of(revised: &Revised) -> Self {
        Self {
            revision: revised.revision,
            changed_at: (revised.revision > 0).then(|| format_micros(revised.at_ns)),
            settings: revised.settings.clone(),
        }
    }
}

/// Other settings of a project.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Change {
    /// Of the settings that the change was made from.
    revision: u64,
    /// What they are to be.
    settings: ProjectSettings,
}

async fn show(
    access: Access<SettingsRead>,
    State(app): State<Arc<App>>,
) -> Result<Json<Shown>, ApiError> {
    let project = access.tenant().project();
    Ok(Json(Shown::of(&app.core()?.governance().of(project))))
}

async fn change(
    access: Access<ProjectEdit>,
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Json<Changed<Shown>>, ApiError> {
    let (governance, tenant) = (app.core()?.governance(), access.tenant());
    let body = small_body(&app, request, SETTINGS_BYTES_MAX).await?;
    let change: Change = parse(&body)?;
    if let Some(rules) = change.settings.redaction.clone() {
        check_rules(governance, tenant, rules).await?;
    }
    let (project, revision) = (tenant.project(), change.revision);
    let (revised, place) = governance
        .set(access.by(), project, revision, change.settings)
        .await?;
    tracing::info!(
        project = project.0,
        revision = revised.revision,
        "settings changed"
    );
    Ok(Json(Changed {
        shown: Shown::of(&revised),
        receipt: Receipt::of(place),
    }))
}

/// Compiles rules off the network thread, to see whether they can be.
async fn check_rules(
    governance: &Arc<Governance>,
    tenant: &Tenant,
    rules: Rules,
) -> Result<(), ApiError> {
    let (governance, project) = (Arc::clone(governance), tenant.project());
    let compiled = tokio::task::spawn_blocking(move || governance.compile(project, &rules)).await;
    let compiled =
        compiled.map_err(|_| ApiError::new(ErrorCode::Internal, "compiling rules was cut off"))?;
    compiled.map_err(|error| SetError::Invalid(error.into()))?;
    Ok(())
}

impl From<SetError> for ApiError {
    fn from(error: SetError) -> Self {
        let text = error.to_string();
        match error {
            SetError::Revision(_) => Self::new(ErrorCode::Conflict, text).at("revision"),
            SetError::Invalid(error) => {
                Self::new(ErrorCode::InvalidRequest, text).at(format!("settings.{}", error.field()))
            }
            SetError::Change(error) => error.into(),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Preview<'a> {
    rules: Option<Rules>,
    text: Option<String>,
    #[serde(borrow)]
    document: Option<&'a RawValue>,
}

/// The same for documents.
#[derive(JsonSchema)]
#[schemars(rename = "Preview")]
#[expect(dead_code, reason = "only its schema is used")]
struct PreviewAsked {
    /// The project's own when it is not given.
    rules: Option<Rules>,
    /// Either a text or a document.
    text: Option<String>,
    /// An object.
    document: Option<Map<String, Value>>,
}

/// What rules do to a text or a document.
#[derive(Serialize, JsonSchema)]
struct Previewed {
    /// How often each detector, pattern or list of keys found something.
    found: Value,
    /// Whether the row would be refused.
    refused: bool,
    /// As it was given.
    before: Value,
    /// As it would be stored; null if it would be refused.
    after: Option<Value>,
    /// Time to compile the rules.
    compile_micros: u64,
    /// Time to apply them.
    micros: u64,
}

/// Says what rules would do to a text or a document. Nothing is stored or logged.
async fn preview(
    access: Access<ProjectEdit>,
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Json<Previewed>, ApiError> {
    let tenant = access.tenant().clone();
    let body = small_body(&app, request, PREVIEW_BYTES_MAX).await?;
    let tried = tokio::task::spawn_blocking(move || try_out(&app, &tenant, &body)).await;
    let cut_off = |_| ApiError::new(ErrorCode::Internal, "the preview was cut off");
    tried.map_err(cut_off)?.map(Json)
}

fn try_out(app: &App, tenant: &Tenant, body: &[u8]) -> Result<Previewed, ApiError> {
    let preview: Preview<'_> = parse(body)?;
    let governance = app.core()?.governance();
    let settings = governance.of(tenant.project());
    let rules = preview
        .rules
        .as_ref()
        .or(settings.settings.redaction.as_ref());
    let rules = rules.ok_or_else(|| ApiError::parameter("rules", "the project has no rules"))?;
    let began = app.clock.mono_ns();
    let redactor = governance
        .compile(tenant.project(), rules)
        .map_err(|error| {
            ApiError::new(ErrorCode::InvalidRequest, error.to_string())
                .at(format!("rules.{}", error.field()))
        })?;
    let compiled = app.clock.mono_ns();
    let doc = sample(&preview)?;
    let (after, found) = redactor
        .try_on(&doc, &give_up(app))
        .map_err(|error| ApiError::new(ErrorCode::TooLarge, error.to_string()))?;
    let ended = app.clock.mono_ns();
    Ok(Previewed {
        found: json!(found),
        refused: after.is_none(),
        before: plain(&doc, &preview)?,
        after: after.as_ref().map(|doc| plain(doc, &preview)).transpose()?,
        compile_micros: compiled.saturating_sub(began) / 1000,
        micros: ended.saturating_sub(compiled) / 1000,
    })
}

const TEXT: &str = "text";

/// The sample as a row's document would hold it.
fn sample(preview: &Preview<'_>) -> Result<Bytes, ApiError> {
    match (&preview.text, preview.document) {
        (Some(text), None) => {
            let mut out = DocWriter::new();
            let open = out.begin_map();
            out.key(TEXT);
            out.str(text);
            out.end(open);
            Ok(Bytes::from(out.finish()))
        }
        (None, Some(document)) if document.get().starts_with('{') => {
            read_json(document.get().as_bytes(), JSON_DEPTH_MAX)
                .map(Bytes::from)
                .map_err(|error| ApiError::parameter("document", error.problem))
        }
        _ => Err(ApiError::parameter(
            "text",
            "give either text, or document as an object",
        )),
    }
}

/// The sample again as JSON.
fn plain(doc: &Bytes, preview: &Preview<'_>) -> Result<Value, ApiError> {
    let unread = || ApiError::new(ErrorCode::Internal, "a document does not read");
    let value = DocRef::parse(doc).map_err(|_| unread())?;
    let shown = if preview.text.is_some() {
        value.get(TEXT)
    } else {
        Some(value)
    };
    let text = doc_json::to_text(shown.ok_or_else(unread)?);
    serde_json::from_str(&text).map_err(|_| unread())
}

/// Whether redaction that began now has taken too long.
pub(super) fn give_up(app: &App) -> impl Fn() -> bool + use<> {
    let clock = Arc::clone(&app.clock);
    let began = clock.mono_ns();
    let max = u64::try_from(REDACTION_TIME_MAX.as_nanos()).unwrap_or(u64::MAX);
    move || clock.mono_ns().saturating_sub(began) > max
}

/// A project's rules, or why no row can be taken. Compiles off the network thread.
pub(super) async fn redactor_of(
    app: &Arc<App>,
    tenant: &Tenant,
) -> Result<Option<Arc<Redactor>>, ApiError> {
    let project = tenant.project();
    let governance = Arc::clone(app.core()?.governance());
    if let Some(redactor) = governance.redactor_at_hand(project) {
        return Ok(redactor);
    }
    let fault = |why: String| {
        let message = format!("redaction rules do not compile: {why}");
        ApiError::new(ErrorCode::Internal, message)
    };
    let compiled = tokio::task::spawn_blocking(move || governance.redactor(project)).await;
    compiled
        .map_err(|_| fault("cut off".to_owned()))?
        .map_err(|error| fault(error.to_string()))
}

#[cfg(test)]
mod tests;
