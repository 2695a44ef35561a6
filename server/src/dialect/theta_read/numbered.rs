//! Messages whose fields are attributes of their own: `OpenInference`'s
//! `llm.input_messages.0.message.tool_calls.0.tool_call.function.name`, `OpenLLMetry`'s
//! `gen_ai.completion.0.tool_calls.0.name`.

use std::collections::BTreeMap;

use obsrv_engine::doc::{DocRef, DocWriter};

/// Prefixes before the number of a message, in the order of a talk; with who speaks if the message does not say.
const PREFIXES: [(&str, &str); 4] = [
    ("llm.input_messages.", "user"),
    ("gen_ai.prompt.", "user"),
    ("llm.output_messages.", "assistant"),
    ("gen_ai.completion.", "assistant"),
];

/// A part of a message, or a use of a tool: its fields under the names of the model.
type Fields<'a> = BTreeMap<&'static str, DocRef<'a>>;

/// What the path behind `contents.N.` is called in a part.
const OF_PART: [(&str, &str); 6] = [
    ("message_content.type", "type"),
    ("message_content.text", "text"),
    ("message_content.image.image.url", "uri"),
    ("message_content.id", "id"),
    ("type", "type"),
    ("text", "text"),
];

/// What the path behind `tool_calls.N.` is called in a use.
const OF_USE: [(&str, &str); 6] = [
    ("tool_call.id", "id"),
    ("tool_call.function.name", "name"),
    ("tool_call.function.arguments", "arguments"),
    ("id", "id"),
    ("name", "name"),
    ("arguments", "arguments"),
];

/// Fields of a message that stand under the same name.
const SAME: [&str; 3] = ["name", "tool_call_id", "finish_reason"];

#[derive(Default)]
struct Message<'a> {
    role: Option<DocRef<'a>>,
    content: Option<DocRef<'a>>,
    other: Fields<'a>,
    parts: BTreeMap<u32, Fields<'a>>,
    uses: BTreeMap<u32, Fields<'a>>,
}

impl<'a> Message<'a> {
    /// Takes the field that the rest of an attribute's name is the path of.
    fn take(&mut self, path: &str, value: DocRef<'a>) {
        let listed = |list: &str| {
            let (number, path) = path.strip_prefix(list)?.split_once('.')?;
            Some((number.parse::<u32>().ok()?, path))
        };
        let name_in = |names: &[(&str, &'static str)], path: &str| {
            let found = names.iter().find(|(sent, _)| *sent == path);
            found.map(|(_, name)| *name)
        };
        if let Some((number, path)) = listed("contents.") {
            if let Some(name) = name_in(&OF_PART, path) {
                self.parts.entry(number).or_default().insert(name, value);
            }
        } else if let Some((number, path)) = listed("tool_calls.") {
            if let Some(name) = name_in(&OF_USE, path) {
                self.uses.entry(number).or_default().insert(name, value);
            }
        } else if path == "role" {
            self.role = Some(value);
        } else if path == "content" {
            self.content = Some(value);
        } else if let Some(name) = SAME.iter().find(|name| **name == path) {
            self.other.insert(name, value);
        }
    }

    fn put(&self, role: &str, raw: &mut DocWriter) {
        let open = raw.begin_map();
        raw.key("role");
        raw.value(self.role.unwrap_or(DocRef::Str(role)));
        put_fields(&self.other, raw);
        raw.key("content");
        let list = raw.begin_array();
        if let Some(content) = self.content.filter(|_| self.parts.is_empty()) {
            raw.value(content);
        }
        // A use of a tool stands among the uses as well.
        let said = |part: &&Fields<'_>| ["text", "uri"].iter().any(|key| part.contains_key(key));
        for part in self.parts.values().filter(said) {
            let open = raw.begin_map();
            put_fields(part, raw);
            raw.end(open);
        }
        raw.end(list);
        raw.key("tool_calls");
        let list = raw.begin_array();
        for used in self.uses.values() {
            let open = raw.begin_map();
            put_fields(used, raw);
            raw.end(open);
        }
        raw.end(list);
        raw.end(open);
    }
}

fn put_fields(fields: &Fields<'_>, raw: &mut DocWriter) {
    for (name, value) in fields {
        raw.key(name);
        raw.value(*value);
    }
}

/// The messages that the attributes hold in this form. Says whether an answer is among them.
pub(super) fn put(attributes: DocRef<'_>, raw: &mut DocWriter) -> bool {
    let mut has_answer = false;
    for (prefix, role) in PREFIXES {
        let mut messages: BTreeMap<u32, Message<'_>> = BTreeMap::new();
        for (key, value) in attributes.entries().into_iter().flatten().flatten() {
            let Some((number, path)) = key.strip_prefix(prefix).and_then(|k| k.split_once('.'))
            else {
                continue;
            };
            let Ok(number) = number.parse() else { continue };
            let path = path.strip_prefix("message.").unwrap_or(path);
            messages.entry(number).or_default().take(path, value);
        }
        for message in messages.into_values() {
            message.put(role, raw);
            has_answer |= role == "assistant";
        }
    }
    has_answer
}
