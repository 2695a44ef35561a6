//! The constants of the queries, as the manifest has them.

use serde_json::Value as Json;

use super::Outcome;

/// What is asked for.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) now_ns: i64,
    pub(crate) project: u64,
    pub(crate) projects: u64,
    pub(crate) traces: Vec<(u64, String)>,
    pub(crate) facets: Vec<String>,
    pub(crate) quantiles: Vec<f64>,
    texts: Json,
}

impl Asked {
    pub(crate) fn read(command: &Json) -> Outcome<Self> {
        let path = command["manifest"].as_str().ok_or("no manifest")?;
        let manifest: Json = serde_json::from_slice(&std::fs::read(path)?)?;
        let asked = &manifest["asked"];
        let list = |name: &str| asked[name].as_array().cloned().unwrap_or_default();
        let traces = list("traces").into_iter().map(|t| {
            let id = t[1].as_str().unwrap_or_default().to_owned();
            (t[0].as_u64().unwrap_or_default(), id)
        });
        let number = |name: &str| asked[name].as_u64().ok_or(format!("no {name}"));
        Ok(Self {
            now_ns: i64::try_from(number("now_ns")?)?,
            project: number("project")?,
            projects: number("projects")?,
            traces: traces.collect(),
            facets: list("facets")
                .iter()
                .filter_map(|f| f.as_str().map(str::to_owned))
                .collect(),
            quantiles: list("quantiles").iter().filter_map(Json::as_f64).collect(),
            texts: asked.clone(),
        })
    }

    /// A text among the constants.
    pub(crate) fn text(&self, name: &str) -> String {
        self.texts[name].as_str().unwrap_or_default().to_owned()
    }
}
