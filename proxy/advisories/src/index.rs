//! Which packages a registry has.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use portcullis_osv::{Ecosystem, Package};

/// The largest file of names, in bytes. The names of npm, which has the most, take a tenth of that.
const MAX_FILE: u64 = 512 * 1024 * 1024;

/// The names of the packages that registries have, as an operator provides them: for each ecosystem a text file with
/// one name a line, after which the versions may stand that there are of it. Lines that begin with `#` say nothing.
#[derive(Debug, Default)]
pub struct Index {
    names: BTreeMap<Ecosystem, Names>,
}

/// The lines of a file, sorted by canonical name.
#[derive(Debug, Default)]
struct Names {
    text: String,
    /// Where each line begins and ends in `text`.
    lines: Vec<(u32, u32)>,
}

/// Why an index cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// It cannot be read.
    #[error("cannot read the names of packages in `{path}`: {source}")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What came of it.
        source: io::Error,
    },
    /// No list is in it.
    #[error("`{0}` holds no list of names, expected files such as `PyPI.txt` or `npm.txt`")]
    Empty(PathBuf),
    /// It is named for no ecosystem.
    #[error(
        "`{0}` is named for no known ecosystem, expected one of `crates.io.txt`, `Go.txt`, `Maven.txt`, `npm.txt`, \
         `NuGet.txt`, `Packagist.txt`, `PyPI.txt`, `RubyGems.txt`"
    )]
    Unknown(PathBuf),
    /// It is too large, or has nothing in it.
    #[error("`{path}` has {size} bytes, expected some names, in at most {MAX_FILE} bytes")]
    Size {
        /// The file.
        path: PathBuf,
        /// Its size, in bytes.
        size: u64,
    },
}

impl Index {
    /// Reads every `*.txt` of a directory, each named for its ecosystem: `npm.txt`, `PyPI.txt`, `crates.io.txt`.
    ///
    /// # Errors
    /// When one cannot be read, or is named for no ecosystem, or there is none.
    pub fn load(directory: &Path) -> Result<Self, IndexError> {
        let error = |source| IndexError::Io { path: directory.to_owned(), source };
        let mut index = Self::default();
        for entry in fs::read_dir(directory).map_err(error)? {
            let path = entry.map_err(error)?.path();
            if path.extension().is_some_and(|ending| ending == "txt") {
                let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
                let ecosystem = Ecosystem::named(stem).ok_or_else(|| IndexError::Unknown(path.clone()))?;
                index.names.insert(ecosystem, Names::load(ecosystem, &path)?);
            }
        }
        if index.names.is_empty() {
            return Err(IndexError::Empty(directory.to_owned()));
        }
        Ok(index)
    }

    /// Whether the registry has a package of this name; none where there is no list of its ecosystem.
    #[must_use]
    pub fn knows(&self, package: &Package) -> Option<bool> {
        Some(self.names.get(&package.ecosystem())?.find(package.name()).is_some())
    }

    /// The versions of a package that the list gives, in its order; none where it gives none.
    #[must_use]
    pub fn versions(&self, package: &Package) -> Vec<Box<str>> {
        let line = self.names.get(&package.ecosystem()).and_then(|names| names.find(package.name()));
        line.unwrap_or_default().split_whitespace().skip(1).map(Box::from).collect()
    }

    /// How many packages are listed of each ecosystem.
    #[must_use]
    pub fn sizes(&self) -> BTreeMap<Ecosystem, usize> {
        self.names.iter().map(|(ecosystem, names)| (*ecosystem, names.lines.len())).collect()
    }
}

impl Names {
    fn load(ecosystem: Ecosystem, path: &Path) -> Result<Self, IndexError> {
        let error = |source| IndexError::Io { path: path.to_owned(), source };
        let mut text = String::new();
        let read = File::open(path).and_then(|file| file.take(MAX_FILE + 1).read_to_string(&mut text));
        let size = read.map_err(error)? as u64;
        let names = Self::read(ecosystem, &text);
        if size > MAX_FILE || names.lines.is_empty() {
            return Err(IndexError::Size { path: path.to_owned(), size });
        }
        Ok(names)
    }

    fn read(ecosystem: Ecosystem, text: &str) -> Self {
        let mut names = Self::default();
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let (name, versions) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
            let begins = names.text.len();
            names.text.push_str(&ecosystem.canonical(name));
            if !versions.is_empty() {
                names.text.push(' ');
                names.text.push_str(versions);
            }
            // A canonical form may be longer than what was written, but not by so much.
            if let (Ok(begins), Ok(ends)) = (u32::try_from(begins), u32::try_from(names.text.len())) {
                names.lines.push((begins, ends));
            }
        }
        names.text.shrink_to_fit();
        let Self { text, lines } = &mut names;
        lines.sort_by(|a, b| name(text, *a).cmp(name(text, *b)));
        lines.dedup_by(|a, b| name(text, *a) == name(text, *b));
        names
    }

    /// The line of the package of this canonical name.
    fn find(&self, wanted: &str) -> Option<&str> {
        let place = self.lines.binary_search_by(|line| name(&self.text, *line).cmp(wanted)).ok()?;
        self.lines.get(place).map(|line| slice(&self.text, *line))
    }
}

fn slice(text: &str, (begins, ends): (u32, u32)) -> &str {
    text.get(begins as usize..ends as usize).unwrap_or_default()
}

fn name(text: &str, line: (u32, u32)) -> &str {
    slice(text, line).split(' ').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_without_lists_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(Index::load(dir.path()), Err(IndexError::Empty(_))));
        fs::write(dir.path().join("names.csv"), "requests\n").unwrap();
        assert!(matches!(Index::load(dir.path()), Err(IndexError::Empty(_))));
    }

    #[test]
    fn knows_what_is_listed() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("PyPI.txt"), "# names\nrequests 2.31.0 2.32.0\nFlask_Login\n\nzope.interface\n")
            .unwrap();
        fs::write(dir.path().join("notes.md"), "not a list").unwrap();
        let index = Index::load(dir.path()).unwrap();
        let package = |name| Package::new(Ecosystem::PyPi, name);
        assert_eq!(index.knows(&package("Requests")), Some(true));
        assert_eq!(index.knows(&package("flask-login")), Some(true));
        assert_eq!(index.knows(&package("zope-interface")), Some(true));
        assert_eq!(index.knows(&package("reqursts")), Some(false));
        assert_eq!(index.knows(&package("request")), Some(false));
        assert_eq!(index.knows(&Package::new(Ecosystem::Npm, "requests")), None);
        assert_eq!(index.versions(&package("requests")), ["2.31.0".into(), "2.32.0".into()]);
        assert_eq!(index.versions(&package("flask-login")), []);
        assert_eq!(index.sizes(), BTreeMap::from([(Ecosystem::PyPi, 3)]));
    }

    #[test]
    fn says_which_file_is_wrong() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("pip.txt"), "requests\n").unwrap();
        let message = Index::load(dir.path()).unwrap_err().to_string();
        assert!(message.contains("pip.txt") && message.contains("PyPI.txt"), "{message}");
        fs::rename(dir.path().join("pip.txt"), dir.path().join("npm.txt")).unwrap();
        fs::write(dir.path().join("npm.txt"), "# nothing\n").unwrap();
        assert!(matches!(Index::load(dir.path()), Err(IndexError::Size { .. })));
        assert!(matches!(Index::load(&dir.path().join("none")), Err(IndexError::Io { .. })));
    }
}
