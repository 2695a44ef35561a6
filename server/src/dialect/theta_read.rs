//! Rows → what theta clients read.
