//! Where lines are written: in large pieces, and no longer than somebody reads them.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tempfile::NamedTempFile;

use super::{Failure, Outcome};

/// Standard output, or a file.
pub(super) struct Output {
    to: To,
    closed: bool,
}

enum To {
    /// A file beside the one that is meant, whose name it gets at the end.
    File(BufWriter<NamedTempFile>, PathBuf),
    Standard(BufWriter<io::Stdout>),
}

impl Output {
    /// Standard output.
    pub(super) fn standard() -> Self {
        Self { to: To::Standard(BufWriter::with_capacity(64 * 1024, io::stdout())), closed: false }
    }

    /// A file, for its owner alone. What stood there before stands there until everything is written.
    pub(super) fn file(path: &Path) -> Outcome<Self> {
        if std::fs::symlink_metadata(path).is_ok_and(|there| !there.is_file()) {
            return Err(Failure::usage(format!(
                "`{}` is not a regular file, expected a path for a new one; without `--output`, standard output takes \
                 everything",
                path.display()
            )));
        }
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let file = NamedTempFile::new_in(folder).map_err(|error| unwritten(path, &error))?;
        Ok(Self { to: To::File(BufWriter::with_capacity(64 * 1024, file), path.to_owned()), closed: false })
    }

    /// Whether whoever read this is gone: then nothing more need be written, and that is no error.
    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    /// Brings everything to where it is to be.
    pub(super) fn finish(mut self) -> Outcome {
        self.flush().map_err(|error| self.unwritten(&error))?;
        let To::File(writer, path) = self.to else { return Ok(()) };
        let brought = || -> io::Result<File> {
            let file = writer.into_inner().map_err(io::IntoInnerError::into_error)?;
            file.as_file().sync_all()?;
            file.persist(&path).map_err(|error| error.error)
        };
        brought().map(|_| ()).map_err(|error| unwritten(&path, &error))
    }

    /// Waits so long, or until whoever reads this is gone.
    pub(super) fn wait(&mut self, pause: Duration) -> Outcome {
        let out = io::stdout();
        let mut reader = [PollFd::new(&out, PollFlags::empty())];
        let seconds = i64::try_from(pause.as_secs()).unwrap_or(i64::MAX);
        let pause = Timespec { tv_sec: seconds, tv_nsec: i64::from(pause.subsec_nanos()) };
        match poll(&mut reader, Some(&pause)) {
            Ok(0) | Err(rustix::io::Errno::INTR) => {}
            Ok(_) => self.closed = true,
            Err(error) => return Err(Failure::broken(format!("cannot wait for standard output: {error}"))),
        }
        Ok(())
    }

    /// What a command ends with that cannot write here.
    pub(super) fn unwritten(&self, error: &io::Error) -> Failure {
        match &self.to {
            To::File(_, path) => unwritten(path, error),
            To::Standard(_) => Failure::broken(format!("cannot write to standard output: {error}")),
        }
    }

    fn noted(&mut self, written: io::Result<()>) -> io::Result<()> {
        match written {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.closed = true;
                Ok(())
            }
            written => written,
        }
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes).map(|()| bytes.len())
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.closed {
            return Ok(());
        }
        let written = match &mut self.to {
            To::File(file, _) => file.write_all(bytes),
            To::Standard(out) => out.write_all(bytes),
        };
        self.noted(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.closed {
            return Ok(());
        }
        let flushed = match &mut self.to {
            To::File(file, _) => file.flush(),
            To::Standard(out) => out.flush(),
        };
        self.noted(flushed)
    }
}

fn unwritten(path: &Path, error: &io::Error) -> Failure {
    Failure::broken(format!("cannot write `{}`: {error}", path.display()))
}
