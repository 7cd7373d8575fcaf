//! Reads a stream whose last frame is a seal: hands the content on as it comes, and keeps the seal back.

use sha2::{Digest as _, Sha256};

use crate::seal::{MAX_SEAL, Seal};

/// What the frames of a stream are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frames {
    /// Lines of JSON (`application/x-ndjson`).
    Ndjson,
    /// Server-sent events (`text/event-stream`).
    Sse,
}

/// Takes a stream apart into its content and its seal. Only what may still become the seal is held
/// back, at most [`MAX_SEAL`] bytes.
pub struct SealReader {
    frames: Frames,
    hash: Sha256,
    held: Vec<u8>,
    /// The next byte, or the first one that is held, begins a line.
    at_start: bool,
}

/// How a stream ended.
#[derive(Debug)]
pub struct StreamEnd {
    /// Content that was held back: what looked like a seal and is none.
    pub rest: Vec<u8>,
    /// The SHA-256 of all content.
    pub digest: [u8; 32],
    /// The seal, to be verified with [`Seal::verify`]; `None` when the stream ended without one.
    pub seal: Option<Seal>,
}

impl SealReader {
    /// A reader of such frames.
    #[must_use]
    pub fn new(frames: Frames) -> Self {
        Self { frames, hash: Sha256::new(), held: Vec::new(), at_start: true }
    }

    /// Takes the next bytes that came and returns the content that is known to be content.
    #[must_use]
    pub fn read(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.held.extend_from_slice(bytes);
        let first = self.at_start.then_some(0);
        let after_lines = (1..).zip(&self.held).filter(|(_, byte)| **byte == b'\n').map(|(next, _)| next);
        let start = first.into_iter().chain(after_lines).find(|start| self.may_become_seal(*start));
        self.at_start = start.is_some();
        let held = self.held.split_off(start.unwrap_or(self.held.len()));
        let content = std::mem::replace(&mut self.held, held);
        self.hash.update(&content);
        content
    }

    /// The stream has ended.
    #[must_use]
    pub fn finish(mut self) -> StreamEnd {
        let frame = self.held.strip_prefix(self.frames.mark());
        let seal = match self.frames {
            Frames::Ndjson => Seal::from_ndjson(&self.held),
            Frames::Sse => frame.and_then(|f| f.strip_prefix(b"data: ")).and_then(Seal::from_sse),
        };
        let rest = if seal.is_some() { Vec::new() } else { self.held };
        self.hash.update(&rest);
        StreamEnd { rest, digest: self.hash.finalize().into(), seal }
    }

    fn may_become_seal(&self, start: usize) -> bool {
        let Some(frame) = self.held.get(start..) else { return false };
        let (mark, end) = (self.frames.mark(), self.frames.end());
        let ends = frame.windows(end.len()).position(|bytes| bytes == end);
        frame.len() <= MAX_SEAL
            && (mark.starts_with(frame)
                || frame.starts_with(mark) && ends.is_none_or(|ends| ends + end.len() == frame.len()))
    }
}

impl Frames {
    /// What a seal begins with.
    fn mark(self) -> &'static [u8] {
        match self {
            Self::Ndjson => b"{\"portcullis\":",
            Self::Sse => b"event: portcullis.signature\n",
        }
    }

    /// What a seal ends with.
    fn end(self) -> &'static [u8] {
        match self {
            Self::Ndjson => b"\n",
            Self::Sse => b"\n\n",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Asked, SecretKey, content_digest};
    use proptest::prelude::*;

    fn asked() -> Asked {
        let node_id = SecretKey::from_seed(&[5; 32]).node_id().to_owned();
        Asked { node_id, nonce: "0123456789abcdefghijkl".to_owned() }
    }

    fn read_in(frames: Frames, stream: &[u8], size: usize) -> (Vec<u8>, StreamEnd) {
        let mut reader = SealReader::new(frames);
        let mut content = Vec::new();
        for chunk in stream.chunks(size) {
            content.extend(reader.read(chunk));
            assert!(reader.held.len() <= MAX_SEAL);
        }
        let end = reader.finish();
        content.extend(&end.rest);
        (content, end)
    }

    fn streams() -> [(Frames, &'static str, String); 2] {
        let lines = "{\"a\":1}\n{\"portcullis\":{}}\n{\"portc\":2}\n";
        let events = "data: {\"a\":1}\n\nevent: portcullis.signature\ndata: {}\n\nevent: port\ndata: [DONE]\n\n";
        let seal = |content: &str| {
            Seal::sign(&SecretKey::from_seed(&[7; 32]), 200, &content_digest(content.as_bytes()), &asked(), 5).unwrap()
        };
        [(Frames::Ndjson, lines, seal(lines).to_ndjson()), (Frames::Sse, events, seal(events).to_sse())]
    }

    #[test]
    fn tells_the_seal_from_the_content_wherever_it_is_cut() {
        for (frames, content, seal) in streams() {
            let stream = format!("{content}{seal}");
            for size in (1..20).chain([stream.len() - 1, stream.len()]) {
                let (read, end) = read_in(frames, stream.as_bytes(), size);
                assert_eq!((read, end.digest), (content.as_bytes().to_vec(), content_digest(content.as_bytes())));
                let public = SecretKey::from_seed(&[7; 32]).public();
                assert_eq!(end.seal.unwrap().verify(&public, 200, &end.digest, &asked()), Ok(5));
            }
        }
    }

    #[test]
    fn hands_content_on_at_once() {
        let mut reader = SealReader::new(Frames::Ndjson);
        assert_eq!(reader.read(b"{\"a\":1}\n{\"b"), b"{\"a\":1}\n{\"b");
        assert_eq!(reader.read(b"\":2}\n{"), b"\":2}\n");
        assert_eq!(reader.read(b"\"a\""), b"{\"a\"");
    }

    #[test]
    fn a_stream_without_its_end_has_no_seal() {
        for (frames, content, seal) in streams() {
            for cut in (0..seal.trim_end().len()).step_by(7) {
                let stream = format!("{content}{}", &seal[..cut]);
                let (read, end) = read_in(frames, stream.as_bytes(), 100);
                assert_eq!((read, end.seal), (stream.as_bytes().to_vec(), None));
            }
            let (read, end) = read_in(frames, format!("{content}{seal}{content}").as_bytes(), 100);
            assert!(read.len() > 2 * content.len() && end.seal.is_none(), "content after a seal");
        }
    }

    #[test]
    fn what_only_begins_like_a_seal_is_not_held_for_ever() {
        for (frames, ..) in streams() {
            let mut stream = frames.mark().to_vec();
            stream.resize(3 * MAX_SEAL, b'x');
            assert_eq!(read_in(frames, &stream, 1000).0, stream);
        }
    }

    proptest! {
        #[test]
        fn no_byte_is_lost(parts in proptest::collection::vec(
            prop_oneof![
                Just(b"{\"portcullis\":".to_vec()), Just(b"event: portcullis.signature\n".to_vec()),
                Just(b"\n".to_vec()), Just(b"data: ".to_vec()), any::<[u8; 3]>().prop_map(|b| b.to_vec()),
            ], 0..20), size in 1usize..40)
        {
            let stream = parts.concat();
            for frames in [Frames::Ndjson, Frames::Sse] {
                let (read, end) = read_in(frames, &stream, size);
                prop_assert_eq!(&read, &stream);
                prop_assert_eq!(end.digest, content_digest(&stream));
            }
        }
    }
}
