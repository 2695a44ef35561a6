//! Rules over documents as dialects write them.

use bytes::Bytes;
use obsrv_engine::doc::{DocRef, DocWriter};
use obsrv_engine::row::{Event, RowKey, Table};
use serde_json::{Value, json};

use super::*;
use crate::dialect::{Context, Decoded, Dialect, decode, read_json};
use crate::keys::MasterSecret;

fn redactor(rules: Value) -> Redactor {
    redactor_of(ProjectId(1), rules)
}

fn redactor_of(project: ProjectId, rules: Value) -> Redactor {
    let rules: Rules = serde_json::from_value(rules).unwrap();
    let macs = Macs::for_redaction(&MasterSecret::from_bytes([3; 32]));
    Redactor::new(&rules, project, macs).unwrap()
}

fn doc_of(value: &Value) -> Bytes {
    Bytes::from(read_json(value.to_string().as_bytes(), 60).unwrap())
}

fn event(doc: &Value) -> Event {
    Event {
        table: Table::Spans,
        key: RowKey {
            trace_id: "t".into(),
            id: "s".into(),
        },
        start_ns: Some(1),
        end_ns: None,
        version: 1,
        partial: false,
        doc: doc_of(doc),
    }
}

fn redacted(redactor: &Redactor, events: Vec<Event>) -> Decoded {
    let decoded = Decoded {
        events,
        ..Decoded::default()
    };
    redactor.decoded(decoded, &|| false).unwrap()
}

/// What becomes of a document.
fn after(rules: Value, doc: &Value) -> Bytes {
    let decoded = redacted(&redactor(rules), vec![event(doc)]);
    decoded.events.into_iter().next().unwrap().doc
}

fn text_at<'a>(doc: &'a Bytes, path: &[&str]) -> &'a str {
    DocRef::parse(doc)
        .unwrap()
        .at(path)
        .unwrap()
        .as_str()
        .unwrap()
}

fn text(rules: Value, said: &str) -> String {
    let doc = after(rules, &json!({ "input": said }));
    text_at(&doc, &["input"]).to_owned()
}

#[expect(clippy::too_many_lines, reason = "a table of cases")]
#[test]
fn every_detector_finds_what_it_is_for_and_leaves_the_rest() {
    let aws = ["AKIA", "IOSFODNN7EXAMPLE"].concat();
    let github = ["ghp_", "0123456789abcdefghijABCDEFGHIJ012345"].concat();
    let anthropic = ["sk-", "ant-api03-", &"aB3_".repeat(6)].concat();
    let stripe = ["sk_live", "_4eC39HqLyjWDarjtT1zdp7dc"].concat();
    let pem = "-----BEGIN RSA PRIVATE KEY-----\nMIIE\nabc=\n-----END RSA PRIVATE KEY-----";
    let cases = [
        (
            "api_keys",
            format!("use {anthropic} now"),
            "use [api_key] now",
        ),
        ("api_keys", format!("({github})"), "([api_key])"),
        ("api_keys", format!("{stripe},"), "[api_key],"),
        (
            "api_keys",
            "risk-management-overview-of-all".into(),
            "risk-management-overview-of-all",
        ),
        (
            "tokens",
            "Authorization: Bearer abc.DEF-123456".into(),
            "Authorization: [token]",
        ),
        (
            "tokens",
            "t=eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln;".into(),
            "t=[token];",
        ),
        ("tokens", "the bearer of news".into(), "the bearer of news"),
        ("aws_keys", format!("id {aws}!"), "id [aws_key]!"),
        (
            "aws_keys",
            format!(
                "AWS_SECRET_ACCESS_KEY={}",
                "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
            ),
            "[aws_key]",
        ),
        ("private_keys", format!("a {pem} b"), "a [private_key] b"),
        ("private_keys", pem[..40].into(), "[private_key]"),
        (
            "url_credentials",
            "postgres://u:p%40ss@db:5432/x".into(),
            "postgres://[credentials]@db:5432/x",
        ),
        (
            "url_credentials",
            "https://x.test/a:b".into(),
            "https://x.test/a:b",
        ),
        (
            "emails",
            "mail a.b+c@Example.co.uk, jürgen@müller.de".into(),
            "mail [email], [email]",
        ),
        ("emails", "?q=a%40b.example&x".into(), "?q=[email]&x"),
        ("emails", "a @ b, user@host".into(), "a @ b, user@host"),
        (
            "cards",
            "card 4111 1111 1111 1111 12/27".into(),
            "card [card] 12/27",
        ),
        (
            "cards",
            "trace 41111111111111111111111111111111".into(),
            "trace 41111111111111111111111111111111",
        ),
        (
            "phones",
            "call +49 (0)30 901820 or (555) 123-4567".into(),
            "call [phone] or [phone]",
        ),
        (
            "ibans",
            "to DE89 3704 0044 0532 0130 00 NOW".into(),
            "to [iban] NOW",
        ),
    ];
    for (detector, said, expected) in cases {
        assert_eq!(
            text(json!({ "detectors": [detector] }), &said),
            expected,
            "{detector}"
        );
        // Without the detector nothing happens.
        assert_eq!(text(json!({ "detectors": [] }), &said), said, "{detector}");
    }
}

