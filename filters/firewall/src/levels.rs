//! How wide a processor reads, for tests: the same text is read in every way that this machine knows.

use fearless_simd::Level;

/// Every level that this machine has, the least one first.
pub(crate) fn levels() -> Vec<Level> {
    let mut levels = vec![Level::baseline()];
    #[cfg(target_arch = "x86_64")]
    {
        use fearless_simd::Simd;
        let best = Level::new();
        levels.extend(best.as_sse4_2().map(Simd::level));
        levels.extend(best.as_avx2().map(Simd::level));
        levels.extend(best.as_avx512().map(Simd::level));
    }
    levels
}
