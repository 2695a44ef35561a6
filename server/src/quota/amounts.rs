//! What can be counted, and limits on it.

use obsrv_engine::doc::DocRef;
use obsrv_engine::model;
use obsrv_engine::row::{Event, Table};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What was sent or asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Amounts {
    /// Traces of which a request brought the beginning: a run, or its root span. One that is sent
    /// again counts again.
    pub traces: u64,
    /// Rows taken, of any kind.
    pub spans: u64,
    /// Bytes of bodies after decompression.
    pub bytes: u64,
    /// Lists and traces read.
    pub queries: u64,
}

impl Amounts {
    /// What a request brings.
    pub fn of_request(events: &[Event], bytes: usize) -> Self {
        let mut begun: Vec<&str> = events
            .iter()
            .filter(|e| begins_trace(e))
            .map(|e| &*e.key.trace_id)
            .collect();
        begun.sort_unstable();
        begun.dedup();
        Self {
            traces: wide(begun.len()),
            spans: wide(events.len()),
            bytes: wide(bytes),
            queries: 0,
        }
    }

    /// One query.
    pub const QUERY: Self = Self {
        traces: 0,
        spans: 0,
        bytes: 0,
        queries: 1,
    };

    /// Both together.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            traces: self.traces.saturating_add(other.traces),
            spans: self.spans.saturating_add(other.spans),
            bytes: self.bytes.saturating_add(other.bytes),
            queries: self.queries.saturating_add(other.queries),
        }
    }

    /// This without the other.
    #[must_use]
    pub const fn minus(self, other: Self) -> Self {
        Self {
            traces: self.traces.saturating_sub(other.traces),
            spans: self.spans.saturating_sub(other.spans),
            bytes: self.bytes.saturating_sub(other.bytes),
            queries: self.queries.saturating_sub(other.queries),
        }
    }
}

pub(super) fn wide(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

fn begins_trace(event: &Event) -> bool {
    match event.table {
        // A file of a run comes beside it.
        Table::Runs => DocRef::parse(&event.doc).is_ok_and(|doc| doc.get(model::BLOBS).is_none()),
        Table::Spans if event.start_ns.is_some() => DocRef::parse(&event.doc)
            .ok()
            .and_then(|doc| doc.get(model::ROOT))
            .is_some_and(|root| root == DocRef::Bool(true)),
        _ => false,
    }
}

/// Limits of a day or a month; `None`: no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ceiling {
    /// Traces.
    #[serde(default)]
    pub traces: Option<u64>,
    /// Rows.
    #[serde(default)]
    pub spans: Option<u64>,
    /// Bytes after decompression.
    #[serde(default)]
    pub bytes: Option<u64>,
    /// Queries.
    #[serde(default)]
    pub queries: Option<u64>,
}

impl Ceiling {
    /// The first limit that `more` on top of `used` would break: its name and value.
    pub(super) fn broken(&self, used: Amounts, more: Amounts) -> Option<(&'static str, u64)> {
        let sum = used.plus(more);
        let limits = [
            ("traces", self.traces, sum.traces, more.traces),
            ("spans", self.spans, sum.spans, more.spans),
            ("bytes", self.bytes, sum.bytes, more.bytes),
            ("queries", self.queries, sum.queries, more.queries),
        ];
        limits.into_iter().find_map(|(name, limit, sum, more)| {
            limit
                .filter(|limit| more > 0 && sum > *limit)
                .map(|limit| (name, limit))
        })
    }
}

/// What an organization may use.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Its name, shown to who asks.
    pub name: String,
    /// Limits of each month, UTC.
    #[serde(default)]
    pub month: Ceiling,
    /// Limits of each day, UTC.
    #[serde(default)]
    pub day: Ceiling,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            name: "unlimited".to_owned(),
            month: Ceiling::default(),
            day: Ceiling::default(),
        }
    }
}

/// Most of each per second; `None`: no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rates {
    /// Requests that bring rows.
    #[serde(default)]
    pub requests_per_second: Option<u64>,
    /// Rows.
    #[serde(default)]
    pub spans_per_second: Option<u64>,
    /// Bytes of bodies after decompression.
    #[serde(default)]
    pub bytes_per_second: Option<u64>,
    /// Queries.
    #[serde(default)]
    pub queries_per_second: Option<u64>,
}

/// The names of [`Rates`] in errors, in its order.
pub(super) const RATE_NAMES: [&str; 4] = [
    "requests_per_second",
    "spans_per_second",
    "bytes_per_second",
    "queries_per_second",
];

impl Rates {
    /// In the order of [`RATE_NAMES`].
    pub const fn list(&self) -> [Option<u64>; 4] {
        [
            self.requests_per_second,
            self.spans_per_second,
            self.bytes_per_second,
            self.queries_per_second,
        ]
    }
}

/// Rates of a project and of each of its keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// All keys together.
    #[serde(default)]
    pub project: Rates,
    /// Each key by itself.
    #[serde(default)]
    pub key: Rates,
}
