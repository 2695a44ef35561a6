//! The scheduler against a plain model, and its promises.

use proptest::prelude::*;

use super::*;

const SMALL: [Bounds; 2] = [
    Bounds {
        running: 2,
        waiting: 6,
        waiting_per_project: 3,
    },
    Bounds {
        running: 1,
        waiting: 4,
        waiting_per_project: 2,
    },
];

/// The same by going through a list: whose project had its turn longest ago, or began to wait first.
#[derive(Default)]
struct Model {
    running: usize,
    waiting: Vec<Ticket>,
    /// Projects that wait, by when they had a turn, or began to wait.
    since: Vec<(u64, u64)>,
    now: u64,
}

impl Model {
    fn of(&self, project: u64) -> usize {
        let own = |ticket: &&Ticket| ticket.project == project;
        self.waiting.iter().filter(own).count()
    }

    fn may_wait(&self, project: u64, bounds: Bounds) -> Option<Full> {
        if self.of(project) >= bounds.waiting_per_project {
            return Some(Full::OfProject(bounds.waiting_per_project));
        }
        (self.waiting.len() >= bounds.waiting).then_some(Full::OfAll(bounds.waiting))
    }

    fn stamp(&mut self, project: u64) {
        self.now += 1;
        self.since.retain(|(of, _)| *of != project);
        if self.of(project) > 0 {
            self.since.push((project, self.now));
        }
    }

    fn wait(&mut self, ticket: Ticket) {
        self.waiting.push(ticket);
        if self.of(ticket.project) == 1 {
            self.stamp(ticket.project);
        }
    }

    fn next(&mut self) -> Option<Ticket> {
        let (project, _) = *self.since.iter().min_by_key(|(_, since)| *since)?;
        let at = self.waiting.iter().position(|t| t.project == project)?;
        let next = self.waiting.remove(at);
        self.stamp(project);
        Some(next)
    }

