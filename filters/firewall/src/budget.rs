//! How much work a scan may take.
//!
//! A unit is some nanoseconds: about one of plain stepping, up to six where much is tried. What takes more than its texts' size allows is not judged; that is
//! refused, and so stuffing a text with keywords gains nothing.

mod time;

use crate::keywords::Looked;
use crate::scan::{Exhausted, Standing};
use time::Time;
pub(crate) use time::cost;

/// Units for each byte that is scanned, of the first `SMALL` ones, beyond, and beyond `HUGE` ones: the largest texts would
/// take seconds otherwise. Logs, tables, prose and sources take up to 14.
const PER_BYTE: usize = 128;
const PER_BYTE_BEYOND: usize = 64;
const PER_BYTE_HUGE: usize = 20;
const SMALL: usize = 256 << 10;
const HUGE: usize = 2 << 20;

/// Units for each byte and each rule that looks at it whatever it says.
const ALWAYS: usize = 40;
const ALWAYS_BEYOND: usize = 8;

/// As many bytes more count for each view, for what the first ones take.
const AHEAD: usize = 24;

/// Units for a scan whatever its size.
const FLOOR: usize = 160 << 10;

/// What it takes to look once more, at what a text looks like or says decoded. How many bytes that may be is counted
/// where they are decoded; for each of them there are some units more.
const AGAIN: usize = 500;
const PER_BYTE_AGAIN: usize = 64;

/// The same for what is only put together, of which nobody counts the bytes.
const TOGETHER: usize = 200;
const TOGETHER_PER_BYTE: usize = 1;
const PER_BYTE_TOGETHER: usize = 16;

/// Looking again at parts of more than `HUGE` bytes earns nothing. It costs for each byte what it takes to make them and to
/// pass over them, as a reader sees them and put together, after as many that are free as a text of that size may have.
const PER_BYTE_AGAIN_HUGE: usize = 8;
const PER_BYTE_TOGETHER_HUGE: usize = 16;
const BESIDE: usize = 16 << 20;

/// The same for each byte of it that may be encoded.
const DECODED_PER_BYTE: usize = 1;

/// As much more may be spent where nobody waits for an answer.
const PATIENCE: usize = 256;

/// As much is left once the verdict stands: for the other findings of an ordinary text, not for a list of tokens.
const SETTLED: usize = 24 << 10;

/// As often a request may find the memory of automata full, which depends on what came before it, for nothing.
const CLEARS: usize = 4;

/// What it takes to build again what was thrown away then.
const CLEARED: usize = 500_000;

/// What is left to spend on the texts of one request, and on all that they are seen as.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    left: usize,
    patience: usize,
    bytes: usize,
    /// As many bytes were looked at once more.
    beside: usize,
    clears: usize,
    settled: bool,
    time: Time,
}

impl Default for Budget {
    fn default() -> Self {
        Self { left: FLOOR, patience: 1, bytes: 0, beside: 0, clears: CLEARS, settled: false, time: Time::default() }
    }
}

impl Budget {
    /// For texts of so many bytes, on which somebody waits.
    pub(crate) fn of(bytes: usize) -> Self {
        Self { time: Time::of(bytes), ..Self::default() }
    }

    /// For whoever can wait, and wants to know all that is in a text.
    pub(crate) fn patient() -> Self {
        Self { left: FLOOR * PATIENCE, patience: PATIENCE, ..Self::default() }
    }

    /// Keeps little once the verdict stands.
    pub(crate) fn heed(&mut self, standing: Standing) {
        if standing == Standing::Settled {
            self.left = self.left.min(SETTLED);
            self.settled = true;
        }
    }

    /// Adds units, unless whatever there is to look at changes nothing any more.
    fn add(&mut self, units: usize) {
        if !self.settled {
            self.left = self.left.saturating_add(units.saturating_mul(self.patience));
        }
    }

    /// Adds what a text allows as it stands, at which `every` rules look whatever it says.
    pub(crate) fn earn(&mut self, bytes: usize, every: usize) {
        let small = bytes.min(SMALL.saturating_sub(self.bytes));
        let beyond = (bytes - small).min(HUGE.saturating_sub(self.bytes.saturating_add(small)));
        let huge = bytes - small - beyond;
        let of = |bytes: usize, units: usize| bytes.saturating_mul(units);
        let own = of(small, PER_BYTE).saturating_add(of(beyond, PER_BYTE_BEYOND));
        let own = own.saturating_add(of(huge, PER_BYTE_HUGE));
        self.bytes = self.bytes.saturating_add(bytes);
        let fixed = fixed(small, beyond, every);
        self.add(own.saturating_add(fixed));
        self.time.add(bytes.saturating_add(AHEAD), every);
        self.time.add_text();
    }

