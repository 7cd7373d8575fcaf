//! What a text says when it is decoded.
//!
//! Only what looks encoded is decoded. What comes out is judged like any other text, and decoded again,
//! to a bounded depth and a bounded number of bytes.

mod alphabet;
mod codes;
mod dump;
mod escape;
mod hidden;
mod inflate;
mod named;
mod quoted;
mod radix;
mod runs;
mod says;
mod set;
mod signs;

use std::cell::Cell;
use std::ops::Range;

use fearless_simd::{Level, Simd, dispatch};

use crate::planes::Planes;
use crate::scan::Exhausted;
use crate::view::Map;

pub(crate) use hidden::{Begin, Disguised, Marked};
pub(crate) use radix::LEAST;
pub(crate) use set::Set;
pub(crate) use signs::each_sign;

/// What a part of a text says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Piece<'d> {
    pub(crate) text: &'d str,
    pub(crate) from: From<'d>,
    /// How it was encoded; [`KEY`] for a key that was written as a key file.
    pub(crate) name: &'static str,
}

/// What a key is called that was found without the lines around it. Nothing is encoded in it.
pub(crate) const KEY: &str = "key";

/// Where in the encoded text it stands.
#[derive(Clone, Copy, Debug)]
pub(crate) enum From<'d> {
    /// All of it in one place.
    Run(usize, usize),
    /// Each part in a place of its own.
    Parts(&'d Map),
    /// Many words, one a line: where each line begins in the piece, and the word in the text.
    Words(&'d [(usize, Range<usize>)]),
}

/// Who takes the pieces.
pub(crate) type Sink<'s> = dyn FnMut(Piece<'_>) -> Result<(), Exhausted> + 's;

/// How many more bytes may be decoded; and room for looking at small texts, while nobody looks at one.
pub(crate) struct Budget {
    left: Cell<usize>,
    room: Cell<Runs>,
    /// What reading symbols took since that was asked last, in tenths of a nanosecond.
    time: Cell<usize>,
}

impl Budget {
    /// Four times the text, for what is wrapped more than once, and a little for small ones.
    pub(crate) fn of(size: usize) -> Self {
        Self {
            left: Cell::new(size.saturating_mul(4).saturating_add(64 << 10)),
            room: Cell::default(),
            time: Cell::new(0),
        }
    }

    /// With room from an earlier text.
    pub(crate) fn in_room(self, room: Runs) -> Self {
        Self { room: Cell::new(room), ..self }
    }

    /// What it leaves for the next one.
    pub(crate) fn into_room(self) -> Runs {
        self.room.into_inner()
    }

    /// Says what a step [takes](cost), as often as it is done.
    fn take(&self, tenths: usize, times: usize) {
        self.time.set(self.time.get().saturating_add(tenths.saturating_mul(times)));
    }

    /// What reading symbols took since this was asked last.
    pub(crate) fn time(&self) -> usize {
        self.time.take()
    }

    pub(crate) fn left(&self) -> usize {
        self.left.get()
    }

    pub(crate) fn spend(&self, bytes: usize) -> Result<(), Exhausted> {
        self.left.set(self.left.get().checked_sub(bytes).ok_or(Exhausted)?);
        Ok(())
    }
}

/// Decodes whatever looks encoded in a text.
///
/// # Errors
/// [`Exhausted`]: more comes out than may.
pub(crate) fn each(
    text: &str,
    planes: &Planes,
    runs: &Runs,
    budget: &Budget,
    sink: &mut Sink<'_>,
) -> Result<(), Exhausted> {
    let mut spend = |piece: Piece<'_>| {
        budget.spend(piece.text.len())?;
        sink(piece)
    };
    radix::each(text, &runs.all, budget, &mut spend)?;
    let may_be_quoted = escape::each(text, planes, &mut spend)?;
    codes::each(text, planes, budget, &mut spend)?;
    if may_be_quoted { quoted::each(text, planes, &mut spend) } else { Ok(()) }
}