#[test]
fn overlapping_matches_leave_no_half() {
    let rules = json!({ "patterns": [{ "name": "user", "pattern": "id=[a-z]+" }] });
    assert_eq!(text(rules, "x id=anna-b@example.org y"), "x [user] y");
    // The same rule twice without a gap is one replacement: rules cannot make text grow at will.
    let rules = json!({ "patterns": [{ "name": "digit", "pattern": "[0-9]" }] });
    assert_eq!(text(rules, "a12345b6"), "a[digit]b[digit]");
}

#[test]
fn keys_values_tags_and_numbers_at_any_depth() {
    let doc = json!({
        "name": "to a@b.example", "tags": ["ok", "a@b.example"], "error_message": "no a@b.example",
        "metadata": { "a@b.example": { "deep": ["x", { "card": 4_111_111_111_111_111_u64 }] } },
        "tokens": { "input": 4_111_111_111_111_111_u64 }, "index": 4_111_111_111_111_111_u64,
    });
    let after = after(json!({}), &doc);
    assert!(!after.windows(11).any(|w| w == b"a@b.example"));
    let after = DocRef::parse(&after).unwrap();
    assert_eq!(after.get("name").unwrap().as_str(), Some("to [email]"));
    let deep = after.at(&["metadata", "[email]", "deep"]).unwrap();
    let DocRef::Array(items) = deep else {
        panic!("a list")
    };
    let second = items.flatten().nth(1).unwrap();
    assert_eq!(second.get("card").unwrap().as_str(), Some("[card]"));
    // The row's own whole numbers stay numbers.
    assert!(after.get("index").unwrap().as_i64().is_some());
}

#[test]
fn lists_of_keys_and_what_is_stronger() {
    let doc = json!({ "metadata": {
        "tier": "gold", "note": "a@b.example", "contact": "a@b.example", "n": 5,
        "Password": "x", "list": ["p", { "q": true }],
    } });
    let rules = json!({ "keys": {
        "deny": ["metadata.**"], "allow": ["metadata.tier", "metadata.note", "metadata.password"],
        "exempt": ["metadata.contact"],
    } });
    let after = after(rules, &doc);
    let at = |key: &str| text_at(&after, &["metadata", key]).to_owned();
    assert_eq!(at("tier"), "gold");
    assert_eq!(at("note"), "[email]");
    assert_eq!(at("contact"), "a@b.example");
    assert_eq!(at("n"), "[redacted]");
    assert_eq!(at("Password"), "x");
    let list = DocRef::parse(&after)
        .unwrap()
        .at(&["metadata", "list"])
        .unwrap();
    let DocRef::Array(items) = list else {
        panic!("a list")
    };
    assert_eq!(items.flatten().next().unwrap().as_str(), Some("[redacted]"));
}

