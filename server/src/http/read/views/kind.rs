//! What a saved view is of: rows of one kind, or charts.

use serde_json::{Map, Value};

use crate::http::error::ApiError;
use crate::http::read::ask::Over;

const DASHBOARD: &str = "dashboard";
const CHARTS: &str = "charts";
/// How a dashboard was told apart before `over` did.
const KIND: &str = "kind";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Rows(Over),
    Dashboard,
}

impl Kind {
    /// As it was sent, settings and all: what will be shown as a dashboard is held to be one.
    pub(super) fn sent(
        over: Option<&str>,
        settings: &Map<String, Value>,
    ) -> Result<Self, ApiError> {
        let kind = Self::of(over)?;
        Ok(match Self::of_stored(kind.as_str(), settings) {
            DASHBOARD => Self::Dashboard,
            _ => kind,
        })
    }

    /// As `over` names it; traces if it does not.
    pub(super) fn of(over: Option<&str>) -> Result<Self, ApiError> {
        match over {
            None => Ok(Self::Rows(Over::Traces)),
            Some(DASHBOARD) => Ok(Self::Dashboard),
            Some(name) => Over::named(name).map(Self::Rows).map_err(|_| {
                let message = "not of traces, spans, scores, logs, points, dashboard";
                ApiError::parameter("over", message)
            }),
        }
    }

    /// As it was stored.
    pub(super) fn of_stored<'a>(over: &'a str, settings: &Map<String, Value>) -> &'a str {
        let was_told = settings.get(KIND).and_then(Value::as_str) == Some(DASHBOARD);
        if was_told { DASHBOARD } else { over }
    }

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Rows(over) => over.as_str(),
            Self::Dashboard => DASHBOARD,
        }
    }

    /// Rows of what its own search finds.
    pub(super) const fn rows(self) -> Over {
        match self {
            Self::Rows(over) => over,
            Self::Dashboard => Over::Traces,
        }
    }
}

/// The rows of a name, if the page draws charts of them.
fn drawn(name: &str) -> Option<Over> {
    Over::named(name).ok().filter(|over| *over != Over::Scores)
}

/// What a chart says in words, beside rows and a search.
const WORDS: [&str; 4] = ["title", "what", "by", "of"];

/// Refuses charts that could not be drawn: each names rows that charts are of and a search that reads.
pub(super) fn check_charts(settings: &Map<String, Value>, now_ns: i64) -> Result<(), ApiError> {
    let refused = |field: &str, message| ApiError::parameter(&format!("settings.{field}"), message);
    let charts = match settings.get(CHARTS) {
        None => return Ok(()),
        Some(Value::Array(charts)) => charts,
        Some(_) => return Err(refused(CHARTS, "not a list")),
    };
    for (at, chart) in charts.iter().enumerate() {
        let place = format!("{CHARTS}[{at}]");
        let Value::Object(chart) = chart else {
            return Err(refused(&place, "not an object"));
        };
        let text = |name: &str| match chart.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str())),
            Some(_) => Err(refused(&format!("{place}.{name}"), "not a text")),
        };
        let over = match text("over")? {
            None => Over::Traces,
            Some(name) => drawn(name).ok_or_else(|| {
                refused(
                    &format!("{place}.over"),
                    "not of traces, spans, logs, points",
                )
            })?,
        };
        let searched = over.searched(text("q")?.unwrap_or(""), now_ns);
        searched.map_err(|error| error.at(format!("settings.{place}.q")))?;
        WORDS.iter().try_for_each(|word| text(word).map(drop))?;
    }
    Ok(())
}
