use obsrv_engine::doc::DocRef;
use proptest::prelude::*;

use super::*;
use crate::dialect::{JSON_DEPTH_MAX, doc_json};

fn problem(text: &[u8]) -> (&'static str, usize) {
    let e = read(text, JSON_DEPTH_MAX).unwrap_err();
    (e.problem, e.offset)
}

fn scalar_is(text: &str, expected: DocRef<'_>) {
    let doc = read(text.as_bytes(), JSON_DEPTH_MAX).unwrap();
    assert_eq!(DocRef::parse(&doc).unwrap(), expected, "{text}");
}

#[test]
fn numbers_keep_their_kind() {
    scalar_is("0", DocRef::I64(0));
    scalar_is(" -9223372036854775808 ", DocRef::I64(i64::MIN));
    scalar_is("18446744073709551615", DocRef::U64(u64::MAX));
    scalar_is(
        "18446744073709551616",
        DocRef::F64(18_446_744_073_709_551_616.0),
    );
    scalar_is("1.0", DocRef::F64(1.0));
    scalar_is("1e3", DocRef::F64(1000.0));
    scalar_is("Infinity", DocRef::F64(f64::INFINITY));
    scalar_is("-Infinity", DocRef::F64(f64::NEG_INFINITY));
    let nan = read(b"[NaN]", 1).unwrap();
    let Ok(DocRef::Array(mut items)) = DocRef::parse(&nan) else {
        panic!()
    };
    assert!(items.next().unwrap().unwrap().as_f64().unwrap().is_nan());
    let zero = read(b"-0", 1).unwrap();
    assert!(
        DocRef::parse(&zero)
            .unwrap()
            .as_f64()
            .unwrap()
            .is_sign_negative()
    );
}

#[test]
fn what_ends_plain_text_is_seen_wherever_it_stands() {
    for stop in 0..=u8::MAX {
        for (before, after) in (0..20).flat_map(|b| (0..10).map(move |a| (b, a))) {
            for other in [b' ', b'!', b'#', b'[', b']', 0x7f, 0x80, 0xff] {
                let bytes = [vec![other; before], vec![stop], vec![other; after]].concat();
                let expected = match stop {
                    b'"' | b'\\' | 0..=0x1f => before,
                    _ => bytes.len(),
                };
                assert_eq!(plain_len(&bytes), expected, "{bytes:?}");
            }
        }
    }
    assert_eq!(plain_len(b"1234567\"1\\345678"), 7);
}

#[test]
fn errors_name_the_byte() {
    assert_eq!(problem(b""), ("cut short", 0));
    assert_eq!(problem(b"{\"a\":1"), ("cut short", 6));
    assert_eq!(problem(b"{\"a\":1,}"), ("expected a key in quotes", 7));
    assert_eq!(problem(b"[1,]"), ("expected a value", 3));
    assert_eq!(
        problem(b"[1 2]"),
        ("expected a comma or the end of the object or list", 3)
    );
    assert_eq!(problem(b"{} x"), ("text after the value", 3));
    assert_eq!(problem(b"\"a\xffb\""), ("text is not utf-8", 2));
    assert_eq!(problem(br#""\ud800x""#), ("lone surrogate in text", 1));
    assert_eq!(problem(br#""\udc00""#), ("lone surrogate in text", 1));
    assert_eq!(problem(br#""\ud800\u0041""#), ("lone surrogate in text", 1));
    assert_eq!(problem(b"\"a\nb\""), ("control character in text", 2));
    assert_eq!(problem(b"01"), ("number with a leading zero", 0));
    assert_eq!(problem(b"1e999"), ("number out of range", 0));
    assert_eq!(problem(b"-NaN"), ("expected a digit", 1));
    assert_eq!(problem(b"nul"), ("expected a value", 0));
    assert_eq!(problem(b"[}"), ("expected a value", 1));
}

#[test]
fn depth_at_the_limit_and_one_above() {
    let nested = |n: usize| [vec![b'['; n], vec![b']'; n]].concat();
    let doc = read(&nested(JSON_DEPTH_MAX), JSON_DEPTH_MAX).unwrap();
    DocRef::parse(&doc).unwrap().validate().unwrap();
    assert_eq!(
        problem(&nested(JSON_DEPTH_MAX + 1)),
        ("nested too deep", JSON_DEPTH_MAX)
    );
    assert_eq!(
        problem(&vec![b'['; 10_000_000]),
        ("nested too deep", JSON_DEPTH_MAX)
    );
}

#[test]
fn repeated_keys_and_escapes_are_kept() {
    let text = r#"{"a":1,"a":"\u00e9\ud83d\ude00\n\/","":{}}"#;
    let doc = read(text.as_bytes(), 9).unwrap();
    assert_eq!(
        doc_json::to_text(DocRef::parse(&doc).unwrap()),
        "{\"a\":1,\"a\":\"é😀\\n/\",\"\":{}}"
    );
}

fn json() -> impl Strategy<Value = serde_json::Value> {
    use serde_json::Value;
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>()
            .prop_filter("finite", |f| f.is_finite())
            .prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
            prop::collection::btree_map(any::<String>(), inner, 0..8)
                .prop_map(|m| Value::Object(m.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn reads_and_writes_what_serde_json_does(value in json(), pretty in any::<bool>()) {
        let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) };
        let doc = read(text.unwrap().as_bytes(), JSON_DEPTH_MAX).unwrap();
        let back = doc_json::to_text(DocRef::parse(&doc).unwrap());
        prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&back).unwrap(), value);
    }

    #[test]
    fn accepts_exactly_what_serde_json_does(text in "[\\[\\]{}:,\"0-9eE+.tnaul\\-\\\\ é東😀]{0,12}") {
        let ours = read(text.as_bytes(), JSON_DEPTH_MAX).is_ok();
        let theirs = serde_json::from_str::<serde_json::Value>(&text).is_ok();
        prop_assert_eq!(ours, theirs, "{}", text);
    }

    #[test]
    fn members_of_any_text_read_or_do_not(text in "\\{\"[{}:,\"a\\\\ é東😀]{0,16}\\}") {
        for member in members(text.as_bytes()).unwrap_or_default() {
            drop(member.read(JSON_DEPTH_MAX));
        }
    }

    #[test]
    fn any_bytes_end_in_a_value_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        if let Ok(doc) = read(&bytes, JSON_DEPTH_MAX) {
            DocRef::parse(&doc).unwrap().validate().unwrap();
        }
    }
}
