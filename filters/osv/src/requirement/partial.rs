//! A version with parts left open.

use std::ops::Bound;

use crate::ecosystem::Ecosystem;
use crate::version::Version;

/// How many numbers of a version are read.
const MAX_NUMBERS: usize = 8;

/// What an operator compares with: numbers, of which the last ones may be missing or wild (`1.2`, `1.x`), and labels.
#[derive(Debug)]
pub(super) struct Partial<'t> {
    pub(super) numbers: Vec<u64>,
    /// What follows the numbers, with its dash; empty where nothing does.
    pub(super) labels: &'t str,
    /// Whether a part is wild.
    pub(super) wild: bool,
    /// As it was written, without the `v` before it.
    pub(super) text: &'t str,
}

impl<'t> Partial<'t> {
    pub(super) fn parse(text: &'t str) -> Option<Self> {
        let text = text.strip_prefix(['v', 'V']).unwrap_or(text);
        let text = text.split_once('+').map_or(text, |(version, _build)| version);
        let core =
            text.find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | '*' | 'x' | 'X'))).unwrap_or(text.len());
        // `1.2.rc1` is `1.2` with a label, too.
        let core = text.get(..core).and_then(|core| core.strip_suffix('.')).map_or(core, str::len);
        let (core, labels) = text.split_at_checked(core)?;
        let mut numbers = Vec::new();
        let mut wild = false;
        for part in core.split('.') {
            match part {
                "*" | "x" | "X" => wild = true,
                // npm takes `1.x.3` for `1.x`.
                part if wild => drop(part.parse::<u64>().ok()?),
                part => numbers.push(part.parse().ok()?),
            }
        }
        (numbers.len() <= MAX_NUMBERS).then_some(Self { numbers, labels, wild, text })
    }

    pub(super) fn number(&self, i: usize) -> u64 {
        self.numbers.get(i).copied().unwrap_or_default()
    }

    /// The numbers up to this place, the last of them one higher: the first version of the next run of its kind.
    pub(super) fn next(&self, place: usize) -> Option<Vec<u64>> {
        let mut numbers: Vec<u64> = (0..=place).map(|i| self.number(i)).collect();
        let last = numbers.last_mut()?;
        *last = last.checked_add(1)?;
        Some(numbers)
    }
}

/// A version of these numbers, filled up with zeros to three, and this suffix.
pub(super) fn version(ecosystem: Ecosystem, numbers: &[u64], suffix: &str) -> Option<Version> {
    let mut parts: Vec<String> = numbers.iter().map(u64::to_string).collect();
    while parts.len() < 3 {
        parts.push("0".to_owned());
    }
    Version::parse(ecosystem, &format!("{}{suffix}", parts.join(".")))
}

/// Below this version and all that came before it.
pub(super) fn before(ecosystem: Ecosystem, numbers: &[u64]) -> Option<Bound<Version>> {
    let lowest = match ecosystem {
        Ecosystem::Packagist => "-dev",
        Ecosystem::PyPi => ".dev0",
        Ecosystem::RubyGems => ".A",
        Ecosystem::Maven => "-alpha",
        Ecosystem::CratesIo | Ecosystem::Go | Ecosystem::Npm | Ecosystem::NuGet => "-0",
    };
    version(ecosystem, numbers, lowest).map(Bound::Excluded)
}
