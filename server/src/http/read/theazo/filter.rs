//! What the routes of Theazo are asked, as a search: so lists and live tails are those of every other
//! client.

use crate::http::error::ApiError;
use crate::http::params::Params;

/// Attributes that name an agent.
pub(super) const AGENT_IDS: [&str; 2] = ["theazo.agent.id", "gen_ai.agent.id"];

/// A text as a search takes it literally.
pub(in crate::http::read) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
    out
}

/// Rows of an agent.
pub(super) fn of_agent(agent: &str) -> String {
    let agent = quoted(agent);
    let tests = AGENT_IDS.map(|name| format!("attributes.{name}:{agent}"));
    format!("({})", tests.join(" or "))
}

/// Theazo's four levels, and those that are one of them here.
const LEVELS: [(&str, &str); 4] = [
    ("debug", "level:(trace,debug)"),
    ("info", "level:info"),
    ("warn", "level:warn"),
    ("error", "level:(error,fatal)"),
];

/// The level of a log line in Theazo's words.
pub(super) fn level_of(level: Option<&str>) -> &'static str {
    match level {
        Some("trace" | "debug") => "debug",
        Some("warn") => "warn",
        Some("error" | "fatal") => "error",
        _ => "info",
    }
}

/// Which log lines.
#[derive(Clone, Debug, Default)]
pub(super) struct Lines {
    /// The agent that the path names.
    pub(super) agent: Option<String>,
}

/// Parameters that choose log lines.
pub(super) const OF_LINES: [&str; 4] = ["agentId", "sessionId", "level", "search"];

impl Lines {
    /// The search that finds them.
    pub(super) fn search(&self, params: &Params) -> Result<String, ApiError> {
        let mut tests = Vec::new();
        let agents = [self.agent.as_deref(), params.one("agentId")?];
        tests.extend(agents.into_iter().flatten().map(of_agent));
        if let Some(session) = params.one("sessionId")? {
            tests.push(format!("group:{}", quoted(session)));
        }
        if let Some(level) = params.one("level")? {
            let found = LEVELS.iter().find(|(name, _)| *name == level);
            let refused = || ApiError::parameter("level", "not of debug, info, warn, error");
            let (_, test) = found.ok_or_else(refused)?;
            tests.push((*test).to_owned());
        }
        if let Some(search) = params.one("search")?.filter(|text| !text.is_empty()) {
            tests.push(quoted(search));
        }
        Ok(tests.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use obsrv_engine::query::ast::{Filter, Literal, Test, TextTest};
    use obsrv_engine::query::parse;

    use super::*;

    #[test]
    fn whatever_is_asked_is_taken_literally() {
        for odd in [
            "a",
            "a*",
            "x\" or \"y",
            "back\\slash",
            "two\nlines",
            "ü(",
            "",
        ] {
            let expected = Test::Eq(Literal::Str(odd.to_owned()));
            match parse(&format!("group:{}", quoted(odd)), 0).unwrap() {
                Filter::Is(_, test) => assert_eq!(test, expected),
                other => panic!("{odd}: {other:?}"),
            }
        }
        let params = Params::parse("search=rate+%22limit&level=error&sessionId=s").unwrap();
        let lines = Lines {
            agent: Some("agt_1".to_owned()),
        };
        let q = lines.search(&params).unwrap();
        let Filter::And(parts) = parse(&q, 0).unwrap() else {
            panic!("{q}");
        };
        assert_eq!(parts.len(), 4);
        assert_eq!(
            parts[3],
            Filter::Text(TextTest::Words("rate \"limit".into()))
        );
        let wrong = Params::parse("level=fatal").unwrap();
        assert_eq!(
            lines.search(&wrong).unwrap_err().field.as_deref(),
            Some("level")
        );
        assert_eq!(Lines::default().search(&Params::default()).unwrap(), "");
    }
}
