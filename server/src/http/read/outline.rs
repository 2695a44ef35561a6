//! A trace as a tree, without what its spans hold: what a waterfall needs of 100,000 spans.
//!
//! Bodies are read one after the other and dropped; what is kept of a span is about 200 bytes,
//! counted against the query's budget. Equal texts are held once.

use std::collections::HashMap;

use bytes::Bytes;
use obsrv_engine::doc::DocRef;
use obsrv_engine::engine::ReadBody;
use obsrv_engine::model;
use obsrv_engine::query::{Budget, QueryError};
use obsrv_engine::row::Table;
use obsrv_engine::source::Core;

use super::shape::{Cost, Tokens, duration_ns};
use crate::dialect::theta_read::status_of;
use crate::http::error::{ApiError, ErrorCode};
use crate::http::store::View;
use crate::limits::OUTLINE_SPANS_MAX;
use crate::wire;

/// What is kept of a span beside its texts, in bytes, with the places in lists and maps.
const SPAN_BYTES: u64 = 256;
/// Spans between two questions whether the caller gave up.
const SPANS_PER_CHECK: usize = 256;
/// Characters of an error message that an outline shows.
const MESSAGE_CHARS: usize = 200;

/// A text of the outline's table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Code(pub(super) u32);

/// A span of an outline.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) id: Box<str>,
    parent_id: Option<Box<str>>,
    /// Place of its parent, if that is there and is not below it.
    pub(super) parent: Option<usize>,
    pub(super) depth: u32,
    /// How many spans are right below it.
    pub(super) children: u32,
    pub(super) start_ns: i64,
    pub(super) end_ns: Option<i64>,
    pub(super) duration_ns: Option<i64>,
    pub(super) name: Code,
    pub(super) kind: Code,
    pub(super) status: Code,
    pub(super) model: Option<Code>,
    pub(super) tool: Option<Code>,
    pub(super) error_message: Option<Box<str>>,
    pub(super) tokens: Option<i64>,
    pub(super) cost: Option<f64>,
}

impl Node {
    /// The id of its parent, which may not be there.
    pub(super) fn parent_id(&self) -> Option<&str> {
        self.parent_id.as_deref()
    }
}

/// The spans of a trace, parents before their children, siblings by start and id.
#[derive(Debug, Default)]
pub(super) struct Outline {
    pub(super) nodes: Vec<Node>,
    texts: Texts,
}

#[derive(Debug, Default)]
struct Texts {
    all: Vec<Box<str>>,
    codes: HashMap<Box<str>, Code>,
    bytes: u64,
}

impl Texts {
    fn code(&mut self, text: &str) -> Code {
        if let Some(code) = self.codes.get(text) {
            return *code;
        }
        let code = Code(u32::try_from(self.all.len()).unwrap_or(u32::MAX));
        self.all.push(text.into());
        self.codes.insert(text.into(), code);
        self.bytes += 2 * len_u64(text.len()) + 64;
        code
    }
}

fn len_u64(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}

impl Outline {
    /// Reads the spans of a trace.
    pub(super) fn read(view: &View, trace_id: &str, budget: &Budget<'_>) -> Result<Self, ApiError> {
        let mut outline = Self::default();
        let mut held = 0;
        view.each_row(Table::Spans, trace_id, &mut |core, body: ReadBody<'_>| {
            let nodes = outline.nodes.len();
            check_room(nodes)?;
            if nodes.is_multiple_of(SPANS_PER_CHECK) && (budget.cancelled)() {
                return Err(QueryError::Cancelled.into());
            }
            let node = Node::of(&core, &body()?, &mut outline.texts)?;
            held +=
                SPAN_BYTES + len_u64(node.id.len()) + len_u64(node.parent_id().map_or(0, str::len));
            if held + outline.texts.bytes > budget.bytes_max {
                return Err(too_large("bytes", budget.bytes_max));
            }
            outline.nodes.push(node);
            Ok(())
        })?;
        outline.arrange();
        Ok(outline)
    }

    /// A text of the table.
    pub(super) fn text(&self, code: Code) -> &str {
        let place = usize::try_from(code.0).unwrap_or(usize::MAX);
        self.texts.all.get(place).map_or("", |text| text)
    }

    /// The earliest start.
    pub(super) fn start_ns(&self) -> Option<i64> {
        self.nodes.iter().map(|node| node.start_ns).min()
    }

    /// Puts the spans in pre-order. A span whose parent is not there is a root; so is the earliest
    /// span of a ring of parents.
    fn arrange(&mut self) {
        self.nodes
            .sort_by(|a, b| (a.start_ns, &a.id).cmp(&(b.start_ns, &b.id)));
        let count = self.nodes.len();
        let places: HashMap<&str, usize> =
            self.nodes.iter().map(|node| &*node.id).zip(0..).collect();
        let parents: Vec<Option<usize>> = self
            .nodes
            .iter()
            .enumerate()
            .map(|(at, node)| {
                let found = places.get(node.parent_id()?).copied();
                found.filter(|parent| *parent != at)
            })
            .collect();
        let mut children: Vec<Vec<usize>> = vec![Vec::new(); count];
        for (at, parent) in parents.iter().enumerate() {
            if let Some(parent) = parent {
                children[*parent].push(at);
            }
        }
        let roots = (0..count).filter(|at| parents[*at].is_none());
        // Whatever no root leads to is in a ring or below one.
        let starts: Vec<usize> = roots.chain(0..count).collect();
        let (mut order, mut new_places) = (Vec::with_capacity(count), vec![None; count]);
        let mut open: Vec<(usize, Option<usize>, u32)> = Vec::new();
        for start in starts {
            open.push((start, None, 0));
            while let Some((at, parent, depth)) = open.pop() {
                if new_places[at].is_some() {
                    continue;
                }
                let place = order.len();
                new_places[at] = Some(place);
                order.push((at, parent, depth));
                let below = children[at].iter().rev();
                open.extend(below.map(|child| (*child, Some(place), depth.saturating_add(1))));
            }
        }
        let mut old: Vec<Option<Node>> = std::mem::take(&mut self.nodes)
            .into_iter()
            .map(Some)
            .collect();
        for (at, parent, depth) in order {
            if let Some(mut node) = old[at].take() {
                (node.parent, node.depth) = (parent, depth);
                if let Some(parent) = parent {
                    self.nodes[parent].children += 1;
                }
                self.nodes.push(node);
            }
        }
    }
}

