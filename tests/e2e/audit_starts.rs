//! What a gate does with the log that it finds: it goes on, or it refuses and changes nothing; and what it deletes as old.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use portcullis_tests::{FakeServer, Gate, run, until};
use rustix::process::Signal;

/// Every file of the state directory, byte for byte, but for locks.
fn everything(gate: &Gate) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![gate.state().to_owned()];
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else if !path.to_string_lossy().ends_with("lock") {
                found.insert(path.clone(), fs::read(path).unwrap());
            }
        }
    }
    found
}

fn audit(gate: &Gate) -> PathBuf {
    gate.state().join("audit")
}

/// The files of the segments, in order.
fn segments(dir: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(dir).unwrap().map(|file| file.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|ending| ending == "jsonl"));
    files.sort();
    files
}

fn stop(gate: &Gate) {
    gate.signal(Signal::TERM);
    assert_eq!(gate.wait().code(), Some(0));
}

/// The number of the newest segment: those before it may have been compressed by now.
fn newest(dir: &Path) -> usize {
    let names = fs::read_dir(dir).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
    let numbers = names.filter_map(|name| name.strip_prefix("audit-")?.get(..6)?.parse().ok());
    numbers.max().unwrap_or(0)
}

/// Asks until the newest of the log is so many segments further.
fn fill(gate: &Gate, more: usize) {
    let alice = gate.approved_client("alice");
    let until = newest(&audit(gate)) + more;
    while newest(&audit(gate)) < until {
        assert_eq!(alice.get("/api/version").status, 200);
    }
}

/// The gate does not start, says this, and leaves its state as it is.
fn refuses_to_start(gate: &Gate, why: &str) {
    let before = everything(gate);
    gate.restart_unready(|| ());
    assert_eq!(gate.wait().code(), Some(3), "{}", gate.log());
    assert!(gate.log().contains(why), "{why}: {}", gate.log());
    let after = everything(gate);
    assert!(before.keys().eq(after.keys()), "{why}: {:?} {:?}", before.keys(), after.keys());
    assert!(before == after, "{why}: something was changed");
}

#[test]
fn a_key_that_is_missing_beside_a_log_is_not_made_anew() {
    let server = FakeServer::start();
    let gate = Gate::before(&server).filter("audit: {segment_bytes: 4KiB}").start();
    fill(&gate, 1);
    stop(&gate);
    for name in ["audit.key", "audit-master.key"] {
        let (key, aside) = (gate.state().join(name), gate.dir.path().join("aside"));
        fs::rename(&key, &aside).unwrap();
        let why = format!("{name}` is missing, and the log in `");
        refuses_to_start(&gate, &why);
        assert!(gate.log().contains("put the key back from the backup"), "{}", gate.log());
        let before = everything(&gate);
        let init = run(&[
            "init",
            "--dir",
            gate.dir.path().to_str().unwrap(),
            "--upstream",
            "http://127.0.0.1:9",
            "--kind",
            "ollama",
        ]);
        for (what, output) in [
            ("init", init),
            ("check", gate.cli(&["check"])),
            ("doctor", gate.cli(&["doctor"])),
            ("verify", gate.cli(&["audit", "verify"])),
        ] {
            let said = [&output.stdout[..], &output.stderr].concat();
            let said = String::from_utf8_lossy(&said);
            assert!(!output.status.success() && said.contains(name), "{what}: {said}");
            assert!(what == "verify" || said.contains(&why), "{what}: {said}");
        }
        assert!(before == everything(&gate), "{name}: something was changed");
        fs::rename(&aside, &key).unwrap();
    }
    gate.restart(|| ());
    assert!(gate.cli(&["audit", "verify"]).status.success());
}

