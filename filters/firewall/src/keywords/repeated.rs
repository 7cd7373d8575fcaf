//! Keywords of one letter over and over, which only count where a run of it begins: what is encoded has long runs of `A`,
//! and such a keyword stands at almost every place of them.

/// Letters within whose runs nothing is looked for.
#[derive(Default)]
pub(super) struct Repeated {
    /// Of which something is looked for where runs of them begin, and of which within them: a bit for each letter.
    begins: u64,
    within: u64,
}

impl Repeated {
    /// Adds a keyword by its hashed bytes, in small letters where it is found in any case, and by whether it only counts
    /// where a run begins.
    pub(super) fn add(&mut self, hashed: &[u8], any_case: bool, begins: bool) {
        let Some(letter) = letter(hashed) else { return };
        let bits = bit(letter) | if any_case { bit(letter.to_ascii_uppercase()) } else { 0 };
        *(if begins { &mut self.begins } else { &mut self.within }) |= bits;
    }

    /// Whether nothing is looked for at a place: not if the four bytes from it on are such a letter, and so are those from the
    /// byte before it on.
    #[inline(always)]
    pub(super) fn skips(&self, before: u32, gram: u32) -> bool {
        (before == gram) & (self.begins & !self.within & bit(gram as u8) != 0)
    }
}

/// The letter that bytes are over and over.
pub(super) fn letter(bytes: &[u8]) -> Option<u8> {
    let letter = bytes.first().copied().filter(u8::is_ascii_alphabetic)?;
    bytes.iter().all(|byte| *byte == letter).then_some(letter)
}

/// The bit of a letter. Hardly any other byte has one, and none that of a letter.
#[inline(always)]
fn bit(letter: u8) -> u64 {
    1u64.unbounded_shl(u32::from(letter ^ b'@'))
}
