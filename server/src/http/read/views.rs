//! `…/views` and `…/traces/{trace}/comments`: what people keep and say.

mod kind;

use std::sync::Arc;

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::ask::{asked, check_only};
use super::path;
use super::trace::{run_of, trace_id};
use crate::control::Actor;
use crate::dialect::format_nanos;
use crate::http::access::{Access, TraceRead};
use crate::http::answers::Receipt;
use crate::http::audit::actor_text;
use crate::http::error::{ApiError, ErrorCode};
use crate::http::input::{InPath, Input};
use crate::http::params::Params;
use crate::http::routes::Routes;
use crate::http::{App, query};
use crate::signin::Users;
use crate::tenancy::views::{Comment, CommentHeld, SavedView, ViewHeld};

use kind::Kind;

/// Where the filter as JSON stands among the settings of a view that is stored.
const FILTER: &str = "$filter";

/// A view as it is sent.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NewView {
    /// For people.
    name: String,
    /// `traces`, `spans`, `scores`, `logs` or `points`: a search of such rows; or `dashboard`: charts, each over rows of its own.
    /// `traces` if not given.
    over: Option<String>,
    /// The filter.
    #[serde(default)]
    q: String,
    /// A filter as JSON, beside `q`.
    filter: Option<Value>,
    /// Earliest start, e.g. `-1h`.
    #[serde(default)]
    from: String,
    /// The start before which rows are.
    #[serde(default)]
    to: String,
    /// The order.
    #[serde(default)]
    sort: String,
    /// Keys shown.
    #[serde(default)]
    columns: Vec<String>,
    /// What else the pages of obsrv keep of it. Of a dashboard `charts`: a list of objects with `over`
    /// (`traces`, `spans`, `logs` or `points`) and `q`, and what each shows.
    #[serde(default)]
    settings: Map<String, Value>,
    /// Whether everybody who sees the project sees it.
    #[serde(default)]
    shared: bool,
}

impl NewView {
    fn saved(mut self, project: u64, view: u64, now_ns: i64) -> Result<SavedView, ApiError> {
        let kind = Kind::sent(self.over.as_deref(), &self.settings)?;
        if kind == Kind::Dashboard {
            kind::check_charts(&self.settings, now_ns)?;
        }
        // What narrows all charts of a dashboard is about traces, as the page has it.
        let over = kind.rows();
        asked(over, (Some(self.q.as_str()), self.filter.as_ref()), now_ns)?;
        if self.settings.contains_key(FILTER) {
            let message = format!("no name of a setting name={FILTER}");
            return Err(ApiError::parameter("settings", message));
        }
        if let Some(filter) = self.filter {
            self.settings.insert(FILTER.to_owned(), filter);
        }
        if !self.sort.is_empty() {
            over.order(&self.sort)?;
        }
        let settings = Value::Object(self.settings).to_string();
        Ok(SavedView {
            view,
            project,
            name: self.name,
            over: kind.as_str().to_owned(),
            q: self.q,
            from: self.from,
            to: self.to,
            sort: self.sort,
            columns: self.columns,
            settings: if settings == "{}" {
                String::new()
            } else {
                settings
            },
            is_shared: self.shared,
            owner: Actor::Nobody,
        })
    }
}

#[derive(Debug, Serialize, JsonSchema)]
struct ViewsShown {
    data: Vec<ViewShown>,
}

/// A saved view.
#[derive(Debug, Serialize, JsonSchema)]
struct ViewShown {
    id: u64,
    name: String,
    over: String,
    q: String,
    /// The filter as JSON beside `q`; null if there is none.
    filter: Value,
    from: String,
    to: String,
    sort: String,
    columns: Vec<String>,
    settings: Map<String, Value>,
    shared: bool,
    /// `user:5`, `key:2a` or `operator`.
    owner: String,
    /// Whether whoever asks made it.
    own: bool,
    updated_at: String,
}

impl ViewShown {
    fn of(held: &ViewHeld, asks: Actor) -> Self {
        let view = &held.view;
        let settings: Result<Map<String, Value>, _> = serde_json::from_str(&view.settings);
        let mut settings = settings.unwrap_or_default();
        let filter = settings.remove(FILTER);
        Self {
            id: view.view,
            name: view.name.clone(),
            over: Kind::of_stored(&view.over, &settings).to_owned(),
            q: view.q.clone(),
            filter: filter.unwrap_or(Value::Null),
            from: view.from.clone(),
            to: view.to.clone(),
            sort: view.sort.clone(),
            columns: view.columns.clone(),
            settings,
            shared: view.is_shared,
            owner: actor_text(view.owner),
            own: view.owner == asks,
            updated_at: format_nanos(held.at_ns),
        }
    }
}

