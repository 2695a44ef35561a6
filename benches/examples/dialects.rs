//! What a span costs to read in each dialect, and how that compares with plain OTLP of the same encoding.
//! `cargo run --release -p obsrv-benches --example dialects -- [TRACES]`
//!
//! The same runs in the words of each client: an agent, model calls with messages and usage, tool calls with
//! arguments and results. Decoding and mapping alone: the way through HTTP and the log is the same code for all. The last column is
//! spans per second over those of plain OTLP; the goal is a third at least.
#![expect(clippy::print_stdout, reason = "the figures are the product")]
#![expect(
    clippy::disallowed_methods,
    reason = "a measuring clock is the real one"
)]

use std::time::{Duration, Instant};

use obsrv_engine::row::{ProjectId, Table};
use obsrv_server::dialect::{Context, Dialect, decode};
use serde_json::{Value, json};

const BASE_NS: u64 = 1_793_500_000_000_000_000;
const STEPS: usize = 8;
const BOUNDARY: &str = "obsrv-bench";
/// Each dialect is read for about so long.
const TIME: Duration = Duration::from_millis(1500);

/// A step of a run, in nobody's words.
struct Step {
    id: u64,
    is_call: bool,
    start_ns: u64,
    prompt: String,
    answer: String,
    tokens: (u64, u64),
}

struct Run {
    id: u128,
    steps: Vec<Step>,
}

fn text(seed: usize, words: usize) -> String {
    const WORDS: [&str; 16] = [
        "order",
        "refund",
        "customer",
        "please",
        "the",
        "status",
        "of",
        "invoice",
        "a",
        "delivery",
        "to",
        "Zürich",
        "and",
        "\"quoted\"",
        "answer",
        "with",
    ];
    let word = |at: usize| WORDS[(seed * 7 + at * 5 + at / 3) % WORDS.len()];
    (0..words).map(word).collect::<Vec<_>>().join(" ")
}

fn runs(count: usize) -> Vec<Run> {
    let step = |run: usize, at: usize| {
        let n = u64::try_from(run * STEPS + at).expect("BUG: a small number");
        Step {
            id: n + 1,
            is_call: at.is_multiple_of(2),
            start_ns: BASE_NS + n * 1_000_000,
            prompt: text(run + at, 120),
            answer: text(run * 3 + at, 60),
            tokens: (400 + n % 100, 80 + n % 30),
        }
    };
    let one = |run: usize| Run {
        id: 0xabcd_0000 + u128::try_from(run).expect("BUG: a small number"),
        steps: (0..STEPS).map(|at| step(run, at)).collect(),
    };
    (0..count).map(one).collect()
}

const fn end(step: &Step) -> u64 {
    step.start_ns + 900_000
}

fn iso(ns: u64) -> String {
    // Only the time within one day differs.
    let (s, rest) = (ns / 1_000_000_000 % 86_400, ns % 1_000_000_000);
    format!(
        "2026-11-01T{:02}:{:02}:{:02}.{:06}Z",
        s / 3600,
        s / 60 % 60,
        s % 60,
        rest / 1000
    )
}

/// Attributes of a step by the conventions of `OpenTelemetry`.
fn attributes(step: &Step) -> Vec<(&'static str, Value)> {
    if step.is_call {
        let messages = |role: &str, text: &str| {
            let part = json!([{ "type": "text", "content": text }]);
            json!([{ "role": role, "parts": part }]).to_string().into()
        };
        vec![
            ("gen_ai.operation.name", "chat".into()),
            ("gen_ai.request.model", "gpt-4o".into()),
            ("gen_ai.usage.input_tokens", step.tokens.0.into()),
            ("gen_ai.usage.output_tokens", step.tokens.1.into()),
            ("gen_ai.input.messages", messages("user", &step.prompt)),
            (
                "gen_ai.output.messages",
                messages("assistant", &step.answer),
            ),
        ]
    } else {
        vec![
            ("gen_ai.operation.name", "execute_tool".into()),
            ("gen_ai.tool.name", "lookup".into()),
            ("gen_ai.tool.call.arguments", step.prompt.as_str().into()),
            ("gen_ai.tool.call.result", step.answer.as_str().into()),
        ]
    }
}

