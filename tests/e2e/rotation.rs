//! Certificates that change while the gate runs: renewed, rotated by an agent, taken back.

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use portcullis_tests::pki::{Authority, Shown, hosts, pem, uses};
use portcullis_tests::{Client, FakeServer, Gate, Script, until, within_a_second};
use rcgen::ExtendedKeyUsagePurpose as Eku;
use rustix::process::Signal;
use serde_json::json;

const VERSION: &[u8] = b"GET /api/version HTTP/1.1\r\nHost: localhost\r\n\r\n";
const SERVER_END: &str = r#"portcullis_certificate_expiry_timestamp_seconds{name="server"}"#;

/// 200 requests a second, half of them on connections that stay open, half on new ones, while the
/// certificate is renewed twice.
#[test]
fn renewal_under_load_fails_no_request() {
    let server = FakeServer::start();
    let gate = Gate::before(&server).gate("certificate_lifetime: 9s").start();
    let alice = Arc::new(gate.approved_client("alice"));
    let (failed, sent) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let serials = Arc::new(Mutex::new(HashSet::new()));
    let enough = Arc::new(AtomicBool::new(false));
    let began = Instant::now();
    let workers: Vec<_> = (0..8u32)
        .map(|worker| {
            let (alice, failed, sent) = (Arc::clone(&alice), Arc::clone(&failed), Arc::clone(&sent));
            let (serials, enough) = (Arc::clone(&serials), Arc::clone(&enough));
            std::thread::spawn(move || {
                let mut kept = None;
                for tick in 0.. {
                    if enough.load(Ordering::Relaxed) {
                        return;
                    }
                    // 26 a second each; a worker that is late catches up.
                    let at = began + Duration::from_millis(38) * tick + Duration::from_millis(5) * worker;
                    std::thread::sleep(at.saturating_duration_since(Instant::now()));
                    let ok = if worker % 2 == 0 {
                        let next = match kept.take() {
                            None => alice.begin(VERSION),
                            Some(open) => portcullis_tests::Stream::again(open, VERSION),
                        };
                        let ok = next.as_ref().is_some_and(|answer| answer.status == 200);
                        kept = next;
                        ok
                    } else {
                        let (leaf, answer) = alice.get_and_leaf("/api/version");
                        serials.lock().unwrap().insert(leaf);
                        answer.status == 200
                    };
                    sent.fetch_add(1, Ordering::Relaxed);
                    failed.fetch_add(usize::from(!ok), Ordering::Relaxed);
                }
            })
        })
        .collect();
    let outcome = std::panic::catch_unwind(|| {
        until("two renewals and 2,000 requests", || {
            let renewed = serials.lock().unwrap().len() >= 3;
            (renewed && sent.load(Ordering::Relaxed) >= 2_000).then_some(())
        });
    });
    enough.store(true, Ordering::Relaxed);
    for worker in workers {
        worker.join().unwrap();
    }
    let (sent, failed, took) = (sent.load(Ordering::Relaxed), failed.load(Ordering::Relaxed), began.elapsed());
    let serials = serials.lock().unwrap().len();
    eprintln!("{sent} requests in {took:?}, {failed} failed, {serials} certificates were seen");
    assert!(outcome.is_ok());
    assert_eq!(failed, 0, "of {sent}");
    let names = gate.cli_json(&["cert", "show", gate.state().join("server.crt").to_str().unwrap()])["names"].clone();
    assert!(names.as_array().unwrap().contains(&json!("localhost")), "{names}");
    assert!(gate.cli_json(&["cert", "list"]).as_array().unwrap().len() >= 3);
}

#[test]
fn a_renewal_that_fails_leaves_the_old_one_and_is_tried_again() {
    let server = FakeServer::start();
    let gate = Gate::before(&server).gate("certificate_lifetime: 1h").start();
    let nobody = gate.nobody();
    let (first, _) = nobody.get_and_leaf("/api/version");
    let (ca_key, aside) = (gate.state().join("ca.key"), gate.state().join("aside"));
    fs::rename(&ca_key, &aside).unwrap();
    // Its life is shortened, so that it is due at once.
    let config = fs::read_to_string(gate.config()).unwrap();
    fs::write(gate.config(), config.replace("certificate_lifetime: 1h", "certificate_lifetime: 30s")).unwrap();
    gate.signal(Signal::HUP);
    until("the failure", || gate.log().contains("cannot be renewed").then_some(()));
    let (still, answer) = nobody.get_and_leaf("/api/version");
    assert_eq!((&still, answer.status), (&first, 401), "the old one stays in force");
    fs::rename(&aside, &ca_key).unwrap();
    until("the renewal", || (nobody.get_and_leaf("/api/version").0 != first).then_some(()));
    assert!(gate.log().contains("was renewed"));
}

