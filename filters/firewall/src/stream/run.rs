//! Runs of a growing text that may be encoded, from their first byte to their last.

use std::ops::Range;

/// A shorter run says nothing that a rule finds: sixteen bytes in base64.
const SHORTEST: u64 = 22;
/// A run that does not end is looked at in parts of this size, a multiple of what every encoding reads at
/// once.
const PART: u64 = 1024;

/// The run at the end of a growing text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Run {
    /// Where it begins; `None` between runs.
    begin: Option<u64>,
}

impl Run {
    /// Takes a byte in, and says which run ended before it.
    pub(super) fn take(&mut self, at: u64, byte: u8) -> Option<Range<u64>> {
        if !encodes(byte) {
            return self.end(at);
        }
        let begin = *self.begin.get_or_insert(at);
        if at + 1 - begin < PART {
            return None;
        }
        self.begin = Some(at + 1);
        Some(begin..at + 1)
    }

    /// Where a run began that goes on.
    pub(super) fn begin(&self) -> Option<u64> {
        self.begin
    }

    /// The run ends here.
    pub(super) fn end(&mut self, at: u64) -> Option<Range<u64>> {
        let begin = self.begin.take()?;
        (at - begin >= SHORTEST).then_some(begin..at)
    }
}

/// A run with a digit, or of so many letters, may be a token of which nothing is known but its shape.
const LETTERS: u64 = 12;

/// The word at the end of a growing text: letters and digits, and the signs that stand within tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Word {
    begin: Option<u64>,
    /// How many letters stand at its end.
    letters: u64,
    /// From here on it is no ordinary word.
    evident: Option<u64>,
}

impl Word {
    /// Takes a byte in. Returns where the word begins when it turns out to be no ordinary one.
    pub(super) fn take(&mut self, at: u64, byte: u8) -> Option<u64> {
        if !(byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'+' | b'/' | b'=' | b'.' | b'~')) {
            *self = Self::default();
            return None;
        }
        let begin = *self.begin.get_or_insert(at);
        self.letters = if byte.is_ascii_alphanumeric() { self.letters + 1 } else { 0 };
        if self.evident.is_none() && (byte.is_ascii_digit() || self.letters > LETTERS) {
            self.evident = Some(at);
            return Some(begin);
        }
        None
    }

    /// From where on the word is no ordinary one.
    pub(super) fn evident(&self) -> Option<u64> {
        self.evident
    }
}

/// Whether a byte may be a part of an encoded run: base64 in both alphabets, hex, percent, escapes and
/// entities.
fn encodes(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=' | b'-' | b'_' | b'%' | b'\\' | b'&' | b'#' | b';')
}
