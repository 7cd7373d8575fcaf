//! A text of any length, in windows that overlap: what stands across the end of one is whole in the next.

use std::io::{self, Read};

use memchr::memrchr;

use crate::cli::decoding::{Decoder, HEAD};
use crate::cli::places::{Cut as _, Place};

/// How much text a window holds.
pub(super) const WINDOW: usize = 4 << 20;
/// How much of it the next one holds again. What is longer, and lies across an end, can be missed.
const OVERLAP: usize = 64 << 10;
/// How much is read at once.
const PIECE: usize = 64 << 10;

/// A part of a text.
pub(super) struct Window<'t> {
    /// What it says.
    pub(super) text: &'t str,
    /// Where it begins.
    pub(super) first: Place,
    /// From here on, the next window says more. Its end, where it is the last.
    pub(super) own: usize,
}

/// What became of reading.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// So many bytes of text.
    Text(u64),
    /// It is no text.
    Binary,
}

/// Reads a text, and shows it window by window.
pub(super) fn each(
    from: &mut dyn Read,
    binary_too: bool,
    size: usize,
    show: &mut dyn FnMut(&Window<'_>),
) -> io::Result<Content> {
    let mut head = Vec::with_capacity(HEAD);
    from.take(HEAD as u64).read_to_end(&mut head)?;
    let (mut decoder, rest) = Decoder::new(&head);
    if !binary_too && decoder.is_binary(rest) {
        return Ok(Content::Binary);
    }
    let mut text = String::new();
    decoder.push(rest, false, &mut text);
    let mut all = head.len() as u64;
    let mut place = Place::FIRST;
    let mut piece = vec![0; PIECE];
    loop {
        let read = match from.read(&mut piece) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            read => read?,
        };
        all += read as u64;
        decoder.push(piece.get(..read).unwrap_or_default(), read == 0, &mut text);
        if read == 0 {
            show(&Window { text: &text, first: place, own: text.len() });
            return Ok(Content::Text(all));
        }
        while text.len() >= size {
            // No window is larger than its size and a piece; a piece of one byte is three of text at most.
            let own = cut(&text, size);
            let end = text.floor_char_boundary_of(size);
            show(&Window { text: text.get(..end).unwrap_or_default(), first: place, own });
            place = place.after(text.get(..own).unwrap_or_default());
            text.drain(..own);
        }
    }
}

/// Where the next window begins: at a line's beginning where there is one.
fn cut(text: &str, size: usize) -> usize {
    let overlap = OVERLAP.min(size / 4).max(1);
    let latest = text.floor_char_boundary_of(size - overlap).max(1);
    let earliest = text.floor_char_boundary_of(latest.saturating_sub(overlap));
    let line = text.as_bytes().get(earliest..latest).and_then(|near| memrchr(b'\n', near));
    let cut = line.map_or(latest, |line| earliest + line + 1);
    (cut..text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn windows_are_the_text_once(text in "[a-zé\\n]{0,300}", size in 16usize..64) {
            let mut again = String::new();
            let mut from = text.as_bytes();
            let read = each(&mut from, false, size, &mut |window| {
                assert_eq!(window.first, Place::FIRST.after(&again));
                assert!(window.text.len() <= size.max(window.own));
                again.push_str(&window.text[..window.own]);
            });
            prop_assert_eq!(read.unwrap(), Content::Text(text.len() as u64));
            prop_assert_eq!(again, text);
        }
    }

    #[test]
    fn what_lies_across_an_end_is_whole_once() {
        for before in 0..200 {
            let text = format!("{}needle{}", "x".repeat(before), "y".repeat(100));
            let mut owned = 0;
            each(&mut text.as_bytes(), false, 64, &mut |window| {
                owned += usize::from(window.text.find("needle").is_some_and(|at| at < window.own));
            })
            .unwrap();
            assert_eq!(owned, 1, "after {before}");
        }
    }

    #[test]
    fn a_binary_file_is_none() {
        assert_eq!(each(&mut &b"\x7fELF\0\0"[..], false, 64, &mut |_| panic!("shown")).unwrap(), Content::Binary);
    }
}
