//! Just enough reading of Rust for the rules: text with comments and literals blanked out (offsets and lines kept),
//! and which part of it is production code.

/// `text` with the insides of comments, strings and character literals replaced by spaces; same length in bytes.
pub(crate) fn blank(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = literal_end(bytes, at);
        if end > at {
            for b in &mut out[at..end] {
                if *b != b'\n' {
                    *b = b' ';
                }
            }
            at = end;
        } else {
            at += 1;
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// End of the comment or literal that starts at `at`; `at` itself when none does.
fn literal_end(b: &[u8], at: usize) -> usize {
    let starts = |s: &[u8]| b[at..].starts_with(s);
    let in_word = at > 0 && (b[at - 1].is_ascii_alphanumeric() || b[at - 1] == b'_');
    if starts(b"//") {
        return b[at..]
            .iter()
            .position(|c| *c == b'\n')
            .map_or(b.len(), |n| at + n);
    }
    if starts(b"/*") {
        return block_comment_end(b, at);
    }
    if starts(b"\"") {
        return string_end(b, at);
    }
    if !in_word && (starts(b"r\"") || starts(b"r#") || starts(b"br\"") || starts(b"br#")) {
        return raw_string_end(b, at);
    }
    if starts(b"'") {
        return char_end(b, at);
    }
    at
}

fn block_comment_end(b: &[u8], at: usize) -> usize {
    let mut depth = 0;
    let mut i = at;
    while i < b.len() {
        if b[i..].starts_with(b"/*") {
            depth += 1;
            i += 2;
        } else if b[i..].starts_with(b"*/") {
            depth -= 1;
            i += 2;
            if depth == 0 {
                return i;
            }
        } else {
            i += 1;
        }
    }
    b.len()
}

fn string_end(b: &[u8], at: usize) -> usize {
    let mut i = at + 1;
    while i < b.len() {
        match b[i] {
            b'\\' => i += 2,
            b'"' => return i + 1,
            _ => i += 1,
        }
    }
    b.len()
}

fn raw_string_end(b: &[u8], at: usize) -> usize {
    let open = at + b[at..].iter().position(|c| *c == b'r').unwrap_or(0) + 1;
    let hashes = b[open..].iter().take_while(|c| **c == b'#').count();
    if b.get(open + hashes) != Some(&b'"') {
        return at;
    }
    let mut close = vec![b'"'];
    close.resize(hashes + 1, b'#');
    let body = open + hashes + 1;
    (body..b.len())
        .find(|i| b[*i..].starts_with(&close))
        .map_or(b.len(), |i| i + close.len())
}

/// A quote opens a character literal when it closes again at once; else it names a lifetime.
fn char_end(b: &[u8], at: usize) -> usize {
    if b.get(at + 1) == Some(&b'\\') {
        let close = b[at + 3..].iter().position(|c| *c == b'\'');
        return close.map_or(at, |n| at + 3 + n + 1);
    }
    let limit = b.len().min(at + 6);
    let width = (at + 2..limit).find(|i| b[*i] == b'\'');
    match width {
        Some(i) if std::str::from_utf8(&b[at + 1..i]).is_ok_and(|s| s.chars().count() == 1) => {
            i + 1
        }
        _ => at,
    }
}

/// Is every line of this file test code?
pub(crate) fn is_test_file(path: &str) -> bool {
    path.starts_with("tests/")
        || path.starts_with("benches/")
        || path.ends_with("/tests.rs")
        || path.contains("/tests/")
}

/// Blanked text with everything under `#[cfg(test)]` blanked too.
pub(crate) fn production(text: &str) -> String {
    let blanked = blank(text);
    let mut out = blanked.clone().into_bytes();
    let mut from = 0;
    while let Some(found) = blanked[from..].find("#[cfg(test)]") {
        let at = from + found;
        let end = item_end(blanked.as_bytes(), at);
        for b in &mut out[at..end] {
            if *b != b'\n' {
                *b = b' ';
            }
        }
        from = end;
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn item_end(b: &[u8], at: usize) -> usize {
    let mut depth = 0_usize;
    for (i, c) in b.iter().enumerate().skip(at) {
        match c {
            b'{' => depth += 1,
            b'}' if depth <= 1 => return i + 1,
            b'}' => depth -= 1,
            b';' if depth == 0 => return i + 1,
            _ => {}
        }
    }
    b.len()
}

/// Number of the line that holds the byte at `at`, from 1.
pub(crate) fn line_of(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}

/// A function and how many lines of code it takes, signature included.
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) line: usize,
    pub(crate) code_lines: usize,
}

/// Functions with a body, out of blanked text.
pub(crate) fn functions(blanked: &str) -> Vec<Function> {
    let b = blanked.as_bytes();
    let mut found = Vec::new();
    for (at, _) in blanked.match_indices("fn ") {
        if at > 0 && (b[at - 1].is_ascii_alphanumeric() || b[at - 1] == b'_') {
            continue;
        }
        let name: String = blanked[at + 3..]
            .chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect();
        let Some(end) = body_end(b, at).filter(|_| !name.is_empty()) else {
            continue;
        };
        let code_lines = blanked[at..end]
            .lines()
            .filter(|l| !l.trim().is_empty())
            .count();
        found.push(Function {
            name,
            line: line_of(blanked, at),
            code_lines,
        });
    }
    found
}

fn body_end(b: &[u8], at: usize) -> Option<usize> {
    let mut nested = 0_i32;
    for (i, c) in b.iter().enumerate().skip(at) {
        match c {
            b'(' | b'[' => nested += 1,
            b')' | b']' => nested -= 1,
            b';' if nested == 0 => return None,
            b'{' if nested == 0 => return Some(item_end(b, i)),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_and_comments_are_blanked_and_offsets_kept() {
        let text = "let a = \"x { \\\" y\"; // fn no() {\nlet c = '{'; let l: &'a str = r#\"}\"#; /* /* { */ } */ end";
        let out = blank(text);
        assert_eq!(out.len(), text.len());
        assert!(!out.contains('{') && !out.contains('}'), "{out}");
        assert!(
            out.contains("let l: &'a str = ") && out.ends_with("end"),
            "{out}"
        );
    }

    #[test]
    fn code_under_cfg_test_is_not_production() {
        let text = "fn a() { x(); }\n#[cfg(test)]\nmod tests { fn b() { y(); } }\nfn c() { z(); }";
        let out = production(text);
        assert!(
            out.contains("x()") && out.contains("z()") && !out.contains("y()"),
            "{out}"
        );
        let short = production("#[cfg(test)]\nmod tests;\nfn c() {}");
        assert!(
            short.contains("fn c") && !short.contains("mod tests"),
            "{short}"
        );
    }

    #[test]
    fn functions_are_measured_without_blank_lines() {
        let all = functions("trait T { fn decl(); }\nfn a(\n  x: [u8; 2],\n) {\n\n  y();\n}\n");
        assert_eq!(all.len(), 1);
        assert_eq!(
            (all[0].name.as_str(), all[0].line, all[0].code_lines),
            ("a", 2, 5)
        );
    }
}
