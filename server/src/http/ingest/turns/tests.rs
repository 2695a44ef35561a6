//! The turns of bodies against a plain model, and their promises.

use proptest::prelude::*;

use super::*;

const SMALL: Bounds = Bounds {
    work: 16 << 10,
    waiting: 8,
    waiting_per_project: 4,
};

fn runs((asked, begun): (Asked, Vec<Ticket>)) -> Ticket {
    match (asked, &begun[..]) {
        (Asked::Runs(ticket), []) => ticket,
        other => panic!("{other:?}"),
    }
}

fn waits((asked, begun): (Asked, Vec<Ticket>)) -> Ticket {
    match (asked, &begun[..]) {
        (Asked::Waits(ticket), []) => ticket,
        other => panic!("{other:?}"),
    }
}

/// Sends 1 KiB until one does not begin: what is in work then, and the one that waits.
fn fill(turns: &mut Turns, project: u64) -> (Vec<Ticket>, Ticket) {
    let mut begun = Vec::new();
    loop {
        match turns.ask(project, 1 << 10).0 {
            Asked::Runs(ticket) => begun.push(ticket),
            Asked::Waits(ticket) => return (begun, ticket),
            Asked::Full => panic!("full"),
        }
    }
}

#[test]
fn a_project_has_half_of_the_work_and_another_begins_at_once() {
    let mut turns = Turns::new(SMALL);
    let (begun, _) = fill(&mut turns, 1);
    assert_eq!(begun.len(), 8);
    let (others, _) = fill(&mut turns, 2);
    assert_eq!(others.len(), 8);
    assert_eq!(turns.work(), SMALL.work);
    waits(turns.ask(3, 1));
}

#[test]
fn a_project_steps_back_while_another_is_there_that_waits_for_nothing() {
    let mut turns = Turns::new(SMALL);
    let (begun, next) = fill(&mut turns, 1);
    let more = waits(turns.ask(1, 1));
    let other = runs(turns.ask(2, 1));
    for ticket in &begun[..6] {
        assert_eq!(turns.done(*ticket), []);
    }
    assert_eq!(turns.done(begun[6]), [next]);
    // It is there for as long as it is among the last that began.
    assert_eq!(turns.done(other), []);
    assert_eq!(turns.done(begun[7]), [more]);
}

#[test]
fn a_project_has_its_half_again_once_another_is_long_gone() {
    // Of the last that began the other's is the oldest, or was it.
    for (others, most) in [(RECENT - 3, 2), (RECENT - 1, 8)] {
        let mut turns = Turns::new(SMALL);
        let gone = runs(turns.ask(2, 1));
        assert_eq!(turns.done(gone), []);
        for _ in 0..others {
            let ticket = runs(turns.ask(1, 1));
            assert_eq!(turns.done(ticket), []);
        }
        assert_eq!(turns.lanes.len(), 2);
        let (begun, _) = fill(&mut turns, 1);
        assert_eq!(begun.len(), most);
        assert_eq!(turns.lanes.len(), if most == 2 { 2 } else { 1 });
    }
}

#[test]
fn one_that_has_to_wait_itself_holds_back_nobody() {
    let mut turns = Turns::new(SMALL);
    let (begun, next) = fill(&mut turns, 1);
    runs(turns.ask(2, 1));
    runs(turns.ask(2, 1));
    assert_eq!(turns.done(begun[0]), []);
    let (asked, others) = turns.ask(2, 16 << 10);
    assert_eq!(others, [next]);
    waits((asked, Vec::new()));
}

#[test]
fn projects_begin_in_turn_however_many_of_one_wait() {
    let mut turns = Turns::new(SMALL);
    let (first, a) = fill(&mut turns, 1);
    let (second, x) = fill(&mut turns, 2);
    let b = waits(turns.ask(1, 1));
    waits(turns.ask(2, 1));
    let c = waits(turns.ask(3, 1));
    waits(turns.ask(3, 1));
    assert_eq!(turns.done(first[0]), [a]);
    assert_eq!(turns.done(second[0]), [x]);
    assert_eq!(turns.done(second[1]), [c]);
    assert_eq!(turns.done(first[1]), [b]);
}

#[test]
fn a_large_body_counts_a_quarter_and_is_not_overtaken() {
    let mut turns = Turns::new(SMALL);
    let (first, a) = fill(&mut turns, 1);
    let (_, x) = fill(&mut turns, 2);
    for gone in [a, x] {
        assert_eq!(turns.leave(gone), []);
    }
    let large = waits(turns.ask(3, 1 << 30));
    let small = waits(turns.ask(4, 1));
    for ticket in &first[..3] {
        assert_eq!(turns.done(*ticket), []);
    }
    assert_eq!(turns.done(first[3]), [large]);
    assert_eq!(turns.work(), SMALL.work);
    assert_eq!(turns.done(first[4]), [small]);
}

#[test]
fn no_more_wait_than_may_of_one_project_and_of_all() {
    let mut turns = Turns::new(SMALL);
    let (begun, _) = fill(&mut turns, 1);
    for _ in 1..SMALL.waiting_per_project {
        waits(turns.ask(1, 1));
    }
    assert_eq!(turns.ask(1, 1).0, Asked::Full);
    fill(&mut turns, 2);
    for _ in 1..SMALL.waiting_per_project {
        waits(turns.ask(2, 1));
    }
    assert_eq!(turns.waiting(), SMALL.waiting);
    // Who waits for nothing may wait; for another place there is no more room.
    waits(turns.ask(3, 1));
    assert_eq!(turns.ask(3, 1).0, Asked::Full);
    turns.done(begun[0]);
    turns.done(begun[1]);
    waits(turns.ask(3, 1));
}

