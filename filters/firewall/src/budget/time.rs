//! How long a short text may take.
//!
//! Somebody waits while a prompt is judged, and not while an answer is, which takes far longer to come. So what each step takes is estimated, and what would keep them waiting for longer than a
//! prompt of its size may is not judged, however little the [work](super::Budget) is. Estimated, and not measured: what is refused must not depend on
//! the machine, nor on what else it does.
//!
//! The costs were fitted, by least squares without negative ones, to the times that some 10,000 texts took: prompts, lists that people paste, and the worst that was found.
//! Of nine in ten of them the estimate is within 0.6 and 1.4 times what they take.

/// What a step takes, in tenths of a nanosecond.
pub(crate) mod cost {
    /// A pass over a view of a text, and each byte of it but for the text itself.
    pub(crate) const PASS: usize = 7_300;
    pub(crate) const PASSED: usize = 9;
    /// A place at which a keyword may stand, and one that is compared there.
    pub(crate) const PLACE: usize = 110;
    pub(crate) const COMPARED: usize = 60;
    /// A keyword that is found.
    pub(crate) const KEYWORD: usize = 50;
    /// A rule that is asked at one.
    pub(crate) const ASKED: usize = 140;
    /// A byte of a run in which rules look that have no keyword.
    pub(crate) const RUN: usize = 10;
    /// An automaton that is begun with, and each byte that it takes.
    pub(crate) const BEGUN: usize = 600;
    pub(crate) const STEPPED: usize = 22;
    /// One that is looked for in a range, and each byte of that.
    pub(crate) const SEARCHED: usize = 50;
    pub(crate) const SEARCHED_BYTE: usize = 3;
    /// What must stand before a keyword, and each byte of it.
    pub(crate) const BEFORE: usize = 30;
    pub(crate) const BEFORE_BYTE: usize = 10;
    /// A byte of a match.
    pub(crate) const MATCHED: usize = 12;
    /// A match of which it is told where its secret begins, in one of four ways, and each of its bytes.
    pub(crate) const SPLIT: usize = 5_900;
    pub(crate) const SPLIT_BYTE: usize = 10;
    pub(crate) const ONE_PASS: usize = 9_000;
    pub(crate) const ONE_PASS_BYTE: usize = 25;
    pub(crate) const TRIED: usize = 1_200;
    pub(crate) const TRIED_BYTE: usize = 120;
    pub(crate) const TRIED_MUCH_BYTE: usize = 800;
    /// A check of a match, and each byte of its secret.
    pub(crate) const CHECKED: usize = 1_200;
    pub(crate) const CHECKED_BYTE: usize = 40;
    /// And more for each byte of what is long: some checks read on in it that are over soon in what is short.
    pub(crate) const CHECKED_FAR: usize = 100;
    /// A byte of a text that may be seen as something else, and more for each that is not ASCII.
    pub(crate) const SEEN: usize = 15;
    pub(crate) const SEEN_FOREIGN: usize = 250;
    /// A part of what a reader sees of it.
    pub(crate) const CHANGED: usize = 390;
    /// What stood in pieces, each of them, and each byte of that in all ways in which they may stand together.
    pub(crate) const JOINED: usize = 28_000;
    pub(crate) const PIECE: usize = 450;
    pub(crate) const JOINED_BYTE: usize = 9;
    /// A line that is read in rows of them.
    pub(crate) const LINE: usize = 350;
    /// A byte of what was decoded.
    pub(crate) const DECODED: usize = 80;
    /// A run of symbols that is read in an alphabet, and each of them; and one of which bytes are made.
    pub(crate) const READ: usize = 2_500;
    pub(crate) const READ_SYMBOL: usize = 2;
    pub(crate) const UNPACKED: usize = 1_600;
    pub(crate) const UNPACKED_SYMBOL: usize = 2;
    /// A byte that is judged for injections, and a place around which it is looked closer.
    pub(crate) const JUDGED: usize = 7;
    pub(crate) const AROUND: usize = 2_800;
    /// A cue that is found there.
    pub(crate) const CUE: usize = 600;
}

/// What texts of up to so many bytes may take together, and each byte beyond. With what one text has of its own: 262 us.
const FLOOR: usize = 2_545_000;
const SHORT: usize = 4 << 10;
const PER_BYTE_BEYOND: usize = 2_560;

/// For each text, however short: to look at it, at the border before it, and at what is between.
const PER_TEXT: usize = 10 * cost::PASS;

/// For each byte and each rule that looks at it whatever it says.
const PER_BYTE_AND_RULE: usize = 400;

/// The time that is left for the texts of a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Time {
    /// Below zero once it is over.
    left: i64,
}

impl Default for Time {
    /// As long as it takes.
    fn default() -> Self {
        Self { left: i64::MAX }
    }
}

impl Time {
    /// Of texts of so many bytes.
    pub(super) fn of(bytes: usize) -> Self {
        let beyond = bytes.saturating_sub(SHORT).saturating_mul(PER_BYTE_BEYOND);
        Self { left: narrow(FLOOR.saturating_add(beyond)) }
    }

    /// Adds what rules take that look at each of so many bytes, whatever they say.
    pub(super) fn add(&mut self, bytes: usize, rules: usize) {
        self.left = self.left.saturating_add(narrow(bytes.saturating_mul(rules).saturating_mul(PER_BYTE_AND_RULE)));
    }

    /// Adds what it takes to look at one text more.
    pub(super) fn add_text(&mut self) {
        self.left = self.left.saturating_add(narrow(PER_TEXT));
    }

    /// Takes as much of it.
    #[inline(always)]
    pub(super) fn take(&mut self, tenths: usize) {
        self.left = self.left.saturating_sub(narrow(tenths));
    }

    /// Whether all of it has been taken.
    #[inline]
    pub(super) fn is_over(self) -> bool {
        self.left < 0
    }
}

#[inline(always)]
fn narrow(tenths: usize) -> i64 {
    i64::try_from(tenths).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn longer_texts_may_take_longer() {
        let left = |bytes: usize| Time::of(bytes).left;
        assert_eq!((left(0), left(SHORT)), (2_545_000, 2_545_000));
        assert!((SHORT..99_999).all(|bytes| left(bytes) < left(bytes + 1)));
        assert_eq!(left(usize::MAX), i64::MAX);
    }

    #[test]
    fn what_is_over_stays_so() {
        let mut time = Time::of(0);
        time.take(FLOOR);
        assert!(!time.is_over());
        time.take(1);
        assert!(time.is_over());
        time.take(0);
        assert!(time.is_over());
    }
}
