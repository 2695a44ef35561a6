//! Which spans are shown beside series, worked out again from what the test made.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::query::traceql::{EXEMPLARS_ALL_MAX, EXEMPLARS_MAX, Exemplar, Series};

const MS: i64 = 1_000_000;

fn asked(world: &World, text: &str, (to_ns, step_ns): (i64, i64), most: usize) -> Vec<Series> {
    let visible: Vec<_> = world.sources.iter().map(|s| s.visible("spans")).collect();
    let request = SeriesRequest {
        query: &parse(text).unwrap(),
        from_ns: 0,
        to_ns,
        step_ns,
        exemplars: most,
    };
    let runs = [world.run_source.visible("runs")];
    series(&visible, &runs, &BUDGET, &request).unwrap().series
}

fn shown(exemplars: &[Exemplar]) -> Vec<String> {
    let shown = exemplars
        .iter()
        .map(|one| format!("{}/{}={}", one.trace_id, one.span_id, one.value));
    shown.collect()
}

fn spans() -> Vec<TestRow> {
    vec![
        span(
            "t",
            "a",
            0,
            Some(3_000 * MS),
            "attributes.n=1 attributes.x=p",
        ),
        span(
            "t",
            "b",
            MS,
            Some(5_000 * MS),
            "attributes.n=9 attributes.x=q parent_id=a",
        ),
        span(
            "t",
            "c",
            2 * MS,
            Some(2_000 * MS),
            "attributes.n=4 attributes.x=p",
        ),
        span(
            "u",
            "a",
            5 * MS,
            Some(1_000 * MS),
            "attributes.n=9 attributes.x=p",
        ),
        span("u", "b", 5 * MS, Some(1_000 * MS), "attributes.n=2"),
        span("u", "c", 9 * MS, None, ""),
    ]
}

#[test]
fn each_stretch_of_time_shows_the_span_that_stands_out() {
    let world = World::new(spans(), Vec::new(), &[0, 1, 2]);
    let of = |text: &str, most: usize| -> Vec<Vec<String>> {
        let found = asked(&world, text, (10 * MS, 5 * MS), most);
        found.iter().map(|one| shown(&one.exemplars)).collect()
    };
    // Spans are counted: the earliest of each half, with the point of its step.
    assert_eq!(of("{} | count_over_time()", 2), [["t/a=3", "u/a=3"]]);
    assert_eq!(of("{} | rate()", 1), [["t/a=600"]]);
    assert_eq!(of("{} | rate()", 0), [[""; 0]]);
    // Numbers: the largest, or the smallest; with its own number.
    assert_eq!(of("{} | max_over_time(.n)", 2), [["t/b=9", "u/a=9"]]);
    assert_eq!(of("{} | min_over_time(.n)", 2), [["t/a=1", "u/b=2"]]);
    assert_eq!(of("{} | avg_over_time(duration)", 2), [["t/b=5", "u/a=1"]]);
    assert_eq!(
        of("{} | sum_over_time(.n) by (.x)", 2),
        [vec!["u/b=2"], vec!["t/c=4", "u/a=9"], vec!["t/b=9"]]
    );
    // Of the whole trace, too.
    assert_eq!(of("{} > {} | count_over_time()", 2), [["t/b=1"]]);
    // Of several quantiles the nearest.
    assert_eq!(
        of("{} | quantile_over_time(.n, 0, 1)", 2),
        [vec![], vec!["t/b=9", "u/a=9"]]
    );
    // A bucket shows spans of its own, with how many it has.
    assert_eq!(
        of("{} | histogram_over_time(.n)", 2),
        [
            vec!["t/a=1"],
            vec!["u/b=1"],
            vec!["t/c=1"],
            vec!["t/b=1", "u/a=1"]
        ]
    );
    // What has no point shows no span.
    assert_eq!(
        of("{} | count_over_time() by (.x) > 1", 2),
        [["u/b=2"], ["t/a=2"]]
    );
    assert_eq!(
        of("{} | count_over_time() by (.x) | topk(1)", 2),
        [vec!["u/b=2"], vec!["t/a=2"]]
    );
    // Of what is calculated the point, whatever the numbers of the spans.
    assert_eq!(
        of("({} | max_over_time(.n)) * 2", 2),
        [["t/b=18", "u/a=18"]]
    );
    assert_eq!(
        of("({} | max_over_time(.n)) - ({} | min_over_time(.n))", 2),
        [["t/a=8", "u/a=7"]]
    );
    // The side that goes with every series of the other shows none.
    assert_eq!(
        of(
            "({ .x = \"q\" } | count_over_time() by (.x)) / ({} | count_over_time())",
            2
        ),
        [["t/b=0.3333333333333333"]]
    );
    assert_eq!(of("{} | compare({ .x = \"q\" })", 2).concat(), [""; 0]);
}

