//! What is compressed and deleted, and what is believed of it.

use super::*;
use crate::audit_log::check::{self, Report, SealKeys};

impl Home {
    fn check_files(&self, files: &[PathBuf]) -> Report {
        check::files(files, &SealKeys::Unknown, None, &[], &mut |_, _| {}).unwrap()
    }
}

/// Small segments, all of them plain.
fn small() -> AuditSettings {
    AuditSettings { segment_bytes: 2_000, ..settings() }
}

#[test]
fn a_start_tells_from_which_segment_on_it_needs_what_is_there() {
    let home = Home::with(10, &small());
    let state = home.log_dir().join("state.json");
    let kept = fs::read(&state).unwrap();
    let signer = checkpoints::verifier_key(&home.node.public()).unwrap();
    let needed = |home: &Home| {
        let end = resume::end_of_log(&home.log_dir(), &home.key().segments(), &signer).unwrap();
        (end.signed_in, end.segment.unwrap().0)
    };
    let (before, newest) = needed(&home);
    assert_eq!(before, newest);
    home.more(20, &small());
    // The power went after a checkpoint was signed, and before the place was noted.
    portcullis_certs::files::write_private(&state, &kept).unwrap();
    let (needed, newest) = needed(&home);
    assert!(needed == before && newest > before, "{needed} {before} {newest}");
}

#[test]
fn the_last_segment_that_there_can_be_is_a_doubt_and_no_overflow() {
    let home = Home::with(30, &small());
    let mut lines = home.lines(1);
    lines[0] = String::from_utf8(lines[0].clone())
        .unwrap()
        .replace("\"segment\": 1", &format!("\"segment\": {}", u64::MAX))
        .into_bytes();
    let last = home.dir.path().join("last.jsonl");
    fs::write(&last, lines.concat()).unwrap();
    let report = home.check_files(&[last, home.segment(2)]);
    let said = report.doubts.iter().any(|doubt| doubt.why.contains(&format!("stands after segment {}", u64::MAX)));
    assert!(said, "{:?}", report.doubts);
}

#[test]
fn a_file_that_is_named_like_another_segment_is_a_doubt() {
    let home = Home::with(30, &small());
    assert_eq!(home.check_files(&[home.segment(1)]).doubts, []);
    let named = |name: &str, bytes: &[u8]| {
        let path = home.dir.path().join(name);
        fs::write(&path, bytes).unwrap();
        home.check_files(&[path]).doubts.iter().map(|doubt| doubt.why.clone()).collect::<Vec<_>>()
    };
    let bytes = home.lines(1).concat();
    let packed = zstd::encode_all(&*bytes, 3).unwrap();
    for (name, bytes) in [("audit-000005.jsonl", &bytes), ("audit-000005.jsonl.zst", &packed)] {
        assert_eq!(named(name, bytes), ["its name is that of segment 5, and it holds segment 1"], "{name}");
    }
    assert_eq!(named("anything.jsonl", &bytes), [""; 0]);
    let first = fs::read(home.segment(0)).unwrap();
    assert_eq!(named("audit-000005.jsonl", &first), ["its name is that of segment 5, and it holds segment 0"]);
}

/// Small segments, of which all that have ended are too old.
fn old() -> AuditSettings {
    AuditSettings { keep: Some(Duration::ZERO), ..small() }
}

impl Home {
    /// The numbers of the segments that are here, plain or compressed.
    fn here(&self) -> Vec<u64> {
        crate::audit_log::read::numbers(&self.log_dir()).unwrap()
    }

    fn replace(&self, number: u64, line: usize, from: &str, to: &str) {
        let mut lines = self.lines(number);
        let changed = String::from_utf8(lines[line].clone()).unwrap().replacen(from, to, 1).into_bytes();
        assert_ne!(changed, lines[line]);
        lines[line] = changed;
        fs::write(self.segment(number), lines.concat()).unwrap();
    }

    /// The year in which a segment says that it began.
    fn year(&self, number: u64) -> String {
        let first: Value = serde_json::from_slice(&self.lines(number)[0]).unwrap();
        first["timestamp"].as_str().unwrap()[..5].to_owned()
    }

