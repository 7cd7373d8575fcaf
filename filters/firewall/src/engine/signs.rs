//! In which rows of pieces something may be found that is sure. In hardly any, and what has none of its signs need not be
//! scanned in all the ways in which its pieces may stand together.

use std::convert::Infallible;
use std::ops::Range;

use super::compiled::{Compiled, Reach};
use super::{Engine, Hits, Starts, Target};
use crate::join::Wholes;
use crate::runs;

/// What rules have whose findings can be sure, other than keywords.
pub(super) struct Signs {
    /// Those that look at runs.
    at_runs: Starts,
    /// Whether any row may count, whatever it says.
    anywhere: bool,
}

impl Signs {
    /// Of these rules, as far as their findings can be sure, and of whether they look at every text or for a keyword
    /// that goes over more than a row.
    pub(super) fn new(rules: &[Compiled], is_sure: impl Fn(usize) -> bool, anywhere: bool) -> Self {
        Self { at_runs: Starts::of(rules, is_sure), anywhere }
    }
}

impl Engine {
    /// Names parts that reach into each row, at least, of which a scan finds something that is sure in any way in which some
    /// of its pieces stand together. The planes are of the rows afterwards.
    pub(crate) fn each_sign(&self, rows: &Wholes<'_>, hits: &mut Hits, found: &mut dyn FnMut(Range<usize>)) {
        let Hits { planes, places, budget, .. } = hits;
        planes.read(rows.text);
        if self.signs.anywhere {
            return found(0..rows.text.len());
        }
        runs::find(rows.text, planes, places);
        let is_sign = |run: &_| self.signs.at_runs.may_begin(rows, planes, run);
        places.iter().filter(|run| is_sign(run)).for_each(|run| found(run.clone()));
        let Ok(looked) = self.of_sure.keywords.each(rows.text.as_bytes(), &mut |at, keyword| {
            let may_match = |target: &&Target| self.may_match_in_part(rows.text.as_bytes(), at, **target);
            let far = self.of_sure.of(keyword).iter().filter(may_match).map(|target| self.looks_around(*target)).max();
            // Twice as far: it looks from both ends of a match.
            far.into_iter().for_each(|far| found(at.saturating_sub(far)..at.saturating_add(2 * far)));
            Ok::<_, Infallible>(())
        });
        budget.take_looked(looked);
    }

    /// Whether this may match at a keyword of a text, or of a part of it that ends sooner.
    fn may_match_in_part(&self, text: &[u8], at: usize, target: Target) -> bool {
        let Target::Rule { number, least, .. } = target else { return false };
        let Some(rule) = self.rules.get(number as usize) else { return false };
        let is_open = |begin: usize| rule.gate_is_open(text.get(begin..).unwrap_or_default());
        rule.reach != Reach::Here || at.checked_sub(least as usize).is_some_and(is_open)
    }

    /// How far from a secret this looks for what says of what kind it is: that may stand in another row.
    fn looks_around(&self, target: Target) -> usize {
        let Target::Rule { number, .. } = target else { return 0 };
        self.rules.get(number as usize).map_or(0, |rule| rule.statement.around)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use proptest::prelude::*;

    use super::*;
    use crate::scan::{Standing, is_sure};
    use crate::{Rules, Selection};

    static RULES: LazyLock<Rules> = LazyLock::new(|| Rules::load(true, &[], &Selection::default()).unwrap());

    fn part() -> impl Strategy<Value = String> {
        prop_oneof![
            2 => "[A-Za-z0-9_-]{0,24}",
            1 => "(ghp_|hf_|sk-|SK|eyJ|ewogICJ|\\.eyJ|glpat-|AKIA|re_|pat|00|A3-|pass|word|=|: |://|@){1,2}",
            1 => "[0-9a-f]{8,32}",
            1 => "A{9,30}",
            1 => "[A-Z0-9]{5,16}",
            1 => "[ -~\n]{0,6}",
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]
        /// Whichever pieces stand together.
        #[test]
        fn no_row_in_which_something_is_found_is_passed_over(
            rows in prop::collection::vec(prop::collection::vec(part(), 2..9), 1..4),
        ) {
            let engine = &RULES.engine;
            let (mut text, mut borders, mut begins) = (String::new(), Vec::new(), Vec::new());
            for row in &rows {
                begins.push(text.len());
                for piece in row {
                    borders.push(text.len());
                    text += piece;
                }
                text += "\n\n\0\n\n";
            }
            let (mut hits, mut seen) = (Hits::default(), vec![false; rows.len()]);
            let row_of = |at: usize| begins[begins.partition_point(|begin| *begin <= at) - 1];
            let ends: Vec<_> = borders.iter().map(|at| row_of(*at)..*at).collect();
            engine.each_sign(&Wholes { text: &text, borders: &borders, ends: &ends }, &mut hits, &mut |part| {
                let row_of = |place: usize| begins.partition_point(|begin| *begin <= place);
                seen[row_of(part.start) - 1..row_of(part.end)].fill(true);
            });
            for (row, seen) in rows.iter().zip(seen) {
                for (first, last) in (0..row.len()).flat_map(|first| (first + 2..=row.len()).map(move |last| (first, last))) {
                    let way = row[first..last].concat() + "\n\n";
                    hits.begin(way.len());
                    let mut any = false;
                    let scanned = engine.scan_sure(&way, &mut hits, &mut |found| {
                        any |= is_sure(&way, &found);
                        Standing::Open
                    });
                    prop_assert!(scanned.is_ok() && (seen || !any), "{:?} of {:?}", way, row);
                }
            }
        }
    }
}