#[test]
fn so_many_are_shown_and_no_more() {
    let request = |most: usize| {
        let request = SeriesRequest {
            query: &parse("{} | rate()").unwrap(),
            from_ns: 0,
            to_ns: 1_000 * MS,
            step_ns: 100 * MS,
            exemplars: most,
        };
        series(&[], &[], &BUDGET, &request).map(|found| found.series.len())
    };
    assert!(request(EXEMPLARS_MAX).is_ok());
    assert!(matches!(
        request(EXEMPLARS_MAX + 1),
        Err(QueryError::LimitTooLarge(_))
    ));
    // One in each stretch of each series: at the limit all of them, one more halves the stretches.
    let each = EXEMPLARS_MAX;
    let groups = EXEMPLARS_ALL_MAX / each;
    let at = |n: usize| i64::try_from(n).unwrap() * 10 * MS;
    let mut spans: Vec<TestRow> = (0..groups)
        .flat_map(|group| {
            (0..each).map(move |n| {
                let says = format!("attributes.g=g{group}");
                span("t", &format!("{group}-{n}"), at(n), Some(1), &says)
            })
        })
        .collect();
    let counts = |spans: &[TestRow], sources: &[usize]| -> Vec<usize> {
        let world = World::new(spans.to_vec(), Vec::new(), sources);
        let found = asked(&world, "{} | rate() by (.g)", (1_000 * MS, 100 * MS), each);
        found.iter().map(|one| one.exemplars.len()).collect()
    };
    assert_eq!(counts(&spans, &[0, 1, 2, 3]), vec![each; groups]);
    spans.push(span("t", "one-more", at(0), Some(1), "attributes.g=z"));
    let mut halved = vec![each / 2; groups];
    halved.push(1);
    for sources in [&[0][..], &[3, 2, 1, 0], &[1, 0, 0, 0, 0, 0, 0]] {
        assert_eq!(counts(&spans, sources), halved);
    }
    // What is calculated with shares the room.
    let world = World::new(spans, Vec::new(), &[0]);
    let text = "({} | rate() by (.g)) / ({} | rate() by (.g))";
    let found = asked(&world, text, (1_000 * MS, 100 * MS), each);
    assert!(found.iter().all(|one| one.exemplars.len() <= each / 4 + 1));
    assert!(found.iter().all(|one| !one.exemplars.is_empty()));
}

#[test]
fn more_series_than_half_of_all_show_one_span_each() {
    let groups = EXEMPLARS_ALL_MAX / 2 + 1;
    let spans: Vec<TestRow> = (0..groups)
        .flat_map(|group| {
            // In the first stretch and in the last.
            [0, 999].map(|at| {
                let says = format!("attributes.g=g{group}");
                span("t", &format!("{group}-{at}"), at * MS, Some(1), &says)
            })
        })
        .collect();
    let world = World::new(spans, Vec::new(), &[0]);
    let text = "{} | rate() by (.g)";
    let found = asked(&world, text, (1_000 * MS, 1_000 * MS), EXEMPLARS_MAX);
    assert_eq!(found.len(), groups);
    for one in found {
        assert_eq!(one.exemplars.len(), 1);
        assert_eq!(one.exemplars[0].start_ns, 0);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever the order and the sources, it is the first by number, start and ids.
    #[test]
    fn the_choice_is_the_first_of_each_stretch(
        rows in prop::collection::vec((0..3u8, 0i64..12, 0i64..4, 0..4usize), 0..40),
        most in 1usize..5,
        is_count in any::<bool>(),
    ) {
        let made: Vec<TestRow> = rows.iter().enumerate().map(|(n, (trace, start, number, _))| {
            span(&format!("t{trace}"), &format!("s{n}"), start * MS, Some(1), &format!("attributes.n={number}"))
        }).collect();
        let at: Vec<usize> = rows.iter().map(|(.., at)| *at).chain([0]).collect();
        let world = World::new(made, Vec::new(), &at);
        let text = if is_count { "{} | count_over_time()" } else { "{} | max_over_time(.n)" };
        let found = asked(&world, text, (12 * MS, 12 * MS), most);
        let mut first: BTreeMap<i64, (i64, i64, String, String)> = BTreeMap::new();
        for (n, (trace, start, number, _)) in rows.iter().enumerate() {
            let number = if is_count { 0 } else { -number };
            let one = (number, *start, format!("t{trace}"), format!("s{n}"));
            let stretch = start * i64::try_from(most).unwrap() / 12;
            let kept = first.entry(stretch).or_insert_with(|| one.clone());
            if one < *kept {
                *kept = one;
            }
        }
        let expected: Vec<String> = first.into_values().map(|(_, _, trace, id)| format!("{trace}/{id}")).collect();
        let got: Vec<String> = found.iter().flat_map(|one| &one.exemplars)
            .map(|one| format!("{}/{}", one.trace_id, one.span_id)).collect();
        prop_assert_eq!(got, expected);
    }
}
