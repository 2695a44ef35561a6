//! Typed columns as they are gathered from documents, for a memtable or for a segment.
//!
//! Documents of one source look alike: the same keys in the same order. So a tree of the keys seen
//! so far remembers which key came after which, and a key is looked up by hash only when that
//! guess is wrong.

mod column;
mod dictionary;
mod finish;
pub(crate) mod value;

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashMap, HashTable};

pub(crate) use column::Column;
pub(crate) use finish::{Finished, LEFT_OUT};
use value::{Kind, to_number};

use crate::doc::{
    COLUMN_VALUE_BYTES_MAX, DEPTH_MAX, DocError, DocRef, Raw, fingerprint, scalar_of, take_raw,
    take_sized,
};

/// No node, no column.
const NONE: u32 = u32::MAX;
const ROOT: u32 = 0;
/// What a key that was not seen before costs beside its bytes: a node, a path and their places in
/// two hash tables, with the room that they keep to grow.
const NODE_BYTES: usize = 256;
/// What a column costs before it has any value, with the least that its lists and its hash table
/// take at once.
const COLUMN_BYTES: usize = 2 * size_of::<Column>() + 128;
/// What a value costs in its column.
const VALUE_BYTES: usize = 12;

/// A key below its parent.
#[derive(Debug)]
struct Node {
    parent: u32,
    key: Box<str>,
    path: u32,
    /// The key that came first below this one, the last time.
    first: u32,
    /// The key that came after this one, the last time.
    next: u32,
}

/// A dotted path and its columns by type. Several nodes may have one path: `a.b` and `a` → `b`.
#[derive(Debug)]
struct Path {
    name: Box<str>,
    columns: [u32; Kind::ALL.len()],
}

/// The columns.
#[derive(Debug)]
pub(crate) struct Columns {
    nodes: Vec<Node>,
    children: HashTable<u32>,
    paths: Vec<Path>,
    by_name: HashMap<Box<str>, u32>,
    all: Vec<Column>,
    hasher: DefaultHashBuilder,
    /// Bytes that the columns grew by since they were last asked.
    grown: usize,
}

impl Default for Columns {
    fn default() -> Self {
        let mut columns = Self {
            nodes: Vec::new(),
            children: HashTable::new(),
            paths: Vec::new(),
            by_name: HashMap::new(),
            all: Vec::new(),
            hasher: DefaultHashBuilder::default(),
            grown: 0,
        };
        let path = columns.path("");
        columns.nodes.push(Node {
            parent: NONE,
            key: "".into(),
            path,
            first: NONE,
            next: NONE,
        });
        columns
    }
}

impl Columns {
    /// Adds the values of `row`'s document by the rule of [`crate::doc::flatten`]. Rows ascend.
    pub(crate) fn add(&mut self, row: u32, document: &[u8]) -> Result<(), DocError> {
        let mut rest = document;
        let value = take_raw(&mut rest)?;
        self.value(row, ROOT, value, 0)
    }

    /// Bytes by which the columns grew since this was last asked.
    pub(crate) fn take_grown(&mut self) -> usize {
        std::mem::take(&mut self.grown)
    }

    /// The columns of a path, one per type that it has values of.
    pub(crate) fn of_path(&self, name: &str) -> impl Iterator<Item = &Column> {
        let path = self
            .by_name
            .get(name)
            .and_then(|at| self.paths.get(get(*at)));
        let columns = path.map_or([NONE; Kind::ALL.len()], |p| p.columns);
        columns.into_iter().filter_map(|at| self.all.get(get(at)))
    }

    /// How many paths there are, those that only lead to others included.
    pub(crate) const fn paths(&self) -> usize {
        self.paths.len()
    }

    /// Every column with its path.
    pub(crate) fn each(&self) -> impl Iterator<Item = (&str, &Column)> {
        self.paths.iter().flat_map(|path| {
            let columns = path.columns.into_iter();
            let found = columns.filter_map(|at| self.all.get(get(at)));
            found.map(|column| (&*path.name, column))
        })
    }

    fn value(&mut self, row: u32, node: u32, value: Raw<'_>, depth: usize) -> Result<(), DocError> {
        if depth > DEPTH_MAX {
            return Err(DocError::Depth);
        }
        match value {
            Raw::Map(entries) => self.map(row, node, entries, depth),
            Raw::Array(mut items) => {
                while !items.is_empty() {
                    let item = take_raw(&mut items)?;
                    self.value(row, node, item, depth + 1)?;
                }
                Ok(())
            }
            Raw::Str(text) if text.len() <= COLUMN_VALUE_BYTES_MAX => {
                let column = self.column(node, Kind::Str);
                self.grown += VALUE_BYTES + column.push_text(row, text)?;
                Ok(())
            }
            Raw::Str(long) | Raw::Bytes(long) => {
                self.number(row, node, Kind::Long, fingerprint(long));
                Ok(())
            }
            Raw::Plain(leaf) => {
                self.leaf(row, node, leaf);
                Ok(())
            }
        }
    }

