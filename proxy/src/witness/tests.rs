use std::collections::HashMap;

use portcullis_audit::tree::{consistency, root};
use portcullis_audit::{Checkpoint, Hash, Tree, VerifierKey, leaf_hash, note, verify_cosignature};
use proptest::prelude::*;

use super::*;

/// A log as its node signs it, and everything that it could be.
struct Log {
    key: NodeKey,
    nodes: Vec<Hash>,
}

impl Log {
    /// Of entries that begin alike up to `same`, and go on in a way of their own.
    fn new(key: &NodeKey, entries: u64, same: u64, way: u8) -> Self {
        let (mut tree, mut stored) = (Tree::default(), Vec::new());
        for number in 0..entries {
            let way = if number < same { 0 } else { way };
            tree.push(leaf_hash(format!("{way} {number}").as_bytes()), &mut stored);
        }
        let nodes = stored.chunks_exact(32).map(|hash| hash.try_into().unwrap()).collect();
        Self { key: NodeKey::from_pem(&key.to_pem().unwrap(), "a key").unwrap(), nodes }
    }

    fn checkpoint(&self, size: u64) -> Checkpoint {
        let origin = checkpoints::origin(&self.key.public().node_id());
        Checkpoint { origin, size, root: root(&self.nodes[..], size).unwrap() }
    }

    fn note(&self, size: u64) -> Note {
        self.signed(&self.checkpoint(size))
    }

    fn signed(&self, checkpoint: &Checkpoint) -> Note {
        let text = checkpoint.to_text();
        let origin = checkpoints::origin(&self.key.public().node_id());
        let signature = note::sign(&text, &origin, self.key.secret().signing_key()).unwrap();
        Note { text, signatures: vec![signature] }
    }

    fn submission(&self, old: u64, size: u64) -> Submission {
        let proof = consistency(&self.nodes[..], old.min(size), size).unwrap();
        Submission { old, proof, checkpoint: self.note(size) }
    }

    fn key(&self) -> VerifierKey {
        checkpoints::verifier_key(&self.key.public()).unwrap()
    }
}

/// A witness in a folder of its own.
struct Home {
    dir: tempfile::TempDir,
    key: NodeKey,
    shelf: Shelf,
}

impl Home {
    fn new() -> Self {
        let (dir, key) = (tempfile::tempdir().unwrap(), NodeKey::from_seed(&[9; 32]));
        let shelf = Shelf::open(&dir.path().join("witness"), &key.public()).unwrap();
        Self { dir, key, shelf }
    }

    fn again(&self) -> Shelf {
        Shelf::open(&self.dir.path().join("witness"), &self.key.public()).unwrap()
    }

    /// The cosignature, or the code and the size that it is refused with.
    fn ask(&self, log: &Log, submission: &Submission) -> Result<String, (Code, Option<u64>)> {
        self.ask_as(&log.key.public(), submission.to_string().as_bytes())
    }

    fn ask_as(&self, caller: &NodePublic, body: &[u8]) -> Result<String, (Code, Option<u64>)> {
        let name = checkpoints::witness_name(&self.key.public().node_id());
        let sign = |text: &str| cosign(text, &name, self.key.secret().signing_key(), 1_000).map_err(|e| e.to_string());
        examine(&self.shelf, caller, body, sign).map_err(|stop| match stop.answer().0 {
            Answer::Refused(refusal, size) => (refusal.code, size),
            Answer::Cosigned(_) => panic!("a stop is no cosignature"),
        })
    }
}

fn key(seed: u8) -> NodeKey {
    NodeKey::from_seed(&[seed; 32])
}

#[test]
fn countersigns_what_continues_and_keeps_it_over_a_restart() {
    let (home, log) = (Home::new(), Log::new(&key(1), 300, 0, 1));
    let mut last = 0;
    for size in [1, 2, 7, 8, 8, 100, 300] {
        let submission = log.submission(last, size);
        let lines = home.ask(&log, &submission).unwrap();
        let mut note = submission.checkpoint.clone();
        note.signatures.extend(portcullis_audit::submission::read_cosignatures(lines.as_bytes()).unwrap());
        let witness = checkpoints::witness_key(&home.key.public()).unwrap();
        assert_eq!(verify_cosignature(&note, &witness).unwrap(), 1_000);
        let kept = home.again().last(&log.key()).unwrap().unwrap();
        assert_eq!((kept.checkpoint, kept.time), (log.checkpoint(size), 1_000));
        assert_eq!(kept.note, note, "what is kept is what was answered");
        last = size;
    }
    assert_eq!(home.again().all().unwrap().len(), 1);
}

