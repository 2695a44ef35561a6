//! Expected values are what the tests wrote themselves, and what the crate `base64` makes of it.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use bytes::Bytes;
use obsrv_engine::doc::{DocRef, DocWriter};
use obsrv_engine::model;
use obsrv_engine::row::{Event, RowKey, Table};
use proptest::prelude::*;

use super::*;
use crate::keys::hex;
use crate::limits::MEDIA_BYTES_MIN;

const ANY_SIZE: u64 = u64::MAX;

/// A value of a test's document.
#[derive(Clone, Debug)]
enum Value {
    Text(String),
    Bytes(Vec<u8>),
    List(Vec<Value>),
    Map(Vec<(String, Value)>),
    Null,
}

fn write(value: &Value, out: &mut DocWriter) {
    match value {
        Value::Text(text) => out.str(text),
        Value::Bytes(bytes) => out.bytes(bytes),
        Value::Null => out.null(),
        Value::List(items) => {
            let open = out.begin_array();
            items.iter().for_each(|item| write(item, out));
            out.end(open);
        }
        Value::Map(entries) => {
            let open = out.begin_map();
            for (key, value) in entries {
                out.key(key);
                write(value, out);
            }
            out.end(open);
        }
    }
}

/// A span whose attributes hold this.
fn span(dialect: &str, attribute: &Value, more: &[(&str, Value)]) -> Event {
    let mut out = DocWriter::new();
    let open = out.begin_map();
    out.key(model::DIALECT);
    out.str(dialect);
    out.key(model::NAME);
    out.str("n");
    out.key(model::ATTRIBUTES);
    let map = out.begin_map();
    out.key("a");
    write(attribute, &mut out);
    out.end(map);
    out.key(model::KIND);
    out.str("custom");
    for (key, value) in more {
        out.key(key);
        write(value, &mut out);
    }
    out.end(open);
    Event {
        table: Table::Spans,
        key: RowKey {
            trace_id: "t".into(),
            id: "s".into(),
        },
        start_ns: None,
        end_ns: None,
        version: 1,
        partial: false,
        doc: Bytes::from(out.finish()),
    }
}

/// Bytes that look like no text, so many that their base64 has `signs` signs; the same for the same seed.
fn noise(signs: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    std::iter::repeat_with(next).take(signs / 4 * 3).collect()
}

/// The document with everything back, given what was cut out of it.
fn back(cut: &Cut) -> Vec<u8> {
    let doc = DocRef::parse(&cut.doc).unwrap();
    let said = Offloaded::of(doc).unwrap();
    let mut room = said.more_bytes(doc);
    let put = said.put_back(doc, &mut room, &mut |part| {
        let piece = cut.pieces.iter().find(|piece| piece.hash == part.hash);
        Ok::<_, std::convert::Infallible>(Back::Whole(piece.unwrap().bytes.clone()))
    });
    assert_eq!(room, 0, "the room that was asked for");
    put.unwrap()
}

fn cut_of(event: &Event) -> Option<Cut> {
    let cut = cut(event, ANY_SIZE);
    assert_eq!(holds_media(event), cut.is_some());
    if let Some(cut) = &cut {
        assert_eq!(back(cut), event.doc, "reads back as it was sent");
        assert!(cut.doc.len() < event.doc.len());
    }
    cut
}

#[test]
fn a_picture_in_a_message_becomes_a_file() {
    let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
    bytes.extend(noise(MEDIA_BYTES_MIN, 1));
    let url = format!("data:image/png;base64,{}", STANDARD.encode(&bytes));
    let part = serde_json::json!({ "type": "image_url", "image_url": { "url": url } });
    let told = serde_json::json!([{ "role": "user", "content": [part] }]).to_string();
    let event = span("otlp", &Value::Text(told.clone()), &[]);
    let cut = cut_of(&event).unwrap();
    let [piece] = &cut.pieces[..] else {
        panic!("{} pieces", cut.pieces.len())
    };
    assert_eq!(
        (&piece.bytes[..], piece.content_type),
        (&bytes[..], "image/png")
    );
    assert_eq!(piece.declared_type.as_deref(), Some("image/png"));
    let nonce = hex(&ContentHash::of(&event.doc).0[..16]);
    let token = format!("obsrv-media:{nonce}:0:{}", piece.hash);
    let doc = DocRef::parse(&cut.doc).unwrap();
    let stored = doc.at(&[model::ATTRIBUTES, "a"]).unwrap();
    let left = told.replace(&STANDARD.encode(&bytes), &token);
    assert_eq!(stored, DocRef::Str(&left));
    assert!(cut.doc.len() < 1000);
}

