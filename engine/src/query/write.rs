//! A filter as text of the search bar: what [`parse`](super::parse) reads as the same filter.

use super::ast::{Filter, Literal, Test, TextTest};
use super::parse::{is_money, is_time};
use crate::source::Column;

/// The text; `None` if the search bar has no words for it (an empty `and` or `or`, one of a single part,
/// "all rows" beside other tests, an empty list or beginning, a time that is no number or
/// has a beginning, an amount of money more or less than a text).
pub fn write(filter: &Filter) -> Option<String> {
    let mut out = String::new();
    match filter {
        Filter::All => {}
        other => put(other, &mut out)?,
    }
    Some(out)
}

fn put(filter: &Filter, out: &mut String) -> Option<()> {
    match filter {
        Filter::All => return None,
        Filter::And(parts) => join(parts, " ", out)?,
        Filter::Or(parts) => join(parts, " or ", out)?,
        Filter::Not(part) => {
            out.push('-');
            one(part, out)?;
        }
        Filter::AnySpan(part) => put_inside("{", part, out)?,
        Filter::AnyScore(part) => put_inside("score{", part, out)?,
        Filter::Text(test) => put_text(test, out),
        Filter::Is(column, test) => put_test(column, test, out)?,
    }
    Some(())
}

/// A test of other rows.
fn put_inside(open: &str, part: &Filter, out: &mut String) -> Option<()> {
    out.push_str(open);
    if *part != Filter::All {
        put(part, out)?;
    }
    out.push('}');
    Some(())
}

fn join(parts: &[Filter], by: &str, out: &mut String) -> Option<()> {
    if parts.len() < 2 {
        return None;
    }
    for (n, part) in parts.iter().enumerate() {
        if n > 0 {
            out.push_str(by);
        }
        one(part, out)?;
    }
    Some(())
}

/// One term: brackets around what is several.
fn one(filter: &Filter, out: &mut String) -> Option<()> {
    if !matches!(filter, Filter::And(_) | Filter::Or(_)) {
        return put(filter, out);
    }
    out.push('(');
    put(filter, out)?;
    out.push(')');
    Some(())
}

fn put_text(test: &TextTest, out: &mut String) {
    match test {
        TextTest::Words(text) => quote(text, out),
        TextTest::Beginning(text) => beginning(text, out),
        TextTest::Contains(text) => {
            out.push('~');
            quote(text, out);
        }
        TextTest::Regex(pattern) => {
            out.push_str("=~");
            quote_pattern(pattern, out);
        }
    }
}

fn put_test(column: &Column, test: &Test, out: &mut String) -> Option<()> {
    if *test == Test::Exists {
        out.push_str("has:");
        name(column, out);
        return Some(());
    }
    name(column, out);
    match test {
        Test::Exists => {}
        Test::Eq(literal) => {
            out.push_str(equals(std::slice::from_ref(literal)));
            put_literal(column, literal, out)?;
        }
        Test::In(list) if list.is_empty() => return None,
        Test::In(list) => {
            out.push_str(equals(list));
            out.push('(');
            for (n, literal) in list.iter().enumerate() {
                if n > 0 {
                    out.push(',');
                }
                put_literal(column, literal, out)?;
            }
            out.push(')');
        }
        Test::Lt(literal) => bound("<", column, literal, out)?,
        Test::Le(literal) => bound("<=", column, literal, out)?,
        Test::Gt(literal) => bound(">", column, literal, out)?,
        Test::Ge(literal) => bound(">=", column, literal, out)?,
        Test::Contains(text) => {
            out.push('~');
            quote(text, out);
        }
        Test::Prefix(text) if text.is_empty() || is_time(column) => return None,
        Test::Prefix(text) => {
            out.push(':');
            beginning(text, out);
        }
        Test::Regex(pattern) => {
            out.push_str("=~");
            quote_pattern(pattern, out);
        }
    }
    Some(())
}

/// Texts in quotes are texts after `:`; a number alone is one after `==`.
fn equals(list: &[Literal]) -> &'static str {
    if list.iter().all(|l| matches!(l, Literal::Str(_))) {
        ":"
    } else {
        "=="
    }
}

fn bound(operator: &str, column: &Column, literal: &Literal, out: &mut String) -> Option<()> {
    let is_amount = matches!(column, Column::Path(path) if is_money(path));
    if matches!(literal, Literal::Bool(_)) || is_amount && matches!(literal, Literal::Str(_)) {
        return None;
    }
    out.push_str(operator);
    put_literal(column, literal, out)
}

fn put_literal(column: &Column, literal: &Literal, out: &mut String) -> Option<()> {
    match (column, literal) {
        (Column::Start | Column::End | Column::Duration, Literal::I64(ns)) => {
            out.push_str(&ns.to_string());
        }
        (_, Literal::Str(text)) if !is_time(column) => quote(text, out),
        (_, Literal::I64(n)) if column.has_any_type() => out.push_str(&n.to_string()),
        (_, Literal::F64(x)) if column.has_any_type() && x.is_finite() => {
            out.push_str(&format!("{x:?}"));
        }
        (_, Literal::Bool(b)) if column.has_any_type() => out.push_str(&b.to_string()),
        _ => return None,
    }
    Some(())
}

fn name(column: &Column, out: &mut String) {
    match column {
        // In quotes, so that it is a path whatever it is called.
        Column::Path(path) => quote(path, out),
        other => out.push_str(&other.name()),
    }
}

fn quote(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            other => out.push(other),
        }
    }
    out.push('"');
}

/// Only quotes are escaped, also those that the pattern has escaped already.
fn quote_pattern(pattern: &str, out: &mut String) {
    out.push('"');
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => {
                out.push('\\');
                out.extend(chars.next());
            }
            other => out.push(other),
        }
    }
    out.push('"');
}

fn beginning(text: &str, out: &mut String) {
    for c in text.chars() {
        if !c.is_alphanumeric() {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('*');
}