/// Decodes only runs of letters and digits, those that are `wanted`.
///
/// # Errors
/// [`Exhausted`]: more comes out than may.
pub(crate) fn each_run(
    text: &str,
    planes: &Planes,
    wanted: &dyn Fn(&Range<usize>) -> bool,
    budget: &Budget,
    sink: &mut Sink<'_>,
) -> Result<(), Exhausted> {
    let mut runs = budget.room.take();
    runs.read(text, planes);
    runs.all.retain(wanted);
    let done = radix::each(text, &runs.all, budget, &mut |piece| {
        budget.spend(piece.text.len())?;
        sink(piece)
    });
    budget.room.set(runs);
    done
}

/// Whether a run is written in letters of one case, as hex and base32 are.
pub(crate) fn is_one_case(run: &str) -> bool {
    // Without a way out of the loop, many bytes are looked at together.
    let kind = |byte: u8| u8::from(byte.is_ascii_uppercase()) | u8::from(byte.is_ascii_lowercase()) << 1;
    run.bytes().fold(0, |kinds, byte| kinds | kind(byte)) != 3
}

/// Decodes what is written backwards or with other letters, in words of a text that were [found](Runs::find_words). No
/// more comes out than went in, twice.
pub(crate) fn each_hidden(
    text: &str,
    runs: &mut Runs,
    disguised: &Disguised,
    sink: &mut Sink<'_>,
) -> Result<(), Exhausted> {
    hidden::each(text, &mut runs.words, disguised, sink)
}

/// The long runs of letters and digits in a text that may say something. Reused from text to text.
#[derive(Default)]
pub(crate) struct Runs {
    all: Vec<Range<usize>>,
    words: hidden::Words,
}

impl Runs {
    /// Begins with another text. Most runs are names or paths: without digits, too short to be encoded, and nothing
    /// goes on where they end.
    pub(crate) fn read(&mut self, text: &str, planes: &Planes) {
        self.all.clear();
        dispatch!(Level::new(), simd => runs_of(simd, text.as_bytes(), planes, &mut self.all));
    }

    /// Finds the words of that text that may be written backwards or with other letters.
    pub(crate) fn find_words(&mut self, text: &str, planes: &Planes) {
        self.words.find(text, planes, &self.all);
    }
}

#[inline(always)]
fn runs_of<S: Simd>(simd: S, bytes: &[u8], planes: &Planes, found: &mut Vec<Range<usize>>) {
    let take = |run: Range<usize>| {
        if planes.any(run.clone(), |block| block.digit) || radix::may_begin(bytes, &run) {
            found.push(run);
        }
    };
    planes.each_run::<_, { radix::LINE }>(simd, |block| block.symbol, take);
}

/// Characters that tokens and encodings are made of.
static TOKEN: Set = Set::word_and(b"_-+/=.:@~");

/// The value of a hex digit.
fn hex(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

/// The byte that two hex digits stand for.
fn hex_pair(text: &[u8]) -> Option<u8> {
    let (high, low) = (hex(*text.first()?)?, hex(*text.get(1)?)?);
    Some(high << 4 | low)
}

/// How far a secret may reach around the place that gives it away: as far as any, and as a word.
const NEAR: usize = 64;
const FAR: usize = 4 << 10;

/// Where the surroundings of a place begin: a little before it, and then at white space.
fn before(text: &str, floor: usize, place: usize) -> usize {
    let near = place.saturating_sub(NEAR).max(floor);
    let far = near.saturating_sub(FAR).max(floor);
    let word = text.as_bytes().get(far..near).unwrap_or_default();
    let start = near - word.iter().rev().take_while(|byte| !byte.is_ascii_whitespace()).count();
    (floor..=start).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(floor)
}

/// Where the surroundings of a place end.
fn after(text: &str, place: usize) -> usize {
    let near = place.saturating_add(NEAR).min(text.len());
    let word = text.as_bytes().get(near..).unwrap_or_default();
    let end = near + word.iter().take(FAR).take_while(|byte| !byte.is_ascii_whitespace()).count();
    (end..text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len())
}

#[cfg(test)]
pub(crate) mod tests;
