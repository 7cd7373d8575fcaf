use super::*;
use crate::peer::PeerCert;
use std::process::Command;

#[test]
fn openssl_accepts_what_it_issues() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let ca = Ca::create("test").unwrap();
    ca.save_new(&at("ca.crt"), &at("ca.key")).unwrap();
    let ca = Ca::load(&at("ca.crt"), &at("ca.key")).unwrap();
    let names = [San::Dns("localhost".to_owned()), San::Ip("127.0.0.1".parse().unwrap())];
    let server = ca.issue_server(&names, SERVER_LIFETIME).unwrap();
    let client = ca.issue_client("w", &[San::Uri("spiffe://td/w".to_owned())], YEAR).unwrap();
    for (name, text) in [("server.crt", &server.chain), ("server.key", &server.key), ("client.crt", &client.chain)] {
        files::write_private(&at(name), text.as_bytes()).unwrap();
    }
    for command in [
        "verify -x509_strict -purpose sslserver -verify_hostname localhost -CAfile ca.crt server.crt",
        "verify -x509_strict -purpose sslserver -verify_ip 127.0.0.1 -CAfile ca.crt server.crt",
        "verify -x509_strict -purpose sslclient -CAfile ca.crt client.crt",
        "pkey -noout -in server.key",
        "pkey -noout -in ca.key",
    ] {
        match Command::new("openssl").args(command.split(' ')).current_dir(dir.path()).output() {
            Ok(out) => assert!(out.status.success(), "{command}: {}", String::from_utf8_lossy(&out.stderr)),
            Err(_) => eprintln!("skipped: openssl not found"),
        }
    }
}

#[test]
fn never_writes_over_half_an_authority() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    std::fs::write(at("ca.crt"), "mine").unwrap();
    let ca = Ca::create("test").unwrap();
    assert!(matches!(ca.save_new(&at("ca.crt"), &at("ca.key")), Err(CaError::File(FileError::Exists(_)))));
    assert_eq!(std::fs::read(at("ca.crt")).unwrap(), b"mine");
    assert!(!at("ca.key").exists());
}

#[test]
fn refuses_halves_of_two_authorities_and_a_leaf() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let one = Ca::create("one").unwrap();
    one.save_new(&at("1.crt"), &at("1.key")).unwrap();
    Ca::create("two").unwrap().save_new(&at("2.crt"), &at("2.key")).unwrap();
    assert!(matches!(Ca::load(&at("1.crt"), &at("2.key")), Err(CaError::Mismatch { .. })));
    assert!(matches!(Ca::load(&at("3.crt"), &at("2.key")), Err(CaError::Read { .. })));
    let leaf = one.issue_client("leaf", &[], YEAR).unwrap();
    std::fs::write(at("leaf.crt"), &leaf.chain).unwrap();
    files::write_private(&at("leaf.key"), leaf.key.as_bytes()).unwrap();
    assert!(matches!(Ca::load(&at("leaf.crt"), &at("leaf.key")), Err(CaError::NotAnAuthority(_))));
}

#[test]
fn nothing_holds_longer_than_the_authority() {
    let ca = Ca::create("test").unwrap();
    let forever = ca.issue_client("w", &[], Duration::MAX).unwrap();
    let ends =
        |pem: &str| PeerCert::parse(&CertificateDer::from_pem_slice(pem.as_bytes()).unwrap(), false).unwrap().not_after;
    assert!(ends(&forever.chain) <= ends(ca.certificate()));
    for name in ["", "a\nb", &"x".repeat(65)] {
        assert!(matches!(ca.issue_client(name, &[], YEAR), Err(CaError::Name(_))), "{name:?}");
    }
    assert!(matches!(ca.issue_server(&[], YEAR), Err(CaError::Name(_))), "a server needs a name");
}
