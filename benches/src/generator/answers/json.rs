//! The answers as the one document that every engine is held against.

use serde_json::{Map, Value as Json, json};

use super::{
    Answers, Bucket, FACETS, LIST, PATTERN, PREVIEW, PROJECT, QUANTILES, RARE_KEY, SLOWEST,
    TOP_USERS, TRACES, Whole,
};
use crate::generator::rng::Rng;
use crate::generator::span::hex;
use crate::generator::trace::{
    NEEDLE_ABSENT, NEEDLE_COMMON, NEEDLE_MEDIUM, NEEDLE_PHRASE, NEEDLE_RARE,
};

impl Answers {
    /// What is asked, and what is right.
    pub fn to_json(mut self) -> Json {
        let traces = self.traces();
        let (session, thread) = self.session.clone().unwrap_or_default();
        let ids = |list: &mut super::Best<u64, String>| list.finish().cloned().collect::<Vec<_>>();
        let [rare, absent, phrase, medium] = &mut self.found;
        let mut answers = Map::new();
        let mut put = |name: &str, value: Json| answers.insert(name.to_owned(), value);
        let roots = self.roots.finish();
        let roots = roots.map(|r| json!([r.trace_id, r.start_ns, r.duration_ns, r.status]));
        put("Q1", roots.collect());
        put(
            "Q2",
            self.errors_listed.finish().map(|r| json!(r)).collect(),
        );
        put(
            "Q3",
            traces.iter().map(|t| json!([t.spans, t.bytes])).collect(),
        );
        put("Q4", latency(&mut self.latency));
        let costs = self.costs.iter().map(|((project, day, model), sums)| {
            let key = format!("{project}|{day}|{model}");
            (key, json!([sums.0, sums.1, sums.2]))
        });
        put("Q5", Json::Object(costs.collect()));
        put("Q6", users(&self.users));
        put("Q7", json!(ids(&mut self.slowest)));
        put("Q8a", json!(ids(rare)));
        put("Q8b", json!(ids(absent)));
        put("Q8c", json!(ids(phrase)));
        put("Q8d", json!(ids(medium)));
        put("Q9", json!([self.common.0, ids(&mut self.common.1)]));
        let facets = FACETS.iter().zip(&self.facets);
        let facets = facets.map(|(key, counts)| ((*key).to_owned(), json!(counts)));
        put("Q10", Json::Object(facets.collect()));
        put("Q11", json!([thread]));
        put("Q12", json!([self.matched.0, ids(&mut self.matched.1)]));
        put("Q13", json!([self.rare_key.0, ids(&mut self.rare_key.1)]));
        let asked: Vec<_> = traces
            .iter()
            .map(|t| json!([t.project, t.trace_id]))
            .collect();
        json!({
            "rows": self.spans,
            "asked": {
                "now_ns": self.now_ns, "project": PROJECT, "projects": self.projects,
                "list": LIST, "slowest": SLOWEST, "users": TOP_USERS, "preview": PREVIEW,
                "quantiles": QUANTILES, "facets": FACETS, "traces": asked, "session": session,
                "rare": NEEDLE_RARE, "absent": NEEDLE_ABSENT, "phrase": NEEDLE_PHRASE,
                "medium": NEEDLE_MEDIUM, "common": NEEDLE_COMMON, "pattern": PATTERN,
                "rare_key": RARE_KEY,
            },
            "answers": answers,
        })
    }

    /// The traces of Q3 in the order in which they are asked for: every hundred of them is mixed
    /// as all are. A small workload has fewer traces than are asked for: some come again.
    fn traces(&self) -> Vec<Whole> {
        let mut rng = Rng::new(self.spans);
        let of = |sample: &[Whole], at: usize| sample.get(at % sample.len().max(1)).cloned();
        let total = TRACES.0 + TRACES.1 + TRACES.2;
        let (recent, any) = (self.recent_traces.rows(), self.any_traces.rows());
        let mut made = (0, 0);
        (0..total)
            .filter_map(|at| match at % 10 {
                0..5 if !recent.is_empty() => {
                    made.0 += 1;
                    of(recent, made.0)
                }
                9 => Some(Whole {
                    project: PROJECT,
                    trace_id: absent_id(&mut rng),
                    spans: 0,
                    bytes: 0,
                }),
                _ => {
                    made.1 += 1;
                    of(any, made.1)
                }
            })
            .collect()
    }
}

/// A trace id that no row has.
pub(in crate::generator) fn absent_id(rng: &mut Rng) -> String {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&rng.u64().to_le_bytes());
    id[8..].copy_from_slice(&rng.u64().to_le_bytes());
    hex(&id)
}

/// Per minute and model: count, errors, and for each quantile the two values around its rank.
fn latency(buckets: &mut std::collections::BTreeMap<(u64, String), Bucket>) -> Json {
    let bucket = |((minute, model), bucket): (&(u64, String), &mut Bucket)| {
        let sorted = &mut bucket.durations_ns;
        sorted.sort_unstable();
        let around: Vec<_> = QUANTILES.iter().map(|q| around(sorted, *q)).collect();
        let figures = json!([sorted.len(), bucket.errors, around]);
        (format!("{minute}|{model}"), figures)
    };
    Json::Object(buckets.iter_mut().map(bucket).collect())
}

/// The values at the ranks below and above `q * (n - 1)`, which every definition of a quantile
/// lies between.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a rank of a short list"
)]
pub(in crate::generator) fn around<T: Copy + Default>(sorted: &[T], q: f64) -> (T, T) {
    let last = sorted.len().saturating_sub(1);
    let below = (q * last as f64).floor() as usize;
    let at = |n: usize| sorted.get(n.min(last)).copied().unwrap_or_default();
    (at(below), at(below + 1))
}

fn users(users: &std::collections::BTreeMap<String, super::User>) -> Json {
    let mut all: Vec<_> = users.iter().collect();
    all.sort_by(|a, b| b.1.cost.total_cmp(&a.1.cost).then_with(|| a.0.cmp(b.0)));
    let top = all.into_iter().take(TOP_USERS);
    top.map(|(name, u)| json!([name, u.cost, u.spans, u.sessions.len()]))
        .collect()
}