#[test]
fn names_of_secrets_cover_all_below() {
    let doc = json!({ "attributes": {
        "http.request.header.authorization": ["x", 7], "author": "b",
    }, "api_key": "zzz" });
    let after = after(json!({}), &doc);
    let after = DocRef::parse(&after).unwrap();
    assert_eq!(after.get("api_key").unwrap().as_str(), Some("[secret]"));
    assert_eq!(
        after.at(&["attributes", "author"]).unwrap().as_str(),
        Some("b")
    );
    let headers = after
        .at(&["attributes", "http.request.header.authorization"])
        .unwrap();
    let DocRef::Array(items) = headers else {
        panic!("a list")
    };
    assert!(items.flatten().all(|v| v.as_str() == Some("[secret]")));
}

#[test]
fn ids_become_stable_pseudonyms_of_their_project() {
    let with = |trace: &str, id: &str, parent: &str| Event {
        key: RowKey {
            trace_id: trace.into(),
            id: id.into(),
        },
        ..event(&json!({ "parent_id": parent, "user_id": "a@b.example", "group": "g" }))
    };
    let rules = redactor(json!({}));
    let events = vec![
        with("t-a@b.example", "s1", "-"),
        with("t2", "s2", "t-a@b.example"),
    ];
    let decoded = redacted(&rules, events);
    let pseudonym = rules.id("t-a@b.example").into_owned();
    assert!(is_pseudonym(&pseudonym) && rules.id(&pseudonym) == pseudonym);
    assert_eq!(&*decoded.events[0].key.trace_id, pseudonym);
    assert_eq!(
        (&*decoded.events[1].key.trace_id, &*decoded.events[1].key.id),
        ("t2", "s2")
    );
    assert_eq!(text_at(&decoded.events[1].doc, &["parent_id"]), pseudonym);
    assert_eq!(
        text_at(&decoded.events[0].doc, &["user_id"]),
        rules.id("a@b.example")
    );
    assert_eq!(text_at(&decoded.events[0].doc, &["group"]), "g");
    let other = redactor_of(ProjectId(2), json!({}));
    assert_ne!(other.id("t-a@b.example"), pseudonym);
}

#[test]
fn media_is_refused_replaced_or_kept_as_the_rules_say() {
    let url = "see data:image/png;base64,iVBORw0KGgo= here";
    let doc = json!({ "input": url });
    let mut with_bytes = DocWriter::new();
    let open = with_bytes.begin_map();
    with_bytes.key("data");
    with_bytes.bytes(b"secret");
    with_bytes.end(open);
    let bytes = Bytes::from(with_bytes.finish());
    for (media, left, text) in [
        ("refuse", 0, ""),
        ("replace", 2, "see [media] here"),
        ("keep", 2, url),
    ] {
        let events = vec![
            event(&doc),
            Event {
                doc: bytes.clone(),
                ..event(&doc)
            },
        ];
        let decoded = redacted(&redactor(json!({ "media": media })), events);
        assert_eq!(decoded.events.len(), left, "{media}");
        assert_eq!(decoded.rejected(), 2 - left, "{media}");
        if left == 2 {
            assert_eq!(text_at(&decoded.events[0].doc, &["input"]), text);
            let data = DocRef::parse(&decoded.events[1].doc).unwrap();
            assert_eq!(
                data.get("data").unwrap().as_str().is_none(),
                media == "keep"
            );
        }
    }
}

