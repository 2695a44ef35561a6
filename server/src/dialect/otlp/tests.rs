//! The oracle is prost with the published message types: what it encodes must read back field by
//! field, in wire form and in JSON.

use obsrv_engine::doc::{DocRef, DocWriter};
use obsrv_engine::row::Event;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest as Request;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event as SpanEvent, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use proptest::collection::vec;
use proptest::prelude::*;
use prost::Message;

use super::*;
use crate::dialect::{ATTRIBUTES_MAX, ID_BYTES_MAX, KEY_BYTES_MAX, VALUE_DEPTH_MAX, doc_json};
use obsrv_engine::row::ProjectId;

mod runs;
mod signals;
mod writing;

const CTX: Context<'_> = Context {
    project: ProjectId(1),
    body_hash: 7,
    subject: "",
    received_ns: 5,
    key_id: 0,
};

/// Whatever any test reads: what the mapping derived is found again in a row that has none of it.
pub(super) fn maps_to_itself(event: &Event) {
    let doc = DocRef::parse(&event.doc).unwrap();
    let stripped = again::stripped(event.table, doc);
    let found = map(event.table, DocRef::parse(&stripped).unwrap()).unwrap();
    assert_eq!(found, event.doc, "{}", doc_json::to_text(doc));
}

fn decode_protobuf(body: &[u8]) -> Result<Decoded, DecodeError> {
    super::decode_protobuf(Signal::Spans, &CTX, body)
}

fn decode_json(body: &[u8]) -> Result<Decoded, DecodeError> {
    super::decode_json(Signal::Spans, &CTX, body)
}

fn any_value() -> impl Strategy<Value = AnyValue> {
    let leaf = prop_oneof![
        Just(None),
        "[^\\x00]{0,8}".prop_map(|s| Some(Value::StringValue(s))),
        any::<bool>().prop_map(|b| Some(Value::BoolValue(b))),
        any::<i64>().prop_map(|n| Some(Value::IntValue(n))),
        (-1e300..1e300f64).prop_map(|n| Some(Value::DoubleValue(n))),
        vec(any::<u8>(), 0..9).prop_map(|b| Some(Value::BytesValue(b))),
    ]
    .prop_map(|value| AnyValue { value });
    leaf.prop_recursive(4, 24, 4, |inner| {
        let list =
            vec(inner.clone(), 0..4).prop_map(|values| Value::ArrayValue(ArrayValue { values }));
        let map = vec(("[a-z.]{0,4}", inner), 0..4).prop_map(|entries| {
            Value::KvlistValue(KeyValueList {
                values: entries.into_iter().map(key_value).collect(),
            })
        });
        prop_oneof![list, map].prop_map(|value| AnyValue { value: Some(value) })
    })
}

fn key_value((key, value): (String, AnyValue)) -> KeyValue {
    KeyValue {
        key,
        value: Some(value),
    }
}

fn attributes() -> impl Strategy<Value = Vec<KeyValue>> {
    vec(("[a-z._]{1,6}", any_value()).prop_map(key_value), 0..5)
}

fn id(len: usize) -> impl Strategy<Value = Vec<u8>> {
    vec(1u8.., len)
}

fn span() -> impl Strategy<Value = Span> {
    let event = (1u64..1 << 62, "[a-z]{0,5}", attributes(), 0u32..3).prop_map(
        |(time_unix_nano, name, attributes, dropped_attributes_count)| SpanEvent {
            time_unix_nano,
            name,
            attributes,
            dropped_attributes_count,
        },
    );
    let link = (id(16), id(8), attributes(), any::<u32>()).prop_map(
        |(trace_id, span_id, attributes, flags)| Link {
            trace_id,
            span_id,
            attributes,
            flags,
            ..Link::default()
        },
    );
    let ids = (
        id(16),
        id(8),
        prop_oneof![Just(vec![]), id(8)],
        0u64..1 << 63,
        0u64..1 << 63,
    );
    let rest = (".{0,9}", 0i32..6, 0i32..3, ".{0,5}", any::<u32>(), 0u32..9);
    (ids, rest, attributes(), vec(event, 0..3), vec(link, 0..3)).prop_map(
        |(ids, rest, attributes, events, links)| Span {
            trace_id: ids.0,
            span_id: ids.1,
            parent_span_id: ids.2,
            start_time_unix_nano: ids.3,
            end_time_unix_nano: ids.4,
            name: rest.0,
            kind: rest.1,
            status: Some(Status {
                code: rest.2,
                message: rest.3.clone(),
            }),
            trace_state: rest.3,
            flags: rest.4,
            dropped_events_count: rest.5,
            attributes,
            events,
            links,
            ..Span::default()
        },
    )
}