const fn name(step: &Step) -> &'static str {
    if step.is_call {
        "chat gpt-4o"
    } else {
        "lookup"
    }
}

fn otlp_json(runs: &[Run], resource: &[(&str, &str)]) -> Vec<u8> {
    let value = |value: &Value| match value {
        Value::String(text) => json!({ "stringValue": text }),
        other => json!({ "intValue": other.to_string() }),
    };
    let span = |run: &Run, step: &Step| {
        let all = attributes(step).into_iter();
        let all: Vec<_> = all
            .map(|(k, v)| json!({ "key": k, "value": value(&v) }))
            .collect();
        json!({ "traceId": format!("{:032x}", run.id), "spanId": format!("{:016x}", step.id), "name": name(step),
            "kind": 1, "startTimeUnixNano": step.start_ns.to_string(), "endTimeUnixNano": end(step).to_string(),
            "attributes": all, "status": {} })
    };
    let spans: Vec<_> = runs
        .iter()
        .flat_map(|run| run.steps.iter().map(move |s| span(run, s)))
        .collect();
    let resource: Vec<_> = resource
        .iter()
        .map(|(k, v)| json!({ "key": k, "value": { "stringValue": v } }))
        .collect();
    json!({ "resourceSpans": [{ "resource": { "attributes": resource }, "scopeSpans": [{ "spans": spans }] }] })
        .to_string()
        .into_bytes()
}

mod proto {
    //! The wire form of protobuf, as far as it is needed here.

    pub(super) fn varint(mut n: u64, out: &mut Vec<u8>) {
        while n >= 0x80 {
            out.push(u8::try_from(n & 0x7f).expect("BUG: seven bits") | 0x80);
            n >>= 7;
        }
        out.push(u8::try_from(n).expect("BUG: seven bits"));
    }

    pub(super) fn bytes(field: u64, content: &[u8], out: &mut Vec<u8>) {
        varint(field << 3 | 2, out);
        varint(
            u64::try_from(content.len()).expect("BUG: a small number"),
            out,
        );
        out.extend_from_slice(content);
    }

    pub(super) fn number(field: u64, n: u64, out: &mut Vec<u8>) {
        varint(field << 3, out);
        varint(n, out);
    }

    pub(super) fn fixed(field: u64, n: u64, out: &mut Vec<u8>) {
        varint(field << 3 | 1, out);
        out.extend_from_slice(&n.to_le_bytes());
    }
}

fn otlp_protobuf(runs: &[Run]) -> Vec<u8> {
    let key_value = |key: &str, value: &Value| {
        let (mut any, mut out) = (Vec::new(), Vec::new());
        match value.as_u64() {
            Some(n) => proto::number(3, n, &mut any),
            None => proto::bytes(1, value.as_str().unwrap_or("").as_bytes(), &mut any),
        }
        proto::bytes(1, key.as_bytes(), &mut out);
        proto::bytes(2, &any, &mut out);
        out
    };
    let mut scope = Vec::new();
    for (run, step) in runs
        .iter()
        .flat_map(|run| run.steps.iter().map(move |s| (run, s)))
    {
        let mut span = Vec::new();
        proto::bytes(1, &run.id.to_le_bytes(), &mut span);
        proto::bytes(2, &step.id.to_le_bytes(), &mut span);
        proto::bytes(5, name(step).as_bytes(), &mut span);
        proto::number(6, 1, &mut span);
        proto::fixed(7, step.start_ns, &mut span);
        proto::fixed(8, end(step), &mut span);
        for (key, value) in attributes(step) {
            proto::bytes(9, &key_value(key, &value), &mut span);
        }
        proto::bytes(2, &span, &mut scope);
    }
    let (mut resource, mut out) = (Vec::new(), Vec::new());
    proto::bytes(2, &scope, &mut resource);
    proto::bytes(1, &resource, &mut out);
    out
}

