//! Frames that are like one before but for what they say: nearly all frames of an answer.
//!
//! 1. A frame that was read is a mold: its bytes, and where in them its growing texts stand, and the parts of a
//!    second of its time. Everything else in it was judged by every watch, and each says that it has nothing against it.
//! 2. A frame that has the same bytes everywhere else, and in those places nothing that ends a string or begins an
//!    escape, says the same as that one but for these texts: it need not be read. Every watch is shown the texts.

use std::num::NonZeroU16;
use std::ops::Range;

use crate::frame::time::parts_of_second;
use crate::frame::{Channel, Frame, FrameBody, Piece};

/// The largest frame that is kept, and the most places in which others may differ from it. A few of every answer are
/// kept as long as it lasts.
const LARGEST: usize = 384;
const MOST: usize = 4;
/// As many frames are remembered for others that are like them.
const KEPT: usize = 2;

/// Frames of an answer that were read last, for others that are like them.
#[derive(Default)]
pub(super) struct Molds {
    kept: Vec<Mold>,
}

impl Molds {
    /// Remembers a frame that was read, in the place of an older one.
    pub(super) fn remember(&mut self, mold: Option<Mold>) {
        let Some(mold) = mold else { return };
        if self.kept.len() >= KEPT {
            self.kept.remove(0);
        }
        self.kept.reserve_exact(1);
        self.kept.push(mold);
    }

    /// The growing texts of a frame, each with which text of the frame it is, if the frame is like one that was read.
    pub(super) fn texts<'f>(&'f self, raw: &'f [u8]) -> Option<Vec<(usize, Piece<'f>)>> {
        self.kept.iter().rev().find_map(|mold| mold.texts(raw))
    }
}

/// A frame as others of its answer are written.
pub(super) struct Mold {
    /// A copy: what came with it, in one piece, is not kept because of it.
    raw: Box<[u8]>,
    holes: Box<[Hole]>,
}

/// A place in which they may differ.
struct Hole {
    at: Part,
    /// The growing text that stands there; none where it is the parts of a second.
    growing: Option<Growing>,
}

struct Growing {
    channel: u64,
    /// Which text of the frame it is, from 0.
    place: u16,
    /// Where its key stands in the frame.
    key: Part,
}

/// A part of a frame that is kept. No such frame is so large that a place in it needs more, and none begins with the
/// end of a part.
#[derive(Clone, Copy)]
struct Part {
    start: u16,
    end: NonZeroU16,
}

impl Part {
    /// Where a text lies in a frame of which it is a part.
    fn of(raw: &[u8], text: &str) -> Option<Self> {
        let start = text.as_ptr().addr().checked_sub(raw.as_ptr().addr())?;
        let end = start.checked_add(text.len())?;
        let part = Self { start: u16::try_from(start).ok()?, end: NonZeroU16::new(u16::try_from(end).ok()?)? };
        (raw.get(part.range())? == text.as_bytes()).then_some(part)
    }

    fn start(self) -> usize {
        usize::from(self.start)
    }

    fn end(self) -> usize {
        usize::from(self.end.get())
    }

    fn range(self) -> Range<usize> {
        self.start()..self.end()
    }
}

impl Mold {
    /// A frame in which nothing was found beside its growing texts; `None` where no other can be compared with it.
    pub(super) fn of(frame: &Frame<'_>) -> Option<Self> {
        // What leaves beside the document is judged together with it, in every frame.
        if frame.raw.len() > LARGEST || frame.beside.is_some() || !matches!(frame.body, FrameBody::Json(_)) {
            return None;
        }
        let (mut holes, mut whole, mut place) = (Vec::new(), true, 0u16);
        frame.each_piece(&mut |piece| {
            if let Channel::Growing(channel) = piece.channel {
                let at = Part::of(frame.raw, piece.text).filter(|at| is_string(frame.raw, *at));
                // A key that is written with escapes does not stand there as it is.
                let growing = Part::of(frame.raw, piece.key).map(|key| Growing { channel, place, key });
                whole &= at.is_some() && growing.is_some() && holes.len() < MOST;
                holes.extend(at.filter(|_| whole).map(|at| Hole { at, growing }));
            } else if let Some(parts) = parts_of_second(&piece) {
                let at = Part::of(frame.raw, parts);
                holes.extend(at.map(|at| Hole { at, growing: None }));
            }
            // There are fewer texts than bytes.
            place = place.saturating_add(1);
        });
        let grows = holes.iter().any(|hole| hole.growing.is_some());
        let ordered = holes.is_sorted_by(|one, next| one.at.end() < next.at.start());
        let is_one = whole && grows && ordered && holes.len() <= MOST;
        is_one.then(|| Self { raw: frame.raw.as_ref().into(), holes: holes.into() })
    }