#[test]
fn says_no_as_the_protocol_asks_for() {
    let (home, log) = (Home::new(), Log::new(&key(1), 50, 0, 1));
    assert_eq!(home.ask(&log, &log.submission(5, 10)), Err((Code::WitnessOldSize, Some(0))));
    home.ask(&log, &log.submission(0, 20)).unwrap();
    // What it does not know, or was not proven.
    assert_eq!(home.ask(&log, &log.submission(0, 30)), Err((Code::WitnessOldSize, Some(20))));
    let bare = Submission { proof: vec![], ..log.submission(20, 30) };
    assert_eq!(home.ask(&log, &bare), Err((Code::WitnessInconsistent, None)));
    let long = Submission { proof: vec![[0; 32]], ..log.submission(20, 20) };
    assert_eq!(home.ask(&log, &long), Err((Code::WitnessInconsistent, None)));
    // A replayed one, as an entry's removal would look.
    assert_eq!(home.ask(&log, &log.submission(0, 20)), Err((Code::WitnessOldSize, Some(20))));
    assert_eq!(home.ask(&log, &log.submission(0, 10)), Err((Code::WitnessConflict, Some(20))));
    // Another root, whatever old size it names.
    let fork = Log::new(&key(1), 50, 19, 2);
    for old in [20, 0] {
        let submission = Submission { old, ..fork.submission(20, 20) };
        assert_eq!(home.ask(&fork, &submission), Err((Code::WitnessConflict, Some(20))));
    }
    assert_eq!(home.ask(&fork, &fork.submission(20, 40)), Err((Code::WitnessInconsistent, None)));
    // Another's, or nobody's.
    let other = Log::new(&key(2), 50, 0, 1);
    assert_eq!(home.ask(&other, &log.submission(20, 30)), Err((Code::WitnessUnknownLog, None)));
    let forged = Submission { checkpoint: other.signed(&log.checkpoint(30)), ..log.submission(20, 30) };
    assert_eq!(home.ask(&log, &forged), Err((Code::WitnessSignature, None)));
    let text = log.submission(20, 30).to_string();
    for body in ["", "old 1\n", &text[1..], &text[..text.len() - 1], &text.replacen("old 20", "old 020", 1)] {
        assert_eq!(home.ask_as(&log.key.public(), body.as_bytes()), Err((Code::RequestMalformed, None)), "{body:?}");
    }
    let above = text.replacen("old 20", "old 31", 1);
    assert_eq!(home.ask_as(&log.key.public(), above.as_bytes()), Err((Code::RequestMalformed, None)));
    let huge = "x".repeat(portcullis_audit::MAX_SUBMISSION + 1);
    assert_eq!(home.ask_as(&log.key.public(), huge.as_bytes()), Err((Code::RequestMalformed, None)));
    // None of it changed what is known.
    assert_eq!(home.shelf.last(&log.key()).unwrap().unwrap().checkpoint, log.checkpoint(20));
    home.ask(&log, &log.submission(20, 30)).unwrap();
}

#[test]
fn an_empty_log_has_one_root() {
    let (home, log) = (Home::new(), Log::new(&key(1), 9, 0, 1));
    let lie = Checkpoint { root: [7; 32], ..log.checkpoint(0) };
    let submission = Submission { old: 0, proof: vec![], checkpoint: log.signed(&lie) };
    assert_eq!(home.ask(&log, &submission), Err((Code::WitnessConflict, Some(0))));
    home.ask(&log, &log.submission(0, 0)).unwrap();
    home.ask(&log, &log.submission(0, 9)).unwrap();
}

#[test]
fn keeps_so_much_evidence_and_only_what_the_log_signed() {
    let (home, log) = (Home::new(), Log::new(&key(1), 50, 0, 1));
    home.ask(&log, &log.submission(0, 50)).unwrap();
    for size in 1..30 {
        for _ in 0..2 {
            let mut submission = log.submission(0, size);
            let stranger = note::sign(&submission.checkpoint.text, "stranger", key(3).secret().signing_key()).unwrap();
            submission.checkpoint.signatures.push(stranger);
            home.ask(&log, &submission).unwrap_err();
        }
    }
    let kept = home.shelf.evidence(log.key().name());
    assert_eq!(kept.len(), 8);
    for path in kept {
        assert_eq!(checkpoints::read(&path, &log.key()).unwrap().note.signatures.len(), 1);
    }
    assert_eq!(home.shelf.evidence("another/audit").len(), 0);
}

