//! What is scanned: files, what lies in directories, standard input.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use ignore::{DirEntry, WalkBuilder};

use super::patch::Patch;

/// Something to scan.
pub(super) enum Source {
    /// A file.
    File(PathBuf),
    /// Standard input, called this.
    Input(Arc<str>),
    /// What a diff adds to one file.
    Patch(Patch),
    /// What cannot be scanned, and why.
    Unreadable(Arc<str>, String),
    /// A file that is larger than what was asked for.
    TooLarge(PathBuf, u64),
}

/// How directories are walked.
pub(super) struct Walk {
    /// Whether what `.gitignore` names is left out.
    pub(super) ignores: bool,
    /// Whether hidden files are left out in which credentials do not usually lie.
    pub(super) hides: bool,
    /// Files found in directories are at most so large.
    pub(super) largest: u64,
    /// Files that the scan itself writes or reads.
    pub(super) own: Vec<PathBuf>,
}

/// Hidden files, and directories of them, in which credentials lie.
const TELLING: [&str; 24] = [
    ".aws",
    ".azure",
    ".boto",
    ".bash_history",
    ".bashrc",
    ".circleci",
    ".cargo",
    ".config",
    ".docker",
    ".dockercfg",
    ".envrc",
    ".flaskenv",
    ".git-credentials",
    ".github",
    ".gnupg",
    ".kube",
    ".my.cnf",
    ".netrc",
    ".npmrc",
    ".pgpass",
    ".profile",
    ".pypirc",
    ".s3cfg",
    ".ssh",
];

/// Where version control keeps what it knows.
const HISTORIES: [&str; 5] = [".git", ".hg", ".jj", ".pijul", ".svn"];

/// All that these paths stand for, in order.
pub(super) fn gather(paths: &[PathBuf], input: &Arc<str>, walk: &Walk) -> Vec<Source> {
    let mut all = Vec::new();
    for path in paths {
        if path.as_os_str() == "-" {
            all.push(Source::Input(input.clone()));
            continue;
        }
        match fs::metadata(path) {
            Err(error) => all.push(Source::Unreadable(name(path), error.to_string())),
            Ok(data) if data.is_dir() => directory(path, walk, &mut all),
            Ok(_) => all.push(Source::File(path.clone())),
        }
    }
    all
}

/// The files below a directory. Links are not followed: what they lead to inside is found anyway.
fn directory(path: &Path, walk: &Walk, all: &mut Vec<Source>) {
    let hides = walk.hides;
    let mut builder = WalkBuilder::new(path);
    builder.standard_filters(walk.ignores).hidden(false).require_git(false).follow_links(false);
    builder.filter_entry(move |entry| is_wanted(entry, hides)).sort_by_file_name(Ord::cmp);
    for entry in builder.build() {
        match entry {
            Err(error) => {
                let file = path_of(&error).map_or_else(|| name(path), name);
                all.push(Source::Unreadable(file, reason(&error)));
            }
            Ok(entry) if entry.file_type().is_some_and(|kind| kind.is_file()) => {
                let size = entry.metadata().map_or(0, |data| data.len());
                let file = entry.into_path();
                if walk.own.iter().any(|own| same(own, &file)) {
                    continue;
                }
                all.push(if size > walk.largest { Source::TooLarge(file, size) } else { Source::File(file) });
            }
            Ok(_) => {}
        }
    }
}

fn is_wanted(entry: &DirEntry, hides: bool) -> bool {
    let name = entry.file_name().to_string_lossy();
    if entry.depth() == 0 || !name.starts_with('.') {
        return true;
    }
    let directory = entry.file_type().is_some_and(|kind| kind.is_dir());
    let history = directory && HISTORIES.contains(&&*name);
    let telling = name.starts_with(".env") || name.starts_with(".gitlab-ci") || TELLING.contains(&&*name);
    !history && (!hides || telling)
}

/// Whether two paths lead to one file.
fn same(a: &Path, b: &Path) -> bool {
    a.file_name() == b.file_name() && fs::canonicalize(a).is_ok_and(|a| fs::canonicalize(b).is_ok_and(|b| a == b))
}

fn path_of(error: &ignore::Error) -> Option<&Path> {
    match error {
        ignore::Error::WithPath { path, .. } => Some(path),
        ignore::Error::WithDepth { err, .. } | ignore::Error::WithLineNumber { err, .. } => path_of(err),
        _ => None,
    }
}

fn reason(error: &ignore::Error) -> String {
    error.io_error().map_or_else(|| error.to_string(), ToString::to_string)
}

impl Source {
    /// What it is called.
    pub(super) fn name(&self) -> Arc<str> {
        match self {
            Self::File(path) | Self::TooLarge(path, _) => name(path),
            Self::Input(name) | Self::Unreadable(name, _) => name.clone(),
            Self::Patch(patch) => patch.file.clone(),
        }
    }

    /// The commit that it is part of, where one is named.
    pub(super) fn commit(&self) -> Option<Arc<str>> {
        match self {
            Self::Patch(patch) => patch.commit.clone(),
            _ => None,
        }
    }
}

/// Opens a file to read; a directory is none.
pub(super) fn open(path: &Path) -> io::Result<Box<dyn Read>> {
    let file = File::open(path)?;
    if file.metadata()?.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    Ok(Box::new(file))
}

/// What a path is called: from here where it is below, with slashes.
pub(super) fn name(path: &Path) -> Arc<str> {
    let here = std::env::current_dir().ok();
    let below = here.as_deref().and_then(|here| path.strip_prefix(here).ok()).unwrap_or(path);
    let plain: PathBuf = below.components().filter(|part| *part != Component::CurDir).collect();
    let name = plain.to_string_lossy();
    Arc::from(if std::path::MAIN_SEPARATOR == '/' { name.into_owned() } else { name.replace('\\', "/") })
}