fn request() -> impl Strategy<Value = Request> {
    let scope =
        ("[a-z]{0,4}", "[0-9]{0,2}", attributes()).prop_map(|(name, version, attributes)| {
            InstrumentationScope {
                name,
                version,
                attributes,
                ..InstrumentationScope::default()
            }
        });
    let scoped = (proptest::option::of(scope), vec(span(), 0..4), "[a-z]{0,3}").prop_map(
        |(scope, spans, schema_url)| ScopeSpans {
            scope,
            spans,
            schema_url,
        },
    );
    let resource = attributes().prop_map(|attributes| Resource {
        attributes,
        ..Resource::default()
    });
    let group = (
        proptest::option::of(resource),
        vec(scoped, 0..3),
        "[a-z]{0,3}",
    )
        .prop_map(|(resource, scope_spans, schema_url)| ResourceSpans {
            resource,
            scope_spans,
            schema_url,
        });
    vec(group, 0..3).prop_map(|resource_spans| Request { resource_spans })
}

fn hex_of(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn write_any(value: &AnyValue, out: &mut DocWriter) {
    match &value.value {
        Some(Value::StringValue(s)) => out.str(s),
        Some(Value::BoolValue(b)) => out.bool(*b),
        Some(Value::IntValue(n)) => out.i64(*n),
        Some(Value::DoubleValue(n)) => out.f64(*n),
        Some(Value::BytesValue(b)) => out.bytes(b),
        Some(Value::ArrayValue(list)) => {
            let open = out.begin_array();
            list.values.iter().for_each(|v| write_any(v, out));
            out.end(open);
        }
        Some(Value::KvlistValue(map)) => write_attrs(&map.values, out),
        _ => out.null(),
    }
}

fn write_attrs(attributes: &[KeyValue], out: &mut DocWriter) {
    let open = out.begin_map();
    for entry in attributes {
        out.key(&entry.key);
        write_any(entry.value.as_ref().unwrap(), out);
    }
    out.end(open);
}

fn attrs_doc(attributes: &[KeyValue]) -> Vec<u8> {
    let mut out = DocWriter::new();
    write_attrs(attributes, &mut out);
    out.finish()
}

fn assert_map(found: Option<DocRef<'_>>, expected: &[KeyValue]) {
    let expected = attrs_doc(expected);
    assert_eq!(found, Some(DocRef::parse(&expected).unwrap()));
}

fn text_at<'a>(doc: DocRef<'a>, key: &str) -> &'a str {
    doc.get(key).and_then(DocRef::as_str).unwrap_or("")
}

fn number_at(doc: DocRef<'_>, key: &str) -> i64 {
    doc.get(key).and_then(DocRef::as_i64).unwrap_or(0)
}

