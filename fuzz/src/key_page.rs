//! A page of keys beside a directory is read or refused, and never has more columns than its bytes can hold.

use obsrv_engine::segment::count_columns;

/// One execution.
pub fn run(bytes: &[u8]) {
    let Some((rows, page)) = bytes.split_first_chunk::<4>() else {
        return;
    };
    if let Ok(columns) = count_columns(page, u32::from_le_bytes(*rows)) {
        assert!(
            columns > 0 && columns <= page.len(),
            "more than the bytes hold"
        );
    }
}
