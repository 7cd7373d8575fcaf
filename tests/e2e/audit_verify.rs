//! Checking, signing and proving the log by the command line, and by a verifier that shares no code with it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use portcullis_tests::{FakeServer, Gate, run, until};
use rustix::process::Signal;
use serde_json::Value;

/// A gate that signs often, in small segments.
const OFTEN: &str = "audit: {segment_bytes: 4KiB, compress: false, checkpoint_every: 5, checkpoint_after: 1s}";

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A file in the gate's folder.
fn file(gate: &Gate, name: &str) -> String {
    gate.dir.path().join(name).to_str().unwrap().to_owned()
}

/// A gate with some entries, all of them signed.
fn signed(filter: &str, requests: usize) -> (FakeServer, Gate, Vec<String>) {
    let server = FakeServer::start();
    let gate = Gate::before(&server).filter(filter).start();
    let alice = gate.approved_client("alice");
    let ids = (0..requests).map(|_| alice.get("/api/version").header("portcullis-request-id").unwrap().to_owned());
    let ids: Vec<_> = ids.collect();
    let last = gate.audit_of(ids.last().unwrap())["seq_no"].as_u64().unwrap();
    until("a checkpoint over all", || {
        let output = gate.cli(&["audit", "checkpoint", "--json"]);
        let newest: Value = serde_json::from_slice(&output.stdout).ok()?;
        (newest["size"].as_u64()? > last).then_some(())
    });
    (server, gate, ids)
}

#[test]
fn a_running_gate_s_log_is_checked_signed_and_proved() {
    let (_server, gate, ids) = signed(OFTEN, 20);
    let verified = gate.cli_json(&["audit", "verify"]);
    assert_eq!((&verified["ok"], &verified["bad"], &verified["seals"]), (&true.into(), &Value::Null, &true.into()));
    assert_eq!(verified["entries"], gate.audit().len());
    assert_eq!(verified["signed"], verified["entries"]);
    assert!(verified["segments"].as_u64().unwrap() > 2 && verified["checkpoints"] == verified["segments"]);
    let shown = text(&gate.cli(&["audit", "verify"]).stdout);
    assert!(shown.contains("the chain holds") && shown.contains("which is all"), "{shown}");

    // The note is what lies beside the segment, and `--json` says what is in it.
    let note = text(&gate.cli(&["audit", "checkpoint"]).stdout);
    let newest = gate.cli_json(&["audit", "checkpoint"]);
    assert_eq!(newest["note"], note);
    let vkey = newest["vkey"].as_str().unwrap();
    assert_eq!(text(&gate.cli(&["audit", "checkpoint", "--vkey"]).stdout).trim(), vkey);
    assert_eq!(newest["origin"], format!("{}/audit", gate.node().node_id()));
    assert_eq!(note.lines().nth(1).unwrap(), newest["size"].to_string());

    // A proof holds without the log, for this line alone and under this key alone.
    let (proof, line) = (file(&gate, "entry.proof"), file(&gate, "entry.jsonl"));
    let asked = gate.cli(&["audit", "prove", "--request-id", &ids[3], "--output", &proof, "--with-line", &line]);
    assert!(asked.status.success(), "{}", text(&asked.stderr));
    let checked = run(&["audit", "check-proof", &proof, "--line", &line, "--vkey", vkey, "--json"]);
    assert!(checked.status.success(), "{}", text(&checked.stderr));
    let checked: Value = serde_json::from_slice(&checked.stdout).unwrap();
    let entry = gate.audit_of(&ids[3]);
    assert_eq!((&checked["index"], &checked["timestamp"]), (&entry["seq_no"], &entry["timestamp"]));
    let by_number = gate.cli(&["audit", "prove", &entry["seq_no"].to_string()]);
    assert_eq!(text(&by_number.stdout), fs::read_to_string(&proof).unwrap());
    let refused = |proof: &str, line: &str, vkey: &str, why: &str| {
        let output = run(&["audit", "check-proof", proof, "--line", line, "--vkey", vkey]);
        assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
        assert!(text(&output.stderr).contains(why), "{}", text(&output.stderr));
    };
    let other = file(&gate, "other.jsonl");
    fs::write(&other, fs::read_to_string(&line).unwrap().replace("ALLOW", "BLOCK")).unwrap();
    refused(&proof, &other, vkey, "leads to another root");
    let stranger = Gate::before(&FakeServer::start()).start();
    let their_vkey = text(&stranger.cli(&["audit", "checkpoint", "--vkey"]).stdout);
    refused(&proof, &line, their_vkey.trim(), "bears no signature");
    let moved = file(&gate, "moved.proof");
    let whole = fs::read_to_string(&proof).unwrap();
    fs::write(&moved, whole.replace(&format!("index {}", entry["seq_no"]), "index 0")).unwrap();
    refused(&moved, &line, vkey, "not proved");
    assert_eq!(gate.cli(&["audit", "prove", "4000000000"]).status.code(), Some(1));
    assert_eq!(gate.cli(&["audit", "prove"]).status.code(), Some(2));

    // What a witness is asked with leads from the older size to the newest checkpoint.
    let since = text(&gate.cli(&["audit", "prove", "--since", "3"]).stdout);
    let submission = portcullis_audit::Submission::parse(since.as_bytes()).unwrap();
    let newest = submission.checkpoint().unwrap();
    let mut tree = portcullis_audit::Tree::default();
    let segments = logs(&gate.state().join("audit"));
    let lines: Vec<_> = segments.iter().flat_map(|path| fs::read(path).unwrap()).collect();
    for line in lines.split(|byte| *byte == b'\n').take(3) {
        tree.push(portcullis_audit::leaf_hash(line), &mut Vec::new());
    }
    assert_eq!(submission.old, 3);
    portcullis_audit::tree::verify_consistency(3, &tree.root(), newest.size, &newest.root, &submission.proof).unwrap();
    assert_eq!(gate.cli(&["audit", "prove", "--since", "4000000000"]).status.code(), Some(1));
}

