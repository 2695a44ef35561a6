//! A program with the OpenTelemetry SDK of Rust: `otel-program grpc|protobuf|json`. Prints what its own in-memory
//! exporter says that it made.

use std::collections::HashMap;
use std::env;
use std::time::{SystemTime, UNIX_EPOCH};

use opentelemetry::trace::{
    Link, Span, SpanContext, SpanId, SpanKind, Status, TraceContextExt, TraceFlags, TraceId, TraceState, Tracer, TracerProvider,
};
use opentelemetry::{Array, Context, KeyValue, Value};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig, WithHttpConfig, WithTonicConfig, tonic_types::metadata::MetadataMap};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider, SpanData};
use serde_json::{Map, Value as Json, json};

type Failed = Box<dyn std::error::Error>;

fn exporter(form: &str) -> Result<SpanExporter, Failed> {
    let key = env::var("OBSRV_KEY")?;
    if form == "grpc" {
        let mut metadata = MetadataMap::new();
        metadata.insert("x-api-key", key.parse()?);
        let builder = SpanExporter::builder().with_tonic();
        return Ok(builder.with_endpoint(env::var("OBSRV_GRPC_URL")?).with_metadata(metadata).build()?);
    }
    let protocol = if form == "json" { Protocol::HttpJson } else { Protocol::HttpBinary };
    let url = env::var("OBSRV_URL")? + "/v1/traces";
    let headers = HashMap::from([("x-api-key".to_owned(), key)]);
    let builder = SpanExporter::builder().with_http().with_protocol(protocol);
    Ok(builder.with_endpoint(url).with_headers(headers).build()?)
}

fn program(provider: &SdkTracerProvider) {
    let tracer = provider.tracer("tests.program");
    let mut root = tracer.span_builder("request").with_kind(SpanKind::Server).start(&tracer);
    let texts = Array::String(vec!["a".into(), "b".into()]);
    root.set_attributes([
        KeyValue::new("metadata.customer", "acme"),
        KeyValue::new("text", "ünï 漢字 🙂"),
        KeyValue::new("yes", true),
        KeyValue::new("whole", i64::MAX),
        KeyValue::new("negative", -7),
        KeyValue::new("part", 0.1),
        KeyValue::new("texts", Value::Array(texts)),
        KeyValue::new("wholes", Value::Array(Array::I64(vec![1, 2]))),
    ]);
    let elsewhere = SpanContext::new(
        TraceId::from(7_u128),
        SpanId::from(9_u64),
        TraceFlags::SAMPLED,
        true,
        TraceState::default(),
    );
    let within = Context::new().with_span(root);
    let attributes = [KeyValue::new("gen_ai.operation.name", "chat"), KeyValue::new("gen_ai.request.model", "gpt-4o")];
    let mut chat = tracer.span_builder("chat").with_kind(SpanKind::Client).with_attributes(attributes).start_with_context(&tracer, &within);
    chat.add_event("token", vec![KeyValue::new("n", 1), KeyValue::new("text", "hel")]);
    chat.set_status(Status::Ok);
    chat.end();
    let links = vec![Link::new(elsewhere, vec![KeyValue::new("why", "retry of")], 0)];
    let mut tool = tracer.span_builder("execute_tool").with_links(links).start_with_context(&tracer, &within);
    tool.set_status(Status::error("the tool broke"));
    tool.end();
    within.span().end();
}

fn nanos(time: SystemTime) -> String {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos()).to_string()
}

fn attributes<'a>(all: impl IntoIterator<Item = &'a KeyValue>) -> Json {
    let one = |kv: &KeyValue| (kv.key.to_string(), value(&kv.value));
    Json::Object(all.into_iter().map(one).collect::<Map<_, _>>())
}

fn value(value: &Value) -> Json {
    match value {
        Value::Bool(b) => json!(b),
        Value::I64(n) => json!(n),
        Value::F64(n) => json!(n),
        Value::String(s) => json!(s.as_str()),
        Value::Array(Array::I64(all)) => json!(all),
        Value::Array(Array::String(all)) => json!(all.iter().map(|s| s.as_str()).collect::<Vec<_>>()),
        other => json!(format!("{other:?}")),
    }
}

fn said(span: &SpanData) -> Json {
    let error = match &span.status {
        Status::Error { description } => Some(description.to_string()),
        _ => None,
    };
    let root = span.parent_span_id == SpanId::INVALID;
    json!({
        "id": span.span_context.span_id().to_string(),
        "parent": (!root).then(|| span.parent_span_id.to_string()),
        "name": span.name,
        "kind": format!("{:?}", span.span_kind).to_lowercase(),
        "status": if error.is_some() { "error" } else { "success" },
        "error": error,
        "start": nanos(span.start_time),
        "end": nanos(span.end_time),
        "attributes": attributes(&span.attributes),
        "scope": span.instrumentation_scope.name(),
        "events": span.events.iter().map(|e| json!([e.name, attributes(&e.attributes)])).collect::<Vec<_>>(),
        "links": span.links.iter().map(|k| json!([
            k.span_context.trace_id().to_string(), k.span_context.span_id().to_string(), attributes(&k.attributes)
        ])).collect::<Vec<_>>(),
    })
}

fn main() -> Result<(), Failed> {
    let form = env::args().nth(1).ok_or("grpc, protobuf or json?")?;
    let runtime = tokio::runtime::Runtime::new()?;
    let exporter = {
        let _guard = runtime.enter();
        exporter(&form)?
    };
    let memory = InMemorySpanExporter::default();
    let resource = Resource::builder_empty().with_attribute(KeyValue::new("service.name", "shop-rs")).build();
    let provider = SdkTracerProvider::builder()
        .with_resource(resource)
        .with_simple_exporter(memory.clone())
        .with_batch_exporter(exporter)
        .build();
    program(&provider);
    provider.force_flush()?;
    let spans = memory.get_finished_spans()?;
    let trace_id = spans.first().ok_or("no spans")?.span_context.trace_id().to_string();
    println!("{}", json!({ "trace_id": trace_id, "spans": spans.iter().map(said).collect::<Vec<_>>() }));
    provider.shutdown()?;
    Ok(())
}