fn theta(run: &Run) -> Vec<u8> {
    let step = |step: &Step| {
        let mut said = json!({ "step_id": format!("{:016x}", step.id), "name": name(step), "status": "success",
            "started_at": iso(step.start_ns), "ended_at": iso(end(step)) });
        if step.is_call {
            said["type"] = "llm".into();
            said["model"] = "gpt-4o".into();
            said["token_usage"] =
                json!({ "input_tokens": step.tokens.0, "output_tokens": step.tokens.1 });
            said["messages"] = json!([{ "role": "user", "content": step.prompt },
                { "role": "assistant", "content": step.answer }]);
        } else {
            said["type"] = "tool".into();
            said["tool_calls"] = json!([{ "name": "lookup", "arguments": { "q": step.prompt }, "result": step.answer }]);
        }
        said
    };
    let steps: Vec<_> = run.steps.iter().map(step).collect();
    json!({ "trace_id": format!("{:032x}", run.id), "name": "agent", "status": "success",
        "started_at": iso(BASE_NS), "steps": steps })
    .to_string()
    .into_bytes()
}

fn aiobs(runs: &[Run]) -> Vec<u8> {
    let seconds = |ns: u64| json!(Duration::from_nanos(ns).as_secs_f64());
    let (mut calls, mut functions) = (Vec::new(), Vec::new());
    for (run, step) in runs
        .iter()
        .flat_map(|run| run.steps.iter().map(move |s| (run, s)))
    {
        let mut said = json!({ "started_at": seconds(step.start_ns), "ended_at": seconds(end(step)), "duration_ms": 0.9,
            "error": null, "callsite": null, "span_id": format!("{:016x}", step.id), "parent_span_id": null,
            "trace_id": format!("{:032x}", run.id), "session_id": "s-1" });
        if step.is_call {
            said["provider"] = "openai".into();
            said["api"] = "chat.completions.create".into();
            said["request"] = json!({ "model": "gpt-4o", "messages": [{ "role": "user", "content": step.prompt }] });
            said["response"] = json!({ "id": "c", "model": "gpt-4o", "text": step.answer, "usage": {
                "prompt_tokens": step.tokens.0, "completion_tokens": step.tokens.1 } });
            calls.push(said);
        } else {
            said["provider"] = "function".into();
            said["api"] = "app.lookup".into();
            said["name"] = "lookup".into();
            said["args"] = json!([step.prompt]);
            said["result"] = step.answer.as_str().into();
            functions.push(said);
        }
    }
    let session = json!({ "id": "s-1", "name": "bench", "started_at": seconds(BASE_NS), "ended_at": null,
        "meta": {}, "labels": {} });
    json!({ "sessions": [session], "events": calls, "function_events": functions,
        "generated_at": seconds(BASE_NS), "version": 1 })
    .to_string()
    .into_bytes()
}

fn langfuse(runs: &[Run]) -> Vec<u8> {
    let event = |run: &Run, step: &Step| {
        let mut body = json!({ "id": format!("{:016x}", step.id), "traceId": format!("{:032x}", run.id),
            "name": name(step), "startTime": iso(step.start_ns), "endTime": iso(end(step)),
            "output": step.answer });
        if step.is_call {
            body["input"] = json!([{ "role": "user", "content": step.prompt }]);
            body["model"] = "gpt-4o".into();
            body["usageDetails"] = json!({ "input": step.tokens.0, "output": step.tokens.1 });
        } else {
            body["input"] = json!({ "q": step.prompt });
        }
        let kind = if step.is_call {
            "generation-create"
        } else {
            "span-create"
        };
        json!({ "id": format!("e{}", step.id), "type": kind, "timestamp": iso(end(step)), "body": body })
    };
    let all: Vec<_> = runs
        .iter()
        .flat_map(|run| run.steps.iter().map(move |s| event(run, s)))
        .collect();
    json!({ "batch": all }).to_string().into_bytes()
}