    /// Spends what it takes to look at a text once more, as it looks or decoded.
    pub(crate) fn look_again(&mut self, bytes: usize, every: usize) -> Result<(), Exhausted> {
        self.time.add(bytes.saturating_add(AHEAD), every);
        if self.bytes > HUGE {
            return self.look_beside(bytes, PER_BYTE_AGAIN_HUGE).and_then(|()| self.spend(AGAIN));
        }
        // Nothing for the view itself: of small ones there may be many.
        let fixed = bytes.saturating_mul(every).saturating_mul(ALWAYS_BEYOND);
        let earned = bytes.saturating_mul(PER_BYTE_AGAIN).saturating_add(fixed);
        self.add(earned);
        self.spend(AGAIN)
    }

    /// Spends what it takes to decode what stood in pieces.
    pub(crate) fn decode_again(&mut self, bytes: usize) -> Result<(), Exhausted> {
        self.spend(bytes.saturating_mul(DECODED_PER_BYTE))
    }

    /// Spends what it takes to look at what stood in pieces, for live secrets only, of which there may be some.
    pub(crate) fn look_together(&mut self, bytes: usize) -> Result<(), Exhausted> {
        if self.bytes > HUGE {
            return self.look_beside(bytes, PER_BYTE_TOGETHER_HUGE).and_then(|()| self.spend(TOGETHER));
        }
        self.add(bytes.saturating_mul(PER_BYTE_TOGETHER));
        self.spend(bytes.saturating_mul(TOGETHER_PER_BYTE).saturating_add(TOGETHER))
    }

    /// Spends what it takes to look once more at parts of huge texts.
    fn look_beside(&mut self, bytes: usize, units: usize) -> Result<(), Exhausted> {
        let free = bytes.min(BESIDE.saturating_sub(self.beside));
        self.beside = self.beside.saturating_add(bytes);
        self.spend((bytes - free).saturating_mul(units))
    }

    /// What is left.
    #[cfg(test)]
    pub(crate) fn left(&self) -> usize {
        self.left
    }

    /// Says what a step [takes](cost), as often as it is done. If that is too long, the next units are not spent.
    #[inline(always)]
    pub(crate) fn take(&mut self, tenths: usize, times: usize) {
        self.time.take(tenths.saturating_mul(times));
    }

    /// Says what finding keywords took.
    pub(crate) fn take_looked(&mut self, Looked { places, pairs }: Looked) {
        self.take(cost::PLACE, places);
        self.take(cost::COMPARED, pairs);
    }

    /// Spends units.
    pub(crate) fn spend(&mut self, units: usize) -> Result<(), Exhausted> {
        let left = self.left.checked_sub(units).filter(|_| !self.time.is_over());
        // What is exhausted stays so.
        self.left = left.unwrap_or(0);
        left.map(|_| ()).ok_or(Exhausted)
    }

    /// Pays for the memory of automata that was full so often.
    pub(crate) fn clear(&mut self, times: usize) -> Result<(), Exhausted> {
        let free = times.min(self.clears);
        self.clears -= free;
        self.spend(CLEARED.saturating_mul(times - free))
    }
}

