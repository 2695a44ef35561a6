//! The messages of one run of a Claude agent → its run, a step for each answer of the model, one for each
//! tool that it used.
//!
//! An answer comes as several messages with one id, each with the same usage: it is one step, and
//! its usage counts once. What a run cost stands in its `result`, which is the run's own word.

use std::collections::HashMap;

use obsrv_engine::doc::{DocRef, DocWriter};
use obsrv_engine::model::{self, status};
use obsrv_engine::row::{Event, Table};

use super::{DIALECT, FieldOf, checked, required, text_of, write};
use crate::dialect::bad::Bad;
use crate::dialect::doc_json;
use crate::dialect::pieces::{Piece, Times, kept_name, key};
use crate::dialect::place::Said;
use crate::dialect::theta::check::{Want, check_id, whole};
use crate::dialect::theta::{object, parse};
use crate::dialect::tokens::{self, Tokens};
use crate::dialect::{
    Context, DOCS_BYTES_MAX, DecodeError, Decoded, ITEMS_MAX, Item, JSON_DEPTH_MAX, json,
    version_of,
};

const BODY: [FieldOf; 5] = [
    ("messages", "", Want::List),
    ("runId", "", Want::Id),
    ("sessionId", model::GROUP, Want::Text),
    ("userPrompt", "input", Want::Any),
    ("customMetadata", model::METADATA, Want::Metadata),
];

/// An answer of the model, of which several messages may tell.
struct Answer<'a> {
    id: String,
    messages: Vec<DocRef<'a>>,
    /// What was said since the answer before.
    heard: Vec<Heard<'a>>,
    start_ns: Option<i64>,
    end_ns: Option<i64>,
}

/// Something that the model was told.
#[derive(Clone, Copy)]
struct Heard<'a> {
    role: &'static str,
    content: DocRef<'a>,
    /// The message that it stood in, unless it is the prompt.
    message: Option<DocRef<'a>>,
}

/// The use of a tool.
struct Use<'a> {
    block: DocRef<'a>,
    parent: Option<&'a str>,
    start_ns: Option<i64>,
    result: Option<Given<'a>>,
}

/// What a tool gave, and the message that it stood in.
#[derive(Clone, Copy)]
struct Given<'a> {
    block: DocRef<'a>,
    message: DocRef<'a>,
    at_ns: Option<i64>,
}

/// What the messages tell, in their order.
#[derive(Default)]
struct Told<'a> {
    answers: Vec<Answer<'a>>,
    /// The place of the answer with an id, and of the use with one.
    answer_of: HashMap<&'a str, usize>,
    use_of: HashMap<&'a str, usize>,
    uses: Vec<Use<'a>>,
    /// What was said in the main talk and below each tool, and when the last message of it came.
    heard: HashMap<Option<&'a str>, Vec<Heard<'a>>>,
    last_ns: HashMap<Option<&'a str>, i64>,
    results: Vec<DocRef<'a>>,
    /// Messages that tell of no step.
    others: Vec<DocRef<'a>>,
    first_ns: Option<i64>,
    end_ns: Option<i64>,
}

/// `POST /v1/claude`.
pub(in crate::dialect) fn decode(ctx: &Context<'_>, body: &[u8]) -> Result<Decoded, DecodeError> {
    let doc = json::read(body, JSON_DEPTH_MAX + 1)?;
    let doc = object(parse(&doc))?;
    let mut decoded = Decoded::default();
    let read = read(ctx, doc, &mut decoded.events)?;
    let (trace_id, error) = match read {
        Ok(run_id) => (Some(run_id), None),
        Err(bad) => {
            decoded.events.clear();
            (None, Some(bad.message()))
        }
    };
    decoded.items.push(Item {
        index: 0,
        kind: "run",
        id: trace_id.clone(),
        trace_id,
        error,
    });
    Ok(decoded)
}

