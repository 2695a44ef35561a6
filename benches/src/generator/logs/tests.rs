use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::generator::answers::{LIST, PROJECT};
use crate::generator::options::DAY_NS;
use crate::generator::span::hex;
use crate::generator::tests::fields;
use crate::generator::trace::{NEEDLE_COMMON, NEEDLE_RARE};

fn made(seed: u64, lines: u64) -> (Vec<Batch>, Json) {
    let mut generator = Generator::new(Options::logs(seed, lines)).with_answers();
    let mut batches = Vec::new();
    while let Some(batch) = generator.next_batch() {
        batches.push(batch);
    }
    (batches, generator.into_answers().unwrap())
}

#[test]
fn same_seed_same_bytes() {
    let bytes = |seed| -> Vec<_> { made(seed, 3_000).0.iter().map(export_request).collect() };
    assert_eq!(bytes(7), bytes(7));
    assert_ne!(bytes(7), bytes(8));
}

#[test]
fn lines_are_as_many_as_asked_for_of_one_process_a_request_and_within_the_window() {
    let (batches, told) = made(3, 20_000);
    let counts: Vec<_> = batches.iter().map(|b| b.lines.len()).collect();
    assert_eq!(counts.iter().sum::<usize>(), 20_000);
    assert!(counts.iter().rev().skip(1).all(|count| *count == 512));
    assert_eq!(told["rows"], 20_000);
    let now = told["asked"]["now_ns"].as_u64().unwrap();
    let mut times = BTreeSet::new();
    let mut requests = BTreeSet::new();
    for row in batches.iter().flat_map(Batch::rows) {
        assert!(row.line.time_ns >= now - 7 * DAY_NS);
        assert!(times.insert((row.project, row.line.time_ns)), "no order");
        assert!(requests.insert(row.line.request.clone()), "two of an id");
        assert!(
            (60..=320).contains(&row.line.body.len()),
            "{}",
            row.line.body
        );
    }
    let bytes: usize = batches
        .iter()
        .flat_map(|b| &b.lines)
        .map(|l| l.body.len())
        .sum();
    assert!(
        (130..=230).contains(&(bytes / 20_000)),
        "{}",
        bytes / 20_000
    );
    let traced = batches.iter().flat_map(|b| &b.lines);
    let traced = traced.filter(|line| line.place.is_some()).count();
    assert!((11_000..=13_000).contains(&traced), "{traced}");
}

/// Here the request is read back, field by field.
#[test]
fn requests_hold_the_lines() {
    let (batches, _) = made(1, 600);
    for batch in &batches {
        let mut lines: BTreeMap<_, _> = batch.lines.iter().map(|l| (l.time_ns, l)).collect();
        let request = fields(&export_request(batch));
        let [(1, group)] = request.as_slice() else {
            panic!("one resource")
        };
        let group = fields(group);
        let service = batch.from.service.as_bytes();
        assert!(group[0].1.windows(service.len()).any(|w| w == service));
        for (_, scope) in group.iter().filter(|f| f.0 == 2) {
            let scope = fields(scope);
            let name = fields(&scope[0].1)[0].1.clone();
            for (_, record) in scope.iter().filter(|f| f.0 == 2) {
                let record = fields(record);
                let one = |n| record.iter().find(|f| f.0 == n).map(|f| f.1.clone());
                let time = u64::from_le_bytes(one(1).unwrap().try_into().unwrap());
                let line = lines.remove(&time).expect("a line that was not made");
                assert_eq!(name, line.scope.as_bytes());
                assert_eq!(fields(&one(5).unwrap())[0].1, line.body.as_bytes());
                assert_eq!(one(2).unwrap()[0], line.severity_number);
                assert_eq!(one(9), line.place.map(|p| p.0.to_vec()));
                assert_eq!(one(10), line.place.map(|p| p.1.to_vec()));
                let attributes = record.iter().filter(|f| f.0 == 6).count();
                assert_eq!(attributes, 4 + usize::from(!line.user.is_empty()));
            }
        }
        assert!(lines.is_empty(), "{} lines are missing", lines.len());
    }
}

