//! Rules as a project's settings say them, and what makes them valid.

use regex::{Regex, RegexBuilder, RegexSet, RegexSetBuilder};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::detector::Detector;
use super::paths::Glob;
use crate::limits::{
    REDACTION_PATHS_MAX, REDACTION_PATTERN_BYTES_MAX, REDACTION_PATTERN_COMPILED_BYTES_MAX,
    REDACTION_PATTERNS_MAX, REDACTION_REPLACEMENT_BYTES_MAX,
};

/// What a project takes out of its rows before they are stored.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    /// Built-in detectors; without this field the defaults.
    #[serde(default = "default_detectors")]
    pub detectors: Vec<Detector>,
    /// Patterns of the project's own.
    #[serde(default)]
    pub patterns: Vec<Pattern>,
    /// What happens by key.
    #[serde(default)]
    pub keys: Keys,
    /// What happens to content that is no text.
    #[serde(default)]
    pub media: Media,
}

fn default_detectors() -> Vec<Detector> {
    Detector::DEFAULTS.to_vec()
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            detectors: default_detectors(),
            patterns: Vec::new(),
            keys: Keys::default(),
            media: Media::default(),
        }
    }
}

/// A pattern of a project's own.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pattern {
    /// Lowercase letters, digits and `_`; not that of a detector.
    pub name: String,
    /// A regular expression in the syntax of the `regex` crate.
    pub pattern: String,
    /// What stands where it matched; `[name]` when it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replacement: Option<String>,
    /// Whether it looks at whole numbers, too. One that matches becomes text.
    #[serde(default)]
    pub numbers: bool,
}

/// Lists of dotted paths with globs. The strongest: `exempt`, then `allow`, then `deny`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Keys {
    /// Values that are replaced, whatever they are.
    #[serde(default)]
    pub deny: Vec<String>,
    /// Values that stay although `deny` or their name means them. Detectors look at them.
    #[serde(default)]
    pub allow: Vec<String>,
    /// Values that nothing looks at.
    #[serde(default)]
    pub exempt: Vec<String>,
}

/// What happens to bytes and `data:` URLs, in which nothing can be looked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Media {
    /// The row is refused.
    #[default]
    Refuse,
    /// `[media]` stands in its place.
    Replace,
    /// It is stored as it came: the project answers for what is in it.
    Keep,
}

/// Why rules are not valid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RulesError {
    /// More than a list may hold.
    #[error("too many entries max={max}")]
    TooMany {
        /// Which list.
        field: String,
        /// Its limit.
        max: usize,
    },
    /// A name that is taken, empty, too long or has other characters.
    #[error("name must be unique, 1 to 32 characters of a-z, 0-9 and _")]
    Name {
        /// Which pattern.
        field: String,
    },
    /// A pattern that is no regular expression, or too large.
    #[error("{problem}")]
    Pattern {
        /// Which pattern.
        field: String,
        /// Why.
        problem: String,
    },
    /// A replacement that is too long, or in which the pattern would match.
    #[error("replacement must be printable, at most {REDACTION_REPLACEMENT_BYTES_MAX} bytes")]
    Replacement {
        /// Which pattern.
        field: String,
    },
    /// Not a path.
    #[error("not a path: parts joined by dots, none of them empty")]
    Path {
        /// Which path.
        field: String,
    },
}

impl RulesError {
    /// The field that is wrong.
    pub fn field(&self) -> &str {
        match self {
            Self::TooMany { field, .. }
            | Self::Name { field }
            | Self::Pattern { field, .. }
            | Self::Replacement { field }
            | Self::Path { field } => field,
        }
    }
}

/// A pattern of a project's own, ready to be used.
#[derive(Debug)]
pub(super) struct Own {
    pub(super) name: String,
    pub(super) regex: Regex,
    pub(super) replacement: String,
    pub(super) numbers: bool,
}