#[test]
fn a_log_that_is_forgotten_begins_anew_and_its_evidence_stays_until_it_is_asked_for() {
    let (home, log, other) = (Home::new(), Log::new(&key(1), 50, 0, 1), Log::new(&key(2), 50, 0, 1));
    home.ask(&log, &log.submission(0, 50)).unwrap();
    home.ask(&other, &other.submission(0, 50)).unwrap();
    let anew = Log::new(&key(1), 50, 0, 2);
    assert_eq!(home.ask(&anew, &anew.submission(0, 9)), Err((Code::WitnessConflict, Some(50))));
    // As another process does it, beside the gate.
    let (beside, origin) = (home.again(), log.key().name().to_owned());
    assert_eq!(beside.forget("nobody/audit", true).unwrap(), Vec::<std::path::PathBuf>::new());
    assert_eq!(beside.forget(&origin, false).unwrap().len(), 1);
    home.ask(&anew, &anew.submission(0, 9)).unwrap();
    assert_eq!(home.shelf.last(&log.key()).unwrap().unwrap().checkpoint, anew.checkpoint(9));
    let contradicted = shelf::evidence::of_state(home.dir.path()).unwrap();
    assert_eq!(contradicted.len(), 1);
    assert_eq!((contradicted[0].name(), contradicted[0].notes.len()), (&*origin, 1));
    assert_eq!(beside.forget(&origin, true).unwrap().len(), 3, "and what the evidence contradicted");
    assert_eq!(shelf::evidence::of_state(home.dir.path()).unwrap(), vec![]);
    // The other log is still known.
    assert_eq!(home.ask(&other, &other.submission(0, 9)), Err((Code::WitnessConflict, Some(50))));
    assert_eq!(shelf::evidence::of_state(&home.dir.path().join("nowhere")).unwrap(), vec![]);
}

#[test]
fn nothing_is_forgotten_while_a_submission_is_judged() {
    let (home, log) = (Home::new(), Log::new(&key(1), 50, 0, 1));
    home.ask(&log, &log.submission(0, 20)).unwrap();
    let (beside, origin) = (home.again(), log.key().name().to_owned());
    let turn = home.shelf.lock().unwrap();
    let forgetting = std::thread::spawn(move || beside.forget(&origin, false).unwrap().len());
    // It cannot come to an end as long as the turn is held, however often it is looked at.
    for _ in 0..1_000 {
        assert!(!forgetting.is_finished());
        assert!(home.shelf.last(&log.key()).unwrap().is_some());
    }
    drop(turn);
    assert_eq!(forgetting.join().unwrap(), 1);
    assert!(home.shelf.last(&log.key()).unwrap().is_none());
}

#[test]
fn what_convicts_is_driven_out_by_nothing() {
    let (home, log, fork) = (Home::new(), Log::new(&key(1), 90, 0, 1), Log::new(&key(1), 90, 9, 2));
    home.ask(&log, &log.submission(0, 20)).unwrap();
    home.ask(&fork, &fork.submission(20, 20)).unwrap_err();
    let before = home.shelf.last(&log.key()).unwrap().unwrap().note;
    // True checkpoints with a wrong proof, and old ones, more of either than are kept.
    for size in 1..20 {
        home.ask(&log, &log.submission(0, size)).unwrap_err();
        home.ask(&log, &Submission { proof: vec![[0; 32]], ..log.submission(20, 20 + size) }).unwrap_err();
    }
    home.ask(&log, &log.submission(20, 90)).unwrap();
    let kept = home.again().evidence(log.key().name());
    assert_eq!(kept.len(), 1 + 8 + 8);
    assert_eq!(checkpoints::read(&kept[0], &log.key()).unwrap().checkpoint, fork.checkpoint(20));
    // With what it contradicts, which is no longer the newest.
    let beside = kept[0].to_str().unwrap().replace("conflict-", "countersigned-");
    assert_eq!(checkpoints::read_note(std::path::Path::new(&beside)).unwrap(), before);
    assert_eq!(home.again().all().unwrap().len(), 1, "what lies beside is no log");
}

