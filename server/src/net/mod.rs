//! Sockets: who may connect, and how slowly they may talk.

pub(crate) mod accept;
pub mod forwarded;
pub(crate) mod outbound;
mod pace;
pub mod private_file;
pub mod tls;
pub(crate) mod unix;
