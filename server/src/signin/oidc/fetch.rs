//! Asking a provider: to the hosts that the operator named, over TLS, no redirects, so many bytes in
//! so much time. Of what it answers nothing is passed on to whoever signs in.

use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use tokio::time::timeout;

use crate::limits::{OUTBOUND_BYTES_MAX, OUTBOUND_TIME_MAX};
use crate::net::outbound::{Private, Stream, connect};
use crate::serve::settings::is_loopback;

/// Why a provider was not heard.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// Not a URL, not over TLS, or of a host that nobody named.
    #[error("address is not one that the provider's settings allow")]
    NotAllowed,
    /// No connection, or it broke.
    #[error("provider does not answer")]
    Io(#[from] std::io::Error),
    /// What came is not HTTP, or too large.
    #[error("provider's answer does not read")]
    Answer,
    /// Anything but 200; a redirect, too.
    #[error("provider refused status={0}")]
    Status(StatusCode),
    /// It took longer than it may.
    #[error("provider takes too long")]
    Slow,
}

/// Asks one provider.
#[derive(Debug)]
pub(super) struct Fetch {
    private: Private,
    /// `host` or `host:port` that may be asked.
    hosts: Vec<String>,
}

/// A form to send.
#[derive(Debug)]
pub(super) struct Form {
    pub(super) body: String,
    pub(super) authorization: Option<String>,
}

impl Fetch {
    pub(super) const fn new(private: Private, hosts: Vec<String>) -> Self {
        Self { private, hosts }
    }

    /// Whether a URL may be asked, or a browser be sent there.
    pub(super) fn check(&self, url: &str) -> Result<Uri, FetchError> {
        let uri: Uri = url.parse().map_err(|_| FetchError::NotAllowed)?;
        let authority = uri.authority().map_or("", http::uri::Authority::as_str);
        let is_private = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => is_loopback(uri.host().unwrap_or("")),
            _ => false,
        };
        let is_named = self.hosts.iter().any(|host| host == authority);
        (is_private && is_named)
            .then_some(uri)
            .ok_or(FetchError::NotAllowed)
    }

    /// The body of a good answer.
    pub(super) async fn get(&self, url: &str) -> Result<Bytes, FetchError> {
        self.ask(url, None, OUTBOUND_TIME_MAX).await
    }

    /// The same, sending a form.
    pub(super) async fn post(&self, url: &str, form: Form) -> Result<Bytes, FetchError> {
        self.ask(url, Some(form), OUTBOUND_TIME_MAX).await
    }

    async fn ask(
        &self,
        url: &str,
        form: Option<Form>,
        within: Duration,
    ) -> Result<Bytes, FetchError> {
        let uri = self.check(url)?;
        let answer = timeout(within, self.exchange(&uri, form)).await;
        answer.unwrap_or(Err(FetchError::Slow))
    }

    async fn exchange(&self, uri: &Uri, form: Option<Form>) -> Result<Bytes, FetchError> {
        let host = uri.host().ok_or(FetchError::NotAllowed)?;
        let is_private = uri.scheme_str() == Some("https");
        let port = uri.port_u16().unwrap_or(if is_private { 443 } else { 80 });
        let stream = connect(host, port).await?;
        let stream: Box<dyn Stream> = if is_private {
            self.private.wrap(host, stream).await?
        } else {
            Box::new(stream)
        };
        let unread = |_| FetchError::Answer;
        let (mut sender, connection) = handshake(TokioIo::new(stream)).await.map_err(unread)?;
        // Ends with the sender.
        tokio::spawn(async move { drop(connection.await) });
        let answer = sender.send_request(request(uri, form)?);
        let answer = answer.await.map_err(unread)?;
        if answer.status() != StatusCode::OK {
            return Err(FetchError::Status(answer.status()));
        }
        let body = Limited::new(answer.into_body(), OUTBOUND_BYTES_MAX);
        let body = body.collect().await.map_err(|_| FetchError::Answer)?;
        Ok(body.to_bytes())
    }
}

fn request(uri: &Uri, form: Option<Form>) -> Result<Request<Full<Bytes>>, FetchError> {
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let authority = uri.authority().map_or("", http::uri::Authority::as_str);
    let mut request = Request::builder()
        .uri(path)
        .header(HOST, authority)
        .header(ACCEPT, "application/json");
    let body = match form {
        None => Bytes::new(),
        Some(form) => {
            request = request
                .method(Method::POST)
                .header(CONTENT_TYPE, "application/x-www-form-urlencoded");
            if let Some(authorization) = form.authorization {
                request = request.header(AUTHORIZATION, authorization);
            }
            Bytes::from(form.body)
        }
    };
    request
        .body(Full::new(body))
        .map_err(|_| FetchError::NotAllowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_named_hosts_over_tls() {
        let hosts = ["idp.example".to_owned(), "127.0.0.1:9".to_owned()];
        let fetch = Fetch::new(Private::new().unwrap(), hosts.to_vec());
        assert!(fetch.check("https://idp.example/a?b").is_ok());
        assert!(fetch.check("http://127.0.0.1:9/a").is_ok());
        for bad in [
            "http://idp.example/",
            "https://idp.example:444/",
            "https://idp.example.evil.example/",
            "https://idp.example@evil.example/",
            "https://evil@idp.example/",
            "https://evil.example/",
            "http://127.0.0.1:10/",
            "http://2130706433:9/",
            "ftp://idp.example/",
            "//idp.example/",
            "/",
            "",
        ] {
            assert!(fetch.check(bad).is_err(), "{bad}");
        }
    }
}
