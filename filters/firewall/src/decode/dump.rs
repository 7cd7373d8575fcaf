//! Dumps, as `xxd` and `hexdump -C` print them: an offset, bytes in hex, the same bytes as text.

use std::ops::Range;

use memchr::memchr;

use super::hex_pair;

/// No dump prints more bytes on a line.
const WIDTH: usize = 32;

/// Nor is a line of one longer.
const LINE: usize = 1 << 10;

/// The bytes of a dump that begins at this place, and where it stands.
pub(super) fn read(bytes: &[u8], place: usize) -> Option<(Vec<u8>, Range<usize>)> {
    let start = place + bytes.get(place..)?.iter().take_while(|byte| !byte.is_ascii_alphanumeric()).count();
    let mut made = Vec::new();
    let mut end = start;
    let mut at = start;
    while let Some(rest) = bytes.get(at..) {
        // Not to the end of the line: that may be the end of the text, and there may be many dumps in it.
        let line = rest.get(..LINE).unwrap_or(rest);
        let size = memchr(b'\n', line);
        let Some(used) = read_line(line.get(..size.unwrap_or(line.len())).unwrap_or_default(), &mut made) else {
            break;
        };
        end = at + used;
        let Some(size) = size else { break };
        at += size + 1;
    }
    (!made.is_empty()).then_some((made, start..end))
}

/// Reads the bytes of a line, and says how much of the line they take.
fn read_line(line: &[u8], made: &mut Vec<u8>) -> Option<usize> {
    let indent = line.iter().take(16).take_while(|byte| **byte == b' ').count();
    let rest = line.get(indent..)?;
    let offset = rest.iter().take(17).take_while(|byte| byte.is_ascii_hexdigit()).count();
    if !(4..=16).contains(&offset) {
        return None;
    }
    // A colon or two spaces: other numbers also stand in lines.
    let mut at = match rest.get(offset..)? {
        [b':', b' ', ..] => indent + offset + 1,
        [b' ', b' ', ..] => indent + offset,
        _ => return None,
    };
    let known = made.len();
    let mut end = at;
    let mut bytewise = true;
    loop {
        let rest = line.get(at..)?;
        let gap = rest.iter().take(4).take_while(|byte| **byte == b' ').count();
        let group = rest.iter().skip(gap).take(17).take_while(|byte| byte.is_ascii_hexdigit()).count();
        let count = made.len() - known;
        // Two spaces stand in the middle of single bytes, and before the text.
        let split = gap >= 2 && count > 0 && !(bytewise && count == 8 && group == 2);
        if gap == 0 || group == 0 || group % 2 != 0 || split || count + group / 2 > WIDTH {
            break;
        }
        bytewise &= group == 2;
        let digits = rest.get(gap..gap + group)?;
        made.extend(digits.as_chunks::<2>().0.iter().filter_map(|pair| hex_pair(pair)));
        at += gap + group;
        end = at;
    }
    (made.len() > known).then_some(end)
}
