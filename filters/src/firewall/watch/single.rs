//! Texts that stand for themselves: ids, names, keys, and what a frame holds whole.

use std::ops::Range;

use portcullis_firewall::{Direction, Exhausted, Finding, Origin, Rule, Rules, Text};

use crate::firewall::judge::Judge;
use crate::frame::Piece;
use crate::frame::time::{SECOND, TIME, is_time};

/// A shorter text holds no finding, whatever its key.
const SHORTEST: usize = 6;
/// How many texts are remembered, and of which size: the same keys and ids stand in every frame of an answer.
const REMEMBERED: usize = 40;
const LONGEST: usize = 64;

/// Texts in which nothing was found.
#[derive(Default)]
pub(super) struct Singles {
    clean: Vec<Clean>,
    /// Which came last. Frames say the same in the same order, so the next one comes next.
    last: usize,
    /// How many were asked for.
    asked: u64,
    /// The second of the last frame's time in which nothing was found.
    second: Option<Box<str>>,
}

/// A text in which nothing was found, and where it stood.
struct Clean {
    text: Box<str>,
    /// The key of which it is the value; none of a key.
    key: Option<Box<str>>,
    /// When it was asked for last.
    asked: u64,
}

impl Clean {
    fn is(&self, piece: &Piece<'_>) -> bool {
        *self.text == *piece.text && self.key.as_deref() == (!piece.is_key).then_some(piece.key)
    }
}

impl Singles {
    /// Whether nothing is in it.
    pub(super) fn knows(&mut self, piece: &Piece<'_>) -> bool {
        if piece.text.len() < SHORTEST || self.knows_time(piece) {
            return true;
        }
        self.asked += 1;
        let next = self.last + 1;
        let at = match self.clean.get(next) {
            Some(clean) if clean.is(piece) => Some(next),
            _ => self.clean.iter().position(|clean| clean.is(piece)),
        };
        let Some((at, clean)) = at.and_then(|at| Some((at, self.clean.get_mut(at)?))) else { return false };
        clean.asked = self.asked;
        self.last = at;
        true
    }

    /// Whether it is the time of a frame in a second of which one was clean: only parts of a second are new in it.
    fn knows_time(&self, piece: &Piece<'_>) -> bool {
        let known = || self.second.as_deref().is_some_and(|second| piece.text.starts_with(second));
        piece.key == TIME && !piece.is_key && known() && is_time(piece.text)
    }

    /// Notes that nothing was found, in the place of what was not asked for the longest time.
    pub(super) fn remember(&mut self, piece: &Piece<'_>) {
        if piece.text.len() > LONGEST || piece.key.len() > LONGEST {
            return;
        }
        if piece.key == TIME && !piece.is_key && is_time(piece.text) {
            self.second = piece.text.get(..SECOND).map(Into::into);
            return;
        }
        let key = (!piece.is_key).then(|| piece.key.into());
        let clean = Clean { text: piece.text.into(), key, asked: self.asked };
        if self.clean.len() < REMEMBERED {
            return self.clean.push(clean);
        }
        if let Some(oldest) = self.clean.iter_mut().min_by_key(|clean| clean.asked) {
            *oldest = clean;
        }
    }
}

/// Judges a text as it stands and as the value of its key. `false` where that takes too much work.
pub(super) fn scan<'r>(judge: &'r Judge, piece: &Piece<'_>, found: &mut dyn FnMut(&'r Rule, Range<usize>)) -> bool {
    let one = [Text { text: piece.text, origin: Origin::Answer, flows: false }];
    let mut any = false;
    let alone = whole(&judge.rules, &one, &mut |finding| {
        any = true;
        found(finding.rule, finding.secret);
    });
    if alone.is_err() || any || piece.is_key || piece.key.is_empty() {
        return alone.is_ok();
    }
    let lead = format!("{} = \"", piece.key);
    let assigned = format!("{lead}{}\"", piece.text);
    let one = [Text { text: &assigned, origin: Origin::Answer, flows: false }];
    let said = whole(&judge.rules, &one, &mut |finding| {
        // What is found in the key alone is found there.
        if let Some(start) = finding.secret.start.checked_sub(lead.len()) {
            found(finding.rule, start..finding.secret.end.saturating_sub(lead.len()).min(piece.text.len()));
        }
    });
    said.is_ok()
}

/// Judges texts as a whole.
pub(super) fn whole<'r>(
    rules: &'r Rules,
    texts: &[Text<'_>],
    found: &mut dyn FnMut(Finding<'r>),
) -> Result<(), Exhausted> {
    let size = texts.iter().map(|text| text.text.len()).sum();
    crate::firewall::scan(size, |scratch| rules.scan(texts, Direction::Response, scratch, found)).map_err(|_| Exhausted)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::judge_pii;
    use super::*;
    use crate::frame::Channel;

    fn value<'t>(key: &'t str, text: &'t str) -> Piece<'t> {
        Piece { channel: Channel::Single, text, key, is_key: false }
    }

    #[test]
    fn what_was_clean_is_known_where_it_stood() {
        let mut singles = Singles::default();
        let many: Vec<String> = (0..REMEMBERED).map(|number| format!("some text {number}")).collect();
        for _ in 0..3 {
            for text in &many {
                let piece = value("key", text);
                if !singles.knows(&piece) {
                    singles.remember(&piece);
                }
            }
        }
        assert!(many.iter().rev().all(|text| singles.knows(&value("key", text))));
        assert!(!singles.knows(&value("password", "some text 1")));
        assert!(!singles.knows(&Piece { is_key: true, ..value("key", "some text 1") }));
        singles.remember(&value("key", "one more"));
        assert!(singles.knows(&value("key", "one more")));
        assert!(!singles.knows(&value("key", &many[REMEMBERED - 1])), "the one not asked for the longest time went");
        singles.remember(&value("key", &"x".repeat(LONGEST + 1)));
        assert!(!singles.knows(&value("key", &"x".repeat(LONGEST + 1))));
        assert_eq!(singles.clean.len(), REMEMBERED);
    }

    #[test]
    fn of_the_times_in_one_second_one_is_judged() {
        let mut singles = Singles::default();
        for second in ["2026-11-21T09:08:07", "2026-11-21T09:08:08", "2026-11-21T09:08:07"] {
            for number in 0..9 {
                let time = format!("{second}.00{number}Z");
                assert_eq!(singles.knows(&value(TIME, &time)), number > 0, "{time}");
                singles.remember(&value(TIME, &time));
            }
        }
        let time = "2026-11-21T09:08:07.001Z";
        assert!(!singles.knows(&value("born", time)));
        assert!(!singles.knows(&Piece { is_key: true, ..value(TIME, time) }));
        assert!(!singles.knows(&value(TIME, "2026-11-21T09:08:07.00aZ")));
        assert!(!singles.knows(&value(TIME, "2026-11-21T09:08:07.001Z and more")));
    }

    proptest! {
        /// So what is not judged of them hides nothing from the rules in the program.
        #[test]
        fn nothing_is_found_in_the_time_of_a_frame(
            second in "20[0-9]{2}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9]",
            parts in "[0-9]{1,9}", zone in "Z|[+-][0-2][0-9]:[0-5][0-9]",
        ) {
            static JUDGE: std::sync::LazyLock<std::sync::Arc<Judge>> = std::sync::LazyLock::new(judge_pii);
            let text = format!("{second}.{parts}{zone}");
            prop_assert!(is_time(&text));
            prop_assert!(scan(&JUDGE, &value(TIME, &text), &mut |rule, _| panic!("{}", rule.id)), "{}", text);
        }
    }
}
