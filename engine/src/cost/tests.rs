use super::*;
use crate::fold::Parts;
use crate::row::Stamp;

/// A dollar for each token that is in.
#[derive(Debug)]
struct ADollar;

impl Costs for ADollar {
    fn control(&self, _: &[u8]) {}

    fn epoch(&self) -> u64 {
        1
    }

    fn of_span(&self, _: ProjectId, _: i64, fields: Fields<'_, '_>) -> Option<Cost> {
        let tokens = fields(model::TOKENS)?.get("input")?.as_f64()?;
        Some(Cost {
            source: CostSource::Priced,
            dollars: Some(tokens),
        })
    }
}

fn doc(fields: &[(&str, i64)]) -> Bytes {
    let mut out = DocWriter::new();
    let open = out.begin_map();
    for (key, n) in fields {
        out.key(key);
        if *key == model::TOKENS {
            let open = out.begin_map();
            out.key("input");
            out.i64(*n);
            out.end(open);
        } else {
            out.i64(*n);
        }
    }
    out.end(open);
    Bytes::from(out.finish())
}

fn complete(fields: &[(&str, i64)]) -> Content {
    let stamp = Stamp {
        version: 1,
        hash: 2,
    };
    Content::Complete {
        stamp,
        doc: doc(fields),
        cost: None,
    }
}

fn keys(content: &Content) -> Vec<String> {
    let view = content.view().unwrap();
    let entries = DocRef::parse(&view).unwrap().entries().unwrap();
    entries.map(|entry| entry.unwrap().0.to_owned()).collect()
}

const AT: (ProjectId, i64) = (ProjectId(1), 0);

#[test]
fn a_cost_stands_behind_what_was_sent_and_is_no_part_of_the_event() {
    let (content, changed) = costed(&ADollar, AT, complete(&[("a", 1), ("tokens", 7)])).unwrap();
    assert!(changed);
    assert_eq!(
        keys(&content),
        ["a", "tokens", "cost_known_usd", "cost_source"]
    );
    let Content::Complete {
        stamp,
        doc: of_event,
        ..
    } = &content
    else {
        panic!("{content:?}")
    };
    assert_eq!((stamp.version, stamp.hash), (1, 2));
    assert_eq!(*of_event, doc(&[("a", 1), ("tokens", 7)]));
    let view = content.view().unwrap();
    let cost = DocRef::parse(&view).unwrap().get("cost_known_usd");
    assert_eq!(cost, Some(DocRef::F64(7.0)));
    // Whoever asks for the body gets all of it, of the length that was said.
    assert_eq!(content.body().len(), content.body_len());
    let body = content.body();
    assert_eq!(body::view_bytes(&body).unwrap(), &view[..]);
    assert!(body::decode(&body).unwrap().parts.is_empty());
    // Once more changes nothing.
    assert!(!costed(&ADollar, AT, content).unwrap().1);
}

#[test]
fn what_used_nothing_stays_as_it_is_and_what_is_not_known_any_more_goes() {
    let plain = complete(&[("a", 1)]);
    assert_eq!(costed(&ADollar, AT, plain.clone()).unwrap(), (plain, false));
    let (priced, _) = costed(&ADollar, AT, complete(&[("tokens", 7), ("z", 1)])).unwrap();
    let (content, changed) = costed(&NoCosts, AT, priced).unwrap();
    assert!(changed);
    assert_eq!(keys(&content), ["tokens", "z"]);
    assert_eq!(content, complete(&[("tokens", 7), ("z", 1)]));
}

#[test]
fn a_later_part_is_priced_with_the_earlier_ones() {
    let part = |version, partial, fields: &[(&str, i64)]| crate::fold::Part {
        stamp: Stamp { version, hash: 0 },
        partial,
        start_ns: Some(0),
        end_ns: None,
        doc: doc(fields),
    };
    let mut parts = Parts::default();
    parts.add(part(1, false, &[("a", 1), ("tokens", 2)]));
    let (first, _) = costed(&ADollar, AT, Content::Folded(parts.body())).unwrap();
    // Read back as a stored row is, with the cost in the one part that there is.
    let mut parts = Parts::from_body(&first.body(), 0, None).unwrap();
    parts.add(part(2, true, &[("tokens", 5)]));
    let (content, _) = costed(&ADollar, AT, Content::Folded(parts.body())).unwrap();
    assert_eq!(
        keys(&content),
        ["a", "tokens", "cost_known_usd", "cost_source"]
    );
    let view = content.view().unwrap();
    let cost = DocRef::parse(&view).unwrap().get("cost_known_usd");
    assert_eq!(cost, Some(DocRef::F64(5.0)));
    // The parts are the events still.
    let again = Parts::from_body(&content.body(), 0, None).unwrap();
    assert_eq!(again.iter().count(), 2);
    assert_eq!(again.iter().nth(1).unwrap().doc, doc(&[("tokens", 5)]));
}

#[test]
fn fields_are_found_without_reading_the_others() {
    let doc = doc(&[("a", 1), ("b", 2)]);
    let found = find_raw(&doc, "b").and_then(|raw| DocRef::parse(raw).ok());
    assert_eq!((found, find_raw(&doc, "c")), (Some(DocRef::I64(2)), None));
    for end in 0..doc.len() {
        assert_eq!(find_raw(&doc[..end], "b"), None, "cut at {end}");
    }
    assert_eq!(find_raw(b"\x03", "b"), None);
}

#[test]
fn a_cost_has_the_length_that_it_says() {
    for source in [
        CostSource::Stated,
        CostSource::Priced,
        CostSource::Unknown,
        CostSource::RollUp,
    ] {
        for dollars in [None, Some(0.5)] {
            let cost = Cost { source, dollars };
            assert_eq!(cost.fields().len(), cost.fields_len(), "{cost:?}");
        }
    }
}

/// Prices that can change.
#[derive(Debug)]
struct Changing(std::sync::atomic::AtomicU64);

impl Costs for Changing {
    fn control(&self, _: &[u8]) {}

    fn epoch(&self) -> u64 {
        self.0.load(std::sync::atomic::Ordering::Relaxed)
    }

    fn of_span(&self, project: ProjectId, at: i64, fields: Fields<'_, '_>) -> Option<Cost> {
        ADollar.of_span(project, at, fields)
    }
}

#[test]
fn what_was_worked_out_before_holds_until_prices_change() {
    let event = |partial, fields: &[(&str, i64)]| Event {
        table: Table::Spans,
        key: crate::row::RowKey {
            trace_id: "t".into(),
            id: "s".into(),
        },
        start_ns: Some(0),
        end_ns: None,
        version: 0,
        partial,
        doc: doc(fields),
    };
    let run = Event {
        table: Table::Runs,
        ..event(false, &[("tokens", 1)])
    };
    let events = [
        event(false, &[("tokens", 3)]),
        event(false, &[("a", 3)]),
        event(true, &[("tokens", 3)]),
        event(false, &[("tokens", 3), ("cost_source", 1)]),
        run,
    ];
    let costs = Changing(7.into());
    let ready = Ready::of(&costs, ProjectId(1), &events);
    let found: Vec<_> = (0..6).map(|at| ready.at(&costs, at)).collect();
    let three = Cost {
        source: CostSource::Priced,
        dollars: Some(3.0),
    };
    assert_eq!(
        found,
        [
            Some(Known(Some(three))),
            Some(Known(None)),
            None,
            None,
            None,
            None
        ]
    );
    costs.0.store(8, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(ready.at(&costs, 0), None);
}
