//! What single bytes give away: control characters, and brackets that are not closed.

use std::ops::Range;

use super::Trait;

/// How many bytes are looked at together: few enough for a sum to fit a byte.
const BLOCK: usize = 64;

/// How many brackets may be open. Programs have a dozen, the deepest data some dozens.
const DEEPEST: i32 = 256;

/// Looks at every byte, and says whether all are ASCII.
pub(super) fn look(text: &str, report: &mut dyn FnMut(Trait, Range<usize>)) -> bool {
    let bytes = text.as_bytes();
    let mut high = 0;
    let mut control: Option<Range<usize>> = None;
    let mut escape: Option<Range<usize>> = None;
    let mut depth = 0;
    // Since when brackets are open, and up to where they are too many.
    let mut opened = 0;
    let mut deep: Option<Range<usize>> = None;
    for (number, block) in bytes.chunks(BLOCK).enumerate() {
        let at = number * BLOCK;
        let seen = Seen::of(block);
        high |= seen.high;
        if seen.control {
            for (place, byte) in (at..).zip(block).filter(|(_, byte)| is_control(**byte)) {
                let which = if *byte == 0x1b { &mut escape } else { &mut control };
                which.get_or_insert(place..place).end = place + 1;
            }
        }
        depth += i32::from(seen.opened);
        if depth <= 0 {
            (depth, opened) = (0, at);
        } else if depth > DEEPEST {
            deep.get_or_insert(opened..at).end = at + block.len();
        }
    }
    let widen = |span: Range<usize>| on_characters(text, span);
    for (seen, span) in [(Trait::Control, control), (Trait::Terminal, escape), (Trait::Nesting, deep)] {
        if let Some(span) = span {
            report(seen, widen(span));
        }
    }
    high < 0x80
}

/// What a block has.
struct Seen {
    high: u8,
    control: bool,
    opened: i8,
}

impl Seen {
    /// One length for all blocks but the last, so that the compiler makes wide instructions of the loop.
    fn of(block: &[u8]) -> Self {
        match <&[u8; BLOCK]>::try_from(block) {
            Ok(block) => Self::of_each(block),
            Err(_) => Self::of_each(block),
        }
    }

    #[inline(always)]
    fn of_each<'b>(block: impl IntoIterator<Item = &'b u8>) -> Self {
        let (mut high, mut control, mut opened) = (0u8, 0u8, 0i8);
        for byte in block {
            high |= byte;
            control |= u8::from(is_control(*byte));
            // Braces are brackets with one more bit.
            let (brace, byte) = (byte | 0x20, *byte);
            opened = opened.wrapping_add(i8::from(brace == b'{') + i8::from(byte == b'('));
            opened = opened.wrapping_sub(i8::from(brace == b'}') + i8::from(byte == b')'));
        }
        Self { high, control: control != 0, opened }
    }
}

/// Everything below the space but tabs, and ends of lines and of pages; and DEL.
fn is_control(byte: u8) -> bool {
    (byte < 0x20) & (byte.wrapping_sub(b'\t') > 4) | (byte == 0x7f)
}

/// The span, widened to whole characters.
fn on_characters(text: &str, span: Range<usize>) -> Range<usize> {
    let start = (0..=span.start).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    let end = (span.end..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len());
    start..end
}
