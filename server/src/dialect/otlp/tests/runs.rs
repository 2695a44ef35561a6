//! Runs that spans and log records name, in the place of their trace.

use super::*;

const TRACE: &str = "000000000000000000000000000000aa";

fn span(id: u8, attributes: &[(&str, &str)]) -> String {
    format!(
        r#"{{"traceId":"{TRACE}","spanId":"00000000000000{id:02x}","name":"s","startTimeUnixNano":"1",
        "endTimeUnixNano":"2","attributes":[{}]}}"#,
        texts(attributes)
    )
}

fn texts(attributes: &[(&str, &str)]) -> String {
    let text = |(key, value): &(&str, &str)| {
        format!(r#"{{"key":"{key}","value":{{"stringValue":"{value}"}}}}"#)
    };
    attributes.iter().map(text).collect::<Vec<_>>().join(",")
}

fn runs(spans: &[String]) -> Vec<(String, Option<String>)> {
    let body = format!(
        r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{}]}}]}}]}}"#,
        spans.join(",")
    );
    let decoded = decode_json(body.as_bytes()).unwrap();
    assert_eq!(decoded.items, vec![]);
    let of = |event: &Event| {
        let doc = DocRef::parse(&event.doc).unwrap();
        let trace = doc.get("otel_trace_id").and_then(DocRef::as_str);
        (event.key.trace_id.to_string(), trace.map(str::to_owned))
    };
    decoded.events.iter().map(of).collect()
}

#[test]
fn a_span_stands_in_the_run_that_it_names() {
    let long = "x".repeat(ID_BYTES_MAX + 1);
    let found = runs(&[
        span(1, &[("tcc.runId", "run ü/1")]),
        span(2, &[("metadata.tcc.runId", "lite")]),
        span(3, &[("theazo.trace.id", "trc_1")]),
        span(4, &[("metadata.tcc.runId", "b"), ("tcc.runId", "a")]),
        span(5, &[("tcc.runId", "")]),
        span(6, &[("tcc.runId", &long)]),
        span(7, &[]),
    ]);
    let in_run = |run: &str| (run.to_owned(), Some(TRACE.to_owned()));
    let in_trace = || (TRACE.to_owned(), None);
    let expected = [
        in_run("run ü/1"),
        in_run("lite"),
        in_run("trc_1"),
        in_run("a"),
        in_trace(),
        in_trace(),
        in_trace(),
    ];
    assert_eq!(found, expected);
}

/// As ai 7 sends it: the user's name stands beside a made one, and not on every span.
#[test]
fn the_users_name_of_a_run_is_that_of_all_its_spans() {
    let found = runs(&[
        span(1, &[("tcc.runId", "made")]),
        span(
            2,
            &[
                ("tcc.runId", "made"),
                ("ai.settings.context.tcc.runId", "mine"),
            ],
        ),
        span(3, &[("tcc.runId", "other")]),
        span(4, &[("ai.settings.context.tcc.runId", "mine")]),
    ]);
    let found: Vec<&str> = found.iter().map(|(run, _)| run.as_str()).collect();
    assert_eq!(found, ["mine", "mine", "other", "mine"]);
}

fn logs(records: &[String]) -> Decoded {
    let body = format!(
        r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{}]}}]}}]}}"#,
        records.join(",")
    );
    crate::dialect::otlp::decode_json(Signal::Logs, &CTX, body.as_bytes()).unwrap()
}

#[test]
fn a_log_record_stands_in_the_run_or_the_trace_that_its_attributes_name() {
    let record = |own: &str, attributes: &[(&str, &str)]| {
        format!(
            r#"{{{own}"observedTimeUnixNano":"5","attributes":[{}]}}"#,
            texts(attributes)
        )
    };
    let own = format!(r#""traceId":"{TRACE}","spanId":"00000000000000bb","#);
    let said = [
        ("obtrace.trace_id", "t-1"),
        ("obtrace.span_id", "s-1"),
        ("obtrace.log.level", "Warn"),
    ];
    let decoded = logs(&[
        record("", &said),
        record(&own, &said),
        record(&own, &[("theazo.trace.id", "trc_1")]),
        record(r#""severityNumber":17,"#, &said),
        record("", &[]),
    ]);
    let of = |event: &Event| {
        let doc = DocRef::parse(&event.doc).unwrap();
        let text = |key| {
            doc.get(key)
                .and_then(DocRef::as_str)
                .unwrap_or("-")
                .to_owned()
        };
        (
            event.key.trace_id.to_string(),
            text("span_id"),
            text("level"),
            event.start_ns,
        )
    };
    let found: Vec<_> = decoded.events.iter().map(of).collect();
    let row = |trace: &str, span: &str, level: &str| {
        (trace.to_owned(), span.to_owned(), level.to_owned(), Some(5))
    };
    assert_eq!(
        found[..4],
        [
            row("t-1", "s-1", "warn"),
            row(TRACE, "00000000000000bb", "warn"),
            row("trc_1", "00000000000000bb", "-"),
            row("t-1", "s-1", "error"),
        ]
    );
    assert!(found[4].0 != TRACE && found[4].0 != "t-1", "{found:?}");
}
