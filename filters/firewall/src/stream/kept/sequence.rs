//! Sequences that a terminal obeys and no reader sees, such as colours: they are known when they have ended.

use super::Kept;

/// The most signs between the bracket of a sequence and its end, as in a whole text.
const MOST: usize = 32;

/// What may be such a sequence, from behind its first sign on: each character, and how many bytes it came in, less
/// than none if they stood for another one.
#[derive(Debug, Default)]
pub(super) struct Begun {
    signs: Vec<(u8, i8)>,
    /// Up to where the text had come before them, and has come with them.
    before: u64,
    came: u64,
}

impl Begun {
    pub(super) fn new(came: u64) -> Self {
        Self { signs: Vec::new(), before: came, came }
    }

    pub(super) fn len(&self) -> usize {
        self.signs.len()
    }

    /// The memory that this takes.
    pub(super) fn size(&self) -> usize {
        size_of::<Self>() + self.signs.capacity() * size_of::<(u8, i8)>()
    }

    #[cfg(test)]
    pub(super) fn signs(&self) -> impl Iterator<Item = char> {
        self.signs.iter().map(|(byte, _)| char::from(*byte))
    }
}

impl Kept {
    /// Takes in what may go on such a sequence. It is not seen before it is known that it does not, and returns from
    /// where on what was there before is seen anew because of it.
    pub(super) fn go_on(&mut self, c: char, itself: bool) -> Option<u64> {
        let mut begun = self.sequence.take()?;
        // No sequence goes on in the next string of JSON.
        let ends_string = c == '"' && itself && self.escapes.is_some();
        // No sign of one is written in more bytes than an escape of JSON.
        let size = i8::try_from(self.came.saturating_sub(begun.came)).ok();
        match (begun.signs.len(), c) {
            (0, '[') | (1..=MOST, ' '..='?') if !ends_string && size.is_some() => {
                let size = size.map(|size| if itself { size } else { -size });
                begun.signs.reserve_exact(1);
                begun.signs.extend(u8::try_from(c).ok().zip(size));
                begun.came = self.came;
                self.sequence = Some(begun);
                return None;
            }
            (1.., '@'..='~') => {
                self.stand_for(None);
                self.last = Some(c);
                self.whole = self.came;
                self.differ();
                return None;
            }
            _ => {}
        }
        let came = self.came;
        let mut anew: Option<u64> = None;
        self.came = begun.before;
        for (byte, size) in begun.signs {
            self.came += u64::from(size.unsigned_abs());
            anew = anew.into_iter().chain(self.see(char::from(byte), size > 0)).min();
        }
        self.came = came;
        anew.into_iter().chain(self.see(c, itself)).min()
    }
}
