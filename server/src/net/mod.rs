//! Sockets: who may connect, and how slowly they may talk.

pub(crate) mod accept;
mod pace;
pub(crate) mod unix;
