//! Files and functions that outgrew one idea. Test code is left to clippy: a table of cases may be long.

use crate::rust_source::{functions, is_test_file, production};

/// Lines that are neither blank, comment nor test.
const FILE_LINES_MAX: usize = 600;
const FUNCTION_LINES_MAX: usize = 70;

pub(crate) fn check(path: &str, text: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    if is_test_file(path) {
        return complaints;
    }
    let code = production(text);
    let lines = code.lines().filter(|l| !l.trim().is_empty()).count();
    if lines > FILE_LINES_MAX {
        complaints.push(format!(
            "{path} has {lines} lines of code limit={FILE_LINES_MAX}"
        ));
    }
    for f in functions(&code) {
        if f.code_lines > FUNCTION_LINES_MAX {
            complaints.push(format!(
                "{path}:{} fn {} has {} lines limit={FUNCTION_LINES_MAX}",
                f.line, f.name, f.code_lines
            ));
        }
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::*;

    fn function_of(lines: usize) -> String {
        format!("fn f() {{\n{}}}\n", "x();\n".repeat(lines - 2))
    }

    #[test]
    fn a_function_at_the_limit_passes_and_one_line_more_does_not() {
        assert!(check("wal/src/a.rs", &function_of(FUNCTION_LINES_MAX)).is_empty());
        assert_eq!(
            check("wal/src/a.rs", &function_of(FUNCTION_LINES_MAX + 1)).len(),
            1
        );
    }

    #[test]
    fn a_file_at_the_limit_passes_and_one_line_more_does_not() {
        let text = "const A: u8 = 1;\n".repeat(FILE_LINES_MAX);
        assert!(check("wal/src/a.rs", &text).is_empty());
        assert_eq!(
            check("wal/src/a.rs", &format!("{text}const B: u8 = 1;\n")).len(),
            1
        );
    }
}
