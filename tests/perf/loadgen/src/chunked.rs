//! A decoder for chunked bodies that works on whatever bytes have arrived.

use anyhow::{bail, ensure};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Size,
    Data,
    DataEnd,
    Trailer,
}

/// Where the decoder stands between two reads.
#[derive(Debug, Default)]
pub(crate) struct Chunked {
    state: State,
    /// Bytes of the current chunk that are still to come.
    left: usize,
    /// Significant bytes of the current size or trailer line.
    line: usize,
}

impl Chunked {
    /// Decodes `input`, hands every run of content to `content`, and returns the bytes used and
    /// whether the body has ended.
    pub(crate) fn feed(&mut self, input: &[u8], mut content: impl FnMut(&[u8])) -> anyhow::Result<(usize, bool)> {
        let mut rest = input;
        while let Some((&byte, tail)) = rest.split_first() {
            match self.state {
                State::Size => {
                    rest = tail;
                    self.size_byte(byte)?;
                }
                State::Data => {
                    let (run, after) = rest.split_at(self.left.min(rest.len()));
                    content(run);
                    rest = after;
                    self.left -= run.len();
                    if self.left == 0 {
                        self.state = State::DataEnd;
                    }
                }
                State::DataEnd => {
                    rest = tail;
                    if byte == b'\n' {
                        self.state = State::Size;
                    }
                }
                State::Trailer => {
                    rest = tail;
                    match byte {
                        b'\n' if self.line == 0 => return Ok((input.len() - rest.len(), true)),
                        b'\n' => self.line = 0,
                        b'\r' => {}
                        _ => self.line += 1,
                    }
                }
            }
        }
        Ok((input.len(), false))
    }

    fn size_byte(&mut self, byte: u8) -> anyhow::Result<()> {
        match (byte, char::from(byte).to_digit(16)) {
            (_, Some(digit)) => {
                ensure!(self.line < 8, "a chunk is too large");
                self.left = self.left * 16 + digit as usize;
                self.line += 1;
            }
            (b'\r', _) => {}
            (b'\n', _) => {
                ensure!(self.line > 0, "a chunk has no size");
                self.line = 0;
                self.state = if self.left == 0 { State::Trailer } else { State::Data };
            }
            _ => bail!("a chunk's size is not hexadecimal"),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_split_gives_the_same_content() {
        let body = b"5\r\nhello\r\n1A\r\nabcdefghijklmnopqrstuvwxyz\r\n0\r\nx: y\r\n\r\nnext";
        for size in 1..body.len() {
            let mut decoder = Chunked::default();
            let mut content = Vec::new();
            let mut used = 0;
            for part in body.chunks(size) {
                let (bytes, end) = decoder.feed(part, |run| content.extend_from_slice(run)).unwrap();
                used += bytes;
                if end {
                    break;
                }
            }
            assert_eq!(content, b"helloabcdefghijklmnopqrstuvwxyz", "parts of {size}");
            assert_eq!(used, body.len() - 4, "parts of {size}");
        }
    }

    #[test]
    fn broken_sizes_are_errors() {
        for body in [&b"\r\n"[..], b"zz\r\n", b"1234567890\r\n"] {
            assert!(Chunked::default().feed(body, |_| ()).is_err());
        }
    }
}
