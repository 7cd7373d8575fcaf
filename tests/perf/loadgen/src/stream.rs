//! When the tokens of a streamed answer arrived, and how long each was under way.

/// Letters of a stamp after its `@@`.
const STAMP: usize = 16;

/// One token line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    /// When it arrived, on the monotonic clock.
    pub(crate) arrived: u64,
    /// When the stub sent it, on the same clock.
    pub(crate) sent: Option<u64>,
}

/// Splits a streamed body into lines and notes each token.
#[derive(Debug)]
pub(crate) struct StreamRecord {
    pub(crate) start: u64,
    pub(crate) tokens: Vec<Token>,
    partial: Vec<u8>,
}

impl StreamRecord {
    pub(crate) fn new(start: u64) -> Self {
        Self { start, tokens: Vec::new(), partial: Vec::new() }
    }

    /// Takes what arrived at `now`.
    pub(crate) fn feed(&mut self, mut data: &[u8], now: u64) {
        while let Some(end) = memchr::memchr(b'\n', data) {
            let (line, rest) = data.split_at(end);
            if self.partial.is_empty() {
                self.line(line, now);
            } else {
                let mut whole = std::mem::take(&mut self.partial);
                whole.extend_from_slice(line);
                self.line(&whole, now);
            }
            data = rest.get(1..).unwrap_or_default();
        }
        self.partial.extend_from_slice(data);
    }

    fn line(&mut self, line: &[u8], now: u64) {
        let is_last = line.starts_with(b"data: [DONE]") || memchr::memmem::find(line, br#""done":true"#).is_some();
        if line.len() > 2 && !is_last {
            self.tokens.push(Token { arrived: now, sent: stamp(line) });
        }
    }
}

fn stamp(line: &[u8]) -> Option<u64> {
    let at = memchr::memmem::find(line, b"@@")? + 2;
    let letters = line.get(at..at + STAMP)?;
    letters.iter().try_fold(0u64, |ns, letter| {
        let nibble = letter.checked_sub(b'g').filter(|nibble| *nibble < 16)?;
        Some(ns << 4 | u64::from(nibble))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_found_across_reads() {
        let mut record = StreamRecord::new(0);
        record.feed(b"{\"content\":\" tok@@gggggggg", 10);
        record.feed(b"ggggggih\"}\n{\"conte", 20);
        record.feed(b"nt\":\"plain\"}\n{\"done\":true}\n\n", 30);
        let expected = [Token { arrived: 20, sent: Some(0x21) }, Token { arrived: 30, sent: None }];
        assert_eq!(record.tokens, expected);
    }
}
