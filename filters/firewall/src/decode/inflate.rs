//! What was compressed: gzip, zlib. Bounded by what may still be decoded.

use std::io::Read;

use flate2::read::{MultiGzDecoder, ZlibDecoder};

use super::Budget;
use crate::scan::Exhausted;

/// What compressed bytes say, or nothing where they are not compressed. What is broken off says as much as it says.
pub(super) fn inflate(bytes: &[u8], budget: &Budget) -> Result<Option<Vec<u8>>, Exhausted> {
    match bytes {
        _ if !is_packed(bytes) => Ok(None),
        [0x78, ..] => read(ZlibDecoder::new(bytes), budget),
        _ => read(MultiGzDecoder::new(bytes), budget),
    }
}

/// Whether bytes begin like compressed ones.
pub(super) fn is_packed(bytes: &[u8]) -> bool {
    match bytes {
        [0x1F, 0x8B, 8, ..] => true,
        // The header is a multiple of 31 (RFC 1950).
        [first @ 0x78, second, ..] => (u16::from(*first) << 8 | u16::from(*second)).is_multiple_of(31),
        _ => false,
    }
}

fn read(decoder: impl Read, budget: &Budget) -> Result<Option<Vec<u8>>, Exhausted> {
    let most = budget.left();
    let mut made = Vec::new();
    // What was read before an error stays.
    let _ = decoder.take(most as u64 + 1).read_to_end(&mut made);
    if made.len() > most {
        return Err(Exhausted);
    }
    Ok(Some(made).filter(|made| !made.is_empty()))
}
