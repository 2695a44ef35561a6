//! Names that say nothing about what they hold.

use crate::rust_source::blank;

const MODULES: [&str; 6] = ["utils", "util", "helpers", "helper", "common", "misc"];
const TYPE_ENDINGS: [&str; 3] = ["Manager", "Helper", "Utils"];

pub(crate) fn check(path: &str, text: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    let stem = path.trim_end_matches(".rs").trim_end_matches("/mod");
    let last = stem.rsplit('/').next().unwrap_or(stem);
    if MODULES.contains(&last) || last == "manager" {
        complaints.push(format!("{path} is named after nothing"));
    }
    for (n, line) in blank(text).lines().enumerate() {
        let words: Vec<&str> = line
            .split(|c: char| !c.is_alphanumeric() && c != '_')
            .filter(|w| !w.is_empty())
            .collect();
        for pair in words.windows(2) {
            let bad = match pair[0] {
                "mod" => MODULES.contains(&pair[1]) || pair[1] == "manager",
                "struct" | "enum" | "trait" | "type" => {
                    TYPE_ENDINGS.iter().any(|e| pair[1].ends_with(e))
                }
                _ => false,
            };
            if bad {
                complaints.push(format!("{path}:{} {} {}", n + 1, pair[0], pair[1]));
            }
        }
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_names_are_refused() {
        for text in [
            "mod utils;",
            "pub(crate) mod common { }",
            "struct KeyManager;",
            "trait IoHelper {}",
        ] {
            assert_eq!(check("wal/src/a.rs", text).len(), 1, "{text}");
        }
        assert_eq!(check("wal/src/helpers.rs", "").len(), 1);
        assert_eq!(check("wal/src/common/mod.rs", "").len(), 1);
    }

    #[test]
    fn telling_names_and_comments_pass() {
        assert!(
            check(
                "wal/src/log/frame.rs",
                "// mod utils\nmod frame; struct Frame;"
            )
            .is_empty()
        );
    }
}
