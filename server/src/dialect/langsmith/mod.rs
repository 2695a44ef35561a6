//! `LangSmith`'s runs and feedback → events.
//!
//! A run of theirs is a step of ours; their trace is a run of ours. A post makes a step, a patch
//! overlays it, in whatever order they come.

mod attachment;
mod dotted;
mod feedback;
mod files;
mod form;
pub(super) mod multipart;
mod run;
mod usage;

use obsrv_engine::doc::DocRef;

use super::bad::Bad;
use super::theta::{object, parse};
use super::{Context, DecodeError, Decoded, ITEMS_MAX, Item, JSON_DEPTH_MAX, json};
use attachment::Attachment;
pub(crate) use files::{File as FormFile, Parted as FormParted, part as part_form};
use run::Run;
pub(super) use run::map;

/// What rows say they came from.
const DIALECT: &str = "langsmith";
/// Before the names of fields that no table names.
const PREFIX: &str = "langsmith.";

/// Signs of a run's id that its item tells.
pub(crate) const ITEM_ID_CHARS: usize = 64;

/// Collects what a body says.
#[derive(Debug)]
struct Collect<'a> {
    ctx: &'a Context<'a>,
    decoded: Decoded,
}

impl<'a> Collect<'a> {
    fn new(ctx: &'a Context<'a>) -> Self {
        Self {
            ctx,
            decoded: Decoded::default(),
        }
    }

    fn item(
        &mut self,
        index: usize,
        kind: &'static str,
        (trace_id, id): (Option<String>, Option<String>),
        error: Option<String>,
    ) -> Result<(), DecodeError> {
        if self.decoded.items.len() == ITEMS_MAX {
            return Err(DecodeError::Items);
        }
        self.decoded.items.push(Item {
            index,
            kind,
            trace_id,
            id,
            error,
        });
        Ok(())
    }

    fn refuse(&mut self, index: usize, kind: &'static str, bad: &Bad) -> Result<(), DecodeError> {
        self.item(index, kind, (None, None), Some(bad.message()))
    }

    /// Reads a run; `id` is what a path or a part's name says, empty if none does.
    fn run(&mut self, index: usize, run: &Run<'_>, id: &str) -> Result<(), DecodeError> {
        let before = self.decoded.events.len();
        let received_ns = self.ctx.received_ns;
        let read = run::read(run, id, received_ns, &mut self.decoded.events);
        let text = |key| run.field(key).and_then(DocRef::as_str);
        let sent_id = if id.is_empty() { text("id") } else { Some(id) };
        let sent_id = sent_id.map(|id| id.chars().take(ITEM_ID_CHARS).collect());
        if self.decoded.named_project.is_none() {
            let named = text("session_name").filter(|name| !name.is_empty());
            self.decoded.named_project = named.map(str::to_owned);
        }
        match read {
            Ok(trace_id) => self.item(index, "run", (Some(trace_id), sent_id), None),
            Err(bad) => {
                self.decoded.events.truncate(before);
                self.item(index, "run", (None, sent_id), Some(bad.message()))
            }
        }
    }

    fn feedback(&mut self, index: usize, doc: DocRef<'_>) -> Result<(), DecodeError> {
        let minted = self
            .ctx
            .mint("fb_", u64::try_from(index).unwrap_or(u64::MAX));
        match feedback::read(doc, &minted, self.ctx.received_ns) {
            Ok(event) => {
                let ids = (&event.key.trace_id, &event.key.id);
                let ids = (Some(ids.0.to_string()), Some(ids.1.to_string()));
                self.decoded.events.push(event);
                self.item(index, "feedback", ids, None)
            }
            Err(bad) => self.refuse(index, "feedback", &bad),
        }
    }
}

/// `POST /runs`, or `PATCH /runs/{id}` with the id as the context's subject.
pub(super) fn decode_run(
    ctx: &Context<'_>,
    body: &[u8],
    is_post: bool,
) -> Result<Decoded, DecodeError> {
    let doc = json::read(body, JSON_DEPTH_MAX)?;
    let mut collect = Collect::new(ctx);
    let run = Run::of(object(parse(&doc))?, is_post);
    collect.run(0, &run, ctx.subject)?;
    Ok(collect.decoded)
}

/// `POST /runs/batch`: lists of runs under `post` and `patch`.
pub(super) fn decode_batch(ctx: &Context<'_>, body: &[u8]) -> Result<Decoded, DecodeError> {
    let doc = json::read(body, JSON_DEPTH_MAX + 2)?;
    let doc = object(parse(&doc))?;
    let mut collect = Collect::new(ctx);
    let mut index = 0;
    for verb in ["post", "patch"] {
        let list = match doc.get(verb) {
            None | Some(DocRef::Null) => continue,
            Some(DocRef::Array(list)) => list,
            Some(_) => {
                return Err(DecodeError::Shape {
                    field: verb.to_owned(),
                    problem: "expected a list".to_owned(),
                });
            }
        };
        for main in list.flatten() {
            let run = Run::of(main, verb == "post");
            if main.entries().is_some() {
                collect.run(index, &run, "")?;
            } else {
                collect.refuse(index, "run", &Bad::new(verb, "expected an object"))?;
            }
            index += 1;
        }
    }
    Ok(collect.decoded)
}

/// `POST /runs/multipart`, with the boundary as the context's subject.
pub(super) fn decode_form(ctx: &Context<'_>, body: &[u8]) -> Result<Decoded, DecodeError> {
    let mut collect = Collect::new(ctx);
    form::read(&mut collect, body)?;
    Ok(collect.decoded)
}

/// `POST /feedback`.
pub(super) fn decode_feedback(ctx: &Context<'_>, body: &[u8]) -> Result<Decoded, DecodeError> {
    let doc = json::read(body, JSON_DEPTH_MAX)?;
    let mut collect = Collect::new(ctx);
    collect.feedback(0, object(parse(&doc))?)?;
    Ok(collect.decoded)
}

#[cfg(test)]
mod tests;