fn read(
    ctx: &Context<'_>,
    doc: DocRef<'_>,
    events: &mut Vec<Event>,
) -> Result<Result<String, Bad>, DecodeError> {
    let checked = checked(doc, &BODY).and_then(|()| {
        let run_id = required(doc, "runId")?;
        check_id("runId", run_id).map(|()| run_id)
    });
    let run_id = match checked {
        Ok(run_id) => run_id,
        Err(bad) => return Ok(Err(bad)),
    };
    let mut told = Told::default();
    if let Some(prompt) = doc.get("userPrompt").filter(|v| *v != DocRef::Null) {
        let prompt = Heard {
            role: "user",
            content: prompt,
            message: None,
        };
        told.heard.insert(None, vec![prompt]);
    }
    if let Some(DocRef::Array(messages)) = doc.get("messages") {
        for (index, message) in messages.flatten().enumerate() {
            if index == ITEMS_MAX {
                return Err(DecodeError::Items);
            }
            told.take(ctx, index, message);
        }
    }
    told.keep_unanswered();
    if told.answers.len() + told.uses.len() >= ITEMS_MAX {
        return Err(DecodeError::Items);
    }
    Ok(told.write(run_id, doc, events).map(|()| run_id.to_owned()))
}

impl<'a> Told<'a> {
    fn take(&mut self, ctx: &Context<'_>, index: usize, message: DocRef<'a>) {
        let at_ns = message.get("receivedAtMs").and_then(whole);
        let at_ns = at_ns.and_then(|ms| ms.checked_mul(1_000_000));
        let chain = text_of(message, "parent_tool_use_id");
        self.first_ns = self.first_ns.or(at_ns);
        match text_of(message, "type") {
            Some("assistant") => self.answer(ctx, index, message, (chain, at_ns)),
            Some("user") => self.user(message, (chain, at_ns)),
            Some("result") => {
                self.results.push(message);
                self.end_ns = self.end_ns.max(at_ns);
            }
            _ => self.others.push(message),
        }
        if let Some(at_ns) = at_ns {
            self.last_ns.insert(chain, at_ns);
        }
    }

