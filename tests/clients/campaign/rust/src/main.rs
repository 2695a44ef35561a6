//! A program of the published OpenTelemetry crates: spans, log records and metrics in one encoding.
//!
//!     obsrv-campaign-otel http/protobuf|http/json|grpc
//!
//! Where to is said by the usual environment variables of the exporters. Prints what the SDK handed to them, as JSON.

mod said;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use opentelemetry::logs::{AnyValue, LogRecord, Logger, LoggerProvider, Severity};
use opentelemetry::metrics::MeterProvider;
use opentelemetry::trace::{Link, Span, SpanKind, Status, TraceContextExt, Tracer, TracerProvider};
use opentelemetry::{Array, Context, InstrumentationScope, Key, KeyValue, Value};
use opentelemetry_otlp::{
    ExporterBuildError, LogExporter, MetricExporter, Protocol, SpanExporter, WithExportConfig,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::{InMemoryLogExporter, SdkLoggerProvider};
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::metrics::{Aggregation, Instrument, SdkMeterProvider, Stream, Temporality};
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider};

/// The encoding: `None` is gRPC.
type Encoding = Option<Protocol>;

fn spans(encoding: Encoding) -> Result<SpanExporter, ExporterBuildError> {
    match encoding {
        Some(protocol) => SpanExporter::builder()
            .with_http()
            .with_protocol(protocol)
            .build(),
        None => SpanExporter::builder().with_tonic().build(),
    }
}

fn logs(encoding: Encoding) -> Result<LogExporter, ExporterBuildError> {
    match encoding {
        Some(protocol) => LogExporter::builder()
            .with_http()
            .with_protocol(protocol)
            .build(),
        None => LogExporter::builder().with_tonic().build(),
    }
}

fn metrics(
    encoding: Encoding,
    temporality: Temporality,
) -> Result<MetricExporter, ExporterBuildError> {
    let builder = MetricExporter::builder().with_temporality(temporality);
    match encoding {
        Some(protocol) => builder.with_http().with_protocol(protocol).build(),
        None => builder.with_tonic().build(),
    }
}

/// An exporter that notes what it is handed.
#[derive(Clone)]
struct Noting {
    to: Arc<MetricExporter>,
    points: Arc<Mutex<Vec<serde_json::Value>>>,
}

impl PushMetricExporter for Noting {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        let said = said::points(metrics);
        self.points.lock().expect("poisoned").extend(said);
        self.to.export(metrics).await
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.to.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.to.shutdown_with_timeout(timeout)
    }

    fn temporality(&self) -> Temporality {
        self.to.temporality()
    }
}

fn every_value() -> Vec<KeyValue> {
    vec![
        KeyValue::new("text", "ünï 漢字 🙂"),
        KeyValue::new("empty", ""),
        KeyValue::new("least", i64::MIN),
        KeyValue::new("most", i64::MAX),
        KeyValue::new("part", 0.1),
        KeyValue::new("tiny", 5e-324),
        KeyValue::new("yes", true),
        KeyValue::new(
            "texts",
            Value::Array(Array::String(vec!["a".into(), "ü".into()])),
        ),
        KeyValue::new("wholes", Value::Array(Array::I64(vec![1, -2]))),
        KeyValue::new("parts", Value::Array(Array::F64(vec![0.5, 1.5]))),
        KeyValue::new("bools", Value::Array(Array::Bool(vec![true, false]))),
        KeyValue::new("none_of_it", Value::Array(Array::String(Vec::new()))),
        KeyValue::new("dotted.path.deep", "x"),
    ]
}

