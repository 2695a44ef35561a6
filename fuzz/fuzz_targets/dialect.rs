//! Any body is events or an error, the same each time; what a body says can be stored.
#![no_main]

use libfuzzer_sys::fuzz_target;
use obsrv_fuzz::decodes;
use obsrv_server::dialect::Dialect;

fuzz_target!(|bytes: &[u8]| {
    let Some((&number, body)) = bytes.split_first() else { return };
    let Some(dialect) = Dialect::from_u16(u16::from(number) % 80) else { return };
    decodes(dialect, body);
});
