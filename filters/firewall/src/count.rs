//! How many bytes of a kind there are, told of many at once.

/// As many are looked at together, where not all need be.
const TOGETHER: usize = 64;

/// How many bytes are so. They are added up in parts that a byte counts, so that many are looked at together.
#[inline(always)]
pub(crate) fn count(bytes: &[u8], is: impl Fn(u8) -> bool) -> usize {
    let parts = bytes.chunks(u8::MAX.into());
    parts.map(|part| usize::from(part.iter().map(|byte| u8::from(is(*byte))).sum::<u8>())).sum()
}

/// Whether any byte is so.
#[inline(always)]
pub(crate) fn any(bytes: &[u8], is: impl Fn(u8) -> bool) -> bool {
    bytes.chunks(TOGETHER).any(|part| part.iter().fold(false, |any, byte| any | is(*byte)))
}

/// How many bytes at the end are so.
#[inline(always)]
pub(crate) fn count_last(bytes: &[u8], is: impl Fn(u8) -> bool) -> usize {
    let mut count = 0;
    for part in bytes.rchunks(TOGETHER) {
        if !part.iter().fold(true, |all, byte| all & is(*byte)) {
            return count + part.iter().rev().take_while(|byte| is(**byte)).count();
        }
        count += part.len();
    }
    count
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn all_are_looked_at(bytes in prop::collection::vec(0u8..3, 0..200), of in 1u8..4) {
            let bytes: Vec<u8> = bytes.into_iter().map(|byte| byte / of).collect();
            prop_assert_eq!(super::any(&bytes, |byte| byte > 0), bytes.iter().any(|byte| *byte > 0));
            let last = bytes.iter().rev().take_while(|byte| **byte == 0).count();
            prop_assert_eq!(count_last(&bytes, |byte| byte == 0), last);
        }
    }

    #[test]
    fn each_byte_counts_once() {
        for size in [0, 1, 254, 255, 256, 510, 511, 4096] {
            let bytes: Vec<u8> = (0..size).map(|at| (at % 3) as u8).collect();
            assert_eq!(count(&bytes, |byte| byte != 1), bytes.iter().filter(|byte| **byte != 1).count());
            assert_eq!(count(&bytes, |_| true), size);
        }
    }
}
