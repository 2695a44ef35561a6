//! How the spans of one trace stand to one another.
//!
//! A span whose parent is not there is a root of its own; of a ring of parents the earliest span is
//! one. So there are no rings, and every question takes one pass.

use std::collections::HashMap;

use roaring::RoaringBitmap;

use super::ast::Relation;

/// No span.
const NONE: u32 = u32::MAX;

/// What a tree is made of: a span for each, in the order of their places.
#[derive(Debug, Default)]
pub(super) struct Spans {
    pub(super) ids: Vec<Box<str>>,
    pub(super) parent_ids: Vec<Option<Box<str>>>,
    pub(super) starts: Vec<i64>,
}

impl Spans {
    /// About what they and their tree take.
    pub(super) fn bytes(&self) -> usize {
        let ids = self.ids.iter().map(|id| id.len());
        let parents = self.parent_ids.iter().flatten().map(|id| id.len());
        ids.chain(parents).sum::<usize>() + self.ids.len() * 160
    }
}

/// The tree of a trace. Spans are numbers from 0.
#[derive(Debug)]
pub(super) struct Tree {
    /// The span above; [`NONE`] for a root.
    parents: Vec<u32>,
    /// Equal for spans that name the same parent, whether it is there or not; [`NONE`] without one.
    named: Vec<u32>,
    /// Parents before their children.
    order: Vec<u32>,
    children: Vec<u32>,
    /// In pre-order from 1, as a nested set: left and right.
    sides: Vec<(u32, u32)>,
}

impl Tree {
    pub(super) fn new(spans: &Spans) -> Self {
        let count = spans.ids.len();
        let places: HashMap<&str, u32> = spans.ids.iter().map(|id| &**id).zip(0..).collect();
        let mut others: HashMap<&str, u32> = HashMap::new();
        let first_other = len(count);
        let (mut parents, mut named) = (vec![NONE; count], vec![NONE; count]);
        for (at, parent_id) in (0u32..).zip(&spans.parent_ids) {
            let Some(id) = parent_id.as_deref() else {
                continue;
            };
            let known = places.get(id).copied();
            if let Some(parent) = known.filter(|parent| *parent != at) {
                put(&mut parents, at, parent);
            }
            let next = first_other.saturating_add(len(others.len()));
            let code = known.unwrap_or_else(|| *others.entry(id).or_insert(next));
            put(&mut named, at, code);
        }
        let mut tree = Self {
            parents,
            named,
            order: Vec::with_capacity(count),
            children: vec![0; count],
            sides: vec![(0, 0); count],
        };
        tree.arrange(spans);
        tree
    }

    /// Puts the spans in pre-order, roots and siblings by start and id.
    fn arrange(&mut self, spans: &Spans) {
        let count = len(self.parents.len());
        let key = |at: u32| {
            let at = place(at);
            (spans.starts.get(at), spans.ids.get(at))
        };
        let mut by_start: Vec<u32> = (0..count).collect();
        by_start.sort_by(|a, b| key(*a).cmp(&key(*b)));
        let mut below: Vec<Vec<u32>> = vec![Vec::new(); self.parents.len()];
        for at in &by_start {
            if let Some(list) = below.get_mut(place(self.parent(*at))) {
                list.push(*at);
            }
        }
        let mut seen = vec![false; self.parents.len()];
        let roots = by_start.iter().filter(|at| self.parent(**at) == NONE);
        // Whatever no root leads to is in a ring or below one: its earliest span is cut off.
        let begins: Vec<u32> = roots.chain(&by_start).copied().collect();
        let mut next = 1u32;
        for begin in begins {
            if seen.get(place(begin)).copied().unwrap_or(true) {
                continue;
            }
            let begin = self.top(begin, &key);
            put(&mut self.parents, begin, NONE);
            let mut open = vec![(begin, false)];
            while let Some((at, is_done)) = open.pop() {
                let Some(side) = self.sides.get_mut(place(at)) else {
                    continue;
                };
                if is_done {
                    side.1 = next;
                    next = next.saturating_add(1);
                    continue;
                }
                if std::mem::replace(&mut seen[place(at)], true) {
                    continue;
                }
                side.0 = next;
                next = next.saturating_add(1);
                self.order.push(at);
                open.push((at, true));
                let children = below.get(place(at)).into_iter().flatten().rev();
                open.extend(children.map(|child| (*child, false)));
            }
        }
        for at in 0..count {
            let parent = self.parent(at);
            if let Some(children) = self.children.get_mut(place(parent)) {
                *children += 1;
            }
        }
    }

