//! What a diff adds: the lines with `+` of a unified diff, each with its number in the new file.
//!
//! The lines of a hunk are counted, as its head says: a line that is added and looks like the head
//! of a file is a line that is added.

use std::io::{self, BufRead};
use std::sync::Arc;

use crate::cli::decoding::Decoder;

/// The most that may be added to one file, and so the most of a diff that is in memory for each worker.
pub(super) const LARGEST: usize = 64 << 20;

/// What is added to one file.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Patch {
    /// Its name in the diff.
    pub(super) file: Arc<str>,
    /// The commit that adds it, where the diff names one.
    pub(super) commit: Option<Arc<str>>,
    /// The lines. Between two that are not neighbours is an empty one.
    pub(super) added: Vec<u8>,
    /// Of each line of `added`, its number in the new file.
    pub(super) numbers: Vec<u64>,
    /// Whether the diff does not say what changed.
    pub(super) binary: bool,
}

impl Patch {
    /// The text, and whether it is none.
    pub(super) fn text(&self) -> (String, bool) {
        let (mut decoder, rest) = match self.numbers.first() {
            Some(1) => Decoder::new(&self.added),
            _ => (Decoder::new(&[]).0, &self.added[..]),
        };
        let binary = self.binary || decoder.is_binary(rest);
        let mut text = String::new();
        if !binary {
            decoder.push(rest, true, &mut text);
        }
        (text, binary)
    }

    /// The number in the new file of a line of the text.
    pub(super) fn number(&self, line: u64) -> u64 {
        if matches!(&self.added[..], [0xff, 0xfe, ..] | [0xfe, 0xff, ..]) {
            return line; // the bytes of its lines are not those of the diff's
        }
        let index = usize::try_from(line.saturating_sub(1)).unwrap_or(usize::MAX);
        let after = || self.numbers.last().map_or(line, |last| last + 1);
        self.numbers.get(index).copied().unwrap_or_else(after)
    }
}

/// Reads a diff, file by file.
pub(super) struct Patches<R> {
    from: R,
    line: Vec<u8>,
    /// How many lines were read.
    at: u64,
    /// The file that is being read.
    open: Option<Patch>,
    commit: Option<Arc<str>>,
    /// Whether the names of files begin with `a/` and `b/`.
    prefixed: bool,
    /// Whether any line was one of a diff, and whether there was any other.
    known: bool,
    strange: bool,
    over: bool,
}

/// What is left of a hunk.
struct Hunk {
    old: u64,
    new: u64,
    /// The number of the next line of the new file.
    next: u64,
}

impl<R: BufRead> Patches<R> {
    pub(super) fn new(from: R) -> Self {
        let (line, known, strange) = (Vec::new(), false, false);
        Self { from, line, at: 0, open: None, commit: None, prefixed: false, known, strange, over: false }
    }

    /// The next line, without its end.
    fn line(&mut self) -> io::Result<Option<&[u8]>> {
        self.line.clear();
        let most = LARGEST as u64 + 2;
        let read = io::Read::take(&mut self.from, most).read_until(b'\n', &mut self.line)?;
        self.at += 1;
        if read as u64 == most {
            return Err(self.wrong("is too long to be judged"));
        }
        if self.line.last() == Some(&b'\n') {
            self.line.pop();
        }
        Ok((read > 0).then_some(&self.line))
    }

    fn wrong(&self, what: &str) -> io::Error {
        io::Error::new(io::ErrorKind::InvalidData, format!("line {} of the diff {what}", self.at))
    }

    /// Reads on to the end of a file's changes.
    fn file(&mut self) -> io::Result<Option<Patch>> {
        loop {
            let prefixed = self.prefixed;
            let Some(line) = self.line()? else {
                self.over = true;
                if self.strange && !self.known {
                    let what = "this is no unified diff, expected what `git diff` or `diff -u` prints";
                    return Err(io::Error::new(io::ErrorKind::InvalidData, what));
                }
                return Ok(self.open.take());
            };
            let heads: [&[u8]; 4] = [b"diff ", b"--- ", b"+++ ", b"Binary files "];
            let head = heads.iter().any(|head| line.starts_with(head));
            let strange = !line.trim_ascii().is_empty();
            (self.known, self.strange) = (self.known || head, self.strange || strange);
            let line = self.line.as_slice();
            if line.starts_with(b"diff --git ") {
                self.prefixed = true;
                if let Some(done) = self.open.take() {
                    return Ok(Some(done));
                }
            } else if let Some(name) = line.strip_prefix(b"commit ") {
                let hex = name.split(|byte| *byte == b' ').next().unwrap_or_default();
                if hex.len() >= 40 && hex.iter().all(u8::is_ascii_hexdigit) {
                    let commit = Arc::from(String::from_utf8_lossy(hex));
                    self.known = true;
                    let done = self.open.take();
                    self.commit = Some(commit);
                    if done.is_some() {
                        return Ok(done);
                    }
                }
            } else if let Some(name) = line.strip_prefix(b"--- ") {
                self.prefixed |= name.starts_with(b"a/") || name.starts_with(b"\"a/");
            } else if let Some(name) = line.strip_prefix(b"+++ ") {
                let file = Arc::from(named(name, prefixed));
                let next = Patch { file, commit: self.commit.clone(), ..Patch::default() };
                if let Some(done) = self.open.replace(next) {
                    return Ok(Some(done));
                }
            } else if let Some(names) = line.strip_prefix(b"Binary files ") {
                let names = String::from_utf8_lossy(names);
                let names = names.strip_suffix(" differ").unwrap_or(&names);
                let file = Arc::from(named(names.rsplit(" and ").next().unwrap_or(names).as_bytes(), prefixed));
                let done =
                    self.open.replace(Patch { file, commit: self.commit.clone(), binary: true, ..Patch::default() });
                if done.is_some() {
                    return Ok(done);
                }
            } else if line.starts_with(b"@@@") {
                return Err(self.wrong("is of a combined diff, which only names what no parent has"));
            } else if line.starts_with(b"@@ ") {
                let hunk = Hunk::read(line).ok_or_else(|| self.wrong("is no head of a hunk"))?;
                self.hunk(hunk)?;
            }
        }
    }

