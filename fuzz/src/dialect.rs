//! Any body is events or an error, the same each time; what a body says can be stored.

use super::decodes;
use obsrv_server::dialect::Dialect;

/// One execution.
pub fn run(bytes: &[u8]) {
    let Some((&number, body)) = bytes.split_first() else {
        return;
    };
    let Some(dialect) = Dialect::from_u16(u16::from(number) % 80) else {
        return;
    };
    decodes(dialect, body);
}
