//! `portcullis cert`: what an operator does with the node's own authority.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use portcullis_tests::pki::{Authority, self_signed};
use portcullis_tests::{Client, FakeServer, Gate, until};
use rcgen::{CertificateParams, SigningKey as _};
use serde_json::{Value, json};

fn at(gate: &Gate, name: &str) -> PathBuf {
    gate.dir.path().join(name)
}

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

/// Issues into the gate's folder.
#[track_caller]
fn issue(gate: &Gate, args: &[&str]) -> Value {
    let out = text(gate.dir.path());
    gate.cli_json(&[&["cert", "issue"], args, &["--out", &out]].concat())
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn client(gate: &Gate, name: &str) -> Client {
    let read = |end: &str| fs::read_to_string(at(gate, &format!("{name}.{end}"))).unwrap();
    Client::new(gate.address, &gate.ca(), Some((&read("crt"), &read("key"))), name)
}

#[test]
fn what_is_issued_works_without_another_step() {
    let server = FakeServer::start();
    for (trust, identity) in [("tofu", "cert:"), ("pinned", "cert:"), ("ca", "spiffe://example.org/alice")] {
        let gate = Gate::before(&server).filter(&format!("identity: {{trust: {trust}}}")).start();
        let issued = issue(&gate, &["alice", "--spiffe", "spiffe://example.org/alice", "--ttl", "1h"]);
        assert!(issued["identity"].as_str().unwrap().starts_with(identity), "{trust}: {issued}");
        assert_eq!(issued["approved"], trust != "ca", "an authority vouches for an SVID, not the trust store");
        let alice = client(&gate, "alice");
        until(trust, || (alice.get("/api/version").status == 200).then_some(()));
        let entry = gate.audit().pop().unwrap();
        assert_eq!(entry["node_id"], issued["identity"], "{trust}");
        assert_eq!(fs::metadata(at(&gate, "alice.key")).unwrap().mode() & 0o777, 0o600);

        let shown = gate.cli_json(&["cert", "show", &text(&at(&gate, "alice.crt"))]);
        assert_eq!((&shown["identity"], &shown["serial"]), (&issued["identity"], &issued["serial"]));
        assert_eq!((&shown["subject"], &shown["uses"]), (&json!("CN=alice"), &json!(["clientAuth"])));
        assert_eq!((&shown["vouched"], &shown["problem"]), (&json!(trust == "ca"), &Value::Null));
        assert_eq!((&shown["revoked"], &shown["chain"][0]["authority"]), (&json!(false), &json!(true)));
        assert_eq!(shown["names"], json!(["spiffe://example.org/alice"]));

        // Renewed for the same key: the same caller.
        let former = client(&gate, "alice");
        let renewed = gate.cli_json(&["cert", "renew", &text(&at(&gate, "alice"))]);
        assert_ne!(renewed["serial"], issued["serial"]);
        assert_eq!(client(&gate, "alice").get("/api/version").status, 200, "{trust}");
        let crt = text(&at(&gate, "alice.crt"));
        let revoked = gate.cli_json(&["cert", "revoke", &crt]);
        assert_eq!((&revoked["serial"], &revoked["name"]), (&renewed["serial"], &json!("alice")));
        let code = || client(&gate, "alice").get("/api/version").code();
        until("the revocation", || (code() == "identity.revoked").then_some(()));
        // Each certificate is an entry of its own, and the gate may read between two of them.
        until("what it was renewed from, too", || {
            (former.get("/api/version").code() == "identity.revoked").then_some(())
        });
        assert_eq!(revoked["others"], json!([issued["serial"]]));
        assert_eq!(gate.cli_json(&["cert", "show", &crt])["revoked"], true);
    }
}

#[test]
fn nothing_is_overwritten_and_no_name_is_given_twice() {
    let server = FakeServer::start();
    let gate = Gate::before(&server).start();
    issue(&gate, &["alice"]);
    let key = fs::read(at(&gate, "alice.key")).unwrap();
    let out = text(gate.dir.path());
    let again = gate.cli(&["cert", "issue", "alice", "--out", &out]);
    assert_eq!(again.status.code(), Some(1));
    assert!(said(&again).contains("never overwritten"), "{}", said(&again));
    assert_eq!(fs::read(at(&gate, "alice.key")).unwrap(), key);
    // Elsewhere: the name is somebody's, so no file may be left behind.
    let elsewhere = at(&gate, "elsewhere");
    let taken = gate.cli(&["cert", "issue", "alice", "--out", &text(&elsewhere)]);
    assert_eq!(taken.status.code(), Some(1), "{}", said(&taken));
    assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0);
    for (args, code, words) in [
        (&["issue", "a/b"][..], 2, "cannot be a name"),
        (&["issue", "b", "--san", "a b"], 2, "cannot stand in a certificate"),
        (&["issue", "b", "--spiffe", "https://x.example/"], 2, "no SPIFFE ID"),
        (&["issue", "b", "--spiffe", "spiffe://Example.org/b"], 2, "cannot stand in a certificate"),
        (&["issue", "b", "--spiffe", "spiffe://x/b", "--san", "urn://x"], 2, "one URI"),
        (&["issue", "b", "--ttl", "soon"], 2, "is not a duration"),
        (&["issue", "b", "--csr", "/nowhere.csr"], 3, "cannot read"),
        (&["revoke", "not-hex"], 2, "neither a file nor a serial number"),
        (&["revoke", "00"], 2, "neither a file nor a serial number"),
        (&["show", "/nowhere.crt"], 3, "cannot read"),
        (&["renew", "/nowhere.crt"], 3, "cannot read"),
    ] {
        let output = gate.cli(&[&["cert"], args].concat());
        assert_eq!(output.status.code(), Some(code), "{args:?}: {}", said(&output));
        assert!(said(&output).contains(words), "{args:?}: {}", said(&output));
    }
}

