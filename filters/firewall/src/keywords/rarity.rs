//! Which four bytes of a keyword are seen least, by how often four bytes are seen in published sources and their
//! documentation.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::{GRAM, SMALL};

/// The commonest four bytes, the commonest first, without the bit that makes letters small: so a line's end is `*`. A
/// space is written `·`.
const COMMON: &str = include_str!("common.txt");

/// Of each of them, how common it is: the higher the commoner.
static WEIGHTS: LazyLock<HashMap<u32, u32>> = LazyLock::new(|| {
    let gram = |written: &str| Some(u32::from_le_bytes(*written.replace('·', " ").as_bytes().first_chunk()?));
    COMMON.split_whitespace().filter_map(gram).zip((10u32..).map(|rank| 10_000_000 / rank)).collect()
});

/// The commonest four bytes, and how common they are.
pub(super) fn common() -> impl Iterator<Item = (u32, u32)> {
    WEIGHTS.iter().map(|(gram, weight)| (*gram, *weight))
}

/// Where the four bytes of a keyword stand that are seen least; where the sources do not tell, which the fewest others
/// have.
pub(super) fn rarest(keyword: &[u8], shared: &Shared<'_>) -> usize {
    let grams = keyword.windows(GRAM).enumerate();
    grams.min_by_key(|(_, gram)| (weight(gram), letters(gram), shared.of(gram))).map_or(0, |(at, _)| at)
}

/// How many times keywords have four bytes that are not ASCII.
pub(super) struct Shared<'k>(HashMap<&'k [u8], u32>);

impl<'k> Shared<'k> {
    pub(super) fn new(keywords: impl Iterator<Item = &'k [u8]>) -> Self {
        let mut times = HashMap::new();
        for gram in keywords.filter(|keyword| !keyword.is_ascii()).flat_map(|keyword| keyword.windows(GRAM)) {
            *times.entry(gram).or_default() += 1;
        }
        Self(times)
    }

    fn of(&self, gram: &[u8]) -> u32 {
        self.0.get(gram).copied().unwrap_or(0)
    }
}

fn weight(gram: &[u8]) -> u32 {
    let gram = gram.first_chunk().map_or(0, |gram| u32::from_le_bytes(*gram));
    WEIGHTS.get(&(gram | SMALL)).copied().unwrap_or(0)
}

/// Roughly how often its bytes are seen: ten times the logarithm of each.
fn letters(gram: &[u8]) -> u32 {
    let commonness = |byte: &u8| match byte.to_ascii_lowercase() {
        b' ' => 72,
        b'e' => 67,
        b't' | b'a' | b'o' | b'i' | b'n' | b's' | b'r' => 62,
        b'l' | b'c' | b'd' | b'u' | b'm' | b'p' => 56,
        b'f' | b'h' | b'g' | b'_' | b'b' | b'\n' | b'=' | b'-' | b'/' | b'.' | b':' | b'"' => 50,
        b'y' | b'w' | b'v' | b'k' | b'x' | b'(' | b')' | b',' => 45,
        b'0' | b'1' | b'2' => 42,
        b'j' | b'q' | b'z' | b'3'..=b'9' => 36,
        0x80.. => 40,
        _ => 30,
    };
    gram.iter().map(commonness).sum()
}
