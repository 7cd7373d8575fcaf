//! Reading ahead: files become blocks of whole lines, each with the place before its first line.

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::mpsc::{Receiver, SyncSender};
use std::time::Instant;

use portcullis_audit::{Line, MAX_LINE, Position, SealKey};

use super::sources::Source;
use super::{CheckError, LOOK, SOON, SealKeys, io as at};

/// How much is read into one block: large enough that handing it on costs nothing beside checking it.
pub(super) const BLOCK: usize = 4 << 20;

/// Whole lines of one file.
pub(super) struct Block {
    /// Blocks are counted from 0.
    pub(super) index: u64,
    /// Which file, by its place in the list.
    pub(super) source: usize,
    pub(super) bytes: Vec<u8>,
    /// The place before the first line.
    pub(super) from: Position,
    pub(super) key: Option<SealKey>,
    /// The block begins a file, and its first line is not one that begins this segment.
    pub(super) misplaced: bool,
}

/// Cuts files into blocks until they end, or a line is met after which nothing is known.
pub(super) struct Cutter<'c> {
    pub(super) sources: &'c [Source],
    pub(super) keys: &'c SealKeys,
    pub(super) from: Position,
    pub(super) read: Arc<AtomicU64>,
}

impl Cutter<'_> {
    /// Takes free buffers and hands on blocks. Ends early, and without an error, when nobody takes them any more.
    pub(super) fn run(self, free: &Receiver<Vec<u8>>, out: &SyncSender<Block>) -> Result<(), CheckError> {
        let mut place = self.from;
        let mut index = 0;
        for (number, source) in self.sources.iter().enumerate() {
            let is_newest = number + 1 == self.sources.len();
            let mut reader = source.open(&self.read)?.take(source.length.unwrap_or(u64::MAX));
            let mut carried = Vec::new();
            let mut begins = true;
            loop {
                let Ok(mut bytes) = free.recv() else { return Ok(()) };
                bytes.clear();
                bytes.append(&mut carried);
                let held = bytes.len();
                let got = (&mut reader).take(BLOCK as u64).read_to_end(&mut bytes);
                let got = got.map_err(|error| source.unread(error))?;
                let ended = got < BLOCK;
                if ended && is_newest && !bytes.is_empty() && !bytes.ends_with(b"\n") {
                    finish_line(reader.get_mut(), &mut bytes).map_err(at("read", &source.path))?;
                }
                if !ended {
                    let whole = memchr::memrchr(b'\n', &bytes).map_or(bytes.len(), |end| end + 1);
                    carried = bytes.split_off(whole);
                }
                if bytes.is_empty() {
                    break;
                }
                let misplaced = std::mem::take(&mut begins) && !begins_segment(&bytes, source.number);
                // A line that fills a block, or that cannot be read, ends the log: whoever checks it says why.
                let after = Position::after(last_line(&bytes)).filter(|_| held <= MAX_LINE && bytes.ends_with(b"\n"));
                let key = self.keys.of(source.number);
                if out.send(Block { index, source: number, bytes, from: place, key, misplaced }).is_err() {
                    return Ok(());
                }
                let Some(after) = after else { return Ok(()) };
                (place, index) = (after, index + 1);
                if ended {
                    break;
                }
            }
        }
        Ok(())
    }
}

/// Reads on until the line has its end, or it is clear that it gets none.
fn finish_line(reader: &mut dyn Read, bytes: &mut Vec<u8>) -> std::io::Result<()> {
    let begun = Instant::now();
    let most = bytes.len() + MAX_LINE;
    let mut buffer = [0; 4096];
    while bytes.len() < most {
        let got = reader.read(&mut buffer)?;
        let piece = buffer.get(..got).unwrap_or_default();
        if let Some(end) = memchr::memchr(b'\n', piece) {
            bytes.extend_from_slice(piece.get(..=end).unwrap_or_default());
            return Ok(());
        }
        bytes.extend_from_slice(piece);
        if got == 0 {
            if begun.elapsed() > SOON {
                return Ok(());
            }
            std::thread::park_timeout(LOOK);
        }
    }
    Ok(())
}

/// Whether the first line is one that this segment begins with: segment 0 has no number.
fn begins_segment(bytes: &[u8], number: u64) -> bool {
    let end = memchr::memchr(b'\n', bytes).unwrap_or(bytes.len());
    let line = bytes.get(..end).and_then(Line::read);
    line.is_some_and(|line| line.segment == Some(number).filter(|number| *number > 0))
}

fn last_line(bytes: &[u8]) -> &[u8] {
    let whole = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    let start = memchr::memrchr(b'\n', whole).map_or(0, |end| end + 1);
    whole.get(start..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file that another process writes: each read gives the next of these, and nothing is an end for now.
    struct Grows(Vec<&'static [u8]>);

    impl Read for Grows {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let piece = if self.0.is_empty() { &[][..] } else { self.0.remove(0) };
            buffer[..piece.len()].copy_from_slice(piece);
            Ok(piece.len())
        }
    }

    #[test]
    fn a_torn_line_gets_its_end_and_nothing_more() {
        let mut bytes = b"a line\nto".to_vec();
        finish_line(&mut Grows(vec![b"", b"rn", b"", b"\nnext\n"]), &mut bytes).unwrap();
        assert_eq!(bytes, b"a line\ntorn\n");
    }

    #[test]
    fn one_that_gets_no_end_stays_torn() {
        let mut bytes = b"to".to_vec();
        finish_line(&mut Grows(vec![b"rn"]), &mut bytes).unwrap();
        assert_eq!(bytes, b"torn");
        let endless = vec![&[b'x'; 4096][..]; 20];
        finish_line(&mut Grows(endless), &mut bytes).unwrap();
        assert!(bytes.len() <= MAX_LINE + 4096 + 4);
    }
}
