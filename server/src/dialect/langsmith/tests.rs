//! Expected values follow `LangSmith`'s API reference and its guides to traces and cost.

use obsrv_engine::doc::DocRef;
use obsrv_engine::fold::{Part, Parts};
use obsrv_engine::row::{ProjectId, Table};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::dialect::{ATTRIBUTES_MAX, Dialect, decode, doc_json};

const ROOT: &str = "00000000-0000-4000-8000-00000000000a";
const CHILD: &str = "00000000-0000-4000-8000-00000000000b";
const T0: i64 = 1_714_557_600_000_000_000; // 2024-05-01T10:00:00Z
const S: i64 = 1_000_000_000;

fn context(subject: &str) -> Context<'_> {
    Context {
        project: ProjectId(7),
        body_hash: 1,
        subject,
        received_ns: T0 + 100 * S,
        key_id: 0,
    }
}

fn read(dialect: Dialect, subject: &str, body: &Value) -> Decoded {
    decode(dialect, &context(subject), body.to_string().as_bytes()).unwrap()
}

fn row(decoded: &[Decoded], table: Table, id: &str) -> (Value, Option<i64>, Option<i64>) {
    let mut parts = Parts::default();
    for event in decoded.iter().flat_map(|d| &d.events) {
        if event.table == table && &*event.key.id == id {
            parts.add(Part::of(event));
        }
    }
    let view = parts.view();
    let text = doc_json::to_text(DocRef::parse(&view).unwrap());
    let value = serde_json::from_str(&text).unwrap();
    (value, parts.start_ns(), parts.end_ns())
}

fn dotted_root() -> String {
    format!("20240501T100000000000Z{ROOT}")
}

fn dotted_child() -> String {
    format!("{}.20240501T100001500000Z{CHILD}", dotted_root())
}

fn root_post() -> Value {
    json!({
        "id": ROOT, "trace_id": ROOT, "dotted_order": dotted_root(), "parent_run_id": null, "name": "agent",
        "run_type": "chain", "start_time": "2024-05-01T10:00:00+00:00", "inputs": {"q": 1}, "tags": ["a"],
        "session_name": "my project", "error": null, "serialized": null, "events": [],
        "extra": {"metadata": {"thread_id": "th", "user_id": "u", "k": {"deep": 1}}, "runtime": {"sdk": "x"}},
    })
}

fn child_post() -> Value {
    json!({
        "id": CHILD, "trace_id": ROOT, "dotted_order": dotted_child(), "parent_run_id": ROOT, "name": "call",
        "run_type": "llm", "start_time": "2024-05-01T10:00:01.5+00:00",
        "inputs": {"messages": [{"role": "user", "content": "hi"}]},
        "extra": {"metadata": {"ls_model_name": "gpt-4o"}, "invocation_params": {"model": "other"}},
    })
}

fn child_patch() -> Value {
    json!({
        "trace_id": ROOT, "dotted_order": dotted_child(), "parent_run_id": ROOT,
        "end_time": "2024-05-01T10:00:02+00:00",
        "outputs": {"text": "ho", "usage_metadata": {"input_tokens": 100, "output_tokens": 30,
            "total_tokens": 130, "input_token_details": {"cache_read": 60, "cache_creation": 10},
            "output_token_details": {"reasoning": 25}, "total_cost": 0.5}},
    })
}

