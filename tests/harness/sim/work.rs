//! Random requests: new spans, updates, late and duplicate ones, runs, scores, logs, points, deletes,
//! controls.

use obsrv_engine::engine::{Deletion, RowAt};
use obsrv_engine::row::RowKey;
use obsrv_wal::sim::SimRng;

use super::ledger::Asked;
use crate::toy;

pub(super) const PROJECTS: u64 = 3;
pub(super) const TRACES: u64 = 6;
const SPANS: u64 = 8;
/// Between two points of a series, nanoseconds.
const POINT_APART_NS: u64 = 1_200_000_000_000;

/// The next request. Ids repeat often, so that most requests meet older rows.
pub(super) fn next(rng: &SimRng, serial: u64) -> Asked {
    let project = 1 + rng.below(PROJECTS);
    match rng.below(12) {
        0 => Asked::Delete {
            project,
            deletion: deletion(rng.below(TRACES), serial),
        },
        1 => Asked::Control {
            body: format!("control {serial}"),
        },
        _ => ingest(rng, project, serial),
    }
}

/// The next request for rows.
pub(super) fn rows(rng: &SimRng, serial: u64) -> Asked {
    ingest(rng, 1 + rng.below(PROJECTS), serial)
}

/// A delete of a trace or of a part of what there is. It takes no more from the dice than before there
/// were parts.
fn deletion(trace: u64, serial: u64) -> Deletion {
    let id = serial % SPANS;
    let row = |id: String, start: u64| RowAt {
        key: RowKey {
            trace_id: format!("t{trace}").into(),
            id: id.into(),
        },
        start_ns: i64::try_from(start).expect("small"),
    };
    let ids = (0..4).map(|n| (id + n) % SPANS);
    match serial % 6 {
        0 => Deletion::Run(format!("t{trace}").into()),
        1 => Deletion::Logs(ids.map(|id| row(format!("l{id}"), id)).collect()),
        2 => Deletion::Points(
            ids.map(|id| row(id.to_string(), POINT_APART_NS * id))
                .collect(),
        ),
        _ => Deletion::Trace(format!("t{trace}").into()),
    }
}

fn ingest(rng: &SimRng, project: u64, serial: u64) -> Asked {
    let trace = rng.below(TRACES);
    let mut body = String::new();
    for _ in 0..=rng.below(5) {
        body += &line(rng, trace);
        body.push('\n');
    }
    body += &signals(trace, serial);
    // The request's own row: whether it is there says whether the record is.
    body += &format!("score|marks|m{serial}|1||{serial}||serial={serial}");
    if rng.below(9) == 0 {
        // Large enough for a side file.
        body += &format!(",long={}", "x".repeat(2000));
    }
    let events = toy::events(body.as_bytes()).expect("the generator writes toy bodies");
    Asked::Ingest {
        project,
        body,
        events,
    }
}

fn line(rng: &SimRng, trace: u64) -> String {
    let id = rng.below(SPANS);
    let version = rng.below(4);
    let partial = if rng.chance(3) { "p" } else { "" };
    let start = 1_000_000_000 * (1 + rng.below(5000));
    let end = if rng.chance(4) {
        String::new()
    } else {
        (start + rng.below(1000)).to_string()
    };
    let status = ["success", "error", "running"][usize::try_from(rng.below(3)).unwrap_or(0)];
    let content = format!(
        "status={status},name=n{},k{}={}",
        rng.below(3),
        rng.below(3),
        rng.below(5)
    );
    match rng.below(8) {
        0 => format!("run|t{trace}|t{trace}|{version}|{partial}|{start}|{end}|{content}"),
        1 => format!(
            "score|t{trace}|c{id}|{version}||{start}|{end}|score={}",
            rng.below(9)
        ),
        _ => format!("span|t{trace}|s{id}|{version}|{partial}|{start}|{end}|{content}"),
    }
}

/// Lines of logs and points, of some requests. They take nothing from the dice, so that what befalls
/// the others stays the same.
fn signals(trace: u64, serial: u64) -> String {
    let mut lines = String::new();
    if serial.is_multiple_of(3) {
        let id = serial / 3 % SPANS;
        // The same line again is the same row: it has no version.
        lines += &format!("log|t{trace}|l{id}|0||{id}||level=n{id},k1={}\n", id % 5);
    }
    if serial.is_multiple_of(4) {
        // A point's time is its name; a trace's id stands for a series.
        let id = serial / 4 % SPANS;
        let at = POINT_APART_NS * id;
        lines += &format!("point|t{trace}|{id}|0||{at}||k1={}\n", serial % 3);
    }
    lines
}
