//! The file of a table: as Langfuse has its default prices.

use std::collections::BTreeMap;

use regex::RegexBuilder;
use serde::Deserialize;

use crate::limits::{PRICE_FILE_BYTES_MAX, PRICE_MODELS_MAX};

use super::{Condition, Model, Table, TableError, Tier, start_of};

/// Most bytes of one compiled pattern.
const PATTERN_BYTES_MAX: usize = 1 << 20;

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

impl Table {
    /// Reads a table.
    pub fn read(text: &[u8]) -> Result<Self, TableError> {
        if text.len() > PRICE_FILE_BYTES_MAX {
            return Err(TableError::Large(PRICE_FILE_BYTES_MAX));
        }
        let read: Vec<ModelFile> = serde_json::from_slice(text)?;
        if read.len() > PRICE_MODELS_MAX {
            return Err(TableError::Large(PRICE_MODELS_MAX));
        }
        let dates = read.iter().map(|model| model.updated_at.as_str());
        let date = dates.max().unwrap_or("").to_owned();
        let models: Result<Vec<Model>, TableError> = read.into_iter().map(model).collect();
        Ok(Self {
            models: models?,
            date,
        })
    }
}

fn model(file: ModelFile) -> Result<Model, TableError> {
    let bad = |problem: String| TableError::Model {
        model: file.model_name.clone(),
        problem,
    };
    // The whole name, whatever the pattern says of its ends.
    let pattern = RegexBuilder::new(&format!("^(?:{})$", file.match_pattern))
        .size_limit(PATTERN_BYTES_MAX)
        .build()
        .map_err(|error| bad(error.to_string()))?;
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
        pattern,
        tiers: tiers.into_iter().map(|(_, tier)| tier).collect(),
    })
}
