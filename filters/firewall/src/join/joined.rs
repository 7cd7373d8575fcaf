//! Rows of pieces that were joined.
//!
//! Hardly any has what a secret has in it. So they are looked at together first, each as a whole, and only those that may
//! count are given in all the ways in which their pieces may belong together.

use std::ops::Range;

use super::{APART, BETWEEN, LONG, Pieces, REACH, size_of};
use crate::view::View;

/// As many bytes of rows are room that is kept.
const ROOM: usize = 64 << 10;

/// Rows that wait to be looked at. Reused from text to text.
#[derive(Default)]
pub(crate) struct Joined {
    /// Each as a whole, one after the other, with what stands between them.
    text: String,
    rows: Vec<Row>,
    pieces: Vec<Range<usize>>,
    /// Where in the text each piece begins.
    borders: Vec<usize>,
    /// Where each row begins, and where it ends in each of the ways but as a whole.
    ends: Vec<Range<usize>>,
    /// As many bytes they have in all of their ways.
    size: usize,
    given: Given,
}

/// One of them.
struct Row {
    whole: Range<usize>,
    pieces: Range<usize>,
    /// Which of the pieces are given once more.
    ways: [Range<usize>; 8],
    counts: bool,
}

/// The rows that count, each in some ways.
#[derive(Default)]
pub(crate) struct Given {
    pub(crate) view: View,
    /// Where each stands in its first way: as a whole.
    wholes: Vec<Range<usize>>,
}

/// All rows as wholes.
#[derive(Clone, Copy)]
pub(crate) struct Wholes<'j> {
    pub(crate) text: &'j str,
    /// Where in it each piece begins, in order.
    pub(crate) borders: &'j [usize],
    /// Where rows begin, and where they are cut off in the ways in which pieces stand together, in that order: what follows is an
    /// empty line.
    pub(crate) ends: &'j [Range<usize>],
}

impl Wholes<'_> {
    /// Where pieces begin within a part.
    pub(crate) fn within(&self, part: &Range<usize>) -> &[usize] {
        let first = self.borders.partition_point(|border| *border <= part.start);
        let end = self.borders.partition_point(|border| *border < part.end);
        self.borders.get(first..end).unwrap_or_default()
    }
}

impl Joined {
    /// Begins anew.
    pub(super) fn clear(&mut self) {
        self.text.clear();
        self.rows.clear();
        self.pieces.clear();
        self.borders.clear();
        self.ends.clear();
        self.size = 0;
    }

