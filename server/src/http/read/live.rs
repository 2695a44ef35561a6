//! `GET …/tail`: rows as they are made, as server-sent events.
//!
//! ```text
//! id: EPOCH-NUMBER          event: trace | span | …         data: the row as in lists
//! event: gap                data: {"missed":n|null}         rows that were not looked at, or are not kept
//! event: heartbeat          data: {}                        every 15 s
//! ```
//!
//! A connection ends after 15 minutes, so that whoever has lost the right to read is asked again; it
//! goes on with `Last-Event-ID`. An id of another process, another question, or of nobody, is answered with a gap.

mod rounds;

use std::fmt::Write;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use bytes::Bytes;
use http::HeaderMap;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};

use self::rounds::Rounds;
use super::ask::{OVER, Over, check_only, of_texts};
use super::path;
use crate::http::App;
use crate::http::access::{Access, TraceRead};
use crate::http::auth::Tenant;
use crate::http::error::{ApiError, ErrorCode};
use crate::http::params::Params;
use crate::http::pieces::Pieces;
use crate::http::routes::Routes;
use crate::http::tail::{News, Question, Reader, Watcher};
use crate::http::usage;
use crate::limits::{
    TAIL_EVENTS_PER_PIECE, TAIL_HEARTBEAT_TIME, TAIL_PIECE_BYTES, TAIL_PIECES_WAITING,
    TAIL_TIME_MAX,
};

const KNOWN: [&str; 4] = ["over", "q", "filter", AFTER];
/// For whoever can send no header, and does not reconnect by itself.
const AFTER: &str = "last_event_id";
const LAST_EVENT: &str = "last-event-id";

pub(super) fn add(routes: &mut Routes) {
    routes
        .get(&path("/tail"), TraceRead, tail)
        .costs_nothing()
        .says("Rows as they are made, as server-sent events: `trace`, `span`, `score`, `log` or `point`; `gap`, `heartbeat`.")
        .asks("q", "a filter, as in the search bar; relative times count from now")
        .asks("filter", "a filter as JSON, beside `q`")
        .asks(
            AFTER,
            "the id of the last event that an earlier connection got, as the header `Last-Event-ID` has it: what came since is told first",
        )
        .asks("over", OVER);
}

async fn tail(
    access: Access<TraceRead>,
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    RawQuery(raw): RawQuery,
) -> Result<Response, ApiError> {
    usage::admit_query(&app, access.tenant())?;
    let params = Params::parse(raw.as_deref().unwrap_or(""))?;
    check_only(&params, &KNOWN)?;
    let over = Over::of(&params)?;
    let text = |name| Ok::<_, ApiError>(params.one(name)?.unwrap_or("").to_owned());
    let asked = (text("q")?, text("filter")?);
    let after = last_event(&headers, params.one(AFTER)?);
    let watch = Watch::new(&app, access.tenant(), (over, asked), after)?;
    Ok(events(watch, move |text, said| put_event(text, over, said)))
}

/// Epoch and number of the last event that an earlier connection got: by its header, or by the parameter of those who
/// can send no header. What does not read was told by nobody here: something was missed.
pub(super) fn last_event(headers: &HeaderMap, parameter: Option<&str>) -> Option<(u64, u64)> {
    const NOBODYS: (u64, u64) = (0, 0);
    let header = headers.get(LAST_EVENT);
    let header = header.map(|value| value.to_str().unwrap_or("not text"));
    let text = header.or(parameter).filter(|text| !text.is_empty())?;
    let read = |text: &str| {
        let (epoch, number) = text.split_once('-')?;
        Some((epoch.parse().ok()?, number.parse().ok()?))
    };
    Some(read(text).unwrap_or(NOBODYS))
}

/// What whoever watches is told. Epoch and number tell where to go on after it.
#[derive(Clone, Debug)]
pub(super) enum Said {
    /// A row as JSON of one line.
    Row((u64, u64), Bytes),
    /// So many rows were touched and not looked at.
    Missed((u64, u64), u64),
    /// So many are not kept any more, or nobody knows how many.
    Gap(Option<u64>),
    /// Nothing for [`TAIL_HEARTBEAT_TIME`].
    Heartbeat,
}

/// Somebody who watches a question, for [`TAIL_TIME_MAX`].
#[derive(Debug)]
pub(super) struct Watch {
    reader: Reader,
    end: Instant,
    is_lost: bool,
    _watcher: Watcher,
}