#[test]
fn a_segment_is_checked_with_its_own_key() {
    let (_server, gate, _) = signed(OFTEN, 20);
    let segments = logs(&gate.state().join("audit"));
    let key = gate.cli(&["audit", "segment-key", "1"]);
    assert!(text(&key.stderr).contains("can check segment 1, and forge its lines"));
    assert_eq!(key.stdout.len(), 65);
    let key_file = file(&gate, "segment-1.key");
    fs::write(&key_file, &key.stdout).unwrap();
    let verify =
        |segment: &Path| run(&["audit", "verify", segment.to_str().unwrap(), "--segment-key", &key_file]).status.code();
    assert_eq!(verify(&segments[1]), Some(0));
    // Also compressed, and no other segment.
    let packed = gate.dir.path().join("packed.jsonl.zst");
    fs::write(&packed, zstd::encode_all(&*fs::read(&segments[1]).unwrap(), 3).unwrap()).unwrap();
    assert_eq!(verify(&packed), Some(0));
    assert_eq!(verify(&segments[0]), Some(1));
    assert_eq!(verify(&segments[2]), Some(1));
    // It says nothing of those that follow, whichever way they are given: that is asked wrongly.
    let folder = gate.state().join("audit");
    for given in [&[&segments[1], &segments[2]][..], &[&segments[1], &segments[1]], &[&folder], &[]] {
        let paths = given.iter().map(|path| path.to_str().unwrap());
        let args: Vec<_> = ["audit", "verify"].into_iter().chain(paths).chain(["--segment-key", &key_file]).collect();
        let output = run(&args);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {}", text(&output.stdout));
    }
    let joined = gate.dir.path().join("joined.jsonl");
    fs::write(&joined, [fs::read(&segments[1]).unwrap(), fs::read(&segments[2]).unwrap()].concat()).unwrap();
    let output = run(&["audit", "verify", joined.to_str().unwrap(), "--segment-key", &key_file]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stdout));
    let line = 1 + fs::read_to_string(&segments[1]).unwrap().lines().count();
    let said = text(&output.stderr);
    assert!(said.contains(&format!("joined.jsonl:{line}: its seal does not hold")), "{said}");
    // Several as one chain, by the gate's own keys; not in another order, and not with one left out.
    let paths: Vec<_> = segments.iter().map(|path| path.to_str().unwrap()).collect();
    let chain = |files: &[&str]| gate.cli(&[&["audit", "verify"][..], files].concat()).status.code();
    assert_eq!(chain(&paths[1..3]), Some(0));
    assert_eq!(chain(&[paths[1], paths[0]]), Some(1));
    assert_eq!(chain(&[paths[0], paths[2]]), Some(1));
    assert_eq!(chain(&["/nowhere/audit-000000.jsonl"]), Some(3));
}

