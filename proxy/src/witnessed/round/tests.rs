use std::sync::Arc;

use bytes::Bytes;
use portcullis_audit::submission::write_size;
use portcullis_audit::{Submission, cosign};
use portcullis_certs::NodeKey;
use portcullis_filters::audit::{AuditSink as _, Entry};

use super::*;
use crate::audit_log::{AuditKey, AuditLog};
use crate::config::{AuditSettings, Fsync};

/// A log of so many entries, signed when it was closed.
struct Home {
    dir: tempfile::TempDir,
    node: Arc<NodeKey>,
    own: VerifierKey,
    witness: NodeKey,
}

impl Home {
    fn new(entries: u64) -> Self {
        let (dir, node) = (tempfile::tempdir().unwrap(), Arc::new(NodeKey::from_seed(&[1; 32])));
        let own = checkpoints::verifier_key(&node.public()).unwrap();
        let home = Self { dir, node, own, witness: NodeKey::from_seed(&[2; 32]) };
        home.more(entries);
        home
    }

    fn log(&self) -> std::path::PathBuf {
        self.dir.path().join("audit")
    }

    fn open(&self) -> AuditLog {
        let settings = AuditSettings { fsync: Fsync::Off, compress: false, ..AuditSettings::default() };
        let key = AuditKey::load_or_create(self.dir.path()).unwrap();
        AuditLog::open(&self.log(), &key, Arc::clone(&self.node), settings).unwrap().0
    }

    fn more(&self, entries: u64) {
        let log = self.open();
        for _ in 0..entries {
            log.hand_over(Entry { event_type: "request", ..Entry::default() }.draft()).wait().unwrap();
        }
        log.close();
    }

    fn round(&self, known: Option<u64>) -> Round {
        Round::begin(&self.log(), &self.own, &self.witness.public(), known).unwrap()
    }

    fn cosigned(&self, round: &Round, key: &NodeKey) -> Reply {
        let name = checkpoints::witness_name(&key.public().node_id());
        let line = cosign(&round.submission().checkpoint.text, &name, key.secret().signing_key(), 77).unwrap();
        Reply { body: Bytes::from(line.to_string()), ..reply(200, None, "") }
    }
}

fn reply(status: u16, code: Option<&str>, body: &str) -> Reply {
    let media = if status == 409 { SIZE_TYPE } else { "application/json" };
    Reply { status, media: media.to_owned(), code: code.map(str::to_owned), body: Bytes::from(body.to_owned()) }
}

fn failed(round: &Round, reply: &Reply) -> Failure {
    match round.read(reply) {
        Err(failure) => failure,
        Ok(_) => panic!("it was taken"),
    }
}

#[test]
fn submits_the_newest_checkpoint_with_the_proof_from_what_is_known() {
    let home = Home::new(10);
    let first = home.round(None);
    assert_eq!((first.old, first.size, first.proof.len()), (0, 10, 0));
    home.more(30);
    let next = home.round(Some(10));
    let submission = Submission::parse(next.submission().to_string().as_bytes()).unwrap();
    let tree = TreeFile::read(&home.log()).unwrap();
    let root = |size| portcullis_audit::tree::root(&tree, size).unwrap();
    let shown = submission.checkpoint().unwrap();
    assert_eq!((submission.old, shown.size, shown.root), (10, 40, root(40)));
    portcullis_audit::tree::verify_consistency(10, &root(10), 40, &root(40), &submission.proof).unwrap();
}

#[test]
fn takes_the_witness_s_own_cosignature_alone_and_puts_it_where_it_belongs() {
    let home = Home::new(10);
    let round = home.round(None);
    let stranger = NodeKey::from_seed(&[3; 32]);
    assert!(matches!(failed(&round, &home.cosigned(&round, &stranger)), Failure::Trouble(_)));
    let mut both = home.cosigned(&round, &stranger).body.to_vec();
    both.extend_from_slice(&home.cosigned(&round, &home.witness).body);
    let Ok(Next::Cosigned(cosigned)) = round.read(&Reply { body: both.into(), ..reply(200, None, "") }) else {
        panic!("it was not taken")
    };
    assert_eq!((cosigned.size, cosigned.time, cosigned.note.signatures.len()), (10, 77, 2));
    // Of another text.
    home.more(1);
    let later = home.round(None);
    assert!(matches!(failed(&later, &home.cosigned(&round, &home.witness)), Failure::Trouble(_)));
    // Beside the checkpoint, once, and not to one that took its place.
    let log = home.open();
    let signed = |home: &Home| checkpoints::newest(&home.log(), &home.own).unwrap().unwrap().note;
    assert!(!log.cosigned(&cosigned.note.text, &cosigned.signature).unwrap(), "the next one lies there");
    assert_eq!(signed(&home).signatures.len(), 1);
    let Ok(Next::Cosigned(cosigned)) = later.read(&home.cosigned(&later, &home.witness)) else { panic!() };
    for _ in 0..2 {
        assert!(log.cosigned(&cosigned.note.text, &cosigned.signature).unwrap());
        assert_eq!(signed(&home), cosigned.note);
    }
}

