//! Sets of bytes, looked up in a table.

/// A set of bytes.
pub(crate) struct Set([bool; 256]);

impl Set {
    /// Letters, digits, and these.
    pub(crate) const fn word_and(more: &[u8]) -> Self {
        Self::of(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789").and(more)
    }

    /// These.
    pub(crate) const fn of(bytes: &[u8]) -> Self {
        Self([false; 256]).and(bytes)
    }

    const fn and(self, bytes: &[u8]) -> Self {
        let Self(mut table) = self;
        let mut rest = bytes;
        while let Some((byte, more)) = rest.split_first() {
            if let Some((_, [slot, ..])) = table.split_at_mut_checked(*byte as usize) {
                *slot = true;
            }
            rest = more;
        }
        Self(table)
    }

    /// Whether a byte is in it.
    #[inline]
    pub(crate) fn has(&self, byte: u8) -> bool {
        let Self(table) = self;
        table.get(usize::from(byte)).copied().unwrap_or_default()
    }
}