    fn answer(
        &mut self,
        ctx: &Context<'_>,
        index: usize,
        message: DocRef<'a>,
        (chain, at_ns): (Option<&'a str>, Option<i64>),
    ) {
        let inner = message.get("message").unwrap_or(DocRef::Null);
        let id = text_of(inner, "id").or(text_of(message, "uuid"));
        let known = id.and_then(|id| self.answer_of.get(id).copied());
        if let Some(answer) = known.and_then(|place| self.answers.get_mut(place)) {
            answer.messages.push(message);
            answer.end_ns = answer.end_ns.max(at_ns);
        } else {
            let minted = || ctx.mint("cl_", u64::try_from(index).unwrap_or(u64::MAX));
            if let Some(id) = id {
                self.answer_of.insert(id, self.answers.len());
            }
            let before = self.last_ns.get(&chain).copied();
            self.answers.push(Answer {
                id: id.map_or_else(minted, str::to_owned),
                messages: vec![message],
                heard: self.heard.remove(&chain).unwrap_or_default(),
                start_ns: before.or(at_ns),
                end_ns: at_ns,
            });
        }
        for block in blocks(inner) {
            self.block(block, message, (chain, at_ns));
        }
    }

    /// What no answer followed belongs to no step.
    fn keep_unanswered(&mut self) {
        let mut left: Vec<DocRef<'a>> = Vec::new();
        let mut chains: Vec<_> = self.heard.drain().collect();
        chains.sort_by_key(|(chain, _)| *chain);
        for (_, heard) in chains {
            left.extend(heard.iter().filter_map(|heard| heard.message));
        }
        self.others.extend(left);
    }

    /// Takes note of the use of a tool, or of what came of one.
    fn block(
        &mut self,
        block: DocRef<'a>,
        message: DocRef<'a>,
        (chain, at_ns): (Option<&'a str>, Option<i64>),
    ) {
        let kind = text_of(block, "type").unwrap_or("");
        if kind.ends_with("tool_use") {
            if let Some(id) = text_of(block, "id").filter(|id| !self.use_of.contains_key(id)) {
                self.use_of.insert(id, self.uses.len());
                self.uses.push(Use {
                    block,
                    parent: chain,
                    start_ns: at_ns,
                    result: None,
                });
            }
        } else if kind.ends_with("tool_result") {
            let place = text_of(block, "tool_use_id").and_then(|id| self.use_of.get(id));
            if let Some(used) = place.and_then(|place| self.uses.get_mut(*place)) {
                used.result = Some(Given {
                    block,
                    message,
                    at_ns,
                });
            }
        }
    }

    fn user(&mut self, message: DocRef<'a>, (chain, at_ns): (Option<&'a str>, Option<i64>)) {
        let inner = message.get("message").unwrap_or(DocRef::Null);
        let is_result = |block| text_of(block, "type").is_some_and(|k| k.ends_with("tool_result"));
        let role = if blocks(inner).any(is_result) {
            "tool"
        } else {
            // What else the message says than its content.
            self.others.push(message);
            "user"
        };
        if let Some(content) = inner.get("content") {
            self.heard.entry(chain).or_default().push(Heard {
                role,
                content,
                message: (role == "tool").then_some(message),
            });
        }
        for block in blocks(inner) {
            self.block(block, message, (chain, at_ns));
        }
    }

    fn write(&self, run_id: &str, body: DocRef<'_>, events: &mut Vec<Event>) -> Result<(), Bad> {
        let place = Said::of_metadata(body.get("customMetadata"));
        for answer in &self.answers {
            events.push(answer.event(run_id, place)?);
        }
        for used in &self.uses {
            events.push(used.event(run_id, place)?);
        }
        events.push(self.run(run_id, body)?);
        let bytes = events
            .iter()
            .fold(0, |sum: usize, e| sum.saturating_add(e.doc.len()));
        if bytes > DOCS_BYTES_MAX {
            return Err(Bad::new(
                "messages",
                format!("too large limit={DOCS_BYTES_MAX}"),
            ));
        }
        Ok(())
    }

    /// The run, with what its results say and the messages that tell of no step.
    fn run(&self, run_id: &str, body: DocRef<'_>) -> Result<Event, Bad> {
        let mut piece = Piece::new(Table::Runs, DIALECT);
        let last = self.results.last().copied();
        let failed = last.filter(|r| r.get("is_error") == Some(DocRef::Bool(true)));
        let state = match (failed, last) {
            (Some(_), _) => status::ERROR,
            (None, Some(_)) => status::SUCCESS,
            (None, None) => status::RUNNING,
        };
        piece.text(model::STATUS, Some(state));
        if let Some(failed) = failed {
            let errors = failed.get("errors").map(doc_json::to_text);
            let said = text_of(failed, "result").map(str::to_owned).or(errors);
            piece.text(model::ERROR_MESSAGE, said.as_deref());
        }
        if let Some(output) = last.and_then(|r| r.get("result")) {
            piece.value("output", output);
        }
        let said = body.get("customMetadata");
        if let Some(talks) = said.and_then(|m| m.get("tcc.conversational")) {
            piece.value("conversational", talks);
        }
        self.write_usage(&mut piece);
        write(&mut piece, body, &BODY)?;
        for (name, list) in [
            ("claude.results", &self.results),
            ("claude.messages", &self.others),
        ] {
            if !list.is_empty() {
                piece.out.key(name);
                let open = piece.out.begin_array();
                list.iter().for_each(|message| piece.out.value(*message));
                piece.out.end(open);
            }
        }
        let times = Times {
            start_ns: self.first_ns,
            end_ns: self.end_ns,
        };
        let version = version_of(times.end_ns, times.end_ns.is_some());
        Ok(piece.event(key(run_id, run_id), times, version, false))
    }

    /// Sums of what the results say: each tells of its turns alone.
    fn write_usage(&self, piece: &mut Piece) {
        let cost = self.results.iter().filter_map(|r| {
            let cost = r.get("total_cost_usd").and_then(DocRef::as_f64);
            cost.filter(|n| n.is_finite())
        });
        if let Some(cost) = cost.reduce(|sum, n| sum + n) {
            piece.value(model::COST_USD, DocRef::F64(cost));
        }
        let used = self.results.iter().filter_map(|r| r.get("usage"));
        let used: Vec<Tokens<'_>> = used.filter_map(tokens::of_provider).collect();
        if !used.is_empty() {
            let sum = |of: fn(&Tokens<'_>) -> i64| {
                used.iter().fold(0, |sum: i64, t| sum.saturating_add(of(t)))
            };
            let total = Tokens {
                input: sum(|t| t.input),
                cache_read: sum(|t| t.cache_read),
                cache_write: sum(|t| t.cache_write),
                output: sum(|t| t.output),
                reasoning: sum(|t| t.reasoning),
                ..Tokens::default()
            };
            total.write(&mut piece.out);
        }
    }
}

impl Answer<'_> {
    fn event(&self, run_id: &str, place: Said<'_>) -> Result<Event, Bad> {
        check_id("message.id", &self.id)?;
        let mut piece = Piece::new(Table::Spans, DIALECT);
        let failed = self.messages.iter().rev().find_map(|m| {
            let error = m.get("error")?;
            (error != DocRef::Null).then_some(error)
        });
        let state = if failed.is_some() {
            status::ERROR
        } else {
            status::SUCCESS
        };
        piece.text(model::STATUS, Some(state));
        match failed {
            Some(DocRef::Str(text)) => piece.text(model::ERROR_MESSAGE, Some(text)),
            Some(other) => piece.text(model::ERROR_MESSAGE, Some(&doc_json::to_text(other))),
            None => {}
        }
        piece.text(model::KIND, Some("llm"));
        let parent = self.messages.first().copied();
        let parent = parent.and_then(|m| text_of(m, "parent_tool_use_id"));
        parent.map_or(Ok(()), |id| check_id("parent_tool_use_id", id))?;
        piece.text(model::PARENT_ID, parent);
        // Each message of the answer says it; the last one knows best.
        let mut inners = self.messages.iter().rev().filter_map(|m| m.get("message"));
        let usage = inners.find_map(|m| m.get("usage").filter(|u| *u != DocRef::Null));
        if let Some(tokens) = usage.and_then(tokens::of_provider) {
            tokens.write(&mut piece.out);
        }
        self.write_input(&mut piece.out);
        self.write_output(&mut piece.out);
        self.write_rest(&mut piece)?;
        let times = Times {
            start_ns: self.start_ns,
            end_ns: self.end_ns,
        };
        let version = version_of(self.end_ns, true);
        place.write(&mut piece.out);
        Ok(piece.event(key(run_id, &self.id), times, version, false))
    }

