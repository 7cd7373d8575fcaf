//! Versions of RubyGems.

use std::cmp::Ordering;

use super::number::Number;

/// How the name of a platform begins that a lock file appends to a version: `1.15.0-x86_64-linux`.
const PLATFORMS: [&str; 14] = [
    "aarch64",
    "arm",
    "i386",
    "i686",
    "java",
    "jruby",
    "mingw",
    "mswin",
    "powerpc",
    "ruby",
    "universal",
    "x64",
    "x86",
    "riscv64",
];

/// A version as `Gem::Version` orders it: numbers and words, where a word comes before every number and what is
/// missing is 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Gem(Vec<Segment>);

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Segment {
    Word(Box<str>),
    Number(Number),
}

impl Gem {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let text = text.strip_prefix(['v', 'V']).unwrap_or(text);
        let (text, dashed) = match text.split_once('-') {
            Some((version, platform)) if PLATFORMS.iter().any(|name| platform.starts_with(name)) => (version, None),
            Some((version, rest)) => (version, Some(rest)),
            None => (text, None),
        };
        let mut segments = Vec::new();
        if !text.starts_with(|c: char| c.is_ascii_digit()) {
            return None;
        }
        for part in text.split('.') {
            read_part(part, &mut segments)?;
        }
        if let Some(rest) = dashed {
            segments.push(Segment::Word("pre".into()));
            for part in rest.split(['.', '-']) {
                read_part(part, &mut segments)?;
            }
        }
        Some(Self(canonical(segments)))
    }

    pub(super) fn is_prerelease(&self) -> bool {
        self.0.iter().any(|segment| matches!(segment, Segment::Word(_)))
    }
}

/// The runs of digits and of letters in what stands between two dots.
fn read_part(part: &str, segments: &mut Vec<Segment>) -> Option<()> {
    if part.is_empty() || !part.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return None;
    }
    let mut rest = part;
    while let Some(first) = rest.chars().next() {
        let digits = first.is_ascii_digit();
        let end = rest.find(|c: char| c.is_ascii_digit() != digits).unwrap_or(rest.len());
        let (run, after) = rest.split_at_checked(end)?;
        segments.push(if digits { Segment::Number(Number::parse(run)?) } else { Segment::Word(run.into()) });
        rest = after;
    }
    Some(())
}

/// Without the zeros before the first word and those at the end.
fn canonical(mut segments: Vec<Segment>) -> Vec<Segment> {
    let words = segments.iter().position(|segment| matches!(segment, Segment::Word(_))).unwrap_or(segments.len());
    let mut tail = segments.split_off(words);
    for part in [&mut segments, &mut tail] {
        while matches!(part.last(), Some(Segment::Number(number)) if number.is_zero()) {
            part.pop();
        }
    }
    segments.append(&mut tail);
    segments
}

impl PartialOrd for Gem {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Gem {
    fn cmp(&self, other: &Self) -> Ordering {
        let zero = Segment::Number(Number::default());
        let longest = self.0.len().max(other.0.len());
        let at = |gem: &'_ Self, i| gem.0.get(i).unwrap_or(&zero).clone();
        (0..longest).map(|i| at(self, i).cmp(&at(other, i))).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
    }
}
