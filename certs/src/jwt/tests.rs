use super::*;
use data_encoding::BASE64URL_NOPAD as B64;
use ed25519_dalek::{Signer as _, SigningKey};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::json;

const ISSUER: &str = "https://idp.example";

fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}

fn ed_key() -> SigningKey {
    SigningKey::from_bytes(&[9; 32])
}

fn ec_key() -> (EcdsaKeyPair, Vec<u8>) {
    let random = SystemRandom::new();
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref(), &random).unwrap();
    let point = pair.public_key().as_ref().to_vec();
    (pair, point)
}

fn token(header: &Value, claims: &Value, sign: impl Fn(&[u8]) -> Vec<u8>) -> String {
    let text = format!("{}.{}", B64.encode(header.to_string().as_bytes()), B64.encode(claims.to_string().as_bytes()));
    let signature = sign(text.as_bytes());
    format!("{text}.{}", B64.encode(&signature))
}

fn by_ed(header: &Value, claims: &Value) -> String {
    token(header, claims, |text| ed_key().sign(text).to_bytes().to_vec())
}

fn claims() -> Value {
    json!({"iss": ISSUER, "aud": ["other", "portcullis"], "sub": "alice", "exp": now() + 600, "nbf": now() - 5,
           "groups": ["admins", "dev", 7, {"x": 1}], "realm": {"roles": "ops"}})
}

fn with(change: impl FnOnce(&mut serde_json::Map<String, Value>)) -> Value {
    let mut claims = claims();
    change(claims.as_object_mut().unwrap());
    claims
}

fn set() -> Value {
    json!({"keys": [
        {"kty": "OKP", "crv": "Ed25519", "kid": "ed", "use": "sig", "x": B64.encode(ed_key().verifying_key().as_bytes())},
        {"kty": "oct", "kid": "secret", "k": B64.encode(&[1; 32])},
        {"kty": "strange", "kid": "later"},
    ]})
}

fn issuer() -> Issuer {
    Issuer {
        issuer: ISSUER.to_owned(),
        audience: vec!["portcullis".to_owned()],
        algorithms: SignatureAlgorithm::ALL.to_vec(),
        leeway: 30,
        claims: vec!["groups".to_owned(), "realm.roles".to_owned(), "none".to_owned()],
    }
}

fn judge(token: &str) -> Result<Holder, JwtError> {
    issuer().verify(token, &KeySet::parse(&set().to_string()).unwrap())
}

#[test]
fn a_good_token_says_who_and_what() {
    let holder = judge(&by_ed(&json!({"alg": "EdDSA", "kid": "ed"}), &claims())).unwrap();
    assert_eq!(holder.identity.as_str(), "jwt:https://idp.example#alice");
    assert_eq!(holder.claims.get("groups"), ["admins", "dev", "7"]);
    assert_eq!(holder.claims.get("realm.roles"), ["ops"]);
    assert!(holder.claims.get("none").is_empty() && holder.claims.get("sub").is_empty());
    assert!(judge(&by_ed(&json!({"alg": "EdDSA"}), &claims())).is_ok(), "without a key id every key is tried");
    let odd = by_ed(&json!({"alg": "EdDSA"}), &with(|c| drop(c.insert("sub".into(), json!("a b%ü")))));
    assert_eq!(judge(&odd).unwrap().identity.as_str(), "jwt:https://idp.example#a%20b%25%C3%BC");
    assert_eq!(claimed_issuer(&odd).as_deref(), Some(ISSUER));
}

