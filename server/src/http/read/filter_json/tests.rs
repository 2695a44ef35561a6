use proptest::prelude::*;
use serde_json::json;

use super::*;
use obsrv_engine::query::{REGEXES_MAX, write};

const NOW: i64 = 7_200_000_000_000;

fn read(value: Value) -> Result<Filter, (String, String)> {
    filter(Over::Traces, ("filter", &value), NOW)
        .map_err(|e| (e.field.unwrap_or_default(), e.message))
}

#[test]
fn means_what_the_search_bar_says() {
    for (value, q) in [
        (json!({}), ""),
        (json!({"key": "status", "eq": "error"}), "status:\"error\""),
        (json!({"key": "metadata.n", "eq": 5}), "metadata.n==5"),
        (json!({"key": "metadata.n", "ne": 5.5}), "-metadata.n==5.5"),
        (
            json!({"key": "metadata.n", "in": [5, "x", true]}),
            "metadata.n==(5,\"x\",true)",
        ),
        (
            json!({"key": "model", "not_in": ["a", "b"]}),
            "-model:(\"a\",\"b\")",
        ),
        (
            json!({"key": "start", "ge": "-1h", "lt": "now"}),
            "start>=-1h start<now",
        ),
        (json!({"key": "duration", "gt": "1.5s"}), "duration>1.5s"),
        (json!({"key": "duration", "gt": 5}), "duration>5"),
        (json!({"key": "tokens", "gt": 5}), "tokens.total>5"),
        (json!({"path": "start", "eq": "x"}), "\"start\":\"x\""),
        (
            json!({"key": "error_message", "contains": "rate limit"}),
            "error_message~\"rate limit\"",
        ),
        (json!({"key": "model", "starts_with": "gpt"}), "model:gpt*"),
        (
            json!({"key": "model", "matches": "^a\\d"}),
            "model=~\"^a\\d\"",
        ),
        (json!({"key": "model", "exists": false}), "-has:model"),
        (json!({"text": "rate limit"}), "\"rate limit\""),
        (json!({"text_prefix": "time"}), "time*"),
        (json!({"text_contains": "ime"}), "~ime"),
        (json!({"text_matches": "t.m"}), "=~t.m"),
        (json!({"span": {}}), "{}"),
        (
            json!({"span": {"key": "kind", "eq": "tool"}}),
            "{kind:\"tool\"}",
        ),
        (
            json!({"or": [{"and": [{"text": "a"}, {"not": {"text": "b"}}]}, {"text": "c"}]}),
            "\"a\" -\"b\" or \"c\"",
        ),
        (json!({"and": [{"text": "a"}]}), "\"a\""),
    ] {
        same(value, q);
    }
}

#[test]
fn scores_mean_what_the_search_bar_says() {
    for (value, q) in [
        (json!({"key": "scores.good", "gt": 0.5}), "scores.good>0.5"),
        (
            json!({"key": "scores.good", "ge": 0.5, "ne": 1}),
            "scores.good>=0.5 -scores.good==1",
        ),
        (
            json!({"key": "scores.tone of voice", "in": ["a", "b"]}),
            "scores.\"tone of voice\":(a,b)",
        ),
        (
            json!({"key": "scores.good", "exists": true}),
            "has:scores.good",
        ),
        (
            json!({"key": "scores.good", "exists": false}),
            "-has:scores.good",
        ),
        (json!({"score": {}}), "has:scores"),
        (
            json!({"score": {"and": [{"key": "name", "eq": "good"}, {"key": "span_id", "eq": "a"}]}}),
            "score{name:\"good\" span_id:\"a\"}",
        ),
        (
            json!({"span": {"score": {"key": "start", "gt": "-1h"}}}),
            "{score{start>-1h}}",
        ),
        (json!({"path": "scores.good", "gt": 1}), "\"scores.good\">1"),
    ] {
        same(value, q);
    }
}

fn same(value: Value, q: &str) {
    let searched = Over::Traces.searched(q, NOW).unwrap();
    assert_eq!(read(value.clone()).unwrap(), searched, "{value}");
}

