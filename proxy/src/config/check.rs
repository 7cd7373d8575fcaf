//! A config under check: what its values mean, and where its mistakes stand.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use portcullis_certs::{Authorities, AuthorityFiles};
use portcullis_policies::Diagnostic;

use super::{HIDDEN, Secret, units, written};

/// A check under way.
pub(super) struct Check<'t> {
    text: &'t str,
    file: String,
    base: PathBuf,
    pub(super) mistakes: Vec<Diagnostic>,
    pub(super) warnings: Vec<String>,
}

impl<'t> Check<'t> {
    /// Of a text in a file that is shown so. Paths in it count from `base` on.
    pub(super) fn new(text: &'t str, file: String, base: PathBuf) -> Self {
        Self { text, file, base, mistakes: Vec::new(), warnings: Vec::new() }
    }

    pub(super) fn address(&mut self, key: &str, text: Option<&str>, usual: SocketAddr) -> SocketAddr {
        let Some(text) = text else { return usual };
        let text = text.strip_prefix("localhost:").map_or(text.to_owned(), |port| format!("127.0.0.1:{port}"));
        text.parse().unwrap_or_else(|_| {
            self.wrong(
                key,
                format!("`{text}` is not an address, expected `IP:PORT`"),
                Some(&format!("write `{usual}`")),
            );
            usual
        })
    }

    pub(super) fn duration(&mut self, key: &str, text: Option<&str>, usual: u64) -> Duration {
        let Some(text) = text else { return Duration::from_secs(usual) };
        units::duration(text).unwrap_or_else(|| {
            self.wrong(
                key,
                format!("`{text}` is not a duration, expected a number and `ms`, `s`, `m`, `h` or `d`"),
                Some(&format!("write `{}`", units::meant(text, usual))),
            );
            Duration::from_secs(usual)
        })
    }

    pub(super) fn size(&mut self, key: &str, size: Option<&written::Size>, usual: usize) -> usize {
        let meant = match size {
            None => return usual,
            Some(written::Size::Bytes(bytes)) => Some(*bytes).filter(|b| *b > 0),
            Some(written::Size::Text(text)) => units::size(text),
        };
        meant.and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or_else(|| {
            self.wrong(
                key,
                "it is not a size, expected a number and `KiB`, `MiB` or `GiB`".to_owned(),
                Some("write `16MiB`"),
            );
            usual
        })
    }

    pub(super) fn count(&mut self, key: &str, count: Option<usize>, usual: usize) -> usize {
        match count {
            Some(0) => {
                self.wrong(key, "`0` would let nothing pass, expected at least 1".to_owned(), None);
                usual
            }
            Some(count) => count,
            None => usual,
        }
    }

    pub(super) fn secret(&mut self, key: &str, text: &str) -> Option<Secret> {
        let found = if let Some(name) = text.strip_prefix("${").and_then(|t| t.strip_suffix('}')) {
            std::env::var(name).map_err(|_| format!("the environment variable `{name}` is not set"))
        } else if let Some(path) = text.strip_prefix("file:") {
            let path = self.path(path);
            std::fs::read_to_string(&path)
                .map(|t| t.trim().to_owned())
                .map_err(|e| format!("`{}` cannot be read: {e}", path.display()))
        } else {
            Ok(text.to_owned())
        };
        match found {
            Ok(secret) if secret == HIDDEN => {
                let message = format!("`{HIDDEN}` stands where `portcullis config show` hides a secret");
                self.wrong(key, message, Some("write `${ENV_NAME}` or `file:PATH`"));
                None
            }
            Ok(secret) if secret.bytes().all(|b| b.is_ascii_graphic()) && !secret.is_empty() => {
                Some(Secret::new(secret))
            }
            Ok(_) => {
                self.wrong(key, "the secret is empty or holds characters that no header takes".to_owned(), None);
                None
            }
            Err(why) => {
                self.wrong(key, why, Some("write `${ENV_NAME}` or `file:PATH`"));
                None
            }
        }
    }

    pub(super) fn path(&self, text: &str) -> PathBuf {
        // Without the `.` in `./state`, which would stand in every path that is shown.
        self.base.join(text).components().collect()
    }

