//! Whatever stands in a request in place of a credential: nothing panics, nothing is taken.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis_certs::jwt::{self, Issuer, KeySet, SignatureAlgorithm};
use portcullis_certs::{PeerCert, delegation, device, token};

const KEYS: &str = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"k","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;

fuzz_target!(|bytes: &[u8]| {
    let _ = PeerCert::parse(bytes, false);
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    assert!(device::verify(text, "GET,/?ts=1").is_err());
    assert!(delegation::verify(text, 1_000).is_err());
    let _ = (jwt::claimed_issuer(text), KeySet::parse(text), token::has_form(text, "pck_"));
    let issuer = Issuer {
        issuer: "https://id.example".to_owned(),
        audience: vec!["portcullis".to_owned()],
        algorithms: SignatureAlgorithm::ALL.to_vec(),
        leeway: 30,
        claims: vec!["groups".to_owned()],
    };
    assert!(issuer.verify(text, &KeySet::parse(KEYS).expect("a key set")).is_err());
});
