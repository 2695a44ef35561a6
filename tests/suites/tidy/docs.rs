//! Documents that promise what is not there.

type Exists<'a> = &'a dyn Fn(&str) -> bool;

pub(crate) fn check_architecture(text: &str, exists: Exists<'_>) -> Vec<String> {
    let mut complaints = Vec::new();
    for section in ["## Code map", "## Words", "## Invariants", "## Decisions"] {
        if !text.lines().any(|l| l == section) {
            complaints.push(format!("ARCHITECTURE.md lacks the section {section}"));
        }
    }
    if table_rows(text, "## Words").len() < 5 {
        complaints.push("ARCHITECTURE.md defines hardly a word".to_owned());
    }
    for row in table_rows(text, "## Code map") {
        for path in quoted(row.split('|').nth(1).unwrap_or_default()) {
            if !exists(path) && !exists(&format!("{path}.rs")) {
                complaints.push(format!(
                    "ARCHITECTURE.md maps a path that is not there path={path}"
                ));
            }
        }
    }
    complaints
}

/// Every path and every script that the README names is there; what its status table calls present names its test.
pub(crate) fn check_readme(text: &str, exists: Exists<'_>) -> Vec<String> {
    let mut complaints = Vec::new();
    for script in ["bin/start", "bin/test"] {
        if !text.contains(script) {
            complaints.push(format!("README.md does not name {script}"));
        }
    }
    let spans = text
        .lines()
        .filter(|l| !l.trim_start().starts_with("```"))
        .flat_map(quoted);
    let scripts = fenced_lines(text)
        .into_iter()
        .filter_map(|l| l.split_whitespace().next())
        .map(|w| w.trim_start_matches("./"))
        .filter(|w| w.starts_with("bin/"));
    for path in spans.filter(|s| is_path(s)).chain(scripts) {
        if !exists(path) {
            complaints.push(format!(
                "README.md names a path that is not there path={path}"
            ));
        }
    }
    for row in table_rows(text, "## Status") {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        if cells.get(2) == Some(&"yes") && quoted(cells.get(3).unwrap_or(&"")).is_empty() {
            complaints.push(format!("README.md claims without naming a test row={row}"));
        }
    }
    complaints
}

pub(crate) fn check_changelog(text: &str) -> Vec<String> {
    ["## [Unreleased]", "### On-disk format"]
        .into_iter()
        .filter(|section| !text.lines().any(|l| l == *section))
        .map(|section| format!("CHANGELOG.md lacks the section {section}"))
        .collect()
}

/// Relative links lead to files that exist, and their anchors to headings.
pub(crate) fn check_links(
    path: &str,
    text: &str,
    exists: Exists<'_>,
    read: &dyn Fn(&str) -> Option<String>,
) -> Vec<String> {
    let mut complaints = Vec::new();
    for target in links(text) {
        if target.contains("://") || target.starts_with("mailto:") {
            continue;
        }
        let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
        let full = if file.is_empty() {
            path.to_owned()
        } else {
            resolve(path, file)
        };
        if !exists(&full) {
            complaints.push(format!("{path} links to nothing target={target}"));
        } else if !anchor.is_empty() && !read(&full).is_some_and(|t| has_anchor(&t, anchor)) {
            complaints.push(format!("{path} links to no such heading target={target}"));
        }
    }
    complaints
}

fn links(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut fenced = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        if fenced {
            continue;
        }
        let mut rest = line;
        while let Some((_, after)) = rest.split_once("](") {
            let Some((target, tail)) = after.split_once(')') else {
                break;
            };
            found.push(target);
            rest = tail;
        }
    }
    found
}

fn resolve(from: &str, target: &str) -> String {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "." | "" => {}
            ".." => {
                parts.pop();
            }
            name => parts.push(name),
        }
    }
    parts.join("/")
}

fn has_anchor(text: &str, anchor: &str) -> bool {
    text.lines().filter(|l| l.starts_with('#')).any(|l| {
        let title = l.trim_start_matches('#').trim().to_lowercase();
        let slug: String = title
            .chars()
            .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
            .map(|c| if c == ' ' { '-' } else { c })
            .collect();
        slug == anchor
    })
}

/// Body rows of the first table under a heading.
fn table_rows<'a>(text: &'a str, heading: &str) -> Vec<&'a str> {
    text.lines()
        .skip_while(|l| *l != heading)
        .skip(1)
        .take_while(|l| !l.starts_with("## "))
        .filter(|l| l.starts_with('|'))
        .skip(2)
        .collect()
}

fn fenced_lines(text: &str) -> Vec<&str> {
    let mut fenced = false;
    let mut lines = Vec::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if fenced {
            lines.push(line);
        }
    }
    lines
}

/// What stands between backticks in one line.
fn quoted(line: &str) -> Vec<&str> {
    line.split('`').skip(1).step_by(2).collect()
}

fn is_path(word: &str) -> bool {
    let roots = [
        "wal/", "engine/", "server/", "tests/", "benches/", "fuzz/", "samples/", "bin/", ".ci/",
    ];
    let plain = word
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || "-_./".contains(c));
    plain && roots.iter().any(|r| word.starts_with(r))
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORDS: &str =
        "## Words\n|w|m|\n|-|-|\n|a|b|\n|a|b|\n|a|b|\n|a|b|\n|a|b|\n## Invariants\n## Decisions\n";

    #[test]
    fn a_code_map_entry_must_exist() {
        let text = format!("## Code map\n| path | q |\n|-|-|\n| `wal/src/lost` | ? |\n{WORDS}");
        assert_eq!(check_architecture(&text, &|_| false).len(), 1);
        assert!(check_architecture(&text, &|_| true).is_empty());
    }

    #[test]
    fn the_glossary_must_be_there() {
        let text = "## Code map\n## Invariants\n## Decisions\n";
        assert_eq!(check_architecture(text, &|_| true).len(), 2);
    }

    #[test]
    fn the_readme_names_scripts_paths_and_proofs_that_exist() {
        let good = "`bin/start` `bin/test`\n```sh\n./bin/start\n```\n## Status\n|a|b|c|\n|-|-|-|\n| x | yes | `tests/a` |\n";
        assert!(check_readme(good, &|_| true).is_empty());
        assert_eq!(check_readme(good, &|p| p != "tests/a").len(), 1);
        assert_eq!(
            check_readme(&good.replace("`tests/a`", "trust me"), &|_| true).len(),
            1
        );
        assert_eq!(
            check_readme(&good.replace("./bin/start", "./bin/lost"), &|p| p
                != "bin/lost")
            .len(),
            1
        );
        assert_eq!(check_readme("", &|_| true).len(), 2);
    }

    #[test]
    fn a_dead_link_or_anchor_is_found() {
        let read = |p: &str| (p == "a/c.md").then(|| "# One two\n".to_owned());
        let exists = |p: &str| p == "a/c.md";
        assert!(
            check_links(
                "a/b.md",
                "[x](c.md) [y](../a/c.md#one-two) [z](https://x)",
                &exists,
                &read
            )
            .is_empty()
        );
        assert_eq!(
            check_links("a/b.md", "[x](lost.md)", &exists, &read).len(),
            1
        );
        assert_eq!(
            check_links("a/b.md", "[x](c.md#three)", &exists, &read).len(),
            1
        );
    }

    #[test]
    fn the_changelog_has_its_sections() {
        assert_eq!(check_changelog("").len(), 2);
        assert!(check_changelog("## [Unreleased]\n### On-disk format\n").is_empty());
    }
}
