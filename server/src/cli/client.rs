//! A small HTTP/1.1 client for the command line: one connection, one request at a time.

use std::path::Path;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use crate::limits::ANSWER_BYTES_MAX;
use crate::net::unix::Address;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum ClientError {
    /// Nobody listens, or the connection broke.
    #[error("no connection")]
    Connect(#[from] std::io::Error),
    /// The connection broke, or what came is not HTTP.
    #[error("no answer")]
    Http(#[from] hyper::Error),
    /// The answer's body broke off or is too large.
    #[error("answer does not read reason={0}")]
    Answer(String),
}

/// An answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: Bytes,
}

/// A connection.
#[derive(Debug)]
pub(super) struct Client(SendRequest<Full<Bytes>>);

impl Client {
    /// To a server's address, `host:port`.
    pub(super) async fn tcp(address: &str) -> Result<Self, ClientError> {
        Self::over(TcpStream::connect(address).await?).await
    }

    /// To the admin socket of a data directory.
    pub(super) async fn admin(data: &Path) -> Result<Self, ClientError> {
        let address = Address::of(data)?;
        Self::over(UnixStream::connect(address.path()).await?).await
    }

    async fn over<S>(stream: S) -> Result<Self, ClientError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        // Its errors come out of `send`, too.
        tokio::spawn(async move { drop(connection.await) });
        Ok(Self(sender))
    }

    /// Sends a request; its answer is for the caller to read, piece by piece.
    pub(super) async fn stream(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, ClientError> {
        self.0.ready().await?;
        Ok(self.0.send_request(request).await?)
    }

    /// Sends a request and reads its answer.
    pub(super) async fn send(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<Answer, ClientError> {
        self.0.ready().await?;
        let answer = self.0.send_request(request).await?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX)
            .collect()
            .await
            .map_err(|e| ClientError::Answer(e.to_string()))?;
        Ok(Answer {
            status,
            body: body.to_bytes(),
        })
    }
}

/// What an error answer says: its message, or its status.
pub(super) fn message_of(answer: &Answer) -> String {
    let json: Option<serde_json::Value> = serde_json::from_slice(&answer.body).ok();
    let error = json.as_ref().map(|json| &json["error"]);
    let message = error.and_then(|e| e["message"].as_str());
    let message = message.map_or_else(|| format!("status {}", answer.status), str::to_owned);
    match error.and_then(|e| e["field"].as_str()) {
        Some(field) => format!("{field}: {message}"),
        None => message,
    }
}
