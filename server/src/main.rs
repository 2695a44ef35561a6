//! The `obsrv` binary.
fn main() {}
