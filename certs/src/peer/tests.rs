use super::*;
use crate::ca::{Ca, San};
use crate::node::NodeKey;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use std::time::Duration;

fn der(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
}

#[test]
fn an_ed25519_certificate_is_its_node() {
    let node = NodeKey::generate().unwrap();
    let (pem, _) = node.self_signed_cert("alice").unwrap();
    let peer = PeerCert::parse(&der(&pem), false).unwrap();
    assert_eq!(peer.identity, node.public().identity());
    assert_eq!(peer.fingerprint, node.public().fingerprint());
    assert_eq!(peer.common_name.as_deref(), Some("alice"));
    let now = jiff::Timestamp::now().as_second();
    assert_eq!(peer.validity_at(now), Validity::Holds);
    assert_eq!(peer.validity_at(peer.not_after + 1), Validity::Expired);
    assert_eq!(peer.validity_at(peer.not_before - 1), Validity::NotYet);
}

#[test]
fn a_spiffe_id_counts_only_when_an_authority_vouches() {
    let ca = Ca::create("test").unwrap();
    let uri = |text: &str| San::Uri(text.to_owned());
    let issue = |names: &[San]| der(&ca.issue_client("w", names, Duration::from_secs(60)).unwrap().chain);
    let one = issue(&[uri("spiffe://td/w"), San::Dns("w.lan".to_owned())]);
    let vouched = PeerCert::parse(&one, true).unwrap();
    assert_eq!(vouched.identity.as_str(), "spiffe://td/w");
    assert_eq!(vouched.spiffe.as_deref(), Some("spiffe://td/w"));
    assert_eq!(vouched.dns_names, ["w.lan"]);
    let alone = PeerCert::parse(&one, false).unwrap();
    let hex = data_encoding::HEXLOWER.encode(&alone.spki_sha256);
    assert_eq!(alone.identity.as_str(), format!("cert:{hex}"));
    assert!(hex.starts_with(&alone.fingerprint.replace(':', "")));
    assert_eq!(alone.spiffe, None);
    let mut many = vec![uri("spiffe://td/w")];
    many.extend((0..100).map(|i| San::Dns(format!("h{i}.lan"))));
    many.push(uri("spiffe://td/admin"));
    for names in [&many[..], &[uri("https://td/w")]] {
        assert!(PeerCert::parse(&issue(names), true).unwrap().identity.as_str().starts_with("cert:"));
    }
}

#[test]
fn spiffe_ids_have_one_spelling() {
    for id in ["spiffe://td/w", "spiffe://a.b-c_1/ns/x/sa/Y.z"] {
        assert!(is_spiffe_id(id), "{id}");
    }
    for id in [
        "spiffe://td",
        "spiffe://td/",
        "spiffe:///w",
        "spiffe://TD/w",
        "spiffe://td/w/",
        "spiffe://td//w",
        "spiffe://td/../w",
        "spiffe://td/./w",
        "spiffe://td/%77",
        "spiffe://td/w?x",
        "spiffe://td/w#x",
        "spiffe://u@td/w",
        "spiffe://td:1/w",
        "SPIFFE://td/w",
        "https://td/w",
    ] {
        assert!(!is_spiffe_id(id), "{id}");
    }
}

#[test]
fn garbage_has_no_identity() {
    for der in [&b""[..], b"x", &[0x30, 0x03, 1, 2, 3], &vec![0x30; MAX_CERTIFICATE + 1]] {
        assert_eq!(PeerCert::parse(der, true).unwrap_err(), PeerError::NotACertificate);
    }
    let (pem, _) = NodeKey::generate().unwrap().self_signed_cert("alice").unwrap();
    let good = der(&pem);
    let trailing = [&good[..], b"x"].concat();
    assert_eq!(PeerCert::parse(&trailing, false).unwrap_err(), PeerError::NotACertificate);
    for end in 0..good.len() {
        assert!(PeerCert::parse(&good[..end], false).is_err(), "cut at {end}");
    }
    for at in 0..good.len() {
        let mut bent = good.to_vec();
        bent[at] ^= 0xff;
        let _ = PeerCert::parse(&bent, true);
    }
}
