//! A mistake in a file that a person wrote: what, where, what was expected, what to write instead.

use std::fmt;

use serde::Serialize;

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// The file, as the person named it.
    pub file: String,
    /// Line, from 1; 0 when it concerns the whole file.
    pub line: u64,
    /// Column, from 1; 0 when it concerns the whole file.
    pub column: u64,
    /// The key, such as `gate.listen`; empty where there is none.
    pub key: String,
    /// What is wrong, and what was expected.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

impl Diagnostic {
    /// A mistake at a place.
    #[must_use]
    pub fn at(file: &str, line: u64, column: u64, key: impl Into<String>, message: impl Into<String>) -> Self {
        Self { file: file.to_owned(), line, column, key: key.into(), message: message.into(), hint: None }
    }

    /// Adds what to do.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        f.write_str(": ")?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.message)?;
        if let Some(hint) = &self.hint {
            write!(f, " ({hint})")?;
        }
        Ok(())
    }
}

/// The candidate that a word was probably meant to be: at most a third of its letters differ.
#[must_use]
pub fn nearest<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    candidates
        .into_iter()
        .map(|candidate| (distance(word, candidate), candidate))
        .min()
        .filter(|(distance, candidate)| distance * 3 <= candidate.len().max(word.len()).max(3))
        .map(|(_, candidate)| candidate)
}

/// How many letters have to be added, removed or replaced (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().take(64).enumerate() {
        let mut before = i;
        let mut left = i + 1;
        let mut next = vec![left];
        for (y, above) in b.iter().zip(row.iter().skip(1)) {
            left = (left + 1).min(above + 1).min(before + usize::from(x != *y));
            before = *above;
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

/// Splits the message of a YAML reader into what is wrong and, for an unknown key, what was probably
/// meant.
#[must_use]
pub fn from_yaml(file: &str, error: &serde_saphyr::Error) -> Diagnostic {
    let (line, column) = error.location().map_or((0, 0), |l| (l.line(), l.column()));
    let plain = error.without_snippet().to_string();
    let text = plain.lines().next().unwrap_or_default();
    let message = strip_location(text).to_owned();
    let hint = unknown_word(&message).and_then(|(word, known)| {
        nearest(word, known.iter().map(String::as_str)).map(|near| format!("did you mean `{near}`?"))
    });
    Diagnostic { file: file.to_owned(), line, column, key: String::new(), message, hint }
}

/// A reader's own `line 3 column 5: ` or ` at line 3, column 5` says twice what the place says.
fn strip_location(text: &str) -> &str {
    let text = text.split(" at line ").next().unwrap_or(text);
    match text.split_once(": ") {
        Some((head, rest)) if head.contains("line ") => rest,
        _ => text,
    }
}

/// The word and the known words of a reader's ``unknown field `x`, expected one of a, b``.
fn unknown_word(message: &str) -> Option<(&str, Vec<String>)> {
    let (_, rest) = message.split_once("unknown ")?;
    let word = rest.split('`').nth(1)?;
    let (_, known) = rest.split_once("expected ")?;
    let known = known.strip_prefix("one of ").unwrap_or(known);
    let known = known.split([',', ' ']).map(|k| k.trim_matches('`')).filter(|k| !k.is_empty() && *k != "or");
    Some((word, known.map(str::to_owned).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_was_meant() {
        assert_eq!(nearest("lisen", ["listen", "limits"]), Some("listen"));
        assert_eq!(nearest("xyz", ["listen", "limits"]), None);
        assert_eq!(nearest("trut", ["trust", "tofu"]), Some("trust"));
    }

    #[test]
    fn names_place_key_and_remedy() {
        let said =
            Diagnostic::at("p.yaml", 3, 5, "gate.listen", "`x` is not an address").with_hint("write `0.0.0.0:8443`");
        assert_eq!(said.to_string(), "p.yaml:3:5: gate.listen: `x` is not an address (write `0.0.0.0:8443`)");
    }
}
