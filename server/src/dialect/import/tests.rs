//! Files as they were published (`tests/fixtures/imports`). What is expected was read off the files by hand.

use std::collections::BTreeMap;

use obsrv_engine::doc::DocRef;
use obsrv_engine::row::{ProjectId, Table};

use super::*;
use crate::dialect::{Item, doc_json};

const CLAUDE: &str =
    include_str!("../../../tests/fixtures/imports/claude-code-representative.jsonl");
const CLAUDE_EDGES: &str =
    include_str!("../../../tests/fixtures/imports/claude-code-edge-cases.jsonl");
const SWE: &str = include_str!("../../../tests/fixtures/imports/swe-agent.traj");
const MINI: &str = include_str!("../../../tests/fixtures/imports/mini-swe-agent.traj.json");
const TAU: &str = include_str!("../../../tests/fixtures/imports/tau.jsonl");
const INSPECT: &str = include_str!("../../../tests/fixtures/imports/inspect.json");
const INSPECT_TOOLS: &str =
    include_str!("../../../tests/fixtures/imports/inspect-tool-errors.json");
const JAEGER: &str = include_str!("../../../tests/fixtures/imports/jaeger.json");
const ZIPKIN: &str = include_str!("../../../tests/fixtures/imports/zipkin.json");

/// A row as JSON, its start and its end.
type Row = (Value, Option<i64>, Option<i64>);

/// Rows by table and id.
struct Read {
    rows: BTreeMap<(Table, String), Row>,
    items: Vec<Item>,
}

fn read(format: Format, text: &str) -> Read {
    let context = Context {
        project: ProjectId(1),
        body_hash: 7,
        subject: "",
        received_ns: 1_000_000_000_000_000_000,
        key_id: 0,
    };
    let decoded = decode(format, &context, text.as_bytes()).unwrap();
    let again = decode(format, &context, text.as_bytes()).unwrap();
    assert_eq!(
        decoded.events, again.events,
        "the same file makes the same rows"
    );
    let rows = decoded.events.iter().map(|event| {
        let doc = doc_json::to_text(DocRef::parse(&event.doc).unwrap());
        let value = serde_json::from_str(&doc).unwrap();
        (
            (event.table, event.key.id.to_string()),
            (value, event.start_ns, event.end_ns),
        )
    });
    Read {
        rows: rows.collect(),
        items: decoded.items,
    }
}

impl Read {
    fn row(&self, table: Table, id: &str) -> &Value {
        let ids: Vec<_> = self.rows.keys().collect();
        &self
            .rows
            .get(&(table, id.to_owned()))
            .unwrap_or_else(|| panic!("no {id} in {ids:?}"))
            .0
    }

    fn span(&self, id: &str) -> &Value {
        self.row(Table::Spans, id)
    }

    fn spans(&self) -> Vec<&Value> {
        let mut all: Vec<&Value> = self.of(Table::Spans).collect();
        all.sort_by_key(|span| span["index"].as_i64());
        all
    }

    fn of(&self, table: Table) -> impl Iterator<Item = &Value> {
        self.rows
            .iter()
            .filter(move |((of, _), _)| *of == table)
            .map(|(_, (row, _, _))| row)
    }

    fn errors(&self) -> Vec<(usize, &str)> {
        let refused = self
            .items
            .iter()
            .filter_map(|item| Some((item.index, item.error.as_deref()?)));
        refused.collect()
    }
}

/// Of a span id the time in nanoseconds, from microseconds in the file.
fn times(read: &Read, id: &str) -> (Option<i64>, Option<i64>) {
    let (_, start, end) = &read.rows[&(Table::Spans, id.to_owned())];
    (*start, *end)
}

