//! The file of a table: as Langfuse has its default prices.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use regex::{RegexBuilder, RegexSet, RegexSetBuilder};
use serde::Deserialize;

use crate::limits::{PRICE_FILE_BYTES_MAX, PRICE_MODELS_MAX, PRICE_PATTERNS_BYTES_MAX};

use super::{Condition, Model, Table, TableError, Tier, start_of};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ModelFile {
    model_name: String,
    match_pattern: String,
    start_date: Option<String>,
    #[serde(default)]
    updated_at: String,
    pricing_tiers: Vec<TierFile>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct TierFile {
    name: String,
    #[serde(default)]
    is_default: bool,
    #[serde(default)]
    priority: i64,
    #[serde(default)]
    conditions: Vec<ConditionFile>,
    prices: BTreeMap<String, f64>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ConditionFile {
    key: Option<String>,
    operator: String,
    #[serde(default)]
    values: Vec<String>,
    value: Option<i64>,
    usage_detail_pattern: Option<String>,
}

impl ConditionFile {
    fn read(self) -> Condition {
        match (
            self.key.as_deref(),
            self.operator.as_str(),
            self.value,
            self.usage_detail_pattern,
        ) {
            (Some("service_tier" | "speed"), "in", _, _) => Condition::Service(self.values),
            (_, "gt", Some(limit), Some(pattern)) if pattern.contains("input") => {
                Condition::GivenOver(limit)
            }
            _ => Condition::Never,
        }
    }
}

/// How large a table may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    pub(super) text_bytes: usize,
    pub(super) models: usize,
    /// Of all patterns once they are compiled.
    pub(super) pattern_bytes: usize,
}

impl Table {
    /// Reads a table.
    pub fn read(text: &[u8]) -> Result<Self, TableError> {
        let room = Room {
            text_bytes: PRICE_FILE_BYTES_MAX,
            models: PRICE_MODELS_MAX,
            pattern_bytes: PRICE_PATTERNS_BYTES_MAX,
        };
        Self::read_within(text, room)
    }

    pub(super) fn read_within(text: &[u8], room: Room) -> Result<Self, TableError> {
        if text.len() > room.text_bytes {
            return Err(TableError::Large(room.text_bytes));
        }
        let read: Vec<ModelFile> = serde_json::from_slice(text)?;
        if read.len() > room.models {
            return Err(TableError::Large(room.models));
        }
        let patterns = patterns_of(&read, room.pattern_bytes)?;
        let dates = read.iter().map(|model| model.updated_at.as_str());
        let date = dates.max().unwrap_or("").to_owned();
        let models: Result<Vec<Model>, TableError> = read.into_iter().map(model).collect();
        Ok(Self {
            models: models?,
            patterns,
            date,
            fingerprint: xxhash_rust::xxh3::xxh3_64(text),
            found: Mutex::default(),
        })
    }
}

/// The patterns of all entries, so that a name is looked up in one pass.
fn patterns_of(models: &[ModelFile], bytes_max: usize) -> Result<RegexSet, TableError> {
    // The whole name, whatever a pattern says of its ends.
    let whole = |file: &ModelFile| format!("^(?:{})$", file.match_pattern);
    let set = RegexSetBuilder::new(models.iter().map(whole))
        .size_limit(bytes_max)
        .dfa_size_limit(bytes_max)
        .build();
    set.map_err(|error| {
        // Which one it was, if one alone does not read.
        for file in models {
            let alone = RegexBuilder::new(&whole(file))
                .size_limit(bytes_max)
                .build();
            if let Err(error) = alone {
                return TableError::Model {
                    model: file.model_name.clone(),
                    problem: error.to_string(),
                };
            }
        }
        TableError::Patterns(error.to_string())
    })
}

fn model(file: ModelFile) -> Result<Model, TableError> {
    let bad = |problem: String| TableError::Model {
        model: file.model_name.clone(),
        problem,
    };
    let mut tiers = Vec::new();
    for tier in file.pricing_tiers {
        if tier
            .prices
            .values()
            .any(|price| !price.is_finite() || *price < 0.0)
        {
            return Err(bad(format!("a price is no amount tier={}", tier.name)));
        }
        let conditions: Vec<Condition> = tier
            .conditions
            .into_iter()
            .map(ConditionFile::read)
            .collect();
        if !tier.is_default && conditions.is_empty() {
            return Err(bad(format!(
                "a tier without conditions is none tier={}",
                tier.name
            )));
        }
        let conditions = if tier.is_default {
            Vec::new()
        } else {
            conditions
        };
        let rank = (tier.is_default, tier.priority);
        let prices = tier.prices;
        tiers.push((
            rank,
            Tier {
                name: tier.name,
                conditions,
                prices,
            },
        ));
    }
    tiers.sort_by_key(|(rank, _)| *rank);
    Ok(Model {
        start_ns: start_of(&file.model_name, file.start_date.as_deref())?,
        name: file.model_name,
        tiers: tiers.into_iter().map(|(_, tier)| tier).collect(),
    })
}
