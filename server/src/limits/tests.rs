//! The limits and their document.

/// Every constant here has a row in `LIMITS.md` with its expression, and no row is left over.
#[test]
fn the_document_lists_every_limit() {
    let documented: Vec<(String, String)> = include_str!("../../LIMITS.md")
        .lines()
        .filter_map(|line| line.strip_prefix("| `"))
        .map(|row| {
            let mut cells = row.split('|');
            let name = cells
                .next()
                .unwrap()
                .trim()
                .trim_end_matches('`')
                .to_owned();
            (
                name,
                cells.next().unwrap().trim().trim_matches('`').to_owned(),
            )
        })
        .collect();
    let declared: Vec<(String, String)> = include_str!("../limits.rs")
        .lines()
        .filter_map(|line| line.strip_prefix("pub const "))
        .map(|rest| {
            let (name, rest) = rest.split_once(':').unwrap();
            let (_, value) = rest.split_once(" = ").unwrap();
            (name.to_owned(), value.trim_end_matches(';').to_owned())
        })
        .collect();
    assert!(
        declared.len() > 40,
        "read only {} constants",
        declared.len()
    );
    assert_eq!(declared, documented);
}
