//! What the server hands out to be brought back, and where files of a trace are kept, is read or refused.

use obsrv_engine::row::ProjectId;
use obsrv_server::blob::key::{ContentHash, Key, Owner};
use obsrv_server::forge::{cursor_reads, link, link_reads, positions};
use obsrv_server::keys::KeyString;

/// One execution: which sort, then it. Whether it was read.
pub fn run(bytes: &[u8]) -> bool {
    let Some((&sort, rest)) = bytes.split_first() else {
        return false;
    };
    let text = std::str::from_utf8(rest).ok();
    match sort % 5 {
        0 => cursor_reads(rest),
        1 => link_reads(rest),
        2 => text.is_some_and(|text| KeyString::parse(text).is_ok()),
        3 => text.is_some_and(|text| {
            let hash = ContentHash::parse(text);
            let again = hash.map(|hash| ContentHash::parse(&hash.to_string()));
            assert_eq!(again, hash.map(Some), "a hash reads as another");
            hash.is_some()
        }),
        _ => text.is_some_and(|text| {
            let key = Key::parse(text);
            let again = key.as_ref().map(|key| key.to_string());
            assert!(
                again.is_none_or(|again| again == text),
                "a name reads as another"
            );
            key.is_some()
        }),
    }
}

/// One of every sort.
pub fn seeds() -> Vec<Vec<u8>> {
    let seed = |sort: u8, bytes: &[u8]| [&[sort][..], bytes].concat();
    let hash = ContentHash::of(b"");
    let key = Owner::new(ProjectId(1), "trace").map(|owner| owner.blob(hash));
    let mut seeds: Vec<_> = positions().iter().map(|bytes| seed(0, bytes)).collect();
    seeds.push(seed(1, &link()));
    seeds.push(seed(2, b"a-key-of-somebody-else-that-is-long-enough"));
    seeds.push(seed(3, hash.to_string().as_bytes()));
    seeds.extend(key.map(|key| seed(4, key.to_string().as_bytes())));
    seeds
}
