//! The server's side of a WebSocket (RFC 6455) that only tells: text messages out, and of what comes in
//! pings are answered, a close is closed and the rest is passed over.
//!
//! Owns the connection once it is no longer HTTP. It counts as one who watches; a write that the client
//! does not take ends it.

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use http::header::{
    CONNECTION, HeaderMap, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use hyper_util::rt::TokioIo;
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use super::stream::message;
use crate::http::auth::Principal;
use crate::http::error::{ApiError, ErrorCode};
use crate::http::read::live::Watch;
use crate::limits::{SOCKET_FRAME_BYTES_MAX, WRITE_STALL_TIME_MAX};

/// What the protocol adds to a client's key.
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// Bytes that a client's key stands for.
const KEY_BYTES: usize = 16;

const FINAL: u8 = 0x80;
const TEXT: u8 = 1;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// Why a connection is closed.
const OVER: u16 = 1000;
const BROKEN: u16 = 1002;
const TOO_LARGE: u16 = 1009;

/// What proves to the client that its wish was understood; nothing if it wishes no WebSocket.
pub(super) fn asked(
    principal: &Principal,
    headers: &HeaderMap,
) -> Result<Option<HeaderValue>, ApiError> {
    let text = |name| {
        headers
            .get(name)
            .and_then(|v: &HeaderValue| v.to_str().ok())
    };
    if !text(UPGRADE).is_some_and(|wish| wish.eq_ignore_ascii_case("websocket")) {
        return Ok(None);
    }
    // Any page could open one with the cookie of whoever looks at it.
    if matches!(principal, Principal::User(_) | Principal::Nobody) {
        let message = "a WebSocket needs a key; sessions have server-sent events";
        return Err(ApiError::new(ErrorCode::Forbidden, message));
    }
    if text(SEC_WEBSOCKET_VERSION) != Some("13") {
        return Err(ApiError::parameter("sec-websocket-version", "not 13"));
    }
    let key = text(SEC_WEBSOCKET_KEY).unwrap_or("");
    if !STANDARD
        .decode(key)
        .is_ok_and(|bytes| bytes.len() == KEY_BYTES)
    {
        return Err(ApiError::parameter(
            "sec-websocket-key",
            "not 16 bytes in base64",
        ));
    }
    let proof = digest(&SHA1_FOR_LEGACY_USE_ONLY, format!("{key}{GUID}").as_bytes());
    let proof = HeaderValue::from_str(&STANDARD.encode(proof));
    Ok(Some(proof.expect("BUG: base64 is no header")))
}

/// Agrees, and talks once the connection is no longer HTTP.
pub(super) fn answer(proof: &HeaderValue, mut request: Request, watch: Watch) -> Response {
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        match upgrade.await {
            Ok(connection) => talk(TokioIo::new(connection), watch).await,
            Err(error) => tracing::debug!(%error, "connection did not become a WebSocket"),
        }
    });
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_ACCEPT, proof.clone());
    response
}

/// Tells what comes until the time is over, the client closes, or it takes nothing any more.
async fn talk<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, mut watch: Watch) {
    let mut inbox = Inbox::default();
    loop {
        let mut out = Vec::new();
        let is_over = tokio::select! {
            said = watch.next() => {
                for said in said.iter().flatten() {
                    put(TEXT, message(said).as_bytes(), &mut out);
                }
                if said.is_none() {
                    put_close(OVER, &mut out);
                }
                said.is_none()
            },
            read = stream.read_buf(&mut inbox.0) => match read {
                Ok(0) | Err(_) => return,
                Ok(_) => inbox.answer(&mut out),
            },
        };
        let written = timeout(WRITE_STALL_TIME_MAX, stream.write_all(&out)).await;
        if is_over || !matches!(written, Ok(Ok(()))) {
            return;
        }
        if !matches!(
            timeout(WRITE_STALL_TIME_MAX, stream.flush()).await,
            Ok(Ok(()))
        ) {
            return;
        }
    }
}

fn put(kind: u8, payload: &[u8], out: &mut Vec<u8>) {
    out.push(FINAL | kind);
    let len = payload.len();
    match (u8::try_from(len), u16::try_from(len)) {
        (Ok(len @ ..126), _) => out.push(len),
        (_, Ok(len)) => {
            out.push(126);
            out.extend(len.to_le_bytes().into_iter().rev());
        }
        _ => {
            let len = u64::try_from(len).unwrap_or(u64::MAX);
            out.push(127);
            out.extend(len.to_le_bytes().into_iter().rev());
        }
    }
    out.extend_from_slice(payload);
}

fn put_close(why: u16, out: &mut Vec<u8>) {
    let why: Vec<u8> = why.to_le_bytes().into_iter().rev().collect();
    put(CLOSE, &why, out);
}

/// What came in and is not read yet.
#[derive(Debug, Default)]
struct Inbox(Vec<u8>);

/// Whether all frames of these bytes read: for fuzzing.
#[cfg(feature = "forge")]
pub(in crate::http::read) fn reads(bytes: &[u8]) -> bool {
    let mut inbox = Inbox(bytes.to_vec());
    let mut out = Vec::new();
    let is_over = inbox.answer(&mut out);
    assert!(
        out.len() <= bytes.len() + 4,
        "BUG: an answer is longer than what it answers"
    );
    !is_over && inbox.0.is_empty()
}

/// What stands at the beginning of it.
#[derive(Debug, PartialEq, Eq)]
enum Frame {
    /// Not all of it is there.
    Part,
    Whole {
        kind: u8,
        payload: Vec<u8>,
        bytes: usize,
    },
    Wrong(u16),
}

