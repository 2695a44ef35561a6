//! Documents as plain trees with a codec of their own, and the facts that requests are made of.

use bytes::Bytes;
use obsrv_engine::engine::{Envelope, InterpretError, Interpreter};
use obsrv_engine::row::{Event, RowKey, Table};

/// A document or a part of one.
#[derive(Clone, Debug)]
pub(super) enum Val {
    Null,
    Bool(bool),
    I64(i64),
    /// Above `i64::MAX`.
    U64(u64),
    F64(f64),
    Str(String),
    Bytes(Vec<u8>),
    Array(Vec<Val>),
    Map(Vec<(String, Val)>),
}

impl Val {
    pub(super) fn str(text: &str) -> Self {
        Self::Str(text.to_owned())
    }

    pub(super) fn map<'a>(entries: impl IntoIterator<Item = (&'a str, Self)>) -> Self {
        let entries = entries.into_iter().map(|(k, v)| (k.to_owned(), v));
        Self::Map(entries.collect())
    }

    pub(super) fn entries(&self) -> &[(String, Self)] {
        match self {
            Self::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The first entry of that name.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        let found = self.entries().iter().find(|(k, _)| k == key);
        found.map(|(_, v)| v)
    }

    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Str(text) => Some(text),
            _ => None,
        }
    }

    /// The bytes as `engine/FORMAT.md` has them.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.put(&mut out);
        out
    }

    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Null => out.push(0),
            Self::Bool(b) => out.push(1 + u8::from(*b)),
            Self::I64(n) => tagged(out, 3, &n.to_le_bytes()),
            Self::F64(x) => tagged(out, 4, &x.to_bits().to_le_bytes()),
            Self::U64(n) => tagged(out, 9, &n.to_le_bytes()),
            Self::Str(text) => {
                out.push(5);
                sized(out, text.as_bytes());
            }
            Self::Bytes(bytes) => {
                out.push(6);
                sized(out, bytes);
            }
            Self::Array(items) => {
                let mut inner = Vec::new();
                items.iter().for_each(|item| item.put(&mut inner));
                out.push(7);
                sized(out, &inner);
            }
            Self::Map(entries) => {
                let mut inner = Vec::new();
                for (key, value) in entries {
                    sized(&mut inner, key.as_bytes());
                    value.put(&mut inner);
                }
                out.push(8);
                sized(out, &inner);
            }
        }
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes;
        let value = take_value(&mut rest)?;
        rest.is_empty().then_some(value)
    }
}

fn tagged(out: &mut Vec<u8>, tag: u8, content: &[u8]) {
    out.push(tag);
    out.extend_from_slice(content);
}

fn sized(out: &mut Vec<u8>, content: &[u8]) {
    let len = u32::try_from(content.len()).expect("tests make nothing of 4 GiB");
    tagged_len(out, len);
    out.extend_from_slice(content);
}

fn tagged_len(out: &mut Vec<u8>, len: u32) {
    out.extend_from_slice(&len.to_le_bytes());
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (head, tail) = rest.split_first_chunk::<N>()?;
    *rest = tail;
    Some(*head)
}

fn take_sized<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let len = usize::try_from(u32::from_le_bytes(take(rest)?)).ok()?;
    let (head, tail) = rest.split_at_checked(len)?;
    *rest = tail;
    Some(head)
}

fn take_text(rest: &mut &[u8]) -> Option<String> {
    String::from_utf8(take_sized(rest)?.to_vec()).ok()
}

fn take_value(rest: &mut &[u8]) -> Option<Val> {
    let [tag] = take(rest)?;
    Some(match tag {
        0 => Val::Null,
        1 => Val::Bool(false),
        2 => Val::Bool(true),
        3 => Val::I64(i64::from_le_bytes(take(rest)?)),
        4 => Val::F64(f64::from_bits(u64::from_le_bytes(take(rest)?))),
        5 => Val::Str(take_text(rest)?),
        6 => Val::Bytes(take_sized(rest)?.to_vec()),
        7 => {
            let mut inner = take_sized(rest)?;
            let mut items = Vec::new();
            while !inner.is_empty() {
                items.push(take_value(&mut inner)?);
            }
            Val::Array(items)
        }
        8 => {
            let mut inner = take_sized(rest)?;
            let mut entries = Vec::new();
            while !inner.is_empty() {
                let key = take_text(&mut inner)?;
                entries.push((key, take_value(&mut inner)?));
            }
            Val::Map(entries)
        }
        9 => Val::U64(u64::from_le_bytes(take(rest)?)),
        _ => return None,
    })
}

/// What a request says about one row.
#[derive(Clone, Debug)]
pub struct Fact {
    pub(super) table: Table,
    pub(super) trace: String,
    pub(super) id: String,
    pub(super) start: Option<i64>,
    pub(super) end: Option<i64>,
    pub(super) version: u64,
    pub(super) partial: bool,
    pub(super) doc: Val,
}

impl Fact {
    pub(super) fn event(&self) -> Event {
        Event {
            table: self.table,
            key: RowKey {
                trace_id: self.trace.as_str().into(),
                id: self.id.as_str().into(),
            },
            start_ns: self.start,
            end_ns: self.end,
            version: self.version,
            partial: self.partial,
            doc: Bytes::from(self.doc.encode()),
        }
    }

    fn to_value(&self) -> Val {
        let time = |t: Option<i64>| t.map_or(Val::Null, Val::I64);
        Val::Array(vec![
            Val::I64(i64::from(self.table as u8)),
            Val::str(&self.trace),
            Val::str(&self.id),
            time(self.start),
            time(self.end),
            Val::I64(i64::try_from(self.version).expect("tests make small versions")),
            Val::Bool(self.partial),
            self.doc.clone(),
        ])
    }

    fn of_value(value: Val) -> Option<Self> {
        let Val::Array(parts) = value else {
            return None;
        };
        let [table, trace, id, start, end, version, partial, doc] = parts.try_into().ok()?;
        let number = |value: Val| match value {
            Val::I64(n) => Some(n),
            _ => None,
        };
        Some(Self {
            table: Table::from_u8(u8::try_from(number(table)?).ok()?)?,
            trace: trace.text()?.to_owned(),
            id: id.text()?.to_owned(),
            start: number(start),
            end: number(end),
            version: u64::try_from(number(version)?).ok()?,
            partial: matches!(partial, Val::Bool(true)),
            doc,
        })
    }
}

/// A request body.
pub(super) fn body_of(facts: &[Fact]) -> Bytes {
    Bytes::from(Val::Array(facts.iter().map(Fact::to_value).collect()).encode())
}

/// Reads the bodies again after a restart.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Reader;

impl Interpreter for Reader {
    fn interpret(&self, _: &Envelope, body: &[u8]) -> Result<Vec<Event>, InterpretError> {
        let events = match Val::decode(body) {
            Some(Val::Array(facts)) => facts
                .into_iter()
                .map(|value| Some(Fact::of_value(value)?.event()))
                .collect(),
            _ => None,
        };
        events.ok_or_else(|| InterpretError {
            reason: "not a body of this suite".to_owned(),
        })
    }
}