impl Watch {
    /// Begins after the event that an earlier connection got last, or with what comes next.
    pub(super) fn new(
        app: &Arc<App>,
        tenant: &Tenant,
        (over, (q, filter)): (Over, (String, String)),
        after: Option<(u64, u64)>,
    ) -> Result<Self, ApiError> {
        let core = app.core()?;
        of_texts(over, (&q, &filter), app.clock.wall_ns())?;
        let project = tenant.project();
        let question = Question { over, q, filter };
        let tails = core.tails();
        let full = || ApiError::new(ErrorCode::Overloaded, "too many watch at once");
        let watcher = tails.watch().ok_or_else(full)?;
        let epoch = u64::try_from(app.clock.wall_ns()).unwrap_or(0);
        let store = core.store(tenant);
        let publish = |publisher| {
            let rounds = Rounds::new(Arc::clone(app), Arc::clone(tails), store, publisher);
            tokio::spawn(rounds.run());
        };
        let reader = tails.read((project, &question), after, epoch, publish);
        let reader = reader.ok_or_else(full)?;
        Ok(Self {
            is_lost: reader.is_lost(),
            reader,
            end: Instant::now() + TAIL_TIME_MAX,
            _watcher: watcher,
        })
    }

    /// What comes next, in order; nothing when the time is over. What was not awaited to the end is told
    /// by the next call.
    pub(super) async fn next(&mut self) -> Option<Vec<Said>> {
        if std::mem::take(&mut self.is_lost) {
            return Some(vec![Said::Gap(None)]);
        }
        loop {
            let (first, read) = self.reader.read((TAIL_EVENTS_PER_PIECE, TAIL_PIECE_BYTES));
            let mut said = Vec::new();
            if read.missed > 0 {
                said.push(Said::Gap(Some(read.missed)));
            }
            for (number, news) in (first..).zip(read.items) {
                let id = (self.reader.epoch(), number);
                said.push(match news {
                    News::Row(json) => Said::Row(id, json),
                    News::Missed(count) => Said::Missed(id, count),
                });
            }
            if Instant::now() >= self.end {
                return None;
            }
            if !said.is_empty() {
                return Some(said);
            }
            tokio::select! {
                heard = timeout(TAIL_HEARTBEAT_TIME, self.reader.wait()) => {
                    if heard.is_err() {
                        return Some(vec![Said::Heartbeat]);
                    }
                }
                () = sleep_until(self.end) => return None,
            }
        }
    }
}

/// An answer of server-sent events; `put` writes one.
pub(super) fn events(watch: Watch, put: impl Fn(&mut String, &Said) + Send + 'static) -> Response {
    let (sender, receiver) = mpsc::channel(TAIL_PIECES_WAITING);
    tokio::spawn(send(watch, sender, put));
    let mut response = Response::new(Body::new(Pieces(receiver)));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Sends what comes, until the client goes or the time is over.
async fn send(
    mut watch: Watch,
    sender: mpsc::Sender<Result<Bytes, ApiError>>,
    put: impl Fn(&mut String, &Said) + Send + 'static,
) {
    let mut text = String::from("retry: 1000\n\n");
    loop {
        if !text.is_empty() {
            let piece = Bytes::from(std::mem::take(&mut text));
            if sender.send(Ok(piece)).await.is_err() {
                return;
            }
        }
        tokio::select! {
            said = watch.next() => match said {
                Some(said) => said.iter().for_each(|said| put(&mut text, said)),
                None => return,
            },
            () = sender.closed() => return,
        }
    }
}

/// Writes one server-sent event.
pub(super) fn put(text: &mut String, args: std::fmt::Arguments<'_>) {
    text.write_fmt(args)
        .expect("BUG: writing to a string failed");
}

fn put_event(text: &mut String, over: Over, said: &Said) {
    match said {
        Said::Row((epoch, number), json) => {
            let kind = match over {
                Over::Traces => "trace",
                Over::Spans => "span",
                Over::Scores => "score",
                Over::Logs => "log",
                Over::Points => "point",
            };
            // JSON of one line: what would end the event is escaped in it.
            let json = String::from_utf8_lossy(json);
            put(
                text,
                format_args!("id: {epoch}-{number}\nevent: {kind}\ndata: {json}\n\n"),
            );
        }
        said => put_rest(text, said),
    }
}

/// What is told beside rows.
pub(super) fn put_rest(text: &mut String, said: &Said) {
    match said {
        Said::Row(..) => {}
        Said::Missed((epoch, number), count) => put(
            text,
            format_args!("id: {epoch}-{number}\nevent: gap\ndata: {{\"missed\":{count}}}\n\n"),
        ),
        Said::Gap(Some(missed)) => put(
            text,
            format_args!("event: gap\ndata: {{\"missed\":{missed}}}\n\n"),
        ),
        Said::Gap(None) => text.push_str("event: gap\ndata: {\"missed\":null}\n\n"),
        Said::Heartbeat => text.push_str("event: heartbeat\ndata: {}\n\n"),
    }
}
