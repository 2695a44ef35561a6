//! What holds of several dialects.

mod clients;
mod reported;
