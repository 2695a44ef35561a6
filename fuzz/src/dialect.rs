//! Any body is events or an error, the same each time; what a body says can be stored.

use super::{CONTEXT, decodes};
use obsrv_server::dialect::{Dialect, decode};

pub(crate) fn split(bytes: &[u8]) -> Option<(Dialect, &[u8])> {
    let (&number, body) = bytes.split_first()?;
    Some((Dialect::from_u16(u16::from(number) % 80)?, body))
}

/// One execution.
pub fn run(bytes: &[u8]) {
    if let Some((dialect, body)) = split(bytes) {
        decodes(dialect, body);
    }
}

/// Whether the bytes are a body of which something is kept.
pub fn reads(bytes: &[u8]) -> bool {
    let decoded = split(bytes).and_then(|(dialect, body)| decode(dialect, &CONTEXT, body).ok());
    decoded.is_some_and(|decoded| !decoded.events.is_empty())
}

const LANGFUSE: &str = r#"{"batch":[{"id":"1","type":"trace-create","timestamp":"2024-05-01T10:00:00Z","body":{"id":"t","name":"chat","userId":"u","sessionId":"s","tags":["a"],"metadata":{"k":1},"input":{"q":1},"output":"done"}},{"id":"2","type":"generation-create","timestamp":"2024-05-01T10:00:01Z","body":{"id":"g1","traceId":"t","parentObservationId":"s1","name":"call","model":"gpt-4o","startTime":"2024-05-01T10:00:01Z","endTime":"2024-05-01T10:00:02Z","usageDetails":{"input":3,"output":4},"level":"ERROR","statusMessage":"no"}},{"id":"3","type":"score-create","timestamp":"2024-05-01T10:00:02Z","body":{"id":"c","traceId":"t","name":"good","value":0.5,"dataType":"NUMERIC"}}]}"#;
const LANGFUSE_SCORE: &str = r#"{"id":"c","traceId":"t","observationId":"g1","name":"good","value":"yes","dataType":"CATEGORICAL","comment":"why"}"#;
const LANGSMITH: &str = r#"{"id":"00000000-0000-4000-8000-00000000000b","trace_id":"00000000-0000-4000-8000-00000000000a","dotted_order":"20240501T100000000000Z00000000-0000-4000-8000-00000000000a.20240501T100001500000Z00000000-0000-4000-8000-00000000000b","parent_run_id":"00000000-0000-4000-8000-00000000000a","name":"call","run_type":"llm","start_time":"2024-05-01T10:00:01.5+00:00","end_time":"2024-05-01T10:00:02+00:00","inputs":{"messages":[{"role":"user","content":"hi"}]},"outputs":{"text":"ho","usage_metadata":{"input_tokens":100,"output_tokens":30,"total_tokens":130}},"extra":{"metadata":{"ls_model_name":"gpt-4o","thread_id":"th"},"invocation_params":{"model":"other"}}}"#;
const LANGSMITH_FEEDBACK: &str = r#"{"id":"f","run_id":"00000000-0000-4000-8000-00000000000b","trace_id":"00000000-0000-4000-8000-00000000000a","key":"good","score":1,"comment":"why"}"#;
const AIOBS: &str = r#"{"sessions":[{"id":"s-1","name":"checkout","started_at":1795000000.5,"ended_at":null,"meta":{"pid":7,"cwd":"/app"},"labels":{"env":"prod"}}],"events":[{"provider":"openai","api":"chat.completions.create","request":{"model":"gpt-4o","messages":[{"role":"user","content":"hi"}]},"response":{"id":"c","model":"gpt-4o","text":"ho","usage":{"prompt_tokens":100,"completion_tokens":20}},"error":null,"started_at":1795000001.5,"ended_at":1795000002.5,"duration_ms":1000.0,"span_id":"00000000000000b1","parent_span_id":null,"trace_id":"t-1","session_id":"s-1"}],"function_events":[]}"#;
const TCC_RUN: &str = r#"{"type":"run","run_id":"r","start_time":"2026-11-21T02:07:32.784Z","end_time":"2026-11-21T02:07:32.813Z","status_code":0,"prompt":{"user_prompt":"What?","system_prompt":"Be brief."},"session_id":"s","conversational":true,"response":"61F","metadata":{"agentName":"weather"}}"#;
const TCC_FEEDBACK: &str = r#"{"runId":"r","score":"thumbs_up"}"#;
const THETA_METRIC: &str = r#"{"name":"m","type":"manual","description":"d"}"#;
const THETA_METRIC_EVENT: &str = r#"{"trace_id":"t","passed":true,"score":0.5}"#;
const BLOB: &str = r#"{"trace_id":"t","blob":{"id":"b","sha256":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","content_type":"image/png","size":3}}"#;

/// A form whose boundary is what the context says.
fn form() -> String {
    let id = "00000000-0000-4000-8000-00000000000b";
    let part = |name: &str, content: &str| {
        format!(
            "--{}\r\nContent-Disposition: form-data; name=\"{name}\"\r\nContent-Type: application/json\r\n\r\n{content}\r\n",
            CONTEXT.subject
        )
    };
    [
        part(&format!("post.{id}"), LANGSMITH),
        part(&format!("post.{id}.outputs"), r#"{"text":"ho"}"#),
        part(&format!("feedback.{id}"), LANGSMITH_FEEDBACK),
        format!("--{}--\r\n", CONTEXT.subject),
    ]
    .concat()
}

/// A body of each dialect of which `run` has none that was recorded.
pub fn seeds() -> Vec<Vec<u8>> {
    let bodies = [
        (Dialect::ThetaMetric, THETA_METRIC.to_owned()),
        (Dialect::ThetaMetricEvent, THETA_METRIC_EVENT.to_owned()),
        (Dialect::LangfuseBatch, LANGFUSE.to_owned()),
        (Dialect::LangfuseScore, LANGFUSE_SCORE.to_owned()),
        (Dialect::LangfuseScores, format!("[{LANGFUSE_SCORE}]")),
        (Dialect::LangsmithRun, LANGSMITH.to_owned()),
        (Dialect::LangsmithPatch, LANGSMITH.to_owned()),
        (
            Dialect::LangsmithBatch,
            format!(r#"{{"post":[{LANGSMITH}],"patch":[]}}"#),
        ),
        (Dialect::LangsmithForm, form()),
        (Dialect::LangsmithFeedback, LANGSMITH_FEEDBACK.to_owned()),
        (Dialect::AiobsExport, AIOBS.to_owned()),
        (Dialect::TccCustom, TCC_RUN.to_owned()),
        (Dialect::TccFeedback, TCC_FEEDBACK.to_owned()),
        (Dialect::Blob, BLOB.to_owned()),
    ];
    let number = |dialect: Dialect| u8::try_from(dialect.number()).unwrap_or(u8::MAX);
    let seed =
        |(dialect, body): &(Dialect, String)| [&[number(*dialect)][..], body.as_bytes()].concat();
    bodies.iter().map(seed).collect()
}
