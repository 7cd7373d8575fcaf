//! Triggers: pieces of the marked cues that are looked for in the whole text, and whether such a cue may stand around
//! one.

mod near;

use std::collections::HashMap;
use std::ops::Range;

use super::file::File;
use crate::engine::{Cue as Literal, CueHit};
use crate::injection::link;
use near::{Beside, Near, Nearest};

/// What may stand where a trigger or a cue has a space; around a trigger any number of these.
pub(super) const SPACES: [u8; 5] = *b" \n-\t\r";
/// Behind more of them nothing is compared.
const MOST: usize = 300;
/// A byte that may be folded to anything.
const ANY: u8 = 0xff;

/// All triggers.
pub(super) struct Triggers {
    /// What the engine looks for: each trigger, with every kind of space, then the beginnings of links.
    pub(super) literals: Vec<Literal>,
    /// Of each of these, but for the links: the cues that it may stand in.
    written: Vec<Written>,
    pieces: Vec<Piece>,
    /// What the cues say, one after the other.
    bytes: Vec<u8>,
}

/// A trigger as it may be written.
struct Written {
    size: usize,
    /// Whether it begins, and ends, with space.
    spaced: (bool, bool),
    pieces: Range<usize>,
    /// What is right beside it in any of them.
    beside: Beside,
    /// What is next to it in all of them.
    near: Near,
}

/// A trigger in a cue: what stands before and behind it there.
struct Piece {
    /// Which of the marked cues that is.
    cue: u32,
    before: Range<usize>,
    after: Range<usize>,
    /// What is next to it.
    near: Near,
}

impl Triggers {
    /// Of these marked cues, folded. Those that are not in ASCII letters need none.
    pub(super) fn new<'c>(file: &File, marked: impl Iterator<Item = &'c [u8]>) -> Self {
        let triggers: Vec<String> = file.triggers().collect();
        let (mut found, mut bytes) = (Vec::new(), Vec::new());
        for ((which, cue), (number, at)) in rarest(&triggers, (0..).zip(marked)) {
            let from = bytes.len();
            bytes.extend_from_slice(cue);
            let near = Near::of(cue, &at);
            let (before, after) = (from..from + at.start, from + at.end..bytes.len());
            found.push((number, Piece { cue: which, before, after, near }));
        }
        found.sort_by_key(|(number, _): &(usize, Piece)| *number);
        let (mut literals, mut written) = (Vec::new(), Vec::new());
        for (number, trigger) in triggers.iter().enumerate() {
            let pieces = found.partition_point(|(of, _)| *of < number)..found.partition_point(|(of, _)| *of <= number);
            let spaced = (trigger.starts_with(' '), trigger.ends_with(' '));
            let all = || found.get(pieces.clone()).unwrap_or_default().iter().map(|(_, piece)| piece);
            let near = all().map(|piece| piece.near).reduce(Near::common).unwrap_or_default();
            let of = |part: &Range<usize>| bytes.get(part.clone()).unwrap_or_default();
            let nearest = |piece: &Piece| (of(&piece.before).last().copied(), of(&piece.after).first().copied());
            let beside = Beside::of(all().map(nearest), spaced);
            for text in ways(trigger) {
                written.push(Written { size: text.len(), spaced, pieces: pieces.clone(), beside, near });
                literals.push(Literal { text, any_case: true });
            }
        }
        literals.extend(link::BEGINNINGS.iter().map(|text| Literal { text: (*text).to_owned(), any_case: true }));
        Self { literals, written, pieces: found.into_iter().map(|(_, piece)| piece).collect(), bytes }
    }

    /// Whether it is the beginning of a link.
    pub(super) fn is_link(&self, hit: &CueHit) -> bool {
        hit.cue as usize >= self.written.len()
    }

    /// Calls `found` with every marked cue that may stand around a trigger, and where it stands, if it does. Of other cues
    /// none does that is looked for by it.
    pub(super) fn each_cue(&self, text: &[u8], hit: &CueHit, found: &mut impl FnMut(u32, Option<Range<usize>>)) {
        let Some(written) = self.written.get(hit.cue as usize) else { return };
        let end = hit.at.saturating_add(written.size);
        // Nearly all show by the bytes next to them that they are something else, and most by one of them.
        if !written.beside.may_be(text, &(hit.at..end)) {
            return;
        }
        let nearest = Nearest::at(text, hit.at..end, written.spaced);
        if !written.near.may_be(&nearest) {
            return;
        }
        let pieces = self.pieces.get(written.pieces.clone()).unwrap_or_default();
        for piece in pieces.iter().filter(|piece| piece.near.may_be(&nearest)) {
            match self.read(piece, written.spaced, text, hit.at..end) {
                Read::Other => {}
                Read::Maybe => found(piece.cue, None),
                Read::As(place) => found(piece.cue, Some(place)),
            }
        }
    }

    /// Reads what stands around a trigger in a text as what does so in a cue.
    fn read(&self, piece: &Piece, spaced: (bool, bool), text: &[u8], trigger: Range<usize>) -> Read<Range<usize>> {
        let mut before = text.get(..trigger.start).unwrap_or_default();
        let mut after = text.get(trigger.end..).unwrap_or_default();
        if spaced.0 {
            let spaces = before.iter().rev().take(MOST).take_while(|byte| SPACES.contains(byte)).count();
            before = before.get(..before.len() - spaces).unwrap_or_default();
        }
        if spaced.1 {
            let spaces = after.iter().take(MOST).take_while(|byte| SPACES.contains(byte)).count();
            after = after.get(spaces..).unwrap_or_default();
        }
        let part = |range: &Range<usize>| self.bytes.get(range.clone()).unwrap_or_default().iter();
        let behind = read(part(&piece.after), after.iter());
        if let Read::Other = behind {
            return Read::Other;
        }
        match (read(part(&piece.before).rev(), before.iter().rev()), behind) {
            (Read::Other, _) => Read::Other,
            (Read::As(first), Read::As(last)) => Read::As(before.len() - first..text.len() - after.len() + last),
            _ => Read::Maybe,
        }
    }
}