/// The request ids of the newest lines of the project that pass.
fn newest(rows: &[Row<'_>], pass: impl Fn(&Row<'_>) -> bool) -> Vec<Json> {
    let mut found: Vec<_> = rows
        .iter()
        .filter(|r| r.project == PROJECT && pass(r))
        .map(|r| (r.line.time_ns, r.line.request.clone()))
        .collect();
    found.sort_by(|a, b| b.cmp(a));
    let found = found.into_iter().take(LIST);
    found.map(|(_, request)| Json::from(request)).collect()
}

fn ids(answer: &Json) -> Vec<Json> {
    let rows = answer.as_array().unwrap();
    rows.iter().map(|row| row[0].clone()).collect()
}

#[test]
fn answers_are_those_of_a_plain_search_through_the_lines() {
    let (batches, told) = made(5, 150_000);
    let rows: Vec<_> = batches.iter().flat_map(Batch::rows).collect();
    let answers = &told["answers"];
    assert_eq!(ids(&answers["L1"]), newest(&rows, |_| true));
    let severe = newest(&rows, |r| {
        ["error", "fatal"].contains(&r.line.severity) && r.from.service == "svc-02"
    });
    assert!(severe.len() > 10, "{}", severe.len());
    assert_eq!(ids(&answers["L2"]), severe);
    let rare = newest(&rows, |r| r.line.body.contains(NEEDLE_RARE));
    assert!(!rare.is_empty());
    assert_eq!(ids(&answers["L4"]), rare);
    let user = newest(&rows, |r| r.line.user == "user-000020");
    assert!(!user.is_empty());
    assert_eq!(ids(&answers["L7"]), user);
    let of_project = || rows.iter().filter(|r| r.project == PROJECT);
    let common = of_project()
        .filter(|r| r.line.body.contains(NEEDLE_COMMON))
        .count();
    assert!(common > 500, "{common}");
    assert_eq!(answers["L5"], common);
    let now = told["asked"]["now_ns"].as_u64().unwrap();
    let hours = answers["L6"].as_object().unwrap();
    let counted: u64 = hours.values().map(|n| n[0].as_u64().unwrap()).sum();
    let today = of_project().filter(|r| r.line.time_ns >= now - DAY_NS);
    assert_eq!(usize::try_from(counted).unwrap(), today.count());
    assert!(hours.keys().any(|key| key.ends_with("|info")));
}

#[test]
fn traces_have_all_of_their_lines_wherever_these_were_written() {
    let (batches, told) = made(5, 60_000);
    let mut lines: BTreeMap<(usize, String), (usize, usize, BTreeSet<&str>)> = BTreeMap::new();
    for row in batches.iter().flat_map(Batch::rows) {
        if let Some((trace, _)) = row.line.place {
            let of = lines.entry((row.project, hex(&trace))).or_default();
            of.0 += 1;
            of.1 += row.line.body.len();
            of.2.insert(&row.from.host);
        }
    }
    let went_on = lines.values().filter(|of| of.2.len() > 1).count();
    assert!(went_on > lines.len() / 20, "{went_on} of {}", lines.len());
    let asked = told["asked"]["traces"].as_array().unwrap();
    assert_eq!(asked.len(), 1_000);
    for (asked, right) in asked.iter().zip(told["answers"]["L3"].as_array().unwrap()) {
        let project = usize::try_from(asked[0].as_u64().unwrap()).unwrap();
        let of = lines.get(&(project, asked[1].as_str().unwrap().to_owned()));
        let (count, bytes) = of.map_or((0, 0), |of| (of.0, of.1));
        assert_eq!(
            (&right[0], &right[1]),
            (&Json::from(count), &Json::from(bytes))
        );
    }
}