    fn map(
        &mut self,
        row: u32,
        node: u32,
        mut entries: &[u8],
        depth: usize,
    ) -> Result<(), DocError> {
        let mut before = NONE;
        while !entries.is_empty() {
            let key = take_sized(&mut entries)?;
            let value = take_raw(&mut entries)?;
            let child = self.child(node, before, key)?;
            self.value(row, child, value, depth + 1)?;
            before = child;
        }
        Ok(())
    }

    fn leaf(&mut self, row: u32, node: u32, leaf: DocRef<'_>) {
        if let Some(scalar) = scalar_of(leaf)
            && let Some(number) = to_number(scalar)
        {
            self.number(row, node, Kind::of(&scalar), number);
        }
    }

    fn number(&mut self, row: u32, node: u32, kind: Kind, number: u64) {
        self.column(node, kind).push_number(row, number);
        self.grown += VALUE_BYTES;
    }

    /// The node of `key` below `parent`, after the sibling `before`.
    fn child(&mut self, parent: u32, before: u32, key: &[u8]) -> Result<u32, DocError> {
        let guess = if before == NONE {
            self.node(parent).first
        } else {
            self.node(before).next
        };
        if guess != NONE && self.node(guess).key.as_bytes() == key {
            return Ok(guess);
        }
        let hash = self.hasher.hash_one((parent, key));
        let known = self.children.find(hash, |at| {
            let node = self.node(*at);
            node.parent == parent && node.key.as_bytes() == key
        });
        let child = match known {
            Some(&child) => child,
            None => self.new_child(parent, key, hash)?,
        };
        let slot = if before == NONE {
            self.nodes.get_mut(get(parent)).map(|n| &mut n.first)
        } else {
            self.nodes.get_mut(get(before)).map(|n| &mut n.next)
        };
        if let Some(slot) = slot {
            *slot = child;
        }
        Ok(child)
    }

    fn new_child(&mut self, parent: u32, key: &[u8], hash: u64) -> Result<u32, DocError> {
        let key = std::str::from_utf8(key).map_err(|_| DocError::Utf8)?;
        let above = self.paths.get(get(self.node(parent).path));
        let name = match above.map_or("", |p| &*p.name) {
            "" => key.to_owned(),
            above => format!("{above}.{key}"),
        };
        let path = self.path(&name);
        let child = u32::try_from(self.nodes.len()).expect("BUG: over 4 G keys");
        self.nodes.push(Node {
            parent,
            key: key.into(),
            path,
            first: NONE,
            next: NONE,
        });
        let (nodes, hasher) = (&self.nodes, &self.hasher);
        self.children.insert_unique(hash, child, |at| {
            let node = nodes.get(get(*at));
            hasher.hash_one(node.map_or((NONE, &[][..]), |n| (n.parent, n.key.as_bytes())))
        });
        self.grown += NODE_BYTES + key.len() + 2 * name.len();
        Ok(child)
    }

    fn path(&mut self, name: &str) -> u32 {
        if let Some(known) = self.by_name.get(name) {
            return *known;
        }
        let at = u32::try_from(self.paths.len()).expect("BUG: over 4 G paths");
        self.by_name.insert(name.into(), at);
        self.paths.push(Path {
            name: name.into(),
            columns: [NONE; Kind::ALL.len()],
        });
        at
    }

    fn node(&self, at: u32) -> &Node {
        self.nodes
            .get(get(at))
            .expect("BUG: a node that is not there")
    }

    fn column(&mut self, node: u32, kind: Kind) -> &mut Column {
        let path = get(self.node(node).path);
        let next = u32::try_from(self.all.len()).expect("BUG: over 4 G columns");
        let path = self
            .paths
            .get_mut(path)
            .expect("BUG: a node without a path");
        let slot = path
            .columns
            .get_mut(kind as usize)
            .expect("BUG: a type without a slot");
        if *slot == NONE {
            *slot = next;
            self.all.push(Column::new(kind));
            self.grown += COLUMN_BYTES;
        }
        let at = get(*slot);
        self.all.get_mut(at).expect("BUG: a slot without a column")
    }
}

fn get(at: u32) -> usize {
    usize::try_from(at).unwrap_or(usize::MAX)
}