#[test]
fn errors_name_the_place() {
    for (value, place) in [
        (json!([]), "filter"),
        (json!({"and": []}), "filter.and"),
        (
            json!({"and": [{"text": "a"}, {"key": "start", "gt": "soon"}]}),
            "filter.and[1].gt",
        ),
        (json!({"and": [{}]}), "filter.and[0]"),
        (json!({"xor": []}), "filter.xor"),
        (json!({"text": 5}), "filter.text"),
        (json!({"key": 5, "eq": 1}), "filter.key"),
        (json!({"key": "a"}), "filter"),
        (json!({"key": "a", "path": "a", "eq": 1}), "filter"),
        (json!({"key": "a", "like": 1}), "filter.like"),
        (json!({"key": "a", "eq": null}), "filter.eq"),
        (json!({"key": "a", "lt": true}), "filter.lt"),
        (json!({"key": "a", "in": [1, {}]}), "filter.in[1]"),
        (json!({"key": "a", "in": []}), "filter.in"),
        (
            json!({"not": {"or": [{"key": "id", "eq": 5}]}}),
            "filter.not.or[0].eq",
        ),
        (json!({"text": "a", "not": {}}), "filter"),
        (json!({"key": "a", "matches": "\\"}), "filter.matches"),
        (
            json!({"key": "start", "starts_with": "2026"}),
            "filter.starts_with",
        ),
        (json!({"key": "cost", "gt": "5kB"}), "filter.gt"),
        (
            json!({"not": {"text_matches": "("}}),
            "filter.not.text_matches",
        ),
        (json!({"score": {"span": {}}}), "filter.score.span"),
        (
            json!({"score": {"and": [{"text": "a"}, {"not": {"span": {}}}]}}),
            "filter.score.and[1].not.span",
        ),
        (json!({"span": {"span": {}}}), "filter.span.span"),
        (
            json!({"span": {"score": {"span": {}}}}),
            "filter.span.score.span",
        ),
    ] {
        assert_eq!(read(value.clone()).unwrap_err().0, place, "{value}");
    }
    let error = parse(Over::Traces, ("filter", "{\"and\": ["), NOW).unwrap_err();
    assert_eq!(error.field.as_deref(), Some("filter"));
}

#[test]
fn limits_hold_at_and_above() {
    let nested = |depth: usize| {
        let inner = json!({"text": "a"});
        (0..depth).fold(inner, |filter, _| json!({"not": filter}))
    };
    assert!(read(nested(DEPTH_MAX)).is_ok());
    assert!(
        read(nested(DEPTH_MAX + 1))
            .unwrap_err()
            .1
            .contains("too deep")
    );
    let list = |len: usize| json!({"key": "a", "in": vec![1; len]});
    assert!(read(list(LIST_MAX)).is_ok());
    assert!(read(list(LIST_MAX + 1)).is_err());
    let patterns = |many: usize| json!({"and": vec![json!({"text_matches": "a"}); many]});
    assert!(read(patterns(REGEXES_MAX)).is_ok());
    assert!(read(patterns(REGEXES_MAX + 1)).is_err());
    let long = |len: usize| format!("{{}}{}", " ".repeat(len - 2));
    assert!(parse(Over::Traces, ("filter", &long(FILTER_BYTES_MAX)), NOW).is_ok());
    assert!(parse(Over::Traces, ("filter", &long(FILTER_BYTES_MAX + 1)), NOW).is_err());
    // As deep as the reader of JSON goes.
    let deep = format!("{}{{}}{}", "{\"not\":".repeat(10_000), "}".repeat(10_000));
    assert!(parse(Over::Traces, ("filter", &deep), NOW).is_err());
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        "\\PC{0,6}".prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1e9..1e9f64).prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
    ]
}

fn leaf() -> impl Strategy<Value = Value> {
    let key = prop_oneof![
        "[a-z\"\\\\.:{} ]{1,6}",
        prop::sample::select(vec![
            "status".to_owned(),
            "id".into(),
            "start".into(),
            "duration".into(),
            "cost".into()
        ]),
    ];
    let test = prop::sample::select(vec![
        "eq",
        "ne",
        "lt",
        "le",
        "gt",
        "ge",
        "contains",
        "starts_with",
    ]);
    prop_oneof![
        4 => (key.clone(), test, value()).prop_map(|(key, test, value)| json!({"key": key, test: value})),
        2 => (key.clone(), prop::collection::vec(value(), 1..4), any::<bool>())
            .prop_map(|(key, list, not)| json!({"key": key, if not { "not_in" } else { "in" }: list})),
        1 => (key.clone(), any::<bool>()).prop_map(|(key, exists)| json!({"path": key, "exists": exists})),
        1 => (key, "[a-c.\\\\\"]{1,5}").prop_map(|(key, pattern)| json!({"key": key, "matches": pattern})),
        1 => "\\PC{0,8}".prop_map(|text| json!({"text": text})),
        1 => "[a-z *-]{1,8}".prop_map(|text| json!({"text_prefix": text})),
    ]
}

fn tree() -> impl Strategy<Value = Value> {
    leaf().prop_recursive(4, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 1..4).prop_map(|list| json!({"and": list})),
            prop::collection::vec(inner.clone(), 1..4).prop_map(|list| json!({"or": list})),
            inner.prop_map(|filter| json!({"not": filter})),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    /// What reads is written as text of the search bar, and reads from there as the same filter.
    #[test]
    fn json_and_text_are_one(value in tree(), is_span in any::<bool>()) {
        let value = if is_span { json!({"span": value}) } else { value };
        if let Ok(read) = read(value.clone()) {
            let written = write(&read);
            prop_assert!(written.is_some(), "{value}");
            let written = written.unwrap();
            let again = obsrv_engine::query::parse(&written, NOW);
            prop_assert_eq!(again.as_ref(), Ok(&read), "{} {}", value, written);
        }
    }
}