    /// The memory that this takes.
    #[cfg(test)]
    fn size(&self) -> usize {
        size_of::<Self>() + self.raw.len() + size_of_val(&*self.holes)
    }

    /// The growing texts of a frame and which texts of the frame they are, if it is like this one.
    fn texts<'f>(&'f self, raw: &'f [u8]) -> Option<Vec<(usize, Piece<'f>)>> {
        let read = self.read(raw)?;
        let named = self.holes.iter().zip(read).filter_map(|(hole, text)| Some((hole.growing.as_ref()?, text)));
        let piece = |(Growing { place, channel, key }, text): (&'f Growing, &'f str)| {
            let key = std::str::from_utf8(self.raw.get(key.range())?).ok()?;
            Some((usize::from(*place), Piece { channel: Channel::Growing(*channel), text, key, is_key: false }))
        };
        named.map(piece).collect()
    }

    /// What stands in the places of a frame that is like this one.
    fn read<'f>(&self, raw: &'f [u8]) -> Option<[&'f str; MOST]> {
        let mut texts = [""; MOST];
        let (mut rest, mut done) = (raw, 0);
        for (hole, slot) in self.holes.iter().zip(&mut texts) {
            rest = rest.strip_prefix(self.raw.get(done..hole.at.start())?)?;
            // Both ends must be seen: what ends a string, or begins an escape, is none of it.
            let size = match hole.growing {
                Some(_) => rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..b' '))?,
                None => rest.iter().position(|byte| !byte.is_ascii_digit()).filter(|size| (1..=9).contains(size))?,
            };
            let (text, behind) = rest.split_at_checked(size)?;
            *slot = std::str::from_utf8(text).ok()?;
            (rest, done) = (behind, hole.at.end());
        }
        (rest == self.raw.get(done..)?).then_some(texts)
    }
}