    pub(super) fn existing(&mut self, key: &str, text: &str) -> PathBuf {
        let path = self.path(text);
        if !path.is_file() {
            self.wrong(key, format!("`{}` is not a file", path.display()), None);
        }
        path
    }

    /// A bundle of authorities.
    pub(super) fn bundle(&mut self, key: &str, text: &str) -> PathBuf {
        self.vouching(key, text, |path| AuthorityFiles { clients: vec![path], ..AuthorityFiles::default() })
    }

    /// A file with revocation lists.
    pub(super) fn revocation_list(&mut self, key: &str, text: &str) -> PathBuf {
        self.vouching(key, text, |path| AuthorityFiles { crls: vec![path], ..AuthorityFiles::default() })
    }

    fn vouching(&mut self, key: &str, text: &str, meant: impl FnOnce(PathBuf) -> AuthorityFiles) -> PathBuf {
        let path = self.existing(key, text);
        if path.is_file()
            && let Err(error) = Authorities::load(&meant(path.clone()))
        {
            self.wrong(key, error.to_string(), None);
        }
        path
    }

    /// The config file, as it is shown.
    pub(super) fn file(&self) -> &str {
        &self.file
    }

    /// The line and column of a key.
    pub(super) fn place(&self, key: &str) -> (u64, u64) {
        locate(self.text, key)
    }

    /// Notes what is legal but probably not meant.
    pub(super) fn warn(&mut self, message: String) {
        self.warnings.push(message);
    }

    /// Notes a mistake at the line of its key.
    pub(super) fn wrong(&mut self, key: &str, message: String, hint: Option<&str>) {
        let place = locate(self.text, key);
        self.note(place, key, message, hint);
    }

    /// The same, for a key in an item of a list: `nth` items before it have the key `at`, by which it is found.
    pub(super) fn wrong_nth(
        &mut self,
        list: &str,
        at: &str,
        nth: usize,
        key: &str,
        message: String,
        hint: Option<&str>,
    ) {
        let found = locate_nth(self.text, list, at, nth);
        let place = found.map_or_else(|| locate(self.text, list), |at| line_and_column(self.text, at));
        self.note(place, &format!("{list}.{key}"), message, hint);
    }

    fn note(&mut self, (line, column): (u64, u64), key: &str, message: String, hint: Option<&str>) {
        let mistake = Diagnostic::at(&self.file, line, column, key, message);
        self.mistakes.push(match hint {
            Some(hint) => mistake.with_hint(hint),
            None => mistake,
        });
    }
}

/// Finds the place of a key that stands in several items of a list.
fn locate_nth(text: &str, list: &str, key: &str, nth: usize) -> Option<usize> {
    let mut from = 0;
    for part in list.split('.') {
        from = find_key(text, part, from)? + part.len();
    }
    let mut at = find_key(text, key, from)?;
    for _ in 0..nth {
        at = find_key(text, key, at + key.len())?;
    }
    Some(at)
}

/// The line and column of a byte, from 1.
fn line_and_column(text: &str, at: usize) -> (u64, u64) {
    let before = text.get(..at).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (line as u64, column as u64)
}

/// Finds where a key such as `gate.limits.drain` is written: its parts in order, each after the one
/// before. The top of the file when a part is not written at all.
fn locate(text: &str, key: &str) -> (u64, u64) {
    let mut from = 0;
    let mut found = None;
    for part in key.split('.') {
        let Some(at) = find_key(text, part, from) else { break };
        found = Some(at);
        from = at + part.len();
    }
    found.map_or((1, 1), |at| line_and_column(text, at))
}

/// The next place where a word stands as a key: followed by a colon, and not in a comment.
fn find_key(text: &str, word: &str, from: usize) -> Option<usize> {
    let mut at = from;
    while let Some(found) = text.get(at..)?.find(word) {
        let start = at + found;
        let end = start + word.len();
        let free = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric() && c != '_');
        let line = text.get(..start)?.rsplit('\n').next()?;
        let is_key = free(line.chars().last())
            && text.get(end..)?.trim_start_matches(['"', '\'']).starts_with(':')
            && !line.contains('#');
        if is_key {
            return Some(start);
        }
        at = end;
    }
    None
}
