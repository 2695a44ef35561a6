//! Calls that go round the injected disk and clock, and code that stops instead of answering.

use crate::rust_source::{blank, is_test_file, line_of, production};

/// Below the server everything that touches the world goes through `wal/src/io`.
const WORLD: [(&str, &str); 8] = [
    ("std::fs", "go through obsrv_wal::io::Disk"),
    ("File::open", "go through obsrv_wal::io::Disk"),
    ("File::create", "go through obsrv_wal::io::Disk"),
    ("SystemTime::now", "take a Clock"),
    ("Instant::now", "take a Clock"),
    ("thread::sleep", "wait on a condition"),
    ("std::env::", "take an option"),
    ("std::net", "the network belongs to the server"),
];

const WORLD_ALLOWED: &str = "wal/src/io/";

/// In production code of every crate.
const STOPS: [(&str, &str); 4] = [
    (".unwrap()", "return a typed error"),
    ("todo!", "unbuilt things are absent"),
    ("unimplemented!", "unbuilt things are absent"),
    ("unbounded_channel", "every queue has a bound"),
];

/// In test code.
const HOLLOW: [(&str, &str); 2] = [
    ("#[ignore", "a test that does not run proves nothing"),
    ("thread::sleep", "wait for the event, not for the time"),
];

pub(crate) fn check(path: &str, text: &str) -> Vec<String> {
    let mut complaints = find(path, &blank(text), &HOLLOW[..1]);
    if is_test_file(path) {
        // A load command keeps a pace; a test has nothing to pace.
        if !path.starts_with("benches/") {
            complaints.extend(find(path, &blank(text), &HOLLOW[1..]));
        }
        return complaints;
    }
    let code = production(text);
    complaints.extend(find(path, &code, &STOPS));
    complaints.extend(bare_expects(path, text, &code));
    let below_server = path.starts_with("wal/src/") || path.starts_with("engine/src/");
    if below_server && !path.starts_with(WORLD_ALLOWED) {
        complaints.extend(find(path, &code, &WORLD));
    }
    complaints
}

fn find(path: &str, code: &str, banned: &[(&str, &str)]) -> Vec<String> {
    let mut complaints = Vec::new();
    for (n, line) in code.lines().enumerate() {
        for (call, instead) in banned {
            if line.contains(call) {
                complaints.push(format!("{path}:{} {call}: {instead}", n + 1));
            }
        }
    }
    complaints
}

/// `expect` is for broken invariants alone, and says so.
fn bare_expects(path: &str, text: &str, code: &str) -> Vec<String> {
    code.match_indices(".expect(")
        .filter(|(at, call)| !text[at + call.len()..].trim_start().starts_with("\"BUG: "))
        .map(|(at, _)| format!("{path}:{} expect without \"BUG: \"", line_of(code, at)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_banned_call_is_found_in_production_code() {
        for (call, _) in WORLD {
            let text = format!("fn f() {{ {call}; }}");
            assert!(!check("engine/src/a.rs", &text).is_empty(), "{call}");
            assert!(check("wal/src/io/os.rs", &text).is_empty(), "{call}");
        }
        for (call, _) in STOPS {
            let text = format!("fn f() {{ a{call}; }}");
            assert!(!check("server/src/a.rs", &text).is_empty(), "{call}");
            assert!(check("server/src/a/tests.rs", &text).is_empty(), "{call}");
        }
    }

    #[test]
    fn each_hollow_test_is_found() {
        assert_eq!(
            check(
                "wal/src/a.rs",
                "#[cfg(test)]\nmod t { #[ignore] fn f() {} }"
            )
            .len(),
            1
        );
        assert_eq!(
            check("tests/suites/a.rs", "fn f() { thread::sleep(d); }").len(),
            1
        );
    }

    #[test]
    fn an_expect_must_name_a_bug() {
        assert_eq!(
            check("server/src/a.rs", "fn f() { x.expect(\"works\"); }").len(),
            1
        );
        assert!(check("server/src/a.rs", "fn f() { x.expect(\"BUG: cut\"); }").is_empty());
        assert!(check("server/src/a.rs", "// x.expect(\"works\")").is_empty());
    }
}
