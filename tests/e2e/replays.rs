//! A signature is good once, whatever happens to the gate, its disk and its clock.

use std::path::Path;
use std::process::Command;

use portcullis_tests::{Answer, Client, FakeServer, Gate, Message, Signer, until};
use serde_json::json;

fn chat() -> Message {
    Message::post("/api/chat", &json!({"model": "tiny", "messages": [], "stream": false}))
}

fn told(answer: &Answer) -> (u16, String) {
    (answer.status, answer.code())
}

#[track_caller]
fn refused(signer: &Signer, message: &Message, status: u16, code: &str) {
    let answer = signer.send(message);
    assert_eq!(told(&answer), (status, code.to_owned()), "{}", answer.text());
}

#[test]
fn a_gate_that_is_killed_forgets_no_signature() {
    let server = FakeServer::start();
    let gate = Gate::before(&server).start();
    let alice = gate.approved_client("alice");
    let signer = Signer::of(&alice);
    let (signed, answer) = signer.call(chat());
    assert_eq!(answer.status, 200, "{}", answer.text());
    let llmesh = chat().sign_llmesh(&signer.key, true);
    assert_eq!(signer.send(&llmesh).status, 200);
    refused(&signer, &signed, 409, "signature.replayed");
    // Killed in the middle of it: what was answered for is known when the gate comes back.
    let (mut accepted, cut_off) = std::thread::scope(|scope| {
        let many: Vec<_> = (0..2).map(|_| scope.spawn(|| until_killed(&alice, &signer))).collect();
        until("some load", || (gate.metric("portcullis_replay_nonces") >= 20.0).then_some(()));
        gate.signal(rustix::process::Signal::KILL);
        let done: Vec<_> = many.into_iter().map(|thread| thread.join().unwrap()).collect();
        (done.iter().flat_map(|(accepted, _)| accepted.clone()).collect::<Vec<_>>(), done.len())
    });
    gate.restart(|| {});
    eprintln!("{} accepted before the gate was killed, {cut_off} cut off", accepted.len());
    accepted.extend([signed, llmesh]);
    for message in &accepted {
        refused(&signer, message, 409, "signature.replayed");
    }
    assert_eq!(gate.metric("portcullis_replays_total"), accepted.len() as f64);
    assert_eq!(signer.call(chat()).1.status, 200, "and it goes on");
}

/// Sends signed messages, one after the other, until the gate is gone. Returns what it accepted, and what
/// it did not answer any more.
fn until_killed(client: &Client, signer: &Signer) -> (Vec<Message>, Message) {
    let mut accepted = vec![];
    let mut message = chat().sign(&signer.key);
    let mut stream = client.begin(&message.bytes());
    while let Some(answered) = stream {
        assert_eq!(answered.status, 200);
        accepted.push(message);
        message = chat().sign(&signer.key);
        stream = answered.again(&message.bytes());
    }
    (accepted, message)
}

#[test]
fn a_lost_journal_refuses_for_one_window() {
    let server = FakeServer::start();
    let gate = Gate::before(&server).filter("signature: {window: 3s}").start();
    let alice = gate.approved_client("alice");
    let signer = Signer::of(&alice);
    let (signed, answer) = signer.call(chat());
    assert_eq!(answer.status, 200, "a node that was just made has no past: {}", answer.text());
    gate.restart(|| std::fs::remove_dir_all(gate.state().join("replay")).unwrap());
    let answer = signer.send(&signed);
    assert!([403, 503].contains(&answer.status), "{}", answer.text());
    let (_, answer) = signer.call(chat());
    assert_eq!(told(&answer), (503, "store.unavailable".to_owned()), "{}", answer.text());
    let wait: u64 = answer.header("retry-after").expect("a time to come back").parse().unwrap();
    assert!((1..=4).contains(&wait), "{wait}");
    assert_eq!(alice.get("/api/version").status, 200, "what is not signed is not concerned");
    until("the window to be over", || (signer.call(chat()).1.status == 200).then_some(()));
    assert!(gate.log().contains("replay journal"), "the operator is told");
}

