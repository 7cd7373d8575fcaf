//! How many bytes of a kind there are.

/// How many bytes are so. They are added up in parts that a byte counts, so that many are looked at together.
#[inline(always)]
pub(crate) fn count(bytes: &[u8], is: impl Fn(u8) -> bool) -> usize {
    let parts = bytes.chunks(u8::MAX.into());
    parts.map(|part| usize::from(part.iter().map(|byte| u8::from(is(*byte))).sum::<u8>())).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_byte_counts_once() {
        for size in [0, 1, 254, 255, 256, 510, 511, 4096] {
            let bytes: Vec<u8> = (0..size).map(|at| (at % 3) as u8).collect();
            assert_eq!(count(&bytes, |byte| byte != 1), bytes.iter().filter(|byte| **byte != 1).count());
            assert_eq!(count(&bytes, |_| true), size);
        }
    }
}
