//! The right answers of L1 to L7, worked out line by line while the workload is made, as those of
//! spans are.

use std::collections::BTreeMap;

use memchr::memmem::Finder;
use serde_json::{Map, Value as Json, json};

use super::{Batch, Row, export_request};
use crate::generator::answers::json::absent_id;
use crate::generator::answers::{LIST, PROJECT};
use crate::generator::keep::Best;
use crate::generator::options::{DAY_NS, Options};
use crate::generator::rng::Rng;
use crate::generator::sender::service;
use crate::generator::trace::{NEEDLE_COMMON, NEEDLE_RARE};

/// Traces that L3 asks for, a tenth of them absent.
const TRACES: u64 = 1_000;
/// Lines of the workload for each trace, about: a sample of traces is to have the right size.
const LINES_A_TRACE: u64 = 16;
/// The service of L2, by rank.
const SERVICE_RANK: usize = 2;
/// The number of the least severity that L2 asks for: `error`.
const SEVERE: u8 = 17;
/// The user of L7: neither the busiest nor one of the many that come once.
const USER: &str = "user-000020";
const HOUR_NS: u64 = DAY_NS / 24;

/// Accumulators, one per query.
#[derive(Debug)]
pub struct Answers {
    now_ns: u64,
    lines: u64,
    projects: usize,
    proto_bytes: u64,
    rare: Finder<'static>,
    common: Finder<'static>,
    service: String,
    newest: Best<u64, Json>,
    severe: Best<u64, Json>,
    with_rare: Best<u64, Json>,
    with_common: u64,
    hours: BTreeMap<(u64, &'static str), u64>,
    of_user: Best<u64, Json>,
    /// Of which trace ids one is kept.
    one_in: u64,
    /// Lines and bytes of their bodies, by trace id and project.
    traces: BTreeMap<(String, usize), (u64, usize)>,
}

impl Answers {
    /// Nothing seen yet.
    pub fn new(options: &Options) -> Self {
        let list = || Best::new(LIST);
        Self {
            now_ns: options.end_ns,
            lines: 0,
            projects: options.projects,
            proto_bytes: 0,
            rare: Finder::new(NEEDLE_RARE),
            common: Finder::new(NEEDLE_COMMON),
            service: service(SERVICE_RANK),
            newest: list(),
            severe: list(),
            with_rare: list(),
            with_common: 0,
            hours: BTreeMap::new(),
            of_user: list(),
            one_in: (options.spans / LINES_A_TRACE / TRACES).max(1),
            traces: BTreeMap::new(),
        }
    }

    /// Takes in the lines of a request.
    pub fn add(&mut self, batch: &Batch) {
        let bytes = export_request(batch).len();
        self.proto_bytes += u64::try_from(bytes).expect("BUG: usize over 64 bits");
        for row in batch.rows() {
            self.row(&row);
        }
    }

    fn row(&mut self, row: &Row<'_>) {
        self.lines += 1;
        let line = row.line;
        if let Some((trace, _)) = &line.place
            && u64::from_le_bytes(*trace.first_chunk().expect("BUG: sixteen bytes")) % self.one_in
                == 0
        {
            let seen = self
                .traces
                .entry((row.trace_id(), row.project))
                .or_default();
            seen.0 += 1;
            seen.1 += line.body.len();
        }
        if row.project != PROJECT {
            return;
        }
        let body = line.body.as_bytes();
        let (at, id) = (line.time_ns, &line.request);
        self.newest.offer(at, id, || shown(row));
        if line.severity_number >= SEVERE && row.from.service == self.service {
            self.severe.offer(at, id, || shown(row));
        }
        if self.rare.find(body).is_some() {
            self.with_rare.offer(at, id, || shown(row));
        }
        self.with_common += u64::from(self.common.find(body).is_some());
        if at >= self.now_ns - DAY_NS {
            let hour = (at / HOUR_NS, line.severity);
            *self.hours.entry(hour).or_default() += 1;
        }
        if line.user == USER {
            self.of_user.offer(at, id, || shown(row));
        }
    }

    /// What is asked, and what is right.
    pub fn into_json(mut self) -> Json {
        let traces = self.asked_traces();
        let mut answers = Map::new();
        let mut put = |name: &str, value: Json| answers.insert(name.to_owned(), value);
        put("L1", self.newest.finish().cloned().collect());
        put("L2", self.severe.finish().cloned().collect());
        let whole = traces.iter().map(|(_, _, seen)| json!([seen.0, seen.1]));
        put("L3", whole.collect());
        put("L4", self.with_rare.finish().cloned().collect());
        put("L5", json!(self.with_common));
        let hours = self.hours.iter();
        let hours = hours.map(|((hour, name), n)| (format!("{hour}|{name}"), json!([n])));
        put("L6", Json::Object(hours.collect()));
        put("L7", self.of_user.finish().cloned().collect());
        let traces: Vec<_> = traces.iter().map(|t| json!([t.0, t.1])).collect();
        json!({
            "rows": self.lines,
            "proto_bytes": self.proto_bytes,
            "asked": {
                "now_ns": self.now_ns, "project": PROJECT, "projects": self.projects,
                "list": LIST, "traces": traces, "service": self.service, "severe": SEVERE,
                "rare": NEEDLE_RARE, "common": NEEDLE_COMMON, "user": USER,
            },
            "answers": answers,
        })
    }

    /// The traces of L3: project, id, and lines and bytes of bodies. A small workload has fewer than are
    /// asked for: some come again.
    fn asked_traces(&self) -> Vec<(usize, String, (u64, usize))> {
        let mut rng = Rng::new(self.lines);
        let mut there = self.traces.iter().cycle();
        (0..TRACES)
            .filter_map(|at| {
                if at % 10 == 9 {
                    return Some((PROJECT, absent_id(&mut rng), (0, 0)));
                }
                let ((id, project), seen) = there.next()?;
                Some((*project, id.clone(), *seen))
            })
            .collect()
    }
}

/// A line as a list shows it.
fn shown(row: &Row<'_>) -> Json {
    let line = row.line;
    json!([
        line.request,
        line.time_ns,
        line.severity,
        row.from.service,
        line.body
    ])
}
