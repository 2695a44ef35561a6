//! Whatever a provider of identities says is keys or claims that read, or is refused.

use obsrv_server::forge::provider_reads;

/// One execution; whether it was read.
pub fn run(bytes: &[u8]) -> bool {
    provider_reads(bytes)
}

/// Keys of both kinds, claims, and a token.
pub fn seeds() -> Vec<Vec<u8>> {
    let texts = [
        r#"{"keys":[{"kty":"RSA","kid":"a","use":"sig","alg":"RS256","n":"AQAB","e":"AQAB"}]}"#,
        r#"{"keys":[{"kty":"EC","crv":"P-256","kid":"b","alg":"ES256","x":"AQAB","y":"AQAB"}]}"#,
        r#"{"iss":"https://a.example","sub":"s","aud":["obsrv"],"azp":"obsrv","exp":1800000100,"iat":1799999999,"nonce":"once","email":"a@b.example","email_verified":true,"name":"A"}"#,
        "eyJhbGciOiJSUzI1NiJ9.e30.AQAB",
    ];
    texts.map(|text| text.as_bytes().to_vec()).to_vec()
}
