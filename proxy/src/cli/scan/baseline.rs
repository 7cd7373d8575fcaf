//! The baseline: findings that are known, so that only new ones are told.
//!
//! A finding is known by its rule, its file and a mark: the HMAC of all three with what was found,
//! under a key that was drawn when the baseline was made. It stays known when lines move, and a new
//! secret at an old one's place is new.

use std::collections::HashSet;
use std::fs;
use std::io::Write as _;
use std::path::Path;

use data_encoding::HEXLOWER;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use crate::cli::{Failure, Outcome};

/// What marks are made with.
#[derive(Clone)]
pub(super) struct Key([u8; 32]);

/// The findings that are known.
pub(super) struct Baseline {
    pub(super) key: Key,
    marks: HashSet<String>,
}

/// A baseline as it is written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    version: u32,
    salt: String,
    findings: Vec<Known>,
}

/// A finding that is known. People read the file, the rule and the line; only the mark counts.
#[derive(Clone, Serialize, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(deny_unknown_fields)]
pub(super) struct Known {
    pub(super) file: String,
    pub(super) line: u64,
    pub(super) rule: String,
    pub(super) mark: String,
}

impl Key {
    fn drawn() -> Outcome<Self> {
        let mut key = [0; 32];
        getrandom::fill(&mut key).map_err(|error| Failure::broken(format!("no randomness: {error}")))?;
        Ok(Self(key))
    }

    /// The mark of a finding.
    pub(super) fn mark(&self, rule: &str, file: &str, secret: &str) -> String {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) else { return String::new() };
        for part in [rule, file, secret] {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part.as_bytes());
        }
        let mark = mac.finalize().into_bytes();
        HEXLOWER.encode(mark.get(..16).unwrap_or(&mark))
    }
}

impl Baseline {
    /// Reads a baseline; one that is not there yet is empty where it is about to be written.
    pub(super) fn load(file: &Path, to_be_written: bool) -> Outcome<Self> {
        let text = match fs::read_to_string(file) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && to_be_written => {
                return Ok(Self { key: Key::drawn()?, marks: HashSet::new() });
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let (file, folder) = (file.display(), std::env::current_dir().unwrap_or_default());
                return Err(Failure::usage(format!(
                    "`--baseline {file}`: there is no such file in `{}`, the current folder; with `--write-baseline` it \
                     is made, and holds all that is found now",
                    folder.display()
                )));
            }
            text => text.map_err(|error| Failure::broken(format!("{}: {error}", file.display())))?,
        };
        let wrong = |why: String| Failure::usage(format!("{}: no baseline: {why}", file.display()));
        let written: Written = serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
        if written.version != 1 {
            return Err(wrong(format!("version {}, expected 1", written.version)));
        }
        let key = HEXLOWER.decode(written.salt.as_bytes()).ok().and_then(|key| key.try_into().ok());
        let key = Key(key.ok_or_else(|| wrong("its `salt` is not 64 hexadecimal digits".to_owned()))?);
        let marks = written.findings.into_iter().map(|known| known.mark).filter(|mark| !mark.is_empty()).collect();
        Ok(Self { key, marks })
    }

    /// Whether a finding is known.
    pub(super) fn knows(&self, mark: Option<&str>) -> bool {
        mark.is_some_and(|mark| self.marks.contains(mark))
    }

    /// Writes these findings as the ones that are known.
    pub(super) fn write(&self, file: &Path, mut findings: Vec<Known>) -> Outcome {
        findings.sort();
        findings.dedup();
        let written = Written { version: 1, salt: HEXLOWER.encode(&self.key.0), findings };
        let text = serde_json::to_string_pretty(&written).map_err(|error| Failure::broken(error.to_string()))?;
        replace(file, format!("{text}\n").as_bytes())
    }
}

/// Puts a file in the place of what is there, all at once.
pub(super) fn replace(file: &Path, bytes: &[u8]) -> Outcome {
    let broken = |error: std::io::Error| Failure::broken(format!("{}: {error}", file.display()));
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    {
        // As any file that a person makes; the process's mask applies.
        use std::os::unix::fs::PermissionsExt as _;
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    let mut new = builder.tempfile_in(folder).map_err(broken)?;
    new.write_all(bytes).map_err(broken)?;
    new.persist(file).map_err(|error| broken(error.error))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_known_again() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("known.json");
        let first = Baseline::load(&file, true).unwrap();
        let mark = first.key.mark("rule", "file", "hunter2");
        let known = Known { file: "file".into(), line: 3, rule: "rule".into(), mark: mark.clone() };
        first.write(&file, vec![known.clone(), known]).unwrap();
        let again = Baseline::load(&file, false).unwrap();
        assert!(again.knows(Some(&again.key.mark("rule", "file", "hunter2"))));
        for other in [("rule", "file", "hunter3"), ("rule", "file2", "hunter2"), ("rulef", "ile", "hunter2")] {
            assert!(!again.knows(Some(&again.key.mark(other.0, other.1, other.2))), "{other:?}");
        }
        assert!(!again.knows(None));
        assert!(!fs::read_to_string(&file).unwrap().contains("hunter2"));
    }

    #[test]
    fn a_broken_baseline_hides_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("known.json");
        assert!(Baseline::load(&file, false).is_err());
        for text in ["", "[]", r#"{"version":2,"salt":"","findings":[]}"#, r#"{"version":1,"salt":"00","findings":[]}"#]
        {
            fs::write(&file, text).unwrap();
            assert!(Baseline::load(&file, true).is_err(), "{text}");
        }
    }
}
