//! The metrics of the workload: what a process of an agent platform says of itself.

/// What a metric's points are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A value as it is now.
    Gauge,
    /// How much more since the last export: delta temporality, never less.
    Sum,
    /// How many fell between which bounds since the last export.
    Histogram,
}

impl Kind {
    /// The name of it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gauge => "gauge",
            Self::Sum => "sum",
            Self::Histogram => "histogram",
        }
    }
}

/// How values come about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Law {
    /// The whole number that the series began with.
    Same(u64),
    /// A whole number below the first that goes up or down by at most the second.
    Walk(u64, u64),
    /// A share of one that wanders, in 2^-20.
    Share,
    /// Anything from a few to thousands, with a fraction.
    Wide,
    /// A whole number from 0, drawn anew.
    Count(u64),
    /// The same with a fraction.
    Amount,
    /// Milliseconds into buckets.
    Durations,
}

/// A metric.
#[derive(Debug, PartialEq, Eq)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// Its unit.
    pub unit: &'static str,
    /// What it is, for people.
    pub description: &'static str,
    /// What its points are.
    pub kind: Kind,
    /// Whether it has a series for each model that the process uses.
    pub of_models: bool,
    pub(super) law: Law,
}

impl Metric {
    /// The scope that it is exported in.
    pub const fn scope(&self) -> &'static str {
        if self.of_models { "agent" } else { "runtime" }
    }
}

/// The bounds of every histogram, milliseconds: the default ones of SDKs.
pub const BOUNDS: [u32; 14] = [
    5, 10, 25, 50, 75, 100, 250, 500, 750, 1_000, 2_500, 5_000, 7_500, 10_000,
];

const fn metric(
    name: &'static str,
    unit: &'static str,
    description: &'static str,
    law: Law,
) -> Metric {
    let kind = match law {
        Law::Same(_) | Law::Walk(..) | Law::Share | Law::Wide => Kind::Gauge,
        Law::Count(_) | Law::Amount => Kind::Sum,
        Law::Durations => Kind::Histogram,
    };
    Metric {
        name,
        unit,
        description,
        kind,
        of_models: false,
        law,
    }
}

const fn of_models(metric: Metric) -> Metric {
    Metric {
        of_models: true,
        ..metric
    }
}

/// The gauge of P2.
pub(super) const CPU: &str = "process.cpu.utilization";
/// The gauge of P1 and P4.
pub(super) const FIRST_TOKEN: &str = "gen_ai.server.time_to_first_token";
/// The sum of P3.
pub(super) const INPUT_TOKENS: &str = "gen_ai.client.tokens.input";
/// The histogram of P7.
pub(super) const CALLS: &str = "gen_ai.client.operation.duration";

/// All of them, by scope. Of two models a process has 30 gauges, 24 sums and 6 histograms.
#[rustfmt::skip]
pub static METRICS: [Metric; 45] = [
    metric(CPU, "1", "Share of the processors that the process uses", Law::Share),
    metric("process.memory.usage", "By", "Resident memory of the process", Law::Walk(4 << 30, 8 << 20)),
    metric("process.memory.virtual", "By", "Committed virtual memory", Law::Walk(16 << 30, 4 << 20)),
    metric("process.thread.count", "{thread}", "Threads of the process", Law::Walk(200, 3)),
    metric("process.open_file_descriptor.count", "{count}", "File descriptors in use", Law::Walk(1_024, 12)),
    metric("system.cpu.load_1m", "{thread}", "Load of the last minute", Law::Wide),
    metric("system.memory.utilization", "1", "Share of the memory in use", Law::Share),
    metric("system.filesystem.utilization", "1", "Share of the disk in use", Law::Share),
    metric("system.network.connection.count", "{connection}", "Open connections", Law::Walk(500, 20)),
    metric("runtime.heap.limit", "By", "Most memory that the heap may take", Law::Same(4 << 30)),
    metric("runtime.heap.used", "By", "Memory of live objects", Law::Walk(3 << 30, 32 << 20)),
    metric("runtime.event_loop.delay", "ms", "How late the event loop is", Law::Wide),
    metric("db.client.connection.count", "{connection}", "Connections of the pool in use", Law::Walk(50, 4)),
    metric("queue.depth", "{task}", "Tasks that wait", Law::Walk(2_000, 60)),
    metric("queue.oldest_age", "ms", "How long the oldest task waits", Law::Wide),
    metric("cache.hit_ratio", "1", "Share of lookups that were in the cache", Law::Share),
    metric("http.server.request.count", "{request}", "Requests served", Law::Count(900)),
    metric("http.server.error.count", "{request}", "Requests that failed", Law::Count(6)),
    metric("http.client.request.count", "{request}", "Requests sent", Law::Count(400)),
    metric("system.network.io.receive", "By", "Bytes received", Law::Count(40 << 20)),
    metric("system.network.io.transmit", "By", "Bytes sent", Law::Count(25 << 20)),
    metric("system.disk.io.read", "By", "Bytes read", Law::Count(8 << 20)),
    metric("system.disk.io.write", "By", "Bytes written", Law::Count(12 << 20)),
    metric("process.cpu.time", "s", "Processor time used", Law::Amount),
    metric("runtime.gc.count", "{collection}", "Collections", Law::Count(30)),
    metric("db.client.operation.count", "{operation}", "Queries sent", Law::Count(700)),
    metric("cache.lookup.count", "{lookup}", "Lookups in the cache", Law::Count(5_000)),
    metric("agent.run.count", "{run}", "Runs that ended", Law::Count(40)),
    metric("http.server.request.duration", "ms", "Duration of requests served", Law::Durations),
    metric("db.client.operation.duration", "ms", "Duration of queries", Law::Durations),
    of_models(metric("gen_ai.server.queue.depth", "{request}", "Requests that wait for the model", Law::Walk(300, 15))),
    of_models(metric(FIRST_TOKEN, "ms", "Time to the first token of the last answer", Law::Wide)),
    of_models(metric("gen_ai.server.time_per_output_token", "ms", "Time per token of the last answer", Law::Wide)),
    of_models(metric("gen_ai.client.active_requests", "{request}", "Calls under way", Law::Walk(80, 6))),
    of_models(metric("gen_ai.client.rate_limit.remaining", "{token}", "Tokens left in the minute", Law::Walk(2_000_000, 90_000))),
    of_models(metric("agent.context.utilization", "1", "Share of the context window in use", Law::Share)),
    of_models(metric("agent.step.active", "{step}", "Steps under way", Law::Walk(60, 5))),
    of_models(metric("gen_ai.client.call.count", "{call}", "Calls of the model", Law::Count(120))),
    of_models(metric("gen_ai.client.error.count", "{call}", "Calls that failed", Law::Count(4))),
    of_models(metric(INPUT_TOKENS, "{token}", "Tokens read", Law::Count(400_000))),
    of_models(metric("gen_ai.client.tokens.output", "{token}", "Tokens written", Law::Count(60_000))),
    of_models(metric("gen_ai.client.cost", "USD", "What the calls cost", Law::Amount)),
    of_models(metric("agent.tool.call.count", "{call}", "Calls of tools", Law::Count(90))),
    of_models(metric(CALLS, "ms", "Duration of calls of the model", Law::Durations)),
    of_models(metric("agent.step.duration", "ms", "Duration of steps", Law::Durations)),
];
