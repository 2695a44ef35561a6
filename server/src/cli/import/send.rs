//! Batches → requests, sent again while the server says "later".

use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode, Uri};
use http_body_util::Full;
use serde_json::Value;
use tokio::time::sleep;

use super::ImportError;
use super::lines::Kind;
use crate::cli::client::{Answer, Client, ClientError, message_of};
use crate::dialect::import::archive;
use crate::keys::KeyString;
use crate::limits::IMPORT_ATTEMPTS;

/// The first wait between two attempts; each further one is twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(250);

/// What the server made of a batch.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// Why it took nothing.
    pub(super) refused: Option<String>,
    /// Items that it did not take, by place, and why.
    pub(super) items: Vec<(usize, String)>,
    /// Spans, log records or points that it did not take.
    pub(super) rejected: u64,
    /// Items of a file that it took.
    pub(super) accepted: u64,
    message: String,
}

impl Outcome {
    /// What was wrong, if anything was.
    pub(super) fn problem(self) -> Option<String> {
        let first = self.items.into_iter().next().map(|(_, problem)| problem);
        self.refused
            .or(first)
            .or((self.rejected > 0).then_some(self.message))
    }
}

/// Sends batches to one server.
#[derive(Debug)]
pub(super) struct Sender {
    authority: String,
    prefix: String,
    key: String,
    client: Option<Client>,
    /// Whether the server was ever there.
    was_reached: bool,
}

impl Sender {
    pub(super) fn new(url: &str, key: &str) -> Result<Self, ImportError> {
        let bad = || ImportError::Url(url.to_owned());
        let uri: Uri = url.parse().map_err(|_| bad())?;
        let authority = uri.authority().ok_or_else(bad)?;
        if uri.scheme_str() != Some("http") {
            return Err(bad());
        }
        let port = authority.port_u16().unwrap_or(80);
        Ok(Self {
            authority: format!("{}:{port}", authority.host()),
            prefix: uri.path().trim_end_matches('/').to_owned(),
            key: KeyString::parse(key)?.reveal().to_owned(),
            client: None,
            was_reached: false,
        })
    }

    /// Sends a body until it is answered for good. Tells `say` why it waits. A server that was
    /// never there is not waited for.
    pub(super) async fn send(
        &mut self,
        kind: Kind,
        body: &[u8],
        say: &dyn Fn(&str),
    ) -> Result<Outcome, ImportError> {
        let mut wait = FIRST_WAIT;
        for attempt in 1.. {
            let answer = self.once(kind, body).await;
            self.was_reached |= answer.is_ok();
            let is_last = attempt >= IMPORT_ATTEMPTS || !self.was_reached;
            let why = match answer {
                Ok(answer) if is_later(answer.status) && !is_last => message_of(&answer),
                Ok(answer) => return read(kind, &answer),
                Err(error) if is_last => return Err(error.into()),
                Err(_) => {
                    self.client = None;
                    "server does not answer".to_owned()
                }
            };
            say(&format!("{why}; trying again in {} ms", wait.as_millis()));
            sleep(wait).await;
            wait *= 2;
        }
        Ok(Outcome::default())
    }

    async fn once(&mut self, kind: Kind, body: &[u8]) -> Result<Answer, ClientError> {
        let (path, content_type) = match kind {
            Kind::Theta => ("/v1/imports/traces", "application/x-ndjson"),
            Kind::Otlp(signal) => (signal.path(), "application/json"),
            Kind::File(form) if body.starts_with(archive::SIGN) => {
                (form.path().unwrap_or("/v1/traces"), "application/zip")
            }
            Kind::File(form) => (form.path().unwrap_or("/v1/traces"), "application/json"),
        };
        let request = Request::post(format!("{}{path}", self.prefix))
            .header("host", &self.authority)
            .header("x-api-key", &self.key)
            .header("content-type", content_type)
            .body(Full::new(Bytes::copy_from_slice(body)))
            .map_err(|e| ClientError::Answer(e.to_string()))?;
        let mut client = match self.client.take() {
            Some(client) => client,
            None => Client::tcp(&self.authority).await?,
        };
        let answer = client.send(request).await?;
        self.client = Some(client);
        Ok(answer)
    }
}

fn is_later(status: StatusCode) -> bool {
    matches!(status.as_u16(), 429 | 502 | 503 | 504)
}

fn read(kind: Kind, answer: &Answer) -> Result<Outcome, ImportError> {
    if !answer.status.is_success() {
        let message = message_of(answer);
        // Nothing about the data: every other batch would meet the same.
        if matches!(answer.status.as_u16(), 401 | 403 | 404 | 405)
            || answer.status.is_server_error()
        {
            return Err(ImportError::Refused(message));
        }
        return Ok(Outcome {
            refused: Some(message),
            ..Outcome::default()
        });
    }
    let json: Value = serde_json::from_slice(&answer.body)
        .map_err(|_| ImportError::Refused("an answer that is not json".into()))?;
    let mut outcome = Outcome::default();
    match kind {
        Kind::Theta => {
            for item in json["items"].as_array().into_iter().flatten() {
                if let Some(error) = item["error"].as_str() {
                    let place = item["index"].as_u64().and_then(|n| usize::try_from(n).ok());
                    outcome.items.push((place.unwrap_or(0), error.to_owned()));
                }
            }
        }
        Kind::File(_) => read_file(&json, &mut outcome),
        Kind::Otlp(_) => {
            let partial = &json["partialSuccess"];
            let named = ["rejectedSpans", "rejectedLogRecords", "rejectedDataPoints"];
            let rejected = named.iter().find_map(|name| partial[name].as_str());
            outcome.rejected = rejected.and_then(|n| n.parse().ok()).unwrap_or(0);
            let message = partial["errorMessage"].as_str();
            message.unwrap_or_default().clone_into(&mut outcome.message);
        }
    }
    Ok(outcome)
}

/// What became of a file: `items` of an import, `errors` of a Langfuse batch; otherwise all of it was taken.
fn read_file(json: &Value, outcome: &mut Outcome) {
    let items = json["items"].as_array().or(json["errors"].as_array());
    for item in items.into_iter().flatten() {
        if let Some(error) = item["error"].as_str() {
            let place = item["index"].as_u64().and_then(|n| usize::try_from(n).ok());
            outcome.items.push((place.unwrap_or(0), error.to_owned()));
        }
    }
    let count = |all: &Value| all.as_array().and_then(|all| u64::try_from(all.len()).ok());
    let partial = &json["partialSuccess"];
    if let Some(rejected) = partial["rejectedSpans"].as_str() {
        let message = partial["errorMessage"].as_str().unwrap_or_default();
        outcome
            .items
            .push((0, format!("spans refused={rejected} {message}")));
    }
    let accepted = json["accepted"].as_u64().or(count(&json["successes"]));
    outcome.accepted = accepted.unwrap_or(1);
}