/// Whether what lies there is a whole string, as it stands.
fn is_string(raw: &[u8], at: Part) -> bool {
    let quote = |at: Option<usize>| at.and_then(|at| raw.get(at)) == Some(&b'"');
    quote(at.start().checked_sub(1)) && quote(Some(at.end()))
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use bytes::Bytes;
    use futures::FutureExt as _;
    use portcullis_policies::StreamFormat;

    use super::*;
    use crate::filter::{Mode, Watch};
    use crate::frame::{Reading, with_frame};
    use crate::gate::{AnswerShape, Eye, Gate};
    use crate::testkit::Deaf;
    use crate::verdict::{FilterError, Outcome, Refusal, Verdict};

    /// Notes the growing texts that it is shown, and refuses one of them.
    struct Notes {
        likens: bool,
        refuses: &'static str,
        noted: Arc<Mutex<Vec<String>>>,
    }

    impl Notes {
        fn see(&self, how: &str, piece: &Piece<'_>) -> Option<Refusal> {
            if let Channel::Growing(_) = piece.channel {
                self.noted.lock().unwrap().push(format!("{how} {}", piece.text));
            }
            (piece.text == self.refuses).then(|| Refusal::internal("notes", "no"))
        }
    }

    impl Watch for Notes {
        fn frame(&mut self, _: u64, frame: &Frame<'_>) -> Outcome<Bytes> {
            let mut refused = None;
            frame.each_piece(&mut |piece| refused = refused.take().or_else(|| self.see("read", &piece)));
            Ok(refused.map_or(Verdict::Pass, Verdict::Block))
        }
        fn likens(&self) -> bool {
            self.likens
        }
        fn glance(&mut self, _: u64, texts: &[(usize, Piece<'_>)]) -> Result<Option<Refusal>, FilterError> {
            Ok(texts.iter().find_map(|(_, piece)| self.see("glanced at", piece)))
        }
    }

    /// What two watches were shown of an answer, and whether it was refused.
    fn shown(likens: [bool; 2], modes: [Mode; 2], refuses: [&'static str; 2]) -> (Vec<String>, Vec<String>, bool) {
        let noted = [Arc::new(Mutex::default()), Arc::new(Mutex::default())];
        let eye = |at: usize| {
            let (likens, refuses, noted) = (likens[at], refuses[at], Arc::clone(&noted[at]));
            Eye::new("notes", modes[at], Box::new(Notes { likens, refuses, noted }))
        };
        let (stream, reading) = (Some(StreamFormat::Ndjson), Reading::Json);
        let shape = AnswerShape { stream, reading, frame_bytes: 1 << 20, held_bytes: 1 << 20, success: true };
        let mut gate = Gate::new(vec![eye(0), eye(1)], shape, Arc::new(Deaf));
        let mut refused = false;
        for text in ["a", "b", "c"] {
            let frame = format!("{{\"model\":\"m\",\"response\":\"{text}\"}}\n");
            refused = refused || gate.push(frame.as_bytes(), &mut Vec::new()).is_err();
        }
        refused = refused || gate.finish(&mut Vec::new()).now_or_never().unwrap().is_err();
        let [first, second] = noted.map(|noted| noted.lock().unwrap().clone());
        (first, second, refused)
    }

    #[test]
    fn every_watch_is_shown_every_text_of_frames_that_are_not_read() {
        let (read, glanced) = (["read a", "read b", "read c"], ["read a", "glanced at b", "glanced at c"]);
        let enforce = [Mode::Enforce; 2];
        for (likens, seen) in [([true, true], glanced), ([true, false], read), ([false, true], read)] {
            let (first, second, refused) = shown(likens, enforce, ["", ""]);
            assert_eq!(
                (&first[..], &second[..], refused),
                (&seen.map(String::from)[..], &seen.map(String::from)[..], false)
            );
        }
        for refuses in [["b", ""], ["", "b"]] {
            let (first, _, refused) = shown([true, true], enforce, refuses);
            assert_eq!((first, refused), (vec!["read a".to_owned(), "glanced at b".to_owned()], true));
        }
        // One that only looks on is not asked again once it would have refused, and stands in nobody's way.
        let (first, second, refused) = shown([true, true], [Mode::Shadow, Mode::Enforce], ["b", ""]);
        assert_eq!((first.len(), second, refused), (2, glanced.map(String::from).to_vec(), false));
    }

    #[test]
    fn the_frames_that_are_remembered_take_little() {
        // With a growing text of the firewall, which takes no more than it says there.
        const ROOM: usize = (8 << 10) - portcullis_firewall::MOST_STATE;
        let mut molds = Molds::default();
        let (mut largest, mut remembered) = (0, 0);
        for size in 0..600 {
            let texts = ["content", "reasoning_content", "thinking", "refusal"].map(|key| format!("\"{key}\":\"a\""));
            let filler = "x".repeat(size);
            let frame = Bytes::from(format!("{{\"model\":\"{filler}\",\"message\":{{{}}}}}\n", texts.join(",")));
            with_frame(&frame, Reading::Json, |frame| molds.remember(Mold::of(frame))).unwrap();
            remembered = remembered.max(molds.kept.len());
            largest = largest.max(molds.kept.iter().map(Mold::size).sum::<usize>());
            assert!(molds.kept.capacity() <= KEPT);
        }
        println!("at most {largest} bytes");
        assert!(remembered == KEPT && (ROOM / 2..=ROOM).contains(&largest), "{largest}");
    }
}
