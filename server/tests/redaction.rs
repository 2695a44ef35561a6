//! S21, S24: what a project's rules find is nowhere: not in the log, not in a segment, not in an
//! answer, not in what the server says of itself. The same without rules, to see that this test
//! would find it.
#![expect(clippy::unwrap_used, reason = "the functions that the tests share")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

const KEY: &str = "a-key-for-this-test";
/// In every place of every body. A rule of its own finds it, whole or as part of something longer.
const SECRET: &str = "Zx9canaryQv7";
const PATTERN: &str = "Zx9canaryQv7";

struct Server {
    child: Child,
    address: String,
    log: Arc<Mutex<Vec<u8>>>,
}

impl Server {
    fn start(data: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_obsrv"))
            .args(["serve", "--http", "127.0.0.1:0", "--data"])
            .arg(data)
            .env("OBSRV_BOOTSTRAP_KEY", KEY)
            .env("RUST_LOG", "trace")
            .stderr(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Arc::new(Mutex::new(Vec::new()));
        let mut stdout = child.stdout.take().unwrap();
        let all = Arc::clone(&log);
        std::thread::spawn(move || {
            let mut said = Vec::new();
            stdout.read_to_end(&mut said).unwrap();
            all.lock().unwrap().extend(said);
        });
        let mut lines = BufReader::new(child.stderr.take().unwrap());
        let mut address = None;
        while address.is_none() {
            let mut line = String::new();
            assert!(lines.read_line(&mut line).unwrap() > 0, "the server ended");
            log.lock().unwrap().extend(line.as_bytes());
            let line: Value = serde_json::from_str(&line).unwrap_or_default();
            if line["message"] == "ready" {
                address = line["address"].as_str().map(str::to_owned);
            }
        }
        let all = Arc::clone(&log);
        std::thread::spawn(move || {
            let mut chunk = [0; 4096];
            while let Ok(n @ 1..) = lines.read(&mut chunk) {
                all.lock().unwrap().extend(&chunk[..n]);
            }
        });
        Self {
            child,
            address: address.unwrap(),
            log,
        }
    }

    /// Sends a request with the secret in headers that any server may log, and returns everything
    /// that was answered.
    fn ask(&self, method: &str, path: &str, kind: &str, body: &[u8]) -> String {
        self.ask_with(method, path, kind, "identity", body)
    }

    fn ask_with(
        &self,
        method: &str,
        path: &str,
        kind: &str,
        encoding: &str,
        body: &[u8],
    ) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: {SECRET}\r\nx-api-key: {KEY}\r\ncontent-type: {kind}\r\n\
             content-encoding: {encoding}\r\ncontent-length: {}\r\nuser-agent: {SECRET}\r\ncookie: a={SECRET}\r\nx-{SECRET}: {SECRET}\r\n\
             x-theta-project: {SECRET}\r\nx-request-id: {SECRET}\r\nx-forwarded-for: {SECRET}\r\n\
             origin: {SECRET}\r\nidempotency-key: {SECRET}\r\ntraceparent: {SECRET}\r\nreferer: {SECRET}\r\n\
             connection: close\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }

    fn terminate(&mut self) {
        let id = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-TERM", &id])
                .status()
                .unwrap()
                .success()
        );
        assert!(self.child.wait().unwrap().success());
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Already gone when the test came this far.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A request: path, content type, body.
type Request = (String, &'static str, Vec<u8>);

fn text_request(path: &str, body: &Value) -> Request {
    (
        path.to_owned(),
        "application/json",
        body.to_string().into_bytes(),
    )
}

/// Every dialect, with the secret wherever it takes text, alone and within more text.
#[expect(clippy::too_many_lines, reason = "one of each request")]
fn requests() -> Vec<Request> {
    let s = SECRET;
    let nested = json!({ s: [s, { s: format!("a {s} b") }], "plain": s });
    let attribute = |key: &str| json!({ "key": key, "value": { "stringValue": format!("x{s}y") } });
    let attributes = json!([attribute("a"), attribute(s), { "key": "list", "value": {
        "kvlistValue": { "values": [attribute(s)] } } }]);
    let otlp = json!({ "resourceSpans": [{
        "resource": { "attributes": attributes }, "schemaUrl": s,
        "scopeSpans": [{ "scope": { "name": s, "version": s, "attributes": attributes }, "spans": [{
            "traceId": "000000000000000000000000000000aa", "spanId": "00000000000000aa",
            "traceState": s, "name": s, "startTimeUnixNano": "1767225600000000000",
            "endTimeUnixNano": "1767225601000000000", "attributes": attributes,
            "status": { "code": 2, "message": s },
            "events": [{ "name": s, "timeUnixNano": "1767225600000000000", "attributes": attributes }],
            "links": [{ "traceId": "000000000000000000000000000000ab", "spanId": "00000000000000ab",
                "traceState": s, "attributes": attributes }],
        }, { "traceId": s, "name": s }] }],
    }] });
    let at = "1767225600000000000";
    let (resource, scope) = (
        json!({ "attributes": attributes }),
        json!({ "name": s, "attributes": attributes }),
    );
    let logs = json!({ "resourceLogs": [{ "resource": resource, "schemaUrl": s, "scopeLogs": [{
        "scope": scope, "schemaUrl": s, "logRecords": [
            { "timeUnixNano": at, "severityText": s, "eventName": s, "attributes": attributes,
                "body": { "stringValue": format!("a {s} b") }, "traceId": "000000000000000000000000000000ac" },
            { "observedTimeUnixNano": at, "body": { "kvlistValue": { "values": [attribute(s)] } } },
        ] }] }] });
    let point = json!({ "timeUnixNano": at, "startTimeUnixNano": at, "asDouble": 1.5, "attributes": attributes,
        "exemplars": [{ "timeUnixNano": at, "asDouble": 2.5, "filteredAttributes": attributes }] });
    let metrics = json!({ "resourceMetrics": [{ "resource": resource, "schemaUrl": s, "scopeMetrics": [{
        "scope": scope, "schemaUrl": s, "metrics": [{ "name": s, "description": s, "unit": s,
            "metadata": attributes, "gauge": { "dataPoints": [point] } }] }] }] });
    let metric = json!({ "name": s, "description": s, "unit": s, "metadata": nested });
    let metric_event = json!({ "trace_id": format!("tr-{s}"), "value": 1, "label": s, "user_id": s,
        "comment": s, "metadata": nested });
    let step = json!({
        "step_id": format!("st-{s}"), "parent_step_id": s, "type": s, "name": s, "model": s,
        "status": s, "started_at": "2026-01-01T00:00:00Z", "error_message": s, "metadata": nested,
        "messages": [{ "role": s, "content": s, s: s }],
        "tool_calls": [{ "id": s, "name": s, "arguments": nested, "result": s, "error": s }],
        "attachments": [{ "name": s, "uri": s }], "annotations": [{ "label": s, "comment": s }],
    });
    let trace = json!({
        "trace_id": format!("tr-{s}"), "project_id": s, "name": s, "run_id": s, "run_type": s,
        "use_case": s, "user_id": s, "group": s, "platform": s, "model": s, "status": "error",
        "tags": [s], "metadata": nested, "started_at": "2026-01-01T00:00:00Z", "error_message": s,
        "steps": [step, s], "events": [nested], "annotations": [{ "label": s, "user": s }], s: s,
    });
    let event = json!({ "trace_id": s, "name": s, "source": s, "kind": s, "user_id": s,
        "metadata": nested, "correlation": nested, "events": [{ "event_id": s, "type": s, "name": s,
        "metadata": nested, s: s }] });
    let langfuse = json!({ "batch": [
        { "id": s, "type": "trace-create", "timestamp": "2026-01-01T00:00:00Z", "body": { "id": s,
            "name": s, "userId": s, "sessionId": s, "input": nested, "output": s, "tags": [s],
            "metadata": nested, "release": s, "timestamp": "2026-01-01T00:00:00Z" } },
        { "id": s, "type": "generation-create", "timestamp": "2026-01-01T00:00:00Z", "body": {
            "id": format!("g{s}"), "traceId": s, "name": s, "model": s, "input": nested,
            "parentObservationId": s, "statusMessage": s, "level": "ERROR",
            "startTime": "2026-01-01T00:00:00Z", "modelParameters": nested } },
        { "id": s, "type": s, "timestamp": s, "body": nested },
    ] });
    let score =
        json!({ "id": s, "traceId": s, "name": s, "value": 1, "comment": s, "metadata": nested });
    let uuid = "01990000-0000-7000-8000-000000000001";
    let run = json!({ "id": uuid, "trace_id": uuid, "dotted_order": format!("20260101T000000000000Z{uuid}"),
        "name": s, "run_type": "llm", "start_time": "2026-01-01T00:00:00Z", "inputs": nested,
        "outputs": nested, "error": s, "tags": [s], "extra": nested, "session_name": s, "events": [nested],
        s: s });
    let other = "01990000-0000-7000-8000-000000000002";
    let (mut second, mut third) = (run.clone(), run.clone());
    second["id"] = other.into();
    third["id"] = s.into();
    let feedback =
        json!({ "id": uuid, "run_id": uuid, "key": s, "score": 1, "comment": s, "value": nested });
    let part = |name: &str, kind: &str, body: &str| {
        format!(
            "--{s}\r\ncontent-disposition: form-data; name=\"{name}\"\r\ncontent-type: {kind}\r\n\r\n{body}\r\n"
        )
    };
    let form = [
        part(
            &format!("post.{other}"),
            "application/json",
            &second.to_string(),
        ),
        part(
            &format!("post.{other}.inputs"),
            "application/json",
            &nested.to_string(),
        ),
        part(&format!("attachment.{other}.{s}"), "text/plain", s),
        part(s, "application/json", s),
        format!("--{s}--\r\n"),
    ];
    let form_kind = "multipart/form-data; boundary=Zx9canaryQv7";
    let mut all = vec![
        ("/v1/traces".into(), "application/x-protobuf", protobuf()),
        text_request("/v1/traces", &otlp),
        text_request("/v1/traces", &trace),
        text_request(
            "/v1/traces",
            &json!({ "trace_id": s, "steps": s, "name": [s] }),
        ),
        text_request(
            &format!("/v1/traces/tr-{s}/annotations"),
            &json!({ "label": s, "comment": s, s: s }),
        ),
        text_request(
            "/v1/imports/traces",
            &json!([trace, event, s, { "trace_id": 1, s: s }]),
        ),
        text_request("/v1/events", &event),
        text_request("/v1/logs", &logs),
        text_request("/v1/metrics", &metrics),
        text_request("/v1/metrics", &metric),
        text_request(&format!("/v1/metrics/{s}/events"), &metric_event),
        text_request("/api/public/ingestion", &langfuse),
        text_request("/api/public/scores", &score),
        text_request("/api/public/scores", &json!([score, { "traceId": s }])),
        text_request("/runs", &run),
        text_request(
            "/runs/batch",
            &json!({ "post": [second, third], "patch": [run] }),
        ),
        (
            "/runs/multipart".into(),
            form_kind,
            form.concat().into_bytes(),
        ),
        text_request("/feedback", &feedback),
        // What does not read at all, cut within the secret.
        (
            "/v1/traces".into(),
            "application/json",
            format!("{{\"{s}\": \"{s}").into_bytes(),
        ),
        (
            "/v1/traces".into(),
            "application/json",
            format!("{{\"{s}\": 1}}").into_bytes(),
        ),
        (
            "/v1/traces".into(),
            "application/x-protobuf",
            s.as_bytes().to_vec(),
        ),
    ];
    all.extend(of_agents(&nested));
    // Over the size of a record: this one has a side file.
    let big = json!({ "trace_id": "big", "started_at": "2026-01-01T00:00:00Z", "name": s,
        "metadata": { "noise": noise(2 << 20), "s": s } });
    all.push(text_request("/v1/traces", &big));
    all
}

/// The dialects of aiobs and The Context Company.
fn of_agents(nested: &Value) -> Vec<Request> {
    let s = SECRET;
    let at = 1_767_225_600.5;
    let session = json!({ "id": format!("se-{s}"), "name": s, "started_at": at, "ended_at": null,
        "meta": nested, "labels": nested, s: s });
    let call = json!({ "provider": s, "api": s, "name": s, "module": s, "args": [nested], "kwargs": nested,
        "result": nested, "request": nested, "response": { "model": s, "text": s }, "error": s,
        "started_at": at, "ended_at": at, "duration_ms": 1.0, "callsite": nested, "span_id": s,
        "parent_span_id": s, "trace_id": format!("ab-{s}"), "session_id": format!("se-{s}"), "enh_prompt_id": s, s: s });
    let mut bare = call.clone();
    for key in ["span_id", "parent_span_id", "trace_id"] {
        bare[key] = Value::Null;
    }
    let export = json!({ "sessions": [session, s], "events": [call, bare, { "api": 1, s: s }],
        "function_events": [bare], "trace_tree": [nested], "enh_prompt_traces": [s], "generated_at": at, s: s });
    let times = ("2026-01-01T00:00:00Z", "2026-01-01T00:00:01Z");
    let custom = |kind: &str, id: &str| {
        json!({ "type": kind, "run_id": format!("cc-{s}"), id: s, "start_time": times.0, "end_time": times.1,
            "status_code": 2, "status_message": s, "session_id": s, "prompt": nested, "response": s,
            "metadata": nested, "model_requested": s, "model_used": s, "finish_reason": s, "args": s,
            "result": nested, "tool_name": s, "tool_definitions": s, s: s })
    };
    let claude = json!({ "runId": format!("cl-{s}"), "sessionId": s, "userPrompt": s, "customMetadata": nested,
        "messages": [
            { "type": "system", "subtype": s, "model": s, "receivedAtMs": 1_767_225_600_000_i64, s: s },
            { "type": "assistant", "uuid": s, "session_id": s, "error": s, "parent_tool_use_id": s, s: s,
                "message": { "id": format!("m-{s}"), "model": s, "stop_reason": s, "content": [
                    { "type": "text", "text": s }, { "type": "tool_use", "id": format!("t-{s}"), "name": s, "input": nested }] } },
            { "type": "user", "tool_use_result": nested, "uuid": s, "message": { "content": [
                { "type": "tool_result", "tool_use_id": format!("t-{s}"), "content": s, "is_error": true }] } },
            { "type": "user", "message": { "content": s } },
            { "type": "result", "is_error": true, "result": s, "errors": [s], "modelUsage": { s: nested } },
        ] });
    let run_id = |key: &str| json!({ "key": key, "value": { "stringValue": format!("run-{s}") } });
    let otlp = json!({ "resourceSpans": [{ "scopeSpans": [{ "spans": [{
        "traceId": "000000000000000000000000000000bb", "spanId": "00000000000000bb", "name": s,
        "startTimeUnixNano": "1767225600000000000", "endTimeUnixNano": "1767225601000000000",
        "attributes": [run_id("tcc.runId"), run_id("ai.settings.context.tcc.runId"), run_id("theazo.agent.id")],
    }] }] }] });
    let log = json!({ "resourceLogs": [{ "scopeLogs": [{ "logRecords": [{ "body": { "stringValue": s },
        "observedTimeUnixNano": "1767225600000000000", "severityText": s,
        "attributes": [run_id("obtrace.trace_id"), run_id("obtrace.span_id"), run_id("obtrace.log.level")],
    }] }] }] });
    vec![
        text_request("/v1/traces", &export),
        text_request("/v1/traces", &json!({ "sessions": s, s: s })),
        text_request("/v1/custom", &custom("run", "run")),
        text_request("/v1/custom", &custom("step", "step_id")),
        text_request("/v1/custom", &custom("tool_call", "tool_call_id")),
        text_request("/v1/custom", &json!({ "type": s, "run_id": s })),
        text_request(
            "/v1/feedback",
            &json!({ "runId": format!("cc-{s}"), "score": s, "text": s, s: s }),
        ),
        text_request("/v1/claude", &claude),
        text_request("/v1/traces", &otlp),
        text_request("/v1/logs", &log),
    ]
}

/// Text that does not compress, so that it is in a side file in any case.
fn noise(bytes: usize) -> String {
    let mut state = 1_u64;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        char::from(b' ' + u8::try_from((state >> 33) % 90).unwrap())
    };
    (0..bytes)
        .map(|_| next())
        .filter(|c| !matches!(c, '"' | '\\'))
        .collect()
}

fn protobuf() -> Vec<u8> {
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use prost::Message;
    let body = json!({ "resourceSpans": [{ "resource": { "attributes": [] }, "scopeSpans": [{ "spans": [{
        "traceId": "000000000000000000000000000000ba", "spanId": "00000000000000ba", "name": SECRET,
        "startTimeUnixNano": "1767225600000000000", "endTimeUnixNano": "1767225601000000000",
        "attributes": [{ "key": SECRET, "value": { "stringValue": SECRET } }],
    }] }] }] });
    let request: ExportTraceServiceRequest = serde_json::from_value(body).unwrap();
    request.encode_to_vec()
}

/// Where the secret is in a data directory: names of files in which it stands as it is, or in
/// a zstd frame or gzip member that begins anywhere in the file.
fn found_on_disk(data: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(data).unwrap() {
        let path = entry.unwrap().path();
        if !path.is_file() {
            continue;
        }
        let bytes = std::fs::read(&path).unwrap();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let mut all = vec![bytes.clone()];
        for at in places(&bytes, &[0x28, 0xb5, 0x2f, 0xfd]) {
            let mut plain = Vec::new();
            let mut frame = zstd::Decoder::new(&bytes[at..]).unwrap().single_frame();
            // What looks like a frame may be none: what came out of it counts all the same.
            let _ = frame.read_to_end(&mut plain);
            all.push(plain);
        }
        if all.iter().any(|b| contains(b)) {
            found.push(name);
        }
    }
    found.sort();
    found
}

fn places(bytes: &[u8], what: &[u8]) -> Vec<usize> {
    memchr::memmem::find_iter(bytes, what).collect()
}

/// The secret or most of it, in any case, in UTF-8 or as hex.
fn contains(bytes: &[u8]) -> bool {
    let hex: String = SECRET.bytes().map(|b| format!("{b:02x}")).collect();
    let bytes = bytes.to_ascii_lowercase();
    [&SECRET[..8], &SECRET[4..], &hex].iter().any(|part| {
        let part = part.to_ascii_lowercase();
        memchr::memmem::find(&bytes, part.as_bytes()).is_some()
    })
}

/// What a run has left.
#[derive(Default)]
struct Traces {
    answers: Vec<String>,
    /// Files with the secret in them after a kill.
    after_kill: Vec<String>,
    /// And after a clean stop.
    after_stop: Vec<String>,
    /// What the server said of itself.
    log: Vec<u8>,
    /// What the tools say of the files.
    shown: Vec<u8>,
    /// Paths of requests that were stored and are not in the log as they came.
    not_as_sent: Vec<String>,
}

/// Everything that a person may look at.
fn looks() -> Vec<(&'static str, String)> {
    vec![
        ("GET", format!("/v1/traces/tr-{SECRET}")),
        (
            "GET",
            "/v1/traces/000000000000000000000000000000aa".to_owned(),
        ),
        (
            "GET",
            "/v1/traces?explain=true&facets=metadata.plain,name,user_id,tags".to_owned(),
        ),
        ("GET", format!("/v1/traces/{SECRET}")),
        ("DELETE", format!("/v1/traces/{SECRET}")),
        ("GET", "/metrics".to_owned()),
        ("GET", "/ready".to_owned()),
        ("GET", "/live".to_owned()),
        ("GET", "/info".to_owned()),
        ("GET", "/openapi.json".to_owned()),
        ("GET", "/v1/usage".to_owned()),
        ("GET", "/v1/projects/1/logs".to_owned()),
        ("GET", "/v1/projects/1/points".to_owned()),
        ("GET", "/v1/projects/1".to_owned()),
        ("GET", "/v1/projects/1/settings".to_owned()),
        ("GET", "/v1/projects/1/usage".to_owned()),
        ("GET", "/v1/projects/1/refusals".to_owned()),
        ("GET", "/v1/projects/1/keys".to_owned()),
        ("GET", "/v1/orgs/1/audit?limit=1000".to_owned()),
        ("GET", format!("/{SECRET}")),
    ]
}

/// What `verify` says of a data directory, and `inspect` of each of its files.
fn tools(data: &Path) -> Vec<u8> {
    let run = |args: &[&str]| {
        let tool = Command::new(env!("CARGO_BIN_EXE_obsrv"))
            .args(args)
            .output();
        let tool = tool.unwrap();
        assert!(tool.status.success(), "{args:?} {tool:?}");
        [tool.stdout, tool.stderr].concat()
    };
    let mut said = run(&["verify", data.to_str().unwrap()]);
    for entry in std::fs::read_dir(data).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let kinds = ["wal", "segment", "manifest"];
        let kind = kinds
            .into_iter()
            .find(|kind| name.starts_with(&format!("{kind}-")));
        if let Some(kind) = kind {
            said.extend(run(&["inspect", kind, path.to_str().unwrap()]));
        }
    }
    said
}