impl Inbox {
    /// Reads every frame that is there. Returns whether the connection is over.
    fn answer(&mut self, out: &mut Vec<u8>) -> bool {
        loop {
            match self.next() {
                Frame::Part => return false,
                Frame::Wrong(why) => {
                    put_close(why, out);
                    return true;
                }
                Frame::Whole {
                    kind,
                    payload,
                    bytes,
                } => {
                    self.0.drain(..bytes);
                    match kind {
                        CLOSE => {
                            put(CLOSE, payload.get(..2).unwrap_or(&[]), out);
                            return true;
                        }
                        PING => put(PONG, &payload, out),
                        _ => {}
                    }
                }
            }
        }
    }

    fn next(&self) -> Frame {
        let Some(([head, size], rest)) = self.0.split_first_chunk() else {
            return Frame::Part;
        };
        // A client masks what it sends; nobody agreed to extensions.
        if size & 0x80 == 0 || head & 0x70 != 0 {
            return Frame::Wrong(BROKEN);
        }
        let (len, rest) = match size & 0x7f {
            126 => match rest.split_first_chunk::<2>() {
                Some((len, rest)) => (number(len), rest),
                None => return Frame::Part,
            },
            127 => match rest.split_first_chunk::<8>() {
                Some((len, rest)) => (number(len), rest),
                None => return Frame::Part,
            },
            len => (usize::from(len), rest),
        };
        if len > SOCKET_FRAME_BYTES_MAX {
            return Frame::Wrong(TOO_LARGE);
        }
        let kind = head & 0x0f;
        if kind >= CLOSE && (len > 125 || head & FINAL == 0) {
            return Frame::Wrong(BROKEN);
        }
        let Some((mask, rest)) = rest.split_first_chunk::<4>() else {
            return Frame::Part;
        };
        let Some((masked, after)) = rest.split_at_checked(len) else {
            return Frame::Part;
        };
        let payload = masked.iter().zip(mask.iter().cycle());
        Frame::Whole {
            kind,
            payload: payload.map(|(byte, mask)| byte ^ mask).collect(),
            bytes: self.0.len() - after.len(),
        }
    }
}

fn number(highest_first: &[u8]) -> usize {
    let n = highest_first
        .iter()
        .fold(0, |n: u64, byte| (n << 8) | u64::from(*byte));
    usize::try_from(n).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As a client sends it.
    fn masked(kind: u8, payload: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        put(kind, payload, &mut out);
        let head = out.len() - payload.len();
        out[1] |= 0x80;
        let mask = [7, 1, 0, 255];
        let mut frame = out[..head].to_vec();
        frame.extend(mask);
        frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(b, m)| b ^ m));
        frame
    }

    #[test]
    fn the_proof_is_that_of_the_standard() {
        let headers = |key: &str| {
            HeaderMap::from_iter([
                (UPGRADE, HeaderValue::from_static("WebSocket")),
                (SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13")),
                (SEC_WEBSOCKET_KEY, HeaderValue::from_str(key).unwrap()),
            ])
        };
        let proof = asked(&Principal::Operator, &headers("dGhlIHNhbXBsZSBub25jZQ==")).unwrap();
        assert_eq!(proof.unwrap(), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert!(asked(&Principal::Operator, &headers("c2hvcnQ=")).is_err());
        assert!(asked(&Principal::Nobody, &headers("dGhlIHNhbXBsZSBub25jZQ==")).is_err());
        assert_eq!(asked(&Principal::Operator, &HeaderMap::new()), Ok(None));
    }

    #[test]
    fn frames_of_every_length_read_back_and_no_cut_is_taken_for_one() {
        for len in [0, 1, 125, 126, 300, SOCKET_FRAME_BYTES_MAX] {
            let payload = vec![b'x'; len];
            let frame = masked(TEXT, &payload);
            let bytes = frame.len();
            for cut in [0, 1, 2, 3, bytes / 2, bytes - 1] {
                assert_eq!(
                    Inbox(frame[..cut].to_vec()).next(),
                    Frame::Part,
                    "{len} {cut}"
                );
            }
            let mut inbox = frame;
            inbox.push(0);
            let kind = TEXT;
            assert_eq!(
                Inbox(inbox).next(),
                Frame::Whole {
                    kind,
                    payload,
                    bytes
                }
            );
        }
        let large = masked(TEXT, &vec![0; SOCKET_FRAME_BYTES_MAX + 1]);
        assert_eq!(Inbox(large).next(), Frame::Wrong(TOO_LARGE));
        let huge = [FINAL | TEXT, 0xff, 255, 255, 255, 255, 255, 255, 255, 255];
        assert_eq!(Inbox(huge.to_vec()).next(), Frame::Wrong(TOO_LARGE));
    }

    #[test]
    fn pings_are_answered_and_what_is_broken_ends_it() {
        let answer = |bytes: Vec<u8>| {
            let mut out = Vec::new();
            let is_over = Inbox(bytes).answer(&mut out);
            (is_over, out)
        };
        let two = [
            masked(PING, b"a"),
            masked(TEXT, b"hello"),
            masked(PING, b"b"),
        ]
        .concat();
        assert_eq!(answer(two), (false, b"\x8a\x01a\x8a\x01b".to_vec()));
        let close = masked(CLOSE, &[3, 0xe8]);
        assert_eq!(answer(close), (true, b"\x88\x02\x03\xe8".to_vec()));
        let broken = (true, b"\x88\x02\x03\xea".to_vec());
        assert_eq!(answer(b"\x89\x00".to_vec()), broken, "not masked");
        assert_eq!(answer(masked(PING, &[0; 126])), broken);
        let mut cut = masked(PING, b"");
        cut[0] &= !FINAL;
        assert_eq!(answer(cut), broken);
    }
}
