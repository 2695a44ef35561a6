//! What bytes are, by the bytes alone. What a sender calls them is shown, and decides nothing.

/// Bytes at the beginning that are looked at.
pub const HEAD_BYTES: usize = 64;

/// What is not known.
pub const UNKNOWN: &str = "application/octet-stream";

/// Signs that a type has at a place.
type Signs = (usize, &'static [u8]);

/// Types and what each has. The first that fits counts.
const KNOWN: [(&str, &[Signs]); 28] = [
    ("image/png", &[(0, b"\x89PNG\r\n\x1a\n")]),
    ("image/jpeg", &[(0, b"\xff\xd8\xff")]),
    ("image/gif", &[(0, b"GIF87a")]),
    ("image/gif", &[(0, b"GIF89a")]),
    ("image/webp", &[(0, b"RIFF"), (8, b"WEBP")]),
    ("image/avif", &[(4, b"ftypavif")]),
    ("image/heic", &[(4, b"ftypheic")]),
    ("image/tiff", &[(0, b"II*\0")]),
    ("image/tiff", &[(0, b"MM\0*")]),
    ("image/bmp", &[(0, b"BM"), (6, b"\0\0\0\0")]),
    ("application/pdf", &[(0, b"%PDF-")]),
    ("audio/wav", &[(0, b"RIFF"), (8, b"WAVE")]),
    ("audio/flac", &[(0, b"fLaC")]),
    ("audio/mpeg", &[(0, b"ID3")]),
    ("audio/mpeg", &[(0, b"\xff\xfb")]),
    ("audio/mpeg", &[(0, b"\xff\xf3")]),
    ("audio/mpeg", &[(0, b"\xff\xf2")]),
    ("audio/aac", &[(0, b"\xff\xf1")]),
    ("audio/aac", &[(0, b"\xff\xf9")]),
    ("audio/ogg", &[(0, b"OggS"), (28, b"OpusHead")]),
    ("audio/ogg", &[(0, b"OggS"), (28, b"\x01vorbis")]),
    ("video/ogg", &[(0, b"OggS"), (28, b"\x80theora")]),
    ("audio/mp4", &[(4, b"ftypM4A")]),
    ("video/quicktime", &[(4, b"ftypqt  ")]),
    ("video/mp4", &[(4, b"ftyp")]),
    ("video/x-msvideo", &[(0, b"RIFF"), (8, b"AVI ")]),
    ("video/mpeg", &[(0, b"\0\0\x01\xba")]),
    ("application/zip", &[(0, b"PK\x03\x04")]),
];

/// The type of what begins so: the media types above, `video/webm` or `video/x-matroska`; never text, SVG or
/// anything else that a browser may run.
pub fn content_type(head: &[u8]) -> &'static str {
    let head = &head[..head.len().min(HEAD_BYTES)];
    let has = |(at, signs): &Signs| head.get(*at..).is_some_and(|rest| rest.starts_with(signs));
    if head.starts_with(b"\x1a\x45\xdf\xa3") {
        let is_webm = memchr::memmem::find(head, b"webm").is_some();
        return if is_webm {
            "video/webm"
        } else {
            "video/x-matroska"
        };
    }
    let known = KNOWN.iter().find(|(_, all)| all.iter().all(has));
    known.map_or(UNKNOWN, |(name, _)| name)
}

/// Whether a browser may show it in a page: pictures, sound, film and PDF.
pub fn is_shown(content_type: &str) -> bool {
    let is_known = content_type == "video/webm"
        || content_type == "video/x-matroska"
        || KNOWN.iter().any(|(name, _)| *name == content_type);
    is_known && content_type != "application/zip"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_decide() {
        for (bytes, expected) in [
            (&b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"[..], "image/png"),
            (b"\xff\xd8\xff\xe0\0\x10JFIF", "image/jpeg"),
            (b"GIF89a<script>", "image/gif"),
            (b"RIFF\x10\0\0\0WEBPVP8 ", "image/webp"),
            (b"RIFF\x10\0\0\0WAVEfmt ", "audio/wav"),
            (b"\0\0\0\x20ftypisom", "video/mp4"),
            (b"\0\0\0\x20ftypM4A ", "audio/mp4"),
            (b"\x1a\x45\xdf\xa3\x01\x00\x42\x82webm", "video/webm"),
            (b"%PDF-1.7", "application/pdf"),
            (b"PK\x03\x04", "application/zip"),
            (b"", UNKNOWN),
            (b"GIF8", UNKNOWN),
            (b"plain text", UNKNOWN),
        ] {
            assert_eq!(content_type(bytes), expected, "{bytes:?}");
        }
    }

    /// Nothing that could run in a page has a type that is shown in one.
    #[test]
    fn what_is_active_is_not_shown() {
        for bytes in [
            &b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>"[..],
            b"<!doctype html><script>alert(1)</script>",
            b"\xef\xbb\xbf<?xml version='1.0'?><svg/>",
            b"\n\n  <html>",
            b"PK\x03\x04",
            b"function(){}",
        ] {
            assert!(!is_shown(content_type(bytes)), "{bytes:?}");
        }
        for name in [
            "text/html",
            "image/svg+xml",
            "text/plain",
            "application/xml",
            UNKNOWN,
        ] {
            assert!(!is_shown(name), "{name}");
        }
        assert!(is_shown("image/png") && is_shown("application/pdf") && is_shown("video/webm"));
    }

    #[test]
    fn nothing_is_looked_for_behind_the_head() {
        let mut bytes = b"\x1a\x45\xdf\xa3".to_vec();
        bytes.resize(HEAD_BYTES, 0);
        bytes.extend_from_slice(b"webm");
        assert_eq!(content_type(&bytes), "video/x-matroska");
    }
}
