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

/// The candidate that a word was probably meant to be: at most a third of its letters differ. None where the
/// word is so short that several are as near: who writes `L7` meant none of `L0` to `L4` more than another.
#[must_use]
pub fn nearest<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let mut near: Vec<_> = candidates.into_iter().map(|candidate| (distance(word, candidate), candidate)).collect();
    near.sort_unstable();
    near.dedup();
    let (least, nearest) = *near.first()?;
    let tied = near.get(1).is_some_and(|(next, _)| *next == least);
    let short = word.chars().count() <= SHORT && least > 0;
    let is_near = least * 3 <= nearest.len().max(word.len()).max(3);
    (is_near && !(tied && short)).then_some(nearest)
}

/// Of so many letters, one that differs leaves no more of a word than chance does.
const SHORT: usize = 3;

/// How many letters have to be added, removed, replaced, or swapped with their neighbours (Damerau and Levenshtein, each
/// letter in one swap at most).
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().take(64).collect(), b.chars().take(64).collect());
    let mut row: Vec<usize> = (0..=b.len()).collect();
    // The row before that, and the letter that it belongs to.
    let mut earlier: Option<(char, Vec<usize>)> = None;
    for (i, x) in a.iter().enumerate() {
        let mut before = i;
        let mut left = i + 1;
        let mut next = vec![left];
        let mut last: Option<char> = None;
        for (j, (y, above)) in b.iter().zip(row.iter().skip(1)).enumerate() {
            left = (left + 1).min(above + 1).min(before + usize::from(x != y));
            if let Some((swapped, two_rows_up)) = &earlier
                && (swapped, last) == (y, Some(*x))
                && let Some(cost) = j.checked_sub(1).and_then(|j| two_rows_up.get(j))
            {
                left = left.min(cost + 1);
            }
            (before, last) = (*above, Some(*y));
            next.push(left);
        }
        earlier = Some((*x, std::mem::replace(&mut row, next)));
    }
    row.last().copied().unwrap_or_default()
}

/// Turns a YAML reader's message about this text into what is wrong and what to write: for an unknown key what was
/// probably meant, for a word in the place of a list or a map how that is written.
#[must_use]
pub fn from_yaml(file: &str, text: &str, error: &serde_saphyr::Error) -> Diagnostic {
    let (line, column) = error.location().map_or((0, 0), |l| (l.line(), l.column()));
    let plain = error.without_snippet().to_string();
    let said = strip_location(plain.lines().next().unwrap_or_default());
    let near = unknown_word(said).and_then(|(word, known)| {
        nearest(word, known.iter().map(String::as_str)).map(|near| format!("did you mean `{near}`?"))
    });
    let (message, hint) = match shape(said, Entry::at(text, line, column).as_ref()) {
        Some((message, hint)) => (message, Some(hint)),
        None => (said.to_owned(), near),
    };
    Diagnostic { file: file.to_owned(), line, column, key: String::new(), message, hint }
}

/// What a reader says where one thing stands in the place of another, in words, and what to write.
fn shape(said: &str, entry: Option<&Entry<'_>>) -> Option<(String, String)> {
    let key = entry.map_or("KEY", |entry| entry.key);
    if let Some(twice) = said.strip_prefix("duplicate mapping key: ") {
        let twice = twice.split(", set ").next().unwrap_or(twice);
        return Some((format!("the key `{twice}` stands twice"), "keep one of them".to_owned()));
    }
    let value = entry.map(|entry| entry.value).filter(|value| !value.is_empty());
    let found = value.map_or_else(String::new, |value| format!("`{value}` stands where "));
    Some(match said {
        "expected sequence start" => {
            let items = value.unwrap_or("a, b");
            (format!("{found}a list is expected"), format!("write `{key}: [{items}]`"))
        }
        "expected mapping start" => (
            format!("{found}a map is expected"),
            format!("write `{key}: {{NAME: VALUE}}`, or one `NAME: VALUE` a line"),
        ),
        "expected string key for externally tagged enum" | "externally tagged enum expected scalar or mapping" => {
            let word = entry.map(|entry| entry.listed).filter(|listed| !listed.is_empty()).unwrap_or("WORD");
            ("one word is expected".to_owned(), format!("write `{key}: {word}`"))
        }
        "invalid u64" | "invalid u32" | "invalid u8" | "invalid usize" => {
            (format!("{found}a whole number is expected"), format!("write `{key}: 10`"))
        }
        _ => return None,
    })
}