fn check_span(event: &Event, span: &Span, group: &ResourceSpans, scoped: &ScopeSpans) {
    assert_eq!(*event.key.trace_id, hex_of(&span.trace_id));
    assert_eq!(*event.key.id, hex_of(&span.span_id));
    assert_eq!(
        u64::try_from(event.start_ns.unwrap_or(0)),
        Ok(span.start_time_unix_nano)
    );
    assert_eq!(
        u64::try_from(event.end_ns.unwrap_or(0)),
        Ok(span.end_time_unix_nano)
    );
    let doc = DocRef::parse(&event.doc).unwrap();
    doc.validate().unwrap();
    assert_eq!(text_at(doc, "name"), span.name);
    assert_eq!(text_at(doc, "parent_id"), hex_of(&span.parent_span_id));
    assert_eq!(doc.get("root").is_some(), span.parent_span_id.is_empty());
    assert_eq!(text_at(doc, "trace_state"), span.trace_state);
    assert_eq!(number_at(doc, "flags"), i64::from(span.flags));
    assert_eq!(
        number_at(doc, "dropped_events_count"),
        i64::from(span.dropped_events_count)
    );
    let status = span.status.clone().unwrap();
    assert_eq!(text_at(doc, "status_message"), status.message);
    let expected = match (status.code, span.end_time_unix_nano) {
        (2, _) => "error",
        (_, 0) => "running",
        _ => "success",
    };
    assert_eq!(text_at(doc, "status"), expected);
    assert_map(doc.get("attributes"), &span.attributes);
    let resource = group.resource.clone().unwrap_or_default();
    assert_map(doc.get("resource"), &resource.attributes);
    let about = doc.get("resource_info").unwrap_or(DocRef::Null);
    assert_eq!(text_at(about, "schema_url"), group.schema_url);
    let scope = scoped.scope.clone().unwrap_or_default();
    let found = doc.get("scope").unwrap();
    assert_eq!(text_at(found, "name"), scope.name);
    assert_eq!(text_at(found, "version"), scope.version);
    assert_eq!(text_at(found, "schema_url"), scoped.schema_url);
    if !scope.attributes.is_empty() {
        assert_map(found.get("attributes"), &scope.attributes);
    }
    let items = |key| match doc.get(key) {
        Some(DocRef::Array(items)) => items.map(Result::unwrap).collect(),
        _ => Vec::new(),
    };
    let (events, links) = (items("events"), items("links"));
    assert_eq!(
        (events.len(), links.len()),
        (span.events.len(), span.links.len())
    );
    for (found, sent) in events.into_iter().zip(&span.events) {
        assert_eq!(text_at(found, "name"), sent.name);
        assert_eq!(
            u64::try_from(number_at(found, "time_unix_nano")),
            Ok(sent.time_unix_nano)
        );
        assert_map(found.get("attributes"), &sent.attributes);
    }
    for (found, sent) in links.into_iter().zip(&span.links) {
        assert_eq!(text_at(found, "trace_id"), hex_of(&sent.trace_id));
        assert_eq!(text_at(found, "span_id"), hex_of(&sent.span_id));
        assert_eq!(number_at(found, "flags"), i64::from(sent.flags));
        assert_map(found.get("attributes"), &sent.attributes);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn every_field_that_prost_writes_is_in_the_row(request in request()) {
        let decoded = decode_protobuf(&request.encode_to_vec()).unwrap();
        prop_assert_eq!(&decoded.items, &vec![]);
        let mut events = decoded.events.iter();
        for group in &request.resource_spans {
            for scoped in &group.scope_spans {
                for span in &scoped.spans {
                    check_span(events.next().unwrap(), span, group, scoped);
                }
            }
        }
        prop_assert!(events.next().is_none());
    }

    #[test]
    fn json_and_wire_form_give_the_same_rows(request in request()) {
        let wire = decode_protobuf(&request.encode_to_vec()).unwrap();
        let text = serde_json::to_string(&request).unwrap();
        prop_assert_eq!(decode_json(text.as_bytes()).unwrap(), wire, "{}", text);
    }

    #[test]
    fn damaged_bodies_end_in_an_error_or_in_rows_that_read(
        request in request(),
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = request.encode_to_vec();
        if !bytes.is_empty() {
            for (at, byte) in damage {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            bytes.truncate(cut.index(bytes.len()) + 1);
        }
        if let Ok(decoded) = decode_protobuf(&bytes) {
            for event in decoded.events {
                DocRef::parse(&event.doc).unwrap().validate().unwrap();
            }
        }
    }
}

fn plain_span(n: u8) -> Span {
    Span {
        trace_id: vec![1; 16],
        span_id: vec![n; 8],
        name: "n".into(),
        start_time_unix_nano: 5,
        end_time_unix_nano: 9,
        ..Span::default()
    }
}

fn body(spans: Vec<Span>) -> Vec<u8> {
    let scoped = ScopeSpans {
        spans,
        ..ScopeSpans::default()
    };
    let group = ResourceSpans {
        scope_spans: vec![scoped],
        ..ResourceSpans::default()
    };
    Request {
        resource_spans: vec![group],
    }
    .encode_to_vec()
}

fn errors(spans: Vec<Span>) -> Vec<(usize, String)> {
    let decoded = decode_protobuf(&body(spans.clone())).unwrap();
    assert_eq!(decoded.events.len() + decoded.items.len(), spans.len());
    decoded
        .items
        .into_iter()
        .map(|i| (i.index, i.error.unwrap()))
        .collect()
}

fn nested(depth: usize) -> AnyValue {
    (0..depth).fold(
        AnyValue {
            value: Some(Value::IntValue(1)),
        },
        |inner, _| AnyValue {
            value: Some(Value::ArrayValue(ArrayValue {
                values: vec![inner],
            })),
        },
    )
}

fn with(attributes: Vec<(String, AnyValue)>) -> Span {
    let attributes = attributes.into_iter().map(key_value).collect::<Vec<_>>();
    let event = SpanEvent {
        attributes: attributes.clone(),
        ..SpanEvent::default()
    };
    Span {
        attributes,
        events: vec![event],
        ..plain_span(2)
    }
}

#[test]
fn a_bad_span_is_refused_by_itself_and_its_field_named() {
    let bad = |change: fn(&mut Span)| {
        let mut span = plain_span(9);
        change(&mut span);
        let found = errors(vec![plain_span(1), span, plain_span(3)]);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].0, 1);
        found[0].1.clone()
    };
    assert_eq!(bad(|s| s.trace_id.clear()), "span 1: trace_id: missing");
    assert_eq!(
        bad(|s| s.span_id = vec![0; 8]),
        "span 1: span_id: all zeros"
    );
    let late = bad(|s| s.end_time_unix_nano = u64::MAX);
    assert!(
        late.starts_with("span 1: end_time_unix_nano: time out of range"),
        "{late}"
    );
    let mut broken = body(vec![plain_span(1), plain_span(2)]);
    let at = broken
        .windows(3)
        .position(|w| w == [0x2a, 1, b'n'])
        .unwrap();
    broken[at + 2] = 0xff;
    let decoded = decode_protobuf(&broken).unwrap();
    let error = format!("span 0: name: text is not utf-8 offset={}", at + 2);
    assert_eq!(decoded.items[0].error, Some(error));
    assert_eq!(decoded.events.len(), 1);
}