#[test]
fn posts_and_patches_in_any_order_give_one_row() {
    let posted = read(Dialect::LangsmithRun, "", &root_post());
    assert_eq!(posted.named_project.as_deref(), Some("my project"));
    let (root, start, end) = row(std::slice::from_ref(&posted), Table::Spans, ROOT);
    let expected = json!({
        "dialect": "langsmith", "status": "running", "root": true, "kind": "chain", "name": "agent",
        "group": "th", "user_id": "u", "input": {"q": 1}, "tags": ["a"], "session_name": "my project",
        "dotted_order": dotted_root(), "events": [],
        "metadata": {"thread_id": "th", "user_id": "u", "k": {"deep": 1}},
        "langsmith.extra": {"runtime": {"sdk": "x"}},
    });
    assert_eq!((root, start, end), (expected, Some(T0), None));
    let (run, _, _) = row(&[posted], Table::Runs, ROOT);
    assert_eq!(run["project_id"], "my project");
    let post = read(Dialect::LangsmithRun, "", &child_post());
    let patch = read(Dialect::LangsmithPatch, CHILD, &child_patch());
    for sent in [[post.clone(), patch.clone()], [patch, post]] {
        let (child, start, end) = row(&sent, Table::Spans, CHILD);
        assert_eq!(
            (&child["status"], &child["parent_id"]),
            (&"success".into(), &ROOT.into())
        );
        assert_eq!(
            (&child["kind"], &child["model"]),
            (&"llm".into(), &"gpt-4o".into())
        );
        let tokens = json!({"input": 30, "output": 5, "cache_read": 60, "cache_write": 10,
            "reasoning": 25, "total": 130});
        assert_eq!(
            (&child["tokens"], &child["cost_usd"]),
            (&tokens, &0.5.into())
        );
        assert_eq!(child["output"]["text"], "ho");
        assert_eq!(child["root"], Value::Null);
        assert_eq!((start, end), (Some(T0 + 3 * S / 2), Some(T0 + 2 * S)));
        assert!(
            sent.iter()
                .all(|d| d.items[0].trace_id.as_deref() == Some(ROOT))
        );
    }
}

#[test]
fn a_patch_alone_knows_its_place_from_its_dotted_order() {
    let patch = json!({"dotted_order": dotted_child(), "error": "ValueError('no')",
        "end_time": "2024-05-01T10:00:02+00:00"});
    let decoded = read(Dialect::LangsmithPatch, CHILD, &patch);
    assert!(decoded.events.iter().all(|e| &*e.key.trace_id == ROOT));
    let (child, start, _) = row(&[decoded], Table::Spans, CHILD);
    assert_eq!(start, Some(T0 + 3 * S / 2));
    assert_eq!(
        (&child["parent_id"], &child["status"]),
        (&ROOT.into(), &"error".into())
    );
    assert_eq!(child["error_message"], "ValueError('no')");
}

#[test]
fn types_of_runs_models_and_threads() {
    for (word, kind, kept) in [
        ("llm", "llm", Value::Null),
        ("chain", "chain", Value::Null),
        ("tool", "tool", Value::Null),
        ("retriever", "retrieval", "retriever".into()),
        ("embedding", "embedding", Value::Null),
        ("prompt", "custom", "prompt".into()),
        ("parser", "custom", "parser".into()),
    ] {
        let run = json!({"id": "r", "name": "n", "run_type": word});
        let (row, start, _) = row(&[read(Dialect::LangsmithRun, "", &run)], Table::Spans, "r");
        assert_eq!((&row["kind"], &row["type"]), (&kind.into(), &kept));
        assert_eq!(
            start,
            Some(T0 + 100 * S),
            "nothing says when it began but its arrival"
        );
    }
    for (extra, model, group) in [
        (
            json!({"invocation_params": {"model": "a", "model_name": "b"}}),
            json!("a"),
            Value::Null,
        ),
        (
            json!({"invocation_params": {"model_name": "b"}}),
            json!("b"),
            Value::Null,
        ),
        (
            json!({"metadata": {"session_id": "s", "thread_id": "t"}}),
            Value::Null,
            json!("s"),
        ),
        (
            json!({"metadata": {"conversation_id": "c"}}),
            Value::Null,
            json!("c"),
        ),
    ] {
        let run = json!({"id": "r", "run_type": "llm", "extra": extra});
        let (row, _, _) = row(&[read(Dialect::LangsmithRun, "", &run)], Table::Spans, "r");
        assert_eq!((&row["model"], &row["group"]), (&model, &group));
    }
}

