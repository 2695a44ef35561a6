//! Filters, plans and answers.

pub mod ast;
