//! A page of keys beside a directory is read or refused, and never has more columns than its bytes can hold.

use obsrv_engine::segment::{count_columns, key_page};

/// One execution; whether it was read.
pub fn run(bytes: &[u8]) -> bool {
    let Some((rows, page)) = bytes.split_first_chunk::<4>() else {
        return false;
    };
    let Ok(columns) = count_columns(page, u32::from_le_bytes(*rows)) else {
        return false;
    };
    assert!(
        columns > 0 && columns <= page.len(),
        "more than the bytes hold"
    );
    true
}

/// Pages of a section of few rows, and of one of more than a row group.
pub fn seeds() -> Vec<Vec<u8>> {
    [40_u32, 70_000]
        .map(|rows| [&rows.to_le_bytes()[..], &key_page(rows)].concat())
        .to_vec()
}