/// What is answered: the ids as stored, and no word of the body.
#[test]
fn items_do_not_repeat_the_body() {
    let body = br#"[{"trace_id":"a@b.example","steps":"a@b.example and a@b.exa"},
        {"trace_id":"c@d.example","steps":[]}]"#;
    let context = Context {
        project: ProjectId(1),
        body_hash: 1,
        subject: "",
        received_ns: 1,
        key_id: 0,
    };
    let decoded = decode(Dialect::ThetaImport, &context, body).unwrap();
    assert!(
        format!("{:?}", decoded.items).contains("a@b.exa"),
        "the control"
    );
    let decoded = redactor(json!({})).decoded(decoded, &|| false).unwrap();
    let said = format!("{:?}", decoded.items);
    assert_eq!(decoded.rejected(), 1, "{said}");
    assert!(!said.contains("b.exa") && !said.contains("d.exa"), "{said}");
}

/// An id that is a hash of what an annotation says would let a reader test guesses.
#[test]
fn ids_made_of_content_are_keyed() {
    let body = br#"{"label":"good","comment":"4111111111111111"}"#;
    let context = Context {
        project: ProjectId(1),
        body_hash: 1,
        subject: "t",
        received_ns: 1,
        key_id: 0,
    };
    let plain = decode(Dialect::ThetaAnnotation, &context, body).unwrap();
    let rules = redactor(json!({}));
    let once = rules.decoded(plain.clone(), &|| false).unwrap();
    assert_ne!(once.events[0].key.id, plain.events[0].key.id);
    assert_eq!(Some(&*once.events[0].key.id), once.items[0].id.as_deref());
    assert_eq!(rules.decoded(plain, &|| false).unwrap(), once);
    assert_ne!(
        rules.body_hash(b"x"),
        redactor_of(ProjectId(2), json!({})).body_hash(b"x")
    );
}

#[test]
fn time_and_room_run_out() {
    let decoded = |doc: &Value| Decoded {
        events: vec![event(doc)],
        ..Decoded::default()
    };
    let doc = json!({ "input": "a@b.example" });
    let slow = redactor(json!({})).decoded(decoded(&doc), &|| true);
    assert_eq!(slow, Err(RedactError::Slow));
    let long = "r".repeat(64);
    let rules = json!({ "patterns": [{ "name": "a", "pattern": "a", "replacement": long }] });
    let grows = json!({ "input": "ab".repeat(5 << 20) });
    let large = redactor(rules).decoded(decoded(&grows), &|| false);
    assert_eq!(large, Err(RedactError::Large));
}

#[test]
fn what_finds_nothing_changes_nothing() {
    let doc = json!({ "name": "n", "metadata": { "a": [1, 2.5, null, true, "x"] } });
    let before = event(&doc);
    let decoded = redacted(&redactor(json!({})), vec![before.clone()]);
    assert_eq!(decoded.events, [before]);
}

/// The shortest thing that each detector finds is found: nothing short is skipped by mistake.
#[test]
fn short_texts_are_looked_at_where_something_can_be_in_them() {
    let all: Vec<&str> = Detector::ALL.iter().map(|d| d.as_str()).collect();
    for (said, expected) in [
        ("a@b.c", "[email]"),
        ("a%40b.c", "[email]"),
        ("://a:b@", "://[credentials]@"),
        ("+1234567", "[phone]"),
        ("555-123-4567", "[phone]"),
        ("4222222222222", "[card]"),
        ("bearer abcdefgh", "[token]"),
    ] {
        assert_eq!(text(json!({ "detectors": all }), said), expected);
    }
}

/// A key is looked at once, and what is found in it is found each time.
#[test]
fn keys_that_come_again() {
    let entry = json!({ "metadata": { "plain": 1, "a@b.example": 2 } });
    let decoded = redacted(&redactor(json!({})), vec![event(&entry), event(&entry)]);
    for event in &decoded.events {
        let doc = DocRef::parse(&event.doc).unwrap();
        let at = |key: &str| doc.at(&["metadata", key]).and_then(DocRef::as_i64);
        assert_eq!((at("plain"), at("[email]")), (Some(1), Some(2)));
    }
}
