//! A run's row from its own facts and its spans, added up from nothing each time.

use std::collections::BTreeSet;

use super::state::Row;
use super::value::Val;

/// Text above this many bytes is payload, not a name or a column.
const SHORT_BYTES_MAX: usize = 96;
/// Models and tools listed.
const NAMES_MAX: usize = 64;
/// What a run takes from its root.
const FROM_ROOT: [&str; 15] = [
    "name",
    "status",
    "error_message",
    "user_id",
    "group",
    "service",
    "environment",
    "version",
    "release",
    "region",
    "model",
    "tags",
    "metadata",
    "attributes",
    "resource",
];

/// Start, end and document of a run: its own words first, then what its spans say.
pub(super) fn run_row(
    (own_start, own_end, own): (Option<i64>, Option<i64>, &Val),
    spans: &[&Row],
) -> (i64, Option<i64>, Val) {
    let root = root_of(spans);
    let first = spans.iter().map(|s| s.start).min();
    let last = spans.iter().filter_map(|s| s.end).max();
    let start = own_start.or(first).unwrap_or(0);
    let ended = root.is_some_and(|r| r.end.is_some());
    let end = own_end.or(last.filter(|_| ended));

    let mut fields = own.entries().to_vec();
    let taken = root.map_or(Val::Map(Vec::new()), root_fields);
    for (key, value) in taken.entries() {
        if own.get(key).is_none() {
            fields.push((key.clone(), value.clone()));
        }
    }
    let (leaf, above) = sums(spans);
    let is_told = |at: &[usize]| at.iter().any(|at| leaf[*at] != 0);
    let has_tokens = is_told(&[0, 1, 2, 4, 5, 6]);
    let [input, output, total, _, read, written, thought] = if has_tokens { leaf } else { above };
    let cost = if is_told(&[3]) { leaf[3] } else { above[3] };
    if total > 0 && own.get("tokens").is_none() {
        let mut tokens = vec![("input", Val::I64(input)), ("output", Val::I64(output))];
        for (key, n) in [
            ("cache_read", read),
            ("cache_write", written),
            ("reasoning", thought),
        ] {
            if n != 0 {
                tokens.push((key, Val::I64(n)));
            }
        }
        tokens.push(("total", Val::I64(total)));
        fields.push(("tokens".into(), Val::map(tokens)));
    }
    if cost > 0 && own.get("cost_usd").is_none() {
        fields.push(("cost_usd".into(), Val::F64(dollars(cost))));
    }
    fields.extend(listed_cost(own));
    let errors = count(spans, "error");
    fields.push(("has_error".into(), Val::Bool(errors > 0)));

    let mut rollup = vec![
        ("span_count", Val::I64(as_i64(spans.len()))),
        ("error_count", Val::I64(errors)),
        ("running", Val::I64(count(spans, "running"))),
    ];
    for (key, sums) in [("leaf", leaf), ("above", above)] {
        if sums != [0; 7] {
            rollup.push((key, Val::Array(sums.map(Val::I64).to_vec())));
        }
    }
    rollup.push(("models", names(spans, "model", own.get("model"))));
    rollup.push(("tools", names(spans, "tool", None)));
    rollup.extend(first.map(|t| ("start_ns", Val::I64(t))));
    rollup.extend(last.map(|t| ("end_ns", Val::I64(t))));
    if let Some(root) = root {
        let mut facts = vec![
            ("id", Val::str(&root.id)),
            ("declared", Val::Bool(is_declared(root))),
            ("start_ns", Val::I64(root.start)),
        ];
        facts.extend(root.end.map(|t| ("end_ns", Val::I64(t))));
        facts.push(("fields", Val::Bytes(taken.encode())));
        rollup.push(("root", Val::map(facts)));
    }
    fields.push(("rollup".into(), Val::map(rollup)));
    (start, end, Val::Map(fields))
}

/// Nobody prices spans here, so a run has a cost to list if it states one.
fn listed_cost(own: &Val) -> Vec<(String, Val)> {
    let stated = own.get("cost_usd").and_then(number);
    let Some(stated) = stated.filter(|dollars| dollars.is_finite()) else {
        return Vec::new();
    };
    vec![
        ("cost_known_usd".into(), Val::F64(stated)),
        ("cost_source".into(), Val::str("stated")),
    ]
}