/// A request with a call of a model, a tool that breaks, and a span that another program asked for.
fn trace(provider: &SdkTracerProvider, log: impl Fn(&str)) {
    let scope = InstrumentationScope::builder("campaign.rust")
        .with_version("9.9")
        .with_schema_url("https://opentelemetry.io/schemas/1.30.0")
        .with_attributes([KeyValue::new("team", "blue")])
        .build();
    let tracer = provider.tracer_with_scope(scope);
    let root = tracer
        .span_builder("request")
        .with_kind(SpanKind::Server)
        .with_attributes(every_value());
    let root = Context::current_with_span(root.start(&tracer));
    let called = tracer
        .span_builder("chat mock-large")
        .with_kind(SpanKind::Client)
        .with_attributes([
            KeyValue::new("gen_ai.operation.name", "chat"),
            KeyValue::new("gen_ai.provider.name", "openai"),
            KeyValue::new("gen_ai.request.model", "mock-large"),
            KeyValue::new("gen_ai.usage.input_tokens", 120),
            KeyValue::new("gen_ai.usage.output_tokens", 20),
        ]);
    let mut called = called.start_with_context(&tracer, &root);
    called.add_event(
        "token",
        vec![KeyValue::new("n", 1), KeyValue::new("text", "hel")],
    );
    called.add_event(
        "token",
        vec![KeyValue::new("n", 2), KeyValue::new("text", "lo")],
    );
    called.set_status(Status::Ok);
    let place = called.span_context().clone();
    called.end();
    {
        let entered = root.clone().attach();
        log("in a span");
        drop(entered);
    }
    let links = vec![Link::new(place, vec![KeyValue::new("why", "retry of")], 0)];
    let mut tool = tracer
        .span_builder("execute_tool")
        .with_links(links)
        .start_with_context(&tracer, &root);
    tool.record_error(&std::io::Error::other("the tool broke"));
    tool.set_status(Status::error("the tool broke"));
    tool.end();
    let produced = tracer
        .span_builder("produce")
        .with_kind(SpanKind::Producer)
        .start_with_context(&tracer, &root);
    let produced = root.with_span(produced);
    tracer
        .span_builder("consume")
        .with_kind(SpanKind::Consumer)
        .start_with_context(&tracer, &produced)
        .end();
    produced.span().end();
    root.span().end();
    let mut alone = tracer.start("alone");
    alone.update_name("alone, renamed");
    alone.end();
}

fn emit(
    logger: &impl Logger,
    severity: Severity,
    text: &'static str,
    body: AnyValue,
    more: Vec<(Key, AnyValue)>,
) {
    let mut record = logger.create_log_record();
    record.set_severity_number(severity);
    record.set_severity_text(text);
    record.set_body(body);
    record.add_attributes(more);
    if severity == Severity::Info {
        record.set_timestamp(std::time::SystemTime::now());
        record.set_event_name("something.happened");
    }
    logger.emit(record);
}

fn lines(logger: &impl Logger) {
    let deep = HashMap::from([(Key::new("er"), AnyValue::from_iter([1_i64, 2]))]);
    let map = HashMap::from([(Key::new("deep"), AnyValue::Map(Box::new(deep)))]);
    let attributes = vec![
        (Key::new("whole"), AnyValue::Int(1 << 62)),
        (Key::new("part"), AnyValue::Double(0.1)),
        (Key::new("yes"), AnyValue::Boolean(true)),
        (Key::new("texts"), AnyValue::from_iter(["a", "b"])),
        (Key::new("metadata.customer"), AnyValue::from("acme")),
    ];
    emit(
        logger,
        Severity::Debug,
        "DEBUG",
        "ünï 漢字 🙂".into(),
        attributes,
    );
    emit(
        logger,
        Severity::Info,
        "INFO",
        AnyValue::Map(Box::new(map)),
        Vec::new(),
    );
    emit(logger, Severity::Error, "ERROR", "twice".into(), Vec::new());
    emit(logger, Severity::Error, "ERROR", "twice".into(), Vec::new());
    emit(
        logger,
        Severity::Fatal4,
        "as sent",
        "bye".into(),
        Vec::new(),
    );
}

fn exponential(instrument: &Instrument) -> Option<Stream> {
    let aggregation = Aggregation::Base2ExponentialHistogram {
        max_size: 160,
        max_scale: 20,
        record_min_max: true,
    };
    (instrument.name() == "exponential")
        .then(|| Stream::builder().with_aggregation(aggregation).build().ok())?
}

