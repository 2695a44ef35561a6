use super::*;

const STEPS: i64 = 1_000;

fn picked(most: Most) -> Picked {
    let steps = Steps {
        from: 0,
        to: STEPS,
        width: STEPS,
        count: 1,
    };
    Picked::new(&Measure::Count, steps, most).unwrap()
}

#[test]
fn one_feed_takes_no_more_room_than_twice_what_is_shown() {
    let most = Most { each: 100, all: 50 };
    let mut who = |place: usize| Ok(("t".into(), place.to_string().into()));
    let offer = |picked: &mut Picked, n: usize, who: Who<'_>| {
        // Later ones come first, so that each is the best so far of its stretch.
        let start_ns = STEPS - 1 - i64::try_from(n).unwrap() % STEPS;
        let at = (start_ns, n);
        picked.offer((n % 7, None), 0.0, at, who).unwrap();
    };
    let mut fed = picked(most);
    let mut often = picked(most);
    for n in 0..10_000 {
        offer(&mut fed, n, &mut who);
        assert!(fed.count <= 2 * most.all && fed.new.len() <= 2 * most.all);
        offer(&mut often, n, &mut who);
        often.settle(&mut who).unwrap();
    }
    fed.settle(&mut who).unwrap();
    assert!(fed.count <= most.all);
    assert_eq!(fed.halved, often.halved);
    for group in 0..7 {
        let (one, other) = (fed.of(group), often.of(group));
        assert!(!one.is_empty());
        let starts = |all: Vec<(Option<Power>, Exemplar)>| -> Vec<(i64, Box<str>)> {
            let of = all.into_iter().map(|(_, x)| (x.start_ns, x.span_id));
            of.collect()
        };
        assert_eq!(starts(one), starts(other));
    }
}
