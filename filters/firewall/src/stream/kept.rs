//! What is kept of a growing text: its end, as a reader sees it, and where each part of it stands in the
//! text as it came.

use std::collections::VecDeque;

use super::escape::{Escapes, Said};
use crate::view::{self, Made};

mod beside;
mod sequence;
mod word;

use sequence::Begun;

/// What is kept when there is too much: what may be held, what is looked at as a whole text, and what stands before it.
const TAIL: usize = 1536;
/// Of a text that is followed beside it: what may be held, and what stands before it.
const BESIDE: usize = 1280;
/// The most that is taken in at once. So much more than its tail is kept.
pub(super) const STEP: usize = 128;
/// The most places at which both texts are known to run side by side.
const JOINTS: usize = 48;

/// As many more are made room for at once.
const MORE_JOINTS: usize = 8;

/// From here on both texts run side by side.
#[derive(Clone, Copy, Debug)]
struct Joint {
    /// Where that is in what is seen, and in what came.
    seen: u64,
    came: u64,
    /// Whether a character stands before it, and none that is invisible.
    stands: bool,
}

/// One in what is kept: there may be many of these. Of each place the lower bits tell where it is, since it is near what
/// is kept and what came last. Twice where it is seen, and one more if a character stands before it.
#[derive(Clone, Copy, Debug)]
struct Near {
    seen: u32,
    came: u32,
}

/// The end of a growing text. Places are counted from its beginning, in what is seen of it.
#[derive(Debug, Default)]
pub(super) struct Kept {
    text: String,
    /// The character that was read last, whatever is seen of it.
    last: Option<char>,
    /// The place at which `text` begins.
    base: u64,
    joints: VecDeque<Near>,
    /// Before this place joints were forgotten.
    vague: u64,
    /// Both texts run side by side at this distance before the first joint.
    first: Option<Joint>,
    came: u64,
    /// For JSON in a text: its strings are seen as what they say.
    escapes: Option<Escapes>,
    /// What may be a sequence that a terminal obeys, and is not seen yet.
    sequence: Option<Box<Begun>>,
    /// Up to here it was seen: behind it lies a part of an escape, or of a sequence.
    whole: u64,
    /// Where the word at the end begins, if it holds letters that may look like others.
    foreign: Option<u64>,
    /// Where it begins, while they may still turn out to be those others; and whether it shows that already.
    unsure: Option<(u64, bool)>,
    /// What was added last is seen as it stands, and makes nothing else of what stood before it.
    plain: bool,
    /// It is not kept as a reader sees it, but as it stands.
    stands: bool,
    /// What was added last is seen as something else than it is, or makes something else of what stood before it.
    differs: bool,
    /// From here on all is seen as it stands.
    same: u64,
}

impl Kept {
    /// From here on the text is JSON.
    pub(super) fn read_json(&mut self) {
        self.escapes.get_or_insert_default();
    }

    /// Whether it is JSON.
    pub(super) fn reads_json(&self) -> bool {
        self.escapes.is_some()
    }

    /// Adds a piece of at most [`STEP`] bytes. Returns from where on what was there before is seen anew: a word
    /// that turned out to hold look-alikes.
    pub(super) fn add(&mut self, piece: &str) -> Option<u64> {
        let known = self.foreign.is_none() && self.escapes.is_none() && self.sequence.is_none();
        self.plain = known && piece.bytes().all(is_plain);
        self.differs = false;
        let tail = if self.stands { BESIDE } else { TAIL };
        if self.text.len() + piece.len() > tail + STEP {
            self.forget(tail);
        }
        // Room grows as usual, but never beyond what is kept.
        let need = self.text.len() + piece.len() + self.sequence.as_ref().map_or(0, |begun| begun.len());
        if need > self.text.capacity() {
            self.text.reserve_exact((2 * need).min(need.max(tail + STEP)) - self.text.len());
        }
        if self.plain {
            self.text.push_str(piece);
            self.last = piece.chars().next_back().or(self.last);
            self.came += piece.len() as u64;
            self.whole = self.came;
            return None;
        }
        let mut anew: Option<u64> = None;
        for c in piece.chars() {
            self.came += c.len_utf8() as u64;
            let said = self.escapes.as_mut().map_or(Said::Itself, |escapes| escapes.take(c));
            let read = match said {
                Said::More => continue,
                Said::Itself => c,
                Said::Char(read) => read,
            };
            let itself = said == Said::Itself;
            let from = if self.sequence.is_some() { self.go_on(read, itself) } else { self.see(read, itself) };
            anew = anew.into_iter().chain(from).min();
        }
        anew
    }

    /// Adds a character that came as itself or not. Returns from where on what was there before is seen anew.
    fn see(&mut self, read: char, itself: bool) -> Option<u64> {
        let before = self.last.replace(read);
        let seen = self.text.chars().next_back();
        let made = if self.stands { None } else { view::instead(read, before) };
        // A mark disturbs where it does beside what was read or beside what is seen of that.
        let made = made.or_else(|| view::instead(read, seen).filter(|_| seen != before && !self.stands));
        let made = made.filter(|made| match made {
            Made::Nothing => true,
            // What would be longer than it came would lie too far behind.
            Made::Char(made) => made.len_utf8() <= read.len_utf8(),
            Made::Text(made) => made.len() <= read.len_utf8(),
        });
        let differs = made.is_some();
        match made {
            None if itself => self.text.push(read),
            None => self.stand_for(Some(read)),
            Some(Made::Nothing) => self.stand_for(None),
            Some(Made::Char(made)) => self.stand_for(Some(made)),
            Some(Made::Text(made)) => made.chars().for_each(|made| self.stand_for(Some(made))),
        }
        self.whole = self.came;
        if differs {
            self.differ();
        }
        if read == view::ESCAPE && !self.stands {
            self.sequence = Some(Box::new(Begun::new(self.came)));
        }
        self.look_again(read)
    }

