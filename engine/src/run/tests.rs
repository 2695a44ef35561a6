use proptest::prelude::*;

use super::*;

fn doc(status: &str, kind: &str, tokens: i64, cost: f64, root: bool) -> Vec<u8> {
    let mut out = DocWriter::new();
    let open = out.begin_map();
    out.key(model::STATUS);
    out.str(status);
    out.key(model::KIND);
    out.str(kind);
    out.key(model::COST_USD);
    out.f64(cost);
    out.key(model::TOKENS);
    let inner = out.begin_map();
    out.key("input");
    out.i64(tokens);
    out.end(inner);
    if root {
        out.key(model::ROOT);
        out.bool(true);
        out.key(model::NAME);
        out.str("the root");
    }
    out.end(open);
    out.finish()
}

proptest! {
    #[test]
    fn the_order_of_spans_and_storage_between_them_do_not_matter(
        specs in prop::collection::vec((0usize..3, 0usize..2, 0i64..99, 0.0f64..1.0, any::<bool>(), 0i64..50), 1..20),
    ) {
        let spans: Vec<_> = specs.iter().enumerate().map(|(i, &(s, k, t, c, r, start))| {
            let status = ["success", "error", "running"][s];
            (format!("s{i}"), start, doc(status, ["llm", "agent"][k], t, c, r))
        }).collect();
        let facts = |(id, start, view): &(String, i64, Vec<u8>)| {
            (id.clone(), *start, view.clone())
        };
        let add = |run: &mut Run, (id, start_ns, view): &(String, i64, Vec<u8>)| run.rollup.add(SpanFacts {
            id, start_ns: *start_ns, end_ns: Some(start_ns + 5), view: DocRef::parse(view).unwrap(),
        });
        let mut forward = Run::default();
        spans.iter().for_each(|s| add(&mut forward, &facts(s)));
        let mut backward = Run::default();
        for s in spans.iter().rev() {
            add(&mut backward, s);
            let body = backward.body();
            backward = Run::from_body(&body, backward.start_ns(), backward.end_ns()).unwrap();
        }
        prop_assert_eq!(forward.body(), backward.body());
        let body = forward.body();
        let view = crate::body::view(&body).unwrap();
        let count = i64::try_from(spans.len()).unwrap();
        prop_assert_eq!(view.at(&["rollup", "span_count"]), Some(DocRef::I64(count)));
    }
}

/// What a mapping may say of a span: its status, kind, tokens, whether it is declared the root, its user, model and tool.
type Spec = (usize, usize, i64, bool, usize, usize, usize);

fn spec() -> impl Strategy<Value = Spec> {
    let of = (0usize..3, 0usize..3, 0i64..99, any::<bool>());
    (of, (0usize..3, 0usize..3, 0usize..3))
        .prop_map(|((s, k, t, r), (user, model, tool))| (s, k, t, r, user, model, tool))
}

fn said((status, kind, tokens, root, user, model, tool): Spec) -> Vec<u8> {
    let base = doc(
        ["success", "error", "running"][status],
        ["llm", "agent", "chain"][kind],
        tokens,
        0.5,
        root,
    );
    let mut out = DocWriter::new();
    let open = out.begin_map();
    out.entries(DocRef::parse(&base).unwrap().entries().unwrap());
    for (key, n) in [
        (model::USER_ID, user),
        (model::MODEL, model),
        (model::TOOL, tool),
    ] {
        if n > 0 {
            out.key(key);
            out.str(&format!("{key}-{n}"));
        }
    }
    out.end(open);
    out.finish()
}

proptest! {
    /// Where the difference is enough, it comes to what all spans come to, however often each says something else.
    #[test]
    fn the_difference_of_spans_is_that_of_their_run(
        old in prop::collection::vec((spec(), 0i64..5), 1..8),
        changes in prop::collection::vec(prop::collection::vec((0usize..8, spec(), any::<bool>()), 0..4), 1..4),
    ) {
        let mut spans = old;
        let all = |spans: &[(Spec, i64)]| {
            let mut rollup = Rollup::default();
            for (n, (spec, start_ns)) in spans.iter().enumerate() {
                let (id, view) = (format!("s{n}"), said(*spec));
                let view = DocRef::parse(&view).unwrap();
                rollup.add(SpanFacts { id: &id, start_ns: *start_ns, end_ns: None, view });
            }
            rollup
        };
        let (mut rollup, mut taken) = (all(&spans), Difference::default());
        for (n, mut spec, is_derived) in changes.iter().flatten().copied() {
            let n = n % spans.len();
            let (was, start_ns) = spans[n];
            if is_derived {
                // As most of them: no name is lost, and nothing else is declared the root.
                spec.3 = was.3;
                spec.5 = if was.5 > 0 { was.5 } else { spec.5 };
                spec.6 = if was.6 > 0 { was.6 } else { spec.6 };
            }
            let (id, old, new) = (format!("s{n}"), said(was), said(spec));
            let facts = |view| SpanFacts { id: &id, start_ns, end_ns: None, view };
            let mut one = Difference::default();
            let (old, new) = (DocRef::parse(&old).unwrap(), DocRef::parse(&new).unwrap());
            let is_enough = one.mapped(facts(old), facts(new));
            prop_assert!(is_enough || !is_derived);
            if is_enough {
                taken.and(&one);
                spans[n].0 = spec;
            }
        }
        rollup.take_over(&taken);
        prop_assert_eq!(rollup, all(&spans));
    }
}

