//! Changes of saved views and comments.

use super::{By, ChangeError, Changed, ControlPlane, check_name, check_room};
use crate::control::{Act, Actor, ControlEvent};
use crate::limits::{
    COMMENT_BYTES_MAX, COMMENTS_PER_PROJECT_MAX, TRACE_ID_BYTES_MAX, VIEW_BYTES_MAX,
    VIEWS_PER_PROJECT_MAX,
};
use crate::tenancy::Right;
use crate::tenancy::directory::State;
use crate::tenancy::views::{Comment, SavedView, ViewEvent};

impl ControlPlane {
    fn view_event(&self, by: By, event: ViewEvent) -> ControlEvent {
        ControlEvent::Views(Act {
            actor: by.actor,
            at_ns: self.now_ns(),
            event,
        })
    }

    /// Saves a view. With the id 0 it is a new one; else it takes the place of that one and keeps
    /// its owner.
    pub async fn save_view(&self, by: By, view: SavedView) -> Result<Changed<u64>, ChangeError> {
        check_view(&view)?;
        self.change(|state| {
            known(state, view.project)?;
            let mut view = view;
            if view.is_shared && !by.may(Right::TraceWrite) {
                return Err(ChangeError::Forbidden);
            }
            if view.view == 0 {
                let (there, _) = state.views.counts(view.project);
                check_room("views", there, VIEWS_PER_PROJECT_MAX)?;
                (view.view, view.owner) = (state.views.next_id(), by.actor);
            } else {
                let old = state.views.get(view.project, view.view);
                let old = &old.ok_or(ChangeError::Unknown("view"))?.view;
                check_owner(by, old.owner, old.is_shared, "view")?;
                view.owner = old.owner;
            }
            let id = view.view;
            Ok((vec![self.view_event(by, ViewEvent::ViewSet(view))], id))
        })
        .await
    }

    /// Deletes a view.
    pub async fn delete_view(
        &self,
        by: By,
        project: u64,
        view: u64,
    ) -> Result<Changed<()>, ChangeError> {
        self.change(|state| {
            let old = state.views.get(project, view);
            let old = &old.ok_or(ChangeError::Unknown("view"))?.view;
            check_owner(by, old.owner, old.is_shared, "view")?;
            let event = ViewEvent::ViewDeleted { project, view };
            Ok((vec![self.view_event(by, event)], ()))
        })
        .await
    }

    /// Comments on a trace.
    pub async fn comment(&self, by: By, comment: Comment) -> Result<Changed<u64>, ChangeError> {
        let length = comment.text.len();
        if comment.text.trim().is_empty() || length > COMMENT_BYTES_MAX {
            return Err(ChangeError::Invalid("a comment must be 1 to 2048 bytes"));
        }
        if comment.trace_id.len().max(comment.span_id.len()) > TRACE_ID_BYTES_MAX {
            return Err(ChangeError::Invalid("the id is too long"));
        }
        self.change(|state| {
            known(state, comment.project)?;
            let (_, there) = state.views.counts(comment.project);
            check_room("comments", there, COMMENTS_PER_PROJECT_MAX)?;
            let id = state.views.next_id();
            let comment = Comment {
                comment: id,
                ..comment
            };
            Ok((vec![self.view_event(by, ViewEvent::Commented(comment))], id))
        })
        .await
    }

    /// Deletes a comment.
    pub async fn delete_comment(
        &self,
        by: By,
        (project, trace_id): (u64, &str),
        comment: u64,
    ) -> Result<Changed<()>, ChangeError> {
        self.change(|state| {
            let old = state.views.comment(project, comment);
            let old = old.filter(|held| held.comment.trace_id == trace_id);
            let old = old.ok_or(ChangeError::Unknown("comment"))?;
            check_owner(by, old.author, true, "comment")?;
            let event = ViewEvent::CommentDeleted { project, comment };
            Ok((vec![self.view_event(by, event)], ()))
        })
        .await
    }
}

fn known(state: &State, project: u64) -> Result<(), ChangeError> {
    let found = state.projects.get(project).map(drop);
    found.ok_or(ChangeError::Unknown("project"))
}

/// What somebody made is changed by them; what all see also by who may edit the project.
fn check_owner(
    by: By,
    owner: Actor,
    is_shared: bool,
    what: &'static str,
) -> Result<(), ChangeError> {
    if by.actor == owner || by.actor == Actor::Operator {
        Ok(())
    } else if !is_shared {
        // Whether there is one is not told.
        Err(ChangeError::Unknown(what))
    } else if by.may(Right::ProjectEdit) {
        Ok(())
    } else {
        Err(ChangeError::Forbidden)
    }
}

fn check_view(view: &SavedView) -> Result<(), ChangeError> {
    check_name(&view.name)?;
    let texts = [
        &view.over,
        &view.q,
        &view.from,
        &view.to,
        &view.sort,
        &view.settings,
    ];
    let texts = texts.into_iter().chain(&view.columns);
    let bytes: usize = texts.map(|text| text.len() + 8).sum();
    if bytes > VIEW_BYTES_MAX {
        return Err(ChangeError::TooMany {
            what: "bytes of a view",
            max: VIEW_BYTES_MAX,
        });
    }
    Ok(())
}