#[test]
fn a_pair_that_an_agent_rotates_is_picked_up_and_a_broken_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let (crt, key) = (folder.path().join("tls.crt"), folder.path().join("tls.key"));
    let root = Authority::root("Agent");
    let put = |shown: &Shown| {
        write(&key, &shown.key);
        write(&crt, &shown.pem());
    };
    let (first, second, third) = (host(&root, 1), host(&root, 2), host(&root, 3));
    put(&first);
    let server = FakeServer::start();
    let gate =
        Gate::before(&server).gate(&format!("certificate: '{}'\n  key: '{}'", crt.display(), key.display())).start();
    let client = Client::new(gate.address, &pem("CERTIFICATE", &root.der), None, "");
    let open = client.begin(VERSION).unwrap();
    assert_eq!(client.get_and_leaf("/").0, first.chain[0]);
    let end = gate.metric(SERVER_END);

    put(&second);
    until("the second", || (client.get_and_leaf("/").0 == second.chain[0]).then_some(()));
    until("its end", || (gate.metric(SERVER_END) > end).then_some(()));
    assert_eq!(open.again(VERSION).unwrap().status, 401, "an open connection lives on");

    // The certificate of one, the key of another.
    write(&crt, &third.pem());
    until("the mismatch", || gate.log().contains("the last good one stays in force").then_some(()));
    assert_eq!(client.get_and_leaf("/").0, second.chain[0]);
    write(&crt, "-----BEGIN CERTIFICATE-----\nnot one\n");
    write(&crt, "");
    fs::remove_file(&crt).unwrap();
    until("its absence", || gate.log().contains("tls.crt`: No such file").then_some(()));
    assert_eq!(client.get_and_leaf("/").0, second.chain[0]);
    let said = gate.log().matches("stays in force").count();
    assert!(said < 10, "said once for each, not with every look: {said}");
    put(&third);
    until("the third", || (client.get_and_leaf("/").0 == third.chain[0]).then_some(()));
    let renew = gate.cli(&["cert", "renew"]);
    assert_eq!(renew.status.code(), Some(1), "it is not the gate's to renew");
}

#[test]
fn bundles_that_are_rotated_count_on_open_connections_too() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (Authority::root("Old"), Authority::root("New"));
    let bundle = old.save(folder.path(), "bundle.pem");
    let server = FakeServer::start();
    let gate = Gate::before(&server)
        .gate(&format!("client_ca: ['{}']", bundle.display()))
        .filter("identity: {trust: ca}")
        .start();
    let showing = |shown: &Shown| Client::showing(gate.address, &gate.ca(), shown, &[]);
    let (a, b) = (showing(&old.client("a", |_| {})), showing(&new.client("b", |_| {})));
    let open = a.begin(VERSION).unwrap();
    assert_eq!((open.status, b.get("/api/version").status), (200, 401));

    write(&bundle, "no bundle\n");
    until("the broken one", || gate.log().contains("the last good one stays in force").then_some(()));
    assert_eq!((a.get("/api/version").status, b.get("/api/version").status), (200, 401));
    gate.signal(Signal::HUP);
    let refused = r#"portcullis_config_reloads_total{result="failure"}"#;
    until("a reload that is refused", || (gate.metric(refused) == 1.0).then_some(()));

    new.save(folder.path(), "bundle.pem");
    until("the new one", || (b.get("/api/version").status == 200).then_some(()));
    let answer = open.again(VERSION).unwrap();
    assert_eq!(answer.status, 401, "the open connection is judged by the new one");
    assert!(answer.finish().text().contains("not issued by an authority"));
    let end = gate.metric(r#"portcullis_certificate_expiry_timestamp_seconds{name="client_ca"}"#);
    assert!(end > 0.0);
}