/// All requests to a server with or without rules, plain and compressed, a kill, a start, a clean stop.
fn run(with_rules: bool) -> Traces {
    let dir = tempfile::tempdir().unwrap();
    let mut server = Server::start(dir.path());
    let mut traces = Traces::default();
    if with_rules {
        let rules = json!({ "revision": 0, "settings": { "redaction": {
            "media": "replace", "patterns": [{ "name": "canary", "pattern": PATTERN }] } } });
        // The rules themselves hold the pattern, and here the pattern is the secret.
        let hidden = rules.to_string().replace(PATTERN, "Zx[9]c[a]nar[y]Q[v]7");
        let path = "/v1/projects/1/settings";
        let said = server.ask("PUT", path, "application/json", hidden.as_bytes());
        assert!(said.starts_with("HTTP/1.1 200"), "{said}");
    }
    let (mut sent, mut stored) = (Vec::new(), 0);
    for (path, kind, body) in requests() {
        let said = server.ask("POST", &path, kind, &body);
        if said.starts_with("HTTP/1.1 2") {
            stored += 1;
            sent.push((path.clone(), body.clone()));
        }
        traces.answers.push(said);
        // What comes compressed is not in the log as it came, so it is sent beside.
        let packed = zstd::encode_all(&body[..], 3).unwrap();
        let said = server.ask_with("POST", &path, kind, "zstd", &packed);
        traces.answers.push(said);
    }
    assert!(stored >= 24, "stored {stored}: {:#?}", traces.answers);
    // This is no trace, so it has no record.
    let report = json!({ "trace_count": SECRET, SECRET: SECRET }).to_string();
    let said = server.ask("POST", "/v1/usage", "application/json", report.as_bytes());
    assert!(said.starts_with("HTTP/1.1 400"), "{said}");
    traces.answers.push(said);
    for (body, status) in [
        (json!({ "sdk": SECRET, SECRET: SECRET }), 200),
        (json!({ "sdk": [SECRET] }), 400),
    ] {
        let body = body.to_string();
        let said = server.ask("POST", "/v1/init", "application/json", body.as_bytes());
        assert!(said.starts_with(&format!("HTTP/1.1 {status}")), "{said}");
        traces.answers.push(said);
    }
    for (method, path) in looks() {
        let said = server.ask(method, &path, "text/plain", b"");
        assert!(!said.starts_with("HTTP/1.1 5"), "{path} {said}");
        let is_there = path.contains("tr-") || path.starts_with("/v1/projects/");
        assert!(
            !is_there || said.starts_with("HTTP/1.1 200"),
            "{path} {said}"
        );
        traces.answers.push(said);
    }
    server.kill();
    traces.after_kill = found_on_disk(dir.path());
    let logged = logged(dir.path());
    let is_logged = |body: &[u8]| memchr::memmem::find(&logged, body).is_some();
    traces.not_as_sent = sent
        .into_iter()
        .filter(|(_, body)| !is_logged(body))
        .map(|(path, _)| path)
        .collect();
    traces.log.clone_from(&server.log.lock().unwrap());
    let mut server = Server::start(dir.path());
    let said = server.ask("GET", &format!("/v1/traces/tr-{SECRET}"), "text/plain", b"");
    assert!(said.starts_with("HTTP/1.1 200"), "replayed: {said}");
    traces.answers.push(said);
    server.terminate();
    traces.after_stop = found_on_disk(dir.path());
    traces.shown = tools(dir.path());
    traces.log.extend(server.log.lock().unwrap().iter());
    traces
}