#[test]
fn limits_hold_at_the_limit_and_one_above() {
    let many = |n: usize| with((0..n).map(|i| (format!("k{i}"), nested(0))).collect());
    let keyed = |n: usize| with(vec![("k".repeat(n), nested(0))]);
    let deep = |n: usize| with(vec![("k".into(), nested(n))]);
    let long_id = |n: usize| Span {
        trace_id: vec![1; n],
        ..plain_span(2)
    };
    let cases = [
        (
            many(ATTRIBUTES_MAX),
            many(ATTRIBUTES_MAX + 1),
            "attributes: too many attributes",
        ),
        (
            keyed(KEY_BYTES_MAX),
            keyed(KEY_BYTES_MAX + 1),
            "attributes: key too long",
        ),
        (
            deep(VALUE_DEPTH_MAX),
            deep(VALUE_DEPTH_MAX + 1),
            "attributes: nested too deep",
        ),
        (
            long_id(ID_BYTES_MAX / 2),
            long_id(ID_BYTES_MAX / 2 + 1),
            "trace_id: id too long",
        ),
    ];
    for (at, above, problem) in cases {
        let decoded = decode_protobuf(&body(vec![at])).unwrap();
        assert_eq!(decoded.items, vec![], "{problem}");
        DocRef::parse(&decoded.events[0].doc)
            .unwrap()
            .validate()
            .unwrap();
        let found = errors(vec![above]);
        assert!(found[0].1.contains(problem), "{found:?}");
    }
}

#[test]
fn items_at_the_limit_and_one_above() {
    let span = Span {
        trace_id: vec![1; 16],
        span_id: vec![1; 8],
        ..Span::default()
    };
    let at = decode_protobuf(&body(vec![span.clone(); ITEMS_MAX])).unwrap();
    assert_eq!(at.events.len(), ITEMS_MAX);
    let above = decode_protobuf(&body(vec![span; ITEMS_MAX + 1]));
    assert_eq!(above, Err(DecodeError::Items));
}

