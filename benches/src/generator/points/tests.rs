use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::generator::answers::LIST;
use crate::generator::tests::fields;

fn made(seed: u64, points: u64) -> (Vec<Batch>, Json) {
    let mut generator = Generator::new(Options::points(seed, points)).with_answers();
    let mut batches = Vec::new();
    while let Some(batch) = generator.next_batch() {
        batches.push(batch);
    }
    (batches, generator.into_answers().unwrap())
}

fn of_project(batches: &[Batch]) -> Vec<Row<'_>> {
    let rows = batches.iter().flat_map(Batch::rows);
    rows.filter(|row| row.project == PROJECT).collect()
}

fn number(figure: &Figure) -> f64 {
    match figure {
        Figure::Whole(n) => f64::from(u32::try_from(*n).unwrap()),
        Figure::Real(x) => *x,
        Figure::Histogram(of) => of.sum,
    }
}

#[test]
fn same_seed_same_bytes() {
    let bytes = |seed| -> Vec<_> { made(seed, 3_000).0.iter().map(export_request).collect() };
    assert_eq!(bytes(7), bytes(7));
    assert_ne!(bytes(7), bytes(8));
}

#[test]
fn points_are_as_many_as_asked_for_in_order_of_time_and_within_the_window() {
    let (batches, told) = made(2, 100_000);
    let count: usize = batches.iter().map(|b| b.points.len()).sum();
    assert_eq!(count, 100_000);
    assert_eq!(told["rows"], 100_000);
    let now = told["asked"]["now_ns"].as_u64().unwrap();
    let times: Vec<_> = batches.iter().map(|b| b.points[0].time_ns).collect();
    assert!(times.is_sorted());
    assert!(times[0] >= now - 7 * DAY_NS && *times.last().unwrap() < now);
    let mut seen = BTreeSet::new();
    for row in batches.iter().flat_map(Batch::rows) {
        let point = row.point;
        let series = (row.instance, point.metric.name, point.model);
        assert!(seen.insert((series, point.time_ns)), "a point comes twice");
    }
}

#[test]
fn a_million_points_have_the_series_and_kinds_that_are_stated() {
    let options = Options::points(1, 1_000_000);
    let processes = processes(&options);
    let series: usize = processes.values().map(|p| p.series.len()).sum();
    assert!((8_000..=12_000).contains(&series), "{series}");
    let planned: u64 = processes.values().map(Process::points).sum();
    assert!((1_000_000..1_000_100).contains(&planned), "{planned}");
    let (batches, _) = made(1, 100_000);
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    for point in batches.iter().flat_map(|b| &b.points) {
        *kinds.entry(point.metric.kind.name()).or_default() += 1;
    }
    assert!((45_000..=55_000).contains(&kinds["gauge"]), "{kinds:?}");
    assert!((35_000..=45_000).contains(&kinds["sum"]), "{kinds:?}");
    assert!((8_000..=12_000).contains(&kinds["histogram"]), "{kinds:?}");
}

/// Exports of a process come at regular times.
#[test]
fn a_process_exports_all_of_its_series_at_its_interval() {
    let (batches, _) = made(4, 60_000);
    let mut of_process: BTreeMap<&str, Vec<&Batch>> = BTreeMap::new();
    for batch in &batches[..batches.len() - 1] {
        of_process.entry(&batch.instance).or_default().push(batch);
    }
    for exports in of_process.values() {
        assert!(
            exports
                .iter()
                .all(|b| b.points.len() == exports[0].points.len())
        );
        let gaps = exports.windows(2);
        let gaps: Vec<_> = gaps
            .map(|two| two[1].points[0].time_ns - two[0].points[0].time_ns)
            .collect();
        let regular = |gap: &u64| {
            INTERVALS_S
                .iter()
                .any(|s| gap.abs_diff(s * SECOND_NS) <= LATE_NS)
        };
        assert!(gaps.iter().all(regular), "{gaps:?}");
    }
}

/// Here the request is read back, field by field.
#[test]
fn requests_hold_the_points() {
    let (batches, _) = made(1, 400);
    for batch in &batches {
        let mut points: Vec<_> = batch.points.iter().collect();
        let request = fields(&export_request(batch));
        let group = fields(&request[0].1);
        let instance = batch.instance.as_bytes();
        assert!(group[0].1.windows(instance.len()).any(|w| w == instance));
        for (_, scope) in group.iter().filter(|f| f.0 == 2) {
            for (_, metric) in fields(scope).into_iter().filter(|f| f.0 == 2) {
                let metric = fields(&metric);
                let (kind, data) = metric.last().unwrap();
                for (_, point) in fields(data).into_iter().filter(|f| f.0 == 1) {
                    let made = points.remove(0);
                    assert_eq!(metric[0].1, made.metric.name.as_bytes());
                    check_point(*kind, &fields(&point), made);
                }
            }
        }
        assert!(points.is_empty(), "{} points are missing", points.len());
    }
}

