//! Why one item of a request is refused.

/// A field and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bad {
    pub(super) field: String,
    pub(super) problem: String,
}

impl Bad {
    pub(super) fn new(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            problem: problem.into(),
        }
    }

    pub(super) fn message(&self) -> String {
        format!("{}: {}", self.field, self.problem)
    }
}
