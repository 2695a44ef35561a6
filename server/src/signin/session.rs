//! Sessions as browsers carry them: the cookie, and the signs that a request comes from our own
//! pages.

use std::sync::Arc;

use http::header::{COOKIE, HOST, ORIGIN};
use http::{HeaderMap, HeaderName, HeaderValue, Method as HttpMethod};

use super::event::{Method, TokenMac};
use super::token::{self, Token};
use super::users::{SessionId, UserId, Users};
use crate::keys::Macs;
use crate::limits::SESSION_TIME_MAX;

/// The session's cookie. The prefix makes browsers refuse it without `Secure`, with a `Domain` and
/// from another host, so no neighbour can plant one.
pub const COOKIE_NAME: &str = "__Host-obsrv";
/// A header that no form and no link can send: what changes something needs it, with any value.
pub const CSRF_HEADER: HeaderName = HeaderName::from_static("x-obsrv-request");
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// A session that has just begun: its cookie is sent once.
#[derive(Debug)]
pub struct NewSession {
    /// Its public id.
    pub id: SessionId,
    /// Whose.
    pub user: UserId,
    pub(super) token: Token,
}

impl NewSession {
    /// `Set-Cookie` that starts it in the browser.
    pub fn cookie(&self) -> HeaderValue {
        cookie(self.token.reveal(), SESSION_TIME_MAX.as_secs())
    }
}

/// `Set-Cookie` that ends it in the browser.
pub fn no_cookie() -> HeaderValue {
    cookie("", 0)
}

fn cookie(value: &str, seconds: u64) -> HeaderValue {
    let text =
        format!("{COOKIE_NAME}={value}; Path=/; Max-Age={seconds}; Secure; HttpOnly; SameSite=Lax");
    HeaderValue::try_from(text).expect("BUG: cookie is not a header value")
}

/// Who a request's cookie stands for.
#[derive(Clone, Debug)]
pub struct Sessions {
    users: Arc<Users>,
    macs: Macs,
}

impl Sessions {
    pub(super) const fn new(users: Arc<Users>, macs: Macs) -> Self {
        Self { users, macs }
    }

    pub(super) fn mac(&self, token: &Token) -> TokenMac {
        self.macs.mac(token.reveal().as_bytes())
    }

    /// The user, session and method of a request's cookie, if the session goes on and the user may
    /// sign in. Counts as use of the session.
    pub fn principal(
        &self,
        headers: &HeaderMap,
        now_ns: i64,
    ) -> Option<(UserId, SessionId, Method)> {
        let token = Token::parse(cookie_of(headers, COOKIE_NAME)?)?;
        let session = self.users.see(&self.mac(&token), now_ns)?;
        Some((session.user, session.id, session.method))
    }
}

/// The value of a cookie; none if it is there twice, which is someone's trick.
pub(super) fn cookie_of<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let all = headers.get_all(COOKIE).iter();
    let mut values = all
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(|(known, _)| *known == name)
        .map(|(_, value)| value);
    let value = values.next()?;
    (values.next().is_none() && value.len() <= 4 * token::CHARS).then_some(value)
}

/// Where our own pages are.
#[derive(Clone, Debug, Default)]
pub struct Origins {
    public: Option<String>,
}

/// A page of someone else may have sent the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "request does not come from a page of this server; send x-obsrv-request from its own origin"
)]
pub struct Forged;

impl Origins {
    /// Pages of this origin, as in `https://obsrv.example.org`; without one, of whatever host the
    /// request names.
    pub const fn new(public: Option<String>) -> Self {
        Self { public }
    }

    /// Refuses a request that may be forged: one that changes something and does not show that
    /// our own page sent it. The one check of all cookie-authenticated routes.
    pub fn refuse_forged(&self, method: &HttpMethod, headers: &HeaderMap) -> Result<(), Forged> {
        if method == HttpMethod::GET || method == HttpMethod::HEAD {
            return Ok(());
        }
        let site = headers.get(FETCH_SITE).map(HeaderValue::as_bytes);
        let is_same_site = site.is_none_or(|site| site == b"same-origin");
        let origin = headers.get(ORIGIN).map(HeaderValue::to_str);
        let is_ours = match origin {
            Some(Ok(origin)) => self.is_ours(origin, headers),
            Some(Err(_)) => false,
            // Browsers send at least one of the two with whatever is no GET.
            None => site.is_some(),
        };
        let is_asked = headers.contains_key(CSRF_HEADER);
        if is_asked && is_same_site && is_ours {
            Ok(())
        } else {
            Err(Forged)
        }
    }

    /// The same for requests that carry no session yet: programs that are no browsers sign in, too,
    /// and send neither origin nor site.
    pub fn refuse_forged_entry(
        &self,
        method: &HttpMethod,
        headers: &HeaderMap,
    ) -> Result<(), Forged> {
        let is_browser = headers.contains_key(FETCH_SITE) || headers.contains_key(ORIGIN);
        if is_browser {
            return self.refuse_forged(method, headers);
        }
        headers
            .contains_key(CSRF_HEADER)
            .then_some(())
            .ok_or(Forged)
    }