    fn write_input(&self, out: &mut DocWriter) {
        if self.heard.is_empty() {
            return;
        }
        out.key("input");
        let list = out.begin_array();
        for heard in &self.heard {
            message(heard.role, out, |out| out.value(heard.content));
        }
        out.end(list);
    }

    fn write_output(&self, out: &mut DocWriter) {
        out.key("output");
        message("assistant", out, |out| {
            let list = out.begin_array();
            for inner in self.messages.iter().filter_map(|m| m.get("message")) {
                match inner.get("content") {
                    Some(DocRef::Array(blocks)) => blocks.flatten().for_each(|b| out.value(b)),
                    Some(DocRef::Null) | None => {}
                    Some(text) => out.value(text),
                }
            }
            out.end(list);
        });
    }

    /// What is left of the messages, each key as the last one has it.
    fn write_rest(&self, piece: &mut Piece) -> Result<(), Bad> {
        let mut names: HashMap<String, DocRef<'_>> = HashMap::new();
        let mut order = Vec::new();
        for message in &self.messages {
            let inner = message.get("message").unwrap_or(DocRef::Null);
            let outer = message.entries().into_iter().flatten().flatten();
            let outer = outer.filter(|(name, _)| is_own(name) && *name != "error");
            let inner = inner.entries().into_iter().flatten().flatten();
            let inner = inner.filter(|(name, _)| !["id", "type", "role", "content"].contains(name));
            for (name, value) in outer.chain(inner).filter(|(_, v)| *v != DocRef::Null) {
                let row = match name {
                    "model" => model::MODEL.to_owned(),
                    "usage" | "stop_reason" => name.to_owned(),
                    _ => kept_name("claude.", name)?,
                };
                if names.insert(row.clone(), value).is_none() {
                    order.push(row);
                }
            }
        }
        crate::dialect::pieces::check_count(order.len())?;
        for name in order {
            if let Some(value) = names.get(&name) {
                piece.value(&name, *value);
            }
        }
        Ok(())
    }
}

