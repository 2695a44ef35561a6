use proptest::prelude::*;

use super::*;

fn chosen(keys: &[(String, u64)]) -> Promoted {
    Promoted::choose(
        keys.iter()
            .map(|(path, rows)| (path.as_str().into(), *rows)),
    )
}

fn numbered(count: usize) -> Vec<(String, u64)> {
    (0..count).map(|n| (format!("key-{n:04}"), 3)).collect()
}

#[test]
fn at_the_limit_all_are_promoted_and_one_above_the_last_is_not() {
    let all = numbered(PROMOTED_PATHS_MAX);
    assert!(chosen(&all).is_all());
    let more = numbered(PROMOTED_PATHS_MAX + 1);
    let promoted = chosen(&more);
    assert!(!promoted.is_all());
    let (last, others) = more.split_last().unwrap();
    assert!(others.iter().all(|(path, _)| promoted.has(path)));
    assert!(!promoted.has(&last.0));
}

#[test]
fn what_most_rows_have_comes_first_then_short_names() {
    let mut keys = numbered(PROMOTED_PATHS_MAX);
    keys.push(("name".into(), 3));
    keys.push(("a-very-long-name-of-many-rows".into(), 4));
    keys.push(("id".into(), 2));
    let promoted = chosen(&keys);
    assert!(promoted.has("name") && promoted.has("a-very-long-name-of-many-rows"));
    assert!(!promoted.has("id"));
    let out = keys.iter().filter(|(path, _)| !promoted.has(path));
    let out: Vec<&str> = out.map(|(path, _)| path.as_str()).collect();
    assert_eq!(out, ["key-1022", "key-1023", "id"]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]
    #[test]
    fn whatever_their_order_the_same_are_chosen(
        rows in prop::collection::vec((0..9_u64, 0..4_usize), 1_000..1_100),
        turn in 0..1_000_usize,
    ) {
        let keys = rows.iter().enumerate();
        let mut keys: Vec<(String, u64)> =
            keys.map(|(n, (rows, long))| (format!("{}{n}", "x".repeat(*long)), *rows)).collect();
        let mut ranked = keys.clone();
        ranked.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.len().cmp(&b.0.len())).then(a.0.cmp(&b.0)));
        keys.rotate_left(turn);
        let promoted = chosen(&keys);
        for (rank, (path, _)) in ranked.iter().enumerate() {
            prop_assert_eq!(promoted.has(path), rank < PROMOTED_PATHS_MAX);
        }
    }

    /// Whatever stands in a page is read as columns in order, or refused.
    #[test]
    fn any_bytes_are_a_page_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..80), rows in 1..200_000_u32) {
        if let Ok(entries) = read_page(&mut Cursor(bytes.into()), rows) {
            prop_assert!(!entries.is_empty());
            prop_assert!(entries.windows(2).all(|pair| key(&pair[0]) < key(&pair[1])));
        }
    }
}
