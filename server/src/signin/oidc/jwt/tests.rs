//! Tokens made with keys of the test, one thing wrong with each.

use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use serde_json::{Value, json};

use super::*;

pub(crate) const NOW: i64 = 1_800_000_000;

/// A key of a provider.
pub(crate) struct Signer(EcdsaKeyPair);

impl Signer {
    pub(crate) fn new() -> Self {
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &SystemRandom::new()).unwrap();
        let key = EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref(), &SystemRandom::new());
        Self(key.unwrap())
    }

    pub(crate) fn jwk(&self, kid: &str) -> Value {
        let point = self.0.public_key().as_ref();
        let (x, y) = (&point[1..33], &point[33..]);
        json!({
            "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": kid,
            "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y),
        })
    }

    pub(crate) fn sign(&self, header: &Value, claims: &Value) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(header), part(claims));
        let signature = self
            .0
            .sign(&SystemRandom::new(), signed.as_bytes())
            .unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

fn header() -> Value {
    json!({ "alg": "ES256", "kid": "one", "typ": "JWT" })
}

fn claims() -> Value {
    json!({
        "iss": "https://idp.example", "sub": "248289761001", "aud": "obsrv", "nonce": "n-0S6",
        "exp": NOW + 300, "iat": NOW, "email": "ada@example.org", "email_verified": true,
        "name": "Ada",
    })
}

const EXPECTED: Expected<'static> = Expected {
    issuer: "https://idp.example",
    client_id: "obsrv",
    nonce: "n-0S6",
    now_s: NOW,
};

fn keys_of(all: &[Value]) -> Keys {
    Keys::parse(json!({ "keys": all }).to_string().as_bytes()).unwrap()
}

fn with(mut value: Value, changes: &[(&str, Value)]) -> Value {
    for (name, change) in changes {
        let object = value.as_object_mut().unwrap();
        if change.is_null() {
            object.remove(*name);
        } else {
            object.insert((*name).to_owned(), change.clone());
        }
    }
    value
}

#[test]
fn a_good_token_says_who() {
    let signer = Signer::new();
    let keys = keys_of(&[Signer::new().jwk("zero"), signer.jwk("one")]);
    let ada = Claims {
        subject: "248289761001".into(),
        verified_email: Some("ada@example.org".into()),
        name: Some("Ada".into()),
    };
    let skew = i64::try_from(OIDC_SKEW_TIME.as_secs()).unwrap();
    for changes in [
        vec![],
        vec![("aud", json!(["obsrv"]))],
        vec![("aud", json!(["obsrv", "other"])), ("azp", json!("obsrv"))],
        vec![("exp", json!(NOW - skew + 1))],
        vec![("iat", json!(NOW + skew)), ("nbf", json!(NOW + skew))],
        vec![("email_verified", json!("true"))],
    ] {
        let token = signer.sign(&header(), &with(claims(), &changes));
        assert_eq!(
            verify(&token, &keys, &EXPECTED),
            Ok(ada.clone()),
            "{changes:?}"
        );
    }
    for flag in [json!(false), json!("false"), Value::Null] {
        let token = signer.sign(&header(), &with(claims(), &[("email_verified", flag)]));
        let said = verify(&token, &keys, &EXPECTED).unwrap();
        assert_eq!(said.verified_email, None);
    }
}

#[test]
fn twenty_and_more_bad_claims_are_refused() {
    let signer = Signer::new();
    let keys = keys_of(&[signer.jwk("one")]);
    let skew = i64::try_from(OIDC_SKEW_TIME.as_secs()).unwrap();
    let long = "s".repeat(OIDC_TEXT_BYTES_MAX + 1);
    let cases: Vec<(Vec<(&str, Value)>, TokenError)> = vec![
        (
            vec![("iss", json!("https://idp.example/"))],
            TokenError::Issuer,
        ),
        (
            vec![("iss", json!("https://evil.example"))],
            TokenError::Issuer,
        ),
        (vec![("iss", Value::Null)], TokenError::Form),
        (vec![("aud", json!("other"))], TokenError::Audience),
        (vec![("aud", json!([]))], TokenError::Audience),
        (
            vec![("aud", json!(["obsrv", "other"]))],
            TokenError::Audience,
        ),
        (vec![("azp", json!("other"))], TokenError::Audience),
        (vec![("aud", Value::Null)], TokenError::Form),
        (vec![("exp", json!(NOW - skew))], TokenError::Time),
        (vec![("exp", Value::Null)], TokenError::Form),
        (vec![("exp", json!("tomorrow"))], TokenError::Form),
        (vec![("iat", json!(NOW + skew + 1))], TokenError::Time),
        (vec![("nbf", json!(NOW + skew + 1))], TokenError::Time),
        (vec![("iat", Value::Null)], TokenError::Form),
        (vec![("nonce", json!("another"))], TokenError::Nonce),
        (vec![("nonce", Value::Null)], TokenError::Nonce),
        (vec![("nonce", json!(""))], TokenError::Nonce),
        (vec![("sub", json!(""))], TokenError::Subject),
        (vec![("sub", json!(long))], TokenError::Subject),
        (vec![("sub", Value::Null)], TokenError::Form),
        (vec![("sub", json!(7))], TokenError::Form),
    ];
    for (changes, error) in cases {
        let token = signer.sign(&header(), &with(claims(), &changes));
        assert_eq!(verify(&token, &keys, &EXPECTED), Err(error), "{changes:?}");
    }
}

