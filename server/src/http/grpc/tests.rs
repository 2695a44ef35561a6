use super::*;

fn message(bytes: &[u8], left: usize) -> Message {
    Message {
        begun: BytesMut::new(),
        rest: Body::from(bytes.to_vec()),
        left,
    }
}

#[tokio::test]
async fn a_message_is_what_its_prefix_says() {
    let whole = message(b"abc", 3).collect().await.unwrap().to_bytes();
    assert_eq!(whole, "abc");
    assert!(message(b"ab", 3).collect().await.is_err());
    assert!(message(b"abcd", 3).collect().await.is_err());
    assert!(
        message(b"", 0)
            .collect()
            .await
            .unwrap()
            .to_bytes()
            .is_empty()
    );

    let mut with_prefix = Message::default();
    let mut body = Body::from(&b"\x01\0\0\x01\x02xy"[..]);
    let prefix = with_prefix.begin(&mut body).await.unwrap();
    assert_eq!(
        prefix,
        Prefix {
            compressed: true,
            bytes: 258
        }
    );
    assert_eq!(with_prefix.begun, "xy");
    for (bytes, code) in [
        (&b"\0\0"[..], code::INTERNAL),
        (b"\x02\0\0\0\0", code::INTERNAL),
    ] {
        let mut body = Body::from(bytes);
        let failed = Message::default().begin(&mut body).await.unwrap_err();
        assert_eq!(failed.code, code);
    }
}

#[tokio::test]
async fn answers_become_messages_or_trailers() {
    let ok = ended(Ok(Bytes::from_static(b"\x0a\0")));
    assert_eq!(ok.status(), 200);
    let collected = ok.into_body().collect().await.unwrap();
    assert_eq!(collected.trailers().unwrap()["grpc-status"], "0");
    assert_eq!(collected.to_bytes(), &b"\0\0\0\0\x02\x0a\0"[..]);

    let failed = ended(Err(Failed::new(code::UNIMPLEMENTED, "50 % ü")));
    assert_eq!(failed.status(), 200);
    assert_eq!(failed.headers()[GRPC_STATUS], "12");
    assert_eq!(failed.headers()[GRPC_MESSAGE], "50 %25 %C3%BC");
}

#[tokio::test]
async fn what_a_retry_can_cure_says_when() {
    use crate::http::error::{ApiError, ErrorCode, render};
    for code in ErrorCode::ALL {
        let response = render(&ApiError::new(code, "why"), true, "r");
        let failed = as_message(response).await.unwrap_err();
        assert_eq!(failed.message, "why", "{code:?}");
        let retryable = code.is_retryable();
        assert_eq!(failed.retry_seconds.is_some(), retryable, "{code:?}");
        assert_eq!(matches!(failed.code, 8 | 14), retryable, "{code:?}");
        assert_ne!(failed.code, 0);
    }
    let bad = render(&ApiError::new(ErrorCode::InvalidRequest, ""), true, "r");
    assert_eq!(
        as_message(bad).await.unwrap_err().code,
        code::INVALID_ARGUMENT
    );
}