#[test]
fn tells_a_witness_that_saw_another_log_from_one_that_is_in_trouble() {
    let home = Home::new(10);
    let (fresh, known, same) = (home.round(None), home.round(Some(4)), home.round(Some(10)));
    for (round, reply) in [
        (&fresh, reply(409, Some("witness.conflict"), &write_size(11))),
        (&fresh, reply(409, Some("witness.conflict"), &write_size(10))),
        (&fresh, reply(409, None, &write_size(11))),
        (&same, reply(409, Some("witness.conflict"), &write_size(10))),
        (&same, reply(409, None, &write_size(10))),
        (&known, reply(422, Some("witness.inconsistent"), "")),
        (&known, reply(422, None, "")),
    ] {
        assert!(matches!(failed(round, &reply), Failure::Conflict(_)), "{reply:?}");
    }
    for (round, reply) in [
        (&fresh, reply(409, Some("signature.replayed"), "")),
        (&same, Reply { media: String::new(), ..reply(409, None, "") }),
        (&same, reply(409, Some("witness.conflict"), "many\n")),
        (&same, reply(409, Some("witness.old_size"), &write_size(10))),
        (&known, reply(422, Some("schema.request"), "")),
        (&fresh, reply(409, Some("witness.old_size"), "many\n")),
        (&known, reply(409, Some("witness.old_size"), &write_size(4))),
        (&fresh, reply(403, Some("identity.pending"), "")),
        (&fresh, reply(403, Some("policy.route_denied"), "")),
        (&fresh, reply(404, Some("witness.unknown_log"), "")),
        (&fresh, reply(500, None, "")),
        (&fresh, reply(200, None, "")),
        (&fresh, reply(200, None, "not a line\n")),
    ] {
        assert!(matches!(failed(round, &reply), Failure::Trouble(_)), "{reply:?}");
    }
}

#[test]
fn follows_what_the_witness_says_it_saw_a_few_times() {
    let home = Home::new(10);
    let mut round = home.round(Some(4));
    for last in [0, 7] {
        let Ok(Next::From(old)) = round.read(&reply(409, Some("witness.old_size"), &write_size(last))) else {
            panic!()
        };
        round = round.anew(&home.log(), old).unwrap();
        assert_eq!((round.old, round.size), (last, 10));
    }
    let failure = failed(&round, &reply(409, Some("witness.old_size"), &write_size(3)));
    assert!(matches!(failure, Failure::Trouble(_)), "it is not followed for ever");
}

#[test]
fn a_witness_that_forgot_is_sent_the_proof_from_there() {
    let home = Home::new(10);
    // An idle gate that was started anew: what is remembered is the newest checkpoint.
    for code in [Some("witness.old_size"), None] {
        for last in [0, 4] {
            let round = home.round(Some(10));
            assert_eq!((round.old, round.size), (10, 10));
            let Ok(Next::From(old)) = round.read(&reply(409, code, &write_size(last))) else { panic!("{last}") };
            let round = round.anew(&home.log(), old).unwrap();
            assert_eq!(round.submission().old, last);
            assert!(matches!(round.read(&home.cosigned(&round, &home.witness)), Ok(Next::Cosigned(_))));
        }
    }
}

#[test]
fn a_log_that_has_not_what_was_countersigned_is_an_alarm_without_any_witness() {
    let home = Home::new(10);
    let tree = TreeFile::read(&home.log()).unwrap();
    let root = |size| portcullis_audit::tree::root(&tree, size).unwrap();
    let compare =
        |size, root| compare(&home.log(), &home.own, &Remembered { name: String::new(), size, root, time: 7 });
    for size in [0, 4, 10] {
        compare(size, root(size)).unwrap();
    }
    for (size, root) in [(11, root(10)), (10, root(9)), (4, [0; 32]), (0, root(1))] {
        assert!(matches!(compare(size, root), Err(Failure::Conflict(_))), "{size}");
    }
    // What cannot be read is no alarm.
    std::fs::remove_file(crate::audit_log::tree_file::path(&home.log())).unwrap();
    assert!(matches!(compare(10, root(10)), Err(Failure::Trouble(_))));
}

