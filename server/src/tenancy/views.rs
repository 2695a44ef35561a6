//! Saved views of a project and comments on its traces: events, and what follows from them.
//!
//! Persisted: variants and fields are appended, never changed.

use std::collections::{BTreeMap, HashMap};

use bincode::{Decode, Encode};

use super::directory::DirectoryError;
use crate::control::Actor;

/// A search that somebody saved, with how it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct SavedView {
    /// Its id; never used twice.
    pub view: u64,
    /// Of which project.
    pub project: u64,
    /// For people.
    pub name: String,
    /// Rows of what: `traces`, `spans`.
    pub over: String,
    /// The filter.
    pub q: String,
    /// Earliest start, as it was typed; empty for none.
    pub from: String,
    /// The start before which rows are; empty for none.
    pub to: String,
    /// The order; empty for the usual one.
    pub sort: String,
    /// Keys shown.
    pub columns: Vec<String>,
    /// What else the dashboard keeps: a JSON object, or nothing.
    pub settings: String,
    /// Whether everybody who sees the project sees it.
    pub is_shared: bool,
    /// Who made it.
    pub owner: Actor,
}

/// Something that somebody said about a trace.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Comment {
    /// Its id; never used twice.
    pub comment: u64,
    /// Of which project.
    pub project: u64,
    /// About which trace.
    pub trace_id: String,
    /// About which span of it; empty for the trace.
    pub span_id: String,
    /// What.
    pub text: String,
}

/// One fact about views and comments.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum ViewEvent {
    /// A view is this from here on.
    ViewSet(SavedView),
    /// A view is gone.
    ViewDeleted {
        /// Of which project.
        project: u64,
        /// Which.
        view: u64,
    },
    /// Somebody commented.
    Commented(Comment),
    /// A comment is gone.
    CommentDeleted {
        /// Of which project.
        project: u64,
        /// Which.
        comment: u64,
    },
}

impl ViewEvent {
    /// In which project.
    pub const fn project(&self) -> u64 {
        match self {
            Self::ViewSet(view) => view.project,
            Self::Commented(comment) => comment.project,
            Self::ViewDeleted { project, .. } | Self::CommentDeleted { project, .. } => *project,
        }
    }
}

/// A view in memory.
#[derive(Clone, Debug)]
pub(crate) struct ViewHeld {
    pub(crate) view: SavedView,
    /// When it was last set.
    pub(crate) at_ns: i64,
}

/// A comment in memory.
#[derive(Clone, Debug)]
pub(crate) struct CommentHeld {
    pub(crate) comment: Comment,
    pub(crate) author: Actor,
    pub(crate) at_ns: i64,
}

/// Views and comments of one project.
#[derive(Debug, Default)]
struct OfProject {
    views: BTreeMap<u64, ViewHeld>,
    comments: BTreeMap<u64, CommentHeld>,
    of_trace: HashMap<String, Vec<u64>>,
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Views {
    projects: HashMap<u64, OfProject>,
    /// The highest id of a view or a comment so far.
    last: u64,
}

impl Views {
    pub(crate) fn next_id(&self) -> u64 {
        self.last + 1
    }

    /// Views of a project, by id.
    pub(crate) fn of_project(&self, project: u64) -> impl Iterator<Item = &ViewHeld> {
        self.projects
            .get(&project)
            .into_iter()
            .flat_map(|held| held.views.values())
    }

    pub(crate) fn get(&self, project: u64, view: u64) -> Option<&ViewHeld> {
        self.projects.get(&project)?.views.get(&view)
    }

    pub(crate) fn comment(&self, project: u64, comment: u64) -> Option<&CommentHeld> {
        self.projects.get(&project)?.comments.get(&comment)
    }

    /// Comments on a trace, oldest first.
    pub(crate) fn of_trace(&self, project: u64, trace_id: &str) -> Vec<&CommentHeld> {
        let held = self.projects.get(&project);
        let ids = held.and_then(|held| held.of_trace.get(trace_id));
        ids.into_iter()
            .flatten()
            .filter_map(|id| held?.comments.get(id))
            .collect()
    }

    /// How many views and how many comments a project has.
    pub(crate) fn counts(&self, project: u64) -> (usize, usize) {
        let held = self.projects.get(&project);
        held.map_or((0, 0), |held| (held.views.len(), held.comments.len()))
    }

    pub(super) fn apply(
        &mut self,
        event: &ViewEvent,
        (author, at_ns): (Actor, i64),
    ) -> Result<(), DirectoryError> {
        let held = self.projects.entry(event.project()).or_default();
        match event {
            ViewEvent::ViewSet(view) => {
                self.last = self.last.max(view.view);
                let view = view.clone();
                held.views.insert(view.view, ViewHeld { view, at_ns });
            }
            ViewEvent::ViewDeleted { view, .. } => {
                let gone = held.views.remove(view);
                gone.ok_or(unknown("view", *view))?;
            }
            ViewEvent::Commented(comment) => {
                self.last = self.last.max(comment.comment);
                let of_trace = held.of_trace.entry(comment.trace_id.clone()).or_default();
                of_trace.push(comment.comment);
                let comment = comment.clone();
                held.comments.insert(
                    comment.comment,
                    CommentHeld {
                        comment,
                        author,
                        at_ns,
                    },
                );
            }
            ViewEvent::CommentDeleted { comment, .. } => {
                let gone = held.comments.remove(comment);
                let gone = gone.ok_or(unknown("comment", *comment))?;
                if let Some(of_trace) = held.of_trace.get_mut(&gone.comment.trace_id) {
                    of_trace.retain(|id| id != comment);
                    if of_trace.is_empty() {
                        held.of_trace.remove(&gone.comment.trace_id);
                    }
                }
            }
        }
        Ok(())
    }

    /// A project is gone.
    pub(super) fn forget(&mut self, project: u64) {
        self.projects.remove(&project);
    }
}

const fn unknown(what: &'static str, id: u64) -> DirectoryError {
    DirectoryError::Unknown { what, id }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn comment(id: u64, trace: &str) -> ViewEvent {
        ViewEvent::Commented(Comment {
            comment: id,
            project: 1,
            trace_id: trace.to_owned(),
            span_id: String::new(),
            text: "so".to_owned(),
        })
    }

    #[test]
    fn comments_are_found_by_trace_until_they_go() {
        let mut views = Views::default();
        let by = (Actor::Operator, 7);
        for (id, trace) in [(1, "a"), (2, "b"), (3, "a")] {
            views.apply(&comment(id, trace), by).unwrap();
        }
        let ids = |views: &Views, trace: &str| -> Vec<u64> {
            let found = views.of_trace(1, trace);
            found.iter().map(|held| held.comment.comment).collect()
        };
        assert_eq!((ids(&views, "a"), ids(&views, "c")), (vec![1, 3], vec![]));
        let gone = ViewEvent::CommentDeleted {
            project: 1,
            comment: 1,
        };
        views.apply(&gone, by).unwrap();
        assert!(views.apply(&gone, by).is_err());
        assert_eq!(ids(&views, "a"), [3]);
        assert_eq!((views.counts(1), views.next_id()), ((0, 2), 4));
        views.forget(1);
        assert_eq!((views.counts(1), views.next_id()), ((0, 0), 4));
    }
}
