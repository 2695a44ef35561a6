//! Holds what the engine says against what it must say.

use obsrv_engine::body;
use obsrv_engine::query::{Facet, Page, Request};
use obsrv_engine::source::Core;

use super::answer::{Counts, Expected, Listed};
use super::state::Row;
use super::value::Val;

/// A row that was read back.
pub(super) fn row(core: &Core, body: &[u8], wanted: &Row) -> Result<(), String> {
    let name = format!("{}/{}", wanted.trace, wanted.id);
    let got = (&*core.trace_id, &*core.id);
    if got != (wanted.trace.as_str(), wanted.id.as_str()) {
        return Err(format!("row {got:?} where {name} belongs"));
    }
    let times = (core.start_ns, core.end_ns);
    if times != (wanted.start, wanted.end) {
        let right = (wanted.start, wanted.end);
        return Err(format!("{name} has times {times:?} not {right:?}"));
    }
    if core.lsn_first != wanted.first {
        let (got, right) = (core.lsn_first, wanted.first);
        return Err(format!("{name} was first made by {got:?} not {right:?}"));
    }
    // A run's row may be made again although nothing changes that a reader sees.
    let allowed = if wanted.doc.get("rollup").is_some() {
        wanted.first..=wanted.touched
    } else {
        wanted.last..=wanted.last
    };
    if !allowed.contains(&core.lsn_last) {
        let got = core.lsn_last;
        return Err(format!("{name} was last changed by {got} not {allowed:?}"));
    }
    let view = body::decode(body).map_err(|e| format!("{name} does not read: {e}"))?;
    let sent = wanted.doc.encode();
    if wanted.as_sent && view.view != sent {
        return Err(format!("{name} is not as it was sent: {:?}", wanted.doc));
    }
    let doc = Val::decode(view.view).ok_or_else(|| format!("{name} has a damaged document"))?;
    differences(&name, &doc, &wanted.doc)
}

/// Which top-level fields differ. Their order is nobody's business; below it is as sent.
fn differences(name: &str, got: &Val, right: &Val) -> Result<(), String> {
    let sorted = |doc: &Val| {
        let mut fields: Vec<_> = doc.entries().to_vec();
        for (key, value) in &mut fields {
            if let ("rollup", Val::Map(entries)) = (key.as_str(), value) {
                entries.sort_by(|(a, _), (b, _)| a.cmp(b));
            }
        }
        fields.sort_by(|(a, _), (b, _)| a.cmp(b));
        fields
    };
    let (got, right) = (sorted(got), sorted(right));
    if Val::Map(got.clone()).encode() == Val::Map(right.clone()).encode() {
        return Ok(());
    }
    let missing_from = |these: &[(String, Val)], those: &[(String, Val)]| -> Vec<String> {
        let same =
            |(k, v): &(String, Val), (l, w): &(String, Val)| k == l && v.encode() == w.encode();
        let alone = these.iter().filter(|e| !those.iter().any(|o| same(e, o)));
        alone.map(|(k, v)| format!("{k}={v:?}")).collect()
    };
    Err(format!(
        "{name} has {:?} where it should have {:?}",
        missing_from(&got, &right),
        missing_from(&right, &got)
    ))
}

/// A page. On a later page, `changed` says whether some row surely has changed since the first
/// and whether one may have.
pub(super) fn page(
    got: &Page,
    right: &Expected,
    request: &Request,
    changed: Option<(bool, bool)>,
) -> Result<(), String> {
    let names = |ids: Vec<(String, String)>| format!("{ids:?}");
    let got_ids = got.hits.iter().map(|hit| &hit.core);
    let got_ids: Vec<_> = got_ids
        .map(|core| (core.trace_id.to_string(), core.id.to_string()))
        .collect();
    let right_ids = right.rows.iter().map(|r| (r.trace.clone(), r.id.clone()));
    let right_ids: Vec<_> = right_ids.collect();
    if got_ids != right_ids {
        let (got, right) = (names(got_ids), names(right_ids));
        return Err(format!("rows are {got}\nand should be {right}"));
    }
    for (hit, wanted) in got.hits.iter().zip(&right.rows) {
        row(&hit.core, &hit.body, wanted)?;
    }
    if got.next.is_some() != right.more {
        return Err(format!("another page: {} not {}", !right.more, right.more));
    }
    if let (Some(next), Some(last)) = (&got.next, &right.last)
        && (&next.trace_id, &next.id) != (&last.trace, &last.id)
    {
        return Err(format!("cursor {next:?} not at the last row {last:?}"));
    }
    let total = u64::try_from(right.total).unwrap_or(u64::MAX);
    let total = request.total.then_some(total);
    if got.total != total {
        return Err(format!("total is {:?} not {total:?}", got.total));
    }
    for (facet, counts) in got.facets.iter().zip(&right.facets) {
        compare_facet(facet, counts, request.facet_values_max)?;
    }
    if got.facets.len() != request.facets.len() {
        return Err(format!("{} facets", got.facets.len()));
    }
    let (surely, maybe) = changed.unwrap_or((false, false));
    if (surely && !got.snapshot_changed) || (got.snapshot_changed && !maybe) {
        let said = got.snapshot_changed;
        return Err(format!("snapshot changed: {said}; {surely} to {maybe}"));
    }
    Ok(())
}

/// The most frequent first; which of two equally frequent ones is listed is left open.
fn compare_facet(got: &Facet, right: &Counts, max: usize) -> Result<(), String> {
    let at = |what: String| Err(format!("facet {:?}: {what}", got.column));
    let mut seen = Vec::new();
    for (literal, count) in &got.values {
        let value = Listed::of_literal(literal);
        let known = right.values.get(&value);
        if known != Some(count) {
            return at(format!("{count} times {value:?}, should be {known:?}"));
        }
        seen.push((*count, value));
    }
    let listed: Vec<u64> = seen.iter().map(|(count, _)| *count).collect();
    let mut counts: Vec<u64> = right.values.values().copied().collect();
    counts.sort_unstable_by(|a, b| b.cmp(a));
    let all = counts.len();
    counts.truncate(max);
    if listed != counts {
        return at(format!("counts {listed:?} not {counts:?}"));
    }
    seen.sort();
    seen.dedup();
    if seen.len() != listed.len() {
        return at("a value is listed twice".to_owned());
    }
    if (got.more, got.overflow) != (all > max, false) {
        return at(format!("more {} of {all}, max {max}", got.more));
    }
    if got.long != right.long {
        return at(format!("{} long values not {}", got.long, right.long));
    }
    Ok(())
}
