//! Which version of some files was read last.

use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

/// One version of each file; a file that cannot be looked at has none.
pub(super) type Look = Vec<(PathBuf, Option<Stamp>)>;

/// What tells one version of a file from another. Links are followed: an agent may swap a link to a
/// folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    modified: (i64, i64),
    length: u64,
    inode: u64,
    device: u64,
}

/// Files that are read together.
pub(super) struct Watched {
    /// The version that is in force.
    taken: Look,
    /// The last version that was broken, and how: said once, not with every try.
    broken: Option<(Look, String)>,
}

impl Watched {
    /// The files as they are now, before they are read for the first time.
    pub(super) fn of(files: &[&PathBuf]) -> Self {
        Self { taken: look(files), broken: None }
    }

    /// The files as they are now, if they are not what is in force. They are looked at before they are
    /// read, so that a change in between is seen the next time.
    pub(super) fn changed(&self, files: &[&PathBuf]) -> Option<Look> {
        let now = look(files);
        (now != self.taken).then_some(now)
    }

    /// They are in force.
    pub(super) fn took(&mut self, look: Look) {
        self.taken = look;
        self.broken = None;
    }

    /// They cannot be used. They are tried again until they can.
    pub(super) fn broken(&mut self, look: Look, what: &str, why: &str) {
        let this = (look, why.to_owned());
        if self.broken.as_ref() != Some(&this) {
            tracing::error!(
                "The file with {what} was changed and cannot be used; the last good one stays in force: {why}"
            );
            self.broken = Some(this);
        }
    }
}

fn look(files: &[&PathBuf]) -> Look {
    let stamp = |file: &PathBuf| {
        let meta = std::fs::metadata(file).ok()?;
        Some(Stamp {
            modified: (meta.mtime(), meta.mtime_nsec()),
            length: meta.len(),
            inode: meta.ino(),
            device: meta.dev(),
        })
    };
    files.iter().map(|file| ((*file).clone(), stamp(file))).collect()
}
