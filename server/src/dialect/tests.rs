//! What holds of several dialects.

mod reported;
