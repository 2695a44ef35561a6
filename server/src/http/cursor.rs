//! Cursors: where the next page of a list begins. Owns their bytes.
//!
//! ```text
//! base64url( version u8 = 1, position, mac 16 bytes )
//! ```
//!
//! The MAC covers the project and everything that decides the order and the filter of the list, so
//! that a cursor works for the tenant and the list that it came from and for nothing else.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use subtle::ConstantTimeEq;

use super::error::{ApiError, ErrorCode};
use crate::keys::Macs;
use crate::limits::CURSOR_BYTES_MAX;
use obsrv_engine::row::ProjectId;

const VERSION: u8 = 1;
const MAC_BYTES: usize = 16;

/// What a cursor is bound to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scope<'a> {
    /// The tenant.
    pub(crate) project: ProjectId,
    /// Filter and order, in one canonical text.
    pub(crate) list: &'a str,
}

/// The text form of a position.
pub(crate) fn seal(macs: &Macs, scope: Scope<'_>, position: &[u8]) -> String {
    let mut bytes = Vec::with_capacity(1 + position.len() + MAC_BYTES);
    bytes.push(VERSION);
    bytes.extend_from_slice(position);
    bytes.extend_from_slice(&mac_of(macs, scope, position));
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The position in a cursor that this server made for this list.
pub(crate) fn open(macs: &Macs, scope: Scope<'_>, text: &str) -> Result<Vec<u8>, ApiError> {
    let refused = || {
        ApiError::new(
            ErrorCode::InvalidCursor,
            "not a cursor of this list; begin without one",
        )
        .at("cursor")
    };
    if text.len() > CURSOR_BYTES_MAX {
        return Err(refused());
    }
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| refused())?;
    let (&version, rest) = bytes.split_first().ok_or_else(refused)?;
    let cut = rest.len().checked_sub(MAC_BYTES).ok_or_else(refused)?;
    let (position, mac) = rest.split_at(cut);
    let genuine = bool::from(mac.ct_eq(&mac_of(macs, scope, position)));
    if version == VERSION && genuine {
        Ok(position.to_vec())
    } else {
        Err(refused())
    }
}

fn mac_of(macs: &Macs, scope: Scope<'_>, position: &[u8]) -> [u8; MAC_BYTES] {
    let mut message = vec![VERSION];
    message.extend_from_slice(&scope.project.0.to_le_bytes());
    let length = u64::try_from(position.len()).expect("BUG: usize over 64 bits");
    message.extend_from_slice(&length.to_le_bytes());
    message.extend_from_slice(position);
    message.extend_from_slice(scope.list.as_bytes());
    let mut short = [0; MAC_BYTES];
    short.copy_from_slice(&macs.mac(&message)[..MAC_BYTES]);
    short
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::MasterSecret;

    fn macs() -> Macs {
        Macs::for_cursors(&MasterSecret::from_bytes([3; 32]))
    }

    const SCOPE: Scope<'static> = Scope {
        project: ProjectId(1),
        list: "status=error",
    };

    #[test]
    fn opens_only_for_its_tenant_and_list() {
        let text = seal(&macs(), SCOPE, b"position");
        assert_eq!(open(&macs(), SCOPE, &text).unwrap(), b"position");
        let others = [
            Scope {
                project: ProjectId(2),
                ..SCOPE
            },
            Scope {
                list: "status=errors",
                ..SCOPE
            },
            Scope { list: "", ..SCOPE },
        ];
        for other in others {
            assert_eq!(
                open(&macs(), other, &text).unwrap_err().code,
                ErrorCode::InvalidCursor
            );
        }
        let elsewhere = Macs::for_cursors(&MasterSecret::from_bytes([4; 32]));
        assert!(open(&elsewhere, SCOPE, &text).is_err());
    }

    #[test]
    fn no_byte_may_change_move_or_go() {
        let bytes = URL_SAFE_NO_PAD
            .decode(seal(&macs(), SCOPE, b"position"))
            .unwrap();
        for at in 0..bytes.len() {
            let mut edited = bytes.clone();
            edited[at] ^= 1;
            assert!(
                open(&macs(), SCOPE, &URL_SAFE_NO_PAD.encode(edited)).is_err(),
                "byte {at}"
            );
            assert!(open(&macs(), SCOPE, &URL_SAFE_NO_PAD.encode(&bytes[..at])).is_err());
        }
        assert!(open(&macs(), SCOPE, "2").is_err());
        assert!(open(&macs(), SCOPE, "!").is_err());
        assert!(open(&macs(), SCOPE, &"A".repeat(CURSOR_BYTES_MAX + 1)).is_err());
    }
}
