//! Sequences that a terminal obeys and no reader sees, such as colours: they are known when they have ended.

use super::Kept;

/// The most signs between the bracket of a sequence and its end, as in a whole text.
const MOST: usize = 32;

/// What may be such a sequence, from behind its first sign on: each character, whether it came as itself, and up to
/// where the text had come by then.
#[derive(Debug, Default)]
pub(super) struct Begun(pub(super) Vec<(u8, bool, u64)>);

impl Kept {
    /// Takes in what may go on such a sequence. It is not seen before it is known that it does not, and returns from
    /// where on what was there before is seen anew because of it.
    pub(super) fn go_on(&mut self, c: char, itself: bool) -> Option<u64> {
        let mut begun = self.sequence.take()?;
        // No sequence goes on in the next string of JSON.
        let ends_string = c == '"' && itself && self.escapes.is_some();
        match (begun.0.len(), c) {
            (0, '[') | (1..=MOST, ' '..='?') if !ends_string => {
                begun.0.reserve_exact(1);
                begun.0.extend(u8::try_from(c).map(|byte| (byte, itself, self.came)));
                self.sequence = Some(begun);
                return None;
            }
            (1.., '@'..='~') => {
                self.stand_for(None);
                self.whole = self.came;
                self.differ();
                return None;
            }
            _ => {}
        }
        let came = self.came;
        let mut anew: Option<u64> = None;
        for (byte, itself, at) in begun.0 {
            self.came = at;
            anew = anew.into_iter().chain(self.see(char::from(byte), itself)).min();
        }
        self.came = came;
        anew.into_iter().chain(self.see(c, itself)).min()
    }
}