/// `usage` as a span has it; none where it is null.
fn used(kind: &str, tokens: &[(&str, i64)], cost: Option<f64>) -> Vec<u8> {
    let mut out = DocWriter::new();
    let open = out.begin_map();
    out.key(model::KIND);
    out.str(kind);
    if let Some(cost) = cost {
        out.key(model::COST_USD);
        out.f64(cost);
    }
    out.key(model::TOKENS);
    let inner = out.begin_map();
    for (key, n) in tokens {
        out.key(key);
        out.i64(*n);
    }
    out.end(inner);
    out.end(open);
    out.finish()
}

fn run_of(spans: &[Vec<u8>]) -> Bytes {
    let mut run = Run::default();
    for (place, view) in spans.iter().enumerate() {
        run.rollup.add(SpanFacts {
            id: &place.to_string(),
            start_ns: 1,
            end_ns: Some(2),
            view: DocRef::parse(view).unwrap(),
        });
    }
    run.body()
}

#[test]
fn buckets_of_tokens_add_up_to_the_total() {
    let call = [
        ("input", 4),
        ("output", 3),
        ("cache_read", 20),
        ("cache_write", 2),
        ("reasoning", 1),
    ];
    let body = run_of(&[used("llm", &call, None), used("llm", &call, None)]);
    let view = crate::body::view(&body).unwrap();
    for (key, n) in call.iter().chain(&[("total", 30)]) {
        assert_eq!(view.at(&["tokens", key]), Some(DocRef::I64(2 * n)), "{key}");
    }
    let body = run_of(&[used("llm", &[("input", 4)], None)]);
    let view = crate::body::view(&body).unwrap();
    assert_eq!(view.at(&["tokens", "cache_read"]), None);
}

#[test]
fn a_cost_that_only_the_agent_tells_is_the_runs_beside_the_tokens_of_its_steps() {
    let agent = used("agent", &[("input", 30)], Some(0.5));
    let step = used("llm", &[("input", 10)], None);
    let body = run_of(&[agent.clone(), step.clone(), step.clone()]);
    let view = crate::body::view(&body).unwrap();
    assert_eq!(view.at(&["tokens", "total"]), Some(DocRef::I64(20)));
    assert_eq!(view.get(model::COST_USD), Some(DocRef::F64(0.5)));
    let body = run_of(&[agent, step, used("llm", &[], Some(0.25))]);
    let view = crate::body::view(&body).unwrap();
    assert_eq!(view.get(model::COST_USD), Some(DocRef::F64(0.25)));
}

#[test]
fn what_a_client_tells_of_its_own_call_counts_where_nobody_else_does() {
    let call = used("llm", &[("input", 10)], None);
    let mut own = DocWriter::new();
    let open = own.begin_map();
    let view = DocRef::parse(&call).unwrap();
    own.entries(view.entries().unwrap());
    own.key(model::REPEATS);
    own.bool(true);
    own.end(open);
    let own = own.finish();
    for (spans, total) in [
        (vec![call.clone(), own.clone()], 10),
        (vec![own.clone(), own], 20),
    ] {
        let body = run_of(&spans);
        let view = crate::body::view(&body).unwrap();
        assert_eq!(view.at(&["tokens", "total"]), Some(DocRef::I64(total)));
    }
}

#[test]
fn tokens_of_an_agent_are_not_added_to_those_of_its_steps() {
    let mut run = Run::default();
    for (id, kind, tokens) in [("a", "agent", 30), ("b", "llm", 10), ("c", "llm", 20)] {
        let view = doc("success", kind, tokens, 0.0, kind == "agent");
        let view = DocRef::parse(&view).unwrap();
        run.rollup.add(SpanFacts {
            id,
            start_ns: 1,
            end_ns: Some(2),
            view,
        });
    }
    let body = run.body();
    let view = crate::body::view(&body).unwrap();
    assert_eq!(view.at(&["tokens", "total"]), Some(DocRef::I64(30)));
    assert_eq!(view.get("name"), Some(DocRef::Str("the root")));
}

/// A run has where it ran of its root, and among its models the one that it names itself.
#[test]
fn a_run_has_the_place_of_its_root_and_every_model() {
    let texts = |fields: &[(&str, &str)]| {
        let mut out = DocWriter::new();
        let open = out.begin_map();
        for (key, text) in fields {
            out.key(key);
            out.str(text);
        }
        out.end(open);
        out.finish()
    };
    let place = model::PLACE.map(|field| (field, "here"));
    let mut run = Run::default();
    for (id, start_ns, fields) in [("a", 1, &place[..]), ("b", 2, &[(model::MODEL, "haiku")])] {
        let doc = texts(fields);
        let view = DocRef::parse(&doc).unwrap();
        run.rollup.add(SpanFacts {
            id,
            start_ns,
            end_ns: None,
            view,
        });
    }
    let own = texts(&[(model::MODEL, "gpt"), (model::REGION, "there")]);
    run.parts.add(crate::fold::Part::of(&crate::row::Event {
        table: crate::row::Table::Runs,
        key: crate::row::RowKey {
            trace_id: "t".into(),
            id: "t".into(),
        },
        start_ns: None,
        end_ns: None,
        version: 1,
        partial: false,
        doc: Bytes::from(own),
    }));
    let body = run.body();
    let view = crate::body::view(&body).unwrap();
    let said = model::PLACE.map(|field| view.get(field).and_then(DocRef::as_str).unwrap());
    assert_eq!(said, ["here", "here", "here", "there"]);
    let Some(DocRef::Array(models)) = view.at(&[model::ROLLUP, "models"]) else {
        panic!("no models")
    };
    let models: Vec<_> = models.flatten().filter_map(DocRef::as_str).collect();
    assert_eq!(models, ["gpt", "haiku"]);
    // It is no name of a span: what is stored of these does not have it.
    let stored = Run::from_body(&body, 1, None).unwrap();
    assert_eq!(stored, run);
}