    /// Reads the lines of a hunk.
    fn hunk(&mut self, mut left: Hunk) -> io::Result<()> {
        let mut patch = self.open.take().ok_or_else(|| self.wrong("begins a hunk of no file"))?;
        while left.old > 0 || left.new > 0 {
            let Some(line) = self.line()? else {
                return Err(self.wrong("is missing: it ends within a hunk"));
            };
            match line.split_first() {
                Some((b'+', added)) if left.new > 0 => {
                    if patch.added.len() + 8 * patch.numbers.len() + added.len() > LARGEST {
                        return Err(self.wrong("makes what is added to one file too long to be judged"));
                    }
                    if patch.numbers.last().is_some_and(|last| last + 1 != left.next) {
                        patch.added.push(b'\n');
                        patch.numbers.push(left.next);
                    }
                    patch.added.extend_from_slice(added);
                    patch.added.push(b'\n');
                    patch.numbers.push(left.next);
                    left.new -= 1;
                    left.next += 1;
                }
                Some((b'-', _)) if left.old > 0 => left.old -= 1,
                Some((b' ', _)) | None if left.old > 0 && left.new > 0 => {
                    left.old -= 1;
                    left.new -= 1;
                    left.next += 1;
                }
                Some((b'\\', _)) => {}
                _ => return Err(self.wrong("does not fit into its hunk")),
            }
        }
        self.open = Some(patch);
        Ok(())
    }
}

impl<R: BufRead> Iterator for Patches<R> {
    type Item = io::Result<Patch>;

    /// The next file to which something is added.
    fn next(&mut self) -> Option<Self::Item> {
        while !self.over {
            match self.file() {
                Ok(Some(patch)) if patch.added.is_empty() && !patch.binary => {}
                Ok(Some(patch)) => return Some(Ok(patch)),
                Ok(None) => {}
                Err(error) => {
                    self.over = true;
                    return Some(Err(error));
                }
            }
        }
        None
    }
}

impl Hunk {
    /// Reads `@@ -1,2 +3,4 @@`.
    fn read(line: &[u8]) -> Option<Self> {
        let line =
            std::str::from_utf8(line.get(..line.len().min(80))?.utf8_chunks().next()?.valid().as_bytes()).ok()?;
        let mut words = line.strip_prefix("@@ -")?.split(' ');
        let (_, old) = range(words.next()?)?;
        let (next, new) = range(words.next()?.strip_prefix('+')?)?;
        (words.next()? == "@@").then_some(Self { old, new, next })
    }
}

/// Reads `3,4`, or `3` for one line.
fn range(text: &str) -> Option<(u64, u64)> {
    let (from, count) = text.split_once(',').unwrap_or((text, "1"));
    Some((from.parse().ok()?, count.parse().ok()?))
}

/// The name of a file as a diff spells it: with a prefix, perhaps quoted, perhaps with a time after it.
fn named(spelt: &[u8], prefixed: bool) -> String {
    // A tab in a name is quoted.
    let spelt = spelt.split(|byte| *byte == b'\t').next().unwrap_or_default();
    let name = match spelt.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")) {
        Some(quoted) => unquoted(quoted),
        None => spelt.to_vec(),
    };
    let name = String::from_utf8_lossy(&name).into_owned();
    match name.strip_prefix("b/") {
        Some(rest) if prefixed => rest.to_owned(),
        _ => name,
    }
}