    /// Opens the log, and says why not all is deleted: a segment that was changed, and then it is still there, and all
    /// that came after it.
    fn kept_back(&self, settings: AuditSettings) -> String {
        let before = self.here();
        let (log, _) = self.open(settings);
        until(|| log.shared.kept_back.lock().unwrap().is_some());
        let why = log.status_json()["kept_back_because"].as_str().unwrap().to_owned();
        drop(log);
        let changed =
            before.iter().position(|number| why.contains(&format!("/audit-{number:06}."))).expect("a segment");
        assert!(self.here().ends_with(&before[changed..]), "{why}");
        assert!(why.contains("portcullis audit verify"), "{why}");
        why
    }
}

#[test]
fn a_time_that_nobody_sealed_deletes_nothing() {
    let home = Home::with(30, &small());
    let year = home.year(1);
    for number in 1..4 {
        home.replace(number, 0, &year, "2020-");
    }
    let day = AuditSettings { keep: Some(Duration::from_secs(86_400)), ..small() };
    let why = home.kept_back(day.clone());
    assert!(why.contains("audit-000001.jsonl") && why.contains("the seal of its first entry"), "{why}");
    for number in 1..4 {
        home.replace(number, 0, "2020-", &year);
    }
    assert_eq!(home.check().doubts, []);
    // The one of who has the key of one segment is not the one that was signed.
    let keys = home.key().segments();
    let after = resume::follows(home.lines(1)[0].strip_suffix(b"\n").unwrap()).unwrap();
    let previous_hmac = after.previous.as_str();
    let link = Entry {
        event_type: "audit.segment",
        path: "audit-000000.jsonl",
        segment: 1,
        previous_hmac,
        ..Entry::default()
    };
    let mut lines = home.lines(1);
    lines[0].clear();
    Chain::resume(keys.seal_key(1), after).seal(&link.draft(), 1_577_836_800_000_000, &mut lines[0]);
    fs::write(home.segment(1), lines.concat()).unwrap();
    assert_eq!(home.year(1), "2020-");
    let why = home.kept_back(day);
    assert!(why.contains("audit-000001.jsonl") && why.contains("is not the one that its checkpoint"), "{why}");
}

#[test]
fn a_file_that_was_made_longer_deletes_nothing() {
    let home = Home::with(30, &small());
    let room = AuditSettings { keep_bytes: Some(1 << 20), ..small() };
    for (number, grown) in [(2, 2 << 30), (0, 1 << 30)] {
        let home = home.copy();
        fs::OpenOptions::new().write(true).open(home.segment(number)).unwrap().set_len(grown).unwrap();
        let why = home.kept_back(room.clone());
        assert!(why.contains(&format!("audit-{number:06}.jsonl")) && why.contains("comes what is none"), "{why}");
    }
    // Neither do lines that are some, but not those that were written.
    let twice = home.lines(2).concat().repeat(2_000);
    fs::write(home.segment(2), twice).unwrap();
    let why = home.kept_back(room);
    assert!(why.contains("audit-000002.jsonl"), "{why}");
}

#[test]
fn a_file_put_beside_a_compressed_segment_takes_nothing_s_place() {
    let packing = AuditSettings { compress: true, ..small() };
    let whole = Home::with(30, &small());
    let newest = *whole.here().last().unwrap();
    let packed = whole.copy();
    let (log, _) = packed.open(packing.clone());
    until(|| segment::numbers(&packed.log_dir(), ".jsonl").unwrap() == [newest]);
    drop(log);
    let first = whole.lines(1).swap_remove(0);
    let forged = String::from_utf8(first.clone()).unwrap().replacen(&whole.year(1), "2020-", 1).into_bytes();
    let cut = whole.lines(1)[..2].concat();
    for fake in [forged, first, cut, Vec::new()] {
        let home = packed.copy();
        let genuine = fs::read(segment::compressed(&home.log_dir(), 1)).unwrap();
        fs::write(home.segment(1), &fake).unwrap();
        let why = home.kept_back(AuditSettings { keep: Some(Duration::ZERO), ..packing.clone() });
        assert!(why.contains("audit-000001.jsonl`"), "{why}");
        assert_eq!(fs::read(segment::compressed(&home.log_dir(), 1)).unwrap(), genuine);
        assert_eq!(fs::read(home.segment(1)).unwrap(), fake, "it is evidence");
    }
    // The gate itself leaves both where it ends between the two steps.
    let home = packed.copy();
    fs::write(home.segment(1), whole.lines(1).concat()).unwrap();
    let (log, _) = home.open(packing);
    until(|| !home.segment(1).exists());
    drop(log);
    assert_eq!((home.here(), home.check().doubts), (packed.here(), vec![]));
}

