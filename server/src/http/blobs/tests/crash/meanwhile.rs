//! What others do while a request is under way, on the same machine.

use std::time::Duration;

use obsrv_engine::query::Budget;
use obsrv_engine::row::Table;

use super::*;
use crate::http::auth::tests::tenant_of;
use crate::wire;

/// Commits so many records for this, and leaves it when it has one more to be committed; not for long where it waits for
/// another.
async fn left_after(machine: &Machine, mut commits: u32, asked: impl Future<Output = Said>) {
    let queued = || machine.engine().stats().queue_bytes;
    let now = || machine.app.clock.mono_ns();
    let (mut before, end) = (queued(), now() + 300_000_000);
    let mut asked = std::pin::pin!(asked);
    while now() < end {
        tokio::select! {
            biased;
            said = &mut asked => panic!("answered {} without a commit", said.status),
            () = tokio::task::yield_now() => {}
        }
        if queued() > before {
            let Some(left) = commits.checked_sub(1) else {
                return;
            };
            commits = left;
            while machine.engine().commit_step() > 0 {}
            before = queued();
        }
    }
}

/// Somebody who goes away while a removal is written: what is sent again meanwhile is sent after it.
#[tokio::test]
async fn what_comes_while_it_is_removed_is_there_afterwards() {
    let machine = Machine::new(7).await;
    assert!(machine.tell(&Step::Attach(1)).await);
    // Behind its record of the audit log.
    left_after(&machine, 1, machine.asked(request_of(&Step::Remove(1)))).await;
    let again = machine.asked(request_of(&Step::Attach(1)));
    let mut again = std::pin::pin!(again);
    assert!(machine.engine().stats().queue_bytes > 0, "it waits");
    left_after(&machine, 0, &mut again).await;
    assert_eq!(driven(&machine.app, again).await.status, 201);
    let there = There::default().after(&Step::Attach(1));
    machine.has(&there).await.unwrap();
}

/// Each file is read once for an answer, however many rows mean it, and none for somebody who has gone.
#[tokio::test]
async fn an_answer_reads_a_file_once_and_none_when_nobody_waits() {
    let machine = Machine::new(7).await;
    for id in 1..=SPANS {
        assert!(machine.tell(&Step::Span(id, vec![1, 2])).await);
    }
    let calls = || machine.seen.calls.load(Ordering::Relaxed);
    let before = calls();
    let shown = machine.read(&format!("/jaeger/api/traces/{TRACE}")).await;
    let text = String::from_utf8(shown.body).unwrap();
    let whole = text.matches(&STANDARD.encode(picture(1))).count();
    assert_eq!((whole, calls() - before), (3, 2));
    let core = machine.app.core().unwrap();
    let view = core.store(&tenant_of(1, "a")).view();
    let key = format!("{:016x}", 1);
    let found = view.row(Table::Spans, (TRACE, &key)).unwrap().unwrap();
    for (is_gone, reads) in [(true, 0), (false, 2)] {
        let before = calls();
        let cancelled = || is_gone;
        let budget = Budget {
            rows_max: 1,
            bytes_max: u64::MAX,
            read_bytes_max: u64::MAX,
            cancelled: &cancelled,
            processors: None,
            weigh: None,
        };
        let row = wire::row_of(&found.core, &found.body).unwrap();
        let row = view.whole(&budget).row(row);
        assert_eq!((row.is_err(), calls() - before), (is_gone, reads));
    }
}

/// What comes of a request while time goes by faster.
async fn in_no_time(machine: &Machine, step: &Step) -> Said {
    let now = || machine.app.clock.mono_ns();
    let end = now() + 30_000_000_000;
    tokio::time::pause();
    let mut asked = std::pin::pin!(machine.ask(request_of(step)));
    loop {
        tokio::select! {
            biased;
            said = &mut asked => {
                tokio::time::resume();
                return said;
            }
            () = tokio::time::advance(Duration::from_millis(10)) => {
                if now() > end {
                    // Else the put that waits keeps the test from its end.
                    machine.seen.is_stuck.store(false, Ordering::Relaxed);
                    panic!("it waits for good");
                }
            }
        }
    }
}

/// A store that is away, and a lock that somebody has: the trace is there, with its media in its row.
#[tokio::test]
async fn a_trace_waits_for_no_store_and_no_lock() {
    let machine = Machine::new(7).await;
    let blobs = Arc::clone(machine.app.core().unwrap().blobs().unwrap());
    let owner = Owner::new(ProjectId(1), TRACE).unwrap();
    machine.seen.is_stuck.store(true, Ordering::Relaxed);
    let said = in_no_time(&machine, &Step::Span(1, vec![1, 2])).await;
    machine.seen.is_stuck.store(false, Ordering::Relaxed);
    assert_eq!(said.status, 200);
    let alone = blobs.lone_lock(&owner).await.unwrap();
    assert_eq!(
        in_no_time(&machine, &Step::Span(2, vec![3])).await.status,
        200
    );
    let refused = in_no_time(&machine, &Step::Attach(4)).await;
    assert_eq!(refused.status, 503);
    drop(alone);
    for (id, seeds) in [(1, &[1, 2][..]), (2, &[3])] {
        let pictures: Vec<_> = seeds.iter().map(|seed| picture(*seed)).collect();
        let stored = machine.read(&path_of(TRACE, id, "?media=reference")).await;
        assert_eq!(stored.json()["attributes"][KEY], message(&pictures));
    }
    // And goes back to files by itself.
    assert!(machine.tell(&Step::Span(3, vec![4])).await);
    let listed = machine
        .read(&format!("/v1/projects/1/traces/{TRACE}/blobs"))
        .await;
    assert_eq!(listed.json()["data"].as_array().unwrap().len(), 1);
}
