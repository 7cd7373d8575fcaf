//! A folder of objects: a disk of its own, or one of another machine.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use portcullis_certs::files;

use super::archive::Shelf;

pub(super) struct Folder {
    path: PathBuf,
}

impl Folder {
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// Removes what was left half written below a node's name. It hinders nobody, so what goes wrong is told alone.
    pub(super) fn tidy(&self, node: &str) {
        let Ok(folders) = std::fs::read_dir(self.path.join(node)) else { return };
        for folder in folders.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
            if let Err(error) = files::remove_unfinished(&folder.path()) {
                tracing::warn!(%error, "What was left half written of a batch of the audit log cannot be removed.");
            }
        }
    }
}

impl Shelf for Folder {
    fn put(&mut self, name: &str, bytes: &[u8]) -> Result<bool, String> {
        // Not made: where a disk is not mounted, its entries would land on another one.
        if !self.path.is_dir() {
            return Err(format!(
                "the directory `{}` is not there; make it, or mount what belongs there",
                self.path.display()
            ));
        }
        let path = self.path.join(name);
        let unseen = |error| format!("cannot look at `{}`: {error}", path.display());
        // The gate is the only one that writes below its node's name, so nothing comes in between.
        if path.try_exists().map_err(unseen)? {
            return Ok(false);
        }
        if let Some(parent) = path.parent() {
            files::create_private_dir(parent).map_err(|error| error.to_string())?;
        }
        files::write_private(&path, bytes).map_err(|error| error.to_string())?;
        Ok(true)
    }

    fn get(&mut self, name: &str, most: usize) -> Result<Vec<u8>, String> {
        let path = self.path.join(name);
        let mut bytes = Vec::new();
        let read = files::open_regular(&path).and_then(|file| file.take(most as u64 + 1).read_to_end(&mut bytes));
        read.map_err(|error| format!("cannot read `{}`: {error}", path.display()))?;
        Ok(bytes)
    }
}
