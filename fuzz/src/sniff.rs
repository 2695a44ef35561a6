//! Any body of any content type is of a dialect of its route or of none; which one does not depend on what reads it.

use obsrv_server::dialect::import::Format;
use obsrv_server::dialect::{Route, sniff};

const ROUTES: [Route; 13] = [
    Route::Traces,
    Route::Otlp,
    Route::Logs,
    Route::Metrics,
    Route::MetricEvents,
    Route::Annotations,
    Route::Imports,
    Route::Events,
    Route::LangfuseScores,
    Route::LangsmithForm,
    Route::Feedback,
    Route::Own,
    Route::Import(Format::Inspect),
];

/// One execution: the route, then the content type to the end of the line, then the body. Whether there is a dialect.
pub fn run(bytes: &[u8]) -> bool {
    let Some((&route, rest)) = bytes.split_first() else {
        return false;
    };
    let end = rest
        .iter()
        .position(|byte| *byte == b'\n')
        .unwrap_or(rest.len());
    let (content_type, body) = rest.split_at(end);
    let Ok(content_type) = std::str::from_utf8(content_type) else {
        return false;
    };
    sniff(
        content_type,
        ROUTES[usize::from(route) % ROUTES.len()],
        body,
    )
    .is_ok()
}

/// Bodies that two protocols share a route for.
pub fn seeds() -> Vec<Vec<u8>> {
    let texts: [(u8, &str); 7] = [
        (0, "application/x-protobuf\n"),
        (
            0,
            "application/json\n{\"a\":{\"b\":[1,\"}\"]},\"resourceSpans\":[]}",
        ),
        (0, "text/plain\n {\"x\\\"\":1,\"steps\":[]}"),
        (2, "application/json; charset=utf-8\n{\"resourceLogs\":[]}"),
        (3, "application/json\n{\"name\":\"m\",\"type\":\"t\"}"),
        (9, "multipart/form-data; boundary=t\n--t--"),
        (10, "application/json\n{\"run_id\":\"r\"}"),
    ];
    texts
        .map(|(route, text)| [&[route][..], text.as_bytes()].concat())
        .to_vec()
}
