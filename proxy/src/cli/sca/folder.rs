//! The manifests below a folder.

use std::io;
use std::path::{Path, PathBuf};

use ignore::WalkBuilder;
use portcullis_dependencies::Reading;

use super::file_name;

/// As many manifests of one folder are judged: the largest repositories have a tenth.
const MOST_FILES: usize = 10_000;

/// The manifests, lock files and lists below a folder, in order. What git ignores, what is hidden, and what links lead to
/// is left out, as installed packages are: the manifest above them brings them in.
///
/// # Errors
/// When it cannot be read, holds none, or holds too many.
pub(super) fn manifests(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut builder = WalkBuilder::new(folder);
    builder.require_git(false).follow_links(false).sort_by_file_name(Ord::cmp);
    builder.filter_entry(|entry| entry.depth() == 0 || entry.file_name() != "node_modules");
    let mut found = Vec::new();
    for entry in builder.build() {
        let entry = entry.map_err(io::Error::other)?;
        if entry.file_type().is_some_and(|kind| kind.is_file()) && is_manifest(entry.path()) {
            if found.len() == MOST_FILES {
                return Err(io::Error::other(format!(
                    "holds more than {MOST_FILES} manifests; name the folders in it one by one"
                )));
            }
            found.push(entry.into_path());
        }
    }
    if found.is_empty() {
        return Err(io::Error::other("is a folder without a manifest that is known; name the files in it"));
    }
    Ok(found)
}

fn is_manifest(path: &Path) -> bool {
    let name = file_name(path);
    let listed = path.parent().is_some_and(|parent| file_name(parent) == "requirements");
    Reading::of(&name) == Reading::Manifest || listed && (name.ends_with(".txt") || name.ends_with(".in"))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_brings_something_in_is_found_wherever_it_lies() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        assert!(manifests(root).unwrap_err().to_string().contains("without a manifest"));
        for file in [
            "a/package.json",
            "a/node_modules/x/package.json",
            "b/requirements/dev.txt",
            "b/notes.txt",
            "b/main.py",
            "c/built/Cargo.lock",
            "Cargo.lock",
        ] {
            let path = root.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        fs::write(root.join(".gitignore"), "built/\n").unwrap();
        let found = manifests(root).unwrap();
        let found: Vec<_> = found.iter().map(|path| path.strip_prefix(root).unwrap().to_str().unwrap()).collect();
        assert_eq!(found, ["Cargo.lock", "a/package.json", "b/requirements/dev.txt"]);
        assert!(manifests(&root.join("nowhere")).is_err());
    }
}