#[test]
fn usage_stands_in_metadata_outputs_and_messages() {
    let usage = json!({"input_tokens": 3, "output_tokens": 4, "total_tokens": 7, "input_cost": 1, "output_cost": 2});
    let message = json!({"kwargs": {"usage_metadata": usage}});
    for run in [
        json!({"extra": {"metadata": {"usage_metadata": usage}}, "outputs": {"usage_metadata": {"input_tokens": 99}}}),
        json!({"outputs": {"usage_metadata": usage}}),
        json!({"outputs": {"generations": [[{"message": message}]]}}),
    ] {
        let mut run = run;
        run["id"] = "r".into();
        let (row, _, _) = row(&[read(Dialect::LangsmithRun, "", &run)], Table::Spans, "r");
        assert_eq!(
            row["tokens"],
            json!({"input": 3, "output": 4, "total": 7}),
            "{run}"
        );
        assert_eq!(row["cost_usd"], 3.0);
    }
    let old = json!({"id": "r", "outputs": {"llm_output": {"token_usage": {"prompt_tokens": 9,
        "completion_tokens": 1, "total_tokens": 10, "prompt_tokens_details": {"cached_tokens": 4}}}}});
    let (row, _, _) = row(&[read(Dialect::LangsmithRun, "", &old)], Table::Spans, "r");
    assert_eq!(
        row["tokens"],
        json!({"input": 5, "output": 1, "cache_read": 4, "total": 10})
    );
}

