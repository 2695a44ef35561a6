use super::*;

fn asking(value: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_str(value).unwrap());
    headers
}

const SAMPLE: File = File {
    path: "assets/a-1.js",
    plain: b"plain",
    gzip: Some(b"gzip"),
    brotli: Some(b"brotli"),
};

async fn body_of(response: Response) -> Vec<u8> {
    let bytes = axum::body::to_bytes(response.into_body(), 1 << 20).await;
    bytes.unwrap().to_vec()
}

#[tokio::test]
async fn a_client_gets_the_coding_that_it_takes() {
    for (accept, coding, body) in [
        ("gzip, deflate, br", Some("br"), &b"brotli"[..]),
        ("gzip", Some("gzip"), b"gzip"),
        ("GZIP;q=0.5", Some("gzip"), b"gzip"),
        ("br;q=0, gzip;q=1.0", Some("gzip"), b"gzip"),
        ("br;q=0.0,gzip;q=0", None, b"plain"),
        ("identity", None, b"plain"),
        ("", None, b"plain"),
        ("brotli", None, b"plain"),
    ] {
        let response = give(&SAMPLE, FOR_EVER, &asking(accept));
        let said = response.headers().get(CONTENT_ENCODING);
        assert_eq!(said.map(|v| v.to_str().unwrap()), coding, "{accept}");
        assert_eq!(response.headers()[VARY], "accept-encoding");
        assert_eq!(body_of(response).await, body, "{accept}");
    }
}

#[test]
fn every_answer_forbids_what_a_page_does_not_need() {
    let response = give(&SAMPLE, FOR_EVER, &HeaderMap::new());
    let headers = response.headers();
    let policy = headers[CONTENT_SECURITY_POLICY].to_str().unwrap();
    for word in [
        "default-src 'none'",
        "script-src 'self';",
        "style-src 'self';",
        "connect-src 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
        "report-uri /csp-report",
    ] {
        assert!(policy.contains(word), "{word}");
    }
    assert!(!policy.contains("unsafe") && !policy.contains("http"));
    assert_eq!(headers[X_CONTENT_TYPE_OPTIONS], "nosniff");
    assert_eq!(headers[CONTENT_TYPE], "text/javascript; charset=utf-8");
    assert_eq!(headers[REFERRER_POLICY], "same-origin");
}

#[test]
fn files_are_in_order_and_have_a_known_kind() {
    assert!(FILES.is_sorted_by(|a, b| a.path < b.path));
    for file in FILES {
        assert_ne!(kind(file.path), "application/octet-stream", "{}", file.path);
        assert_eq!(super::file(file.path).map(|f| f.path), Some(file.path));
    }
    assert_eq!(FILES.is_empty(), file(INDEX).is_none());
}