/// A marked cue: its number, and what it says.
type Cue<'c> = (u32, &'c [u8]);

/// Of each cue that has triggers in it the one that the fewest cues have, and where. One is enough.
fn rarest<'c>(
    triggers: &[String],
    cues: impl Iterator<Item = Cue<'c>>,
) -> impl Iterator<Item = (Cue<'c>, (usize, Range<usize>))> {
    let numbers: HashMap<&[u8], usize> = triggers.iter().map(String::as_bytes).zip(0..).collect();
    let longest = triggers.iter().map(String::len).max().unwrap_or_default();
    let inside = |cue: &'c [u8]| -> Vec<(usize, Range<usize>)> {
        let parts = (1..=longest.min(cue.len())).flat_map(|size| cue.windows(size).zip(0..));
        parts.filter_map(|(part, at)| Some((*numbers.get(part)?, at..at + part.len()))).collect()
    };
    let all: Vec<_> = cues.map(|cue| (cue, inside(cue.1))).collect();
    let mut popular = vec![0usize; triggers.len()];
    for (number, _) in all.iter().flat_map(|(_, inside)| inside) {
        popular.get_mut(*number).into_iter().for_each(|cues| *cues += 1);
    }
    all.into_iter().filter_map(move |(cue, inside)| {
        let rarest = inside.into_iter().min_by_key(|(number, _)| popular.get(*number).copied())?;
        Some((cue, rarest))
    })
}

/// A trigger in all the ways in which the space at its beginning or end may be written. Inside it has none: any number
/// of spaces may stand there, and not all of them can be looked for.
fn ways(trigger: &str) -> Vec<String> {
    if !trigger.contains(' ') {
        return vec![trigger.to_owned()];
    }
    SPACES.iter().map(|space| trigger.replace(' ', &char::from(*space).to_string())).collect()
}

/// A byte as it is folded.
fn folded(byte: &u8) -> u8 {
    FOLDED.get(usize::from(*byte)).copied().unwrap_or(ANY)
}

