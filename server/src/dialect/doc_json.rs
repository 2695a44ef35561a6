//! Document → JSON text.
//!
//! What JSON has no form for: floats that are not finite become the strings `NaN`, `Infinity` and
//! `-Infinity` (as in protobuf's JSON mapping), bytes become base64 text. Finite floats are
//! written so that they read back to the same bits and are told from whole numbers (`1.0`).

use std::fmt::Write;

use obsrv_engine::doc::DocRef;

/// The text of a document.
pub fn to_text(value: DocRef<'_>) -> String {
    let mut out = String::new();
    write(value, &mut out);
    out
}

/// Appends the text of a document. Nesting is bounded by the document's depth limit.
pub fn write(value: DocRef<'_>, out: &mut String) {
    match value {
        DocRef::Null => out.push_str("null"),
        DocRef::Bool(b) => out.push_str(if b { "true" } else { "false" }),
        DocRef::I64(n) => push(out, format_args!("{n}")),
        DocRef::U64(n) => push(out, format_args!("{n}")),
        DocRef::F64(n) => write_f64(n, out),
        DocRef::Str(s) => write_str(s, out),
        DocRef::Bytes(b) => write_base64(b, out),
        DocRef::Array(items) => {
            out.push('[');
            for (i, item) in items.flatten().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                write(item, out);
            }
            out.push(']');
        }
        DocRef::Map(entries) => {
            out.push('{');
            for (i, (key, child)) in entries.flatten().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                write_str(key, out);
                out.push(':');
                write(child, out);
            }
            out.push('}');
        }
    }
}

fn push(out: &mut String, args: std::fmt::Arguments<'_>) {
    out.write_fmt(args)
        .expect("BUG: writing to a string failed");
}

/// Appends a number; what is not finite as text.
pub(crate) fn write_f64(n: f64, out: &mut String) {
    if n.is_nan() {
        out.push_str("\"NaN\"");
    } else if n.is_infinite() {
        out.push_str(if n > 0.0 {
            "\"Infinity\""
        } else {
            "\"-Infinity\""
        });
    } else {
        push(out, format_args!("{n:?}"));
    }
}

/// Appends a quoted string.
pub fn write_str(text: &str, out: &mut String) {
    out.push('"');
    let mut rest = text;
    while let Some(at) = rest.find(|c: char| matches!(c, '"' | '\\' | '\0'..='\x1f')) {
        let (plain, tail) = rest.split_at(at);
        out.push_str(plain);
        let mut chars = tail.chars();
        match chars.next() {
            Some('"') => out.push_str("\\\""),
            Some('\\') => out.push_str("\\\\"),
            Some('\n') => out.push_str("\\n"),
            Some('\r') => out.push_str("\\r"),
            Some('\t') => out.push_str("\\t"),
            Some(c) => push(out, format_args!("\\u{:04x}", u32::from(c))),
            None => {}
        }
        rest = chars.as_str();
    }
    out.push_str(rest);
    out.push('"');
}

/// Appends bytes as quoted base64.
pub(crate) fn write_base64(bytes: &[u8], out: &mut String) {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    out.push('"');
    for chunk in bytes.chunks(3) {
        let word =
            chunk.iter().fold(0u32, |w, b| (w << 8) | u32::from(*b)) << (8 * (3 - chunk.len()));
        for i in 0..4 {
            let digit = usize::try_from((word >> (18 - 6 * i)) & 63).unwrap_or(0);
            out.push(if i <= chunk.len() {
                char::from(DIGITS[digit])
            } else {
                '='
            });
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use obsrv_engine::doc::DocWriter;

    use super::*;

    #[test]
    fn writes_what_json_has_no_form_for_as_text() {
        let mut out = DocWriter::new();
        let open = out.begin_array();
        out.f64(f64::NAN);
        out.f64(f64::NEG_INFINITY);
        out.f64(1.0);
        out.f64(1e300);
        out.bytes(b"");
        out.bytes(b"f");
        out.bytes(b"fo");
        out.bytes(b"foo\xff");
        out.str("\u{1}\"\\");
        out.end(open);
        let doc = out.finish();
        assert_eq!(
            to_text(DocRef::parse(&doc).unwrap()),
            r#"["NaN","-Infinity",1.0,1e300,"","Zg==","Zm8=","Zm9v/w==","\u0001\"\\"]"#
        );
    }
}
