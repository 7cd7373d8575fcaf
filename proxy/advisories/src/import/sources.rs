//! Which files are imported.

use std::fs;
use std::path::{Path, PathBuf};

use super::{ImportError, io_error};

/// How many files are imported at once; the whole of OSV has less than half of that.
const MAX_FILES: usize = 4_000_000;

/// How deep directories may be nested. Those of the databases are a handful deep.
const MAX_DEPTH: usize = 32;

/// The endings of the files that are taken from a directory. A file that is named by itself may have any.
const ENDINGS: [&str; 4] = ["json", "jsonl", "ndjson", "zip"];

/// A file to import.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) path: PathBuf,
    /// In bytes.
    pub(super) size: u64,
}

/// The files that these paths stand for, those of a directory in the order of their names.
pub(super) fn files(paths: &[PathBuf]) -> Result<Vec<Source>, ImportError> {
    let mut files = Vec::new();
    for path in paths {
        let meta = fs::metadata(path).map_err(io_error("read", path))?;
        if meta.is_dir() {
            walk(path, MAX_DEPTH, &mut files)?;
        } else {
            files.push(Source { path: path.clone(), size: meta.len() });
        }
        if files.len() > MAX_FILES {
            return Err(ImportError::TooMany { path: path.clone(), most: MAX_FILES });
        }
    }
    Ok(files)
}

fn walk(directory: &Path, depth: usize, files: &mut Vec<Source>) -> Result<(), ImportError> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(directory).map_err(io_error("read the directory", directory))? {
        let entry = entry.map_err(io_error("read the directory", directory))?;
        entries.push((entry.path(), entry.file_type().map_err(io_error("look at", directory))?));
        if files.len() + entries.len() > MAX_FILES {
            return Err(ImportError::TooMany { path: directory.to_owned(), most: MAX_FILES });
        }
    }
    entries.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    for (path, kind) in entries {
        let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        // Links to directories are not followed: they may lead round in circles.
        if kind.is_dir() && !hidden && depth > 0 {
            walk(&path, depth - 1, files)?;
        } else if !kind.is_dir() && !hidden && has_ending(&path) {
            let meta = fs::metadata(&path).map_err(io_error("look at", &path))?;
            if meta.is_file() {
                files.push(Source { path, size: meta.len() });
            }
        }
    }
    Ok(())
}

fn has_ending(path: &Path) -> bool {
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    ENDINGS.iter().any(|known| known.eq_ignore_ascii_case(ending))
}
