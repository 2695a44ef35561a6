//! What a request takes in allocations depends on its spans, not on how many attributes they have: read from the wire,
//! put into a memtable, spread over its columns. A binary of its own, since an allocator is of a whole process.
#![expect(clippy::unwrap_used, reason = "the functions that the tests share")]

use allocation_counter::measure;
use obsrv_engine::body::Content;
use obsrv_engine::doc::DocRef;
use obsrv_engine::memtable::{MemRow, Memtable};
use obsrv_engine::row::{Event, ProjectId, Stamp, Table};
use obsrv_server::dialect::{Context, Dialect, decode};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest as Request;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message as _;

const PROJECT: ProjectId = ProjectId(1);
const SPANS: u64 = 64;
/// Attributes of a span, few and many.
const FEW: u64 = 10;
const MANY: u64 = 110;
/// Requests of the same keys, of which the first, which makes the columns, is not counted.
const REQUESTS: u64 = 17;

fn value(request: u64, span: u64, attribute: u64) -> Value {
    let number = i64::try_from(request * SPANS + span).unwrap();
    let text = format!("{number} of {attribute}");
    match attribute % 5 {
        0 => Value::IntValue(number),
        1 => Value::BoolValue(span.is_multiple_of(2)),
        2 => Value::ArrayValue(ArrayValue {
            values: vec![AnyValue {
                value: Some(Value::StringValue(text)),
            }],
        }),
        _ => Value::StringValue(text),
    }
}

fn span(request: u64, number: u64, attributes: u64) -> Span {
    let start = 1_700_000_000_000_000_000 + number;
    Span {
        trace_id: [&[1; 8][..], &(request + 1).to_le_bytes()].concat(),
        span_id: (number + 1).to_le_bytes().into(),
        name: "step".to_owned(),
        start_time_unix_nano: start,
        end_time_unix_nano: start + 1,
        attributes: (0..attributes)
            .map(|attribute| KeyValue {
                key: format!("app.key_{attribute}"),
                value: Some(AnyValue {
                    value: Some(value(request, number, attribute)),
                }),
            })
            .collect(),
        ..Span::default()
    }
}

fn request(number: u64, attributes: u64) -> Request {
    let spans = (0..SPANS).map(|span_of| span(number, span_of, attributes));
    let scope = ScopeSpans {
        spans: spans.collect(),
        ..ScopeSpans::default()
    };
    Request {
        resource_spans: vec![ResourceSpans {
            scope_spans: vec![scope],
            ..ResourceSpans::default()
        }],
    }
}

fn body(dialect: Dialect, request: &Request) -> Vec<u8> {
    match dialect {
        Dialect::OtlpJson => serde_json::to_vec(request).unwrap(),
        _ => request.encode_to_vec(),
    }
}

fn row(event: Event, lsn: u64) -> MemRow {
    MemRow {
        key: event.key,
        start_ns: event.start_ns.unwrap(),
        end_ns: event.end_ns,
        lsn_first: lsn,
        lsn_last: lsn,
        made: lsn,
        content: Content::Complete {
            stamp: Stamp::default(),
            doc: event.doc,
            cost: None,
        },
    }
}

fn take(memtable: &Memtable, dialect: Dialect, body: &[u8], lsn: u64) {
    let context = Context {
        project: PROJECT,
        body_hash: 0,
        subject: "",
        received_ns: 0,
        key_id: 0,
    };
    let decoded = decode(dialect, &context, body).unwrap();
    let table = memtable.table_or_new(PROJECT, Table::Spans);
    for event in decoded.events {
        memtable.push_into(&table, row(event, lsn));
    }
    table.catch_up(u32::MAX);
}

/// Allocations of all requests but the first.
fn allocations(dialect: Dialect, attributes: u64) -> u64 {
    let bodies: Vec<Vec<u8>> = (0..REQUESTS)
        .map(|number| body(dialect, &request(number, attributes)))
        .collect();
    let (first, others) = bodies.split_first().unwrap();
    let memtable = Memtable::new(1);
    take(&memtable, dialect, first, 1);
    let all = measure(|| {
        for (lsn, body) in (2..).zip(others) {
            take(&memtable, dialect, body, lsn);
        }
    });
    let rows = memtable.table(PROJECT, Table::Spans).unwrap();
    let last = rows.row(u32::try_from(REQUESTS * SPANS - 1).unwrap());
    let said = last.unwrap().content.view().unwrap();
    let said = DocRef::parse(&said).unwrap().get("attributes").unwrap();
    assert_eq!(
        u64::try_from(said.entries().unwrap().count()).unwrap(),
        attributes
    );
    all.count_total
}

#[test]
fn an_attribute_takes_no_allocation_of_its_own() {
    for dialect in [Dialect::OtlpProtobuf, Dialect::OtlpJson] {
        let (few, many) = (allocations(dialect, FEW), allocations(dialect, MANY));
        let attributes = (REQUESTS - 1) * SPANS * (MANY - FEW);
        // Lists of columns double now and then: about four times each here, in four lists.
        let most = attributes / 50;
        assert!(
            many.saturating_sub(few) <= most,
            "{dialect:?}: {many} instead of {few} for {attributes} attributes more"
        );
    }
}