    /// Keeps no more room than common texts take.
    pub(super) fn shrink(&mut self) {
        self.given.view.shrink();
        if self.text.capacity() > ROOM {
            *self = Self::default();
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// As many bytes are given of all rows, if all of them count.
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// As many pieces there are in all of them.
    pub(crate) fn count(&self) -> usize {
        self.pieces.len()
    }

    /// Goes on with a row.
    pub(super) fn add(&mut self, source: &str, pieces: Pieces<'_>) {
        let Self { text, rows, pieces: all, borders, ends, size, .. } = self;
        if !rows.is_empty() {
            text.push_str(BETWEEN);
            *size += BETWEEN.len();
        }
        let (begin, first) = (text.len(), all.len());
        for piece in pieces {
            borders.push(text.len());
            // Where pieces are cut within characters, they are none.
            text.push_str(source.get(piece.clone()).unwrap_or_default());
        }
        let whole = begin..text.len();
        text.push_str(APART);
        all.extend_from_slice(pieces);
        let ways = ways(source, pieces);
        let begins = borders.get(first..).unwrap_or_default();
        let at = |piece: usize| begins.get(piece).copied().unwrap_or(whole.end);
        let more: usize =
            ways.iter().filter(|way| way.len() >= 2).map(|way| at(way.end) - at(way.start) + APART.len()).sum();
        let known = ends.len();
        let cut = ways.iter().filter(|way| way.len() >= 2).map(|way| begin..at(way.end));
        ends.extend(cut.filter(|way| way.end < whole.end));
        ends.get_mut(known..).unwrap_or_default().sort_unstable_by_key(|way| way.end);
        ends.dedup();
        *size += whole.len() + APART.len() + more;
        rows.push(Row { whole, pieces: first..all.len(), ways, counts: false });
    }

    /// Has somebody look at all rows. Those count into which a part reaches that is found.
    pub(crate) fn look(&mut self, look: impl FnOnce(&Wholes<'_>, &mut dyn FnMut(Range<usize>))) {
        let Self { text, rows, borders, ends, .. } = self;
        look(&Wholes { text, borders, ends }, &mut |part| {
            let after = rows.partition_point(|row| row.whole.start <= part.start);
            let there = rows.iter_mut().skip(after.saturating_sub(1)).take_while(|row| row.whole.start <= part.end);
            there.for_each(|row| row.counts = true);
        });
    }

    /// The rows that count, if any does, of a text.
    pub(crate) fn given(&mut self, source: &str) -> Option<&Given> {
        let Self { rows, pieces, given, .. } = self;
        given.view.clear();
        given.wholes.clear();
        for row in rows.iter().filter(|row| row.counts) {
            given.add(source, row, pieces.get(row.pieces.clone()).unwrap_or_default());
        }
        Some(&*given).filter(|given| !given.wholes.is_empty())
    }

    /// All of them.
    #[cfg(test)]
    pub(super) fn all(&mut self, source: &str) -> &str {
        self.rows.iter_mut().for_each(|row| row.counts = true);
        assert_eq!(self.given(source).map_or(0, |given| given.view.text.len()), self.size);
        &self.given.view.text
    }
}

impl Given {
    /// Whether a part is of a row as a whole.
    pub(crate) fn is_of_whole(&self, part: &Range<usize>) -> bool {
        let after = self.wholes.partition_point(|whole| whole.start <= part.start);
        let whole = after.checked_sub(1).and_then(|row| self.wholes.get(row));
        whole.is_some_and(|whole| part.end <= whole.end)
    }

    /// Goes on with a row of these pieces.
    fn add(&mut self, source: &str, row: &Row, pieces: Pieces<'_>) {
        let Self { view, wholes } = self;
        if !wholes.is_empty() {
            let first = pieces.first().map_or(0, |piece| piece.start);
            view.put(BETWEEN, first..first);
        }
        let begin = view.text.len();
        pieces.iter().for_each(|piece| view.copy(source, piece.clone()));
        let end = view.text.len();
        wholes.push(begin..end);
        let is_whole = end - begin == size_of(pieces);
        let last = pieces.last().map_or(0, |piece| piece.end);
        view.put(APART, last..last);
        for way in row.ways.iter().filter(|way| way.len() >= 2) {
            if is_whole {
                let before = size_of(pieces.get(..way.start).unwrap_or_default());
                let behind = size_of(pieces.get(way.end..).unwrap_or_default());
                view.repeat(begin + before..end - behind);
            }
            let way = pieces.get(way.clone()).unwrap_or_default();
            if !is_whole {
                way.iter().for_each(|piece| view.copy(source, piece.clone()));
            }
            let last = way.last().map_or(0, |piece| piece.end);
            view.put(APART, last..last);
        }
    }
}

/// Which of the pieces are given once more, two at least: without the first, the last, or both, and without words of a
/// sentence that happen to have their size; each of these no farther than a secret reaches from its ends.
fn ways(text: &str, pieces: Pieces<'_>) -> [Range<usize>; 8] {
    let count = pieces.len();
    let apart = Some(apart(text, pieces)).filter(|way| way.len() < count.min(LONG)).unwrap_or_default();
    // What is longer than any secret is a row whatever stands at its ends.
    let ways =
        if count <= LONG { [0..count - 1, 1..count, 1..(count - 1).max(1), apart] } else { [0..0, 0..0, 0..0, apart] };
    let size = size_of(pieces);
    let mut all: [Range<usize>; 8] = Default::default();
    for (slot, way) in all.as_chunks_mut().0.iter_mut().zip(ways) {
        let (first, last) = ends(pieces, way.clone(), size).unwrap_or((way, 0..0));
        *slot = [first, last];
    }
    all
}

/// The first and the last pieces of a way, if there are more between them than a secret reaches over.
fn ends(pieces: Pieces<'_>, way: Range<usize>, size: usize) -> Option<(Range<usize>, Range<usize>)> {
    fn enough<'p>(pieces: impl Iterator<Item = &'p Range<usize>>) -> usize {
        let mut left = REACH;
        let within = |piece: &&Range<usize>| {
            let more = left > 0;
            left = left.saturating_sub(piece.len());
            more
        };
        // Two at least, however long they are.
        pieces.take_while(within).count().max(2)
    }
    if size < REACH {
        return None;
    }
    let pieces = pieces.get(way.clone())?;
    let (begin, end) = (enough(pieces.iter()), enough(pieces.iter().rev()));
    let rest = way.len().checked_sub(end).filter(|rest| *rest > begin)?;
    Some((way.start..way.start + begin, way.start + rest..way.end))
}

/// The pieces without the words of small letters before and after them.
fn apart(text: &str, pieces: &[Range<usize>]) -> Range<usize> {
    let is_word = |piece: &Range<usize>| {
        text.as_bytes().get(piece.clone()).is_some_and(|piece| piece.iter().all(u8::is_ascii_lowercase))
    };
    let first = pieces.iter().position(|piece| !is_word(piece)).unwrap_or(0);
    let last = pieces.iter().rposition(|piece| !is_word(piece)).map_or(0, |last| last + 1);
    first..last.max(first)
}
