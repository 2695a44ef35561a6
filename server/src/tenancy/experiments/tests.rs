use super::*;

fn arm(id: &str, traffic_pct: u32) -> Arm {
    Arm {
        id: id.to_owned(),
        name: id.to_owned(),
        prompt_snapshot: None,
        model: None,
        traffic_pct,
    }
}

fn terms(arms: Vec<Arm>) -> Terms {
    let name = "Shorter prompt".to_owned();
    Terms { name, arms }
}

#[test]
fn what_clients_cannot_work_with_is_refused_and_named() {
    let halves = || vec![arm("a", 50), arm("b", 50)];
    assert_eq!(terms(halves()).check(), Ok(()));
    assert_eq!(terms(vec![arm("a", 0), arm("b", 100)]).check(), Ok(()));
    let refused = |terms: Terms| {
        let error = terms.check().unwrap_err();
        (error.field().to_owned(), error)
    };
    for (arms, field, error) in [
        (vec![], "arms", TermsError::NoArm),
        (vec![arm("a", 99)], "arms", TermsError::Sum(99)),
        (
            vec![arm("a", 50), arm("b", 51)],
            "arms",
            TermsError::Sum(101),
        ),
        // In 32 bits they would add up to 100.
        (
            vec![arm("a", u32::MAX), arm("b", 101)],
            "arms",
            TermsError::Sum(u64::from(u32::MAX) + 101),
        ),
        (
            vec![arm("a", 50), arm("a", 50)],
            "arms[1].id",
            TermsError::Twice {
                at: "arms[1].id".to_owned(),
            },
        ),
    ] {
        assert_eq!(refused(terms(arms)), (field.to_owned(), error));
    }
    for id in ["", ".", "..", "-a", "a/b", "a b", "ä", "a?", "a%"] {
        assert_eq!(refused(terms(vec![arm(id, 100)])).0, "arms[0].id", "{id:?}");
    }
    let mut nameless = terms(halves());
    nameless.arms[1].name = " ".to_owned();
    assert_eq!(refused(nameless).0, "arms[1].name");
}

#[test]
fn limits_hold_at_and_above() {
    let many = |count: usize| {
        let mut arms: Vec<Arm> = (0..count).map(|n| arm(&format!("a{n}"), 0)).collect();
        arms[0].traffic_pct = 100;
        terms(arms).check()
    };
    assert_eq!(many(EXPERIMENT_ARMS_MAX), Ok(()));
    let over = EXPERIMENT_ARMS_MAX + 1;
    assert_eq!(many(over), Err(TermsError::Arms(over)));
    let id = |bytes: usize| check_id(&"x".repeat(bytes), "id");
    assert_eq!(id(EXPERIMENT_ID_BYTES_MAX), Ok(()));
    assert!(id(EXPERIMENT_ID_BYTES_MAX + 1).is_err());
    let prompt = |bytes: usize| {
        let mut terms = terms(vec![arm("a", 100)]);
        let others = terms.bytes();
        terms.arms[0].prompt_snapshot = Some("x".repeat(bytes - others));
        terms.check()
    };
    assert_eq!(prompt(EXPERIMENT_BYTES_MAX), Ok(()));
    let over = EXPERIMENT_BYTES_MAX + 1;
    assert_eq!(prompt(over), Err(TermsError::Bytes(over)));
}

fn set(number: u64, id: &str, revision: u64) -> ExperimentEvent {
    ExperimentEvent::Set(Experiment {
        number,
        project: 1,
        id: id.to_owned(),
        revision,
        terms: terms(vec![arm("a", 100)]),
    })
}

#[test]
fn an_experiment_is_found_by_its_id_until_it_goes() {
    let mut all = Experiments::default();
    for (event, at_ns) in [
        (set(1, "x", 1), 5),
        (set(2, "y", 1), 6),
        (set(1, "x", 2), 7),
    ] {
        all.apply(&event, at_ns).unwrap();
    }
    let held = all.get(1, "x").unwrap();
    let revision = held.experiment.revision;
    assert_eq!((revision, held.created_ns, held.at_ns), (2, 5, 7));
    assert!(all.get(2, "x").is_none());
    let after = |all: &Experiments, n| {
        let listed = all.of_project(1, n);
        listed
            .map(|held| held.experiment.id.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        (after(&all, 0).len(), after(&all, 1)),
        (2, vec!["y".into()])
    );
    let gone = ExperimentEvent::Deleted {
        project: 1,
        id: "x".to_owned(),
    };
    all.apply(&gone, 8).unwrap();
    assert!(all.apply(&gone, 9).is_err());
    assert!(all.get(1, "x").is_none());
    // Its id is free again; its number is not.
    all.apply(&set(all.next_number(), "x", 1), 10).unwrap();
    assert_eq!(after(&all, 0), ["y", "x"]);
    assert_eq!(all.get(1, "x").unwrap().created_ns, 10);
    // Its revisions go on from those that are gone, also over further changes and deletes.
    assert_eq!(all.get(1, "x").unwrap().revision(), 3);
    all.apply(&set(3, "x", 2), 11).unwrap();
    assert_eq!(all.get(1, "x").unwrap().revision(), 4);
    assert_eq!(all.get(1, "y").unwrap().revision(), 1);
    all.apply(&gone, 12).unwrap();
    assert_eq!((all.revisions_gone(1), all.revisions_gone(2)), (4, 0));
    all.apply(&set(3, "x", 1), 13).unwrap();
    assert_eq!(all.get(1, "x").unwrap().revision(), 5);
    all.forget(1);
    assert_eq!((all.count(1), all.next_number()), (0, 4));
}