#[test]
fn a_resource_is_not_multiplied_beyond_the_limit() {
    let spans = 256;
    let request = |resource: usize, name: &str| {
        let value = Value::StringValue("r".repeat(resource));
        let value = AnyValue { value: Some(value) };
        let resource = Resource {
            attributes: vec![key_value(("k".into(), value))],
            ..Resource::default()
        };
        let mut scoped = ScopeSpans {
            spans: vec![plain_span(1); spans],
            ..ScopeSpans::default()
        };
        scoped.spans[spans - 1].name = name.to_owned();
        let group = ResourceSpans {
            resource: Some(resource),
            scope_spans: vec![scoped],
            ..ResourceSpans::default()
        };
        let resource_spans = vec![group];
        decode_protobuf(&Request { resource_spans }.encode_to_vec())
    };
    let empty = request(0, "n").unwrap().events[0].doc.len();
    let fits = DOCS_BYTES_MAX / spans - empty;
    let at = request(fits, "n").unwrap();
    assert_eq!(
        at.events.iter().map(|e| e.doc.len()).sum::<usize>(),
        DOCS_BYTES_MAX
    );
    assert_eq!(request(fits, "nn"), Err(DecodeError::Documents));
}

#[test]
fn nesting_of_a_megabyte_is_refused_without_recursion() {
    let mut put = Put::default();
    for _ in 0..1000 {
        let inner = std::mem::take(&mut put.out);
        let mut list = Put::default();
        list.bytes(1, &inner);
        put.bytes(5, &list.out);
    }
    let mut entry = Put::default();
    entry.bytes(1, b"k");
    entry.bytes(2, &put.out);
    let mut span = Put {
        out: plain_span(1).encode_to_vec(),
    };
    span.bytes(9, &entry.out);
    let wrapped = [2, 2, 1].iter().fold(span.out, |inner, number| {
        let mut outer = Put::default();
        outer.bytes(*number, &inner);
        outer.out
    });
    let decoded = decode_protobuf(&wrapped).unwrap();
    assert!(
        decoded.items[0]
            .error
            .as_ref()
            .unwrap()
            .contains("nested too deep")
    );
    let json = "[".repeat(100_000);
    assert!(matches!(
        decode_json(json.as_bytes()),
        Err(DecodeError::Json(_))
    ));
}

