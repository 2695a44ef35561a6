//! What requests and cursors say, as bytes: for fuzzing.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use obsrv_engine::query::{Position, SortKey};
use obsrv_engine::row::ProjectId;

use super::cursor::{self, Scope};
use super::params::Params;
use super::{jaeger, position, read};
use crate::blob::link;
use crate::keys::{Macs, MasterSecret};

/// Whether a position reads, from a cursor that this server made. One that does is written as one that
/// says the same.
pub fn cursor_reads(bytes: &[u8]) -> bool {
    let macs = Macs::for_cursors(&MasterSecret::from_bytes([1; 32]));
    let scope = Scope {
        project: ProjectId(1),
        list: "",
    };
    if let Ok(text) = std::str::from_utf8(bytes) {
        let opened = cursor::open(&macs, scope, text);
        assert!(opened.is_err(), "BUG: a cursor that nobody made opens");
    }
    let text = cursor::seal(&macs, scope, bytes);
    let Ok(opened) = cursor::open(&macs, scope, &text) else {
        return false;
    };
    assert_eq!(opened, bytes, "BUG: a cursor opens as another");
    let Ok(read) = position::decode(&opened) else {
        return false;
    };
    let again = position::decode(&position::encode(&read)).ok();
    let said = |position: &Position| format!("{position:?}");
    assert_eq!(
        again.as_ref().map(said),
        Some(said(&read)),
        "BUG: a position reads as another"
    );
    true
}

/// A position of every sort.
pub fn positions() -> Vec<Vec<u8>> {
    let keys = [
        None,
        Some(SortKey::Bool(true)),
        Some(SortKey::I64(-7)),
        Some(SortKey::F64(-0.5)),
        Some(SortKey::Str("text".into())),
    ];
    let position = |key| Position {
        key,
        trace_id: "trace".into(),
        id: "id".into(),
        lsn: 300,
    };
    keys.into_iter()
        .map(|key| position::encode(&position(key)))
        .collect()
}

/// Whether a link to a file of a trace reads that says this and has the right MAC. One that does is written as one
/// that says the same.
pub fn link_reads(body: &[u8]) -> bool {
    let macs = Macs::for_blobs(&MasterSecret::from_bytes([1; 32]));
    if let Ok(text) = std::str::from_utf8(body) {
        assert!(
            link::open(&macs, text, 0).is_err(),
            "BUG: a link that nobody made opens"
        );
    }
    let mac = macs.mac(body);
    let text = URL_SAFE_NO_PAD.encode([body, &mac].concat());
    let Ok(read) = link::open(&macs, &text, 0) else {
        return false;
    };
    let again = link::open(&macs, &link::seal(&macs, &read), 0);
    assert_eq!(again, Ok(read), "BUG: a link reads as another");
    true
}

/// A link without its MAC.
pub fn link() -> Vec<u8> {
    let macs = Macs::for_blobs(&MasterSecret::from_bytes([1; 32]));
    let wanted = link::Wanted {
        name: Some("name".into()),
        size: Some(300),
        sha256: Some([3; 32]),
        ..link::Wanted::default()
    };
    let made = link::Link {
        project: 1,
        trace_id: "trace".into(),
        key_id: 2,
        expires_s: u64::MAX,
        purpose: link::Purpose::Write(wanted),
    };
    let bytes = URL_SAFE_NO_PAD
        .decode(link::seal(&macs, &made))
        .unwrap_or_default();
    bytes
        .split_last_chunk::<32>()
        .map(|(signed, _)| signed.to_vec())
        .unwrap_or_default()
}

/// Whether a text asks for bytes that a file of this length has.
pub fn range_reads(text: &str, len: u64) -> bool {
    super::blobs::range_reads(text, len)
}

/// Whether the part of a URL after the question mark reads, as parameters and as a search of Jaeger's.
pub fn parameters_read(text: &str) -> bool {
    let Ok(params) = Params::parse(text) else {
        return false;
    };
    let sizes = 40 * text.matches('&').count() + 40;
    let is_short = params.canonical(&[]).len() <= text.len() + sizes;
    assert!(is_short, "BUG: parameters grow");
    jaeger::reads(&params)
}

pub use read::forge::{conditions_read, filter_reads, socket_reads};