/// What is looked at whatever it says takes that much, and is no attack: a table of numbers, of which many almost are
/// a card's.
fn fixed(small: usize, beyond: usize, every: usize) -> usize {
    let of = |bytes: usize, units: usize| bytes.saturating_mul(every).saturating_mul(units);
    of(small.saturating_add(AHEAD), ALWAYS).saturating_add(of(beyond, ALWAYS_BEYOND))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_spent_once() {
        let mut budget = Budget::default();
        budget.earn(1000, 0);
        assert_eq!(budget.spend(1000 * PER_BYTE), Ok(()));
        assert_eq!(budget.spend(FLOOR), Ok(()));
        assert_eq!(budget.spend(1), Err(Exhausted));
        budget.earn(usize::MAX, usize::MAX);
        assert_eq!(budget.spend(1 << 30), Ok(()), "no overflow");
    }

    #[test]
    fn automata_may_be_full_a_few_times() {
        let mut budget = Budget::default();
        assert_eq!(budget.clear(CLEARS), Ok(()));
        assert_eq!(budget.left, FLOOR);
        assert_eq!(budget.clear(0), Ok(()));
        assert_eq!(budget.clear(1), Err(Exhausted));
    }

    #[test]
    fn looking_again_pays_less_and_looking_together_costs() {
        let mut again = Budget::default();
        assert_eq!(again.look_again(1000, 0), Ok(()));
        assert_eq!(again.left, FLOOR + 1000 * PER_BYTE_AGAIN - AGAIN);
        const { assert!(PER_BYTE_AGAIN < PER_BYTE) };
        let mut small = Budget::default();
        (0..100).for_each(|_| assert_eq!(small.look_again(1, 11), Ok(())));
        assert!(small.left < FLOOR, "many small pieces earn nothing");
        let mut together = Budget::default();
        assert_eq!(together.look_together(1000).and_then(|()| together.decode_again(1000)), Ok(()));
        let spent = TOGETHER + 1000 * (TOGETHER_PER_BYTE + DECODED_PER_BYTE);
        assert_eq!(together.left, FLOOR + 1000 * PER_BYTE_TOGETHER - spent);
        const { assert!(PER_BYTE_TOGETHER < PER_BYTE_AGAIN) };
    }

    #[test]
    fn keeps_little_once_the_verdict_stands() {
        let mut budget = Budget::default();
        budget.earn(1 << 20, 11);
        budget.heed(Standing::Open);
        assert!(budget.left > FLOOR);
        budget.heed(Standing::Settled);
        assert_eq!(budget.left, SETTLED);
        budget.earn(1 << 20, 11);
        assert_eq!(budget.spend(SETTLED), Ok(()));
        assert_eq!(budget.look_again(1000, 0), Err(Exhausted));
        assert_eq!(budget.look_together(1000), Err(Exhausted));
    }

    #[test]
    fn patience_multiplies_what_is_earned() {
        let (mut patient, mut usual) = (Budget::patient(), Budget::default());
        patient.earn(1000, 2);
        usual.earn(1000, 2);
        assert_eq!(patient.left, usual.left * PATIENCE);
    }

    #[test]
    fn grows_slower_for_large_texts_however_they_are_cut() {
        for size in [1 << 20, HUGE, 16 << 20] {
            let (mut whole, mut cut) = (Budget::default(), Budget::default());
            whole.earn(size, 0);
            (0..size >> 10).for_each(|_| cut.earn(1 << 10, 0));
            assert_eq!(whole.left, cut.left);
            let beyond = (size.min(HUGE) - SMALL) * PER_BYTE_BEYOND + size.saturating_sub(HUGE) * PER_BYTE_HUGE;
            assert_eq!(whole.left, FLOOR + SMALL * PER_BYTE + beyond);
        }
    }

    #[test]
    fn what_is_beside_a_huge_text_costs() {
        let budget = |size: usize| {
            let mut budget = Budget::default();
            budget.earn(size, 1);
            budget
        };
        let mut large = budget(HUGE);
        assert_eq!(large.look_again(BESIDE, 1).and_then(|()| large.look_together(BESIDE)), Ok(()));
        assert!(large.left > budget(HUGE).left, "up to there it is as ever");
        let mut huge = budget(16 << 20);
        let earned = huge.left;
        assert_eq!(huge.look_together(BESIDE), Ok(()));
        assert_eq!(huge.left, earned - TOGETHER, "as much is free");
        assert_eq!(huge.look_again(1000, 1).and_then(|()| huge.look_together(1000)), Ok(()));
        let spent = AGAIN + 2 * TOGETHER + 1000 * (PER_BYTE_AGAIN_HUGE + PER_BYTE_TOGETHER_HUGE);
        assert_eq!(huge.left, earned - spent);
        // Nothing of it earns its way.
        let again = (0..1000).map(|_| huge.look_together(1 << 20)).find(Result::is_err);
        assert_eq!(again, Some(Err(Exhausted)));
        let patient = || {
            let mut patient = Budget::patient();
            patient.earn(16 << 20, 1);
            (0..1000).try_for_each(|_| patient.look_together(1 << 20))
        };
        assert_eq!(patient(), Ok(()), "for who can wait it is as ever");
    }
}