    /// The span itself, if it is a root; else the earliest of the ring that it is in or below.
    fn top<K: Ord>(&self, at: u32, key: &dyn Fn(u32) -> K) -> u32 {
        let (mut slow, mut fast) = (at, at);
        loop {
            (slow, fast) = (self.parent(slow), self.parent(self.parent(fast)));
            if fast == NONE {
                return at;
            }
            if slow == fast {
                break;
            }
        }
        let (mut first, mut next) = (slow, self.parent(slow));
        while next != slow {
            if key(next) < key(first) {
                first = next;
            }
            next = self.parent(next);
        }
        first
    }

    pub(super) fn parent(&self, at: u32) -> u32 {
        self.parents.get(place(at)).copied().unwrap_or(NONE)
    }

    /// The span above, if there is one.
    pub(super) fn above(&self, at: u32) -> Option<u32> {
        Some(self.parent(at)).filter(|parent| *parent != NONE)
    }

    pub(super) fn children(&self, at: u32) -> u32 {
        self.children.get(place(at)).copied().unwrap_or(0)
    }

    /// Left and right.
    pub(super) fn sides(&self, at: u32) -> (u32, u32) {
        self.sides.get(place(at)).copied().unwrap_or((0, 0))
    }

    /// -1 for a span that names no parent, 0 for one whose parent is not there.
    pub(super) fn left_of_parent(&self, at: u32) -> i64 {
        match self.above(at) {
            Some(parent) => i64::from(self.sides(parent).0),
            None if self.named.get(place(at)) == Some(&NONE) => -1,
            None => 0,
        }
    }

    /// The spans of `right` that stand so to some span of `left`.
    pub(super) fn related(
        &self,
        relation: Relation,
        left: &RoaringBitmap,
        right: &RoaringBitmap,
    ) -> RoaringBitmap {
        let above = |spans: &RoaringBitmap| -> RoaringBitmap {
            spans.iter().filter_map(|at| self.above(at)).collect()
        };
        match relation {
            Relation::Child => {
                let is_below = |at: &u32| self.above(*at).is_some_and(|p| left.contains(p));
                right.iter().filter(is_below).collect()
            }
            Relation::Parent => above(left) & right,
            Relation::Descendant => {
                let mut under = RoaringBitmap::new();
                for at in &self.order {
                    let parent = self.above(*at);
                    if parent.is_some_and(|p| left.contains(p) || under.contains(p)) {
                        under.insert(*at);
                    }
                }
                under & right
            }
            Relation::Ancestor => {
                let mut over = RoaringBitmap::new();
                for at in self.order.iter().rev() {
                    if (left.contains(*at) || over.contains(*at))
                        && let Some(parent) = self.above(*at)
                    {
                        over.insert(parent);
                    }
                }
                over & right
            }
            Relation::Sibling => {
                let named = |at: u32| {
                    let code = self.named.get(place(at)).copied();
                    code.filter(|code| *code != NONE)
                };
                // Of each parent a span of the left side, and whether there are more.
                let mut known: HashMap<u32, (u32, bool)> = HashMap::new();
                for at in left {
                    if let Some(code) = named(at) {
                        let entry = known.entry(code).or_insert((at, false));
                        entry.1 |= entry.0 != at;
                    }
                }
                let has_other = |at: &u32| {
                    let found = named(*at).and_then(|code| known.get(&code));
                    found.is_some_and(|(one, more)| *more || one != at)
                };
                right.iter().filter(has_other).collect()
            }
        }
    }
}

fn len(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(NONE)
}

fn place(at: u32) -> usize {
    usize::try_from(at).unwrap_or(usize::MAX)
}

fn put(list: &mut [u32], at: u32, value: u32) {
    if let Some(slot) = list.get_mut(place(at)) {
        *slot = value;
    }
}