/// Whether a field of a message is of its own, and not said by the rows otherwise.
fn is_own(name: &str) -> bool {
    let said = [
        "type",
        "message",
        "parent_tool_use_id",
        "tccMetadata",
        "receivedAtMs",
    ];
    !said.contains(&name)
}

fn message(role: &str, out: &mut DocWriter, content: impl FnOnce(&mut DocWriter)) {
    let open = out.begin_map();
    out.key("role");
    out.str(role);
    out.key("content");
    content(out);
    out.end(open);
}

impl Use<'_> {
    fn event(&self, run_id: &str, place: Said<'_>) -> Result<Event, Bad> {
        let id = required(self.block, "id")?;
        check_id("content.id", id)?;
        let mut piece = Piece::new(Table::Spans, DIALECT);
        let is_error = |given: &Given<'_>| given.block.get("is_error") == Some(DocRef::Bool(true));
        let failed = self.result.filter(is_error);
        let state = match (failed, self.result) {
            (Some(_), _) => status::ERROR,
            (None, Some(_)) => status::SUCCESS,
            (None, None) => status::RUNNING,
        };
        piece.text(model::STATUS, Some(state));
        piece.text(model::KIND, Some("tool"));
        piece.text(model::NAME, text_of(self.block, "name"));
        piece.text(model::TOOL, text_of(self.block, "name"));
        self.parent
            .map_or(Ok(()), |id| check_id("parent_tool_use_id", id))?;
        piece.text(model::PARENT_ID, self.parent);
        if let Some(input) = self.block.get("input") {
            piece.value("input", input);
        }
        let content = self.result.and_then(|given| given.block.get("content"));
        if let Some(content) = content {
            piece.value("output", content);
            if failed.is_some() {
                let said = content
                    .as_str()
                    .map_or_else(|| doc_json::to_text(content), str::to_owned);
                piece.text(model::ERROR_MESSAGE, Some(&said));
            }
        }
        let times = Times {
            start_ns: self.start_ns,
            end_ns: self.result.and_then(|given| given.at_ns),
        };
        if let Some(given) = self.result {
            let said = given.message.entries().into_iter().flatten().flatten();
            for (name, value) in said.filter(|(name, v)| is_own(name) && *v != DocRef::Null) {
                piece.value(&kept_name("claude.", name)?, value);
            }
        }
        let version = version_of(times.end_ns, self.result.is_some());
        place.write(&mut piece.out);
        Ok(piece.event(key(run_id, id), times, version, false))
    }
}

/// The parts of a message's content; none if it is a text.
fn blocks(message: DocRef<'_>) -> impl Iterator<Item = DocRef<'_>> {
    let list = match message.get("content") {
        Some(DocRef::Array(blocks)) => Some(blocks),
        _ => None,
    };
    list.into_iter().flatten().flatten()
}
