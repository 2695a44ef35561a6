//! Content encodings: inflating a body under a cap.
//!
//! The output is built in steps and the cap is checked while it grows, so that a small body cannot
//! cost more memory than the cap whatever it claims.

use std::io::{self, BufRead, Read};

use bytes::Bytes;
use thiserror::Error;

/// Largest zstd window, as a power of two: 8 MiB, which is what RFC 9659 asks of web content.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;

/// Bytes inflated per step.
const STEP_BYTES: usize = 64 * 1024;
/// Decoded bytes are gathered in pieces of about this size.
const PIECE_BYTES: usize = 1 << 20;

/// Why a body cannot be inflated.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum EncodingError {
    /// The decoded body is over the limit.
    #[error("decoded body too large limit={limit}")]
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// The bytes are not what the encoding says.
    #[error("body does not decode as its content encoding encoding={encoding}")]
    Corrupt {
        /// The encoding.
        encoding: &'static str,
    },
    /// Another encoding, or several.
    #[error(
        "unsupported content encoding, accepted are gzip, deflate, zstd, identity encoding={0}"
    )]
    Unsupported(String),
}

/// Inflates a body. `encoding` is the value of the `Content-Encoding` header, empty if there is
/// none; `limit` is in decoded bytes.
pub fn decompress(encoding: &str, body: &Bytes, limit: usize) -> Result<Bytes, EncodingError> {
    match encoding.trim().to_ascii_lowercase().as_str() {
        "" | "identity" if body.len() > limit => Err(EncodingError::TooLarge { limit }),
        "" | "identity" => Ok(body.clone()),
        "gzip" | "x-gzip" => gzip(body, limit),
        "deflate" => deflate(body, limit),
        "zstd" => {
            let corrupt = EncodingError::Corrupt { encoding: "zstd" };
            let mut decoder =
                zstd::stream::read::Decoder::with_buffer(&body[..]).map_err(|_| corrupt.clone())?;
            decoder
                .window_log_max(ZSTD_WINDOW_LOG_MAX)
                .map_err(|_| corrupt)?;
            inflate(decoder, limit, "zstd")
        }
        _ => Err(EncodingError::Unsupported(
            encoding.chars().take(64).collect(),
        )),
    }
}

/// One or more gzip members.
fn gzip(body: &Bytes, limit: usize) -> Result<Bytes, EncodingError> {
    inflate(
        flate2::bufread::MultiGzDecoder::new(&body[..]),
        limit,
        "gzip",
    )
}

/// `deflate` means zlib, but some senders leave out its wrapper. The wrapper is told by its header,
/// which one raw stream in a thousand resembles: such a one is read as raw when zlib refuses it.
fn deflate(body: &Bytes, limit: usize) -> Result<Bytes, EncodingError> {
    let is_zlib = matches!(body[..], [cmf, flg, ..]
        if cmf & 15 == 8 && (u16::from(cmf) << 8 | u16::from(flg)) % 31 == 0);
    if is_zlib {
        let mut rest = &body[..];
        let out = inflate(
            flate2::bufread::ZlibDecoder::new(&mut rest),
            limit,
            "deflate",
        );
        match out {
            Ok(out) if rest.is_empty() => return Ok(out),
            Err(e @ EncodingError::TooLarge { .. }) => return Err(e),
            _ => {}
        }
    }
    let mut rest = &body[..];
    let out = inflate(
        flate2::bufread::DeflateDecoder::new(&mut rest),
        limit,
        "deflate",
    )?;
    if rest.fill_buf().is_ok_and(<[u8]>::is_empty) {
        Ok(out)
    } else {
        Err(EncodingError::Corrupt {
            encoding: "deflate",
        })
    }
}

