//! Sockets: who may connect, and how slowly they may talk.

pub mod accept;
mod pace;
pub mod unix;
