//! Metric points from a seed, as SDKs export them: a request has all metrics of one process at one
//! time, a point of each series.
//!
//! A process lives for 10 to 1,000 exports, a hundred in the mean, one every 15, 30 or 60 seconds: a
//! million points are about 10,000 series. Sums and histograms are of delta temporality, so that they
//! can be added up.

pub mod answers;
mod metric;
mod point;

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::answers::PROJECT;
use super::options::{DAY_NS, Options};
use super::rng::{Rng, Zipf};
use super::sender::{SERVICES, Sender};
use super::span::hex;
use super::trace::MODELS;
use answers::Answers;
pub use metric::{BOUNDS, Kind, METRICS, Metric};
pub use point::{Figure, Histogram, Point, Row, export_request};
use point::{Series, figure};

/// Exports of a process: from, to. The mean is the geometric one of both.
const EXPORTS: (u64, u64) = (10, 1_000);
/// Seconds between two exports of a process.
const INTERVALS_S: [u64; 3] = [15, 30, 60];
/// Models that a process uses, at most.
const MODELS_MAX: usize = 3;
/// How late a timer is, at most.
const LATE_NS: u64 = 2_000_000;
/// The first processes are of the project that is asked and alive in the last hour, for so many exports at
/// least, so that a small workload has an answer to every question.
const ASKED: u64 = 4;
const ASKED_EXPORTS: u64 = 120;
const SECOND_NS: u64 = 1_000_000_000;

/// The export of a process.
#[derive(Debug)]
pub struct Batch {
    /// Index of the project.
    pub project: usize,
    /// The process.
    pub from: Sender,
    /// `service.instance.id`: of this process alone.
    pub instance: String,
    /// In the order of [`METRICS`].
    pub points: Vec<Point>,
}

impl Batch {
    /// Its rows.
    pub fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        self.points.iter().map(|point| Row {
            project: self.project,
            from: &self.from,
            instance: &self.instance,
            point,
        })
    }
}

/// A process, and what it will export.
#[derive(Debug)]
struct Process {
    project: usize,
    from: Sender,
    instance: String,
    first_ns: u64,
    interval_ns: u64,
    /// When it exported last; before the first time when it began.
    last_ns: u64,
    exports: u64,
    done: u64,
    series: Vec<Series>,
    rng: Rng,
}

/// The workload.
#[derive(Debug)]
pub struct Generator {
    options: Options,
    made: u64,
    /// Those that still export, by when they do next.
    processes: BTreeMap<(u64, u64), Process>,
    answers: Option<Answers>,
}

impl Generator {
    /// The workload of these options.
    pub fn new(options: Options) -> Self {
        Self {
            processes: processes(&options),
            made: 0,
            answers: None,
            options,
        }
    }

    /// Works out the answers of P1 to P7 on the way.
    #[must_use]
    pub fn with_answers(mut self) -> Self {
        self.answers = Some(Answers::new(&self.options));
        self
    }

    /// The answers, if [`Self::with_answers`] asked for them; complete once the last batch was made.
    pub fn into_answers(self) -> Option<Json> {
        self.answers.map(Answers::into_json)
    }

    /// The next export.
    pub fn next_batch(&mut self) -> Option<Batch> {
        let left = self.options.spans - self.made;
        if left == 0 {
            return None;
        }
        let ((now, number), mut process) = self.processes.pop_first()?;
        let mut points = process.export(now);
        points.truncate(usize::try_from(left).unwrap_or(usize::MAX));
        self.made += u64::try_from(points.len()).expect("BUG: usize over 64 bits");
        let batch = Batch {
            project: process.project,
            from: process.from.clone(),
            instance: process.instance.clone(),
            points,
        };
        if let Some(next) = process.next_ns() {
            self.processes.insert((next, number), process);
        }
        if let Some(answers) = &mut self.answers {
            answers.add(&batch);
        }
        Some(batch)
    }
}

impl Process {
    fn new(number: u64, options: &Options, lives: &Zipf, rng: &mut Rng) -> Self {
        let models = 1 + rng.index(MODELS_MAX);
        let interval_ns = rng.pick(&INTERVALS_S) * SECOND_NS;
        let drawn = u64::try_from(lives.sample(rng)).expect("BUG: a small rank");
        let (mut exports, mut before_end) = (EXPORTS.0 + drawn, options.window_ns);
        let mut project = Zipf::harmonic(options.projects).sample(rng);
        if number < ASKED {
            project = PROJECT;
            exports = exports.max(ASKED_EXPORTS);
            before_end = DAY_NS / 24;
        }
        let end = options.end_ns - rng.below(before_end.min(options.window_ns));
        let begin = options.end_ns - options.window_ns;
        let first_ns = begin.max(end.saturating_sub(exports * interval_ns));
        let mut own = Rng::new(rng.u64());
        let mut instance = [0; 16];
        instance[..8].copy_from_slice(&own.u64().to_le_bytes());
        instance[8..].copy_from_slice(&own.u64().to_le_bytes());
        Self {
            project,
            from: Sender::pick(&Zipf::harmonic(SERVICES), rng),
            instance: hex(&instance),
            first_ns,
            interval_ns,
            last_ns: first_ns - interval_ns,
            exports: ((end - first_ns) / interval_ns).max(1),
            done: 0,
            series: series(models, &mut own),
            rng: own,
        }
    }

    fn points(&self) -> u64 {
        self.exports * u64::try_from(self.series.len()).expect("BUG: usize over 64 bits")
    }

    /// When it exports next, unless it has ended.
    fn next_ns(&mut self) -> Option<u64> {
        let due = self.first_ns + self.done * self.interval_ns;
        (self.done < self.exports).then(|| due + self.rng.below(LATE_NS))
    }

    fn export(&mut self, now: u64) -> Vec<Point> {
        let since = std::mem::replace(&mut self.last_ns, now);
        self.done += 1;
        let mut points = Vec::with_capacity(self.series.len());
        for series in &mut self.series {
            points.push(Point {
                metric: series.metric,
                model: series.model,
                time_ns: now,
                start_ns: if series.metric.kind == Kind::Gauge {
                    0
                } else {
                    since
                },
                figure: figure(series, &mut self.rng),
            });
        }
        points
    }
}

/// What a process that uses so many models has a point of in each export.
fn series(models: usize, rng: &mut Rng) -> Vec<Series> {
    let from = rng.index(MODELS.len());
    let mut all = Vec::new();
    for metric in &METRICS {
        let names = MODELS.iter().copied().cycle().skip(from).take(models);
        if metric.of_models {
            all.extend(names.map(|model| Series::new(metric, model, rng)));
        } else {
            all.push(Series::new(metric, "", rng));
        }
    }
    all
}

/// Processes that have as many points as are wanted, or a part of an export more.
fn processes(options: &Options) -> BTreeMap<(u64, u64), Process> {
    let lives = Zipf::steep(EXPORTS.0, EXPORTS.1);
    let mut rng = Rng::new(options.seed ^ 0x5eed_0003);
    let mut all = BTreeMap::new();
    let (mut planned, mut number) = (0, 0);
    while planned < options.spans {
        let mut process = Process::new(number, options, &lives, &mut rng);
        let left = options.spans - planned;
        if process.points() > left {
            let an_export = process.points() / process.exports;
            process.exports = left.div_ceil(an_export);
        }
        planned += process.points();
        if let Some(first) = process.next_ns() {
            all.insert((first, number), process);
        }
        number += 1;
    }
    all
}

#[cfg(test)]
mod tests;