fn inflate(
    mut from: impl Read,
    limit: usize,
    encoding: &'static str,
) -> Result<Bytes, EncodingError> {
    // In pieces: one vector that doubles would hold three times a body that is refused at the end.
    let mut full: Vec<Vec<u8>> = Vec::new();
    let mut piece = Vec::new();
    let mut len = 0;
    let mut step = vec![0; STEP_BYTES];
    loop {
        match from.read(&mut step) {
            Ok(0) => return Ok(joined(full, piece, len)),
            Ok(n) if len + n > limit => return Err(EncodingError::TooLarge { limit }),
            Ok(n) => {
                len += n;
                piece.extend_from_slice(step.get(..n).unwrap_or(&[]));
                if piece.len() >= PIECE_BYTES {
                    full.push(std::mem::take(&mut piece));
                }
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return Err(EncodingError::Corrupt { encoding }),
        }
    }
}

/// The pieces as one buffer; each is freed when it is copied.
fn joined(full: Vec<Vec<u8>>, last: Vec<u8>, len: usize) -> Bytes {
    if full.is_empty() {
        return Bytes::from(last);
    }
    let mut out = Vec::with_capacity(len);
    for piece in full.into_iter().chain([last]) {
        out.extend_from_slice(&piece);
    }
    Bytes::from(out)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

    use super::*;

    const LIMIT: usize = 1 << 20;

    fn packed(encoding: &str, plain: &[u8]) -> Vec<u8> {
        let level = Compression::default();
        match encoding {
            "gzip" => {
                let mut w = GzEncoder::new(Vec::new(), level);
                w.write_all(plain).unwrap();
                w.finish().unwrap()
            }
            "zlib" => {
                let mut w = ZlibEncoder::new(Vec::new(), level);
                w.write_all(plain).unwrap();
                w.finish().unwrap()
            }
            "raw" => {
                let mut w = DeflateEncoder::new(Vec::new(), level);
                w.write_all(plain).unwrap();
                w.finish().unwrap()
            }
            "zstd" => zstd::encode_all(plain, 3).unwrap(),
            _ => plain.to_vec(),
        }
    }

    const ALL: [(&str, &str); 5] = [
        ("gzip", "gzip"),
        ("zlib", "deflate"),
        ("raw", "deflate"),
        ("zstd", "zstd"),
        ("identity", ""),
    ];

    #[test]
    fn reads_every_encoding_at_the_limit_and_refuses_one_above() {
        let plain: Vec<u8> = (0..=LIMIT)
            .map(|i| u8::try_from(i * i % 251).unwrap())
            .collect();
        for (how, encoding) in ALL {
            let at = Bytes::from(packed(how, &plain[..LIMIT]));
            assert_eq!(
                decompress(encoding, &at, LIMIT).unwrap(),
                plain[..LIMIT],
                "{how}"
            );
            let above = Bytes::from(packed(how, &plain));
            let error = decompress(encoding, &above, LIMIT);
            assert_eq!(
                error,
                Err(EncodingError::TooLarge { limit: LIMIT }),
                "{how}"
            );
            let empty = Bytes::from(packed(how, b""));
            assert_eq!(
                decompress(encoding, &empty, LIMIT).unwrap(),
                b""[..],
                "{how}"
            );
        }
    }

    #[test]
    fn refuses_cut_and_foreign_bytes() {
        for (how, encoding) in ALL.into_iter().filter(|(_, e)| !e.is_empty()) {
            let whole = packed(
                how,
                &b"some text that is long enough to be packed ".repeat(9),
            );
            for end in 1..whole.len() {
                let cut = Bytes::copy_from_slice(&whole[..end]);
                assert!(
                    decompress(encoding, &cut, LIMIT).is_err(),
                    "{how} cut at {end}"
                );
            }
            let junk = Bytes::from([&whole[..], b"junk after the end"].concat());
            assert!(decompress(encoding, &junk, LIMIT).is_err(), "{how}");
        }
        let error = decompress("br", &Bytes::new(), LIMIT);
        assert_eq!(error, Err(EncodingError::Unsupported("br".into())));
        assert!(decompress("gzip, gzip", &Bytes::new(), LIMIT).is_err());
    }

    #[test]
    fn joins_members_and_frames() {
        for encoding in ["gzip", "zstd"] {
            let two = [packed(encoding, b"one "), packed(encoding, b"two")].concat();
            assert_eq!(
                decompress(encoding, &Bytes::from(two), LIMIT).unwrap(),
                b"one two"[..]
            );
        }
    }

    #[test]
    fn refuses_a_zstd_window_above_8_mib() {
        let plain = vec![7; 32 << 20];
        let mut w = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
        w.window_log(25).unwrap();
        w.write_all(&plain).unwrap();
        let packed = Bytes::from(w.finish().unwrap());
        let error = decompress("zstd", &packed, 64 << 20);
        assert_eq!(error, Err(EncodingError::Corrupt { encoding: "zstd" }));
    }
}