#[test]
fn what_was_asked_wrongly_is_no_alarm_and_every_no_is_an_object() {
    let (_server, gate, _) = signed(OFTEN, 3);
    let junk = file(&gate, "junk");
    let vkey = text(&gate.cli(&["audit", "checkpoint", "--vkey"]).stdout);
    let said = |args: &[&str], code: i32, why: &str| {
        let output = run(args);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {}", text(&output.stderr));
        let object: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(object["ok"], false);
        assert!(object["reason"].as_str().unwrap().contains(why), "{object}");
    };
    let folder = gate.state().join("audit");
    let dir = folder.to_str().unwrap();
    let verify = ["audit", "verify", dir, "--no-key", "--vkey", vkey.trim(), "--json"];
    for junks in [&b"print('hello')\n"[..], b"\xff\xfe", b""] {
        fs::write(&junk, junks).unwrap();
        said(&[&verify[..], &["--checkpoint", &junk]].concat(), 2, "is no checkpoint");
    }
    said(&[&verify[..], &["--checkpoint", "/nowhere"]].concat(), 3, "cannot read");
    said(&["audit", "verify", "/nowhere", "--no-key", "--json"], 3, "cannot");
    let proof = ["audit", "check-proof", &junk, "--line", &junk, "--vkey", vkey.trim(), "--json"];
    said(&proof, 1, "it is not proved");
    said(&["audit", "check-proof", "/nowhere", "--line", &junk, "--vkey", vkey.trim(), "--json"], 3, "cannot read");
    // Another log's note is a checkpoint, and not of this one.
    let (_other_server, other, _) = signed(OFTEN, 3);
    fs::write(&junk, other.cli(&["audit", "checkpoint"]).stdout).unwrap();
    said(&[&verify[..], &["--checkpoint", &junk]].concat(), 1, "junk");
}

#[test]
fn a_doctor_looks_at_the_end() {
    let (_server, gate, _) = signed(OFTEN, 8);
    let looked = || text(&gate.cli(&["doctor"]).stdout);
    let said = looked();
    assert!(said.contains("holds") && said.contains("what lies before is read by `portcullis audit verify`"), "{said}");
    gate.signal(Signal::TERM);
    assert_eq!(gate.wait().code(), Some(0));
    fs::write(gate.state().join("audit/tree"), [0; 320]).unwrap();
    let said = looked();
    assert!(said.contains("the file `tree` is not the one"), "{said}");
}