#[test]
fn bad_signatures_algorithms_and_forms_are_refused() {
    let (signer, other) = (Signer::new(), Signer::new());
    let keys = keys_of(&[signer.jwk("one")]);
    let refused = |token: &str| verify(token, &keys, &EXPECTED).unwrap_err();
    let good = signer.sign(&header(), &claims());
    let parts: Vec<&str> = good.split('.').collect();
    let headed = |changes: &[(&str, Value)]| signer.sign(&with(header(), changes), &claims());
    for alg in [
        "none", "None", "HS256", "RS512", "ES384", "PS256", "EdDSA", "",
    ] {
        assert_eq!(
            refused(&headed(&[("alg", json!(alg))])),
            TokenError::Algorithm,
            "{alg}"
        );
    }
    let none = URL_SAFE_NO_PAD.encode(json!({ "alg": "none" }).to_string());
    assert_eq!(
        refused(&format!("{none}.{}.", parts[1])),
        TokenError::Algorithm
    );
    // The key's kind decides with the algorithm: no RSA key is there.
    assert_eq!(
        refused(&headed(&[("alg", json!("RS256"))])),
        TokenError::UnknownKey
    );
    assert_eq!(
        refused(&headed(&[("kid", json!("two"))])),
        TokenError::UnknownKey
    );
    assert_eq!(
        refused(&headed(&[("crit", json!(["x"]))])),
        TokenError::Algorithm
    );
    // A key that the token brings along is not looked at.
    let brought = with(header(), &[("jwk", other.jwk("one"))]);
    assert_eq!(
        refused(&other.sign(&brought, &claims())),
        TokenError::Signature
    );
    let swapped = signer.sign(&header(), &with(claims(), &[("sub", json!("root"))]));
    let swapped = swapped.split('.').nth(1).unwrap();
    assert_eq!(
        refused(&[parts[0], swapped, parts[2]].join(".")),
        TokenError::Signature
    );
    assert_eq!(
        refused(&[parts[0], parts[1], ""].join(".")),
        TokenError::Signature
    );
    let twice = r#"{"iss":"https://evil.example","iss":"https://idp.example"}"#;
    let twice = URL_SAFE_NO_PAD.encode(twice);
    assert_eq!(
        refused(&[parts[0], &twice, parts[2]].join(".")),
        TokenError::Signature
    );
    for form in [
        String::new(),
        "a.b".into(),
        format!("{good}."),
        format!("{good}="),
        format!(" {good}"),
        "e30.e30.e30".into(),
        "!.!.!".into(),
        format!("{good}{}", "A".repeat(OIDC_TOKEN_BYTES_MAX)),
    ] {
        assert_eq!(refused(&form), TokenError::Form, "{form:.40}");
    }
}

#[test]
fn a_token_without_a_key_name_needs_a_provider_with_one_key() {
    let signer = Signer::new();
    let nameless = with(header(), &[("kid", Value::Null)]);
    let token = signer.sign(&nameless, &claims());
    let one = keys_of(&[signer.jwk("one")]);
    let two = keys_of(&[signer.jwk("one"), Signer::new().jwk("two")]);
    assert!(verify(&token, &one, &EXPECTED).is_ok());
    assert_eq!(verify(&token, &two, &EXPECTED), Err(TokenError::UnknownKey));
    let not_to_sign = keys_of(&[with(signer.jwk("one"), &[("use", json!("enc"))])]);
    assert_eq!(
        verify(&token, &not_to_sign, &EXPECTED),
        Err(TokenError::UnknownKey)
    );
}

#[test]
fn key_sets_are_bounded() {
    let set = |n: usize| {
        let keys = vec![json!({ "kty": "oct", "k": "c2VjcmV0" }); n];
        Keys::parse(json!({ "keys": keys }).to_string().as_bytes())
    };
    assert_eq!(
        set(OIDC_KEYS_MAX),
        Some(Keys::default()),
        "keys of other kinds are left out"
    );
    assert_eq!(set(OIDC_KEYS_MAX + 1), None);
    assert_eq!(Keys::parse(b"[]"), None);
}

#[test]
fn rs256_as_other_software_signs_it() {
    let keys = Keys::parse(include_bytes!("rs256_keys.json")).unwrap();
    let token = include_str!("rs256_token.txt").trim();
    let said = verify(token, &keys, &EXPECTED).unwrap();
    assert_eq!(said.subject, "248289761001");
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let mut bytes = URL_SAFE_NO_PAD.decode(signature).unwrap();
    bytes[7] ^= 1;
    let broken = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(bytes));
    assert_eq!(
        verify(&broken, &keys, &EXPECTED),
        Err(TokenError::Signature)
    );
}

#[test]
fn large_times_stay_exact() {
    for s in [0, 1, -1, NOW, 1 << 40, (1 << 52) - 1] {
        assert_eq!(format!("{:.0}", seconds(s)), s.to_string());
    }
}
