//! The word at the end of a growing text, whose letters may be others than they are.

use super::{Kept, is_plain};
use crate::view;

/// A longer word is not looked at as a whole for look-alikes.
const WORD: usize = 96;

impl Kept {
    /// Where the word at the end begins, while its letters may turn out to be others; and whether it shows that.
    pub(in crate::stream) fn unsure(&self) -> Option<(u64, bool)> {
        self.unsure
    }

    /// Whether letters of the word at the end may be seen as others when it goes on.
    pub(in crate::stream) fn may_change(&self) -> bool {
        self.foreign.is_some()
    }

    /// Where the first character of the word at the end stands that may be seen as another one, or not at all.
    pub(in crate::stream) fn unsettled(&self) -> Option<u64> {
        let ends = |byte: &u8| view::ends_word(*byte);
        let word = self.text.bytes().rev().take(WORD + 1).take_while(|byte| !ends(byte)).count();
        let begin = self.end().saturating_sub(word as u64);
        let word = self.text.as_bytes().get(self.index(begin)..).filter(|_| word <= WORD)?;
        Some(begin + word.iter().position(|byte| !is_plain(*byte))? as u64)
    }

    /// Looks at the word that this character goes on, if it holds letters that may look like others. Returns where
    /// it begins if a reader sees it as another one.
    pub(super) fn look_again(&mut self, c: char) -> Option<u64> {
        if self.stands || (self.foreign.is_none() && !view::may_look_alike(c)) {
            return None;
        }
        self.unsure = None;
        if u8::try_from(c).is_ok_and(view::ends_word) {
            self.foreign = None;
            return None;
        }
        let begin = self.foreign.unwrap_or_else(|| {
            let word = self.text.bytes().rev().take(WORD + 1).take_while(|byte| !view::ends_word(*byte));
            self.end().saturating_sub(word.count() as u64)
        });
        if self.end().saturating_sub(begin) > WORD as u64 {
            self.foreign = None;
            self.see_last(c);
            return None;
        }
        self.foreign = Some(begin);
        let anew = self.see_anew(begin);
        let word = self.text.get(self.index(begin)..).unwrap_or_default();
        self.unsure = view::unsure(word).map(|shows| (begin, shows));
        anew
    }

    /// Sees the last letter of a long word as a reader does.
    fn see_last(&mut self, c: char) {
        let from = self.text.len().saturating_sub(WORD);
        let word = self.text.as_bytes().get(from..).unwrap_or_default();
        let Some(seen) = view::seen_in_token(word, c).filter(|_| self.text.ends_with(c)) else { return };
        self.text.pop();
        while self.last_joint().is_some_and(|joint| joint.seen > self.end()) {
            self.joints.pop_back();
        }
        self.stand_for(Some(seen));
        self.differ();
    }

    /// Sees the word that begins here as a reader does, and says from where on that is another one.
    fn see_anew(&mut self, begin: u64) -> Option<u64> {
        // Words of one script are what they are.
        let word = self.text.get(self.index(begin)..)?;
        let word = Some(word).filter(|word| word.bytes().any(|byte| byte.is_ascii_alphanumeric()))?;
        let seen = view::of(word).filter(|seen| seen.text.len() <= word.len())?;
        let same = word.chars().zip(seen.text.chars()).take_while(|(was, is)| was == is);
        let same: usize = same.map(|(c, _)| c.len_utf8()).sum();
        let unchanged = word.chars().rev().zip(seen.text.chars().rev()).take_while(|(was, is)| was == is);
        let unchanged: usize = unchanged.map(|(c, _)| c.len_utf8()).sum();
        let unchanged = (unchanged as u64).min(self.end().saturating_sub(self.same));
        let from = begin + same as u64;
        let came = |at: usize, c: char| self.origin(begin + seen.map.source(at..at + c.len_utf8()).end as u64);
        let anew = seen.text.char_indices().skip_while(|(at, _)| *at < same);
        let anew: Vec<(char, u64)> = anew.map(|(at, c)| (c, came(at, c))).collect();
        self.text.truncate(self.index(from));
        while self.last_joint().is_some_and(|joint| joint.seen > from) {
            self.joints.pop_back();
        }
        for (c, came) in anew {
            self.text.push(c);
            if self.origin(self.end()) != came {
                self.join(came, true);
            }
        }
        // What was dropped at the end of the word lies before what comes, and behind its last character.
        if self.origin(self.end()) != self.came {
            self.join(self.came, false);
        }
        self.differ();
        // What stands behind the last character that is another one is the same for both.
        self.same = self.same.saturating_sub(unchanged);
        Some(from)
    }
}
