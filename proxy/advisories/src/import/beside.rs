//! The file that an import writes before it takes the place of the database.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::{ImportError, io_error};

/// Keeps other imports away until it is dropped.
pub(super) fn lock(path: &Path) -> Result<File, ImportError> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".lock");
    let lock = path.with_file_name(name);
    let options = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&lock);
    let file = options.map_err(io_error("open", &lock))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(ImportError::Busy(path.to_owned())),
        Err(TryLockError::Error(source)) => Err(io_error("lock", &lock)(source)),
    }
}

/// The new file, beside the one that it will replace. It is removed unless it gets there.
pub(super) struct Beside {
    pub(super) path: PathBuf,
}

impl Beside {
    /// A copy of what is there, or an empty file.
    pub(super) fn new(path: &Path) -> Result<Self, ImportError> {
        let mut salt = [0u8; 8];
        getrandom::fill(&mut salt).map_err(|error| io_error("get random bytes for", path)(io::Error::other(error)))?;
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{}.new", data_encoding::HEXLOWER.encode(&salt)));
        let beside = Self { path: path.with_file_name(name) };
        let created = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&beside.path);
        let mut file = created.map_err(io_error("make", &beside.path))?;
        match File::open(path) {
            Ok(mut there) => drop(io::copy(&mut there, &mut file).map_err(io_error("copy", path))?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(io_error("read", path)(error)),
        }
        Ok(beside)
    }

    pub(super) fn put_in_place(self, path: &Path, directory: &Path) -> Result<(), ImportError> {
        let sync = |path: &Path| File::open(path).and_then(|file| file.sync_all());
        sync(&self.path).map_err(io_error("write", &self.path))?;
        fs::rename(&self.path, path).map_err(io_error("put in place", path))?;
        sync(directory).map_err(io_error("sync the directory", directory))
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        // It is gone already when it was put in place.
        let _ = fs::remove_file(&self.path);
    }
}