#[test]
fn what_is_compressed_is_not_written_through_a_link() {
    let home = Home::with(30, &small());
    let other = home.dir.path().join("other");
    fs::write(&other, "something else").unwrap();
    let beside = segment::compressed(&home.log_dir(), 0).with_extension("zst.part");
    std::os::unix::fs::symlink(&other, &beside).unwrap();
    let (log, _) = home.open(AuditSettings { compress: true, ..small() });
    until(|| !home.segment(0).exists());
    drop(log);
    assert_eq!(fs::read_to_string(&other).unwrap(), "something else");
    assert!(segment::compressed(&home.log_dir(), 0).symlink_metadata().unwrap().is_file());
}

#[test]
fn what_is_no_file_holds_up_nothing() {
    let home = Home::with(30, &small());
    fs::remove_file(home.segment(1)).unwrap();
    let pipe = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(rustix::fs::CWD, home.segment(1), pipe, 0o600.into(), 0).unwrap();
    let why = home.kept_back(AuditSettings { compress: true, ..old() });
    assert!(why.contains("audit-000001.jsonl") && why.contains("it is no regular file"), "{why}");
}

#[test]
fn a_segment_that_was_changed_is_not_compressed() {
    let home = Home::with(30, &small());
    home.replace(1, 1, "ALLOW", "BLOCK");
    let before = home.lines(1);
    let why = home.kept_back(AuditSettings { compress: true, ..small() });
    assert!(why.contains("audit-000001.jsonl"), "{why}");
    assert_eq!(home.lines(1), before);
    assert!(!segment::compressed(&home.log_dir(), 1).exists());
    assert!(segment::compressed(&home.log_dir(), 2).exists(), "the others are no worse for it");
}

#[test]
fn nothing_goes_before_the_entry_that_says_so_is_signed() {
    let home = Home::with(30, &small());
    let before = home.here();
    let newest = *before.last().unwrap();
    let checkpoint = segment::checkpoint(&home.log_dir(), newest);
    let kept = fs::read(&checkpoint).unwrap();
    let whole = fs::read(home.segment(0)).unwrap();
    // Held up for a moment, so that the disk can be made to fail.
    home.replace(0, 0, "ALLOW", "BLOCK");
    let (log, _) = home.open(old());
    until(|| log.shared.kept_back.lock().unwrap().is_some());
    fs::write(home.segment(0), whole).unwrap();
    fs::remove_file(&checkpoint).unwrap();
    fs::create_dir(&checkpoint).unwrap();
    log.shared.rotated.ring();
    let told = || String::from_utf8(home.lines(newest).concat()).unwrap().contains("\"event_type\": \"audit.pruned\"");
    until(|| told() && log.shared.desk.progress().unsigned.is_some());
    drop(log);
    assert_eq!(home.here(), before);
    fs::remove_dir(&checkpoint).unwrap();
    portcullis_certs::files::write_private(&checkpoint, &kept).unwrap();
    let (log, _) = home.open(old());
    until(|| home.here() != before);
    // At any moment after it, too.
    assert_eq!(home.doubts_while_it_runs(), ["", ""]);
    drop(log);
    assert_eq!(home.doubts_while_it_runs(), ["", ""]);
    home.more(1, &small());
}

impl Home {
    /// What is found first without a key, and with it, where the keeper may be at work.
    fn doubts_while_it_runs(&self) -> [String; 2] {
        [SealKeys::Unknown, SealKeys::All(self.key().segments())].map(|keys| {
            let signer = checkpoints::verifier_key(&self.node.public()).unwrap();
            let report = check::log(&self.log_dir(), &keys, &signer, &[], &mut |_, _| {}).unwrap();
            report.doubts.first().map(ToString::to_string).unwrap_or_default()
        })
    }
}