#[test]
fn a_step_of_the_clock_is_told_and_lets_no_signature_in_again() {
    const HOUR: i64 = 3_600;
    let server = FakeServer::start();
    let folder = tempfile::tempdir().unwrap();
    let offset = folder.path().join("offset");
    std::fs::write(&offset, "0").unwrap();
    let gate = Gate::before(&server).env("PORTCULLIS_TEST_CLOCK", offset.to_str().unwrap()).start();
    let alice = gate.approved_client("alice");
    let signer = Signer::of(&alice);
    let steps = |direction: &str| gate.metric(&format!("portcullis_clock_steps_total{{direction=\"{direction}\"}}"));
    assert_eq!((steps("forward"), steps("backward")), (0.0, 0.0));
    assert!(gate.metrics().contains_key(r#"portcullis_clock_steps_total{direction="forward"}"#), "it starts at 0");
    let (before, answer) = signer.call(chat());
    assert_eq!(answer.status, 200, "{}", answer.text());

    std::fs::write(&offset, (HOUR * 1000).to_string()).unwrap();
    until("the step to be seen", || (steps("forward") == 1.0).then_some(()));
    // What the store forgot by the new time is no replay any more; stale it is.
    until("the store to forget", || (gate.metric("portcullis_replay_nonces") == 0.0).then_some(()));
    refused(&signer, &before, 403, "signature.stale");
    let ahead = Message { created: chat().created + HOUR, ..chat() };
    let (ahead, answer) = signer.call(ahead);
    assert_eq!(answer.status, 200, "the new time counts: {}", answer.text());

    std::fs::write(&offset, "0").unwrap();
    until("the step back to be seen", || (steps("backward") == 1.0).then_some(()));
    refused(&signer, &before, 403, "signature.stale");
    refused(&signer, &ahead, 403, "signature.stale");
    let log = gate.log();
    assert!(log.contains(r#""step_ms":3"#) && log.contains(r#""step_ms":-3"#), "the operator is told: {log}");
    gate.restart(|| {});
    refused(&signer, &before, 403, "signature.stale");
    until("a younger signature to be let in", || (signer.call(chat()).1.status == 200).then_some(()));
    std::fs::write(&offset, (HOUR * 1000).to_string()).unwrap();
    until("the time to come that it was made for", || (signer.send(&ahead).code() != "signature.stale").then_some(()));
    refused(&signer, &ahead, 409, "signature.replayed");
}

#[test]
fn a_full_disk_refuses_signatures_until_there_is_room() {
    let server = FakeServer::start();
    let gate = Gate::before(&server).filter("signature: {window: 2s}").start();
    let alice = gate.approved_client("alice");
    let signer = Signer::of(&alice);
    let folder = gate.state().join("replay");
    let mut mounted = None;
    gate.restart(|| mounted = Mounted::on(&folder));
    let Some(_mounted) = mounted else {
        eprintln!("skipped: a small file system cannot be mounted here (this needs root)");
        return;
    };
    until("the window to be over", || (signer.call(chat()).1.status == 200).then_some(()));
    let filler = folder.join("filler");
    let mut room = vec![0u8; 64 * 1024];
    while std::fs::write(&filler, &room).is_err() {
        room.truncate(room.len() - 512);
    }
    let mut accepted = vec![];
    let answer = until("the disk to be full", || {
        let (signed, answer) = signer.call(chat());
        let full = answer.status != 200;
        accepted.push(signed);
        full.then_some(answer)
    });
    assert_eq!(told(&answer), (503, "store.unavailable".to_owned()), "{}", answer.text());
    assert_eq!(gate.ask_admin("GET", "/readyz", None).0, 503);
    assert_eq!(alice.get("/api/version").status, 200, "what is not signed is not concerned");
    std::fs::remove_file(&filler).unwrap();
    until("the gate to open again", || (signer.call(chat()).1.status == 200).then_some(()));
    let last = signer.call(chat()).0;
    gate.restart(|| {});
    assert_ne!(signer.send(&last).status, 200);
}

/// A file system of 64 KiB.
struct Mounted(std::path::PathBuf);

impl Mounted {
    fn on(folder: &Path) -> Option<Self> {
        let mount =
            Command::new("mount").args(["-t", "tmpfs", "-o", "size=64k,mode=700", "tmpfs"]).arg(folder).output();
        mount.is_ok_and(|o| o.status.success()).then(|| Self(folder.to_owned()))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}