    fn leave(&mut self, ticket: Ticket) {
        self.waiting.retain(|waiting| *waiting != ticket);
        if self.of(ticket.project) == 0 {
            self.since.retain(|(of, _)| *of != ticket.project);
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Ask(bool, u64),
    Done(bool),
    Leave(bool, prop::sample::Index),
}

fn class(heavy: bool) -> Class {
    if heavy { Class::Heavy } else { Class::Light }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (any::<bool>(), 0u64..4).prop_map(|(heavy, project)| Step::Ask(heavy, project)),
        2 => any::<bool>().prop_map(Step::Done),
        1 => (any::<bool>(), any::<prop::sample::Index>()).prop_map(|(h, i)| Step::Leave(h, i)),
    ];
    prop::collection::vec(step, 0..200)
}

fn take(turns: &mut Turns, models: &mut [Model; 2], step: &Step) {
    match step {
        Step::Ask(heavy, project) => {
            let (class, bounds) = (class(*heavy), SMALL[usize::from(*heavy)]);
            let model = &mut models[usize::from(*heavy)];
            let asked = turns.ask(class, *project);
            if model.running < bounds.running {
                assert_eq!(asked, Asked::Runs);
                model.running += 1;
            } else if let Some(full) = model.may_wait(*project, bounds) {
                assert_eq!(asked, Asked::Full(full));
            } else {
                let Asked::Waits(ticket) = asked else {
                    panic!("does not wait: {asked:?}");
                };
                assert_eq!((ticket.class, ticket.project), (class, *project));
                model.wait(ticket);
            }
        }
        Step::Done(heavy) => {
            let model = &mut models[usize::from(*heavy)];
            if model.running == 0 {
                return;
            }
            let next = model.next();
            assert_eq!(turns.done(class(*heavy)), next);
            model.running -= usize::from(next.is_none());
        }
        Step::Leave(heavy, which) => {
            let model = &mut models[usize::from(*heavy)];
            if model.waiting.is_empty() {
                return;
            }
            let ticket = *which.get(&model.waiting);
            model.leave(ticket);
            assert!(turns.leave(ticket));
            assert!(!turns.leave(ticket), "left twice");
        }
    }
}

proptest! {
    #[test]
    fn it_does_as_the_model_does(steps in steps()) {
        let (mut turns, mut models) = (Turns::new(SMALL), <[Model; 2]>::default());
        for step in &steps {
            take(&mut turns, &mut models, step);
            for (heavy, model) in [false, true].into_iter().zip(&models) {
                prop_assert_eq!(turns.running(class(heavy)), model.running);
                prop_assert_eq!(turns.waiting(class(heavy)), model.waiting.len());
                // No place stays free while somebody waits.
                let is_full = model.running == SMALL[usize::from(heavy)].running;
                prop_assert!(is_full || model.waiting.is_empty());
            }
        }
        // Nobody is forgotten: once all that runs ends, everything that waits has run.
        for (heavy, model) in [false, true].into_iter().zip(&mut models) {
            while model.running > 0 {
                let next = model.next();
                prop_assert_eq!(turns.done(class(heavy)), next);
                model.running -= usize::from(next.is_none());
            }
            prop_assert!(model.waiting.is_empty());
            prop_assert_eq!((turns.waiting(class(heavy)), turns.running(class(heavy))), (0, 0));
        }
    }
}

fn waits(turns: &mut Turns, class: Class, project: u64) -> Ticket {
    match turns.ask(class, project) {
        Asked::Waits(ticket) => ticket,
        other => panic!("does not wait: {other:?}"),
    }
}

#[test]
fn a_hundred_of_one_project_delay_another_by_one_turn() {
    let many = Bounds {
        running: 1,
        waiting: 1_000,
        waiting_per_project: 500,
    };
    let mut turns = Turns::new([many, many]);
    assert_eq!(turns.ask(Class::Heavy, 1), Asked::Runs);
    let first = waits(&mut turns, Class::Heavy, 1);
    for _ in 1..100 {
        waits(&mut turns, Class::Heavy, 1);
    }
    let other = waits(&mut turns, Class::Heavy, 2);
    assert_eq!(turns.done(Class::Heavy), Some(first));
    assert_eq!(turns.done(Class::Heavy), Some(other));
}

#[test]
fn light_ones_have_places_whatever_heavy_ones_do() {
    let mut turns = Turns::new(BOUNDS);
    for project in 0..u64::try_from(QUERIES_HEAVY_MAX + QUERIES_HEAVY_WAITING_MAX).unwrap() {
        let asked = turns.ask(Class::Heavy, project);
        assert!(!matches!(asked, Asked::Full(_)), "{asked:?}");
    }
    for _ in 0..QUERIES_LIGHT_MAX {
        assert_eq!(turns.ask(Class::Light, 0), Asked::Runs);
    }
    // No end of a heavy one gives its place to a light one.
    let light = waits(&mut turns, Class::Light, 0);
    assert_eq!(turns.done(Class::Heavy).unwrap().class, Class::Heavy);
    assert_eq!(turns.done(Class::Light), Some(light));
}

#[test]
fn queues_are_full_at_their_limits() {
    for class in Class::ALL {
        let (mut turns, bounds) = (Turns::new(BOUNDS), BOUNDS[at(class)]);
        for _ in 0..bounds.running {
            assert_eq!(turns.ask(class, 1), Asked::Runs);
        }
        for _ in 0..bounds.waiting_per_project {
            waits(&mut turns, class, 1);
        }
        let full = Full::OfProject(bounds.waiting_per_project);
        assert_eq!(turns.ask(class, 1), Asked::Full(full));
        for project in 0..bounds.waiting - bounds.waiting_per_project {
            waits(&mut turns, class, 2 + u64::try_from(project).unwrap());
        }
        assert_eq!(turns.waiting(class), bounds.waiting);
        let full = Full::OfAll(bounds.waiting);
        assert_eq!(turns.ask(class, 1 << 40), Asked::Full(full));
        // One that leaves makes room at once.
        turns.done(class);
        waits(&mut turns, class, 1 << 40);
    }
}