/// Rules that were checked and compiled.
#[derive(Debug)]
pub(super) struct Compiled {
    pub(super) detectors: Vec<Detector>,
    pub(super) set: RegexSet,
    pub(super) own: Vec<Own>,
    pub(super) deny: Vec<Glob>,
    pub(super) allow: Vec<Glob>,
    pub(super) exempt: Vec<Glob>,
    pub(super) media: Media,
}

/// Checks and compiles.
pub(super) fn compile(rules: &Rules) -> Result<Compiled, RulesError> {
    within("detectors", rules.detectors.len(), Detector::ALL.len())?;
    within("patterns", rules.patterns.len(), REDACTION_PATTERNS_MAX)?;
    let mut own: Vec<Own> = Vec::with_capacity(rules.patterns.len());
    for (place, pattern) in rules.patterns.iter().enumerate() {
        let is_taken = own.iter().any(|o| o.name == pattern.name);
        own.push(compile_one(pattern, place, is_taken)?);
    }
    let set = RegexSetBuilder::new(rules.patterns.iter().map(|p| p.pattern.as_str()))
        .size_limit(REDACTION_PATTERN_COMPILED_BYTES_MAX)
        .dfa_size_limit(REDACTION_PATTERN_COMPILED_BYTES_MAX)
        .build()
        .map_err(|error| RulesError::Pattern {
            field: "patterns".to_owned(),
            problem: format!("together: {}", problem_of(&error)),
        })?;
    let mut detectors = rules.detectors.clone();
    detectors.sort_unstable();
    detectors.dedup();
    Ok(Compiled {
        detectors,
        set,
        own,
        deny: globs("keys.deny", &rules.keys.deny)?,
        allow: globs("keys.allow", &rules.keys.allow)?,
        exempt: globs("keys.exempt", &rules.keys.exempt)?,
        media: rules.media,
    })
}

fn within(field: &str, count: usize, max: usize) -> Result<(), RulesError> {
    let field = field.to_owned();
    (count <= max)
        .then_some(())
        .ok_or(RulesError::TooMany { field, max })
}

fn globs(field: &str, paths: &[String]) -> Result<Vec<Glob>, RulesError> {
    within(field, paths.len(), REDACTION_PATHS_MAX)?;
    let glob = |(place, path): (usize, &String)| {
        let field = format!("{field}[{place}]");
        Glob::parse(path).ok_or(RulesError::Path { field })
    };
    paths.iter().enumerate().map(glob).collect()
}

fn compile_one(pattern: &Pattern, place: usize, is_taken: bool) -> Result<Own, RulesError> {
    let field = |part: &str| format!("patterns[{place}].{part}");
    let name = &pattern.name;
    let is_word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    let is_builtin = Detector::ALL.iter().any(|d| d.as_str() == name);
    if is_taken || is_builtin || !(1..=32).contains(&name.len()) || !name.bytes().all(is_word) {
        return Err(RulesError::Name {
            field: field("name"),
        });
    }
    let refuse = |problem: String| RulesError::Pattern {
        field: field("pattern"),
        problem,
    };
    let text = &pattern.pattern;
    if text.len() > REDACTION_PATTERN_BYTES_MAX {
        return Err(refuse(format!(
            "pattern too long max_bytes={REDACTION_PATTERN_BYTES_MAX}"
        )));
    }
    let regex = RegexBuilder::new(text)
        .size_limit(REDACTION_PATTERN_COMPILED_BYTES_MAX)
        .dfa_size_limit(REDACTION_PATTERN_COMPILED_BYTES_MAX)
        .build()
        .map_err(|error| refuse(problem_of(&error)))?;
    if regex.is_match("") {
        return Err(refuse("pattern matches the empty text".to_owned()));
    }
    let replacement = pattern
        .replacement
        .clone()
        .unwrap_or_else(|| format!("[{name}]"));
    if replacement.len() > REDACTION_REPLACEMENT_BYTES_MAX
        || replacement.chars().any(char::is_control)
    {
        return Err(RulesError::Replacement {
            field: field("replacement"),
        });
    }
    Ok(Own {
        name: name.clone(),
        regex,
        replacement,
        numbers: pattern.numbers,
    })
}