#[test]
fn a_foreign_revocation_list_bites_on_open_connections() {
    let folder = tempfile::tempdir().unwrap();
    let root = Authority::root("Root");
    let bundle = root.save(folder.path(), "bundle.pem");
    let list = folder.path().join("list.crl");
    write(&list, &root.crl(&[]));
    let server = FakeServer::start();
    let gate = Gate::before(&server)
        .gate(&format!("client_ca: ['{}']", bundle.display()))
        .filter(&format!("identity: {{trust: ca, crl: ['{}']}}", list.display()))
        .start();
    let shown = root.client("a", |_| {});
    let client = Client::showing(gate.address, &gate.ca(), &shown, &[]);
    let open = client.begin(VERSION).unwrap();
    assert_eq!(open.status, 200);
    write(&list, "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n");
    until("the broken one", || gate.log().contains("the last good one stays in force").then_some(()));
    assert_eq!(client.get("/api/version").status, 200);
    write(&list, &root.crl(&[&shown]));
    until("the list", || (client.get("/api/version").code() == "identity.revoked").then_some(()));
    assert_eq!(open.again(VERSION).unwrap().status, 403);

    // A list that ends with nothing after it: who is revoked cannot be told any more.
    write(&list, &root.crl_for(&[], Duration::from_secs(4)));
    until("the brief list", || (client.get("/api/version").status == 200).then_some(()));
    let mut open = client.begin(VERSION);
    let told = until("its end", || {
        let next = open.take().unwrap().again(VERSION).unwrap();
        if next.status == 200 {
            open = Some(next);
            return None;
        }
        Some(next.finish())
    });
    assert_eq!((told.status, told.code().as_str()), (401, "identity.invalid"));
    assert!(told.text().contains("cannot be told"), "{}", told.text());
    write(&list, &root.crl(&[]));
    until("a newer one", || (client.get("/api/version").status == 200).then_some(()));
}

#[test]
fn a_reload_may_name_other_authorities() {
    let folder = tempfile::tempdir().unwrap();
    let root = Authority::root("Root");
    let bundle = root.save(folder.path(), "bundle.pem");
    let server = FakeServer::start();
    let gate = Gate::before(&server).filter("identity: {trust: ca}").start();
    let client = Client::showing(gate.address, &gate.ca(), &root.client("a", |_| {}), &[]);
    let open = client.begin(VERSION).unwrap();
    assert_eq!(open.status, 401);
    let config = fs::read_to_string(gate.config()).unwrap();
    let named = config.replace("threads: 2", &format!("threads: 2\n  client_ca: ['{}']", bundle.display()));
    fs::write(gate.config(), named).unwrap();
    let (status, text) = gate.ask_admin("POST", "/api/v1/reload", Some(&gate.token()));
    assert_eq!(status, 200, "{text}");
    assert_eq!(open.again(VERSION).unwrap().status, 200);
}

/// A revocation ends what is open: the next request of an HTTP/2 connection, and a running stream, in
/// its dialect, within a second.
#[test]
fn a_revoked_certificate_ends_what_is_open() {
    let server = FakeServer::start();
    let gate = Gate::before(&server).start();
    let issued = gate.cli_json(&["cert", "issue", "alice", "--out", gate.dir.path().to_str().unwrap()]);
    assert_eq!(issued["approved"], true);
    let read = |name: &str| fs::read_to_string(gate.dir.path().join(name)).unwrap();
    let identity = (read("alice.crt"), read("alice.key"));
    let alice = Client::new(gate.address, &gate.ca(), Some((&identity.0, &identity.1)), "");
    until("the issue to be known", || (alice.get("/api/version").status == 200).then_some(()));
    let mut open = portcullis_tests::H2Client::of(&alice).open();
    assert_eq!(open.get("/api/version").status, 200);
    let frame = b"{\"message\":{\"content\":\"word \"},\"done\":false}\n".to_vec();
    let (sender, script) = Script::paced("application/x-ndjson");
    server.next(script);
    sender.send(frame.clone()).unwrap();
    let mut stream = alice.post_streamed("/api/chat", &json!({"model": "tiny", "messages": []}));
    assert_eq!(stream.piece().unwrap().unwrap(), frame);

    let serial = issued["serial"].as_str().unwrap();
    assert!(gate.cli(&["cert", "revoke", serial]).status.success());
    let began = Instant::now();
    let answer = stream.finish();
    let took = began.elapsed();
    within_a_second("a revoked certificate ends a stream", took);
    assert!(answer.text().contains("identity.revoked"), "in its dialect: {}", answer.text());
    let refused = open.get("/api/version");
    assert_eq!((refused.status, refused.code().as_str()), (403, "identity.revoked"), "on the open connection");
    eprintln!("the stream ended {took:?} after the command");
    assert_eq!(alice.get("/api/version").code(), "identity.revoked");
    drop(sender);
    assert_eq!(gate.cli(&["cert", "revoke", serial]).status.code(), Some(1), "not twice");
    assert_eq!(gate.cli_json(&["cert", "list"])[0]["state"], "revoked");
    let again = gate.cli(&["cert", "renew", gate.dir.path().join("alice.crt").to_str().unwrap()]);
    assert_eq!(again.status.code(), Some(1), "what was revoked is not renewed");
}

