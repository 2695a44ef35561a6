//! The words that documents and questions are made of. Few, so that they meet often; odd, so that
//! every way of storing a value is met: at and around the column limit, numbers and texts that look
//! alike, text in several scripts, several values at one path, keys with dots and without letters.

use obsrv_wal::sim::SimRng;

use super::value::Val;

/// One of them.
pub(super) fn pick<T: Clone>(rng: &SimRng, from: &[T]) -> T {
    let len = u64::try_from(from.len()).expect("a short list");
    let at = usize::try_from(rng.below(len)).expect("below its length");
    from[at].clone()
}

/// `0..bound`, as any number.
pub(super) fn below(rng: &SimRng, bound: i64) -> i64 {
    i64::try_from(rng.below(u64::try_from(bound).unwrap_or(0))).expect("below an i64")
}

const KEYS: [&str; 7] = ["a", "b", "a.b", "", "ключ", "k", "A"];

const WORDS: [&str; 30] = [
    "",
    "a",
    "A",
    "ab",
    "1",
    "1.0",
    "true",
    "null",
    "error",
    "Größe",
    "größe",
    "東京タワー",
    "🚀 launch",
    "o'\"k",
    "a b",
    "claude",
    "rate limit",
    "Rate-Limit exceeded",
    "limit the rate, limit",
    "timeout_error 504",
    "Café au lait",
    "CAFE\u{301}",
    "naïve cafe",
    "مُحَمَّد كـتاب",
    "محمد",
    "北京大学",
    "東京 a 京都",
    "京 大",
    "한국어 검색",
    "검색",
];

/// Texts around the column limit of 96 bytes, some equal but for one end.
fn long(rng: &SimRng) -> String {
    let len = pick(rng, &[94usize, 95, 96, 97, 98, 150, 600]);
    let head = pick(rng, &["", "a", "b", "é"]);
    let tail = pick(rng, &["", "a", "B", "京"]);
    let fill = len.saturating_sub(head.len() + tail.len());
    format!("{head}{}{tail}", "x".repeat(fill))
}

pub(super) fn text(rng: &SimRng) -> String {
    if rng.chance(6) {
        long(rng)
    } else {
        pick(rng, &WORDS).to_owned()
    }
}

#[expect(clippy::cast_precision_loss, reason = "small numbers")]
pub(super) fn number(rng: &SimRng) -> Val {
    match rng.below(12) {
        0 => Val::I64(pick(rng, &[i64::MAX, i64::MIN, 1 << 53, (1 << 53) + 1])),
        1 => Val::F64(pick(
            rng,
            &[f64::NAN, -0.0, 0.0, 9_223_372_036_854_775_808.0],
        )),
        2 => Val::F64(pick(rng, &[f64::INFINITY, -1e300, 9_007_199_254_740_992.0])),
        3 => Val::U64(pick(rng, &[u64::MAX, 1 << 63])),
        4..=6 => Val::F64((below(rng, 13) - 6) as f64 / 2.0),
        _ => Val::I64(below(rng, 7) - 3),
    }
}

pub(super) fn scalar(rng: &SimRng) -> Val {
    match rng.below(12) {
        0 => Val::Null,
        1 => Val::Bool(rng.chance(2)),
        2 => Val::Bytes(text(rng).into_bytes()),
        3..=6 => number(rng),
        _ => Val::Str(text(rng)),
    }
}

fn tree(rng: &SimRng, depth: u64) -> Val {
    match rng.below(4 + depth) {
        0 if depth < 4 => {
            let items = (0..rng.below(4)).map(|_| tree(rng, depth + 1));
            Val::Array(items.collect())
        }
        1 if depth < 4 => keyed(rng, depth + 1),
        _ => scalar(rng),
    }
}

fn keyed(rng: &SimRng, depth: u64) -> Val {
    let mut entries: Vec<(String, Val)> = Vec::new();
    for _ in 0..rng.below(4) {
        let key = pick(rng, &KEYS).to_owned();
        // A key that a map has twice is rare and legal.
        if rng.chance(20) || entries.iter().all(|(k, _)| *k != key) {
            entries.push((key, tree(rng, depth)));
        }
    }
    Val::Map(entries)
}

/// What a user attaches.
pub(super) fn metadata(rng: &SimRng) -> Val {
    keyed(rng, 1)
}

/// A path that may be there.
pub(super) fn path(rng: &SimRng) -> String {
    let top = pick(
        rng,
        &[
            "metadata",
            "metadata",
            "metadata",
            "attributes",
            "resource",
            "odd",
        ],
    );
    let mut path = top.to_owned();
    for _ in 0..rng.below(3) {
        path.push('.');
        path.push_str(pick(rng, &KEYS));
    }
    path
}

/// A path of the fields that every dialect fills, or one that nobody does.
pub(super) fn known_path(rng: &SimRng, runs: bool) -> String {
    const SPANS: [&str; 28] = [
        "name",
        "status",
        "kind",
        "parent_id",
        "root",
        "index",
        "model",
        "tool",
        "error_message",
        "user_id",
        "group",
        "service",
        "environment",
        "version",
        "release",
        "region",
        "tags",
        "tokens.input",
        "tokens.total",
        "cost_usd",
        "score",
        "level",
        "body",
        "value",
        "bucket_counts",
        "output",
        "absent",
        "absent.x",
    ];
    const RUNS: [&str; 12] = [
        "rollup.span_count",
        "rollup.error_count",
        "rollup.running",
        "rollup.models",
        "rollup.tools",
        "rollup.start_ns",
        "rollup.root.id",
        "rollup.leaf",
        "has_error",
        "rollup.root.declared",
        "tokens.output",
        "status",
    ];
    if runs && rng.chance(3) {
        pick(rng, &RUNS).to_owned()
    } else {
        pick(rng, &SPANS).to_owned()
    }
}
