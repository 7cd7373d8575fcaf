//! Where each part of a view came from.

use std::cell::Cell;
use std::ops::Range;

/// As many bytes of a view are room that is kept.
const ROOM: usize = 256 << 10;

/// From places in a view to places in the text that it was made from. One run for every stretch that
/// was made in the same way, not one entry for every byte.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Map {
    runs: Vec<Run>,
    /// What comes after the last block of the last run, in the source.
    next: u32,
}

/// From `at` in the view to the next run: every `made` bytes came from `given` bytes, beginning at `from`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    at: u32,
    from: u32,
    made: u8,
    given: u8,
}

/// A text made from another, and where its parts came from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct View {
    pub(crate) text: String,
    pub(crate) map: Map,
}

impl View {
    /// Makes room for so many more bytes, and for where so many parts came from.
    pub(crate) fn reserve(&mut self, bytes: usize, parts: usize) {
        self.text.reserve(bytes);
        self.map.runs.reserve(parts);
    }

    /// Begins anew.
    pub(crate) fn clear(&mut self) {
        self.text.clear();
        self.map.clear();
    }

    /// Of how many parts it was made.
    pub(crate) fn parts(&self) -> usize {
        self.map.runs.len()
    }

    /// Keeps no more room than common texts take.
    pub(crate) fn shrink(&mut self) {
        if self.text.capacity() > ROOM {
            *self = Self::default();
        }
    }

    /// Goes on with a part of the source as it stands.
    #[inline]
    pub(crate) fn copy(&mut self, source: &str, part: Range<usize>) {
        if part.is_empty() {
            return;
        }
        let Some(text) = source.get(part.clone()) else { return };
        self.map.go_on(self.text.len(), part.start, 1, 1);
        self.text.push_str(text);
    }

    /// The parts that do not stand in the source as they do here, and what they came from, of a source of this length.
    pub(crate) fn changes(&self, length: usize) -> impl Iterator<Item = (Range<usize>, Range<usize>)> {
        let runs = &self.map.runs;
        let nexts = runs.iter().skip(1).map(|run| (run.at as usize, run.from as usize));
        let ends = nexts.chain([(self.text.len(), length)]);
        let first = runs.first().map_or(length, |run| run.from as usize);
        let changes = runs.iter().zip(ends).flat_map(|(run, (end, next))| {
            let came = run.block(end.saturating_sub(1)).end;
            let copied = run.made == 1 && run.given == 1;
            let changed = (!copied).then_some((run.at as usize..end, run.from as usize..came));
            [changed, Some((end..end, came..next))]
        });
        [Some((0..0, 0..first))]
            .into_iter()
            .chain(changes)
            .flatten()
            .filter(|(made, given)| made.len() + given.len() > 0)
    }

    /// Goes on with a part of itself, which was copied as it stands.
    pub(crate) fn repeat(&mut self, part: Range<usize>) {
        if part.is_empty() || self.text.get(part.clone()).is_none() {
            return;
        }
        self.map.repeat(self.text.len(), part.clone());
        self.text.extend_from_within(part);
    }

    /// Goes on with what stands for a part of the source.
    pub(crate) fn put(&mut self, made: &str, part: Range<usize>) {
        let (Ok(bytes), Ok(given)) = (u8::try_from(made.len()), u8::try_from(part.len())) else {
            // More than a run can say: what it is made from counts as its first bytes.
            self.map.go_on(self.text.len(), part.start, u8::MAX, u8::MAX);
            return self.text.push_str(made);
        };
        if bytes > 0 {
            self.map.go_on(self.text.len(), part.start, bytes, given);
            self.text.push_str(made);
        }
    }

    /// Goes on with one character that stands for a part of the source.
    #[inline]
    pub(crate) fn put_char(&mut self, made: char, part: Range<usize>) {
        match u8::try_from(part.len()) {
            Ok(given) => {
                self.map.go_on(self.text.len(), part.start, made.len_utf8() as u8, given);
                self.text.push(made);
            }
            Err(_) => self.put(made.encode_utf8(&mut [0; 4]), part),
        }
    }
}

impl Map {
    pub(crate) fn clear(&mut self) {
        self.runs.clear();
    }

    /// Goes on, at a place of the view, with what comes from a place of the source: every `made` bytes from `given` ones.
    #[inline]
    pub(crate) fn go_on(&mut self, at: usize, from: usize, made: u8, given: u8) {
        let (at, from) = (at as u32, from as u32);
        let next = std::mem::replace(&mut self.next, from.saturating_add(u32::from(given)));
        if let Some(last) = self.runs.last() {
            let goes_on = last.made == made && last.given == given && made != u8::MAX;
            // A stretch that simply goes on needs no run of its own. Of single bytes there may be many at once.
            let single = || last.from.checked_add((at.saturating_sub(last.at)).saturating_mul(u32::from(given)));
            if goes_on && (if made == 1 { single() } else { Some(next) }) == Some(from) {
                return;
            }
        }
        self.runs.push(Run { at, from, made, given });
    }

    /// Goes on with so many bytes that came one by one from as many, in blocks of this size.
    #[inline]
    pub(crate) fn go_on_all(&mut self, at: usize, from: usize, size: u8, bytes: usize) {
        self.go_on(at, from, size, size);
        self.next = (from + bytes) as u32;
    }

