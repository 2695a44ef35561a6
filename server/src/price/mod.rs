//! What tokens cost, by a dated table of models.
//!
//! A cost is worked out when a span's row is made, and again when prices change (`sweep.rs`); what a sender
//! states stays what it stated. `README.md` beside this file has the form of a table.

mod book;
mod call;
mod sweep;
mod table;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use parking_lot::Mutex;
use regex::RegexSet;
use thiserror::Error;

use crate::dialect::parse_time;
use crate::limits::{PRICE_NAME_BYTES_MAX, PRICE_NAMES_MAX};

pub use book::{Book, Own, Prices};
pub use call::{Verdict, verdict};
pub use sweep::reprice;

/// Usage types under which tables price a bucket of tokens.
const NAMES: [(&str, &[&str]); 5] = [
    (
        "input",
        &[
            "input",
            "input_tokens",
            "prompt_token_count",
            "input_text",
            "input_text_tokens",
        ],
    ),
    (
        "cache_read",
        &[
            "input_cache_read",
            "input_cached_tokens",
            "cache_read_input_tokens",
            "cached_content_token_count",
        ],
    ),
    (
        "cache_write",
        &[
            "input_cache_creation",
            "cache_creation_input_tokens",
            "cache_write_tokens",
        ],
    ),
    (
        "output",
        &[
            "output",
            "output_tokens",
            "candidates_token_count",
            "output_text",
            "output_text_tokens",
        ],
    ),
    (
        "reasoning",
        &[
            "output_reasoning",
            "output_reasoning_tokens",
            "reasoning_tokens",
            "thoughts_token_count",
            // What a model thought is output that is not shown.
            "output",
            "output_tokens",
        ],
    ),
];

/// The buckets that are part of what a model was given.
const GIVEN: [&str; 3] = ["input", "cache_read", "cache_write"];

/// A price list.
#[derive(Debug)]
pub struct Table {
    models: Vec<Model>,
    /// Of the models, in their order.
    patterns: RegexSet,
    /// When the youngest entry was looked at; empty if none says.
    date: String,
    /// Hash of the text that it was read from.
    fingerprint: u64,
    /// Entries that names match, since names are few.
    found: Mutex<HashMap<Box<str>, Arc<[usize]>>>,
}

#[derive(Debug)]
struct Model {
    name: String,
    start_ns: Option<i64>,
    /// By priority.
    tiers: Vec<Tier>,
}

#[derive(Debug)]
struct Tier {
    name: String,
    conditions: Vec<Condition>,
    /// US dollars per token.
    prices: BTreeMap<String, f64>,
}

#[derive(Debug)]
enum Condition {
    /// More tokens than this were given to the model.
    GivenOver(i64),
    /// The caller asked for one of these.
    Service(Vec<String>),
    /// Something that no row says.
    Never,
}

/// What one call used.
#[derive(Clone, Debug)]
pub struct Call<'a> {
    /// The model, by the sender's name.
    pub model: &'a str,
    /// Tokens by bucket, which exclude one another; `total` is none of them.
    pub buckets: Vec<(&'a str, i64)>,
    /// All of them.
    pub total: i64,
    /// The tier of service that was asked for.
    pub service: Option<&'a str>,
    /// When.
    pub at_ns: i64,
}

/// What a call cost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Priced<'a> {
    /// US dollars.
    pub dollars: f64,
    /// The entry of the table.
    pub model: &'a str,
    /// Its tier.
    pub tier: &'a str,
}

/// Why a table is not read.
#[derive(Debug, Error)]
pub enum TableError {
    /// Not JSON of the form.
    #[error("prices do not read: {0}")]
    Form(#[from] serde_json::Error),
    /// An entry makes no sense.
    #[error("price of a model does not read: {problem} model={model}")]
    Model {
        /// Its name.
        model: String,
        /// What is wrong.
        problem: String,
    },
    /// More than anybody needs.
    #[error("table of prices too large limit={0}")]
    Large(usize),
    /// Patterns that take more memory than they may.
    #[error("patterns of prices do not compile: {0}")]
    Patterns(String),
}

impl Table {
    /// The table that the binary has in it.
    pub fn shipped() -> Self {
        Self::read(include_bytes!("models.json")).expect("BUG: the shipped prices do not read")
    }

