//! What a gate that shares its memory of nonces knows of its own past: `shared.json` in the place of the
//! journal says which epoch of which store it used last.
//!
//! What it let in elsewhere, under another epoch or with a journal of its own, the store cannot know.
//! Without the file nobody can tell, so a gate then joins an epoch as one that let something in until now.
//! A claim is let in only once the file names its epoch.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use portcullis_certs::files::{self, FileError};
use serde::{Deserialize, Serialize};

use super::journal::{self, Left};

const FILE: &str = "shared.json";

/// A gate's past.
pub(crate) struct Past {
    /// `None` in tests of what is in the store alone.
    dir: Option<PathBuf>,
    /// The epoch that it used last, or nothing.
    pub(crate) epoch: String,
    /// What it let in elsewhere counts as let in by now until this time, in Unix milliseconds.
    pub(crate) until_ms: i64,
    written: Mutex<Written>,
}

#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    epoch: String,
    /// The widest window that this gate ever judged by: what it let in may be dated so far ahead.
    window_ms: i64,
}

impl Past {
    /// Looks at what the last run left behind. Nothing is changed before [`Past::join`].
    ///
    /// # Errors
    /// When the file, or the journal, is there and cannot be read.
    pub(crate) fn read(dir: &Path, node: &str, window: Duration, now_ms: i64) -> anyhow::Result<Self> {
        let window_ms = millis(window);
        let (epoch, until_ms, widest_ms) = match written(dir)? {
            Some(Written { epoch, window_ms: widest }) => (epoch, now_ms, widest),
            None => match journal::left(dir, node)? {
                // It was made and never used: this gate has no past.
                Left::Unused => (String::new(), 0, window_ms),
                Left::Used(youngest_ms) => (String::new(), now_ms, youngest_ms.saturating_sub(now_ms)),
            },
        };
        // The store reckons with the window of today. Where the gate's was larger, that is made up for.
        let more = widest_ms.saturating_sub(window_ms).max(0);
        let known = Written { epoch: epoch.clone(), window_ms: widest_ms.max(window_ms) };
        Ok(Self { dir: Some(dir.to_owned()), epoch, until_ms: until_ms.saturating_add(more), written: known.into() })
    }

    /// No past, and nowhere to write one.
    #[cfg(test)]
    pub(crate) fn none() -> Self {
        Self { dir: None, epoch: String::new(), until_ms: 0, written: Mutex::default() }
    }

    /// Whether this epoch is written down, and a window at least so large.
    pub(crate) fn names(&self, epoch: &str, window_ms: i64) -> bool {
        let written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        self.dir.is_none() || (written.epoch == epoch && written.window_ms >= window_ms)
    }

    /// Writes an epoch down, which the store has joined this gate to, and removes the journal: the store
    /// knows of it by now. Waits for the disk.
    ///
    /// # Errors
    /// What the disk says: then nothing may be let in under this epoch.
    pub(crate) fn join(&self, epoch: &str, window_ms: i64) -> Result<(), FileError> {
        let Some(dir) = &self.dir else { return Ok(()) };
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        if written.epoch == epoch && written.window_ms >= window_ms {
            return Ok(());
        }
        files::create_private_dir(dir)?;
        // First of all the journal: beside a file that names an epoch there is none that counts.
        leave(dir).map_err(|source| FileError::Io { what: "empty", path: dir.clone(), source })?;
        let new = Written { epoch: epoch.to_owned(), window_ms: written.window_ms.max(window_ms) };
        let text = serde_json::to_string(&new).map_err(|error| FileError::Io {
            what: "write",
            path: dir.join(FILE),
            source: error.into(),
        })?;
        files::write_private(&dir.join(FILE), text.as_bytes())?;
        *written = new;
        Ok(())
    }
}

/// How far ahead what a gate let in may be dated, that goes back to a memory of its own.
///
/// # Errors
/// When the file is there and cannot be read.
pub(crate) fn widest(dir: &Path) -> Result<Duration, FileError> {
    let widest = written(dir)?.unwrap_or_default().window_ms;
    Ok(Duration::from_millis(u64::try_from(widest).unwrap_or_default()))
}

/// A gate remembers by itself from now on: no epoch knows what it lets in.
///
/// # Errors
/// When the file cannot be removed for good.
pub(crate) fn forget(dir: &Path) -> io::Result<()> {
    match fs::remove_file(dir.join(FILE)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        removed => removed?,
    }
    // After a power cut, too, it must not be there again.
    fs::File::open(dir)?.sync_all()
}

/// What the file says. One that is damaged says nothing.
fn written(dir: &Path) -> Result<Option<Written>, FileError> {
    match files::read_private(&dir.join(FILE)) {
        Ok(text) => Ok(serde_json::from_str(&text).ok()),
        Err(FileError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(FileError::Io { source, .. }) if source.kind() == io::ErrorKind::InvalidData => Ok(None),
        Err(error) => Err(error),
    }
}

/// Removes everything but the file.
fn leave(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_name() != FILE {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_secs(30);
    const NOW: i64 = 1_760_000_000_000;

    fn read(dir: &Path, window: Duration) -> (String, i64) {
        let past = Past::read(dir, "peer:a", window, NOW).unwrap();
        (past.epoch, past.until_ms)
    }

    #[test]
    fn only_a_gate_that_was_just_made_has_no_past() {
        let state = tempfile::tempdir().unwrap();
        let dir = journal::replay_dir(state.path());
        assert_eq!(read(&dir, WINDOW), (String::new(), NOW), "without a folder nobody knows");
        journal::begin(&dir, "peer:a").unwrap();
        assert_eq!(read(&dir, WINDOW), (String::new(), 0));
        assert_eq!(Past::read(&dir, "peer:b", WINDOW, NOW).unwrap().until_ms, NOW, "another node's");
        fs::write(dir.join("journal.json"), "").unwrap();
        assert_eq!(read(&dir, WINDOW), (String::new(), NOW), "a damaged one");
    }

    #[test]
    fn a_journal_stays_until_an_epoch_is_joined_and_a_window_never_shrinks() {
        let state = tempfile::tempdir().unwrap();
        let dir = journal::replay_dir(state.path());
        journal::begin(&dir, "peer:a").unwrap();
        let past = Past::read(&dir, "peer:a", 2 * WINDOW, NOW).unwrap();
        assert!(dir.join("journal.json").exists() && !past.names("E1", 60_000));
        past.join("E1", 60_000).unwrap();
        assert!(!dir.join("journal.json").exists() && past.names("E1", 60_000));
        assert_eq!(read(&dir, 2 * WINDOW), ("E1".to_owned(), NOW));
        // What was let in by the larger window may be dated that far ahead.
        assert_eq!(read(&dir, WINDOW), ("E1".to_owned(), NOW + 30_000));
        Past::read(&dir, "peer:a", WINDOW, NOW).unwrap().join("E2", 30_000).unwrap();
        assert_eq!(read(&dir, WINDOW), ("E2".to_owned(), NOW + 30_000));
        assert_eq!(widest(&dir).unwrap(), 2 * WINDOW);
        forget(&dir).unwrap();
        forget(&dir).unwrap();
        assert_eq!(read(&dir, WINDOW), (String::new(), NOW));
    }
}
