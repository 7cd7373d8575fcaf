//! Versions of Composer.

use super::number::Number;

/// How many numbers a version of Composer has once it is normalised.
const MAX_NUMBERS: usize = 4;

/// What a branch such as `1.x-dev` has for the numbers that it leaves open.
const OPEN: &str = "9999999";

/// A version as Composer normalises it and PHP's `version_compare` then orders it.
/// <https://getcomposer.org/doc/articles/versions.md>
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Composer {
    numbers: Vec<Number>,
    stability: Stability,
    counts: Vec<Number>,
    /// Not on the way to what the rest of it says.
    finished: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stability {
    Dev,
    Alpha,
    Beta,
    Candidate,
    Stable,
    Patch,
}

impl Composer {
    pub(super) fn parse(text: &str) -> Option<Self> {
        // `1.2 as 1.1` stands in for another version, `1.2@dev` says which ones are accepted, `1.2+x` is a build.
        let text = text.split_once(" as ").map_or(text, |(version, _alias)| version);
        let text = text.split(['@', '+']).next().unwrap_or(text).trim().to_ascii_lowercase();
        let text = text.strip_prefix('v').unwrap_or(&text);
        let (text, dev) = match text.strip_suffix("dev") {
            Some(rest) => (rest.strip_suffix(['-', '.', '_']).unwrap_or(rest), true),
            None => (text, false),
        };
        let core = text.find(|c: char| c.is_ascii_alphabetic() && c != 'x').unwrap_or(text.len());
        let (core, modifier) = text.split_at_checked(core)?;
        let core = core.strip_suffix(['-', '_', '.']).unwrap_or(core);
        let numbers = numbers(core, dev)?;
        let (stability, counts) = match modifier {
            "" if dev => return Some(Self { numbers, stability: Stability::Dev, counts: Vec::new(), finished: true }),
            "" => (Stability::Stable, Vec::new()),
            modifier => read_modifier(modifier)?,
        };
        Some(Self { numbers, stability, counts, finished: !dev })
    }

    pub(super) fn is_prerelease(&self) -> bool {
        self.stability < Stability::Stable || !self.finished
    }
}

fn numbers(core: &str, dev: bool) -> Option<Vec<Number>> {
    // A date such as `2010-01-02` has dashes or colons where others have dots, and may have more numbers.
    let dated = core.split(['.', ':', '-']).next().is_some_and(|year| year.len() >= 4);
    let mut open = false;
    let mut numbers = Vec::with_capacity(MAX_NUMBERS);
    for part in core.split(|c| c == '.' || (dated && (c == ':' || c == '-'))) {
        open |= part == "x" && dev && !numbers.is_empty();
        numbers.push(Number::parse(if open { OPEN } else { part })?);
    }
    if !dated && numbers.len() > MAX_NUMBERS {
        return None;
    }
    let missing = Number::parse(if open { OPEN } else { "0" })?;
    // However many zeros are written, it is the same version.
    while numbers.len() < MAX_NUMBERS {
        numbers.push(missing.clone());
    }
    Some(numbers)
}

fn read_modifier(modifier: &str) -> Option<(Stability, Vec<Number>)> {
    let end = modifier.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(modifier.len());
    let (word, counts) = modifier.split_at_checked(end)?;
    let stability = match word {
        "a" | "alpha" => Stability::Alpha,
        "b" | "beta" => Stability::Beta,
        "rc" => Stability::Candidate,
        "stable" => return counts.is_empty().then(|| (Stability::Stable, Vec::new())),
        "p" | "pl" | "patch" => Stability::Patch,
        _ => return None,
    };
    let counts = counts.trim_start_matches(['.', '-']);
    if counts.is_empty() {
        return Some((stability, Vec::new()));
    }
    counts.split(['.', '-']).map(Number::parse).collect::<Option<_>>().map(|counts| (stability, counts))
}