/// A form with these parts: name, content type, content.
fn form(parts: &[(&str, &str, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, content_type, content) in parts {
        let head = format!(
            "--X\r\nContent-Disposition: form-data; name=\"{name}\"\r\nContent-Type: {content_type}\r\n\r\n"
        );
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(content);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"--X--\r\n");
    body
}

#[test]
fn a_form_gives_what_the_same_runs_give_in_json() {
    let apart = |run: &Value, key: &str| run[key].to_string().into_bytes();
    let mut main = child_post();
    main.as_object_mut()
        .unwrap()
        .retain(|key, _| key != "inputs" && key != "extra");
    let (post, patch) = (format!("post.{CHILD}"), format!("patch.{CHILD}"));
    let json = "application/json";
    let body = form(&[
        (
            &format!("{post}.extra"),
            json,
            &apart(&child_post(), "extra"),
        ),
        (&post, json, main.to_string().as_bytes()),
        (
            &format!("{post}.inputs"),
            json,
            &apart(&child_post(), "inputs"),
        ),
        (&patch, json, child_patch().to_string().as_bytes()),
        (
            &format!("attachment.{CHILD}.cat"),
            "image/png; length=2",
            b"\x00\xff",
        ),
        (
            "feedback.f1",
            json,
            br#"{"id":"f1","key":"k","score":1,"trace_id":"t","run_id":"t"}"#,
        ),
    ]);
    let decoded = decode(Dialect::LangsmithForm, &context("X"), &body).unwrap();
    assert_eq!(decoded.rejected(), 0, "{:?}", decoded.items);
    let (mut got, start, end) = row(&[decoded], Table::Spans, CHILD);
    let attachments = got.as_object_mut().unwrap().remove("attachments");
    let expected = json!([{"type": "image", "name": "cat", "mime": "image/png", "size_bytes": 2, "data": "AP8="}]);
    assert_eq!(attachments, Some(expected));
    let both = json!({"post": [child_post()], "patch": [child_patch()]});
    let mut both = both;
    both["patch"][0]["id"] = CHILD.into();
    let (same, same_start, same_end) = row(
        &[read(Dialect::LangsmithBatch, "", &both)],
        Table::Spans,
        CHILD,
    );
    assert_eq!((got, start, end), (same, same_start, same_end));
}

#[test]
fn bad_parts_and_runs_are_refused_by_themselves() {
    let json = "application/json";
    let body = form(&[
        ("post.a", json, b"{\"id\":\"a\"}"),
        ("post.b", json, b"{"),
        ("post.c.inputs", json, b"{}"),
        ("attachment.zz.f", "text/plain", b"x"),
        ("dance.d", json, b"{}"),
        ("post.e", json, br#"{"id":"e","start_time":"soon"}"#),
        ("post.f", json, br#"{"id":"f"}"#),
        ("post.f.tags", json, b"[1]"),
        ("feedback.g", json, br#"{"score":1}"#),
    ]);
    let decoded = decode(Dialect::LangsmithForm, &context("X"), &body).unwrap();
    let mut said: Vec<(usize, &str)> = decoded
        .items
        .iter()
        .map(|item| (item.index, item.error.as_deref().unwrap_or("")))
        .collect();
    said.sort_unstable();
    let expected = [
        (0, ""),
        (1, "post.b: not valid json"),
        (2, "post.c: missing"),
        (3, "attachment.zz.f: no post or patch"),
        (4, "part: unknown name"),
        (5, "start_time: expected a time"),
        (6, "tags: expected a list of texts"),
        (8, "key: missing"),
    ];
    assert_eq!(said.len(), expected.len());
    for ((at, error), (place, start)) in said.iter().zip(expected) {
        assert!(*at == place && error.starts_with(start), "{at}: {error}");
    }
    let error = decode(Dialect::LangsmithForm, &context(""), &body).unwrap_err();
    assert_eq!(
        error.to_string(),
        "body: the content type names no boundary"
    );
    for (body, expected) in [
        (json!({"post": {}}), "post: expected a list"),
        (json!([]), "body: expected an object"),
    ] {
        let text = body.to_string();
        let error = decode(Dialect::LangsmithBatch, &context(""), text.as_bytes()).unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
    let one = read(
        Dialect::LangsmithBatch,
        "",
        &json!({"post": [7, {"name": "x"}], "patch": null}),
    );
    let errors: Vec<_> = one.items.iter().map(|i| i.error.clone().unwrap()).collect();
    assert_eq!(errors, ["post: expected an object", "id: missing"]);
}

#[test]
fn fields_of_a_run_are_bounded() {
    let taken = |main: usize, apart: usize| {
        let fields: Vec<String> = (1..main).map(|i| format!(r#","f{i}":1"#)).collect();
        let main = format!(r#"{{"id":"a"{}}}"#, fields.concat());
        let names: Vec<String> = (0..apart).map(|i| format!("post.a.x{i}")).collect();
        let mut parts = vec![("post.a", "", main.as_bytes())];
        parts.extend(names.iter().map(|name| (name.as_str(), "", &b"1"[..])));
        let decoded = decode(Dialect::LangsmithForm, &context("X"), &form(&parts)).unwrap();
        decoded.rejected() == 0
    };
    assert!(taken(ATTRIBUTES_MAX, 0) && taken(1, ATTRIBUTES_MAX));
    assert!(!taken(ATTRIBUTES_MAX + 1, 0) && !taken(1, ATTRIBUTES_MAX + 1));
}

#[test]
fn feedback_is_a_score_of_its_run() {
    let feedback = json!({"id": "f", "run_id": CHILD, "trace_id": ROOT, "key": "correct", "score": true,
        "value": "yes", "comment": "c", "correction": {"a": 1}, "created_at": "2024-05-01T10:00:00+00:00",
        "modified_at": null, "feedback_source": {"type": "api"}, "extra": {"x": 1}, "error": false});
    let decoded = read(Dialect::LangsmithFeedback, "", &feedback);
    assert_eq!(&*decoded.events[0].key.trace_id, ROOT);
    let (score, start, _) = row(&[decoded], Table::Scores, "f");
    let expected = json!({"dialect": "langsmith", "step_id": CHILD, "name": "correct", "score": 1,
        "label": "yes", "comment": "c", "correction": {"a": 1}, "feedback_source": {"type": "api"},
        "langsmith.extra": {"x": 1}, "langsmith.error": false});
    assert_eq!((score, start), (expected, Some(T0)));
    let of_root = json!({"key": "k", "run_id": ROOT, "value": {"any": 1}});
    let decoded = read(Dialect::LangsmithFeedback, "", &of_root);
    let key = decoded.events[0].key.clone();
    let (score, _, _) = row(&[decoded], Table::Scores, &key.id);
    assert_eq!((&*key.trace_id, &score["step_id"]), (ROOT, &Value::Null));
    assert_eq!(score["value"], json!({"any": 1}));
}

proptest! {
    #[test]
    fn no_body_panics(body in prop::collection::vec(any::<u8>(), 0..200), text in r#"[\[\]{},:"a-z0-9 .-]{0,80}"#) {
        let part = form(&[("post.a", "", &body), ("patch.a.inputs", "", text.as_bytes())]);
        for bytes in [&body[..], text.as_bytes(), &part] {
            for dialect in [Dialect::LangsmithForm, Dialect::LangsmithRun, Dialect::LangsmithBatch, Dialect::LangsmithFeedback] {
                let _ = decode(dialect, &context("X"), bytes);
            }
        }
    }
}