fn as_i64(n: usize) -> i64 {
    i64::try_from(n).expect("fewer than 2^63 rows")
}

fn text<'a>(span: &'a Row, key: &str) -> Option<&'a str> {
    span.doc.get(key).and_then(Val::text)
}

fn count(spans: &[&Row], status: &str) -> i64 {
    let with = spans.iter().filter(|s| text(s, "status") == Some(status));
    as_i64(with.count())
}

fn is_declared(span: &Row) -> bool {
    matches!(span.doc.get("root"), Some(Val::Bool(true)))
}

/// A declared root before others, then the earliest, then the smallest id.
fn root_of<'a>(spans: &[&'a Row]) -> Option<&'a Row> {
    let rank = |s: &&Row| (u8::from(!is_declared(s)), s.start, s.id.clone());
    spans.iter().copied().min_by_key(rank)
}

fn root_fields(root: &Row) -> Val {
    let field = |key: &&'static str| Some((*key, shortened(root.doc.get(key)?)));
    Val::map(FROM_ROOT.iter().filter_map(field))
}

/// Maps without the entries that are too long to be filtered on.
fn shortened(value: &Val) -> Val {
    match value {
        Val::Map(entries) => {
            let short = entries.iter().filter(|(_, v)| is_short(v));
            Val::Map(short.map(|(k, v)| (k.clone(), shortened(v))).collect())
        }
        other => other.clone(),
    }
}

fn is_short(value: &Val) -> bool {
    match value {
        Val::Str(text) => text.len() <= SHORT_BYTES_MAX,
        Val::Bytes(_) => false,
        Val::Array(items) => items.iter().all(is_short),
        _ => true,
    }
}

/// The smallest of the short names, and of what the run itself says.
fn names(spans: &[&Row], key: &str, own: Option<&Val>) -> Val {
    let all = spans.iter().filter_map(|s| text(s, key));
    let all = all.chain(own.and_then(Val::text));
    let short: BTreeSet<&str> = all
        .filter(|n| !n.is_empty() && n.len() <= SHORT_BYTES_MAX)
        .collect();
    Val::Array(short.into_iter().take(NAMES_MAX).map(Val::str).collect())
}

/// Tokens in, out, in all, nano-dollars, tokens read from and written to a cache, and thought: of steps, and of
/// agents and chains.
fn sums(spans: &[&Row]) -> ([i64; 7], [i64; 7]) {
    let (mut leaf, mut above) = ([0; 7], [0; 7]);
    for span in spans {
        let repeats = matches!(text(span, "kind"), Some("agent" | "chain"));
        let sums = if repeats { &mut above } else { &mut leaf };
        for (sum, n) in sums.iter_mut().zip(usage(&span.doc)) {
            *sum += n;
        }
    }
    (leaf, above)
}

fn usage(doc: &Val) -> [i64; 7] {
    let tokens = |key| match doc.get("tokens").and_then(|t| t.get(key)) {
        Some(Val::I64(n)) => *n,
        _ => 0,
    };
    let parts = ["input", "output", "cache_read", "cache_write", "reasoning"].map(tokens);
    let total = match tokens("total") {
        0 => parts.iter().sum(),
        n => n,
    };
    let [input, output, read, written, thought] = parts;
    let cost = nanos(doc.get("cost_usd"));
    [input, output, total, cost, read, written, thought]
}

/// Nano-dollars; what is no amount that fits counts for nothing.
#[expect(clippy::cast_possible_truncation, reason = "checked to be in range")]
fn nanos(cost: Option<&Val>) -> i64 {
    let dollars = cost.and_then(number).unwrap_or(0.0);
    let nanos = (dollars * 1e9).round();
    if (-9e18..9e18).contains(&nanos) && nanos > -9e18 {
        nanos as i64
    } else {
        0
    }
}

#[expect(clippy::cast_precision_loss, reason = "money is stated as a float")]
fn number(value: &Val) -> Option<f64> {
    match value {
        Val::I64(n) => Some(*n as f64),
        Val::U64(n) => Some(*n as f64),
        Val::F64(x) => Some(*x),
        _ => None,
    }
}

#[expect(clippy::cast_precision_loss, reason = "shown as dollars")]
fn dollars(nanos: i64) -> f64 {
    nanos as f64 / 1e9
}
