//! Small texts that requests and records carry (times, addresses, ranges, hashes) are read or refused.

use obsrv_server::dialect::parse_time;
use obsrv_server::forge::{hash_reads, range_reads};
use obsrv_server::net::forwarded::Network;
use obsrv_server::signin::email::Email;

/// One execution: which sort, then the text. Whether it is one.
pub fn run(bytes: &[u8]) -> bool {
    let Some((&sort, rest)) = bytes.split_first() else {
        return false;
    };
    let Ok(text) = std::str::from_utf8(rest) else {
        return false;
    };
    match sort % 5 {
        0 => parse_time(text).is_some(),
        1 => {
            let email = Email::parse(text);
            let again = email.as_ref().map(|email| Email::parse(email.as_str()));
            assert_eq!(
                again,
                email.clone().map(Some),
                "an address reads as another"
            );
            email.is_some()
        }
        2 => range_reads(text, 1_000),
        3 => hash_reads(text),
        _ => Network::parse(text).is_some(),
    }
}

/// One of every sort.
pub fn seeds() -> Vec<Vec<u8>> {
    let hash = "A".repeat(43);
    let hash = format!("$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA${hash}");
    let texts: [(u8, &str); 9] = [
        (0, "2026-08-20T10:00:00.123456789+02:00"),
        (0, "2026-08-20"),
        (1, "First.Last+tag@mail.example.org"),
        (2, "bytes=0-99"),
        (2, "bytes=-5"),
        (2, "bytes=900-99999999999999999999"),
        (3, &hash),
        (4, "192.0.2.0/24"),
        (4, "2001:db8::/32"),
    ];
    texts
        .map(|(sort, text)| [&[sort][..], text.as_bytes()].concat())
        .to_vec()
}
