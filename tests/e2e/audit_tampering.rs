//! What can be done to a log, and who notices it: the table of `docs/audit.md`.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use portcullis_audit::{Chain, Entry, Position, Seal, SealKey};
use portcullis_certs::NodeKey;
use portcullis_tests::{FakeServer, Gate};
use rustix::process::Signal;

mod forger;

use forger::{Forger, Lines, begin_at, read, remove, segments, write};

/// Who looks: with the log's keys, without any, and without any but with a checkpoint that was kept elsewhere.
const LOOKS: [&str; 3] = ["with the keys", "without a key", "with a kept checkpoint"];

/// A log of a gate that has ended, and what somebody kept of it.
struct Log {
    /// A gate is ready while this is there.
    _server: FakeServer,
    gate: Gate,
    /// The folder as it was after half of the requests, and after all.
    half: PathBuf,
    whole: PathBuf,
    /// The newest checkpoint then, kept elsewhere.
    half_kept: PathBuf,
    kept: PathBuf,
    vkey: String,
}

impl Log {
    /// With as many requests twice, in segments of this size.
    fn with(requests: usize, segment: &str) -> Self {
        let server = FakeServer::start();
        let filter = format!("audit: {{segment_bytes: {segment}, compress: false}}");
        let gate = Gate::before(&server).filter(&filter).start();
        let alice = gate.approved_client("alice");
        let kept = |name: &str| {
            (0..requests).for_each(|_| assert_eq!(alice.get("/api/version").status, 200));
            gate.signal(Signal::TERM);
            assert_eq!(gate.wait().code(), Some(0));
            let (folder, file) = (gate.dir.path().join(name), gate.dir.path().join(format!("{name}.checkpoint")));
            copy(&gate.state().join("audit"), &folder);
            let output = gate.cli(&["audit", "checkpoint"]);
            assert!(output.status.success() && output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
            fs::write(&file, output.stdout).unwrap();
            (folder, file)
        };
        let (half, half_kept) = kept("half");
        gate.restart(|| {});
        let (whole, kept) = kept("whole");
        let vkey = String::from_utf8(gate.cli(&["audit", "checkpoint", "--vkey"]).stdout).unwrap().trim().to_owned();
        Self { _server: server, gate, half, whole, half_kept, kept, vkey }
    }

    /// The gate starts once more, signs what it finds, and ends; all that is kept is of that moment.
    fn go_on(&mut self) {
        self.gate.restart(|| {});
        self.gate.signal(Signal::TERM);
        assert_eq!(self.gate.wait().code(), Some(0));
        fs::remove_dir_all(&self.whole).unwrap();
        copy(&self.gate.state().join("audit"), &self.whole);
        fs::write(&self.kept, self.gate.cli(&["audit", "checkpoint"]).stdout).unwrap();
    }

    fn forger(&self, with_node: bool) -> Forger {
        let node = with_node.then(|| NodeKey::load(&self.gate.state().join("node.key")).unwrap());
        Forger { keys: Some(Forger::keys(self.gate.state())), node }
    }

    /// Who notices what this does to a copy of the whole log, and what they say.
    fn notices(&self, kept: &Path, change: impl FnOnce(&Path)) -> ([bool; 3], String) {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("audit");
        copy(&self.whole, &folder);
        change(&folder);
        let open = ["--no-key", "--vkey", &self.vkey];
        let kept = ["--checkpoint", kept.to_str().unwrap()];
        let looks: [Vec<&str>; 3] = [vec![], open.to_vec(), [&open[..], &kept[..]].concat()];
        let mut said = String::new();
        let noticed = looks.map(|more| {
            let args = [&["audit", "verify", folder.to_str().unwrap()][..], &more[..]].concat();
            let output = self.gate.cli(&args);
            let _ = writeln!(said, "  {}", String::from_utf8_lossy(&output.stderr));
            match output.status.code() {
                Some(0) => false,
                Some(1) => true,
                code => panic!("{code:?}: {}", String::from_utf8_lossy(&output.stderr)),
            }
        });
        (noticed, said)
    }
}

#[test]
fn who_notices_what() {
    let long = Log::with(16, "4KiB");
    assert!(segments(&long.whole).len() > segments(&long.half).len() && segments(&long.half).len() > 2);
    let short = Log::with(4, "1MiB");
    assert_eq!(segments(&short.whole).len(), 1);
    let mut told = Log::with(16, "4KiB");
    let told_in = segments(&told.whole).len() - 1;
    told.forger(false).tell(&told.gate.state().join("audit"));
    told.go_on();
    let edit = |folder: &Path, change: fn(&mut Lines)| {
        let mut lines = read(folder);
        change(&mut lines);
        write(folder, &lines);
    };
    let nobody = Forger::default;
    let everything: [&str; 3] = [".checkpoint", "tree", "state.json"];
    let drop_third: fn(&mut Lines) = |lines| drop(lines[1].remove(2));
    type Change<'c> = Box<dyn FnOnce(&Path) + 'c>;
    let table: Vec<(&str, &Log, &Path, [bool; 3], Change<'_>)> = vec![
        ("nothing", &long, &long.kept, [false; 3], Box::new(|_| {})),
        ("a word is changed", &long, &long.kept, [true; 3], Box::new(|dir| edit(dir, change_a_word))),
        ("a line is removed", &long, &long.kept, [true; 3], Box::new(|dir| edit(dir, drop_third))),
        (
            "a line is inserted",
            &long,
            &long.kept,
            [true; 3],
            Box::new(|dir| {
                edit(dir, |l| {
                    let other = l[2][3].clone();
                    l[1].insert(2, other);
                })
            }),
        ),
        (
            "a line is there twice",
            &long,
            &long.kept,
            [true; 3],
            Box::new(|dir| {
                edit(dir, |l| {
                    let same = l[1][2].clone();
                    l[1].insert(2, same);
                })
            }),
        ),
        ("two lines are swapped", &long, &long.kept, [true; 3], Box::new(|dir| edit(dir, |l| l[1].swap(1, 2)))),
        (
            "the newest line is cut off",
            &long,
            &long.kept,
            [true; 3],
            Box::new(|dir| {
                edit(dir, |l| {
                    drop(l.last_mut().unwrap().pop());
                })
            }),
        ),
        ("a segment is removed", &long, &long.kept, [true; 3], Box::new(|dir| edit(dir, |l| drop(l.remove(1))))),
        (
            "a line is removed, and numbers, links and tree are made to fit",
            &long,
            &long.kept,
            [true; 3],
            Box::new(|dir| nobody().rewrite(dir, drop_third)),
        ),
        (
            "the same, and all checkpoints and the state are deleted",
            &long,
            &long.kept,
            [true; 3],
            Box::new(|dir| {
                nobody().rewrite(dir, drop_third);
                remove(dir, &everything);
            }),
        ),
        (
            "a word is changed in a log of one segment, and tree, state and checkpoint are deleted",
            &short,
            &short.kept,
            [true, false, true],
            Box::new(|dir| {
                edit(dir, change_a_word);
                remove(dir, &everything);
            }),
        ),
        (
            "the newest segments are cut off with their checkpoints, their part of the tree, and the state",
            &long,
            &long.kept,
            [true, false, true],
            Box::new(cut_whole_segments),
        ),
        (
            "the whole folder is put back as it was earlier",
            &long,
            &long.kept,
            [false, false, true],
            Box::new(|dir| {
                fs::remove_dir_all(dir).unwrap();
                copy(&long.half, dir);
            }),
        ),
        (
            "the newest checkpoint is deleted, and no entry",
            &long,
            &long.kept,
            [true, false, false],
            Box::new(|dir| remove(dir, &[&format!("{:06}.checkpoint", segments(dir).len() - 1)])),
        ),
        (
            "an older checkpoint is deleted, and no entry",
            &long,
            &long.kept,
            [true, true, true],
            Box::new(|dir| remove(dir, &["000001.checkpoint"])),
        ),
        (
            "the oldest segments are deleted as if they were old",
            &long,
            &long.kept,
            [true; 3],
            Box::new(delete_the_oldest),
        ),
        (
            "the same, and an entry `audit.pruned` that tells of it is added",
            &long,
            &long.kept,
            [true; 3],
            Box::new(|dir| {
                nobody().rewrite(dir, tell_of_the_oldest);
                delete_the_oldest(dir);
            }),
        ),
        (
            "with the keys of the seals: the same",
            &long,
            &long.kept,
            [true; 3],
            Box::new(|dir| {
                // What was noted when the log was signed last still holds.
                let state = fs::read(dir.join("state.json")).unwrap();
                long.forger(false).rewrite(dir, tell_of_the_oldest);
                fs::write(dir.join("state.json"), state).unwrap();
                delete_the_oldest(dir);
            }),
        ),
        (
            "with the key of the newest segment: all others are deleted, and an entry says that the gate did",
            &long,
            &long.kept,
            [true; 3],
            Box::new(|dir| {
                let newest = segments(dir).len() - 1;
                long.forger(false).tell(dir);
                begin_at(dir, newest);
            }),
        ),
        (
            "the same, but the entry is added while no gate runs, the next start signs it, and then they are deleted",
            &told,
            &told.kept,
            [true, false, false],
            Box::new(|dir| begin_at(dir, told_in)),
        ),
        (
            "with the keys of the seals: a word is changed; seals, tree and state fit",
            &long,
            &long.kept,
            [true; 3],
            Box::new(|dir| long.forger(false).rewrite(dir, change_a_word)),
        ),
        (
            "the same, and all checkpoints are deleted",
            &long,
            &long.kept,
            [true; 3],
            Box::new(|dir| {
                long.forger(false).rewrite(dir, change_a_word);
                remove(dir, &[".checkpoint"]);
            }),
        ),
        (
            "with the keys of the seals: what came after the first checkpoint is changed, and that one put in place of all others",
            &long,
            &long.kept,
            [true; 3],
            Box::new(|dir| {
                long.forger(false).rewrite(dir, change_the_newest_word);
                for number in 1..segments(dir).len() {
                    fs::copy(dir.join("audit-000000.checkpoint"), dir.join(format!("audit-{number:06}.checkpoint")))
                        .unwrap();
                }
            }),
        ),
        (
            "the same in a log of one segment, and tree, state and checkpoint are deleted",
            &short,
            &short.kept,
            [false, false, true],
            Box::new(|dir| {
                short.forger(false).rewrite(dir, change_a_word);
                remove(dir, &everything);
            }),
        ),
        (
            "with the node's key too: a word is changed, and all is signed again",
            &long,
            &long.kept,
            [false, false, true],
            Box::new(|dir| long.forger(true).rewrite(dir, change_a_word)),
        ),
        (
            "with the node's key too: a line is removed, and all is signed again",
            &long,
            &long.kept,
            [false, false, true],
            Box::new(|dir| long.forger(true).rewrite(dir, drop_third)),
        ),
        (
            "with the node's key too: what came after the kept checkpoint is changed, and all is signed again",
            &long,
            &long.half_kept,
            [false; 3],
            Box::new(|dir| long.forger(true).rewrite(dir, change_the_newest_word)),
        ),
    ];
    let mut wrong = String::new();
    println!("| what is done | {} |", LOOKS.join(" | "));
    for (what, log, kept, expected, change) in table {
        let (noticed, said) = log.notices(kept, change);
        println!("| {what} | {} |", noticed.map(|noticed| if noticed { "noticed" } else { "-" }).join(" | "));
        if noticed != expected {
            let _ = writeln!(wrong, "{what}: {noticed:?}, expected {expected:?}\n{said}");
        }
    }
    assert_eq!(wrong, "");
}

fn change_a_word(lines: &mut Lines) {
    let line = lines.iter_mut().flatten().find(|line| line.contains("ALLOW")).unwrap();
    *line = line.replacen("ALLOW", "BLOCK", 1);
}

/// In the newest entry of a request: the newest segment may hold none yet.
fn change_the_newest_word(lines: &mut Lines) {
    let line = lines.iter_mut().flatten().rfind(|line| line.contains("ALLOW")).unwrap();
    *line = line.replacen("ALLOW", "BLOCK", 1);
}

/// What somebody does who has no key and knows all files: the log ends with segment 1, and all that tells of more goes.
fn cut_whole_segments(dir: &Path) {
    let mut lines = read(dir);
    let newer: Vec<_> = (2..lines.len()).map(|number| format!("{number:06}.checkpoint")).collect();
    lines.truncate(2);
    write(dir, &lines);
    remove(dir, &newer.iter().map(String::as_str).collect::<Vec<_>>());
    remove(dir, &["state.json"]);
    let size = lines.iter().map(Vec::len).sum::<usize>() as u64;
    let tree = fs::read(dir.join("tree")).unwrap();
    let kept = usize::try_from(portcullis_audit::tree::stored_count(size)).unwrap() * 32;
    fs::write(dir.join("tree"), &tree[..kept]).unwrap();
}

/// Deletes the first two segments as a gate does that finds them too old: the last one's checkpoint stays.
fn delete_the_oldest(dir: &Path) {
    for name in ["audit-000000.jsonl", "audit-000000.checkpoint", "audit-000001.jsonl"] {
        fs::remove_file(dir.join(name)).unwrap();
    }
}

/// Adds an entry that says so.
fn tell_of_the_oldest(lines: &mut Lines) {
    let number = lines.iter().map(Vec::len).sum::<usize>();
    let entry =
        Entry { event_type: "audit.pruned", path: "audit-000000.jsonl to audit-000001.jsonl", ..Entry::default() };
    let place = Position { next_seq: number as u64, previous: Seal::GENESIS };
    let mut line = Vec::new();
    Chain::resume(SealKey::new(&[7; 32]).unwrap(), place).seal(&entry.draft(), 0, &mut line);
    line.pop();
    lines.last_mut().unwrap().push(String::from_utf8(line).unwrap());
}

/// A copy of a folder without folders.
fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for file in fs::read_dir(from).unwrap().map(|file| file.unwrap().path()) {
        fs::copy(&file, to.join(file.file_name().unwrap())).unwrap();
    }
}
