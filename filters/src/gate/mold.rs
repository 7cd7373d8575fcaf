//! Frames that are like one before but for what they say: nearly all frames of an answer.
//!
//! 1. A frame that was read is a mold: its bytes, and where in them its growing texts stand, and the parts of a
//!    second of its time. Everything else in it was judged, and nothing was found.
//! 2. A frame that has the same bytes everywhere else, and in those places nothing that ends a string or begins an
//!    escape, says the same as that one but for these texts: it need not be read.

use std::ops::Range;

use super::single;
use crate::frame::{Channel, Frame, FrameBody, Piece};

/// The largest frame that is kept, with the names of what grows in it, and the most places in which others may differ
/// from it. A few of every answer are kept as long as it lasts.
const LARGEST: usize = 384;
const MOST: usize = 4;

/// A frame as others of its answer are written.
pub(super) struct Mold {
    /// A copy: what came with it, in one piece, is not kept because of it.
    raw: Box<[u8]>,
    holes: Box<[Hole]>,
}

/// A place in which they may differ.
struct Hole {
    at: Range<usize>,
    /// The growing text that stands there; none where it is the parts of a second.
    growing: Option<Growing>,
}

struct Growing {
    /// Which text of the frame it is, from 0.
    place: usize,
    channel: u64,
    key: Box<str>,
}

impl Mold {
    /// A frame in which nothing was found beside its growing texts; `None` where no other can be compared with it.
    pub(super) fn of(frame: &Frame<'_>) -> Option<Self> {
        // What leaves beside the document is judged together with it, in every frame.
        if frame.raw.len() > LARGEST || frame.beside.is_some() || !matches!(frame.body, FrameBody::Json(_)) {
            return None;
        }
        let (mut holes, mut whole, mut place, mut size) = (Vec::new(), true, 0, frame.raw.len());
        frame.each_piece(&mut |piece| {
            if let Channel::Growing(channel) = piece.channel {
                let at = span(frame.raw, piece.text).filter(|at| is_string(frame.raw, at));
                size += piece.key.len();
                whole &= at.is_some() && holes.len() < MOST && size <= LARGEST;
                let growing = Some(Growing { place, channel, key: piece.key.into() });
                holes.extend(at.map(|at| Hole { at, growing }));
            } else if let Some(parts) = single::parts_of_second(&piece) {
                let at = span(frame.raw, parts);
                holes.extend(at.map(|at| Hole { at, growing: None }));
            }
            place += 1;
        });
        let grows = holes.iter().any(|hole| hole.growing.is_some());
        let ordered = holes.is_sorted_by(|one, next| one.at.end < next.at.start);
        let is_one = whole && grows && ordered && holes.len() <= MOST;
        is_one.then(|| Self { raw: frame.raw.as_ref().into(), holes: holes.into() })
    }

    /// The memory that this takes.
    #[cfg(test)]
    pub(super) fn size(&self) -> usize {
        let keys = self.holes.iter().filter_map(|hole| hole.growing.as_ref()).map(|growing| growing.key.len());
        size_of::<Self>() + self.raw.len() + size_of_val(&*self.holes) + keys.sum::<usize>()
    }

    /// Calls `see` with every growing text of a frame and which text of the frame it is, if it is like this one.
    pub(super) fn each_piece(&self, raw: &[u8], see: &mut dyn FnMut(usize, &Piece<'_>)) -> bool {
        let Some(texts) = self.texts(raw) else { return false };
        for (hole, text) in self.holes.iter().zip(texts) {
            if let Some(Growing { place, channel, key }) = &hole.growing {
                see(*place, &Piece { channel: Channel::Growing(*channel), text, key, is_key: false });
            }
        }
        true
    }

    /// What stands in the places of a frame that is like this one.
    fn texts<'f>(&self, raw: &'f [u8]) -> Option<[&'f str; MOST]> {
        let mut texts = [""; MOST];
        let (mut rest, mut done) = (raw, 0);
        for (hole, slot) in self.holes.iter().zip(&mut texts) {
            rest = rest.strip_prefix(self.raw.get(done..hole.at.start)?)?;
            // Both ends must be seen: what ends a string, or begins an escape, is none of it.
            let size = match hole.growing {
                Some(_) => rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..b' '))?,
                None => rest.iter().position(|byte| !byte.is_ascii_digit()).filter(|size| (1..=9).contains(size))?,
            };
            let (text, behind) = rest.split_at_checked(size)?;
            *slot = std::str::from_utf8(text).ok()?;
            (rest, done) = (behind, hole.at.end);
        }
        (rest == self.raw.get(done..)?).then_some(texts)
    }
}

/// Where a text lies in a frame of which it is a part.
fn span(raw: &[u8], text: &str) -> Option<Range<usize>> {
    let start = text.as_ptr().addr().checked_sub(raw.as_ptr().addr())?;
    let at = start..start.checked_add(text.len())?;
    (raw.get(at.clone())? == text.as_bytes()).then_some(at)
}

/// Whether what lies there is a whole string, as it stands.
fn is_string(raw: &[u8], at: &Range<usize>) -> bool {
    let quote = |at: Option<usize>| at.and_then(|at| raw.get(at)) == Some(&b'"');
    quote(at.start.checked_sub(1)) && quote(Some(at.end))
}