#[test]
fn nothing_is_countersigned_where_it_cannot_be_known_what_was() {
    let (home, log) = (Home::new(), Log::new(&key(1), 50, 0, 1));
    home.ask(&log, &log.submission(0, 20)).unwrap();
    let mut files = std::fs::read_dir(home.dir.path().join("witness")).unwrap().map(|file| file.unwrap().path());
    let file = files.find(|path| path.extension().is_some_and(|end| end == "checkpoint")).unwrap();
    let whole = std::fs::read_to_string(&file).unwrap();
    // The log's own note alone, as its operator could have put it there; another's; none.
    let own = whole.lines().take(5).map(|line| format!("{line}\n")).collect::<String>();
    let other = Log::new(&key(2), 50, 0, 1).note(10).to_string();
    for text in [own.as_str(), &other, "", "x"] {
        std::fs::write(&file, text).unwrap();
        assert_eq!(home.ask(&log, &log.submission(20, 30)), Err((Code::Internal("witness"), None)), "{text:?}");
        assert!(home.shelf.all().unwrap()[0].is_err());
    }
    std::fs::write(&file, whole).unwrap();
    home.ask(&log, &log.submission(20, 30)).unwrap();
}

#[test]
fn is_witness_to_so_many_logs_and_no_more() {
    let mut home = Home::new();
    home.shelf = home.again().with_room(2);
    let logs: Vec<_> = (1..=3).map(|seed| Log::new(&key(seed), 9, 0, 1)).collect();
    home.ask(&logs[0], &logs[0].submission(0, 5)).unwrap();
    home.ask(&logs[1], &logs[1].submission(0, 5)).unwrap();
    assert_eq!(home.ask(&logs[2], &logs[2].submission(0, 5)), Err((Code::WitnessFull, None)));
    home.ask(&logs[0], &logs[0].submission(5, 9)).unwrap();
}

#[test]
fn every_result_has_its_label() {
    for objection in [
        Objection::Fork(1),
        Objection::Inconsistent(1),
        Objection::Malformed(String::new()),
        Objection::OldSize { last: 1, said: 0 },
        Objection::Shorter { last: 1, size: 0 },
        Objection::Signature(String::new()),
        Objection::UnknownLog { found: String::new(), own: String::new() },
    ] {
        assert!(RESULTS.contains(&objection.result()));
        assert!(objection.code().as_str().starts_with("witness.") || objection.code() == Code::RequestMalformed);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Several histories of one log that part somewhere, submitted in any order with true and false proofs: whatever
    /// is countersigned lies on one of them.
    #[test]
    fn two_cosignatures_always_continue_each_other(
        parts in 0u64..24,
        asked in prop::collection::vec((0u8..3, 0u64..24, 0u64..24, any::<prop::sample::Index>(), 0u8..4), 1..40),
    ) {
        let home = Home::new();
        let ways: Vec<_> = (0..3).map(|way| Log::new(&key(1), 24, parts, way)).collect();
        let mut cosigned: Vec<(u64, Hash)> = Vec::new();
        let mut roots: HashMap<u64, Hash> = HashMap::new();
        for (way, old, size, at, mischief) in asked {
            let log = &ways[usize::from(way)];
            let mut submission = log.submission(old.min(size), size);
            match mischief {
                // What an honest log would send.
                0 => {
                    let last = home.shelf.last(&log.key()).unwrap().map_or(0, |kept| kept.checkpoint.size);
                    submission = log.submission(last.min(size), size);
                }
                1 if !submission.proof.is_empty() => {
                    let at = at.index(submission.proof.len());
                    submission.proof[at][0] ^= 1;
                }
                2 => submission.proof = ways[usize::from(way + 1) % 3].submission(old.min(size), size).proof,
                _ => {}
            }
            let before = home.shelf.last(&log.key()).unwrap().map(|kept| kept.checkpoint);
            match home.ask(log, &submission) {
                Ok(_) => {
                    let now = log.checkpoint(size);
                    prop_assert!(cosigned.last().is_none_or(|(last, _)| *last <= size));
                    prop_assert_eq!(*roots.entry(size).or_insert(now.root), now.root, "one root for each size");
                    cosigned.push((size, now.root));
                }
                Err(_) => prop_assert_eq!(home.shelf.last(&log.key()).unwrap().map(|kept| kept.checkpoint), before),
            }
        }
        // There is one history that has them all.
        let has_all = |log: &Log| cosigned.iter().all(|(size, root)| log.checkpoint(*size).root == *root);
        prop_assert!(ways.iter().any(has_all), "{cosigned:?}");
    }
}

#[test]
fn what_is_half_written_is_no_evidence_and_goes_with_the_next_start() {
    let (home, log) = (Home::new(), Log::new(&key(1), 50, 0, 1));
    let forked = Log::new(&key(1), 50, 5, 2);
    home.ask(&log, &log.submission(0, 20)).unwrap();
    let dir = home.dir.path().join("witness");
    let print = |name: &str| home.shelf.evidence(name).len();
    let origin = checkpoints::origin(&log.key.public().node_id());
    // As a gate leaves it that is killed in the middle: as many as would take every place.
    let kept = fs_name(&origin);
    for number in 0..8 {
        std::fs::write(dir.join(format!("{kept}.conflict-fork-aa.{number:016x}.new")), "half").unwrap();
    }
    assert_eq!(print(&origin), 0);
    assert!(shelf::evidence::of_state(home.dir.path()).unwrap().is_empty());
    assert!(home.ask(&forked, &forked.submission(0, 20)).is_err());
    assert_eq!(print(&origin), 1, "there is a place for what is whole");
    assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 8 + 4);
    let again = home.again();
    assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 4, "the note, what contradicts it, what that was, the lock");
    // With its evidence nothing of it is left.
    again.forget(&origin, true).unwrap();
    let left: Vec<_> = std::fs::read_dir(&dir).unwrap().map(|file| file.unwrap().file_name()).collect();
    assert_eq!(left, ["lock"]);
}