/// What an outline needs of a document. Found in one pass: of 100,000 documents, looking up each key from the
/// first one is most of the work.
#[derive(Clone, Copy, Debug, Default)]
struct Facts<'a> {
    parent_id: Option<DocRef<'a>>,
    name: Option<DocRef<'a>>,
    kind: Option<DocRef<'a>>,
    model: Option<DocRef<'a>>,
    tool: Option<DocRef<'a>>,
    error_message: Option<DocRef<'a>>,
    tokens: Option<DocRef<'a>>,
    stated: Option<DocRef<'a>>,
    cost: Option<DocRef<'a>>,
}

impl<'a> Facts<'a> {
    fn of(doc: DocRef<'a>) -> Self {
        let mut facts = Self::default();
        for (key, value) in doc.entries().into_iter().flatten().flatten() {
            let fact = match key {
                model::PARENT_ID => &mut facts.parent_id,
                model::NAME => &mut facts.name,
                model::KIND => &mut facts.kind,
                model::MODEL => &mut facts.model,
                model::TOOL => &mut facts.tool,
                model::ERROR_MESSAGE => &mut facts.error_message,
                model::TOKENS => &mut facts.tokens,
                model::COST_USD => &mut facts.stated,
                model::COST => &mut facts.cost,
                _ => continue,
            };
            // The first of its key counts.
            fact.get_or_insert(value);
        }
        facts
    }
}

impl Node {
    fn of(core: &Core, body: &Bytes, texts: &mut Texts) -> Result<Self, ApiError> {
        let row = wire::row_of(core, body)?;
        let facts = Facts::of(row.doc());
        let mut coded = |fact: Option<DocRef<'_>>| Some(texts.code(fact?.as_str()?));
        let (model, tool) = (coded(facts.model), coded(facts.tool));
        let (name, kind) = (coded(facts.name), coded(facts.kind));
        let short = |text: &str| {
            let end = text.char_indices().nth(MESSAGE_CHARS);
            Box::from(end.map_or(text, |(at, _)| &text[..at]))
        };
        let tokens = facts.tokens.and_then(Tokens::in_map);
        let cost = facts.cost.or(facts.stated).and_then(Cost::in_number);
        Ok(Self {
            id: core.id.clone(),
            parent_id: facts.parent_id.and_then(DocRef::as_str).map(Box::from),
            parent: None,
            depth: 0,
            children: 0,
            start_ns: core.start_ns,
            end_ns: core.end_ns,
            duration_ns: duration_ns(&row),
            name: name.unwrap_or_else(|| texts.code("")),
            kind: kind.unwrap_or_else(|| texts.code("custom")),
            status: texts.code(status_of(&row)),
            model,
            tool,
            error_message: facts.error_message.and_then(DocRef::as_str).map(short),
            tokens: tokens.and_then(|tokens| tokens.total),
            cost: cost.map(|cost| cost.total),
        })
    }
}

fn too_large(what: &str, max: u64) -> ApiError {
    let message = format!("trace too large for its tree max_{what}={max}");
    ApiError::new(ErrorCode::QueryTooExpensive, message)
}

/// Refuses one span more than a tree may have.
fn check_room(nodes: usize) -> Result<(), ApiError> {
    if nodes < OUTLINE_SPANS_MAX {
        return Ok(());
    }
    Err(too_large("spans", len_u64(OUTLINE_SPANS_MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_has_so_many_spans() {
        assert!(check_room(OUTLINE_SPANS_MAX - 1).is_ok());
        let error = check_room(OUTLINE_SPANS_MAX).unwrap_err();
        assert_eq!(error.code, ErrorCode::QueryTooExpensive);
    }
}