    fn is_ours(&self, origin: &str, headers: &HeaderMap) -> bool {
        if let Some(public) = &self.public {
            return origin.eq_ignore_ascii_case(public);
        }
        let host = headers.get(HOST).and_then(|host| host.to_str().ok());
        let named = origin
            .strip_prefix("https://")
            .or_else(|| origin.strip_prefix("http://"));
        named.is_some() && named == host
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            map.append(name, value.parse().unwrap());
        }
        map
    }

    #[test]
    fn the_cookie_has_every_attribute_and_no_domain() {
        let session = NewSession {
            id: SessionId(1),
            user: UserId(1),
            token: Token::parse(&"t".repeat(token::CHARS)).unwrap(),
        };
        let text = session.cookie().to_str().unwrap().to_owned();
        let (pair, attributes) = text.split_once("; ").unwrap();
        assert_eq!(pair, format!("__Host-obsrv={}", "t".repeat(43)));
        let attributes: Vec<_> = attributes.split("; ").collect();
        assert_eq!(
            attributes,
            [
                "Path=/",
                "Max-Age=604800",
                "Secure",
                "HttpOnly",
                "SameSite=Lax"
            ]
        );
        assert!(no_cookie().to_str().unwrap().contains("Max-Age=0"));
    }

    #[test]
    fn a_cookie_is_found_among_others_and_never_twice() {
        let find =
            |pairs: &[(&str, &str)]| cookie_of(&headers(pairs), COOKIE_NAME).map(str::to_owned);
        assert_eq!(
            find(&[("cookie", "a=b; __Host-obsrv=x; c=d")]),
            Some("x".into())
        );
        assert_eq!(
            find(&[("cookie", "a=b"), ("cookie", "__Host-obsrv=x")]),
            Some("x".into())
        );
        assert_eq!(find(&[("cookie", "__Host-obsrv=x; __Host-obsrv=y")]), None);
        assert_eq!(find(&[("cookie", "x__Host-obsrv=x")]), None);
        assert_eq!(find(&[("cookie", "__host-obsrv=x")]), None);
        assert_eq!(find(&[]), None);
    }

    #[test]
    fn a_forged_request_is_refused_and_our_own_is_not() {
        const HOST: (&str, &str) = ("host", "obsrv.test");
        const ASKED: (&str, &str) = ("x-obsrv-request", "1");
        const OURS: (&str, &str) = ("origin", "https://obsrv.test");
        const SAME: (&str, &str) = ("sec-fetch-site", "same-origin");
        let anywhere = Origins::default();
        let public = Origins::new(Some("https://obsrv.test".into()));
        let good: [&[(&str, &str)]; 3] = [
            &[HOST, ASKED, OURS, SAME],
            &[HOST, ASKED, OURS],
            &[HOST, ASKED, SAME],
        ];
        for pairs in good {
            for origins in [&anywhere, &public] {
                let asked = origins.refuse_forged(&HttpMethod::POST, &headers(pairs));
                assert_eq!(asked, Ok(()), "{pairs:?}");
            }
        }
        let bad: [&[(&str, &str)]; 11] = [
            &[HOST],
            &[HOST, ASKED],
            &[HOST, OURS, SAME],
            &[HOST, ASKED, ("origin", "https://evil.test"), SAME],
            &[HOST, ASKED, ("origin", "https://evil.test")],
            &[HOST, ASKED, ("origin", "null")],
            &[HOST, ASKED, ("origin", "https://obsrv.test.evil.test")],
            &[HOST, ASKED, ("origin", "https://obsrv.test:444")],
            &[HOST, ASKED, OURS, ("sec-fetch-site", "cross-site")],
            &[HOST, ASKED, OURS, ("sec-fetch-site", "same-site")],
            &[HOST, ASKED, OURS, ("sec-fetch-site", "none")],
        ];
        for pairs in bad {
            for method in [
                HttpMethod::POST,
                HttpMethod::PUT,
                HttpMethod::PATCH,
                HttpMethod::DELETE,
            ] {
                for origins in [&anywhere, &public] {
                    let asked = origins.refuse_forged(&method, &headers(pairs));
                    assert_eq!(asked, Err(Forged), "{method} {pairs:?}");
                }
            }
            // What only reads needs none of it; the answer is not readable elsewhere without CORS.
            assert_eq!(
                anywhere.refuse_forged(&HttpMethod::GET, &headers(pairs)),
                Ok(())
            );
        }
        // A page of another host that names itself in both headers is not the public origin.
        let rebound = headers(&[
            ("host", "evil.test"),
            ASKED,
            ("origin", "https://evil.test"),
        ]);
        assert_eq!(
            public.refuse_forged(&HttpMethod::POST, &rebound),
            Err(Forged)
        );
    }

    #[test]
    fn a_program_without_a_session_needs_the_header_alone() {
        let entry = |pairs: &[(&str, &str)]| {
            Origins::default().refuse_forged_entry(&HttpMethod::POST, &headers(pairs))
        };
        assert_eq!(entry(&[("x-obsrv-request", "1")]), Ok(()));
        assert_eq!(entry(&[]), Err(Forged));
        assert_eq!(
            entry(&[("x-obsrv-request", "1"), ("sec-fetch-site", "cross-site")]),
            Err(Forged)
        );
    }
}