#[test]
fn a_log_that_is_not_continued_stays_as_it_is() {
    let server = FakeServer::start();
    let gate = Gate::before(&server).filter("audit: {segment_bytes: 4KiB, compress: false}").start();
    fill(&gate, 2);
    stop(&gate);
    let aside = gate.dir.path().join("aside");
    let copy = |from: &Path, to: &Path| {
        let _ = fs::remove_dir_all(to);
        fs::create_dir(to).unwrap();
        for file in fs::read_dir(from).unwrap().map(|file| file.unwrap().path()).filter(|path| path.is_file()) {
            fs::copy(&file, to.join(file.file_name().unwrap())).unwrap();
        }
    };
    copy(&audit(&gate), &aside);
    type Change = fn(&Path);
    let newest = |dir: &Path| segments(dir).pop().unwrap();
    let changes: [(&str, Change); 5] = [
        ("were cut off", |dir| {
            let newest = segments(dir).pop().unwrap();
            let bytes = fs::read(&newest).unwrap();
            fs::write(newest, &bytes[..bytes.len() / 2]).unwrap();
        }),
        ("and not the segment", |dir| fs::remove_file(segments(dir).pop().unwrap()).unwrap()),
        ("the file `tree` holds fewer entries", |dir| fs::remove_file(dir.join("tree")).unwrap()),
        ("the file `tree` is of another log", |dir| fs::write(dir.join("tree"), [7; 32 * 1_000]).unwrap()),
        ("and no segment", |dir| {
            for file in fs::read_dir(dir).unwrap().map(|file| file.unwrap().path()) {
                let name = file.file_name().unwrap().to_str().unwrap();
                if name.starts_with("audit-") {
                    fs::remove_file(file).unwrap();
                }
            }
        }),
    ];
    for (why, change) in changes {
        copy(&aside, &audit(&gate));
        change(&audit(&gate));
        refuses_to_start(&gate, why);
        assert_eq!(gate.cli(&["audit", "verify"]).status.code(), Some(1), "{why}");
    }
    // A line that a power cut left half written is no reason.
    copy(&aside, &audit(&gate));
    let path = newest(&audit(&gate));
    fs::write(&path, [&fs::read(&path).unwrap()[..], b"{\"code\": \""].concat()).unwrap();
    gate.restart(|| ());
    assert!(gate.audit().iter().any(|entry| entry["event_type"] == "audit.repaired"));
    assert!(gate.cli(&["audit", "verify"]).status.success());
}

#[test]
fn what_is_old_is_said_by_entries_and_not_by_files() {
    if !cfg!(debug_assertions) {
        eprintln!("skipped: only a debug build has a clock that is set on command");
        return;
    }
    let day = Duration::from_secs(86_400);
    let folder = tempfile::tempdir().unwrap();
    let clock = folder.path().join("clock");
    let set = |days: i64| fs::write(&clock, (days * 86_400_000).to_string()).unwrap();
    set(-10);
    let server = FakeServer::start();
    let gate = Gate::before(&server)
        .filter("audit: {segment_bytes: 4KiB, compress: false}")
        .env("PORTCULLIS_TEST_CLOCK", clock.to_str().unwrap())
        .start();
    let alice = gate.approved_client("alice");
    let fill = |more: usize| {
        let until = segments(&audit(&gate)).len() + more;
        while segments(&audit(&gate)).len() < until {
            assert_eq!(alice.get("/api/version").status, 200);
        }
        stop(&gate);
    };
    // These have ended ten days ago; the one after them goes on today, and more follow.
    fill(3);
    let old = segments(&audit(&gate)).len() - 1;
    set(0);
    gate.restart(|| ());
    fill(2);
    let all = segments(&audit(&gate));
    for (number, path) in all.iter().enumerate() {
        let touched = if number < old { SystemTime::now() + 1_000 * day } else { UNIX_EPOCH };
        let file = fs::File::options().write(true).open(path).unwrap();
        file.set_times(fs::FileTimes::new().set_accessed(touched).set_modified(touched)).unwrap();
    }
    let config = fs::read_to_string(gate.config()).unwrap();
    fs::write(gate.config(), config.replace("compress: false", "compress: false, keep: 7d")).unwrap();
    gate.restart(|| ());
    until("the old segments to go", || segments(&audit(&gate)).first().filter(|first| **first == all[old]).map(|_| ()));
    let told: Vec<_> = gate.audit().into_iter().filter(|entry| entry["event_type"] == "audit.pruned").collect();
    let [told] = &told[..] else { panic!("{told:?}") };
    assert_eq!(told["path"], format!("audit-000000.jsonl to audit-{:06}.jsonl", old - 1));
    assert_eq!(segments(&audit(&gate))[..all.len() - old], all[old..], "nothing else went");
    let verified = gate.cli(&["audit", "verify"]);
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stderr));
}