fn uuid(n: u128) -> String {
    let hex = format!("{n:032x}");
    let cut = |from: usize, to: usize| hex.get(from..to).unwrap_or("");
    format!(
        "{}-{}-{}-{}-{}",
        cut(0, 8),
        cut(8, 12),
        cut(12, 16),
        cut(16, 20),
        cut(20, 32)
    )
}

fn langsmith_runs(runs: &[Run]) -> Vec<Value> {
    let one = |run: &Run, step: &Step| {
        let mut said = json!({ "id": uuid(u128::from(step.id)), "trace_id": uuid(run.id), "name": name(step),
            "run_type": if step.is_call { "llm" } else { "tool" }, "start_time": iso(step.start_ns),
            "end_time": iso(end(step)) });
        if step.is_call {
            said["inputs"] = json!({ "messages": [{ "role": "user", "content": step.prompt }] });
            said["outputs"] = json!({ "content": step.answer, "usage_metadata": {
                "input_tokens": step.tokens.0, "output_tokens": step.tokens.1 } });
            said["extra"] = json!({ "metadata": { "ls_model_name": "gpt-4o" } });
        } else {
            said["inputs"] = json!({ "q": step.prompt });
            said["outputs"] = json!({ "output": step.answer });
        }
        said
    };
    runs.iter()
        .flat_map(|run| run.steps.iter().map(move |s| one(run, s)))
        .collect()
}

fn langsmith_form(runs: &[Run]) -> Vec<u8> {
    let mut out = Vec::new();
    for mut run in langsmith_runs(runs) {
        let id = run["id"].as_str().unwrap_or("").to_owned();
        let apart = ["inputs", "outputs"].map(|field| (field, run[field].take()));
        let main = (format!("post.{id}"), run);
        let fields = apart.map(|(field, value)| (format!("post.{id}.{field}"), value));
        for (name, value) in [main].into_iter().chain(fields) {
            let head = format!(
                "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"\r\nContent-Type: application/json\r\n\r\n"
            );
            out.extend_from_slice(head.as_bytes());
            out.extend_from_slice(value.to_string().as_bytes());
            out.extend_from_slice(b"\r\n");
        }
    }
    out.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
    out
}

/// The Context Company's client sends each step by itself.
fn tcc(run: &Run, step: &Step) -> Vec<u8> {
    let mut said = json!({ "run_id": format!("{:032x}", run.id), "start_time": iso(step.start_ns),
        "end_time": iso(end(step)), "status_code": 0 });
    if step.is_call {
        said["type"] = "step".into();
        said["step_id"] = format!("{:016x}", step.id).into();
        said["prompt"] = step.prompt.as_str().into();
        said["response"] = step.answer.as_str().into();
        said["model_used"] = "gpt-4o".into();
        said["prompt_uncached_tokens"] = step.tokens.0.into();
        said["completion_tokens"] = step.tokens.1.into();
    } else {
        said["type"] = "tool_call".into();
        said["tool_call_id"] = format!("{:016x}", step.id).into();
        said["tool_name"] = "lookup".into();
        said["args"] = json!({ "q": step.prompt });
        said["result"] = step.answer.as_str().into();
    }
    said.to_string().into_bytes()
}

struct Case {
    name: &'static str,
    dialect: Dialect,
    /// Compared with plain OTLP of this encoding.
    over: Dialect,
    bodies: Vec<Vec<u8>>,
}

