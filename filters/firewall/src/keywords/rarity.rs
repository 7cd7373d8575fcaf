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

/// Where the four bytes of a keyword stand that are seen least.
pub(super) fn rarest(keyword: &[u8]) -> usize {
    let grams = keyword.windows(GRAM).enumerate();
    grams.min_by_key(|(_, gram)| (weight(gram), letters(gram))).map_or(0, |(at, _)| at)
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