    /// When its youngest entry was looked at.
    pub fn date(&self) -> &str {
        &self.date
    }

    /// How many models it has.
    pub const fn len(&self) -> usize {
        self.models.len()
    }

    /// Whether it has none.
    pub const fn is_empty(&self) -> bool {
        self.models.is_empty()
    }

    /// Equal for equal texts.
    pub const fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    /// What a call cost; none if the table does not tell.
    pub fn price(&self, call: &Call<'_>) -> Option<Priced<'_>> {
        let model = self.entry(call)?;
        let tier = model.tiers.iter().find(|tier| tier.holds(call))?;
        Some(Priced {
            dollars: tier.dollars(call)?,
            model: &model.name,
            tier: &tier.name,
        })
    }

    /// Whether it has an entry for the call.
    fn has(&self, call: &Call<'_>) -> bool {
        self.entry(call).is_some()
    }

    fn entry(&self, call: &Call<'_>) -> Option<&Model> {
        let matching = self.matching(call.model);
        let matching = matching.iter().filter_map(|at| self.models.get(*at));
        let begun = matching.filter(|model| model.start_ns.is_none_or(|start| start <= call.at_ns));
        // Of equal starts the first.
        begun.reduce(|best, other| {
            if other.start_ns > best.start_ns {
                other
            } else {
                best
            }
        })
    }

    /// The entries that a name matches; none of one that is longer than names are.
    fn matching(&self, name: &str) -> Arc<[usize]> {
        if name.len() > PRICE_NAME_BYTES_MAX {
            return Arc::default();
        }
        if let Some(known) = self.found.lock().get(name) {
            return Arc::clone(known);
        }
        let matching: Arc<[usize]> = self.patterns.matches(name).iter().collect();
        let mut found = self.found.lock();
        if found.len() >= PRICE_NAMES_MAX {
            found.clear();
        }
        found.insert(name.into(), Arc::clone(&matching));
        matching
    }
}

impl Tier {
    fn holds(&self, call: &Call<'_>) -> bool {
        self.conditions.iter().all(|condition| match condition {
            Condition::GivenOver(limit) => {
                let given = call.buckets.iter().filter(|(name, _)| GIVEN.contains(name));
                given.fold(0, |sum: i64, (_, n)| sum.saturating_add(*n)) > *limit
            }
            Condition::Service(words) => call
                .service
                .is_some_and(|service| words.iter().any(|w| w == service)),
            Condition::Never => false,
        })
    }

    #[expect(clippy::cast_precision_loss, reason = "a count of tokens")]
    fn dollars(&self, call: &Call<'_>) -> Option<f64> {
        if let Some(price) = self.prices.get("total") {
            return Some(call.total as f64 * price);
        }
        let counted = call
            .buckets
            .iter()
            .fold(0, |sum: i64, (_, n)| sum.saturating_add(*n));
        if counted != call.total {
            // Of some tokens nobody says what they were.
            return None;
        }
        let used = call.buckets.iter().filter(|(_, n)| *n > 0);
        used.map(|(bucket, n)| Some(self.price_of(bucket)? * *n as f64))
            .sum()
    }

    fn price_of(&self, bucket: &str) -> Option<f64> {
        let own = [bucket];
        let named = NAMES.iter().find(|(name, _)| *name == bucket);
        let names = named.map_or(&own[..], |(_, names)| *names);
        names
            .iter()
            .find_map(|name| self.prices.get(*name))
            .copied()
    }
}

fn start_of(model: &str, text: Option<&str>) -> Result<Option<i64>, TableError> {
    let Some(text) = text else { return Ok(None) };
    let read = parse_time(text);
    read.map(Some).ok_or_else(|| TableError::Model {
        model: model.to_owned(),
        problem: "startDate is no time in RFC 3339".to_owned(),
    })
}

#[cfg(test)]
mod tests;