/// What the names of a log's files begin with.
fn fs_name(origin: &str) -> String {
    use sha2::{Digest as _, Sha256};
    data_encoding::HEXLOWER.encode(&Sha256::digest(origin.as_bytes()))
}

#[test]
fn a_lock_is_no_link_and_no_pipe() {
    let home = Home::new();
    let (lock, none) = (home.dir.path().join("witness/lock"), home.dir.path().join("none"));
    std::os::unix::fs::symlink(&none, &lock).unwrap();
    let said = home.shelf.lock().unwrap_err().to_string();
    assert!(said.contains("lock`") && said.contains("it is a symbolic link"), "{said}");
    assert!(!none.exists(), "nothing is made behind it");
    std::fs::remove_file(&lock).unwrap();
    // Nobody has its other end: who only opens it waits for ever.
    rustix::fs::mknodat(rustix::fs::CWD, &lock, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    let said = home.shelf.lock().unwrap_err().to_string();
    assert!(said.contains("it is no regular file"), "{said}");
    std::fs::remove_file(&lock).unwrap();
    assert!(home.shelf.lock().is_ok());
}

#[test]
fn evidence_that_cannot_be_kept_is_told_and_kept_later() {
    let (home, log) = (Home::new(), Log::new(&key(1), 50, 0, 1));
    home.ask(&log, &log.submission(0, 20)).unwrap();
    let origin = checkpoints::origin(&log.key.public().node_id());
    let (dir, away) = (home.dir.path().join("witness"), home.dir.path().join("away"));
    let forks = (0..20).map(|way| Log::new(&key(1), 50, 5, 2 + way)).collect::<Vec<_>>();
    let countersigned = home.shelf.last(&log.key()).unwrap().unwrap().note;
    let unkept = Arc::clone(home.shelf.unkept());
    std::fs::rename(&dir, &away).unwrap();
    for fork in forks.iter().chain(&forks[..1]) {
        let kept = home.shelf.keep_evidence(Evidence::Fork, &fork.note(20), Some(&countersigned));
        assert!(kept.is_err());
    }
    assert!(unkept.logs().iter().eq([&origin]));
    home.shelf.keep_unkept();
    assert_eq!(unkept.logs().len(), 1, "the disk says no again");
    std::fs::rename(&away, &dir).unwrap();
    // Whoever asks next, of whichever log.
    let other = Log::new(&key(2), 10, 0, 1);
    home.ask(&other, &other.submission(0, 10)).unwrap();
    assert!(unkept.logs().is_empty());
    let kept = home.shelf.evidence(&origin);
    assert_eq!(kept.len(), 8);
    let first = |fork: &Log| kept.iter().any(|path| checkpoints::read_note(path).unwrap() == fork.note(20));
    assert!(forks[..8].iter().all(first), "the first ones");
}