#[test]
fn a_foreign_certificate_is_shown_but_neither_renewed_nor_revoked() {
    let server = FakeServer::start();
    let gate = Gate::before(&server).start();
    let foreign = at(&gate, "foreign.crt");
    fs::write(&foreign, Authority::root("Elsewhere").client("bob\u{7}\u{202e}", |_| {}).pem()).unwrap();
    let path = text(&foreign);
    let shown = gate.cli_json(&["cert", "show", &path]);
    assert_eq!((&shown["subject"], &shown["issuer"]), (&json!("CN=bob??"), &json!("CN=Elsewhere")));
    for command in ["renew", "revoke"] {
        let output = gate.cli(&["cert", command, &path]);
        assert_eq!(output.status.code(), Some(1), "{command}: {}", said(&output));
    }
    fs::write(&foreign, "no certificate").unwrap();
    assert_eq!(gate.cli(&["cert", "show", &path]).status.code(), Some(1));
    fs::write(&foreign, self_signed("x", |_| {}).pem()).unwrap();
    let plain = gate.cli(&["cert", "show", &path]);
    assert!(String::from_utf8_lossy(&plain.stdout).contains("its key counts"), "{plain:?}");
}

#[test]
fn a_request_is_signed_for_what_the_operator_says() {
    let server = FakeServer::start();
    let gate = Gate::before(&server).start();
    let key = portcullis_tests::pki::key();
    let mut asked = CertificateParams::new(vec!["admin.example".to_owned()]).unwrap();
    asked.distinguished_name.push(rcgen::DnType::CommonName, "root");
    let request = asked.serialize_request(&key).unwrap();
    let csr = at(&gate, "bob.csr");
    fs::write(&csr, request.pem().unwrap()).unwrap();
    let issued = issue(&gate, &["bob", "--csr", &text(&csr), "--san", "bob.example"]);
    assert_eq!(issued["requested"]["names"], json!(["admin.example"]), "shown, not taken");
    assert_eq!(issued["key"], Value::Null);
    let shown = gate.cli_json(&["cert", "show", &text(&at(&gate, "bob.crt"))]);
    assert_eq!((&shown["subject"], &shown["names"]), (&json!("CN=bob"), &json!(["bob.example"])));
    fs::write(at(&gate, "bob.key"), key.serialize_pem()).unwrap();
    until("bob", || (client(&gate, "bob").get("/api/version").status == 200).then_some(()));

    // The last byte of the signature.
    let mut broken = request.der().to_vec();
    *broken.last_mut().unwrap() ^= 1;
    fs::write(&csr, portcullis_tests::pki::pem("CERTIFICATE REQUEST", &broken)).unwrap();
    let out = text(gate.dir.path());
    let refused = gate.cli(&["cert", "issue", "carol", "--csr", &text(&csr), "--out", &out]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(said(&refused).contains("its signature does not hold"), "{}", said(&refused));
    assert!(!at(&gate, "carol.crt").exists());
    let _ = key.sign(b"it is still a key").unwrap();
}

#[test]
fn openssl_takes_the_revocation_list() {
    let server = FakeServer::start();
    let gate = Gate::before(&server).start();
    let issued = issue(&gate, &["alice"]);
    issue(&gate, &["bob"]);
    let list = at(&gate, "ca.crl");
    let openssl = |file: &str| {
        let ca = gate.state().join("ca.crt");
        let mut command = Command::new("openssl");
        command.args(["verify", "-crl_check", "-CAfile"]).arg(ca).arg("-CRLfile").arg(&list).arg(at(&gate, file));
        command.output().ok().map(|output| output.status.success())
    };
    let written = |count: usize| {
        let output = gate.cli(&["cert", "crl", "--out", list.to_str().unwrap()]);
        assert!(output.status.success(), "{}", said(&output));
        assert!(String::from_utf8_lossy(&output.stdout).contains(&format!("{count} serial")));
        assert_eq!(fs::metadata(&list).unwrap().mode() & 0o777, 0o644);
    };
    written(0);
    let Some(fine) = openssl("alice.crt") else {
        eprintln!("skipped: openssl not found");
        return;
    };
    assert!(fine);
    gate.cli_json(&["cert", "revoke", issued["serial"].as_str().unwrap()]);
    written(1);
    assert_eq!((openssl("alice.crt"), openssl("bob.crt")), (Some(false), Some(true)));
    let printed = gate.cli(&["cert", "crl"]);
    assert!(String::from_utf8_lossy(&printed.stdout).starts_with("-----BEGIN X509 CRL-----"));
}

#[test]
fn the_gate_s_own_is_renewed_by_hand_and_taken_up() {
    let server = FakeServer::start();
    let gate = Gate::before(&server).start();
    let (first, _) = gate.nobody().get_and_leaf("/");
    let key = fs::read(gate.state().join("server.key")).unwrap();
    let renewed = gate.cli_json(&["cert", "renew"]);
    until("the new one", || (gate.nobody().get_and_leaf("/").0 != first).then_some(()));
    assert_eq!(fs::read(gate.state().join("server.key")).unwrap(), key, "the key stays");
    let shown = gate.cli_json(&["cert", "show", &text(&gate.state().join("server.crt"))]);
    assert_eq!(shown["serial"], renewed["serial"]);
    assert_eq!(shown["uses"], json!(["serverAuth"]));
    let listed = gate.cli_json(&["cert", "list"]);
    assert_eq!((&listed[0]["usage"], &listed[0]["state"]), (&json!("server"), &json!("valid")));
    // Somebody else's pair is not made to look whole.
    fs::rename(gate.state().join("server.key"), at(&gate, "aside")).unwrap();
    assert_eq!(gate.cli(&["cert", "renew"]).status.code(), Some(3));
}