/// Without the pattern itself, which some errors repeat over several lines.
fn problem_of(error: &regex::Error) -> String {
    match error {
        regex::Error::CompiledTooBig(_) => format!(
            "pattern too large when compiled max_bytes={REDACTION_PATTERN_COMPILED_BYTES_MAX}"
        ),
        other => {
            let text = other.to_string();
            let last = text.lines().last().unwrap_or("").trim();
            let reason = last.strip_prefix("error: ").unwrap_or(last);
            format!(
                "not a regular expression: {}",
                reason.chars().take(200).collect::<String>()
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(patterns: Vec<Pattern>) -> Rules {
        Rules {
            patterns,
            ..Rules::default()
        }
    }

    fn pattern(name: &str, pattern: &str) -> Pattern {
        Pattern {
            name: name.into(),
            pattern: pattern.into(),
            replacement: None,
            numbers: false,
        }
    }

    fn refused(rules: &Rules) -> String {
        compile(rules).unwrap_err().field().to_owned()
    }

    #[test]
    fn empty_rules_are_the_defaults_and_other_fields_are_refused() {
        let rules: Rules = serde_json::from_str("{}").unwrap();
        assert_eq!(rules, Rules::default());
        assert!(serde_json::from_str::<Rules>(r#"{"detector":[]}"#).is_err());
        assert!(serde_json::from_str::<Rules>(r#"{"detectors":["names"]}"#).is_err());
        assert!(compile(&rules).is_ok());
    }

    #[test]
    fn patterns_at_their_limits_and_above() {
        let names: Vec<Pattern> = (0..=REDACTION_PATTERNS_MAX)
            .map(|n| pattern(&format!("p{n}"), "x"))
            .collect();
        assert_eq!(refused(&with(names.clone())), "patterns");
        assert!(compile(&with(names[1..].to_vec())).is_ok());
        let long = |n: usize| with(vec![pattern("p", &"a".repeat(n))]);
        assert!(compile(&long(REDACTION_PATTERN_BYTES_MAX)).is_ok());
        assert_eq!(
            refused(&long(REDACTION_PATTERN_BYTES_MAX + 1)),
            "patterns[0].pattern"
        );
        let large = with(vec![pattern("p", r"\w{60}\w{60}\w{60}")]);
        let error = compile(&large).unwrap_err();
        assert!(
            error.to_string().contains("too large when compiled"),
            "{error}"
        );
        for bad in ["(", "x*", "(?=a)", r"(a)\1"] {
            assert_eq!(
                refused(&with(vec![pattern("p", bad)])),
                "patterns[0].pattern",
                "{bad}"
            );
        }
        for bad in ["", "emails", "A", "a b", &"a".repeat(33)] {
            assert_eq!(
                refused(&with(vec![pattern(bad, "x")])),
                "patterns[0].name",
                "{bad}"
            );
        }
        let twice = with(vec![pattern("p", "x"), pattern("p", "y")]);
        assert_eq!(refused(&twice), "patterns[1].name");
    }

    #[test]
    fn replacements_and_paths_at_their_limits_and_above() {
        let replaced = |n: usize| {
            let replacement = Some("r".repeat(n));
            with(vec![Pattern {
                replacement,
                ..pattern("p", "x")
            }])
        };
        assert!(compile(&replaced(REDACTION_REPLACEMENT_BYTES_MAX)).is_ok());
        let over = replaced(REDACTION_REPLACEMENT_BYTES_MAX + 1);
        assert_eq!(refused(&over), "patterns[0].replacement");
        let denied = |paths: Vec<String>| {
            let keys = Keys {
                deny: paths,
                ..Keys::default()
            };
            Rules {
                keys,
                ..Rules::default()
            }
        };
        assert!(compile(&denied(vec!["a".into(); REDACTION_PATHS_MAX])).is_ok());
        assert_eq!(
            refused(&denied(vec!["a".into(); REDACTION_PATHS_MAX + 1])),
            "keys.deny"
        );
        assert_eq!(
            refused(&denied(vec!["a".into(), "a..b".into()])),
            "keys.deny[1]"
        );
    }
}
