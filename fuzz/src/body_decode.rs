//! Any bytes are a body or an error; what is a body is encoded to a body that says the same.

use obsrv_engine::body;

/// One execution.
pub fn run(bytes: &[u8]) {
    // The short way to the view must not panic where the long way is an error, nor the reverse.
    let view = body::view(bytes);
    let Ok(decoded) = body::decode(bytes) else {
        return;
    };
    if let Ok(view) = view {
        let _ = view.validate();
    }
    let again = body::encode(decoded.stamp, decoded.view, &decoded.parts);
    assert_eq!(body::decode(&again).as_ref(), Ok(&decoded));
}