/// A view or a comment was made.
#[derive(Debug, Serialize, JsonSchema)]
struct Made {
    id: u64,
    receipt: Receipt,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NewComment {
    /// What is said.
    text: String,
    /// About which span; about the trace if not given.
    span_id: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct CommentsShown {
    /// Oldest first.
    data: Vec<CommentShown>,
}

/// A comment.
#[derive(Debug, Serialize, JsonSchema)]
struct CommentShown {
    id: u64,
    span_id: Option<String>,
    text: String,
    /// `user:5`, `key:2a` or `operator`.
    author: String,
    /// What they are called, if they are a person who is there.
    author_name: Option<String>,
    at: String,
}

impl CommentShown {
    fn of(held: &CommentHeld, names: Option<&Users>) -> Self {
        let comment = &held.comment;
        let span_id = Some(&comment.span_id).filter(|id| !id.is_empty());
        let person = match held.author {
            Actor::User(user) => names.and_then(|users| users.get(user)),
            _ => None,
        };
        Self {
            id: comment.comment,
            span_id: span_id.cloned(),
            text: comment.text.clone(),
            author: actor_text(held.author),
            author_name: person.map(|user| user.name.to_string()),
            at: format_nanos(held.at_ns),
        }
    }
}

pub(super) fn add(routes: &mut Routes) {
    let (all, one) = (path("/views"), path("/views/{view}"));
    routes
        .get(&all, TraceRead, list)
        .asks(
            "over",
            "only those of this: rows of one kind, or `dashboard`",
        )
        .says("Saved views: one's own and shared ones.")
        .costs_nothing()
        .gives::<ViewsShown>();
    routes
        .post(&all, TraceRead, create)
        .says("Save a view. A shared one needs the right to write traces.")
        .costs_nothing()
        .takes::<NewView>()
        .gives::<Made>();
    routes
        .get(&one, TraceRead, show)
        .says("A saved view.")
        .costs_nothing()
        .gives::<ViewShown>();
    routes
        .put(&one, TraceRead, replace)
        .says("Put another view in the place of one.")
        .costs_nothing()
        .takes::<NewView>()
        .gives::<Made>();
    routes
        .delete(&one, TraceRead, delete)
        .says("Delete a view.")
        .costs_nothing()
        .gives::<Receipt>();
    let comments = path("/traces/{trace}/comments");
    routes
        .get(&comments, TraceRead, list_comments)
        .says("Comments on a trace, oldest first.")
        .gives::<CommentsShown>();
    routes
        .post(&comments, TraceRead, comment)
        .says("Comment on a trace or a span.")
        .takes::<NewComment>()
        .gives::<Made>();
    routes
        .delete(
            &format!("{comments}/{{comment}}"),
            TraceRead,
            delete_comment,
        )
        .says("Delete a comment.")
        .costs_nothing()
        .gives::<Receipt>();
}

async fn list(
    access: Access<TraceRead>,
    State(app): State<Arc<App>>,
    RawQuery(raw): RawQuery,
) -> Result<Response, ApiError> {
    let params = Params::parse(raw.as_deref().unwrap_or(""))?;
    check_only(&params, &["over"])?;
    let wanted = params.one("over")?;
    let wanted = wanted.map(|over| Kind::of(Some(over))).transpose()?;
    let (project, asks) = (access.tenant().project().0, access.by().actor);
    let data = app.core()?.directory().read(|state| {
        let views = state.views.of_project(project);
        let seen = views.filter(|held| held.view.is_shared || held.view.owner == asks);
        let shown = seen.map(|held| ViewShown::of(held, asks));
        let is_wanted = |shown: &ViewShown| wanted.is_none_or(|kind| kind.as_str() == shown.over);
        shown.filter(is_wanted).collect()
    });
    Ok(Json(ViewsShown { data }).into_response())
}

async fn show(
    access: Access<TraceRead>,
    State(app): State<Arc<App>>,
    place: InPath,
) -> Result<Response, ApiError> {
    let (project, asks) = (access.tenant().project().0, access.by().actor);
    let id = place.number("view")?;
    let found = app.core()?.directory().read(|state| {
        let held = state.views.get(project, id)?;
        let seen = held.view.is_shared || held.view.owner == asks;
        seen.then(|| ViewShown::of(held, asks))
    });
    let found = found.ok_or_else(|| ApiError::new(ErrorCode::NotFound, "no such view"))?;
    Ok(Json(found).into_response())
}

async fn create(
    access: Access<TraceRead>,
    State(app): State<Arc<App>>,
    Input(view): Input<NewView>,
) -> Result<Response, ApiError> {
    save(&access, &app, view, 0).await
}

async fn replace(
    access: Access<TraceRead>,
    State(app): State<Arc<App>>,
    place: InPath,
    Input(view): Input<NewView>,
) -> Result<Response, ApiError> {
    let id = place.number("view")?;
    if id == 0 {
        return Err(ApiError::new(ErrorCode::NotFound, "no such view"));
    }
    save(&access, &app, view, id).await
}

async fn save(
    access: &Access<TraceRead>,
    app: &Arc<App>,
    view: NewView,
    id: u64,
) -> Result<Response, ApiError> {
    let view = view.saved(access.tenant().project().0, id, app.clock.wall_ns())?;
    let saved = app.core()?.plane().save_view(access.by(), view).await?;
    let made = Made {
        id: saved.made,
        receipt: Receipt::of(saved.place),
    };
    let status = if id == 0 {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    Ok((status, Json(made)).into_response())
}

async fn delete(
    access: Access<TraceRead>,
    State(app): State<Arc<App>>,
    place: InPath,
) -> Result<Receipt, ApiError> {
    let (plane, project) = (app.core()?.plane(), access.tenant().project().0);
    let view = place.number("view")?;
    let deleted = plane.delete_view(access.by(), project, view).await?;
    Ok(Receipt::of(deleted.place))
}

async fn list_comments(
    access: Access<TraceRead>,
    State(app): State<Arc<App>>,
    place: InPath,
) -> Result<Response, ApiError> {
    let trace_id = trace_id(&place, "trace")?;
    let project = access.tenant().project().0;
    check_there(&access, &app, &trace_id).await?;
    let core = app.core()?;
    let held: Vec<CommentHeld> = core.directory().read(|state| {
        let held = state.views.of_trace(project, &trace_id);
        held.into_iter().cloned().collect()
    });
    let names = core.signin().map(|signin| &**signin.accounts.users());
    let data = held.iter().map(|held| CommentShown::of(held, names));
    let data = data.collect();
    Ok(Json(CommentsShown { data }).into_response())
}

/// The comments of a deleted trace are not shown.
async fn check_there(
    access: &Access<TraceRead>,
    app: &Arc<App>,
    trace_id: &str,
) -> Result<(), ApiError> {
    let store = app.core()?.store(access.tenant());
    let trace_id = trace_id.to_owned();
    let project = access.tenant().project();
    query::run(app, project, move |_| {
        run_of(&store.view(), &trace_id).map(drop)
    })
    .await
}

async fn comment(
    access: Access<TraceRead>,
    State(app): State<Arc<App>>,
    place: InPath,
    Input(new): Input<NewComment>,
) -> Result<Response, ApiError> {
    let trace_id = trace_id(&place, "trace")?;
    check_there(&access, &app, &trace_id).await?;
    let comment = Comment {
        comment: 0,
        project: access.tenant().project().0,
        trace_id,
        span_id: new.span_id.unwrap_or_default(),
        text: new.text,
    };
    let said = app.core()?.plane().comment(access.by(), comment).await?;
    let made = Made {
        id: said.made,
        receipt: Receipt::of(said.place),
    };
    Ok((StatusCode::CREATED, Json(made)).into_response())
}

async fn delete_comment(
    access: Access<TraceRead>,
    State(app): State<Arc<App>>,
    place: InPath,
) -> Result<Receipt, ApiError> {
    let trace_id = trace_id(&place, "trace")?;
    let (plane, project) = (app.core()?.plane(), access.tenant().project().0);
    let comment = place.number("comment")?;
    let of = (project, trace_id.as_str());
    let deleted = plane.delete_comment(access.by(), of, comment).await?;
    Ok(Receipt::of(deleted.place))
}
