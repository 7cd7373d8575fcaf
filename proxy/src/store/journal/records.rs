//! The file of one bucket: a header, then the nonces that were made within its 16 seconds. Header and
//! records have one length, so that a record always begins at a multiple of it.
//!
//! A header: 8 bytes of magic, 8 of the journal's name, 8 of the bucket's number, 4 of zeros, 4 of
//! CRC-32. A record: 16 bytes of the nonce's hash, 8 of the node's, 4 of the Unix second at which it was
//! made, 4 of CRC-32. Little-endian.

use std::io::{self, BufReader, Read};

use super::super::hashed::Hashed;
use super::super::live::number_of;

/// The length of a record, and of the header.
pub(super) const LENGTH: usize = 32;
/// As a file's length.
pub(super) const LENGTH_64: u64 = LENGTH as u64;
const SUMMED: usize = LENGTH - 4;
/// More than all nonces together take.
const MAX_BYTES: u64 = 256 * 1024 * 1024;
const MAGIC: [u8; 8] = *b"PCREPLAY";

/// What a file of this journal and this bucket begins with.
pub(super) fn header(journal: u64, number: u32) -> [u8; LENGTH] {
    seal([MAGIC, journal.to_le_bytes(), u64::from(number).to_le_bytes()], [0; 4])
}

/// A nonce as it is written down.
pub(super) fn record(hashed: &Hashed, created_s: u32) -> [u8; LENGTH] {
    let nonce = hashed.nonce.to_le_bytes();
    let [low, high] = [nonce.first_chunk(), nonce.last_chunk()].map(|half| half.copied().unwrap_or_default());
    seal([low, high, hashed.node.to_le_bytes()], created_s.to_le_bytes())
}

/// Shows every nonce of a file; returns where the last one ends, if every byte is as it was written. What is
/// left of a record that was being written when the process died was never answered for, and does not
/// count.
///
/// # Errors
/// When it cannot be read.
pub(super) fn read(
    file: impl Read,
    journal: u64,
    number: u32,
    mut each: impl FnMut(&Hashed),
) -> io::Result<Option<u64>> {
    let mut file = BufReader::with_capacity(64 * 1024, file.take(MAX_BYTES));
    if next(&mut file)? != Some(header(journal, number)) {
        return Ok(None);
    }
    let mut end = LENGTH_64;
    while let Some(record) = next(&mut file)? {
        let Some(hashed) = open(&record, number) else { return Ok(None) };
        each(&hashed);
        end = end.saturating_add(LENGTH_64);
    }
    Ok((end < MAX_BYTES).then_some(end))
}

/// The next whole record.
fn next(file: &mut impl Read) -> io::Result<Option<[u8; LENGTH]>> {
    let mut record = [0; LENGTH];
    match file.read_exact(&mut record) {
        Ok(()) => Ok(Some(record)),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}

fn open(bytes: &[u8; LENGTH], number: u32) -> Option<Hashed> {
    let (summed, sum) = bytes.split_last_chunk::<4>()?;
    let (nonce, rest) = summed.split_first_chunk::<16>()?;
    let (node, rest) = rest.split_first_chunk::<8>()?;
    let created_s = u32::from_le_bytes(*rest.first_chunk()?);
    let holds = crc32fast::hash(summed) == u32::from_le_bytes(*sum)
        && number_of(i64::from(created_s).saturating_mul(1_000)) == Some(number);
    holds.then(|| Hashed { nonce: u128::from_le_bytes(*nonce), node: u64::from_le_bytes(*node) })
}

fn seal(words: [[u8; 8]; 3], last: [u8; 4]) -> [u8; LENGTH] {
    let mut bytes = [0; LENGTH];
    let all = words.as_flattened().iter().chain(&last);
    bytes.iter_mut().zip(all).for_each(|(place, byte)| *place = *byte);
    let sum = crc32fast::hash(bytes.first_chunk::<SUMMED>().map_or(&[], |summed| summed.as_slice()));
    if let Some(place) = bytes.last_chunk_mut() {
        *place = sum.to_le_bytes();
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// All nonces of a file, if it can be trusted.
    fn read(bytes: &[u8], journal: u64, number: u32) -> Option<Vec<Hashed>> {
        let mut all = vec![];
        let end = super::read(bytes, journal, number, |hashed| all.push(*hashed)).unwrap()?;
        assert!(end <= bytes.len() as u64 && end as usize == (all.len() + 1) * LENGTH);
        Some(all)
    }

    fn hashed(n: u64) -> Hashed {
        Hashed { nonce: u128::from(n).wrapping_mul(0x1234_5678_9ABC_DEF0_1122_3344_5566_7788), node: !n }
    }

    fn file(count: u64) -> Vec<u8> {
        let mut bytes = header(7, 100).to_vec();
        (0..count).for_each(|n| bytes.extend(record(&hashed(n), 1_600)));
        bytes
    }

    #[test]
    fn what_is_written_is_read() {
        let all: Vec<_> = (0..50).map(hashed).collect();
        assert_eq!(read(&file(50), 7, 100), Some(all));
        assert_eq!(read(&file(0), 7, 100), Some(vec![]));
        assert_eq!(read(&[], 7, 100), None, "there is always a header");
        assert_eq!(read(&file(1), 8, 100), None, "another journal's");
        assert_eq!(read(&file(1), 7, 101), None, "another bucket's");
    }

    #[test]
    fn a_torn_record_does_not_count_and_a_damaged_one_spoils_all() {
        let whole = file(3);
        for end in whole.len() - LENGTH + 1..whole.len() {
            assert_eq!(read(&whole[..end], 7, 100).unwrap().len(), 2);
        }
        let zeros = [&whole[..whole.len() - LENGTH], &[0; LENGTH]].concat();
        assert_eq!(read(&zeros, 7, 100), None, "pages that never came to the disk are no torn record");
        let misplaced = [whole, record(&hashed(9), 1_616).to_vec()].concat();
        assert_eq!(read(&misplaced, 7, 100), None, "made in another bucket's time");
    }

    proptest! {
        #[test]
        fn any_changed_bit_is_noticed(at in 0usize..4 * LENGTH, bit in 0u8..8) {
            let mut bytes = file(3);
            bytes[at] ^= 1 << bit;
            prop_assert_eq!(read(&bytes, 7, 100), None);
        }

        #[test]
        fn no_bytes_are_too_wild(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert_eq!(read(&bytes, 7, 100), None);
        }
    }
}
