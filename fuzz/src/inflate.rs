//! Any body under any content encoding is no more than it may be, or is refused.

use bytes::Bytes;
use obsrv_server::dialect::encoding::decompress;

const ENCODINGS: [&str; 4] = ["gzip", "deflate", "zstd", "identity"];
/// Small, so that a few bytes go over it.
const LIMIT: usize = 64 << 10;

/// One execution: which encoding, then the body. Whether it was read.
pub fn run(bytes: &[u8]) -> bool {
    let Some((&encoding, body)) = bytes.split_first() else {
        return false;
    };
    let encoding = ENCODINGS[usize::from(encoding) % ENCODINGS.len()];
    match decompress(encoding, &Bytes::copy_from_slice(body), LIMIT) {
        Ok(plain) => {
            assert!(plain.len() <= LIMIT, "more than may be");
            true
        }
        Err(_) => false,
    }
}

/// `obsrv` in each encoding.
pub fn seeds() -> Vec<Vec<u8>> {
    let seed = |encoding: u8, body: &[u8]| [&[encoding][..], body].concat();
    let raw = b"\xcb\x4f\x2a\x2e\x2a\x03\x00";
    let gzip = [
        &b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03"[..],
        raw,
        b"\x7d\x31\xb7\xbe\x05\x00\x00\x00",
    ]
    .concat();
    let zlib = [&b"\x78\x9c"[..], raw, b"\x06\x6b\x02\x2d"].concat();
    let zstd = b"\x28\xb5\x2f\xfd\x20\x05\x29\x00\x00obsrv";
    vec![
        seed(0, &gzip),
        seed(0, &[&gzip[..], &gzip].concat()),
        seed(1, &zlib),
        seed(1, raw),
        seed(2, zstd),
        seed(3, b"obsrv"),
    ]
}