    /// Goes on, at a place of the view, as in a part of it that is not empty.
    fn repeat(&mut self, at: usize, part: Range<usize>) {
        let first = self.runs.partition_point(|run| run.at as usize <= part.start);
        let end = self.runs.partition_point(|run| (run.at as usize) < part.end).max(first);
        if let Some(Run { at: begin, from, made, given }) =
            first.checked_sub(1).and_then(|run| self.runs.get(run)).copied()
        {
            self.go_on(at, from as usize + part.start - begin as usize, made, given);
        }
        let known = self.runs.len();
        self.runs.extend_from_within(first..end);
        for run in self.runs.iter_mut().skip(known) {
            run.at = run.at.wrapping_add((at - part.start) as u32);
        }
        let last = (at + part.len()).saturating_sub(1);
        self.next = self.runs.last().map_or(0, |run| run.block(last).end as u32);
    }

    /// Whether a part of the view was copied as it stands, from one place.
    pub(crate) fn is_copied(&self, part: &Range<usize>) -> bool {
        let after = self.runs.partition_point(|run| run.at as usize <= part.start);
        let run = after.checked_sub(1).and_then(|run| self.runs.get(run));
        run.is_some_and(|run| run.made == 1 && run.given == 1)
            && self.runs.get(after).is_none_or(|next| next.at as usize >= part.end)
    }

    /// The part of the source that a part of the view came from.
    pub(crate) fn source(&self, part: Range<usize>) -> Range<usize> {
        let start = self.run(part.start).map_or(part.start, |run| run.block(part.start).start);
        if part.is_empty() {
            return start..start;
        }
        let last = part.end - 1;
        let end = self.run(last).map_or(part.end, |run| run.block(last).end);
        start..end.max(start)
    }

    /// The place in the source of one in the view, which is mostly a little behind the one that was asked for last.
    pub(crate) fn start(&self, place: usize, last: &Cell<usize>) -> usize {
        const NEAR: usize = 8;
        let at = |number: usize| self.runs.get(number).map_or(usize::MAX, |run| run.at as usize);
        let near = (last.get()..last.get() + NEAR).find(|number| at(*number) <= place && place < at(number + 1));
        let number =
            near.unwrap_or_else(|| self.runs.partition_point(|run| run.at as usize <= place).saturating_sub(1));
        last.set(number);
        self.runs.get(number).filter(|run| run.at as usize <= place).map_or(place, |run| run.block(place).start)
    }

    /// The run in which a place of the view lies.
    fn run(&self, place: usize) -> Option<&Run> {
        let after = self.runs.partition_point(|run| run.at as usize <= place);
        self.runs.get(after.checked_sub(1)?)
    }
}

impl Run {
    /// What the byte at a place of the view was made from.
    fn block(&self, place: usize) -> Range<usize> {
        let block = (place - self.at as usize) / usize::from(self.made.max(1));
        let start = self.from as usize + block * usize::from(self.given);
        start..start + usize::from(self.given)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_repeated_came_from_where_it_was_copied_from() {
        let source = "0123456789é";
        let parts = [1..3, 3..4, 6..6, 0..2, 8..12];
        let size = |parts: &[Range<usize>]| parts.iter().map(Range::len).sum::<usize>();
        for (first, last) in (0..=parts.len()).flat_map(|first| (first..=parts.len()).map(move |last| (first, last))) {
            let (mut view, mut slow) = (View::default(), View::default());
            for view in [&mut view, &mut slow] {
                parts.iter().for_each(|part| view.copy(source, part.clone()));
                view.put("\n\n", 12..12);
            }
            let begin = size(&parts[..first]);
            view.repeat(begin..begin + size(&parts[first..last]));
            parts[first..last].iter().for_each(|part| slow.copy(source, part.clone()));
            // What goes on from there does so in the same way.
            for view in [&mut view, &mut slow] {
                view.put_char('é', 12..14);
                view.put_char('é', 14..16);
            }
            let parts = (0..slow.text.len()).flat_map(|a| (a + 1..=slow.text.len()).map(move |b| a..b));
            for part in parts.filter(|part| slow.text.get(part.clone()).is_some_and(str::is_ascii)) {
                let copied =
                    slow.map.source(part.clone()).len() == part.len() && !slow.text[part.clone()].contains('\n');
                assert_eq!(slow.map.is_copied(&part), copied, "{part:?} of {:?}", slow.text);
            }
            assert_eq!((view.text, view.map.runs), (slow.text, slow.map.runs), "{first} to {last}");
        }
    }

    #[test]
    fn what_is_changed_is_known() {
        let source = "ab–c\u{200b}d…e\u{200b}";
        let view = crate::view::of(source).unwrap();
        assert_eq!(view.text, "ab-cd...e");
        let changes: Vec<_> =
            view.changes(source.len()).map(|(made, given)| (&view.text[made], &source[given])).collect();
        assert_eq!(changes, [("-", "–"), ("", "\u{200b}"), ("...", "…"), ("", "\u{200b}")]);
    }

    #[test]
    fn places_map_back() {
        let source = "ab%41%42c\u{200b}d";
        let mut view = View::default();
        view.copy(source, 0..2);
        view.put("A", 2..5);
        view.put("B", 5..8);
        view.copy(source, 8..9);
        view.copy(source, 12..13);
        assert_eq!(view.text, "abABcd");
        assert_eq!(view.map.source(0..2), 0..2);
        assert_eq!(view.map.source(2..4), 2..8);
        assert_eq!(view.map.source(3..5), 5..9);
        assert_eq!(view.map.source(4..5), 8..9);
        assert_eq!(view.map.source(1..6), 1..13);
        // `%41%42` is one run; so is everything that was copied in one piece.
        assert_eq!(view.map.runs.len(), 4);
    }
}