/// The bytes of the log and of the bodies beside it.
fn logged(data: &Path) -> Vec<u8> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(data).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name.starts_with("wal-") || name.starts_with("side-") {
            all.extend(std::fs::read(&path).unwrap());
        }
    }
    all
}

#[test]
fn a_secret_is_found_nowhere() {
    let traces = run(true);
    let answers = traces.answers.iter();
    let bad: Vec<&String> = answers.filter(|a| contains(a.as_bytes())).collect();
    assert!(bad.is_empty(), "in answers: {bad:#?}");
    assert_eq!(traces.after_kill, [""; 0], "after a kill");
    assert_eq!(traces.after_stop, [""; 0], "after a stop");
    for said in [&traces.log, &traces.shown] {
        assert!(!contains(said), "{}", String::from_utf8_lossy(said));
    }
}

/// The control: without rules the same search finds it in the log, in a side file, in a segment, in
/// answers and in what `inspect` shows (names of columns), and every request of every dialect is in the log as
/// it came. Not in what the server says of itself.
#[test]
fn without_rules_the_same_search_finds_it() {
    let traces = run(false);
    assert!(traces.answers.iter().any(|a| contains(a.as_bytes())));
    // The log has a LangSmith form without its files, which are attachments (D-43).
    assert_eq!(traces.not_as_sent, ["/runs/multipart"]);
    for kind in ["wal-", "side-"] {
        let found = &traces.after_kill;
        assert!(
            found.iter().any(|f| f.starts_with(kind)),
            "{kind} {found:?}"
        );
    }
    let found = &traces.after_stop;
    assert!(found.iter().any(|f| f.starts_with("segment-")), "{found:?}");
    assert!(contains(&traces.shown));
    assert!(
        !contains(&traces.log),
        "{}",
        String::from_utf8_lossy(&traces.log)
    );
}