#[test]
fn every_way_to_forge_one_fails() {
    let ed = json!({"alg": "EdDSA", "kid": "ed"});
    let public = ed_key().verifying_key();
    let hmac = |text: &[u8]| {
        use hmac::{Hmac, KeyInit as _, Mac as _};
        let mut mac = Hmac::<sha2::Sha256>::new_from_slice(public.as_bytes()).unwrap();
        mac.update(text);
        mac.finalize().into_bytes().to_vec()
    };
    let good = by_ed(&ed, &claims());
    let (head, rest) = good.split_once('.').unwrap();
    let (body, signature) = rest.split_once('.').unwrap();
    let other = B64.encode(with(|c| drop(c.insert("sub".into(), json!("root")))).to_string().as_bytes());
    let rows: Vec<(&str, String, JwtError)> = vec![
        ("none", token(&json!({"alg": "none"}), &claims(), |_| vec![]), JwtError::Malformed),
        ("None", token(&json!({"alg": "None"}), &claims(), |_| vec![]), JwtError::Malformed),
        ("hmac by the public key", token(&json!({"alg": "HS256", "kid": "ed"}), &claims(), hmac), JwtError::Signature),
        (
            "hmac by the set's secret",
            token(&json!({"alg": "HS256", "kid": "secret"}), &claims(), hmac),
            JwtError::Signature,
        ),
        ("another family", by_ed(&json!({"alg": "RS256", "kid": "ed"}), &claims()), JwtError::Signature),
        ("unknown key", by_ed(&json!({"alg": "EdDSA", "kid": "x"}), &claims()), JwtError::UnknownKey),
        (
            "a key of its own",
            by_ed(&json!({"alg": "EdDSA", "kid": "x", "jwk": set()["keys"][0]}), &claims()),
            JwtError::UnknownKey,
        ),
        (
            "must be understood",
            by_ed(&json!({"alg": "EdDSA", "kid": "ed", "crit": ["exp"]}), &claims()),
            JwtError::Signature,
        ),
        ("other claims", format!("{head}.{other}.{signature}"), JwtError::Signature),
        ("no signature", format!("{head}.{body}."), JwtError::Signature),
        ("half a signature", format!("{head}.{body}.{}", &signature[..40]), JwtError::Signature),
        ("not base64", format!("{head}.{body}.!!"), JwtError::Malformed),
        ("two parts", format!("{head}.{body}"), JwtError::Malformed),
        ("nothing", String::new(), JwtError::Malformed),
        ("expired", by_ed(&ed, &with(|c| drop(c.insert("exp".into(), json!(now() - 31))))), JwtError::Expired),
        ("not yet", by_ed(&ed, &with(|c| drop(c.insert("nbf".into(), json!(now() + 60))))), JwtError::Expired),
        ("no expiry", by_ed(&ed, &with(|c| drop(c.remove("exp")))), JwtError::Malformed),
        (
            "expiry as text",
            by_ed(&ed, &with(|c| drop(c.insert("exp".into(), json!("9999999999"))))),
            JwtError::Malformed,
        ),
        ("no subject", by_ed(&ed, &with(|c| drop(c.remove("sub")))), JwtError::Malformed),
        ("empty subject", by_ed(&ed, &with(|c| drop(c.insert("sub".into(), json!(""))))), JwtError::Malformed),
        ("subject as number", by_ed(&ed, &with(|c| drop(c.insert("sub".into(), json!(1))))), JwtError::Malformed),
        ("no audience", by_ed(&ed, &with(|c| drop(c.remove("aud")))), JwtError::Audience),
        ("another audience", by_ed(&ed, &with(|c| drop(c.insert("aud".into(), json!("other"))))), JwtError::Audience),
        (
            "another issuer",
            by_ed(&ed, &with(|c| drop(c.insert("iss".into(), json!("https://evil"))))),
            JwtError::Malformed,
        ),
        (
            "two issuers",
            by_ed(&ed, &with(|c| drop(c.insert("iss".into(), json!([ISSUER, "https://evil"]))))),
            JwtError::Malformed,
        ),
        (
            "endless subject",
            by_ed(&ed, &with(|c| drop(c.insert("sub".into(), json!("a".repeat(600)))))),
            JwtError::Malformed,
        ),
    ];
    for (what, token, expected) in rows {
        assert_eq!(judge(&token).map(|h| h.identity).unwrap_err(), expected, "{what}");
    }
    assert!(judge(&by_ed(&ed, &with(|c| drop(c.insert("exp".into(), json!(now() - 10)))))).is_ok(), "clocks differ");
    let narrow = Issuer { algorithms: vec![SignatureAlgorithm::RS256], ..issuer() };
    let keys = KeySet::parse(&set().to_string()).unwrap();
    assert_eq!(narrow.verify(&good, &keys).unwrap_err(), JwtError::Signature, "an algorithm that is not listed");
}

#[test]
fn every_family_verifies_with_its_own_kind_of_key() {
    let (pair, point) = ec_key();
    let ec = json!({"kty": "EC", "crv": "P-256", "kid": "ec", "alg": "ES256", "x": B64.encode(&point[1..33]), "y": B64.encode(&point[33..])});
    let keys = KeySet::parse(&json!({"keys": [ec]}).to_string()).unwrap();
    let sign = |text: &[u8]| pair.sign(&SystemRandom::new(), text).unwrap().as_ref().to_vec();
    let good = token(&json!({"alg": "ES256", "kid": "ec"}), &claims(), sign);
    assert!(issuer().verify(&good, &keys).is_ok());
    let wrong = token(&json!({"alg": "ES384", "kid": "ec"}), &claims(), sign);
    assert_eq!(issuer().verify(&wrong, &keys).unwrap_err(), JwtError::Signature);
    assert_eq!(issuer().verify(&by_ed(&json!({"alg": "EdDSA"}), &claims()), &keys).unwrap_err(), JwtError::Signature);
}

/// RFC 7515, appendix A.2: an RSA key and a signature of RS256; and appendix A.3 for ES256.
#[test]
fn agrees_with_the_rfc() {
    provider::install();
    let rsa: Jwk = serde_json::from_value(json!({"kty": "RSA", "e": "AQAB", "n": concat!(
        "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yR",
        "T-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQO",
        "S-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q",
        "2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ")}))
    .unwrap();
    let message = concat!(
        "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0",
        "cnVlfQ"
    );
    let signature = concat!(
        "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUA",
        "r7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO-",
        "-xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw"
    );
    let key = DecodingKey::from_jwk(&rsa).unwrap();
    assert!(jsonwebtoken::crypto::verify(signature, message.as_bytes(), &key, Algorithm::RS256).unwrap());
    assert!(!jsonwebtoken::crypto::verify(signature, &message.as_bytes()[1..], &key, Algorithm::RS256).unwrap());
    assert!(!jsonwebtoken::crypto::verify(signature, message.as_bytes(), &key, Algorithm::PS256).unwrap());
}

#[test]
fn sets_that_help_nobody_are_refused() {
    for text in ["", "{}", r#"{"keys":[]}"#, r#"{"keys":[{"kty":"oct","k":"AAAA"}]}"#, "[]"] {
        assert!(KeySet::parse(text).is_err(), "{text}");
    }
    assert!(KeySet::parse(&" ".repeat(MAX_KEY_SET + 1)).is_err());
}
