//! A disk that fails on command, so that the tests can watch the gate stay shut. Debug builds only, and only where
//! `PORTCULLIS_TEST_DISK` names a file: its words are a fault (`eio`, `enospc`, `erofs`, `slow`) and what meets it
//! (`write`, `sync`, `cut`, or nothing for all of them). A slow disk waits until the file says something else.

use std::io;
use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::Duration;

static DISK: LazyLock<Option<PathBuf>> = LazyLock::new(|| std::env::var_os("PORTCULLIS_TEST_DISK").map(PathBuf::from));
/// How often a slow disk looks whether it may go on.
const LOOK: Duration = Duration::from_millis(5);

/// What is done with a file.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Op {
    Write,
    Sync,
    Cut,
}

/// Fails, or waits, as the test asks for.
pub(super) fn meet(op: Op) -> io::Result<()> {
    let Some(path) = DISK.as_ref() else { return Ok(()) };
    loop {
        let said = std::fs::read_to_string(path).unwrap_or_default();
        let mut words = said.split_whitespace();
        let fault = words.next().unwrap_or_default();
        let word = match op {
            Op::Write => "write",
            Op::Sync => "sync",
            Op::Cut => "cut",
        };
        let mut named = words.peekable();
        if named.peek().is_some() && !named.any(|name| name == word) {
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
