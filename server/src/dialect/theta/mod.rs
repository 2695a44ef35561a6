//! Theta bodies → events: traces, annotations, imports, canonical envelopes.

pub(super) mod check;
mod envelope;
pub(super) mod metric;
mod row;
pub(super) mod score;
pub(super) mod trace;

use obsrv_engine::doc::DocRef;

use super::bad::Bad;
use super::{Context, DecodeError, Decoded, ITEMS_MAX, Item, JSON_DEPTH_MAX, json};
use check::check_id;
pub(super) use row::map;

/// Collects what a body says.
#[derive(Debug)]
struct Build<'a> {
    ctx: &'a Context<'a>,
    decoded: Decoded,
    count: usize,
}

impl<'a> Build<'a> {
    fn new(ctx: &'a Context<'a>) -> Self {
        Self {
            ctx,
            decoded: Decoded::default(),
            count: 0,
        }
    }

    /// Counts one item, step, event or annotation.
    fn count(&mut self) -> Result<(), DecodeError> {
        if self.count == ITEMS_MAX {
            return Err(DecodeError::Items);
        }
        self.count += 1;
        Ok(())
    }

    /// An id for part `part` of item `item` of the body; `None`: for the item itself.
    fn mint(&self, prefix: &str, item: usize, part: Option<usize>) -> String {
        let wide = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        self.ctx
            .mint(prefix, (wide(item) << 32) | part.map_or(0, |p| wide(p) + 1))
    }

    fn name_project(&mut self, doc: DocRef<'_>) {
        let named = doc
            .get("project_id")
            .and_then(DocRef::as_str)
            .filter(|p| !p.is_empty());
        if self.decoded.named_project.is_none() {
            self.decoded.named_project = named.map(str::to_owned);
        }
    }

    fn accept(
        &mut self,
        index: usize,
        kind: &'static str,
        trace_id: impl Into<Option<String>>,
        id: Option<String>,
    ) {
        self.decoded.items.push(Item {
            index,
            kind,
            trace_id: trace_id.into(),
            id,
            error: None,
        });
    }

    fn refuse(&mut self, index: usize, kind: &'static str, trace_id: Option<String>, bad: &Bad) {
        self.decoded.reject(index, kind, trace_id, bad.message());
    }

    /// A trace or an envelope, told apart by `steps` and `events`.
    fn item(&mut self, index: usize, doc: DocRef<'_>) -> Result<(), DecodeError> {
        let has = |key| doc.get(key).is_some();
        if has("steps") {
            trace::read(self, index, doc)
        } else if has("events") {
            envelope::read(self, index, doc)
        } else if has("trace_id") {
            trace::read(self, index, doc)
        } else {
            self.count()?;
            let bad = Bad::new(
                "item",
                "expected a theta trace (trace_id, steps) or an envelope (events)",
            );
            self.refuse(index, "unknown", None, &bad);
            Ok(())
        }
    }
}

pub(super) fn parse(doc: &[u8]) -> DocRef<'_> {
    DocRef::parse(doc).expect("BUG: the json reader wrote what does not read")
}

pub(super) fn object(doc: DocRef<'_>) -> Result<DocRef<'_>, DecodeError> {
    if doc.entries().is_some() {
        return Ok(doc);
    }
    Err(DecodeError::Shape {
        field: "body".to_owned(),
        problem: "expected an object".to_owned(),
    })
}

/// One trace.
pub(super) fn decode_trace(ctx: &Context<'_>, body: &[u8]) -> Result<Decoded, DecodeError> {
    let doc = json::read(body, JSON_DEPTH_MAX)?;
    let mut build = Build::new(ctx);
    trace::read(&mut build, 0, object(parse(&doc))?)?;
    Ok(build.decoded)
}

/// One envelope.
pub(super) fn decode_event(ctx: &Context<'_>, body: &[u8]) -> Result<Decoded, DecodeError> {
    let doc = json::read(body, JSON_DEPTH_MAX)?;
    let mut build = Build::new(ctx);
    envelope::read(&mut build, 0, object(parse(&doc))?)?;
    Ok(build.decoded)
}

/// One annotation of the trace that the path names.
pub(super) fn decode_annotation(ctx: &Context<'_>, body: &[u8]) -> Result<Decoded, DecodeError> {
    let doc = json::read(body, JSON_DEPTH_MAX)?;
    let doc = object(parse(&doc))?;
    let mut build = Build::new(ctx);
    let trace_id = ctx.subject.to_owned();
    let checked =
        check_id("trace_id", &trace_id).and_then(|()| check::check(doc, &check::ANNOTATION));
    if let Err(bad) = checked {
        build.refuse(0, "annotation", Some(trace_id), &bad);
        return Ok(build.decoded);
    }
    let step_id = doc.get("step_id").and_then(DocRef::as_str);
    let event = score::event(&trace_id, step_id, doc, score::Source::Request);
    let id = event.key.id.to_string();
    build.decoded.events.push(event);
    build.accept(0, "annotation", trace_id, Some(id));
    Ok(build.decoded)
}

/// Traces and envelopes: a JSON array, or one JSON value per line. A line that is not JSON is
/// refused by itself; an array that is not JSON is refused whole.
pub(super) fn decode_import(ctx: &Context<'_>, body: &[u8]) -> Result<Decoded, DecodeError> {
    let mut build = Build::new(ctx);
    if body.iter().find(|b| !b.is_ascii_whitespace()) == Some(&b'[') {
        // One level more than an item may have.
        let doc = json::read(body, JSON_DEPTH_MAX + 1)?;
        let DocRef::Array(items) = parse(&doc) else {
            return Ok(build.decoded);
        };
        for (index, item) in items.flatten().enumerate() {
            build.item(index, item)?;
        }
        return Ok(build.decoded);
    }
    let lines = body
        .split(|b| *b == b'\n')
        .filter(|line| !line.trim_ascii().is_empty());
    for (index, line) in lines.enumerate() {
        match json::read(line, JSON_DEPTH_MAX) {
            Ok(doc) => build.item(index, parse(&doc))?,
            Err(e) => {
                build.count()?;
                build.refuse(
                    index,
                    "unknown",
                    None,
                    &Bad::new("line", format!("not valid json: {e}")),
                );
            }
        }
    }
    Ok(build.decoded)
}

#[cfg(test)]
mod tests;
