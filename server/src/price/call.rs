//! What a span used, and what that cost.

use obsrv_engine::cost::{Cost, CostSource, Fields};
use obsrv_engine::doc::DocRef;
use obsrv_engine::model;

use super::{Call, Priced};

/// What a span cost and by what.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Verdict<'p> {
    /// Where the cost is from.
    pub source: CostSource,
    /// US dollars, if it is known; of a roll-up what the span says, of a repeated call else what a table says.
    pub dollars: Option<f64>,
    /// The entry of the table, if one was used.
    pub priced: Option<Priced<'p>>,
}

impl Verdict<'_> {
    /// What the span's row says of it.
    pub fn cost(&self) -> Cost {
        let dollars = match self.source {
            // What a roll-up states stands in its row already.
            CostSource::RollUp => self.priced.map(|priced| priced.dollars),
            CostSource::Stated | CostSource::Priced | CostSource::Unknown => self.dollars,
        };
        Cost {
            source: self.source,
            dollars,
        }
    }
}

/// What a span cost by these prices; none if it used nothing.
pub fn verdict<'p>(
    fields: Fields<'_, '_>,
    start_ns: i64,
    price: impl FnOnce(&Call<'_>) -> Option<Priced<'p>>,
) -> Option<Verdict<'p>> {
    let stated = fields(model::COST_USD).and_then(DocRef::as_f64);
    let stated = stated.filter(|dollars| dollars.is_finite());
    let call = call_of(fields, start_ns);
    if stated.is_none() && call.as_ref().is_none_or(|call| call.total == 0) {
        return None;
    }
    let kind = fields(model::KIND).and_then(DocRef::as_str);
    let priced = |call: &Call<'_>| price(call).filter(|priced| priced.dollars.is_finite());
    // Agents and chains say again what the steps below them say.
    if matches!(kind, Some("agent" | "chain")) {
        return Some(Verdict {
            source: CostSource::RollUp,
            dollars: stated,
            priced: None,
        });
    }
    // A client's own account of a call that somebody else may tell of, too: it has a price for where nobody does.
    if fields(model::REPEATS) == Some(DocRef::Bool(true)) {
        let priced = match stated {
            Some(_) => None,
            None => call.as_ref().and_then(priced),
        };
        return Some(Verdict {
            source: CostSource::RollUp,
            dollars: stated.or(priced.map(|priced| priced.dollars)),
            priced,
        });
    }
    if let Some(stated) = stated {
        return Some(Verdict {
            source: CostSource::Stated,
            dollars: Some(stated),
            priced: None,
        });
    }
    let priced = call.as_ref().and_then(priced);
    Some(Verdict {
        source: priced.map_or(CostSource::Unknown, |_| CostSource::Priced),
        dollars: priced.map(|priced| priced.dollars),
        priced,
    })
}

/// What the span used, if it says so.
fn call_of<'a>(fields: Fields<'_, 'a>, start_ns: i64) -> Option<Call<'a>> {
    let tokens = fields(model::TOKENS)?.entries()?;
    let counts = tokens
        .flatten()
        .filter_map(|(name, n)| Some((name, n.as_i64()?)));
    let (mut buckets, mut total) = (Vec::new(), None);
    for (name, n) in counts {
        if name == "total" {
            total = Some(n);
        } else {
            buckets.push((name, n));
        }
    }
    let sum = || {
        buckets
            .iter()
            .fold(0, |sum: i64, (_, n)| sum.saturating_add(*n))
    };
    Some(Call {
        model: fields(model::MODEL).and_then(DocRef::as_str).unwrap_or(""),
        total: total.unwrap_or_else(sum),
        buckets,
        service: service_of(fields),
        at_ns: start_ns,
    })
}

/// Where senders say which tier of service they asked for.
const SERVICE: [(&str, &str); 4] = [
    (model::ATTRIBUTES, "gen_ai.openai.response.service_tier"),
    (model::ATTRIBUTES, "gen_ai.openai.request.service_tier"),
    ("model_parameters", "service_tier"),
    ("input", "service_tier"),
];

fn service_of<'a>(fields: Fields<'_, 'a>) -> Option<&'a str> {
    SERVICE
        .iter()
        .find_map(|(field, key)| fields(field)?.get(key)?.as_str())
}
