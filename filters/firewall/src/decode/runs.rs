//! Long runs of characters that encodings are made of, found without looking at every byte.

use std::ops::Range;

use super::Set;
use crate::scan::Exhausted;

/// Calls `found` for every run of at least `least` bytes. Of a text without any, about one byte in `least`
/// is looked at. `found` says how far it has read.
pub(super) fn each(
    text: &[u8],
    least: usize,
    set: &Set,
    found: &mut dyn FnMut(Range<usize>) -> Result<usize, Exhausted>,
) -> Result<(), Exhausted> {
    let mut floor = 0;
    let mut at = least - 1;
    while let Some(byte) = text.get(at) {
        if !set.has(*byte) {
            at += least;
            continue;
        }
        let before = text.get(floor..at).unwrap_or_default();
        let start = at - before.iter().rev().take_while(|byte| set.has(**byte)).count();
        let after = text.get(at..).unwrap_or_default();
        let mut end = at + after.iter().take_while(|byte| set.has(**byte)).count();
        if end - start >= least {
            end = found(start..end)?.max(end);
        }
        floor = end;
        at = end + least - 1;
    }
    Ok(())
}