fn check_point(kind: u64, got: &[(u64, Vec<u8>)], made: &Point) {
    let one = |n| got.iter().find(|f| f.0 == n).map(|f| f.1.clone());
    let eight = |n| u64::from_le_bytes(one(n).unwrap().try_into().unwrap());
    assert_eq!(eight(3), made.time_ns);
    assert_eq!(one(2).is_some(), made.metric.kind != Kind::Gauge);
    match &made.figure {
        Figure::Whole(n) => assert_eq!(eight(6), n.cast_unsigned()),
        Figure::Real(x) => assert_eq!(eight(4), x.to_bits()),
        Figure::Histogram(of) => {
            assert_eq!(eight(4), of.buckets.iter().sum::<u64>());
            assert_eq!(f64::from_bits(eight(5)).to_bits(), of.sum.to_bits());
            assert_eq!(one(6).unwrap().len(), 8 * (BOUNDS.len() + 1));
            assert_eq!(one(7).unwrap().len(), 8 * BOUNDS.len());
        }
    }
    let (field, attributes) = match made.metric.kind {
        Kind::Gauge => (5, 7),
        Kind::Sum => (7, 7),
        Kind::Histogram => (9, 9),
    };
    assert_eq!(kind, field);
    assert_eq!(one(attributes).is_some(), made.metric.of_models);
}

#[test]
fn answers_are_those_of_a_plain_search_through_the_points() {
    let (batches, told) = made(5, 150_000);
    let rows = of_project(&batches);
    let (asked, answers) = (&told["asked"], &told["answers"]);
    let now = asked["now_ns"].as_u64().unwrap();
    let today = |r: &&Row<'_>| r.point.time_ns >= now - DAY_NS;
    let named = |name: &str| {
        let name = asked[name].as_str().unwrap().to_owned();
        rows.iter().filter(move |r| r.point.metric.name == name)
    };

    let series = named("wide")
        .filter(today)
        .filter(|r| asked["instance"] == r.instance && asked["model"] == r.point.model);
    let series: Vec<_> = series
        .map(|r| {
            Json::from(vec![
                Json::from(r.point.time_ns),
                Json::from(number(&r.point.figure)),
            ])
        })
        .collect();
    assert!(series.len() >= 100, "{}", series.len());
    assert_eq!(answers["P1"], Json::from(series));

    let sum: f64 = named("counter").map(|r| number(&r.point.figure)).sum();
    let models = answers["P3"].as_object().unwrap();
    let told: f64 = models.values().map(|m| m[0].as_f64().unwrap()).sum();
    assert_eq!(told.to_bits(), sum.to_bits(), "exact in any order");
    let buckets = answers["P2"].as_object().unwrap();
    let counted: u64 = buckets.values().map(|b| b[0].as_u64().unwrap()).sum();
    assert_eq!(
        usize::try_from(counted).unwrap(),
        named("gauge").filter(today).count()
    );
    let total: f64 = buckets
        .values()
        .map(|b| b[0].as_f64().unwrap() * b[1].as_f64().unwrap())
        .sum();
    let sum: f64 = named("gauge")
        .filter(today)
        .map(|r| number(&r.point.figure))
        .sum();
    assert!((total - sum).abs() < 1e-6, "{total} {sum}");
    for (service, told) in answers["P4"].as_object().unwrap() {
        let of = named("wide").filter(|r| r.from.service == *service);
        let mut of: Vec<_> = of.map(|r| number(&r.point.figure)).collect();
        of.sort_by(f64::total_cmp);
        assert_eq!(told[0], of.len());
        let low = told[1][0][0].as_f64().unwrap();
        let below = of.iter().filter(|x| **x < low).count() * 100 / of.len();
        assert!((85..=95).contains(&below), "{below}% are below");
    }
    let names = answers["P5"].as_object().unwrap();
    assert_eq!(names.len(), METRICS.len());
    let counted: u64 = names.values().map(|n| n[0].as_u64().unwrap()).sum();
    assert_eq!(usize::try_from(counted).unwrap(), rows.len());
    let calls: f64 = named("histogram")
        .filter(today)
        .map(|r| number(&r.point.figure))
        .sum();
    let told: f64 = answers["P7"]
        .as_object()
        .unwrap()
        .values()
        .map(|s| s[1].as_f64().unwrap())
        .sum();
    assert_eq!(told.to_bits(), calls.to_bits());
}

/// The list may end within an export, whose points are all of one time.
#[test]
fn the_newest_of_a_host_are_told_with_all_that_are_as_old_as_the_last() {
    let (batches, told) = made(6, 60_000);
    let host = told["asked"]["host"].as_str().unwrap();
    let rows = of_project(&batches);
    let mut times: Vec<_> = rows
        .iter()
        .filter(|r| r.from.host == host)
        .map(|r| r.point.time_ns)
        .collect();
    times.sort_unstable_by(|a, b| b.cmp(a));
    let last = times[LIST - 1];
    let told = told["answers"]["P6"].as_array().unwrap();
    assert!(told.len() > LIST, "{}", told.len());
    assert_eq!(told.len(), times.iter().filter(|t| **t >= last).count());
    let told: Vec<_> = told.iter().map(|row| row[0].as_u64().unwrap()).collect();
    assert_eq!(told, times[..told.len()]);
}