/// At the limit and one below, in each way to write it and each place where it may stand.
#[test]
fn what_is_long_enough_and_in_its_place_is_cut_out() {
    let at = STANDARD.encode(noise(MEDIA_BYTES_MIN, 2));
    let below = STANDARD.encode(noise(MEDIA_BYTES_MIN - 4, 2));
    assert_eq!(
        (at.len(), below.len()),
        (MEDIA_BYTES_MIN, MEDIA_BYTES_MIN - 4)
    );
    let cuts = |text: String| cut_of(&span("otlp", &Value::Text(text), &[])).is_some();
    for place in [
        "{}",
        "data:;base64,{}",
        "see ![x](data:image/png;base64,{}) there",
        "{\"data\":\"{}\"}",
        "{\"said\":\"{\\\"data\\\":\\\"{}\\\"}\"}",
        "data:audio/wav;codec=1;base64,{}\n",
    ] {
        assert!(cuts(place.replace("{}", &at)), "{place}");
        assert!(!cuts(place.replace("{}", &below)), "{place}");
        // One sign short of the limit, which base64 can be without its filling.
        let short = &at[..MEDIA_BYTES_MIN - 1];
        assert!(!cuts(place.replace("{}", short)), "{place}");
    }
    for place in ["x {}", "https://x.org/{}", "{} x", "base64,{}", "'{}'"] {
        assert!(!cuts(place.replace("{}", &at)), "{place}");
    }
    let bytes = |len| cut_of(&span("otlp", &Value::Bytes(vec![0; len]), &[])).is_some();
    assert!(bytes(MEDIA_BYTES_MIN) && !bytes(MEDIA_BYTES_MIN - 1));
}

#[test]
fn what_is_no_base64_or_not_to_the_last_sign_stays() {
    let cuts = |text: String| {
        let event = span("otlp", &Value::Text(text), &[]);
        let cut = cut(&event, ANY_SIZE);
        cut.inspect(|cut| assert_eq!(back(cut), event.doc))
            .is_some()
    };
    let whole = STANDARD.encode(noise(MEDIA_BYTES_MIN, 3));
    let url = |text: &str| format!("data:image/png;base64,{text}");
    assert!(cuts(url(&whole)));
    // Bits behind the last byte that are not zero.
    assert!(cuts(url(&format!("{whole}QQ=="))));
    assert!(!cuts(url(&format!("{whole}QR=="))));
    assert!(cuts(url(&format!("{whole}QQ"))));
    assert!(!cuts(url(&format!("{whole}QR"))));
    // Filled up wrongly, or a sign too many.
    assert!(!cuts(url(&format!("{whole}QQ="))));
    assert!(!cuts(url(&format!("{whole}Q"))));
    // Both ways to write it.
    assert!(!cuts(url(&format!("{whole}+-/_"))));
    // Words, hex and rows of one sign, which have all the signs of base64.
    for text in ["x", "deadbeef", "ACGT", "0123456789"] {
        assert!(!cuts(text.repeat(MEDIA_BYTES_MIN)), "{text}");
    }
    // Spans of other protocols, and what is no span.
    let theta = span("theta", &Value::Text(url(&whole)), &[]);
    assert!(!holds_media(&theta));
    let mut event = span("otlp", &Value::Text(url(&whole)), &[]);
    for (table, expected) in [
        (Table::Spans, true),
        (Table::Logs, false),
        (Table::Points, false),
        (Table::Scores, false),
        (Table::Runs, false),
    ] {
        event.table = table;
        assert_eq!(holds_media(&event), expected, "{table:?}");
    }
}

#[test]
fn what_is_too_large_for_an_attachment_stays_beside_what_is_not() {
    let (small, large) = (noise(MEDIA_BYTES_MIN, 4), noise(MEDIA_BYTES_MIN + 4, 5));
    let text = |bytes: &[u8]| Value::Text(STANDARD.encode(bytes));
    let both = Value::List(vec![text(&small), text(&large)]);
    let event = span("otlp", &both, &[]);
    let max = u64::try_from(small.len()).unwrap();
    let cut_by = |max| cut(&event, max);
    let one = cut_by(max).unwrap();
    assert_eq!(one.pieces.len(), 1);
    assert_eq!(back(&one), event.doc);
    assert_eq!(cut_by(max + 3).unwrap().pieces.len(), 2);
    assert_eq!(cut_by(max - 1), None);
}