#[test]
fn who_need_not_wait_is_let_in_however_many_do() {
    let mut turns = Turns::new(Bounds {
        waiting: 1,
        ..SMALL
    });
    fill(&mut turns, 1);
    runs(turns.ask(2, 1));
    assert_eq!(turns.ask(1, 1).0, Asked::Full);
}

#[test]
fn the_work_grows_with_the_processors() {
    let work = |processors, memory| Bounds::of(processors, memory).work;
    assert_eq!(work(0, 1 << 30), work(1, 1 << 30));
    assert_eq!(work(2, 1 << 30), 2 * INGEST_WORK_BYTES_PER_PROCESSOR);
    assert_eq!(work(64, 128 << 20), 4 << 20);
}

#[derive(Clone, Debug)]
enum Step {
    Ask(u64, usize),
    Done(usize),
    Leave(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1_u64..4, prop_oneof![0_usize..3000, 3000_usize..20_000]).prop_map(|(p, n)| Step::Ask(p, n)),
        3 => any::<usize>().prop_map(Step::Done),
        1 => any::<usize>().prop_map(Step::Leave),
    ]
}

/// Who is in work and who waits, as told by the answers.
#[derive(Default)]
struct Seen {
    work: Vec<Ticket>,
    waiting: Vec<Ticket>,
    began: usize,
}

impl Seen {
    fn begin(&mut self, begun: &[Ticket]) {
        self.began += begun.len();
        for ticket in begun {
            let place = self.waiting.iter().position(|waits| waits == ticket);
            self.work.push(self.waiting.remove(place.unwrap()));
        }
    }

    fn cost(&self, project: Option<u64>) -> u64 {
        let is_of = |ticket: &&Ticket| project.is_none_or(|p| p == ticket.project);
        self.work.iter().filter(is_of).map(|t| t.cost).sum()
    }

    fn check(&self, turns: &Turns) {
        assert_eq!(turns.work(), self.cost(None));
        assert_eq!(turns.waiting(), self.waiting.len());
        assert!(turns.work() <= SMALL.work);
        assert_eq!(turns.recent.len(), self.began.min(RECENT));
        for (project, lane) in &turns.lanes {
            let recent = turns.recent.iter().filter(|of| *of == project).count();
            assert_eq!(lane.recent, recent);
            assert!(!lane.is_gone());
        }
        let free = SMALL.work - turns.work();
        let may = |project| {
            let next = self.first(project)?;
            (!self.has_part(next, turns)).then_some(next)
        };
        let has_no_room = |project| may(project).is_some_and(|next: Ticket| next.cost > free);
        let is_blocked = (1..4).any(has_no_room);
        for project in 1..4 {
            // Whoever waits has its part, or somebody is next for whom there is no room.
            assert!(may(project).is_none() || is_blocked, "{project}");
        }
    }

    /// Of those of a project that wait, who came first.
    fn first(&self, project: u64) -> Option<Ticket> {
        let own = self.waiting.iter().filter(|t| t.project == project);
        own.min_by_key(|t| t.number).copied()
    }

    /// Whether the project of one that waits has as much in work as it may.
    fn has_part(&self, next: Ticket, turns: &Turns) -> bool {
        let own = self.cost(Some(next.project));
        let is_there = |project| self.cost(Some(project)) > 0 || turns.recent.contains(&project);
        let waits_for_nothing = |project| is_there(project) && self.first(project).is_none();
        let share = if (1..4).any(waits_for_nothing) { 8 } else { 2 };
        own > 0 && own + next.cost > SMALL.work / share
    }
}

proptest! {
    #[test]
    fn work_is_bounded_and_nobody_waits_without_a_reason(steps in prop::collection::vec(step(), 1..300)) {
        let mut turns = Turns::new(SMALL);
        let mut seen = Seen::default();
        for step in steps {
            match step {
                Step::Ask(project, bytes) => {
                    let own = seen.waiting.iter().filter(|t| t.project == project).count();
                    let may_wait = own == 0 || own < SMALL.waiting_per_project && seen.waiting.len() < SMALL.waiting;
                    let (asked, begun) = turns.ask(project, bytes);
                    seen.begin(&begun);
                    match asked {
                        Asked::Runs(ticket) => {
                            seen.began += 1;
                            seen.work.push(ticket);
                        }
                        Asked::Waits(ticket) => {
                            prop_assert!(may_wait);
                            seen.waiting.push(ticket);
                        }
                        Asked::Full => prop_assert!(!may_wait),
                    }
                }
                Step::Done(at) if !seen.work.is_empty() => {
                    let ticket = seen.work.swap_remove(at % seen.work.len());
                    let begun = turns.done(ticket);
                    seen.begin(&begun);
                }
                Step::Leave(at) if !seen.waiting.is_empty() => {
                    let ticket = seen.waiting.remove(at % seen.waiting.len());
                    let begun = turns.leave(ticket);
                    seen.begin(&begun);
                    prop_assert!(turns.leave(ticket).is_empty(), "left twice");
                }
                Step::Done(_) | Step::Leave(_) => {}
            }
            seen.check(&turns);
        }
        while let Some(ticket) = seen.work.pop() {
            let begun = turns.done(ticket);
            seen.begin(&begun);
        }
        prop_assert_eq!((turns.work(), turns.waiting()), (0, 0));
    }
}