/// A key with its value, as they stand on one line.
pub struct Entry<'t> {
    /// The key.
    pub key: &'t str,
    /// The value, if it is a plain word or path; else empty.
    pub value: &'t str,
    /// The first word of the list that is the value, if it is one of such; else empty.
    pub listed: &'t str,
}

impl<'t> Entry<'t> {
    /// The one whose value begins at this place, line and column from 1.
    #[must_use]
    pub fn at(text: &'t str, line: u64, column: u64) -> Option<Self> {
        let line = text.lines().nth(usize::try_from(line.checked_sub(1)?).ok()?)?;
        let (at, _) = line.char_indices().nth(usize::try_from(column.checked_sub(1)?).ok()?)?;
        let (before, after) = line.split_at_checked(at)?;
        let key = before.trim_end().strip_suffix(':')?;
        let key = key.rsplit([' ', '{', ',', '\t']).next().unwrap_or(key).trim_matches(['"', '\'']);
        let is_key = !key.is_empty() && key.len() <= 64;
        let word = |c: char| c.is_ascii_alphanumeric() || "_./*-".contains(c);
        let value = after.split(['#', ',', '}']).next().unwrap_or_default().trim_end();
        let listed = value.strip_prefix('[').map(|list| list.trim_end_matches(']').trim());
        let plain = |value: &str| value.len() <= 64 && value.chars().all(word);
        Some(Self {
            key,
            value: if plain(value) { value } else { "" },
            listed: listed.filter(|value| plain(value)).unwrap_or_default(),
        })
        .filter(|_| is_key)
    }
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
        assert_eq!(nearest("hihg", ["critical", "high", "low", "medium"]), Some("high"));
        for (a, b, far) in [("ab", "ba", 1), ("abcd", "badc", 2), ("ca", "abc", 3), ("", "abc", 3), ("same", "same", 0)]
        {
            assert_eq!((distance(a, b), distance(b, a)), (far, far), "{a} {b}");
        }
    }

    #[test]
    fn short_words_that_are_as_near_to_several_mean_none() {
        assert_eq!(nearest("L7", ["L0", "L1", "L2", "L3", "L4"]), None);
        assert_eq!(nearest("of", ["off", "flag"]), Some("off"));
        assert_eq!(nearest("L3", ["L0", "L3", "L4"]), Some("L3"));
    }

    #[test]
    fn what_a_reader_says_becomes_what_to_write() {
        #[derive(Debug, serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Outer {
            list: Option<Vec<String>>,
            map: Option<std::collections::BTreeMap<String, String>>,
            number: Option<u64>,
            word: Option<Word>,
        }
        #[derive(Debug, serde::Deserialize)]
        #[serde(rename_all = "lowercase")]
        enum Word {
            High,
        }
        for (text, said) in [
            ("list: a.toml\n", "p.yaml:1:7: `a.toml` stands where a list is expected (write `list: [a.toml]`)"),
            ("{list: \"a b\"}\n", "p.yaml:1:8: a list is expected (write `list: [a, b]`)"),
            (
                "\nmap: word # here\n",
                "p.yaml:2:6: `word` stands where a map is expected (write `map: {NAME: VALUE}`, or one `NAME: VALUE` a line)",
            ),
            ("number: many\n", "p.yaml:1:9: `many` stands where a whole number is expected (write `number: 10`)"),
            ("{word: [high]}\n", "p.yaml:1:8: one word is expected (write `word: high`)"),
            ("word: [high, low]\n", "p.yaml:1:7: one word is expected (write `word: high`)"),
            ("list: [a]\nlist: [b]\n", "p.yaml:2:1: the key `list` stands twice (keep one of them)"),
        ] {
            let error = serde_saphyr::from_str::<Outer>(text).unwrap_err();
            assert_eq!(from_yaml("p.yaml", text, &error).to_string(), said);
        }
        let read: Outer = serde_saphyr::from_str("list: [a]\nmap: {b: c}\nnumber: 1\nword: high\n").unwrap();
        assert!(matches!(read.word, Some(Word::High)));
        assert!(read.list.is_some() && read.map.is_some() && read.number.is_some());
    }

    #[test]
    fn names_place_key_and_remedy() {
        let said =
            Diagnostic::at("p.yaml", 3, 5, "gate.listen", "`x` is not an address").with_hint("write `0.0.0.0:8443`");
        assert_eq!(said.to_string(), "p.yaml:3:5: gate.listen: `x` is not an address (write `0.0.0.0:8443`)");
    }
}
