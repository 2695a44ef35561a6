//! Signing in: who the people are, how they show it, and for how long it holds.
//!
//! Users, sessions and links are a projection of the log ([`event`], [`users`]); [`accounts`] is
//! their one writer. A session opens nothing by itself: which projects a user may see is decided
//! elsewhere, from the [`users::UserId`] that [`session::Sessions::principal`] gives.

pub mod accounts;
mod attempts;
pub mod email;
pub mod event;
mod link;
mod password;
pub mod session;
mod token;
pub mod users;

pub use accounts::{Accounts, SignInError};
pub use session::{NewSession, Origins, Sessions};
pub use users::{SessionId, UserId, Users};