/// The same bytes are one file, and the row has one token for them; written otherwise they are another piece.
#[test]
fn the_same_twice_is_one_piece() {
    let bytes = noise(MEDIA_BYTES_MIN + 8, 6);
    let padded = STANDARD.encode(&bytes[..bytes.len() - 2]);
    let text = |text: &str| Value::Text(text.to_owned());
    let all = Value::List(vec![
        text(&padded),
        text(&format!("data:image/png;base64,{padded}")),
        text(padded.trim_end_matches('=')),
    ]);
    let cut = cut_of(&span("otlp", &all, &[])).unwrap();
    assert_eq!(cut.pieces.len(), 2);
    assert_eq!(cut.pieces[0].hash, cut.pieces[1].hash);
}

/// What somebody sends who knows how this is stored.
#[test]
fn nobody_can_write_a_token() {
    let bytes = noise(MEDIA_BYTES_MIN, 7);
    let media = Value::Text(STANDARD.encode(&bytes));
    let first = span("otlp", &media, &[]);
    let stored = cut_of(&first).unwrap();
    let doc = DocRef::parse(&stored.doc).unwrap();
    let token = doc.at(&[model::ATTRIBUTES, "a"]).unwrap().as_str().unwrap();
    // The token of another row, and one of the right form, beside media of its own.
    let forged = format!("obsrv-media:{}:0:{}", "0".repeat(32), stored.pieces[0].hash);
    let said = Value::Text(format!("{token} {forged} obsrv-media::::"));
    let second = span("otlp", &Value::List(vec![said.clone(), media.clone()]), &[]);
    let cut = cut_of(&second).unwrap();
    assert_eq!(cut.pieces.len(), 1);
    // Without media nothing says that anything was cut out.
    let third = span("otlp", &said, &[]);
    assert!(cut_of(&third).is_none());
    assert_eq!(Offloaded::of(DocRef::parse(&third.doc).unwrap()), None);
    // As an attribute of OTLP, where it is one like any other.
    let field = vec![("nonce".to_owned(), Value::Text("0".repeat(32)))];
    let attribute = Value::Map(vec![(model::OFFLOADED.to_owned(), Value::Map(field))]);
    let nested = span("otlp", &attribute, &[]);
    assert_eq!(Offloaded::of(DocRef::parse(&nested.doc).unwrap()), None);
}

/// What is stored is read by every later version: a document byte for byte, as `FORMAT.md` has it.
#[test]
fn a_stored_document_reads() {
    let format = include_str!("FORMAT.md");
    let (_, fixture) = format.split_once("```hex\n").unwrap();
    let (fixture, _) = fixture.split_once("```").unwrap();
    let digits: Vec<u8> = fixture.bytes().filter(u8::is_ascii_hexdigit).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    let stored: Vec<u8> = digits.chunks(2).map(byte).collect();
    let doc = DocRef::parse(&stored).unwrap();
    doc.validate().unwrap();
    let said = Offloaded::of(doc).unwrap();
    assert_eq!(said.more_bytes(doc), 4);
    let put = said.put_back(doc, &mut { 4 }, &mut |part| {
        assert_eq!((part.hash, part.size), (ContentHash::of(b"abc"), 3));
        Ok::<_, std::convert::Infallible>(Back::Whole(Bytes::from_static(b"abc")))
    });
    let put = put.unwrap();
    let whole = DocRef::parse(&put).unwrap();
    let text = "data:image/png;base64,YWJj";
    assert_eq!(whole.at(&[model::ATTRIBUTES, "k"]), Some(DocRef::Str(text)));
    assert_eq!(whole.get(model::OFFLOADED), None);
    assert_eq!(whole.get(model::DIALECT), Some(DocRef::Str("otlp")));
}