/// Undoes the quoting of C.
fn unquoted(quoted: &[u8]) -> Vec<u8> {
    let mut bytes = quoted.iter().copied().peekable();
    let mut name = Vec::new();
    while let Some(byte) = bytes.next() {
        name.push(match (byte, bytes.peek()) {
            (b'\\', Some(b'0'..=b'3')) => {
                let digits = std::iter::from_fn(|| bytes.next_if(|b| (b'0'..=b'7').contains(b))).take(3);
                digits.fold(0u8, |byte, digit| byte.wrapping_mul(8).wrapping_add(digit - b'0'))
            }
            (b'\\', Some(_)) => match bytes.next() {
                Some(b'n') => b'\n',
                Some(b't') => b'\t',
                Some(b'r') => b'\r',
                Some(other) => other,
                None => b'\\',
            },
            _ => byte,
        });
    }
    name
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(diff: &str) -> Vec<Patch> {
        Patches::new(diff.as_bytes()).collect::<io::Result<_>>().unwrap()
    }

    #[test]
    fn added_lines_have_their_numbers() {
        let diff = "diff --git a/x b/x\nindex 1..2\n--- a/x\n+++ b/x\n@@ -1,2 +1,3 @@ fn\n one\n+two\n three\n@@ -9 +10,2 @@\n-old\n\
                    +++ b/new\n+last\n\\ No newline at end of file\ndiff --git a/gone b/gone\n--- a/gone\n+++ /dev/null\n@@ -1 +0,0 @@\n-x\n\
                    diff --git a/p b/p\nBinary files /dev/null and b/p differ\n";
        let patches = all(diff);
        assert_eq!(patches.len(), 2);
        assert_eq!(&*patches[0].file, "x");
        assert_eq!(String::from_utf8_lossy(&patches[0].added), "two\n\n++ b/new\nlast\n");
        assert_eq!(patches[0].numbers, [2, 10, 10, 11]);
        assert!(patches[1].binary && &*patches[1].file == "p");
    }

    #[test]
    fn names_are_as_on_the_disk() {
        assert_eq!(named(b"b/src/a b.rs", true), "src/a b.rs");
        assert_eq!(named(br#""b/na\303\257ve\t\"x\".md""#, true), "naïve\t\"x\".md");
        assert_eq!(named(b"\"b/a \\\"b\"\t", true), "a \"b");
        assert_eq!(named(b"b/x\t2026-11-21 10:00:00", false), "b/x");
    }

    #[test]
    fn what_does_not_fit_is_no_diff() {
        for diff in [
            "@@ -1 +1 @@\n-a\n+b\n",
            "+++ b/x\n@@ -1 +1,2 @@\n-a\n+b\n",
            "+++ b/x\n@@ -1 +1 @@\n?\n",
            "+++ b/x\n@@@ -1 -1 +1 @@@\n++b\n",
            "key = \"a\"\n",
            "1c1\n< a\n---\n> b\n",
        ] {
            assert!(Patches::new(diff.as_bytes()).any(|patch| patch.is_err()), "{diff}");
        }
    }

    #[test]
    fn a_diff_may_say_nothing() {
        let commit = format!("commit {}\nAuthor: a\n\n    b\n", "0".repeat(40));
        for diff in ["", "\n", "diff --git a/x b/x\nold mode 100644\nnew mode 100755\n", &commit] {
            assert_eq!(all(diff), [], "{diff}");
        }
    }

    #[test]
    fn a_whole_file_in_utf_16_is_read() {
        let patch = Patch { added: b"\xff\xfea\0\n\0".to_vec(), numbers: vec![1, 2], ..Patch::default() };
        assert_eq!((patch.text(), patch.number(2)), (("a\n".to_owned(), false), 2));
    }

    proptest! {
        #[test]
        fn every_added_line_is_told(lines in proptest::collection::vec(("[+ -]", "[-+@ a-z\\\\]{0,12}"), 1..20), at in 1u64..1000) {
            let (old, new) = lines.iter().fold((0, 0), |(old, new), (sign, _)| match sign.as_str() {
                "+" => (old, new + 1),
                "-" => (old + 1, new),
                _ => (old + 1, new + 1),
            });
            let mut diff = format!("diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -{at},{old} +{at},{new} @@\n");
            let (mut number, mut expected) = (at, Vec::new());
            for (sign, line) in &lines {
                diff.push_str(&format!("{sign}{line}\n"));
                if sign == "+" {
                    expected.push((number, line.clone()));
                }
                number += u64::from(sign != "-");
            }
            let mut told = Vec::new();
            for patch in all(&diff) {
                let text = String::from_utf8(patch.added).unwrap();
                let lines: Vec<_> = patch.numbers.iter().copied().zip(text.lines().map(str::to_owned)).collect();
                told.extend(lines.iter().enumerate().filter(|(n, (number, _))| {
                    lines.get(n + 1).is_none_or(|(next, _)| next != number)
                }).map(|(_, line)| line.clone()));
            }
            prop_assert_eq!(told, expected);
        }

        #[test]
        fn nothing_breaks_it(bytes in proptest::collection::vec(prop_oneof![Just(b"@@ -1,2 +1,2 @@\n".to_vec()), Just(b"+++ b/x\n".to_vec()), Just(b"Binary files \n".to_vec()), Just(b"diff --git \"\n".to_vec()), proptest::collection::vec(any::<u8>(), 0..9)], 0..12)) {
            let _ = Patches::new(&bytes.concat()[..]).collect::<Vec<_>>();
        }
    }
}