fn measure(provider: &SdkMeterProvider) {
    let scope = InstrumentationScope::builder("campaign.meter")
        .with_version("3")
        .build();
    let meter = provider.meter_with_scope(scope);
    let plan = [KeyValue::new("plan", "pro"), KeyValue::new("ok", true)];
    meter
        .u64_counter("orders")
        .with_unit("{order}")
        .with_description("Orders.")
        .build()
        .add(3, &plan);
    meter
        .f64_counter("spent")
        .with_unit("USD")
        .build()
        .add(0.25, &[]);
    let texts = Value::Array(Array::String(vec!["a".into()]));
    meter
        .i64_up_down_counter("queue")
        .build()
        .add(-2, &[KeyValue::new("texts", texts)]);
    meter.f64_gauge("level").build().record(0.1, &[]);
    let latency = meter.f64_histogram("latency").with_unit("ms").build();
    for value in [0.0, 0.3, 7.0, 7.0, 5000.0] {
        latency.record(value, &[KeyValue::new("route", "/")]);
    }
    meter
        .u64_histogram("sizes")
        .with_boundaries(vec![1.0, 10.0])
        .build()
        .record(7, &[]);
    let exponential = meter.f64_histogram("exponential").build();
    for value in [0.0, 1.0, 3.5, 1e9] {
        exponential.record(value, &[]);
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let encoding = match std::env::args().nth(1).as_deref() {
        Some("http/protobuf") => Some(Protocol::HttpBinary),
        Some("http/json") => Some(Protocol::HttpJson),
        Some("grpc") => None,
        _ => return Err("which encoding: http/protobuf, http/json or grpc".into()),
    };
    // What gRPC's client runs on; the others have threads of their own.
    let runtime = tokio::runtime::Runtime::new()?;
    let entered = runtime.enter();
    let resource = Resource::builder()
        .with_service_name("shop-rust")
        .with_attributes([
            KeyValue::new("service.version", "1.2"),
            KeyValue::new(
                "hosts",
                Value::Array(Array::String(vec!["a".into(), "b".into()])),
            ),
        ])
        .build();
    let (memory, kept) = (
        InMemorySpanExporter::default(),
        InMemoryLogExporter::default(),
    );
    let tracers = SdkTracerProvider::builder()
        .with_resource(resource.clone())
        .with_simple_exporter(memory.clone())
        .with_batch_exporter(spans(encoding)?)
        .build();
    let loggers = SdkLoggerProvider::builder()
        .with_resource(resource.clone())
        .with_simple_exporter(kept.clone())
        .with_batch_exporter(logs(encoding)?)
        .build();
    let logger = loggers.logger("campaign.rust.logs");
    trace(&tracers, |text| {
        emit(
            &logger,
            Severity::Warn,
            "WARN",
            text.to_owned().into(),
            Vec::new(),
        )
    });
    lines(&logger);
    tracers.force_flush()?;
    loggers.force_flush()?;
    let mut points = Vec::new();
    for temporality in [Temporality::Cumulative, Temporality::Delta] {
        let to = Arc::new(metrics(encoding, temporality)?);
        let noting = Noting {
            to,
            points: Arc::default(),
        };
        let meters = SdkMeterProvider::builder()
            .with_resource(resource.clone())
            .with_view(exponential)
            .with_periodic_exporter(noting.clone())
            .build();
        measure(&meters);
        meters.force_flush()?;
        meters.shutdown()?;
        points.append(&mut noting.points.lock().expect("poisoned"));
    }
    let spans: Vec<_> = memory
        .get_finished_spans()?
        .iter()
        .map(said::span)
        .collect();
    let logs: Vec<_> = kept.get_emitted_logs()?.iter().map(said::line).collect();
    tracers.shutdown()?;
    loggers.shutdown()?;
    drop(entered);
    let said = serde_json::json!({ "resource": said::resource(&resource), "spans": spans, "logs": logs, "points": points });
    println!("{said}");
    Ok(())
}
