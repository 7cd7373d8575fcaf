//! Pipes that lie where the log's files should: nobody waits for their other end.

use std::sync::mpsc;

use super::*;
use crate::audit_log::check::SealKeys;

/// Small segments, of which all that have ended are too old.
fn old() -> AuditSettings {
    AuditSettings { segment_bytes: 2_000, keep: Some(Duration::ZERO), ..settings() }
}

/// Puts a pipe in a file's place.
pub(super) fn pipe(path: &Path) {
    let _ = fs::remove_file(path);
    rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
}

/// Does this in a thread of its own, so that what never ends fails.
fn ends<T: Send + 'static>(what: &str, act: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, told) = mpsc::channel();
    std::thread::spawn(move || done.send(act()));
    told.recv_timeout(Duration::from_secs(30)).unwrap_or_else(|_| panic!("it does not end: {what}"))
}

fn kept_back(log: &AuditLog) -> Option<String> {
    log.shared.kept_back.lock().unwrap().clone()
}

#[test]
fn no_start_and_no_check_waits_for_a_pipe() {
    let whole = Home::with(30, &AuditSettings { keep: None, ..old() });
    let newest = *segment::numbers(&whole.log_dir(), ".jsonl").unwrap().last().unwrap();
    for (name, refused) in [
        ("tree".to_owned(), Some("no regular file")),
        ("lock".to_owned(), Some("cannot lock")),
        (format!("audit-{newest:06}.jsonl"), Some("no regular file")),
        (format!("audit-{newest:06}.checkpoint"), Some("checkpoint")),
        ("audit-000000.checkpoint".to_owned(), None),
        ("audit-000000.jsonl".to_owned(), None),
        ("audit-000000.jsonl.zst".to_owned(), None),
        ("state.json".to_owned(), None),
        ("pruned.proof".to_owned(), None),
    ] {
        let home = whole.copy();
        pipe(&home.log_dir().join(&name));
        let opened = ends(&name, move || {
            let _ = home.try_check(&SealKeys::All(home.key().segments()));
            let opened = home.try_open(old());
            (home, opened)
        });
        match (opened, refused) {
            ((_, Err(error)), Some(why)) => assert!(error.to_string().contains(why), "{name}: {error}"),
            ((_, Err(error)), None) => panic!("{name}: {error}"),
            ((..), Some(why)) => panic!("{name}: it goes on, {why}"),
            ((home, Ok((log, _))), None) => {
                write(&log, 30);
                // The keeper has done its work, or says why not.
                until(|| kept_back(&log).is_some() || !home.segment(1).exists());
                if name.starts_with("audit") {
                    assert!(kept_back(&log).is_some_and(|why| why.contains("audit-000000")), "{name}");
                }
                ends(&name, move || log.close());
            }
        }
    }
}

#[test]
fn the_keeper_and_whoever_waits_for_it_go_on_when_a_pipe_comes() {
    for name in ["tree", "audit-000000.checkpoint", "audit-000001.jsonl"] {
        let home = Home::with(30, &AuditSettings { keep: None, ..old() });
        // Held up until the pipe is there.
        let whole = fs::read(home.segment(0)).unwrap();
        fs::write(home.segment(0), &whole[..whole.len() - 1]).unwrap();
        let (log, _) = home.open(old());
        until(|| kept_back(&log).is_some());
        pipe(&home.log_dir().join(name));
        fs::write(home.segment(0), whole).unwrap();
        log.shared.rotated.ring();
        until(|| kept_back(&log).is_some_and(|why| why.contains(name) && why.contains("no regular file")));
        write(&log, 30);
        ends(name, move || log.close());
    }
}
