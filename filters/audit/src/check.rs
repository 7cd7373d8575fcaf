//! Checking lines: their form, their order and their seals, as fast as they can be read.
//!
//! Each line's seal depends on the text of the line before it alone, so the pieces of a file can be checked on several
//! threads at once.

use crate::chain::{Position, SealKey};
use crate::line::{Line, MAX_LINE};
use crate::tree::{Hash, leaf_hash};

/// A line of few texts, in bytes: for guessing how many hashes there will be.
const SHORT_LINE: usize = 512;

/// Why a line does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadLine {
    /// Not an entry at all.
    #[error("it is not an entry in canonical form")]
    Form,
    /// Its number is not the next.
    #[error("its number is {found}, expected {expected}: a line was removed, moved or added")]
    Sequence {
        /// The number in the line.
        found: u64,
        /// The number that had to come.
        expected: u64,
    },
    /// It begins a segment, but not the one after what stands before it.
    #[error("it begins a segment after another line than the one that stands before it")]
    Segment,
    /// Its seal does not hold.
    #[error("its seal does not hold: this line or the one before was changed, or the key is another")]
    Seal,
    /// The file ends in the middle of it.
    #[error("it is torn: the file ends in the middle of the line")]
    Torn,
}

/// What was found in some lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// Where the check began.
    pub from: Position,
    /// How many lines held, up to the first that does not.
    pub lines: u64,
    /// The place after them.
    pub position: Position,
    /// Their hashes as leaves of the tree.
    pub leaves: Vec<Hash>,
    /// The time of the first of them; empty when there is none.
    pub first: String,
    /// The time of the last of them; empty when there is none.
    pub last: String,
    /// The first line that does not hold, counted from 0 in what was checked.
    pub bad: Option<(u64, BadLine)>,
}

/// Checks whole lines, of which the first stands at the place `from`. Without a key everything but the seals is
/// checked: that is what somebody can do who has the tree, but no key of the segment.
#[must_use]
pub fn check_lines(bytes: &[u8], key: Option<&SealKey>, from: Position) -> Checked {
    let mut position = from;
    let mut leaves = Vec::with_capacity(bytes.len() / SHORT_LINE);
    let (mut first, mut last) = ("", "");
    let mut bad = None;
    let mut rest = bytes;
    while !rest.is_empty() {
        match next(&mut rest, key, position) {
            Ok((line, after)) => {
                position = after;
                leaves.push(leaf_hash(line.bytes()));
                last = line.timestamp;
                if first.is_empty() {
                    first = last;
                }
            }
            Err(why) => {
                bad = Some((leaves.len() as u64, why));
                break;
            }
        }
    }
    Checked { from, lines: leaves.len() as u64, position, leaves, first: first.to_owned(), last: last.to_owned(), bad }
}

/// Takes the next line, and says where it leads.
fn next<'l>(rest: &mut &'l [u8], key: Option<&SealKey>, position: Position) -> Result<(Line<'l>, Position), BadLine> {
    let Some(end) = memchr::memchr(b'\n', rest) else { return Err(BadLine::Torn) };
    let (line, after) = rest.split_at_checked(end).ok_or(BadLine::Torn)?;
    let line = Line::read(line).ok_or(BadLine::Form)?;
    if line.seq_no != position.next_seq {
        return Err(BadLine::Sequence { found: line.seq_no, expected: position.next_seq });
    }
    if line.previous_hmac.is_some_and(|previous| previous != position.previous) {
        return Err(BadLine::Segment);
    }
    if key.is_some_and(|key| !key.holds(&position.previous, &line)) {
        return Err(BadLine::Seal);
    }
    *rest = after.strip_prefix(b"\n").unwrap_or_default();
    let behind = Position::of(&line).ok_or(BadLine::Form)?;
    Ok((line, behind))
}

impl Checked {
    /// Adds what was found in the lines that come right after these. Where these do not all hold, or do not lead to
    /// where the check of those began, those count for nothing.
    pub fn join(&mut self, next: Self) {
        if self.bad.is_some() {
            return;
        }
        if next.from != self.position {
            self.bad = Some((self.lines, BadLine::Seal));
            return;
        }
        if self.first.is_empty() {
            self.first = next.first;
        }
        if !next.last.is_empty() {
            self.last = next.last;
        }
        self.bad = next.bad.map(|(line, why)| (self.lines.saturating_add(line), why));
        self.lines = self.lines.saturating_add(next.lines);
        self.position = next.position;
        self.leaves.extend(next.leaves);
    }
}

/// Some whole lines of a file, and the place before them as the text says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece<'b> {
    /// The lines.
    pub bytes: &'b [u8],
    /// The place before the first of them.
    pub from: Position,
}

/// Cuts lines into at most `count` pieces of about the same size, to be checked at the same time and
/// [joined](Checked::join) in their order: what comes out is what [`check_lines`] over all of them gives. A border
/// whose line cannot be read is left out; the piece before it then holds the bad line.
#[must_use]
pub fn pieces(bytes: &[u8], from: Position, count: usize) -> Vec<Piece<'_>> {
    let size = bytes.len().div_ceil(count.max(1)).max(1);
    let mut pieces = Vec::new();
    let (mut rest, mut place) = (bytes, from);
    while let Some((end, after)) = border(rest, size) {
        let (piece, behind) = rest.split_at_checked(end).unwrap_or((rest, &[]));
        pieces.push(Piece { bytes: piece, from: place });
        (rest, place) = (behind, after);
    }
    if !rest.is_empty() || pieces.is_empty() {
        pieces.push(Piece { bytes: rest, from: place });
    }
    pieces
}

/// The first end of a readable line at or after this many bytes, and the place there.
fn border(bytes: &[u8], size: usize) -> Option<(usize, Position)> {
    let mut at = size.checked_sub(1)?;
    loop {
        let end = at + memchr::memchr(b'\n', bytes.get(at..)?)?;
        // A line that is longer than one may be is not looked for to its start.
        let window = bytes.get(end.saturating_sub(MAX_LINE)..end)?;
        let line = match memchr::memrchr(b'\n', window) {
            Some(before) => window.get(before + 1..)?,
            None => window,
        };
        if let Some(after) = Position::after(line) {
            return Some((end + 1, after));
        }
        at = end + 1;
    }
}

#[cfg(test)]
mod tests;