#[test]
fn what_the_gate_deletes_is_signed_and_what_was_changed_is_not_deleted() {
    let server = FakeServer::start();
    let gate = Gate::before(&server)
        .filter("audit: {segment_bytes: 4KiB, compress: false, keep_bytes: 12KiB, checkpoint_every: 1000000}")
        .start();
    let alice = gate.approved_client("alice");
    let folder = gate.state().join("audit");
    let first = folder.join("audit-000000.jsonl");
    until("the oldest segment is deleted", || {
        assert_eq!(alice.get("/api/version").status, 200);
        (!first.exists()).then_some(())
    });
    let vkey = text(&gate.cli(&["audit", "checkpoint", "--vkey"]).stdout);
    let verify = |args: &[&str]| {
        let output = gate.cli(&[&["audit", "verify", folder.to_str().unwrap()][..], args].concat());
        (output.status.code(), text(&output.stderr))
    };
    let open = ["--no-key", "--vkey", vkey.trim()];
    assert_eq!(verify(&[]), (Some(0), String::new()));
    assert_eq!(verify(&open), (Some(0), String::new()));
    // What shows that the gate did it can be given away.
    let proof = folder.join("pruned.proof");
    let shown = portcullis_audit::Proof::parse(&fs::read(&proof).unwrap()).unwrap();
    let line = file(&gate, "pruned.jsonl");
    fs::write(&line, shown.extra.unwrap()).unwrap();
    let check = ["audit", "check-proof", proof.to_str().unwrap(), "--line", &line, "--vkey", vkey.trim()];
    assert_eq!(run(&check).status.code(), Some(0));
    if let Some(other) = verifier(&[&line, "--proof", proof.to_str().unwrap(), "--vkey", vkey.trim()]) {
        assert!(other.status.success(), "{}", text(&other.stderr));
    }
    assert!(!text(&gate.cli(&["doctor"]).stdout).contains("retention"));
    // A file that was made longer is not a reason to delete all before it, and is evidence.
    let files = logs(&folder);
    let changed = files[files.len() - 2].clone();
    let grown = fs::OpenOptions::new().append(true).open(&changed).unwrap();
    std::io::Write::write_all(&mut &grown, &[b'\n'; 1 << 16]).unwrap();
    let why = until("the doctor tells of it", || {
        assert_eq!(alice.get("/api/version").status, 200);
        let said = text(&gate.cli(&["doctor"]).stdout);
        said.lines().find(|line| line.contains("is not what was written")).map(str::to_owned)
    });
    let name = changed.file_name().unwrap().to_str().unwrap();
    assert!(why.contains("retention") && why.contains(name), "{why}");
    assert!(text(&gate.cli(&["status"]).stdout).contains("retention STOPS: "));
    assert!(changed.exists());
    assert_eq!(verify(&[]).0, Some(1));
    assert_eq!(verify(&open).0, Some(1));
}

/// The files of the segments, in order.
fn logs(dir: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(dir).unwrap().map(|file| file.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|ending| ending == "jsonl"));
    files.sort();
    files
}

/// Runs the verifier of `examples/verify-audit`; `None`, with a visible word, where there is no Python.
fn verifier(args: &[&str]) -> Option<Output> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/verify-audit/verify.py");
    let output = Command::new("python3").arg("-I").arg(script).args(args).output();
    if output.is_err() {
        eprintln!("skipped: the independent verifier needs Python 3 as `python3`");
    }
    output.ok()
}

