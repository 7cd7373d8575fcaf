//! Finding where frames end.

use bytes::Buf as _;

use super::{Bytes, BytesMut, StreamFormat};

/// Cuts a stream of bytes into frames, whatever the chunks it comes in.
#[derive(Debug)]
pub struct Cutter {
    format: Option<StreamFormat>,
    partial: BytesMut,
    /// How far `partial` has been searched for the end of its frame.
    searched: usize,
    cap: usize,
}

/// A frame that is larger than the gate holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a frame of the answer is larger than {0} bytes")]
pub struct FrameTooLarge(pub usize);

impl Cutter {
    /// A cutter for this format, or for one whole answer. A frame holds at most `cap` bytes.
    #[must_use]
    pub fn new(format: Option<StreamFormat>, cap: usize) -> Self {
        Self { format, partial: BytesMut::new(), searched: 0, cap }
    }

    /// Takes a chunk in.
    ///
    /// # Errors
    /// When the frame in the making passes the cap.
    pub fn push(&mut self, chunk: &[u8]) -> Result<(), FrameTooLarge> {
        if self.partial.len().saturating_add(chunk.len()) > self.cap {
            return Err(FrameTooLarge(self.cap));
        }
        self.partial.extend_from_slice(chunk);
        Ok(())
    }

    /// The next whole frame, delimiter included.
    pub fn next_frame(&mut self) -> Option<Bytes> {
        let end = match self.format? {
            StreamFormat::Ndjson => self.line_end(),
            StreamFormat::Sse => self.event_end(),
        };
        let Some(end) = end else {
            // An event's end can reach back over the last bytes that were seen.
            self.searched = self.partial.len().saturating_sub(3);
            return None;
        };
        self.searched = 0;
        // Most frames come whole, one a chunk: copied, they leave the room behind for the next one.
        let frame = self.partial.get(..end).map(Bytes::copy_from_slice);
        self.partial.advance(end);
        frame
    }

    /// What is left once the stream has ended: a last frame without its delimiter, or nothing.
    pub fn finish(&mut self) -> Option<Bytes> {
        self.searched = 0;
        (!self.partial.is_empty()).then(|| self.partial.split().freeze())
    }

    fn line_end(&self) -> Option<usize> {
        let from = self.partial.get(self.searched..)?;
        memchr::memchr(b'\n', from).map(|at| self.searched + at + 1)
    }

    /// An event ends after a blank line; lines end with `\n`, `\r\n` or `\r` (WHATWG, 9.2.6).
    fn event_end(&self) -> Option<usize> {
        let bytes = &self.partial[..];
        let mut at = self.searched;
        while let Some(found) = memchr::memchr2(b'\n', b'\r', bytes.get(at..)?) {
            let first = at + found;
            let next = after_line_end(bytes, first)?;
            let second = bytes.get(next)?;
            if matches!(second, b'\n' | b'\r') {
                // A lone `\r` at the very end may still be followed by its `\n`.
                return after_line_end(bytes, next);
            }
            at = next;
        }
        None
    }
}

/// The position after the line end at `at`; `None` while a `\r` may still get its `\n`.
fn after_line_end(bytes: &[u8], at: usize) -> Option<usize> {
    match (bytes.get(at)?, bytes.get(at + 1)) {
        (b'\r', Some(b'\n')) => Some(at + 2),
        (b'\r', None) => None,
        _ => Some(at + 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cut(format: StreamFormat, chunks: &[&[u8]]) -> Vec<Bytes> {
        let mut cutter = Cutter::new(Some(format), 1 << 20);
        let mut frames = vec![];
        for chunk in chunks {
            cutter.push(chunk).unwrap();
            while let Some(frame) = cutter.next_frame() {
                frames.push(frame);
            }
        }
        frames.extend(cutter.finish());
        frames
    }

    #[test]
    fn cuts_lines_and_events() {
        assert_eq!(cut(StreamFormat::Ndjson, &[b"{}\n{\"a\":1}\n{"]), ["{}\n", "{\"a\":1}\n", "{"]);
        assert_eq!(
            cut(StreamFormat::Sse, &[b"data: 1\n\ndata: 2\r\n\r\n:c\r\rdata: 3"]),
            ["data: 1\n\n", "data: 2\r\n\r\n", ":c\r\r", "data: 3"]
        );
    }

    #[test]
    fn refuses_a_frame_above_the_cap() {
        let mut cutter = Cutter::new(Some(StreamFormat::Ndjson), 4);
        assert_eq!(cutter.push(b"12345"), Err(FrameTooLarge(4)));
    }

    proptest! {
        #[test]
        fn any_chunking_gives_the_same_frames(
            text in "(data: [a-z]{0,6}|:|\r\n|\n|\r|x){0,30}",
            cuts in prop::collection::vec(0usize..100, 0..10),
            sse in any::<bool>(),
        ) {
            let format = if sse { StreamFormat::Sse } else { StreamFormat::Ndjson };
            let bytes = text.as_bytes();
            let whole = cut(format, &[bytes]);
            let mut at: Vec<_> = cuts.into_iter().map(|c| c % (bytes.len() + 1)).collect();
            at.push(0);
            at.push(bytes.len());
            at.sort_unstable();
            let pieces: Vec<_> = at.windows(2).map(|w| &bytes[w[0]..w[1]]).collect();
            prop_assert_eq!(&cut(format, &pieces), &whole);
            prop_assert_eq!(whole.concat(), bytes);
        }
    }
}