#[test]
fn an_entry_that_nobody_signed_accounts_for_nothing() {
    let home = Home::with(30, &small());
    let newest = *home.here().last().unwrap();
    let mut lines = home.lines(newest);
    let last = Position::after(lines.last().unwrap()).unwrap();
    let path = format!("audit-000000.jsonl to audit-{:06}.jsonl", newest - 1);
    let mut forged = Vec::new();
    let entry = Entry { event_type: "audit.pruned", path: &path, ..Entry::default() };
    Chain::resume(home.key().segments().seal_key(newest), last).seal(
        &entry.draft(),
        1_800_000_000_000_000,
        &mut forged,
    );
    lines.push(forged);
    fs::write(home.segment(newest), lines.concat()).unwrap();
    for number in 0..newest {
        fs::remove_file(home.segment(number)).unwrap();
        if number + 1 < newest {
            fs::remove_file(segment::checkpoint(&home.log_dir(), number)).unwrap();
        }
    }
    for doubt in home.doubts_while_it_runs() {
        assert!(doubt.contains("no signed entry `audit.pruned` says"), "{doubt}");
    }
    match home.try_open(small()) {
        Err(error @ AuditLogError::Damaged { .. }) => assert!(error.to_string().contains("no signed entry"), "{error}"),
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("a start signs it"),
    }
}

#[test]
fn a_start_sees_that_what_is_missing_was_deleted_by_the_gate() {
    let home = Home::with(30, &small());
    let (log, _) = home.open(old());
    until(|| home.here()[0] > 0 && !segment::checkpoint(&home.log_dir(), home.here()[0].saturating_sub(2)).exists());
    drop(log);
    home.more(20, &small());
    let first = home.here()[0];
    let proof = pruned::path(&home.log_dir());
    let starts = |home: &Home| home.try_open(small()).map(|(log, _)| log.close());
    assert!(starts(&home.copy()).is_ok());
    // Without the proof, or with one that shows nothing, the entry is looked for.
    for junk in [None, Some(&b"junk"[..])] {
        let home = home.copy();
        fs::remove_file(pruned::path(&home.log_dir())).unwrap();
        if let Some(junk) = junk {
            fs::write(pruned::path(&home.log_dir()), junk).unwrap();
        }
        assert!(starts(&home).is_ok());
    }
    let refused = |home: &Home, why: &str| {
        let said = starts(home).map(|()| "it starts".to_owned()).unwrap_or_else(|error| error.to_string());
        assert!(said.contains(why), "{said}");
    };
    let without = home.copy();
    fs::remove_file(segment::checkpoint(&without.log_dir(), first - 1)).unwrap();
    refused(&without, "which says what it follows, is gone");
    let another = home.copy();
    fs::copy(segment::checkpoint(&home.log_dir(), first), segment::checkpoint(&another.log_dir(), first - 1)).unwrap();
    refused(&another, "does not begin after the");
    let changed = home.copy();
    changed.replace(first, 0, &home.year(first), "2020-");
    refused(&changed, "the seal of its first entry");
    // One more went, and only the entry of those before it is here.
    let more = home.copy();
    fs::remove_file(more.segment(first)).unwrap();
    refused(&more, "no signed entry `audit.pruned` says");
    fs::remove_file(pruned::path(&more.log_dir())).unwrap();
    refused(&more, "no signed entry `audit.pruned` says");
    // The proof holds without the log.
    let proof = portcullis_audit::Proof::parse(&fs::read(proof).unwrap()).unwrap();
    let signer = checkpoints::verifier_key(&home.node.public()).unwrap();
    let line = proof.extra.clone().unwrap();
    assert!(proof.verify(&leaf_hash(&line), &signer).is_ok());
    let told = pruned::Told::read(&portcullis_audit::Line::read(&line).unwrap()).unwrap();
    assert_eq!(told.segments, 0..=first - 1);
    let ended = checkpoints::of_segment(&home.log_dir(), first - 1, &signer).unwrap().unwrap();
    assert_eq!(told.size, ended.checkpoint.size);
}
