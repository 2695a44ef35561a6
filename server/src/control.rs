//! Control events: what the control plane writes to the log. Owns their bytes.
//!
//! ```text
//! version u8 = 1, then one ControlEvent in bincode 2 standard configuration (varint)
//! ```
//!
//! Variants are appended, never reordered or changed: bincode has no schema. A golden test holds
//! the bytes.

use bincode::{Decode, Encode};
use bytes::Bytes;

use crate::limits::CONTROL_EVENT_BYTES_MAX;
use crate::signin::event::UserEvent;

const VERSION: u8 = 1;

/// One fact of the control plane.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum ControlEvent {
    /// A project exists.
    ProjectCreated {
        /// Its id; never 0, never used twice.
        project: u64,
        /// Its name, unique.
        name: String,
        /// When, nanoseconds since the epoch.
        at_ns: i64,
    },
    /// A key exists.
    KeyCreated {
        /// Its id, public; never used twice.
        key: u64,
        /// The project that it opens.
        project: u64,
        /// MAC of the key string.
        mac: [u8; 32],
        /// When, nanoseconds since the epoch.
        at_ns: i64,
    },
    /// A key opens nothing from here on.
    KeyRevoked {
        /// Its id.
        key: u64,
        /// When, nanoseconds since the epoch.
        at_ns: i64,
    },
    /// Requests named a project that is not their key's.
    ProjectNamed {
        /// The project of the key.
        project: u64,
        /// The name that they gave.
        name: String,
        /// How many more since the last event of this name.
        count: u64,
    },
    /// Users, sessions or links changed.
    User(UserEvent),
}

/// Why bytes are not a control event.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// Written by a newer obsrv.
    #[error("control event of an unknown version version={0}")]
    Version(u8),
    /// Cut short, too long, an unknown variant or text that is not UTF-8.
    #[error("control event does not decode")]
    Decode(#[source] bincode::error::DecodeError),
    /// Nothing at all, or bytes after the event.
    #[error("control event has the wrong length")]
    Length,
}

/// The bytes of an event.
pub fn encode(event: &ControlEvent) -> Bytes {
    let mut out = vec![VERSION];
    bincode::encode_into_std_write(event, &mut out, bincode::config::standard())
        .expect("BUG: encoding into memory failed");
    Bytes::from(out)
}

/// Reads an event.
pub fn decode(bytes: &[u8]) -> Result<ControlEvent, ControlError> {
    let (&version, rest) = bytes.split_first().ok_or(ControlError::Length)?;
    if version != VERSION {
        return Err(ControlError::Version(version));
    }
    let config = bincode::config::standard().with_limit::<CONTROL_EVENT_BYTES_MAX>();
    let (event, used) = bincode::decode_from_slice(rest, config).map_err(ControlError::Decode)?;
    if used == rest.len() {
        Ok(event)
    } else {
        Err(ControlError::Length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one_of_each() -> Vec<(ControlEvent, Vec<u8>)> {
        let mac = [7; 32];
        let mut key = vec![1, 1, 3, 1];
        key.extend_from_slice(&mac);
        key.push(10);
        vec![
            (
                ControlEvent::ProjectCreated {
                    project: 1,
                    name: "ab".into(),
                    at_ns: 5,
                },
                vec![1, 0, 1, 2, b'a', b'b', 10],
            ),
            (
                ControlEvent::KeyCreated {
                    key: 3,
                    project: 1,
                    mac,
                    at_ns: 5,
                },
                key,
            ),
            (
                ControlEvent::KeyRevoked { key: 3, at_ns: 6 },
                vec![1, 2, 3, 12],
            ),
            (
                ControlEvent::ProjectNamed {
                    project: 1,
                    name: "x".into(),
                    count: 251,
                },
                vec![1, 3, 1, 1, b'x', 251, 251, 0],
            ),
        ]
    }

    #[test]
    fn bytes_are_golden_and_read_back() {
        for (event, golden) in one_of_each() {
            assert_eq!(encode(&event), golden, "{event:?}");
            assert_eq!(decode(&golden).unwrap(), event);
        }
    }

    #[test]
    fn refuses_every_cut_a_tail_and_another_version() {
        for (event, golden) in one_of_each() {
            for end in 0..golden.len() {
                assert!(decode(&golden[..end]).is_err(), "{event:?} cut at {end}");
            }
            let mut longer = golden.clone();
            longer.push(0);
            assert!(matches!(decode(&longer), Err(ControlError::Length)));
            longer[0] = 2;
            assert!(matches!(decode(&longer), Err(ControlError::Version(2))));
        }
    }

    #[test]
    fn refuses_a_length_that_is_a_lie() {
        // ProjectCreated with a name said to be 2^32 bytes long.
        let bytes = [1, 0, 1, 253, 0, 0, 0, 0, 1, 0, 0, 0, b'a'];
        assert!(matches!(decode(&bytes), Err(ControlError::Decode(_))));
    }
}