#[test]
fn json_of_the_wrong_type_is_refused_where_it_stands() {
    let whole = |text: &str| decode_json(text.as_bytes()).unwrap_err().to_string();
    assert_eq!(
        whole(r#"{"resourceSpans":7}"#),
        "resourceSpans: expected a list"
    );
    assert_eq!(
        whole(r#"{"resourceSpans":[{"scopeSpans":[{"spans":{}}]}]}"#),
        "resourceSpans[0].scopeSpans[0].spans: expected a list"
    );
    let good = r#"{"traceId":"0A","spanId":"0b","startTimeUnixNano":"7","endTimeUnixNano":9}"#;
    let bad = |span: &str| {
        let text =
            format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{span},{good}]}}]}}]}}"#);
        let decoded = decode_json(text.as_bytes()).unwrap();
        assert_eq!(decoded.events.len(), 1);
        assert_eq!(*decoded.events[0].key.trace_id, *"0a");
        decoded.items[0].error.clone().unwrap()
    };
    assert_eq!(bad("null"), "span 0: span: expected an object");
    assert_eq!(
        bad(r#"{"traceId":"xyz"}"#),
        "span 0: traceId: expected hex text"
    );
    assert_eq!(
        bad(r#"{"startTimeUnixNano":1.5}"#),
        "span 0: startTimeUnixNano: expected whole nanoseconds"
    );
    assert_eq!(
        bad(r#"{"attributes":[{"key":"k","value":{"intValue":"x"}}]}"#),
        "span 0: attributes[0].intValue: expected a whole number"
    );
    assert_eq!(
        bad(r#"{"events":[{"name":[]}]}"#),
        "span 0: events[0].name: expected text"
    );
}

#[test]
fn what_is_wrong_with_a_resource_is_wrong_with_its_spans_alone() {
    let keyed = |n: usize| vec![key_value(("k".repeat(n), nested(0)))];
    let group = |attributes| ResourceSpans {
        resource: Some(Resource {
            attributes,
            ..Resource::default()
        }),
        scope_spans: vec![ScopeSpans {
            spans: vec![plain_span(1)],
            ..ScopeSpans::default()
        }],
        ..ResourceSpans::default()
    };
    let groups = vec![group(keyed(KEY_BYTES_MAX + 1)), group(keyed(1))];
    let decoded = decode_protobuf(
        &Request {
            resource_spans: groups,
        }
        .encode_to_vec(),
    )
    .unwrap();
    assert_eq!(decoded.events.len(), 1);
    let error = decoded.items[0].error.as_ref().unwrap();
    assert!(
        error.starts_with("span 0: resource.attributes: key too long"),
        "{error}"
    );
}

const FIXTURES: [(&str, &[u8]); 7] = [
    (
        "litellm",
        include_bytes!("../../../tests/fixtures/otlp/litellm.pb"),
    ),
    (
        "langchain",
        include_bytes!("../../../tests/fixtures/otlp/langchain.pb"),
    ),
    (
        "langchain-tool",
        include_bytes!("../../../tests/fixtures/otlp/langchain-tool.pb"),
    ),
    (
        "agno",
        include_bytes!("../../../tests/fixtures/otlp/agno.pb"),
    ),
    (
        "obtrace",
        include_bytes!("../../../tests/fixtures/otlp/obtrace.pb"),
    ),
    (
        "ai4",
        include_bytes!(
            "../../../tests/fixtures/otlp/ai4-05-post-v1-traces-spans-4-ai.generateText.json"
        ),
    ),
    (
        "ai5",
        include_bytes!(
            "../../../tests/fixtures/otlp/ai5-04-post-v1-traces-spans-2-ai.streamText.json"
        ),
    ),
];

/// `name kind model tool group user input output` of every span of a recorded request.
fn facts(name: &str) -> Vec<String> {
    let body = FIXTURES.iter().find(|(n, _)| *n == name).unwrap().1;
    let decoded = if body[0] == b'{' {
        decode_json(body)
    } else {
        decode_protobuf(body)
    }
    .unwrap();
    assert_eq!(decoded.items, vec![]);
    decoded
        .events
        .iter()
        .map(|e| {
            let doc = DocRef::parse(&e.doc).unwrap();
            let show = |path: &[&str]| {
                doc.at(path)
                    .map_or("-".to_owned(), doc_json::to_text)
                    .replace('"', "")
            };
            [
                &["name"][..],
                &["status"],
                &["kind"],
                &["model"],
                &["tool"],
                &["group"],
                &["user_id"],
                &["tokens", "input"],
                &["tokens", "output"],
            ]
            .map(show)
            .join(" ")
        })
        .collect()
}

#[test]
fn recorded_requests_give_the_facts_that_they_hold() {
    let expected: [(&str, &[&str]); 7] = [
        (
            "litellm",
            &[
                "litellm_request success llm gpt-4o - - - 10 20",
                "litellm_request error llm gpt-4o - - - - -",
            ],
        ),
        (
            "langchain",
            &[
                "execute_task ChatPromptTemplate success chain - - sess-lc - - -",
                "FakeListChatModel.chat success llm unknown - sess-lc - - -",
                "execute_task StrOutputParser success chain - - sess-lc - - -",
                "RunnableSequence.workflow success agent - - sess-lc - - -",
            ],
        ),
        (
            "langchain-tool",
            &["execute_tool multiply success tool - multiply - - - -"],
        ),
        ("agno", &["bar_agent.run success agent - - sess-agno - - -"]),
        (
            "obtrace",
            &[
                "llm.call success llm gpt-4o - - - 12 5",
                "tool.call success tool - browser.click - - - -",
                "exception error custom - - - - - -",
                "agent.run success custom - - - - - -",
                "fails error custom - - - - - -",
                "checkout.charge success custom - - - - - -",
                "checkout.refund error custom - - - - - -",
            ],
        ),
        (
            "ai4",
            &[
                "ai.generateText.doGenerate success llm mock-model-1 - sess-js u-1 18 7",
                "ai.toolCall success tool - weather sess-js u-1 - -",
                "ai.generateText.doGenerate success llm mock-model-1 - sess-js u-1 10 5",
                "ai.generateText success chain mock-model-1 - sess-js u-1 28 12",
            ],
        ),
        (
            "ai5",
            &[
                "ai.streamText.doStream success llm mock-model-1 - sess-js u-1 7 3",
                "ai.streamText success chain mock-model-1 - sess-js u-1 7 3",
            ],
        ),
    ];
    for (name, lines) in expected {
        assert_eq!(facts(name), lines, "{name}");
    }
}

#[test]
fn an_error_has_its_message_from_the_best_source() {
    let exception = |kind: &str| SpanEvent {
        name: "exception".into(),
        attributes: vec![
            key_value((
                "exception.type".into(),
                AnyValue {
                    value: Some(Value::StringValue(kind.into())),
                },
            )),
            key_value((
                "exception.message".into(),
                AnyValue {
                    value: Some(Value::StringValue("no".into())),
                },
            )),
        ],
        ..SpanEvent::default()
    };
    let failed = |message: &str, events: Vec<SpanEvent>, attribute: &str| {
        let value = AnyValue {
            value: Some(Value::StringValue(attribute.into())),
        };
        let span = Span {
            status: Some(Status {
                code: 2,
                message: message.into(),
            }),
            events,
            attributes: vec![key_value(("error.type".into(), value))],
            ..plain_span(1)
        };
        let decoded = decode_protobuf(&body(vec![span])).unwrap();
        text_at(
            DocRef::parse(&decoded.events[0].doc).unwrap(),
            "error_message",
        )
        .to_owned()
    };
    let events = vec![exception("A"), exception("B"), SpanEvent::default()];
    assert_eq!(failed("said", events.clone(), "timeout"), "said");
    assert_eq!(failed("", events, "timeout"), "B: no");
    assert_eq!(failed("", vec![], "timeout"), "timeout");
    assert_eq!(failed("", vec![], ""), "");
}

/// Spans that say one known thing each, under each of its names, in each type of value.
fn spans_of_known_names() -> Vec<Span> {
    let values = [
        Value::StringValue("chat".into()),
        Value::StringValue(String::new()),
        Value::StringValue(r#"{"k":[1]}"#.into()),
        Value::IntValue(-3),
        Value::IntValue(3),
        Value::DoubleValue(4.0),
        Value::ArrayValue(ArrayValue {
            values: vec![nested(1)],
        }),
    ];
    let prefixes = [
        "metadata.",
        "langfuse.trace.metadata.",
        "langfuse.observation.metadata.",
        "ai.telemetry.metadata.",
        "traceloop.association.properties.",
    ];
    let names = names::NAMES.iter().map(|(name, ..)| (*name).to_owned());
    let own = prefixes
        .iter()
        .flat_map(|p| [(*p).to_owned(), format!("{p}x")]);
    let keys: Vec<_> = names.chain(own).collect();
    let value = |value: &Value| AnyValue {
        value: Some(value.clone()),
    };
    let one = |key: &String| {
        let attributes = values.iter().map(|v| (key.clone(), value(v)));
        attributes.map(|a| with(vec![a])).collect::<Vec<_>>()
    };
    let mut spans: Vec<_> = keys.iter().flat_map(one).collect();
    // All at once: the best rank wins, from the front and from the back.
    for v in &values {
        let mut all: Vec<_> = keys.iter().map(|k| (k.clone(), value(v))).collect();
        spans.push(with(all.clone()));
        all.reverse();
        spans.push(with(all));
    }
    spans
}

/// Documents are compared and hashed as bytes wherever they are stored: for the same body they may
/// change only together with `MAPPING_VERSION`.
#[test]
fn documents_of_this_mapping_version_stay_the_same_bytes() {
    assert_eq!(crate::dialect::MAPPING_VERSION, 6);
    let digest = |decoded: Decoded| {
        let mut hash = xxhash_rust::xxh3::Xxh3::new();
        for event in &decoded.events {
            hash.update(event.key.trace_id.as_bytes());
            hash.update(event.key.id.as_bytes());
            hash.update(&event.version.to_le_bytes());
            hash.update(&event.doc);
        }
        format!("{} {:016x}", decoded.events.len(), hash.digest())
    };
    let mut found = vec![];
    for (name, body) in FIXTURES {
        let decoded = if body[0] == b'{' {
            decode_json(body)
        } else {
            decode_protobuf(body)
        };
        found.push(format!("{name} {}", digest(decoded.unwrap())));
    }
    let known = decode_protobuf(&body(spans_of_known_names())).unwrap();
    found.push(format!("known {}", digest(known)));
    assert_eq!(
        found,
        [
            "litellm 2 f5a3e532c916f10d",
            "langchain 4 1f50e253c1625041",
            "langchain-tool 1 4b924b2d864dca7c",
            "agno 1 1f6266881cb13f69",
            "obtrace 7 56bd520135df4f3b",
            "ai4 4 2cdd93960e653953",
            "ai5 2 1417da66cce9be46",
            "known 896 252912f8234400e7",
        ]
    );
}
