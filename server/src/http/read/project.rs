//! Projection: of the objects of a list the keys that were asked for. Of traces and spans `scores.NAME` is one, which no
//! row has by itself: see [`super::told`].

use serde_json::{Map, Value};

use super::super::error::ApiError;
use super::super::params::Params;
use super::ask::Over;
use super::shape::Wanted;
use crate::limits::READ_FIELDS_MAX;
use obsrv_engine::query::SCORES_TOLD_MAX;

/// Keys that every object keeps.
const IDS: [&str; 4] = ["trace_id", "span_id", "id", "run_id"];

/// The keys asked for.
#[derive(Clone, Debug, Default)]
pub(super) struct Fields {
    /// `None` is all.
    names: Option<Vec<String>>,
    /// Names of the scores among them.
    scores: Vec<String>,
}

impl Fields {
    pub(super) fn of(params: &Params, over: Over) -> Result<Self, ApiError> {
        let Some(text) = params.one("fields")? else {
            return Ok(Self::default());
        };
        let names: Vec<String> = text
            .split(',')
            .map(str::trim)
            .filter(|name| !name.is_empty())
            .take(READ_FIELDS_MAX + 1)
            .map(str::to_owned)
            .collect();
        if names.len() > READ_FIELDS_MAX {
            let message = format!("too many fields max={READ_FIELDS_MAX}");
            return Err(ApiError::parameter("fields", message));
        }
        let scores = names.iter().filter_map(|name| over.score(name));
        let mut scores: Vec<String> = scores.map(str::to_owned).collect();
        scores.sort_unstable();
        scores.dedup();
        if scores.len() > SCORES_TOLD_MAX {
            let message = format!("too many scores max={SCORES_TOLD_MAX}");
            return Err(ApiError::parameter("fields", message));
        }
        Ok(Self {
            names: Some(names),
            scores,
        })
    }

    /// Names of the scores that are asked for.
    pub(super) fn scores(&self) -> &[String] {
        &self.scores
    }

    /// The object with what was asked for. A path goes into objects; a key with dots in it is
    /// found by its whole name.
    pub(super) fn keep(&self, value: Value) -> Value {
        let (Some(names), Value::Object(all)) = (&self.names, &value) else {
            return value;
        };
        let mut kept = Map::new();
        for id in IDS {
            if let Some(found) = all.get(id) {
                kept.insert(id.to_owned(), found.clone());
            }
        }
        for name in names {
            copy(all, name, &mut kept);
        }
        Value::Object(kept)
    }

    /// The names, if any were given.
    pub(super) fn names(&self) -> Option<&[String]> {
        self.names.as_deref()
    }

    /// What takes long to make and is asked for.
    pub(super) fn wanted(&self) -> Wanted {
        let wants = |key: &str| self.wants(key);
        Wanted {
            previews: wants("input_preview") || wants("output_preview"),
            metadata: wants("metadata"),
        }
    }

    /// Whether this key is asked for, or something in it.
    fn wants(&self, key: &str) -> bool {
        let is_in = |name: &String| {
            let rest = name.strip_prefix(key);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        self.names
            .as_ref()
            .is_none_or(|names| names.iter().any(is_in))
    }

    /// Whether nothing beside these is asked for.
    pub(super) fn are_within(&self, known: &[&str]) -> bool {
        let names = self.names.as_ref();
        names.is_some_and(|names| names.iter().all(|name| known.contains(&name.as_str())))
    }

    /// Whether everything is kept.
    pub(super) const fn is_all(&self) -> bool {
        self.names.is_none()
    }
}

fn copy(from: &Map<String, Value>, path: &str, to: &mut Map<String, Value>) {
    if let Some(found) = from.get(path) {
        to.insert(path.to_owned(), found.clone());
        return;
    }
    let Some((head, rest)) = path.split_once('.') else {
        return;
    };
    if let Some(Value::Object(inner)) = from.get(head) {
        let slot = to.entry(head).or_insert_with(|| Value::Object(Map::new()));
        if let Value::Object(slot) = slot {
            copy(inner, rest, slot);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn keep(fields: &str) -> Value {
        let params = Params::parse(&format!("fields={fields}")).unwrap();
        Fields::of(&params, Over::Traces).unwrap().keep(json!({
            "trace_id": "t", "name": "n", "metadata": { "a": 1, "b.c": 2, "d": { "e": 3, "f": 4 } },
        }))
    }

    #[test]
    fn paths_and_ids_are_kept() {
        assert_eq!(keep("name"), json!({ "trace_id": "t", "name": "n" }));
        assert_eq!(
            keep("metadata.b.c,metadata.d.e,nope"),
            json!({ "trace_id": "t", "metadata": { "b.c": 2, "d": { "e": 3 } } })
        );
    }

    #[test]
    fn what_is_not_asked_for_is_not_made() {
        let wanted = |text: &str| {
            let wanted = Fields::of(&Params::parse(text).unwrap(), Over::Spans);
            let Wanted { previews, metadata } = wanted.unwrap().wanted();
            (previews, metadata)
        };
        assert_eq!(wanted(""), (true, true));
        assert_eq!(wanted("fields=name,metadatas,input"), (false, false));
        assert_eq!(wanted("fields=metadata.a.b"), (false, true));
        assert_eq!(wanted("fields=metadata,output_preview"), (true, true));
        assert_eq!(wanted("fields=input_preview"), (true, false));
    }

    #[test]
    fn their_number_is_bounded() {
        let of = |n: usize| {
            let text = format!("fields={}", vec!["a"; n].join(","));
            Fields::of(&Params::parse(&text).unwrap(), Over::Traces)
        };
        assert!(of(READ_FIELDS_MAX).is_ok());
        assert_eq!(
            of(READ_FIELDS_MAX + 1).unwrap_err().field.as_deref(),
            Some("fields")
        );
        let scores = |n: usize, over| {
            let names: Vec<String> = (0..n).map(|n| format!("scores.{n}")).collect();
            let text = format!("fields=name,{}", names.join(","));
            let fields = Fields::of(&Params::parse(&text).unwrap(), over);
            fields.map(|fields| fields.scores().len())
        };
        assert_eq!(
            scores(SCORES_TOLD_MAX, Over::Spans).unwrap(),
            SCORES_TOLD_MAX
        );
        assert!(scores(SCORES_TOLD_MAX + 1, Over::Spans).is_err());
        assert_eq!(scores(SCORES_TOLD_MAX + 1, Over::Logs).unwrap(), 0);
    }
}