#[test]
fn hashes_that_are_damaged_are_told_here_and_not_sent() {
    let home = Home::new(40);
    let path = tree_file::path(&home.log());
    let whole = std::fs::read(&path).unwrap();
    let known = |size| {
        let root = portcullis_audit::tree::root(&TreeFile::read(&home.log()).unwrap(), size).unwrap();
        Remembered { name: String::new(), size, root, time: 7 }
    };
    let (ten, all) = (known(10), known(40));
    let mut damaged = whole.clone();
    damaged.iter_mut().step_by(32).for_each(|byte| *byte ^= 1);
    std::fs::write(&path, damaged).unwrap();
    let said = |failure: Failure| match failure {
        Failure::Trouble(why) => assert!(why.contains("tree` is damaged"), "{why}"),
        Failure::Conflict(what) => panic!("{what}"),
    };
    for known in [None, Some(0), Some(10), Some(40)] {
        let begun = Round::begin(&home.log(), &home.own, &home.witness.public(), known);
        said(begun.err().unwrap());
    }
    for known in [&ten, &all] {
        said(compare(&home.log(), &home.own, known).unwrap_err());
    }
    // Whatever the hashes are: another root of what was signed is another log.
    let forked = Remembered { root: [0; 32], ..all };
    assert!(matches!(compare(&home.log(), &home.own, &forked), Err(Failure::Conflict(_))));
}

#[test]
fn a_planted_checkpoint_stops_no_witness() {
    let home = Home::new(10);
    let stranger = NodeKey::from_seed(&[3; 32]);
    let planted = |number| crate::audit_log::segment::checkpoint(&home.log(), number);
    let origin = checkpoints::origin(&home.node.public().node_id());
    let text = format!("{origin}\n4000000000\n{}\n", data_encoding::BASE64.encode(&[7; 32]));
    let signature = portcullis_audit::note::sign(&text, &origin, stranger.secret().signing_key()).unwrap();
    std::fs::write(planted(7), Note { text, signatures: vec![signature] }.to_string()).unwrap();
    std::fs::write(planted(8), "no note").unwrap();
    std::fs::File::create(planted(9)).unwrap().set_len(1 << 40).unwrap();
    std::fs::create_dir(planted(10)).unwrap();
    let pipe = std::process::Command::new("mkfifo").arg(planted(11)).status().unwrap();
    assert!(pipe.success());
    assert_eq!((home.round(None).size, home.round(Some(4)).size), (10, 10));
    // Where none is genuine, nobody knows what was signed.
    std::fs::remove_file(planted(0)).unwrap();
    assert!(checkpoints::newest(&home.log(), &home.own).is_err());
}

#[test]
fn what_a_witness_countersigned_is_remembered_and_what_is_false_is_not_believed() {
    use super::super::memory::Memory;
    let home = Home::new(10);
    let round = home.round(None);
    let Ok(Next::Cosigned(cosigned)) = round.read(&home.cosigned(&round, &home.witness)) else { panic!() };
    let memory = Memory::open(&home.log(), &home.witness.public().fingerprint()).unwrap();
    assert!(memory.read(&home.own).unwrap().is_none());
    memory.write(&cosigned.note).unwrap();
    let seen = memory.read(&home.own).unwrap().unwrap();
    let name = checkpoints::witness_name(&home.witness.public().node_id());
    assert_eq!((seen.size, seen.time, seen.name, seen.root), (10, 77, name, cosigned.root));
    // Under another witness's fingerprint, of another log, without the cosignature.
    let other = NodeKey::from_seed(&[3; 32]).public();
    let elsewhere = Memory::open(&home.log(), &other.fingerprint()).unwrap();
    elsewhere.write(&cosigned.note).unwrap();
    elsewhere.read(&home.own).unwrap_err();
    memory.read(&checkpoints::verifier_key(&other).unwrap()).unwrap_err();
    memory.write(&round.submission().checkpoint).unwrap();
    memory.read(&home.own).unwrap_err();
}

#[test]
fn only_what_is_on_the_medium_is_sent() {
    let round = Home::new(10).round(None);
    let (told, mut signed) = watch::channel(9);
    let clock = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    clock.block_on(async {
        match round.reaches_the_medium(&mut signed).await {
            Err(Failure::Trouble(why)) => assert!(why.contains("of 10 entries, is not known to be"), "{why}"),
            other => panic!("{other:?}"),
        }
        for size in [10, 11] {
            told.send_replace(9);
            let telling = async {
                tokio::time::sleep(DURABLE / 2).await;
                told.send_replace(size)
            };
            assert_eq!(tokio::join!(round.reaches_the_medium(&mut signed), telling), (Ok(()), 9));
        }
        drop(told);
        assert_eq!(round.reaches_the_medium(&mut signed).await, Ok(()), "it was told before");
    });
}
