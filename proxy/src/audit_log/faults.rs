//! A disk that fails on command, so that the tests can watch the gate stay shut. Debug builds only, and only where
//! `PORTCULLIS_TEST_DISK` names a file: its words are a fault (`eio`, `enospc`, `erofs`, `slow`) and what meets it (the
//! [words](Op::word) below, or nothing for all of them). A slow disk waits until the file says something else. A test in
//! the same process has a [`script`] for the folder of its log instead.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::Duration;

static DISK: LazyLock<Option<PathBuf>> = LazyLock::new(|| std::env::var_os("PORTCULLIS_TEST_DISK").map(PathBuf::from));
/// How often a slow disk looks whether it may go on.
const LOOK: Duration = Duration::from_millis(5);

/// What is done with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Op {
    /// A segment is made.
    Begin,
    /// One that could not be written is cut to what holds.
    Cut,
    /// A segment is deleted.
    Delete,
    /// The folder is synced, with the name that a segment got, or without the one it had.
    Folder,
    /// A segment that was begun gets its name.
    Name,
    /// The writer looks what there is to do. Nothing that can fail: scripts count it.
    #[cfg(test)]
    Round,
    /// A checkpoint is written.
    Sign,
    /// The place that was signed is noted.
    State,
    /// A segment is synced.
    Sync,
    /// Hashes are added to the tree.
    Tree,
    /// Lines are written.
    Write,
}

impl Op {
    /// How it is called in the file.
    fn word(self) -> &'static str {
        match self {
            Self::Begin => "begin",
            Self::Cut => "cut",
            Self::Delete => "delete",
            Self::Folder => "folder",
            Self::Name => "name",
            #[cfg(test)]
            Self::Round => "",
            Self::Sign => "sign",
            Self::State => "state",
            Self::Sync => "sync",
            Self::Tree => "tree",
            Self::Write => "write",
        }
    }
}

/// Fails, or waits, as the test asks for: this is about to be done with this file of a log.
pub(super) fn meet(op: Op, file: &Path) -> io::Result<()> {
    #[cfg(test)]
    script::play(op, file)?;
    // Only a script tells files apart.
    #[cfg(not(test))]
    let _ = file;
    let Some(path) = DISK.as_ref() else { return Ok(()) };
    loop {
        let said = std::fs::read_to_string(path).unwrap_or_default();
        let mut words = said.split_whitespace();
        let fault = words.next().unwrap_or_default();
        let mut named = words.peekable();
        if named.peek().is_some() && !named.any(|name| name == op.word()) {
            return Ok(());
        }
        return match fault {
            "eio" => Err(rustix::io::Errno::IO.into()),
            "enospc" => Err(rustix::io::Errno::NOSPC.into()),
            "erofs" => Err(rustix::io::Errno::ROFS.into()),
            "slow" => {
                std::thread::sleep(LOOK);
                continue;
            }
            _ => Ok(()),
        };
    }
}

/// What a test has the disk of its own log do.
#[cfg(test)]
pub(super) mod script {
    use std::collections::HashMap;
    use std::sync::{Arc, Mutex, PoisonError};

    use super::{LazyLock, Op, Path, PathBuf, io};

    /// Is asked before each step, with the file that it is about.
    pub(in crate::audit_log) type Script = dyn Fn(Op, &Path) -> io::Result<()> + Send + Sync;

    static SCRIPTS: LazyLock<Mutex<HashMap<PathBuf, Arc<Script>>>> = LazyLock::new(Mutex::default);

    /// From now on the log in this folder has a disk that does what this says.
    pub(in crate::audit_log) fn follow(
        dir: &Path,
        script: impl Fn(Op, &Path) -> io::Result<()> + Send + Sync + 'static,
    ) {
        SCRIPTS.lock().unwrap_or_else(PoisonError::into_inner).insert(dir.to_owned(), Arc::new(script));
    }

    pub(in crate::audit_log) fn play(op: Op, file: &Path) -> io::Result<()> {
        let scripts = SCRIPTS.lock().unwrap_or_else(PoisonError::into_inner);
        let script = file.parent().and_then(|dir| scripts.get(dir)).map(Arc::clone);
        drop(scripts);
        script.map_or(Ok(()), |script| script(op, file))
    }
}
