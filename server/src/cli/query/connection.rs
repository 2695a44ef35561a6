//! A connection to the server that a query goes to, and the project that it is about.

use bytes::Bytes;
use http::{Request, Uri};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use serde_json::Value;

use super::{QueryArgs, QueryError};
use crate::cli::client::{Answer, Client, ClientError, message_of};
use crate::keys::KeyString;
use crate::limits::ANSWER_BYTES_MAX;

/// Where the server is.
#[derive(Debug)]
enum Place {
    Address {
        authority: String,
        prefix: String,
        key: String,
    },
    Socket(std::path::PathBuf),
}

/// A connection that asks about one project.
#[derive(Debug)]
pub(super) struct Connection {
    place: Place,
    client: Client,
    project: u64,
}

/// An answer that comes in pieces.
#[derive(Debug)]
pub(super) struct Pieces(Incoming);

impl Pieces {
    /// The next piece; nothing after the last.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, ClientError> {
        while let Some(frame) = self.0.frame().await {
            if let Ok(piece) = frame?.into_data() {
                return Ok(Some(piece));
            }
        }
        Ok(None)
    }
}

impl Connection {
    pub(super) async fn open(args: &QueryArgs) -> Result<Self, QueryError> {
        let place = match &args.url {
            None => Place::Socket(args.data.clone()),
            Some(url) => {
                let key = args.key.as_deref().ok_or(QueryError::NoKey)?;
                Place::of(url, key)?
            }
        };
        let client = place.connect().await?;
        let mut connection = Self {
            place,
            client,
            project: 0,
        };
        connection.project = match args.project {
            Some(project) => project,
            None => connection.only_project().await?,
        };
        Ok(connection)
    }

    /// Another connection to the same place.
    pub(super) async fn again(&mut self) -> Result<(), QueryError> {
        self.client = self.place.connect().await?;
        Ok(())
    }

    /// That of the key, or the only one that there is.
    async fn only_project(&mut self) -> Result<u64, QueryError> {
        let me = self.whole("/v1/me").await?;
        if let Some(project) = me["project"].as_u64() {
            return Ok(project);
        }
        let all = self.whole("/v1/projects").await?;
        let items = all["items"].as_array().into_iter().flatten();
        let ids: Vec<u64> = items.filter_map(|item| item["id"].as_u64()).collect();
        match ids.as_slice() {
            [only] if all["next"].is_null() => Ok(*only),
            ids => {
                let ids: Vec<String> = ids.iter().map(u64::to_string).collect();
                Err(QueryError::Project(ids.join(",")))
            }
        }
    }

    /// An answer about the project, as JSON.
    pub(super) async fn json(&mut self, path: &str) -> Result<Value, QueryError> {
        let path = format!("/v1/projects/{}{path}", self.project);
        self.whole(&path).await
    }

    async fn whole(&mut self, path: &str) -> Result<Value, QueryError> {
        let request = self.request(path, None)?;
        let answer = self.client.send(request).await?;
        if !answer.status.is_success() {
            return Err(QueryError::Refused(message_of(&answer)));
        }
        serde_json::from_slice(&answer.body)
            .map_err(|_| QueryError::Refused("an answer that is not json".into()))
    }

    /// An answer about the project, piece by piece; `after` is the last event that was got.
    pub(super) async fn stream(
        &mut self,
        path: &str,
        after: Option<&str>,
    ) -> Result<Pieces, QueryError> {
        let path = format!("/v1/projects/{}{path}", self.project);
        let request = self.request(&path, after)?;
        let answer = self.client.stream(request).await?;
        let status = answer.status();
        if status.is_success() {
            return Ok(Pieces(answer.into_body()));
        }
        let body = http_body_util::Limited::new(answer.into_body(), ANSWER_BYTES_MAX);
        let body = body.collect().await;
        let body = body
            .map_err(|e| ClientError::Answer(e.to_string()))?
            .to_bytes();
        Err(QueryError::Refused(message_of(&Answer { status, body })))
    }

    fn request(&self, path: &str, after: Option<&str>) -> Result<Request<Full<Bytes>>, QueryError> {
        let mut request = Request::get(path);
        request = match &self.place {
            Place::Socket(_) => request.header("host", "admin"),
            Place::Address {
                authority,
                prefix,
                key,
            } => Request::get(format!("{prefix}{path}"))
                .header("host", authority)
                .header("x-api-key", key),
        };
        if let Some(after) = after {
            request = request.header("last-event-id", after);
        }
        let request = request.body(Full::new(Bytes::new()));
        request.map_err(|e| QueryError::Refused(e.to_string()))
    }
}

impl Place {
    fn of(url: &str, key: &str) -> Result<Self, QueryError> {
        let bad = || QueryError::Url(url.to_owned());
        let uri: Uri = url.parse().map_err(|_| bad())?;
        let authority = uri.authority().ok_or_else(bad)?;
        if uri.scheme_str() != Some("http") {
            return Err(bad());
        }
        let port = authority.port_u16().unwrap_or(80);
        Ok(Self::Address {
            authority: format!("{}:{port}", authority.host()),
            prefix: uri.path().trim_end_matches('/').to_owned(),
            key: KeyString::parse(key.trim())?.reveal().to_owned(),
        })
    }

    async fn connect(&self) -> Result<Client, ClientError> {
        match self {
            Self::Socket(data) => Client::admin(data).await,
            Self::Address { authority, .. } => Client::tcp(authority).await,
        }
    }
}
