//! The critical path: the chain of spans that decided when a trace ended.
//!
//! From the end of a span backwards: the child that ended last before that moment is on the path,
//! then from its start on the next one. What no child covers is the span's own time. So the own
//! times of the path add up to the time from the start of the root to its end. Of a span that reaches
//! beyond its parent only what is within counts.

use super::outline::Outline;

/// A span on the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Critical {
    /// Its place in the outline.
    pub(super) at: usize,
    /// How long it was waited for it alone.
    pub(super) self_ns: i64,
}

/// The spans on the path of each root that does not lie within an earlier one's time, by start.
/// A span that has not ended counts as ending with the trace.
pub(super) fn critical_path(outline: &Outline) -> Vec<Critical> {
    let nodes = &outline.nodes;
    let last = nodes
        .iter()
        .map(|n| n.end_ns.unwrap_or(n.start_ns).max(n.start_ns))
        .max();
    let Some(last) = last else {
        return Vec::new();
    };
    let ends: Vec<i64> = nodes
        .iter()
        .map(|node| node.end_ns.unwrap_or(last).max(node.start_ns))
        .collect();
    let mut below: Vec<Vec<usize>> = vec![Vec::new(); nodes.len()];
    let mut roots = Vec::new();
    for (at, node) in nodes.iter().enumerate() {
        match node.parent {
            Some(parent) => below[parent].push(at),
            None => roots.push(at),
        }
    }
    let start_of = |at: &usize| nodes[*at].start_ns;
    let mut path = Vec::new();
    // Spans to look at, and the time in which they are looked at.
    let mut open: Vec<(usize, (i64, i64))> = Vec::new();
    let first = roots.iter().map(start_of).min().unwrap_or(last);
    let _gaps = walk(&mut roots, (first, last), &ends, &start_of, &mut open);
    while let Some((at, window)) = open.pop() {
        let self_ns = walk(&mut below[at], window, &ends, &start_of, &mut open);
        path.push(Critical { at, self_ns });
    }
    path.sort_by_key(|critical| (nodes[critical.at].start_ns, critical.at));
    path
}

/// Puts the children on the path into `open` and tells how much of the time none of them covers.
fn walk(
    children: &mut [usize],
    (start, end): (i64, i64),
    ends: &[i64],
    start_of: &dyn Fn(&usize) -> i64,
    open: &mut Vec<(usize, (i64, i64))>,
) -> i64 {
    children.sort_by_key(|at| std::cmp::Reverse((ends[*at], start_of(at), *at)));
    let (mut now, mut alone) = (end, 0_i64);
    for child in children.iter() {
        let child_end = ends[*child].min(end);
        let child_start = start_of(child).max(start);
        if child_end > now || child_start >= child_end {
            continue;
        }
        alone = alone.saturating_add(now.saturating_sub(child_end));
        open.push((*child, (child_start, child_end)));
        now = child_start;
    }
    alone.saturating_add(now.saturating_sub(start).max(0))
}