#[test]
fn a_verifier_that_shares_no_code_agrees() {
    let (_server, gate, ids) = signed(OFTEN, 20);
    let (kept, proof, line) = (file(&gate, "kept"), file(&gate, "entry.proof"), file(&gate, "entry.jsonl"));
    fs::write(&kept, gate.cli(&["audit", "checkpoint"]).stdout).unwrap();
    assert!(
        gate.cli(&["audit", "prove", "--request-id", &ids[5], "--output", &proof, "--with-line", &line])
            .status
            .success()
    );
    let vkey = text(&gate.cli(&["audit", "checkpoint", "--vkey"]).stdout);
    let vkey = vkey.trim();
    gate.signal(Signal::TERM);
    assert_eq!(gate.wait().code(), Some(0));
    let (first, master) = (file(&gate, "state/audit.key"), file(&gate, "state/audit-master.key"));
    let folder = gate.state().join("audit");
    let dir = folder.to_str().unwrap();
    let keys = ["--key", &first, "--master", &master];
    let signer = ["--vkey", vkey];
    let all = [&[dir][..], &keys, &signer, &["--checkpoint", &kept]].concat();
    let Some(whole) = verifier(&all) else { return };
    assert!(whole.status.success(), "{}", text(&whole.stderr));
    let entries = gate.cli_json(&["audit", "verify"])["entries"].to_string();
    assert!(text(&whole.stdout).starts_with(&format!("{entries} entries hold, with seals, and ")));
    assert!(verifier(&[dir]).unwrap().status.success());
    let proved = verifier(&[&line[..], "--proof", &proof, "--vkey", vkey]).unwrap();
    assert!(proved.status.success() && text(&proved.stdout).contains("is entry "), "{}", text(&proved.stderr));
    let segments = logs(&folder);
    let key = file(&gate, "segment-1.key");
    fs::write(&key, gate.cli(&["audit", "segment-key", "1"]).stdout).unwrap();
    assert!(verifier(&[segments[1].to_str().unwrap(), "--segment-key", &key]).unwrap().status.success());

    // It refuses what was changed, each by what it was given.
    let no = |args: &[&str], why: &str| {
        let output = verifier(args).unwrap();
        assert_eq!(output.status.code(), Some(1), "{why}: {}", text(&output.stdout));
        assert!(text(&output.stderr).contains(why), "{why}: {}", text(&output.stderr));
    };
    let other = file(&gate, "other.jsonl");
    fs::write(&other, fs::read_to_string(&line).unwrap().replace("ALLOW", "BLOCK")).unwrap();
    no(&[&other, "--proof", &proof, "--vkey", vkey], "does not lead to the line");
    no(&[segments[2].to_str().unwrap(), "--segment-key", &key], "its seal does not hold");
    let original = fs::read_to_string(&segments[1]).unwrap();
    let lines: Vec<&str> = original.split_inclusive('\n').collect();
    let changed = original.replacen("\"listener\": \"gate\"", "\"listener\": \"door\"", 1);
    assert_ne!(changed, original);
    for (text, sealed, signed) in [
        (changed, "its seal does not hold", "are not those that it was signed over"),
        ([&lines[..2], &lines[3..]].concat().concat(), "its number is not", "its number is not"),
        (original.replacen("\": ", "\":", 1), "not canonical", "not canonical"),
        (original[..original.len() - 9].to_owned(), "in the middle of a line", "in the middle of a line"),
    ] {
        fs::write(&segments[1], text).unwrap();
        no(&[&[dir][..], &keys].concat(), sealed);
        no(&[&[dir][..], &signer].concat(), signed);
    }
    fs::write(&segments[1], &original).unwrap();
    // The newest segment goes, with what tells of it: the checkpoint that was kept still does.
    let newest = segments.last().unwrap();
    fs::remove_file(newest).unwrap();
    let _ = fs::remove_file(newest.with_extension("checkpoint"));
    assert!(verifier(&[&[dir][..], &keys, &signer].concat()).unwrap().status.success());
    no(&all, "the newest were cut off");

    // What it cannot check is not what does not hold.
    let cannot = |args: &[&str], why: &str| {
        let output = verifier(args).unwrap();
        assert_eq!(output.status.code(), Some(2), "{why}: {}", text(&output.stderr));
        assert!(text(&output.stderr).contains(why), "{why}: {}", text(&output.stderr));
    };
    fs::remove_file(&segments[0]).unwrap();
    assert!(verifier(&[dir]).unwrap().status.success());
    cannot(&[&[dir][..], &signer].concat(), "from entry 0 on");
    cannot(&[dir, "--vkey", "junk"], "the --vkey is none");
    cannot(&[dir, "--segment-key", &kept], "one for --segment-key");
    cannot(&["/nowhere/audit-000000.jsonl"], "No such file");
    cannot(&[dir, "--master", &kept, "--key", &first], "it is no key");
}

/// A folder of its own with what is in this one.
fn copied(folder: &Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for file in fs::read_dir(folder).unwrap().flatten() {
        fs::copy(file.path(), copy.path().join(file.file_name())).unwrap();
    }
    copy
}

/// How a verifier ends, and what it says.
#[track_caller]
fn says(output: &Output, code: i32, what: &str) {
    let said = text(&output.stdout) + &text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{what}: {said}");
    assert!(said.contains(what), "{what}: {said}");
}