    /// Whether what was added last is seen as it stands.
    pub(super) fn is_plain(&self) -> bool {
        self.plain
    }

    /// Adds what stands for other characters than itself.
    fn stand_for(&mut self, seen: Option<char>) {
        self.text.extend(seen);
        self.join(self.came, seen.is_some());
    }

    /// From here on both texts run side by side.
    fn join(&mut self, came: u64, stands: bool) {
        let joint = Joint { seen: self.end(), came, stands };
        // Of what is invisible in a row only the end counts.
        if !stands && self.last_joint().is_some_and(|last| last.seen == joint.seen && !last.stands) {
            self.joints.pop_back();
        }
        if self.joints.len() >= JOINTS
            && let Some(old) = self.joint(0)
        {
            self.joints.pop_front();
            self.first.get_or_insert(old);
            // Never less: of a word that was seen anew, the places of its letters may be from before this.
            self.vague = self.vague.max(self.joint(0).map_or(joint.seen, |next| next.seen) + 1);
        }
        if self.joints.len() == self.joints.capacity() {
            self.joints.reserve_exact(MORE_JOINTS);
        }
        self.joints
            .push_back(Near { seen: (joint.seen as u32) << 1 | u32::from(joint.stands), came: joint.came as u32 });
    }

    /// The joint of this number.
    fn joint(&self, number: usize) -> Option<Joint> {
        self.joints.get(number).map(|near| self.far(*near))
    }

    fn last_joint(&self) -> Option<Joint> {
        self.joints.back().map(|near| self.far(*near))
    }

    /// A joint as what is near says. None is seen before what is kept, nor came after all that came.
    fn far(&self, Near { seen, came }: Near) -> Joint {
        let after = (seen >> 1).wrapping_sub(self.base as u32) & u32::MAX >> 1;
        let ago = (self.came as u32).wrapping_sub(came);
        Joint {
            seen: self.base + u64::from(after),
            came: self.came.saturating_sub(u64::from(ago)),
            stands: seen & 1 == 1,
        }
    }

    /// Up to where all that came was seen.
    pub(super) fn whole(&self) -> u64 {
        self.whole
    }

    /// The kept text.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Where the kept text begins.
    pub(super) fn begin(&self) -> u64 {
        self.base
    }

    /// Where it ends.
    pub(super) fn end(&self) -> u64 {
        self.base + self.text.len() as u64
    }

    /// How much came in.
    pub(super) fn came(&self) -> u64 {
        self.came
    }

    /// A byte of it.
    pub(super) fn byte(&self, at: u64) -> Option<u8> {
        let at = usize::try_from(at.checked_sub(self.base)?).ok()?;
        self.text.as_bytes().get(at).copied()
    }

    /// A place of it, as an index of the kept text.
    pub(super) fn index(&self, at: u64) -> usize {
        usize::try_from(at.saturating_sub(self.base)).unwrap_or(usize::MAX).min(self.text.len())
    }

    /// This place, or the next one at which a character begins.
    pub(super) fn boundary(&self, at: u64) -> u64 {
        let index = self.index(at);
        let more = (0..3).take_while(|more| !self.text.is_char_boundary(index + more)).count();
        at + more as u64
    }

    /// Where a place stands in the text as it came; what is invisible there lies behind it. Too early
    /// where it is not known any more.
    pub(super) fn origin(&self, at: u64) -> u64 {
        let mut joints = self.joints.iter().rev().map(|near| self.far(*near));
        let joint = joints.find(|joint| joint.seen < at || (joint.stands && joint.seen == at));
        match joint.or(self.first) {
            Some(joint) if joint.seen <= at => (joint.came + (at - joint.seen)).min(self.came),
            Some(joint) => at.min(joint.came),
            None => at,
        }
    }

    /// Whether places from here on are known.
    pub(super) fn knows(&self, at: u64) -> bool {
        at >= self.vague && at >= self.base
    }

    /// The memory that this takes beside itself.
    pub(super) fn heap(&self) -> usize {
        let begun = self.sequence.as_ref().map_or(0, |begun| begun.size());
        self.text.capacity() + self.joints.capacity() * size_of::<Near>() + begun
    }

    /// Notes that up to here not all is seen as it stands.
    fn differ(&mut self) {
        self.differs = true;
        self.same = self.end();
    }

    /// Keeps little more than what stands from a place on, and gives the room of the rest back.
    pub(super) fn forget_before(&mut self, place: u64) {
        if self.index(place) > STEP {
            self.forget(self.text.len() - self.index(place));
            self.text.shrink_to(self.text.len() + STEP);
        }
    }

    fn forget(&mut self, tail: usize) {
        let mut drop = self.text.len().saturating_sub(tail);
        while !self.text.is_char_boundary(drop) {
            drop -= 1;
        }
        let base = self.base + drop as u64;
        // The last joint before what is kept says how far the two are apart.
        while let Some(joint) = self.joint(0).filter(|joint| joint.seen < base) {
            self.first = Some(joint);
            self.joints.pop_front();
        }
        self.text.drain(..drop);
        self.base = base;
    }
}

/// Whether a byte is a character that is seen as it stands.
fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~' | b'\t' | b'\n' | b'\r')
}

#[cfg(test)]
mod tests;
