use regex::Regex;

use super::*;
use crate::generator::Generator;

/// The rows that were sent, and the answers as they were worked out on the way.
fn sent(spans: u64, window_ns: u64) -> (Vec<(usize, Span)>, serde_json::Value) {
    let options = Options {
        window_ns,
        ..Options::core(5, spans)
    };
    let mut generator = Generator::new(options).with_answers();
    let mut rows = Vec::new();
    while let Some(batch) = generator.next_batch() {
        rows.extend(batch.spans.into_iter().map(|span| (batch.project, span)));
    }
    (rows, generator.into_parts().1.unwrap().to_json())
}

/// The ids of the rows that pass, by the largest key first, all of them.
fn ids<K: Ord>(
    rows: &[(usize, Span)],
    pass: impl Fn(&Flat<'_>) -> bool,
    key: impl Fn(&Flat<'_>) -> K,
) -> Vec<String> {
    let rows = rows.iter().map(|(project, span)| Flat::of(*project, span));
    let mut found: Vec<_> = rows
        .filter(|r| pass(r))
        .map(|r| (key(&r), r.span_id))
        .collect();
    found.sort_by(|a, b| b.cmp(a));
    found.into_iter().map(|(_, id)| id).collect()
}

fn first(n: usize, ids: &[String]) -> serde_json::Value {
    serde_json::json!(ids.iter().take(n).collect::<Vec<_>>())
}

#[test]
fn lists_are_those_of_a_plain_search_through_the_rows_sent() {
    let (rows, told) = sent(30_000, 2 * DAY_NS);
    let now = told["asked"]["now_ns"].as_u64().unwrap();
    let answers = &told["answers"];
    let slow = ids(
        &rows,
        |r| r.tool == "run_sql" && r.status() == "error" && r.start_ns >= now - DAY_NS,
        |r| r.duration_ns,
    );
    assert!(slow.len() > 20, "{}", slow.len());
    assert_eq!(answers["Q7"], first(SLOWEST, &slow));

    let contains =
        |text: &'static str| move |r: &Flat<'_>| r.input.contains(text) || r.output.contains(text);
    let common = ids(
        &rows,
        |r| contains("throttled")(r) && r.region == "eu-west-1" && r.start_ns >= now - DAY_NS,
        |r| r.start_ns,
    );
    assert!(common.len() > 60, "{}", common.len());
    assert_eq!(answers["Q9"][0], common.len());
    assert_eq!(answers["Q9"][1], first(LIST, &common));
}

#[test]
fn searches_find_what_a_plain_search_through_the_rows_sent_finds() {
    let (rows, told) = sent(30_000, 4 * HOUR_NS);
    let now = told["asked"]["now_ns"].as_u64().unwrap();
    let answers = &told["answers"];
    let medium = ids(
        &rows,
        |r| {
            r.project == PROJECT
                && (r.input.contains("flumadiddle") || r.output.contains("flumadiddle"))
        },
        |r| r.start_ns,
    );
    assert!(!medium.is_empty());
    assert_eq!(answers["Q8d"], first(LIST, &medium));
    assert_eq!(answers["Q8b"], serde_json::json!([]));

    let pattern = Regex::new(PATTERN).unwrap();
    let matched = ids(
        &rows,
        |r| {
            r.project == PROJECT
                && r.start_ns >= now - HOUR_NS
                && (pattern.is_match(r.input) || pattern.is_match(r.output))
        },
        |r| r.start_ns,
    );
    assert!(!matched.is_empty());
    assert_eq!(answers["Q12"][0], matched.len());
    assert_eq!(answers["Q12"][1], first(LIST, &matched));

    let errors = ids(
        &rows,
        |r| {
            r.project == PROJECT
                && r.status() == "error"
                && (r.env, r.workflow) == ("prod", "wf-3")
                && r.start_ns >= now - DAY_NS
        },
        |r| r.start_ns,
    );
    let listed = answers["Q2"].as_array().unwrap();
    let listed: Vec<_> = listed.iter().map(|r| r[0].clone()).collect();
    assert_eq!(serde_json::json!(listed), first(LIST, &errors));
    assert!(!errors.is_empty());
}

#[test]
fn sums_and_groups_are_those_of_the_rows_sent() {
    let (rows, told) = sent(20_000, DAY_NS);
    let answers = &told["answers"];
    let flat: Vec<_> = rows.iter().map(|(p, s)| Flat::of(*p, s)).collect();
    let sum = |at: usize| -> f64 {
        let groups = answers["Q5"].as_object().unwrap();
        groups.values().map(|g| g[at].as_f64().unwrap()).sum()
    };
    let tokens: i64 = flat.iter().map(|r| r.input_tokens).sum();
    assert!((sum(0) - f64::from(i32::try_from(tokens).unwrap())).abs() < 0.5);
    let cost: f64 = flat.iter().map(|r| r.cost).sum();
    assert!(cost > 0.0);
    assert_eq!(sum(2).to_bits(), cost.to_bits(), "exact in any order");

    let user = &answers["Q6"][0];
    let name = user[0].as_str().unwrap();
    let of: Vec<_> = flat
        .iter()
        .filter(|r| r.project == PROJECT && r.user == name)
        .collect();
    assert_eq!(user[2], of.len());
    let cost: f64 = of.iter().map(|r| r.cost).sum();
    assert_eq!(user[1].as_f64(), Some(cost));

    let now = told["asked"]["now_ns"].as_u64().unwrap();
    let minutes = answers["Q4"].as_object().unwrap();
    let counted: u64 = minutes.values().map(|m| m[0].as_u64().unwrap()).sum();
    let recent = |r: &&Flat<'_>| {
        r.project == PROJECT && !r.model.is_empty() && r.start_ns >= now - DAY_NS / 4
    };
    assert_eq!(
        usize::try_from(counted).unwrap(),
        flat.iter().filter(recent).count()
    );
    for (at, trace) in told["asked"]["traces"]
        .as_array()
        .unwrap()
        .iter()
        .enumerate()
    {
        let spans = flat.iter().filter(|r| trace[1] == r.trace_id).count();
        assert_eq!(answers["Q3"][at][0], spans, "{trace}");
    }
}

#[test]
fn the_pattern_wants_a_nine_and_three_digits() {
    assert!(amount(&Finder::new("amount"), "x \"amount\":9123, y"));
    assert!(!amount(&Finder::new("amount"), "\"amount\":91234,"));
    assert!(!amount(&Finder::new("amount"), "\"amount\":912"));
}
