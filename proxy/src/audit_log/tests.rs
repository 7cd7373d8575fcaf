use super::*;
use portcullis_filters::audit::Verifier;

fn settings() -> AuditSettings {
    AuditSettings { fsync: Fsync::Never, ..AuditSettings::default() }
}

fn key(dir: &Path) -> AuditKey {
    AuditKey::load_or_create(&dir.join("audit.key")).unwrap()
}

fn open(dir: &Path, settings: AuditSettings) -> (AuditLog, Opened) {
    AuditLog::open(&dir.join("audit"), &key(dir), settings).unwrap()
}

fn entry() -> Entry<'static> {
    Entry { event_type: "request", method: "POST", path: "/api/chat", policy_decision: "ALLOW", ..Entry::default() }
}

fn verify(dir: &Path) -> u64 {
    let mut verifier = Verifier::new(key(dir).seal_key());
    for file in segments(&dir.join("audit")).unwrap() {
        let bytes = fs::read(file).unwrap();
        for line in bytes.split_inclusive(|b| *b == b'\n') {
            verifier.line(line).unwrap();
        }
    }
    verifier.summary().entries
}

#[test]
fn a_hundred_thousand_entries_and_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let (log, _) = open(dir.path(), settings());
    for _ in 0..100_000 {
        log.append(&entry()).unwrap();
    }
    drop(log);
    let (log, opened) = open(dir.path(), settings());
    assert_eq!(opened.repaired, None);
    log.append(&entry()).unwrap();
    log.close();
    assert_eq!(verify(dir.path()), 100_001);
}

#[test]
fn a_torn_last_line_is_removed_and_told() {
    let whole = tempfile::tempdir().unwrap();
    let (log, _) = open(whole.path(), settings());
    log.append(&entry()).unwrap();
    log.append(&entry()).unwrap();
    drop(log);
    let bytes = fs::read(whole.path().join("audit/audit-000001.jsonl")).unwrap();
    let first = bytes.iter().position(|b| *b == b'\n').unwrap() + 1;
    for end in (first + 1..bytes.len()).step_by(7).chain([bytes.len() - 1]) {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("audit")).unwrap();
        fs::copy(whole.path().join("audit.key"), dir.path().join("audit.key")).unwrap();
        fs::write(dir.path().join("audit/audit-000001.jsonl"), &bytes[..end]).unwrap();
        let (log, opened) = open(dir.path(), settings());
        assert_eq!(opened.repaired, Some((end - first) as u64));
        log.append(&entry()).unwrap();
        drop(log);
        assert_eq!(verify(dir.path()), 3, "the whole line, the note, the new one");
    }
}

#[test]
fn a_second_writer_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (_log, _) = open(dir.path(), settings());
    let second = AuditLog::open(&dir.path().join("audit"), &key(dir.path()), settings());
    assert!(matches!(second, Err(AuditLogError::Busy(_))));
}

#[test]
fn a_changed_end_is_not_continued() {
    let dir = tempfile::tempdir().unwrap();
    let (log, _) = open(dir.path(), settings());
    log.append(&entry()).unwrap();
    log.append(&entry()).unwrap();
    drop(log);
    let file = dir.path().join("audit/audit-000001.jsonl");
    let text = fs::read_to_string(&file).unwrap();
    let at = text.rfind("ALLOW").unwrap();
    fs::write(&file, format!("{}BLOCK{}", &text[..at], &text[at + 5..])).unwrap();
    let opened = AuditLog::open(&dir.path().join("audit"), &key(dir.path()), settings());
    assert!(matches!(opened, Err(AuditLogError::Damaged { .. })));
}

#[test]
fn the_chain_runs_on_over_segments() {
    let dir = tempfile::tempdir().unwrap();
    for _ in 0..3 {
        let (log, _) = open(dir.path(), AuditSettings { segment_bytes: 2_000, ..settings() });
        for _ in 0..10 {
            log.append(&entry()).unwrap();
        }
    }
    assert!(segments(&dir.path().join("audit")).unwrap().len() > 3);
    assert_eq!(verify(dir.path()), 30);
}