/// A connection outlives the certificate that it was opened with; a request on it does not.
#[test]
fn a_certificate_that_ends_ends_what_is_open() {
    let server = FakeServer::start();
    let gate = Gate::before(&server).start();
    let issued = gate.cli_json(&["cert", "issue", "brief", "--ttl", "6s", "--out", gate.dir.path().to_str().unwrap()]);
    let read = |name: &str| fs::read_to_string(gate.dir.path().join(name)).unwrap();
    let identity = (read("brief.crt"), read("brief.key"));
    let client = Client::new(gate.address, &gate.ca(), Some((&identity.0, &identity.1)), "");
    until("the issue to be known", || (client.get("/api/version").status == 200).then_some(()));
    let mut open = client.begin(VERSION);
    let code = until("its end", || {
        let next = open.take().unwrap().again(VERSION).unwrap();
        if next.status == 200 {
            open = Some(next);
            return None;
        }
        Some(next.finish().code())
    });
    assert_eq!(code, "identity.invalid");
    assert!(client.get("/api/version").text().contains("expired"), "{issued}");
}

/// A server's certificate, which ends in so many days.
fn host(root: &Authority, days: i64) -> Shown {
    root.client("localhost", |params| {
        portcullis_tests::pki::days(-1, days)(params);
        uses(&[Eku::ServerAuth])(params);
        hosts(&["localhost"])(params);
    })
}

/// Writes a file as agents do: beside its place, then renamed into it.
fn write(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    let beside = path.with_extension("new");
    fs::write(&beside, text).unwrap();
    fs::set_permissions(&beside, fs::Permissions::from_mode(0o600)).unwrap();
    fs::rename(beside, path).unwrap();
}

/// As Kubernetes does it: the files are links through a folder that is swapped as a whole.
#[test]
fn a_folder_that_is_swapped_is_picked_up() {
    use std::os::unix::fs::symlink;
    let folder = tempfile::tempdir().unwrap();
    let root = Authority::root("Cluster");
    let shown = [host(&root, 1), host(&root, 2)];
    for (version, shown) in ["one", "two"].into_iter().zip(&shown) {
        let at = folder.path().join(version);
        fs::create_dir(&at).unwrap();
        write(&at.join("tls.crt"), &shown.pem());
        write(&at.join("tls.key"), &shown.key);
    }
    symlink("one", folder.path().join("data")).unwrap();
    let [crt, key] = ["tls.crt", "tls.key"].map(|name| {
        let link = folder.path().join(name);
        symlink(format!("data/{name}"), &link).unwrap();
        link.display().to_string()
    });
    let server = FakeServer::start();
    let gate = Gate::before(&server).gate(&format!("certificate: '{crt}'\n  key: '{key}'")).start();
    let client = Client::new(gate.address, &pem("CERTIFICATE", &root.der), None, "");
    assert_eq!(client.get_and_leaf("/").0, shown[0].chain[0]);
    symlink("two", folder.path().join("data.new")).unwrap();
    fs::rename(folder.path().join("data.new"), folder.path().join("data")).unwrap();
    until("the second", || (client.get_and_leaf("/").0 == shown[1].chain[0]).then_some(()));
}
