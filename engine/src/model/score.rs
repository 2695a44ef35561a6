//! What a score says, and in which places of its row: every protocol has its own.
//!
//! Whoever names a fact, a filter, a list, a facet or a sort, goes by the places that stand here.

use super::{NAME, SPAN_ID, USER_ID, VALUE};

/// What it is called.
pub const NAMES: [&str; 2] = [NAME, LABEL];
/// Its number, or yes or no.
pub const VALUES: [&str; 2] = ["score", VALUE];
/// Its words, if it has a name beside them; else its name.
pub const LABEL: &str = "label";
/// The span that it is of; of none of them: of the trace.
pub const SPANS: [&str; 4] = ["step_id", SPAN_ID, "observation_id", "run_id"];
/// Who scored.
pub const USERS: [&str; 3] = [USER_ID, "metadata.user_id", "feedback_source.user_id"];
/// What scored, in the words of the protocol.
pub const SOURCES: [&str; 3] = ["source", "feedback_source.type", "annotation_type"];

/// A thing that scores say, whatever protocol they came by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fact {
    /// What it is called.
    Name,
    /// All that it is worth: its number, or yes or no, and its words.
    Value,
    /// What it is worth in one: its number, or yes or no, if it has one; else its words.
    Worth,
    /// Who scored.
    User,
    /// The spans that it is of.
    Span,
    /// What scored.
    Source,
}

/// Whether the words in [`LABEL`] belong to a fact. Without a name beside them they are the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Words {
    /// They do not.
    No,
    /// They do.
    Beside,
    /// They do if no other place has a value.
    Instead,
}

impl Fact {
    /// Those that a filter has a name for.
    pub const FILTERED: [Self; 5] = [
        Self::Name,
        Self::Value,
        Self::User,
        Self::Span,
        Self::Source,
    ];

    /// The fact that a filter means by a name.
    pub fn named(name: &str) -> Option<Self> {
        let mut all = Self::FILTERED.into_iter();
        all.find(|fact| fact.name() == name)
    }

    /// Whether a path is one of the places of facts, or stands behind the name of one.
    pub fn has_place(path: &str) -> bool {
        let mut all = Self::FILTERED.into_iter();
        path == LABEL || all.any(|fact| fact.name() == path || fact.places().contains(&path))
    }

    /// What a filter calls it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Name => NAME,
            Self::Value | Self::Worth => VALUE,
            Self::User => USER_ID,
            Self::Span => SPAN_ID,
            Self::Source => "source",
        }
    }

    /// The places where it is: paths of the row.
    pub const fn places(self) -> &'static [&'static str] {
        match self {
            Self::Name => &NAMES,
            Self::Value | Self::Worth => &VALUES,
            Self::User => &USERS,
            Self::Span => &SPANS,
            Self::Source => &SOURCES,
        }
    }

    /// Whether all places count that have a value; else the first of them does.
    pub const fn takes_all(self) -> bool {
        matches!(self, Self::Span)
    }

    /// Whether its words count.
    pub const fn words(self) -> Words {
        match self {
            Self::Value => Words::Beside,
            Self::Worth => Words::Instead,
            Self::Name | Self::User | Self::Span | Self::Source => Words::No,
        }
    }

    /// What it is where rows are ordered, grouped and added up: of each one value, as far as its row has one.
    pub const fn single(self) -> Self {
        match self {
            Self::Value => Self::Worth,
            other => other,
        }
    }
}