static FOLDED: [u8; 256] = {
    let mut table = [ANY; 256];
    let (mut rest, mut byte): (&mut [u8], u8) = (&mut table, 0);
    while let Some((folded, more)) = rest.split_first_mut() {
        *folded = match byte {
            0x80.. => ANY,
            b' ' | b'\n' | b'-' | b'\t' | b'\r' => b' ',
            byte => byte.to_ascii_lowercase(),
        };
        byte = byte.wrapping_add(1);
        rest = more;
    }
    table
};

/// How a text reads when it is folded, beside a cue.
#[derive(Debug, PartialEq, Eq)]
enum Read<T> {
    Other,
    /// It may read so: letters that are not ASCII may become anything.
    Maybe,
    /// It reads so, as far as this.
    As(T),
}

/// Reads a text as a part of a cue.
fn read<'b>(cue: impl Iterator<Item = &'b u8>, text: impl Iterator<Item = &'b u8> + Clone) -> Read<usize> {
    let (mut text, mut size) = (text.map(folded), 0);
    for wanted in cue {
        if *wanted != b' ' {
            size += 1;
            match text.next() {
                Some(ANY) => return Read::Maybe,
                byte if byte == Some(*wanted) => continue,
                _ => return Read::Other,
            }
        }
        let mut spaces = 0;
        loop {
            let mut rest = text.clone();
            match rest.next() {
                Some(b' ') if spaces < MOST => (text, spaces) = (rest, spaces + 1),
                Some(ANY | b' ') => return Read::Maybe,
                _ if spaces > 0 => break,
                _ => return Read::Other,
            }
        }
        size += spaces;
    }
    Read::As(size)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_kind_of_space_is_folded_to_one() {
        for byte in 0..=u8::MAX {
            let is_space = SPACES.contains(&byte);
            assert_eq!(folded(&byte) == b' ', is_space, "{byte}");
            assert_eq!(folded(&byte) == ANY, !byte.is_ascii(), "{byte}");
            assert!(is_space || !byte.is_ascii() || folded(&byte) == byte.to_ascii_lowercase(), "{byte}");
        }
    }

    proptest! {
        /// What a cue has one space for, a text has any number of, and nothing else.
        #[test]
        fn a_cue_is_read_however_it_is_spaced(
            cue in "[ab]{0,3}( [ab]{1,3}){0,3} ?",
            spaces in prop::collection::vec("[ \n\t\r-]{1,3}", 4),
            loud: bool,
            after in "[ a-c]{0,3}",
            cut in 0usize..20,
        ) {
            let mut between = spaces.iter();
            let mut text: String = cue.split_inclusive(' ').map(|word| match word.strip_suffix(' ') {
                Some(word) => format!("{word}{}", between.next().unwrap()),
                None => word.to_owned(),
            }).collect();
            if loud {
                text.make_ascii_uppercase();
            }
            let read = |text: &str| read(cue.as_bytes().iter(), text.as_bytes().iter());
            let reads = |text: &str| read(text) != Read::Other;
            // Spaces at its end may go on.
            let more = after.bytes().take_while(|byte| cue.ends_with(' ') && *byte == b' ').count();
            prop_assert_eq!(read(&(text.clone() + &after)), Read::As(text.len() + more));
            let cut = &cue[..cut.min(cue.len())];
            prop_assert_eq!(reads(cut), cut == cue);
            prop_assert_eq!(reads(&(cut.to_owned() + "c")), cut == cue);
            prop_assert!(reads(&(cut.to_owned() + "é")));
        }

        #[test]
        fn more_spaces_than_are_compared_may_be_anything(more in 1usize..9) {
            let text = format!("a{}", " ".repeat(MOST + more));
            prop_assert!(read(b"a b".iter(), text.as_bytes().iter()) == Read::Maybe);
            let text = format!("a{}c", " ".repeat(MOST));
            prop_assert!(read(b"a b".iter(), text.as_bytes().iter()) == Read::Other);
        }
    }
}
