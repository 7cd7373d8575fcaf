//! Texts that stand packed in an image: the `zTXt` and `iTXt` chunks of a PNG.
//!
//! 1. The chunks of a PNG are walked as a reader walks them, so that no byte is read twice.
//! 2. In other files, and in PNGs within them, every name of such a chunk begins one.
//! 3. Within a chunk the format says where the packed text begins: nothing is guessed.
//! 4. What is read and what comes out is counted over all images of a request.

use std::io::Read as _;

use memchr::{memchr, memmem};

use super::{TooMuch, runs};

/// The most that the packed texts of a request's images may take, unpacked.
pub(super) const MAX_UNPACKED: usize = 4 << 20;
/// The most that is read of them, packed. Chunks that overlap are read as often as they are begun.
const MAX_READ: usize = 8 << 20;

const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";
const NAMES: [&[u8]; 2] = [b"zTXt", b"iTXt"];

/// What the packed texts of a request took so far.
#[derive(Default)]
pub(super) struct Packed {
    read: usize,
    unpacked: usize,
}

impl Packed {
    /// Adds the words of a file's packed texts.
    pub(super) fn words(&mut self, bytes: &[u8], words: &mut String) -> Result<(), TooMuch> {
        match bytes.strip_prefix(SIGNATURE) {
            Some(chunks) => self.walk(chunks, words),
            None => self.search(bytes, words),
        }
    }

    /// Chunk by chunk: length, name, data, checksum.
    fn walk(&mut self, mut chunks: &[u8], words: &mut String) -> Result<(), TooMuch> {
        while let Some((length, rest)) = chunks.split_first_chunk::<4>() {
            let Some((name, rest)) = rest.split_first_chunk::<4>() else { break };
            let (data, rest) = split(rest, u32::from_be_bytes(*length));
            if NAMES.contains(&name.as_slice()) {
                self.chunk(name, data, words)?;
            }
            chunks = rest.get(4..).unwrap_or_default();
        }
        Ok(())
    }

    /// Wherever a name of such a chunk stands, with a length before it.
    fn search(&mut self, bytes: &[u8], words: &mut String) -> Result<(), TooMuch> {
        for name in NAMES {
            for at in memmem::find_iter(bytes, name) {
                let Some(length) = bytes.get(..at).and_then(|before| before.last_chunk::<4>()) else { continue };
                let (data, _) = split(bytes.get(at + name.len()..).unwrap_or_default(), u32::from_be_bytes(*length));
                self.chunk(name, data, words)?;
            }
        }
        Ok(())
    }

    /// One chunk. What its flags say is not asked: a reader may not ask, either.
    fn chunk(&mut self, name: &[u8], data: &[u8], words: &mut String) -> Result<(), TooMuch> {
        // A keyword, and one byte: the method. An `iTXt` has a flag before it, and two more texts after it.
        let text = if name == b"zTXt" {
            after_zero(data).and_then(|rest| rest.get(1..))
        } else {
            after_zero(data).and_then(|rest| rest.get(2..)).and_then(after_zero).and_then(after_zero)
        };
        let text = text.unwrap_or_default();
        self.count(data.len() - text.len())?;
        let mut unpacked = Vec::new();
        let mut reader = flate2::bufread::ZlibDecoder::new(text.get(..MAX_READ + 1).unwrap_or(text));
        let left = MAX_UNPACKED.saturating_sub(self.unpacked) as u64;
        // What breaks off in the middle was a text up to there.
        let _ = reader.by_ref().take(left + 1).read_to_end(&mut unpacked);
        self.count(usize::try_from(reader.total_in()).unwrap_or(usize::MAX))?;
        self.unpacked += unpacked.len();
        if self.unpacked > MAX_UNPACKED {
            return Err(TooMuch);
        }
        runs(&unpacked, words);
        Ok(())
    }

    fn count(&mut self, read: usize) -> Result<(), TooMuch> {
        self.read = self.read.saturating_add(read);
        if self.read > MAX_READ { Err(TooMuch) } else { Ok(()) }
    }
}

/// As much of it as is there.
fn split(bytes: &[u8], length: u32) -> (&[u8], &[u8]) {
    bytes.split_at(usize::try_from(length).unwrap_or(usize::MAX).min(bytes.len()))
}

fn after_zero(bytes: &[u8]) -> Option<&[u8]> {
    bytes.get(memchr(0, bytes)? + 1..)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zlib(text: &[u8]) -> Vec<u8> {
        let mut packed = Vec::new();
        flate2::read::ZlibEncoder::new(text, flate2::Compression::best()).read_to_end(&mut packed).unwrap();
        packed
    }

    fn chunk(name: &[u8], data: &[u8]) -> Vec<u8> {
        [&(data.len() as u32).to_be_bytes(), name, data, &[0; 4]].concat()
    }

    fn words(file: &[u8]) -> String {
        let mut words = String::new();
        Packed::default().words(file, &mut words).unwrap();
        words
    }

    #[test]
    fn no_keyword_hides_a_packed_text() {
        for keyword in ["Comment", "x", "xxxxx", "xxxx xxxx xxxx xxxx"] {
            let packed = zlib(b"opensesame, packed");
            let ztxt = chunk(b"zTXt", &[keyword.as_bytes(), b"\0\0", &packed].concat());
            let itxt = chunk(b"iTXt", &[keyword.as_bytes(), b"\0\x01\0xx-xx\0xxxxx\0", &packed].concat());
            for text in [ztxt, itxt] {
                let png = [SIGNATURE, &chunk(b"IHDR", &[0; 13]), &text, &chunk(b"IEND", b"")].concat();
                assert_eq!(words(&png), "opensesame, packed\n", "{keyword}");
                assert_eq!(words(&[b"ico, before it: ", png.as_slice()].concat()), "opensesame, packed\n", "{keyword}");
            }
        }
    }

    /// Headers that each hop over the next into one long tail that unpacks to nothing.
    fn overlapping(headers: usize, tail: usize) -> Vec<u8> {
        let header =
            [&[0x7f, 0xff, 0xff, 0xff], b"zTXt".as_slice(), b"k\0\0\x78\x9c", &[0, 13, 0, 0xf2, 0xff]].concat();
        [header.repeat(headers), vec![0; 13], [0, 0, 0, 0xff, 0xff].repeat(tail / 5)].concat()
    }

    #[test]
    fn a_tail_is_not_read_for_every_header_before_it() {
        let file = [SIGNATURE, &overlapping(40, 1 << 20)].concat();
        let mut packed = Packed::default();
        packed.words(&file, &mut String::new()).unwrap();
        assert!(packed.read > 1 << 20 && packed.read <= file.len(), "{}", packed.read);
        assert!(Packed::default().words(&overlapping(40, 1 << 20), &mut String::new()).is_err());
        assert!(Packed::default().words(&overlapping(2, 1 << 20), &mut String::new()).is_ok());
    }
}
