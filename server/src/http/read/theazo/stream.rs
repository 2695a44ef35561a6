//! `GET /v1/agents/{agent}/logs/stream`, `GET /v1/logs/stream`: log lines as they come, as server-sent
//! events, or over a WebSocket if the client asks for one.
//!
//! ```text
//! event: log         data: {"id","timestamp","level","agentId","sessionId","message",…}
//! event: gap         data: {"missed":n|null}     lines that were not looked at, or are not kept
//! event: heartbeat   data: {}                    every 15 s
//! ```
//!
//! Over a WebSocket each is one message of text, with `type` beside what `data` has, and `eventId`, which `lastEventId` takes:
//! a browser's WebSocket can send no header.

use std::sync::Arc;

use axum::extract::{Path, RawQuery, Request, State};
use axum::response::Response;
use bytes::Bytes;
use serde_json::{Value, json};

use super::entry::Entry;
use super::filter::Lines;
use super::logs::{AFTER, OF_STREAM, asks_lines};
use super::socket;
use crate::http::App;
use crate::http::access::{Access, TraceRead};
use crate::http::error::ApiError;
use crate::http::params::Params;
use crate::http::read::ask::{Over, check_only};
use crate::http::read::live::{Said, Watch, events, last_event, put, put_rest};
use crate::http::routes::Routes;
use crate::http::usage;

pub(super) fn add(routes: &mut Routes) {
    for (path, of_agent) in [
        ("/v1/logs/stream", false),
        ("/v1/agents/{agent}/logs/stream", true),
    ] {
        let route = if of_agent {
            routes.get(path, TraceRead, of_one)
        } else {
            routes.get(path, TraceRead, of_all)
        };
        asks_lines(route)
            .costs_nothing()
            .asks("token", "the key, for clients that can send no header")
            .asks(
                AFTER,
                "`eventId` of the last message, or the id of the last event, that an earlier connection got, as the header `Last-Event-ID` has it: what came since is told first",
            )
            .says("Log lines as they come: server-sent events `log`, `gap` and `heartbeat`, or the same over a WebSocket.");
    }
}

async fn of_all(
    access: Access<TraceRead>,
    State(app): State<Arc<App>>,
    RawQuery(raw): RawQuery,
    request: Request,
) -> Result<Response, ApiError> {
    stream(access, app, (raw, Lines::default()), request)
}

async fn of_one(
    access: Access<TraceRead>,
    State(app): State<Arc<App>>,
    Path(agent): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let raw = request.uri().query().map(str::to_owned);
    stream(access, app, (raw, Lines { agent: Some(agent) }), request)
}

fn stream(
    access: Access<TraceRead>,
    app: Arc<App>,
    (raw, lines): (Option<String>, Lines),
    request: Request,
) -> Result<Response, ApiError> {
    usage::admit_query(&app, access.tenant())?;
    let params = Params::parse(raw.as_deref().unwrap_or(""))?;
    check_only(&params, &OF_STREAM)?;
    let q = lines.search(&params)?;
    let upgrade = socket::asked(access.principal(), request.headers())?;
    let after = last_event(request.headers(), params.one(AFTER)?);
    let asked = (Over::Logs, (q, String::new()));
    let watch = Watch::new(&app, access.tenant(), asked, after)?;
    match upgrade {
        Some(accept) => Ok(socket::answer(&accept, request, watch)),
        None => Ok(events(watch, put_event)),
    }
}

fn put_event(text: &mut String, said: &Said) {
    match said {
        Said::Row((epoch, number), line) => {
            let entry = entry(line);
            put(
                text,
                format_args!("id: {epoch}-{number}\nevent: log\ndata: {entry}\n\n"),
            );
        }
        said => put_rest(text, said),
    }
}

/// A message over a WebSocket.
pub(super) fn message(said: &Said) -> String {
    let message = match said {
        Said::Row((epoch, number), line) => {
            let mut message = entry(line);
            message["type"] = "log".into();
            message["eventId"] = format!("{epoch}-{number}").into();
            message
        }
        Said::Missed((epoch, number), missed) => {
            json!({ "type": "gap", "missed": missed, "eventId": format!("{epoch}-{number}") })
        }
        Said::Gap(missed) => json!({ "type": "gap", "missed": missed }),
        Said::Heartbeat => json!({ "type": "heartbeat" }),
    };
    message.to_string()
}

/// A line of the live tail in Theazo's words.
fn entry(line: &Bytes) -> Value {
    let row = serde_json::from_slice(line).unwrap_or_default();
    serde_json::to_value(Entry::of(&row)).unwrap_or_default()
}
