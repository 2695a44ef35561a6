//! What went in and what came out: where each protocol keeps it, and the beginning of it for lists.

use std::borrow::Cow;

use obsrv_engine::doc::DocRef;
use obsrv_engine::model;

use crate::dialect::doc_json;
use crate::dialect::theta_read::{StoredRow, talk};

/// Characters of a preview.
pub(super) const PREVIEW_CHARS: usize = 200;

/// Attributes that hold the whole of what went in, in the order in which they are believed.
const INPUT: [&str; 6] = [
    "input.value",
    "traceloop.entity.input",
    "gen_ai.tool.call.arguments",
    "ai.toolCall.args",
    "langfuse.observation.input",
    "input",
];
const OUTPUT: [&str; 6] = [
    "output.value",
    "traceloop.entity.output",
    "gen_ai.tool.call.result",
    "ai.toolCall.result",
    "langfuse.observation.output",
    "output",
];

/// What went in and what came out, where a row has each as one value.
pub(super) fn whole<'a>(doc: DocRef<'a>) -> (Option<DocRef<'a>>, Option<DocRef<'a>>) {
    let attributes = doc.get(model::ATTRIBUTES).unwrap_or(DocRef::Null);
    let find = |own: &str, keys: &[&str]| -> Option<DocRef<'a>> {
        let sent = doc.get(own).filter(|value| *value != DocRef::Null);
        sent.or_else(|| keys.iter().find_map(|key| attributes.get(key)))
    };
    (find("input", &INPUT), find("output", &OUTPUT))
}

/// The beginnings of what went in and came out.
pub(super) fn previews(row: &StoredRow) -> (Option<String>, Option<String>) {
    let (input, output) = whole(row.doc());
    let (mut input, mut output) = (input.map(beginning), output.map(beginning));
    if input.is_some() && output.is_some() {
        return (input, output);
    }
    let talk = talk(row);
    let talk = DocRef::parse(&talk).unwrap_or(DocRef::Null);
    if let Some(DocRef::Array(messages)) = talk.get("messages") {
        let (mut asked, mut said) = (None, None);
        for message in messages.flatten() {
            let is_answer = message.get("role").and_then(DocRef::as_str) == Some("assistant");
            *(if is_answer { &mut said } else { &mut asked }) = Some(message);
        }
        input = input.or_else(|| asked.and_then(of_message));
        output = output.or_else(|| said.and_then(of_message));
    }
    if let Some(DocRef::Array(mut calls)) = talk.get("tool_calls")
        && let Some(Ok(call)) = calls.next()
    {
        input = input.or_else(|| call.get("arguments").map(beginning));
        output = output.or_else(|| call.get("result").map(beginning));
    }
    (input, output)
}

/// The text of a message's parts; of one without text, its tool calls.
fn of_message(message: DocRef<'_>) -> Option<String> {
    let mut text = String::new();
    if let Some(DocRef::Array(parts)) = message.get("content") {
        for part in parts.flatten() {
            if let Some(said) = part.get("text").and_then(DocRef::as_str) {
                if !text.is_empty() {
                    text.push(' ');
                }
                text.push_str(cut(said));
            }
            if text.len() > 4 * PREVIEW_CHARS {
                break;
            }
        }
    }
    if text.is_empty() {
        return message
            .get("tool_calls")
            .filter(|calls| !matches!(calls, DocRef::Array(items) if items.count() == 0))
            .map(beginning);
    }
    Some(cut(&text).to_owned())
}

fn beginning(value: DocRef<'_>) -> String {
    let text = match value {
        DocRef::Str(text) => Cow::Borrowed(text),
        other => Cow::Owned(doc_json::to_text(other)),
    };
    cut(&text).to_owned()
}

fn cut(text: &str) -> &str {
    let end = text.char_indices().nth(PREVIEW_CHARS);
    end.map_or(text, |(at, _)| &text[..at])
}