fn cases(runs: &[Run]) -> Vec<Case> {
    let case = |name, dialect, bodies| {
        let over = match dialect {
            Dialect::OtlpProtobuf => Dialect::OtlpProtobuf,
            _ => Dialect::OtlpJson,
        };
        Case {
            name,
            dialect,
            over,
            bodies,
        }
    };
    let pages = || runs.chunks(16);
    let steps = runs
        .iter()
        .flat_map(|run| run.steps.iter().map(move |s| tcc(run, s)));
    let batch = |runs| {
        json!({ "post": langsmith_runs(runs), "patch": [] })
            .to_string()
            .into_bytes()
    };
    let obtrace = [
        ("service.name", "shop"),
        ("obtrace.sdk", "python"),
        ("deployment.environment", "prod"),
    ];
    vec![
        case(
            "OTLP protobuf",
            Dialect::OtlpProtobuf,
            pages().map(otlp_protobuf).collect(),
        ),
        case(
            "OTLP JSON",
            Dialect::OtlpJson,
            pages().map(|runs| otlp_json(runs, &[])).collect(),
        ),
        case(
            "Obtrace JSON",
            Dialect::OtlpJson,
            pages().map(|runs| otlp_json(runs, &obtrace)).collect(),
        ),
        case(
            "theta",
            Dialect::ThetaTrace,
            runs.iter().map(theta).collect(),
        ),
        case("aiobs", Dialect::AiobsExport, pages().map(aiobs).collect()),
        case(
            "Langfuse",
            Dialect::LangfuseBatch,
            pages().map(langfuse).collect(),
        ),
        case(
            "LangSmith batch",
            Dialect::LangsmithBatch,
            pages().map(batch).collect(),
        ),
        case(
            "LangSmith form",
            Dialect::LangsmithForm,
            pages().map(langsmith_form).collect(),
        ),
        case("The Context Company", Dialect::TccCustom, steps.collect()),
    ]
}

/// Spans and bytes of a second.
fn measure(case: &Case, spans: usize) -> (f64, f64) {
    let context = |body: &[u8]| Context {
        project: ProjectId(1),
        body_hash: u64::try_from(body.len()).expect("BUG: a small number"),
        subject: if case.dialect == Dialect::LangsmithForm {
            BOUNDARY
        } else {
            ""
        },
        received_ns: 1_793_500_000_000_000_000,
        key_id: 0,
    };
    let pass = || {
        let mut found = 0;
        for body in &case.bodies {
            let decoded = decode(case.dialect, &context(body), body).expect("BUG: our own bytes");
            assert!(
                decoded.items.iter().all(|item| item.error.is_none()),
                "{}: {:?}",
                case.name,
                decoded.items
            );
            found += decoded
                .events
                .iter()
                .filter(|event| event.table == Table::Spans)
                .count();
        }
        assert!(
            found >= spans,
            "{}: spans are missing found={found} sent={spans}",
            case.name
        );
    };
    pass();
    let (began, mut passes) = (Instant::now(), 0_u32);
    while began.elapsed() < TIME {
        pass();
        passes += 1;
    }
    let seconds = began.elapsed().as_secs_f64() / f64::from(passes);
    let of = |n: usize| f64::from(u32::try_from(n).expect("BUG: a small number"));
    let bytes = case.bodies.iter().map(Vec::len).sum();
    (of(spans) / seconds, of(bytes) / seconds)
}

fn main() {
    let count = std::env::args()
        .nth(1)
        .and_then(|n| n.parse().ok())
        .unwrap_or(512);
    let runs = runs(count);
    let spans = count * STEPS;
    println!("{spans} spans of {count} runs, decoded and mapped on one thread\n");
    println!(
        "| dialect | bytes a span | us a span | MB/s | of plain OTLP |\n|---|---|---|---|---|"
    );
    let mut plain: Vec<(Dialect, f64)> = Vec::new();
    for case in cases(&runs) {
        let (speed, bytes) = measure(&case, spans);
        let is_plain = plain.iter().all(|(dialect, _)| *dialect != case.dialect);
        if is_plain && case.dialect == case.over {
            plain.push((case.dialect, speed));
        }
        let base = plain.iter().find(|(dialect, _)| *dialect == case.over);
        let share = base.map_or(1.0, |(_, base)| speed / base);
        println!(
            "| {} | {:.0} | {:.2} | {:.0} | {share:.2} |",
            case.name,
            bytes / speed,
            1e6 / speed,
            bytes / 1e6
        );
    }
}