#[test]
fn a_verifier_that_shares_no_code_misses_what_was_taken_away() {
    let (_server, gate, _) = signed(OFTEN, 20);
    let vkey = text(&gate.cli(&["audit", "checkpoint", "--vkey"]).stdout);
    let vkey = vkey.trim();
    gate.signal(Signal::TERM);
    assert_eq!(gate.wait().code(), Some(0));
    let folder = gate.state().join("audit");
    let check = |copy: &tempfile::TempDir| verifier(&[copy.path().to_str().unwrap(), "--vkey", vkey]);
    let Some(whole) = check(&copied(&folder)) else { return };
    says(&whole, 0, "; 0 of them are under none; 0 before are not here");
    let newest = logs(&folder).len() - 1;
    let note = |number: usize| format!("audit-{number:06}.checkpoint");
    for (gone, code, why) in [
        ((0..=newest).collect::<Vec<_>>(), 1, "not signed up to it"),
        (vec![1], 1, "audit-000002.jsonl:1: not signed up to it"),
        (vec![newest], 2, "the newest segment has no checkpoint"),
    ] {
        let copy = copied(&folder);
        gone.into_iter().for_each(|number| fs::remove_file(copy.path().join(note(number))).unwrap());
        says(&check(&copy).unwrap(), code, why);
    }
    let copy = copied(&folder);
    for number in 1..=newest {
        fs::remove_file(copy.path().join(note(number))).unwrap();
        fs::remove_file(copy.path().join(format!("audit-{number:06}.jsonl"))).unwrap();
    }
    assert!(check(&copy).unwrap().status.success(), "a log that ended there");
    fs::remove_file(copy.path().join(note(0))).unwrap();
    says(&check(&copy).unwrap(), 2, "the newest segment has no checkpoint");

    // Other names are other files', and every number counts as a whole.
    let copy = copied(&folder);
    for name in ["audit-000001-old.jsonl", "audit-x00001.jsonl", "audit-1.jsonl", "audit-000001.jsonl.gz"] {
        fs::write(copy.path().join(name), "no entry\n").unwrap();
    }
    assert!(check(&copy).unwrap().status.success());
    for name in ["audit-000001.jsonl.zst", "audit-0000001.jsonl"] {
        let copy = copied(&folder);
        fs::copy(copy.path().join("audit-000001.jsonl"), copy.path().join(name)).unwrap();
        says(&check(&copy).unwrap(), 1, "a segment is there twice");
    }

    // What does not begin with entry 0 begins with a segment, and says how much is not here.
    let segments = logs(&folder);
    let second = fs::read_to_string(&segments[1]).unwrap();
    let before = fs::read_to_string(&segments[0]).unwrap().lines().count();
    let alone = file(&gate, "alone.jsonl");
    let alone = alone.as_str();
    fs::write(alone, &second).unwrap();
    says(&verifier(&[alone]).unwrap(), 0, &format!("; {before} before are not here"));
    fs::write(alone, second.split_once('\n').unwrap().1).unwrap();
    says(&verifier(&[alone]).unwrap(), 1, "no segment begins here");
    let first = second.lines().next().unwrap();
    let number = format!("\"seq_no\": {before}");
    assert!(first.contains(&number));
    for wrong in ["-1", "18446744073709551616", "1.0"] {
        fs::write(alone, first.replace(&number, &format!("\"seq_no\": {wrong}")) + "\n").unwrap();
        says(&verifier(&[alone]).unwrap(), 1, "it is no entry");
    }
    fs::write(alone, first.replace("\"duration_us\": 0", "\"duration_us\": -1") + "\n").unwrap();
    says(&verifier(&[alone]).unwrap(), 1, "it is no entry");
}

#[test]
fn a_verifier_that_shares_no_code_reads_compressed_segments_to_their_end_and_no_further() {
    let Some(python) = portcullis_tests::real::python_with("zstandard", "the verifier's reading of `.zst`") else {
        return;
    };
    let (_server, gate, _) = signed(OFTEN, 20);
    let lines = fs::read(&logs(&gate.state().join("audit"))[0]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit-000000.jsonl.zst");
    let check = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/verify-audit/verify.py");
        Command::new(&python).args(["-I", script]).arg(&path).output().unwrap()
    };
    let packed = |lines: &[u8]| zstd::encode_all(lines, 3).unwrap();
    let whole = packed(&lines);
    let holds = format!("{} entries hold", lines.iter().filter(|byte| **byte == b'\n').count());
    says(&check(&whole), 0, &holds);
    let middle = lines.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    says(&check(&[packed(&lines[..middle]), packed(&lines[middle..])].concat()), 0, &holds);
    says(&check(&whole[..whole.len() - 1]), 1, "in the middle of a frame");
    says(&check(&[packed(&lines), packed(b"more")].concat()), 1, "in the middle of a line");
    says(&check(&[&whole[..], b"no frame"].concat()), 1, "it does not hold");
    let bomb = zstd::encode_all(std::io::Read::take(std::io::repeat(b'\n'), (1 << 30) + 1), 1).unwrap();
    says(&check(&bomb), 2, "it holds more than 1073741824 bytes");
}
