//! Whatever comes in over a WebSocket is frames that are answered or an end of the connection.

use obsrv_server::forge::socket_reads;

/// One execution; whether all of it was frames.
pub fn run(bytes: &[u8]) -> bool {
    socket_reads(bytes)
}

/// Frames of a client: a text, two pings, a longer text.
pub fn seeds() -> Vec<Vec<u8>> {
    let frame = |kind: u8, payload: &[u8]| {
        let len = u8::try_from(payload.len()).unwrap_or(u8::MAX);
        let size = match len {
            ..126 => vec![0x80 | len],
            len => vec![0x80 | 126, 0, len],
        };
        // Masked with zeroes.
        [&[0x80 | kind][..], &size[..], &[0; 4], payload].concat()
    };
    vec![
        frame(1, b"text"),
        [frame(9, b"a"), frame(9, b"")].concat(),
        frame(2, &[b'x'; 200]),
    ]
}