#[test]
fn each_file_is_known_by_its_beginning() {
    let first = |text: &'static str| text.lines().next().unwrap();
    for (text, expected) in [
        (first(CLAUDE), Some(Format::ClaudeCode)),
        (first(TAU), Some(Format::Tau)),
        (SWE, Some(Format::SweAgent)),
        (MINI, Some(Format::SweAgent)),
        (INSPECT, Some(Format::Inspect)),
        (JAEGER, Some(Format::Jaeger)),
        (ZIPKIN, Some(Format::Zipkin)),
        (r#"{"resourceSpans":[]}"#, None),
        (r#"{"trace_id":"t","steps":[]}"#, None),
        ("[", None),
    ] {
        assert_eq!(
            Format::of(text),
            expected,
            "{}",
            &text[..text.len().min(40)]
        );
    }
    for (name, format) in Format::ALL {
        assert_eq!(Format::named(name), Some(format));
    }
    assert_eq!(Format::named("csv"), None);
}

#[test]
fn a_session_of_claude_code() {
    let read = read(Format::ClaudeCode, CLAUDE);
    assert_eq!(read.errors(), []);
    let names: Vec<_> = read
        .of(Table::Runs)
        .map(|run| run["name"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        [
            "Hello Claude! Can you help me understand how Python decorators work?",
            "Great! Can you also show me how to create a decorator that takes parameters?",
            "Can you run that example to show the output?",
            "This is really helpful! Let me try to implement a timing decorator myself. Can y",
        ]
    );
    let run = read.row(Table::Runs, "test_session:msg_003");
    assert_eq!(
        (&run["group"], &run["platform"]),
        (&"test_session".into(), &"claude-code".into())
    );
    assert_eq!(
        (&run["metadata"]["cwd"], &run["metadata"]["version"]),
        (&"/tmp".into(), &"1.0.0".into())
    );
    let answer = read.span("msg_002");
    assert_eq!(
        (&answer["kind"], &answer["model"]),
        (&"llm".into(), &"claude-3-sonnet-20240229".into())
    );
    assert_eq!(
        answer["tokens"],
        json!({ "input": 25, "output": 120, "cache_read": 0, "cache_write": 0 })
    );
    assert_eq!(answer["messages"][0]["role"], "user");
    let said = answer["messages"][1]["content"][0]["text"]
        .as_str()
        .unwrap();
    assert!(said.starts_with("I'd be happy to help you understand Python decorators!"));
    let tool = read.span("tool_001");
    assert_eq!(
        (&tool["kind"], &tool["tool"], &tool["parent_id"]),
        (&"tool".into(), &"Edit".into(), &"msg_004".into())
    );
    let call = &tool["tool_calls"][0];
    assert_eq!(call["arguments"]["file_path"], "/tmp/decorator_example.py");
    assert_eq!(
        call["result"],
        "File created successfully at: /tmp/decorator_example.py"
    );
    let last = read.row(Table::Runs, "test_session:msg_011");
    let summary = last["metadata"]["summary"].as_str().unwrap();
    assert!(summary.starts_with("User learned about Python decorators"));
}

/// Lines of an answer share its id, and its use; a person speaks where no tool does.
#[test]
fn an_answer_in_several_lines_counts_once() {
    let usage = json!({ "input_tokens": 5, "output_tokens": 3, "cache_read_input_tokens": 100 });
    let line = |uuid: &str, at: u32, part: Value| {
        json!({ "type": "assistant", "uuid": uuid, "sessionId": "s", "timestamp": format!("2026-01-01T00:00:0{at}Z"),
            "message": { "id": "m1", "role": "assistant", "model": "c", "content": [part], "usage": usage } })
    };
    let lines = [
        json!({ "type": "user", "uuid": "u1", "sessionId": "s", "timestamp": "2026-01-01T00:00:00Z",
            "message": { "role": "user", "content": "go" } }),
        line("a1", 1, json!({ "type": "thinking", "thinking": "hm" })),
        line("a2", 2, json!({ "type": "text", "text": "first" })),
        line(
            "a3",
            3,
            json!({ "type": "tool_use", "id": "t1", "name": "Bash", "input": { "command": "ls" } }),
        ),
        json!({ "type": "user", "uuid": "u2", "sessionId": "s", "timestamp": "2026-01-01T00:00:04Z",
            "message": { "role": "user", "content": [{ "type": "tool_result", "tool_use_id": "t1", "content": "no", "is_error": true }] } }),
        json!({ "type": "file-history-snapshot", "messageId": "x" }),
    ];
    let text = lines.map(|line| line.to_string()).join("\n");
    let read = read(Format::ClaudeCode, &text);
    assert_eq!(
        (read.of(Table::Runs).count(), read.of(Table::Spans).count()),
        (1, 2)
    );
    let answer = read.span("a1");
    assert_eq!(
        answer["tokens"],
        json!({ "input": 5, "output": 3, "cache_read": 100 })
    );
    let parts: Vec<_> = answer["messages"][1]["content"]
        .as_array()
        .unwrap()
        .iter()
        .map(|part| &part["text"])
        .collect();
    assert_eq!(parts, ["hm", "first"]);
    assert_eq!(answer["messages"][1]["tool_calls"][0]["name"], "Bash");
    let tool = read.span("t1");
    assert_eq!(
        (&tool["status"], &tool["error_message"]),
        (&"error".into(), &"no".into())
    );
    let run = read.row(Table::Runs, "s:u1");
    assert_eq!(
        run["metadata"]["lines_left_out"],
        json!({ "file-history-snapshot": 1 })
    );
}

#[test]
fn bad_lines_of_a_session_are_named_and_the_others_kept() {
    let read = read(Format::ClaudeCode, CLAUDE_EDGES);
    let lines: Vec<usize> = read.errors().iter().map(|(line, _)| *line).collect();
    assert_eq!(lines, EDGES_BAD);
    assert_eq!(read.errors()[0].1, "timestamp: missing");
    // Seven times a person speaks; once in a list that holds a bare text.
    assert_eq!(read.of(Table::Runs).count(), EDGES_RUNS);
}

const EDGES_BAD: [usize; 5] = [11, 13, 14, 15, 16];
const EDGES_RUNS: usize = 7;

#[test]
fn a_trajectory_of_swe_agent() {
    let read = read(Format::SweAgent, SWE);
    let run = read.of(Table::Runs).next().unwrap();
    assert_eq!(
        (&run["name"], &run["status"]),
        (&"swe_main".into(), &"success".into())
    );
    assert_eq!(run["metadata"]["info"]["exit_status"], "submitted");
    assert_eq!(run["metadata"]["times"], "synthesised");
    let steps = read.spans();
    assert_eq!(steps.len(), 10);
    let roles: Vec<_> = steps[0]["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|said| &said["role"])
        .collect();
    assert_eq!(roles, ["system", "user", "assistant"]);
    assert_eq!(
        (&steps[1]["kind"], &steps[1]["tool"]),
        (&"tool".into(), &"ls".into())
    );
    assert_eq!(
        steps[1]["tool_calls"][0]["arguments"],
        json!({ "action": "ls -a\n" })
    );
    assert_eq!(
        steps[1]["tool_calls"][0]["result"],
        ".\n..\n.git\nmain.py\n"
    );
    let tools: Vec<_> = steps
        .iter()
        .skip(1)
        .step_by(2)
        .map(|step| &step["tool"])
        .collect();
    assert_eq!(tools, ["ls", "open", "edit", "python", "submit"]);
}

#[test]
fn messages_of_mini_swe_agent() {
    let read = read(Format::SweAgent, MINI);
    let steps = read.spans();
    let kinds: Vec<_> = steps
        .iter()
        .map(|step| step["kind"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["llm", "llm", "human"]);
    let heard = &steps[1]["messages"][0]["content"][0]["text"];
    assert_eq!(
        heard,
        "<returncode>0</returncode>\n<output>\nhello world\n</output>"
    );
}

#[test]
fn a_run_of_tau_bench() {
    let good_then_bad = format!("{TAU}\n{{\"task_id\": 1}}\nnot json\n");
    let read = read(Format::Tau, &good_then_bad);
    let refused = read.errors();
    assert_eq!((refused[0].0, refused[1].0), (3, 4));
    assert_eq!(refused[0].1, "traj: expected a list of messages");
    let run = read.of(Table::Runs).next().unwrap();
    assert_eq!(
        (&run["name"], &run["group"], &run["user_id"]),
        (
            &"task 38".into(),
            &"task-38".into(),
            &"sophia_silva_7557".into()
        )
    );
    assert_eq!(
        (&run["metadata"]["trial"], &run["metadata"]["reward"]),
        (&2.into(), &json!(1.0))
    );
    let score = read.of(Table::Scores).next().unwrap();
    assert_eq!(
        (&score["label"], &score["score"]),
        (&"reward".into(), &json!(1.0))
    );
    let steps = read.spans();
    let kinds: Vec<_> = steps
        .iter()
        .map(|step| step["kind"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["llm", "llm", "llm", "llm", "tool"]);
    assert_eq!(steps[4]["tool"], "transfer_to_human_agents");
    let call = &steps[4]["tool_calls"][0];
    assert_eq!(
        (&call["id"], &call["result"]),
        (
            &"call_MY94XAcnfHzfAZcVHqt5FRRQ".into(),
            &"Transfer successful".into()
        )
    );
    assert!(
        call["arguments"]["summary"]
            .as_str()
            .unwrap()
            .starts_with("User is requesting a refund")
    );
}

#[test]
fn a_log_of_inspect() {
    let read = read(Format::Inspect, INSPECT);
    let run = read.row(Table::Runs, "8rN5WC55fErMswTifp3eVJ");
    assert_eq!(
        (&run["name"], &run["model"]),
        (&"popularity 1".into(), &"ollama/gemma3".into())
    );
    assert_eq!(
        (&run["metadata"]["target"], &run["metadata"]["total_time"]),
        (&" Yes".into(), &json!(2.113))
    );
    assert_eq!(
        run["metadata"]["metadata"]["label_confidence"],
        json!(0.886_055_291_919_825_5_f64)
    );
    let solvers = read.span("47aa44b7e481493fbe5dda8177aa46e5");
    assert_eq!(
        (&solvers["name"], solvers.get("parent_id")),
        (&"solvers".into(), None)
    );
    let generate = read.span("10122c82fafe4151afaff57ea263e9ae");
    assert_eq!(generate["parent_id"], "47aa44b7e481493fbe5dda8177aa46e5");
    let model = read
        .spans()
        .into_iter()
        .find(|span| span["kind"] == "llm")
        .unwrap();
    assert_eq!(
        (&model["parent_id"], &model["model"]),
        (
            &"10122c82fafe4151afaff57ea263e9ae".into(),
            &"ollama/gemma3".into()
        )
    );
    assert_eq!(
        model["tokens"],
        json!({ "input": 66, "output": 3, "total": 69 })
    );
    let said: Vec<_> = model["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|said| said["content"][0]["text"].as_str().unwrap())
        .collect();
    assert!(
        said[0].starts_with("\nPlease note: In the following EXERCISE"),
        "attachments are put back: {said:?}"
    );
    assert_eq!(said[2], "Yes\n");
    let score = read.of(Table::Scores).next().unwrap();
    assert_eq!(
        (&score["label"], &score["score"], &score["comment"]),
        (&"match".into(), &json!(1.0), &"Yes\n".into())
    );
}

#[test]
fn a_sample_without_events_has_its_messages() {
    let read = read(Format::Inspect, INSPECT_TOOLS);
    let steps = read.spans();
    assert_eq!(steps.len(), 11);
    assert!(
        steps.iter().all(|step| step["kind"] == "tool"
            && step["status"] == "error"
            && step["tool"] == "bash")
    );
    assert_eq!(
        steps[10]["error_message"],
        "The tool output limit of 10 MiB was exceeded."
    );
}

#[test]
fn traces_of_jaeger() {
    let read = read(Format::Jaeger, JAEGER);
    let trace = "00000000000000000000000000000001";
    assert_eq!(read.rows.len(), 4, "spans 2 to 5; two stand under one id");
    let span = read.span("0000000000000004");
    assert_eq!(
        (&span["name"], &span["parent_id"]),
        (&"reference-test".into(), &"0000000000000002".into())
    );
    let links = span["links"].as_array().unwrap();
    assert_eq!(links.len(), 2);
    assert_eq!(links[0]["trace_id"], "000000000000000000000000000000ff");
    assert_eq!(
        (&links[1]["trace_id"], &links[1]["span_id"]),
        (&trace.into(), &"0000000000000002".into())
    );
    assert_eq!(span["attributes"]["jaeger.warning"], "some span warning");
    assert_eq!(
        (
            &span["service"],
            &read.span("0000000000000005")["parent_id"]
        ),
        (&"service-y".into(), &"0000000000000004".into())
    );
    let start = 1_485_467_191_639_875_000;
    assert_eq!(
        times(&read, "0000000000000005"),
        (Some(start), Some(start + 4_000))
    );
}

#[test]
fn tags_of_jaeger_keep_their_types() {
    let mut file: Value = serde_json::from_str(JAEGER).unwrap();
    file["spans"] = json!([file["spans"][1].clone()]);
    let read = read(Format::Jaeger, &file.to_string());
    let span = read.span("0000000000000002");
    let attributes = &span["attributes"];
    assert_eq!(
        (&attributes["peer.service"], &attributes["peer.ipv4"]),
        (&"service-y".into(), &23456.into())
    );
    assert_eq!(
        (&attributes["temperature"], &attributes["javascript_limit"]),
        (&json!(72.5), &json!(9_223_372_036_854_775_222_i64))
    );
    assert_eq!(
        (&attributes["error"], &span["status"]),
        (&true.into(), &"error".into())
    );
}

/// One call that both sides tell of is two spans; what was done in it was done by the server.
#[test]
fn spans_of_zipkin() {
    let read = read(Format::Zipkin, ZIPKIN);
    assert_eq!(read.of(Table::Spans).count(), 16);
    let client = read.span("f5f268651b2a2b34");
    assert_eq!(
        (&client["service"], &client["name"]),
        (&"yelp-main".into(), &"post".into())
    );
    let server = half_of("f5f268651b2a2b34");
    assert_eq!(
        (
            &read.span(&server)["service"],
            &read.span(&server)["parent_id"]
        ),
        (&"mobile_api".into(), &"f5f268651b2a2b34".into())
    );
    assert_eq!(read.span("15fc03927f0f68df")["parent_id"], server);
    // Of this one only the server told, so its id is its own; it is the root.
    let root = read.span("2e8cfb154b59a41f");
    assert_eq!(
        (&root["service"], root.get("parent_id")),
        (&"routing".into(), None)
    );
    assert_eq!(client["parent_id"], "2e8cfb154b59a41f");
    let start = 1_571_896_375_237_354_000;
    assert_eq!(
        times(&read, "2e8cfb154b59a41f"),
        (Some(start), Some(start + 131_848_000))
    );
    assert_eq!(root["attributes"]["http.uri.client"], "/location/update/v4");
    let proxy = half_of("668ed78ad94b35a1");
    assert_eq!(
        read.span(&proxy)["events"][0]["name"],
        "py_zipkin.logging_end"
    );
    assert_eq!(
        read.span("cb4d73f31cd90cae")["resource"]["zipkin.local.port"],
        31049
    );
}

fn half_of(id: &str) -> String {
    format!(
        "{:016x}",
        xxhash_rust::xxh3::xxh3_64(format!("zipkin shared {id}").as_bytes())
    )
}

/// No file, however odd, does more than be refused.
#[test]
fn odd_files_are_refused_not_feared() {
    let context = Context {
        project: ProjectId(1),
        body_hash: 0,
        subject: "",
        received_ns: i64::MAX,
        key_id: 0,
    };
    for (_, format) in Format::ALL {
        for body in [
            "",
            "[]",
            "{}",
            "null",
            "7",
            "[7]",
            "[[[]]]",
            "{\"spans\":7}",
            "{\"data\":[7]}",
            "{\"eval\":7,\"samples\":[7]}",
            "{\"trajectory\":[7]}",
            "{\"messages\":[7,{\"role\":7}]}",
            "{\"task_id\":{},\"traj\":[7]}",
            "{\"spans\":[7],\"processes\":7}",
            "{\"type\":\"assistant\",\"uuid\":\"u\",\"timestamp\":\"t\",\"message\":7}",
            "{\"type\":\"user\"}",
            "{\"eval\":{},\"samples\":[{\"events\":[7,{\"event\":\"model\"},{\"event\":\"step\"}]}]}",
        ] {
            drop(decode(format, &context, body.as_bytes()));
        }
        let deep = "[".repeat(10_000);
        assert!(
            decode(format, &context, deep.as_bytes()).is_ok_and(|d| d.events.is_empty())
                || decode(format, &context, deep.as_bytes()).is_err()
        );
    }
}