#[test]
fn what_has_no_room_or_is_gone_is_said() {
    let pieces = [noise(MEDIA_BYTES_MIN, 8), noise(MEDIA_BYTES_MIN, 9)];
    let texts = pieces
        .iter()
        .map(|bytes| Value::Text(STANDARD.encode(bytes)));
    let event = span("otlp", &Value::List(texts.collect()), &[]);
    let cut = cut_of(&event).unwrap();
    let doc = DocRef::parse(&cut.doc).unwrap();
    let said = Offloaded::of(doc).unwrap();
    let limit = u64::try_from(MEDIA_BYTES_MIN).unwrap();
    let put = |mut room: u64, is_gone: bool| {
        let doc = said.put_back(doc, &mut room, &mut |part| {
            let piece = cut.pieces.iter().find(|piece| piece.hash == part.hash);
            Ok::<_, std::convert::Infallible>(if is_gone {
                Back::Gone("removed")
            } else {
                Back::Whole(piece.unwrap().bytes.clone())
            })
        });
        (doc.unwrap(), room)
    };
    // At the limit of both, of one, and one below.
    assert_eq!(put(2 * limit, false), (event.doc.to_vec(), 0));
    assert_eq!(put(limit - 1, false), (cut.doc.to_vec(), limit - 1));
    let (half, room) = put(2 * limit - 1, false);
    assert_eq!(room, limit - 1);
    let half = DocRef::parse(&half).unwrap();
    let Some(DocRef::Array(mut items)) = half.at(&[model::ATTRIBUTES, "a"]) else {
        panic!("no list")
    };
    assert_eq!(
        items.next().unwrap().unwrap(),
        DocRef::Str(&STANDARD.encode(&pieces[0]))
    );
    let left = items.next().unwrap().unwrap().as_str().unwrap();
    assert!(left.starts_with("obsrv-media:") && left.ends_with(&cut.pieces[1].hash.to_string()));
    assert_eq!(half.get(model::OFFLOADED), doc.get(model::OFFLOADED));
    // What is gone says so, and the rest of the row stands.
    let (gone, _) = put(2 * limit, true);
    let gone = DocRef::parse(&gone).unwrap();
    let Some(DocRef::Array(mut items)) = gone.at(&[model::ATTRIBUTES, "a"]) else {
        panic!("no list")
    };
    let mark = format!(
        "[media removed: application/octet-stream, {} bytes, sha-256 {}]",
        pieces[0].len(),
        cut.pieces[0].hash
    );
    assert_eq!(items.next().unwrap().unwrap(), DocRef::Str(&mark));
    assert_eq!(gone.get(model::OFFLOADED), None);
    assert_eq!(gone.get(model::NAME), Some(DocRef::Str("n")));
}

/// A piece of a text: data, or what stands around it.
fn stretch() -> impl Strategy<Value = String> {
    let lens = prop_oneof![
        Just(MEDIA_BYTES_MIN / 4 * 3 - 1),
        Just(MEDIA_BYTES_MIN / 4 * 3),
        Just(MEDIA_BYTES_MIN / 4 * 3 + 1),
        Just(MEDIA_BYTES_MIN / 4 * 3 + 2),
        Just(40usize),
    ];
    let data = (lens, any::<u64>(), 0..6).prop_map(|(len, seed, how)| {
        let bytes = &noise(MEDIA_BYTES_MIN + 8, seed)[..len];
        match how {
            0 | 1 => STANDARD.encode(bytes),
            2 => STANDARD_NO_PAD.encode(bytes),
            3 => URL_SAFE.encode(bytes),
            4 => URL_SAFE_NO_PAD.encode(bytes),
            // The last sign changed: often one that no encoder writes.
            _ => format!("{}B", &STANDARD_NO_PAD.encode(bytes)[1..]),
        }
    });
    prop_oneof![
        3 => data,
        1 => Just("data:image/png;base64,".to_owned()),
        1 => Just("\"".to_owned()),
        1 => Just("\\\"".to_owned()),
        1 => Just("obsrv-media:".to_owned()),
        1 => "[a-z漢=+/ ]{0,12}",
    ]
}

fn any_value() -> impl Strategy<Value = Value> {
    let text = prop::collection::vec(stretch(), 0..6).prop_map(|all| all.concat());
    let leaf = prop_oneof![
        6 => text.prop_map(Value::Text),
        1 => (0..2usize, any::<u8>()).prop_map(|(more, b)| Value::Bytes(vec![b; MEDIA_BYTES_MIN - 1 + more])),
        1 => Just(Value::Null),
    ];
    leaf.prop_recursive(3, 8, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::List),
            prop::collection::vec(("[a-c]", inner), 0..3).prop_map(Value::Map),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Whatever stands in a row comes back as it was sent, byte for byte, and the row maps to itself without it.
    #[test]
    fn any_row_reads_back(attribute in any_value(), events in any_value()) {
        let event = span("otlp", &attribute, &[("events", Value::List(vec![events]))]);
        if let Some(cut) = cut(&event, ANY_SIZE) {
            prop_assert_eq!(back(&cut), event.doc.to_vec());
            let mapped = crate::dialect::map(event.table, &cut.doc);
            prop_assert_eq!(mapped, obsrv_engine::mapping::Mapped::Same);
            // Cut again it is the same: nothing in it is media any more.
            let again = Event { doc: cut.doc.clone(), ..event };
            prop_assert!(super::cut(&again, ANY_SIZE).is_none());
        }
    }
}
