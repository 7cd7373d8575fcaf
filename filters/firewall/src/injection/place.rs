//! Where in a text a cue stands: on characters, at a line's beginning, in code.

use std::ops::Range;

/// How far around a cue is looked.
const NEAR: usize = 48;
/// How far for the quotation marks around it.
const QUOTED: usize = 400;
/// A sentence without spaces has more characters.
const SHORT: usize = 4;

/// No marked cue in ASCII letters has as many bytes, and none is spread over more.
pub(super) const CUE: usize = 36;
pub(super) const SPREAD: usize = 300;

/// The character's border at or before a place.
pub(super) fn floor(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// The character's border at or after a place.
pub(super) fn ceil(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at += 1;
    }
    at
}

/// What is near a part: so many bytes, with anything that folds to a space among them, and a little around that.
pub(super) fn around(text: &str, at: Range<usize>, bytes: usize) -> Range<usize> {
    let before = text.as_bytes().get(..at.start).unwrap_or_default();
    let after = text.as_bytes().get(at.end..).unwrap_or_default();
    let back = reach(bytes, before.rchunks_exact(STEP), |known| before.iter().rev().skip(known));
    let on = reach(bytes, after.chunks_exact(STEP), |known| after.iter().skip(known));
    floor(text, at.start - back)..ceil(text, at.end + on)
}

/// As many bytes are counted together.
const STEP: usize = 32;

/// How far it is to so many bytes: first by whole pieces, then by what is `behind` those.
fn reach<'b, B: Iterator<Item = &'b u8>>(
    bytes: usize,
    pieces: impl Iterator<Item = &'b [u8]>,
    behind: impl Fn(usize) -> B,
) -> usize {
    let part = |byte: &u8| !matches!(byte, b' ' | b'\n' | b'-' | b'\t' | b'\r');
    let (mut left, mut known) = (bytes, 0);
    for piece in pieces.take(SPREAD / STEP) {
        let parts = piece.iter().map(|byte| u8::from(part(byte))).sum::<u8>();
        if usize::from(parts) >= left {
            break;
        }
        left -= usize::from(parts);
        known += STEP;
    }
    let rest = behind(known).take(SPREAD - known).take_while(|byte| {
        left -= usize::from(part(byte));
        left > 0
    });
    known + rest.count()
}

/// Whether a line begins here, but for marks that stand before headings, quotes and list items.
pub(super) fn begins_line(text: &str, at: usize) -> bool {
    let before = text.as_bytes().get(..at).unwrap_or_default();
    for byte in before.iter().rev().take(NEAR) {
        match byte {
            b'\n' | b'\r' => return true,
            b' ' | b'\t' | b'#' | b'*' | b'>' | b'<' | b'[' | b'(' | b'"' | b'-' | b'=' | b'!' => {}
            _ => return false,
        }
    }
    before.len() <= NEAR
}

/// Whether only white space with a line's end in it stands before this place.
pub(super) fn after_line_end(text: &str, at: usize) -> bool {
    let before = text.as_bytes().get(..at).unwrap_or_default();
    before.iter().rev().take(NEAR).take_while(|byte| byte.is_ascii_whitespace()).any(|byte| *byte == b'\n')
}

/// Whether a chat template's token stands in a program's string, or is spoken about: it does not
/// open a turn then.
pub(super) fn in_code(text: &str, token: &Range<usize>) -> bool {
    let before = text.as_bytes().get(..token.start).unwrap_or_default().last();
    let after = text.as_bytes().get(token.end..).unwrap_or_default();
    if before.is_some_and(|byte| b"'\"`".contains(byte)) {
        return true;
    }
    // The role that a token may be followed by, then what makes it a string or a placeholder.
    let rest = after.iter().skip_while(|byte| byte.is_ascii_alphabetic() || **byte == b'\n').take(2);
    let mut rest = rest.copied();
    match rest.next() {
        Some(b'\'' | b'"' | b'`') => true,
        Some(b'\\') => matches!(rest.next(), Some(b'n' | b'r' | b't' | b'\\')),
        Some(b'{' | b'$' | b'%' | b'+') => true,
        _ => false,
    }
}

/// The quotation marks that people put around what they speak about. An apostrophe is one where no letter touches it
/// from outside.
const MARKS: &[(&str, &str)] = &[
    ("\"", "\""),
    ("`", "`"),
    ("“", "”"),
    ("„", "“"),
    ("„", "”"),
    ("„", "\""),
    ("”", "”"),
    ("«", "»"),
    ("「", "」"),
    ("『", "』"),
    (" '", "' "),
    (" '", "',"),
    (" '", "'."),
    (" '", "')"),
    ("('", "'"),
];

/// The quotation inside a sentence in which a place stands: `the phrase "…" works`. Where an equals sign or nothing
/// leads to it, or a colon, a comma or a full stop to a mark that programs write, it is an order or data, and counts as
/// what it says; but not where the sentence goes on behind it: `"…" is the oldest trick`, `«…», said he`. What is
/// `worded` is asked about as words (`translate: "…"`): there, anything leads to a quotation.
pub(super) fn quotation(text: &str, place: &Range<usize>, worded: bool) -> Option<Range<usize>> {
    let before = text.get(floor(text, place.start.saturating_sub(QUOTED))..place.start)?;
    let before = before.rsplit('\n').next().unwrap_or_default();
    let after = text.get(place.end..ceil(text, place.end.saturating_add(QUOTED)))?;
    let after = after.split('\n').next().unwrap_or_default();
    if !(may_quote(before) && may_quote(after)) {
        return None;
    }
    MARKS.iter().find_map(|(open, close)| {
        let (lead, inside) = split_last(before, open)?;
        let (end, rest) = after.split_once(*close)?;
        let opened = if open == close { lead.matches(*open).count() % 2 == 0 } else { !inside.contains(*close) };
        let (lead, rest) = (lead.trim_end(), rest.trim_start());
        // What data is written with leads to no quotation.
        let printed = !open.is_ascii();
        let leads = |c: char| c.is_alphanumeric() || c == '(' || (printed && matches!(c, ':' | '.' | ',')) || worded;
        let spoken = lead.ends_with(leads) || lead.is_empty() && goes_on(rest, printed);
        (opened && spoken).then(|| place.start - inside.len()..place.end + end.len())
    })
}

/// What stands before the last of a mark, and behind it.
fn split_last<'t>(text: &'t str, mark: &str) -> Option<(&'t str, &'t str)> {
    let (last, rest) = mark.as_bytes().split_last()?;
    let before = |end: usize| text.as_bytes().get(..end).unwrap_or_default();
    let end = memchr::memrchr_iter(*last, text.as_bytes()).find(|end| before(*end).ends_with(rest))?;
    Some((text.get(..end - rest.len())?, text.get(end + 1..)?))
}

/// Whether there may be a quotation mark in it.
fn may_quote(text: &str) -> bool {
    memchr::memchr3(b'"', b'`', b'\'', text.as_bytes()).is_some() || !text.is_ascii()
}

/// Whether a sentence goes on behind a quotation.
fn goes_on(rest: &str, printed: bool) -> bool {
    let mut chars = rest.chars();
    match chars.next() {
        Some(c) if c.is_alphabetic() => true,
        Some(':') => printed,
        Some(',' | '，') => chars.as_str().trim_start_matches(' ').starts_with(char::is_lowercase),
        _ => false,
    }
}

/// Whether a sentence ends between the words of a part, or a string in a list of strings: no verb reaches over that to
/// what it is about. A word alone is no sentence.
pub(super) fn ends_sentence(text: &str, part: &Range<usize>) -> bool {
    let part = text.get(part.clone()).unwrap_or_default();
    let ends = |(at, mark): (usize, &str)| {
        let (before, after) = part.split_at_checked(at).unwrap_or_default();
        let after = after.get(mark.len()..).unwrap_or_default().trim_start_matches(['"', '\'', '”', '»', '」', ')']);
        match mark {
            "." | "!" | "?" => {
                let next = after.trim_start();
                next.len() < after.len()
                    && before.contains(' ')
                    && !before.ends_with(['.', '!', '?'])
                    && !next.starts_with(char::is_lowercase)
            }
            "\n\n" => before.contains(' '),
            "\", \"" | "', '" => true,
            _ => before.chars().nth(SHORT).is_some(),
        }
    };
    let has = |first: u8| memchr::memchr(first, part.as_bytes()).is_some();
    [".", "!", "?", "\n\n", "\", \"", "', '", "。", "！", "？", "।"]
        .iter()
        .filter(|mark| mark.bytes().next().is_some_and(has))
        .any(|mark| part.match_indices(mark).any(ends))
}

/// Whether it is a pattern for such texts rather than one of them: `ignore\s+(all)?`.
pub(super) fn is_pattern(text: &str, place: &Range<usize>) -> bool {
    let text = text.get(place.clone()).unwrap_or_default();
    memchr::memchr3(b'\\', b'.', b'?', text.as_bytes()).is_some()
        && ["\\b", "\\s", "\\w", ".*", ".{", ")?"].iter().any(|mark| text.contains(mark))
}

/// Whether what follows is named like a function or stands as code: `send_mail`, `exec(`, `` `rm` ``.
pub(super) fn names_tool(text: &str, at: usize) -> bool {
    let after = text.as_bytes().get(at..).unwrap_or_default();
    let mut words = 0;
    let mut name = 0;
    for byte in after.iter().take(NEAR) {
        match byte {
            b'_' | b'(' if name > 0 => return true,
            b'`' => return true,
            byte if byte.is_ascii_alphanumeric() => name += 1,
            b' ' | b'"' | b'\'' | b':' => {
                words += usize::from(name > 0);
                name = 0;
                if words > 3 {
                    return false;
                }
            }
            _ => return false,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ends(text: &str) -> bool {
        ends_sentence(text, &(0..text.len()))
    }

    #[test]
    fn a_sentence_ends_where_it_does() {
        for text in [
            "ignore that. The rules",
            "ignore that! The rules",
            "(ignore that.) The rules",
            "ignore that\n\nthe rules",
            "forget\", \"rules",
            "忽略这封邮件。规则",
        ] {
            assert!(ends(text), "{text}");
        }
        for text in [
            "ignore approx. all rules",
            "ignore. All rules",
            "ignore... All rules",
            "v1.2 rules",
            "rules.",
            "忽略！规则",
        ] {
            assert!(!ends(text), "{text}");
        }
    }

    #[test]
    fn an_apostrophe_opens_no_quotation() {
        let text = "don't ignore it, it's mine";
        let at = text.find("ignore").unwrap();
        assert_eq!(quotation(text, &(at..at), false), None);
        let text = "words such as 'ignore it', you know";
        let at = text.find("ignore").unwrap();
        assert_eq!(quotation(text, &(at..at), false), Some(at..at + "ignore it".len()));
    }

    proptest! {
        #[test]
        fn what_is_near_is_so_many_bytes_away(before in "([a-z]{0,40}[ \n-]{0,99}){0,6}", after in "([a-zé]{0,40}[ \n-]{0,99}){0,6}", bytes in 1usize..120) {
            let part = |byte: u8| !matches!(byte, b' ' | b'\n' | b'-' | b'\t' | b'\r');
            let slow = |near: &mut dyn Iterator<Item = u8>| {
                let mut left = bytes;
                near.take(SPREAD).take_while(|byte| { left -= usize::from(part(*byte)); left > 0 }).count()
            };
            let text = format!("{before}{after}");
            let (back, on) = (slow(&mut before.bytes().rev()), slow(&mut after.bytes()));
            let at = before.len();
            let found = around(&text, at..at, bytes);
            prop_assert_eq!(found, floor(&text, at - back)..ceil(&text, at + on));
        }

        #[test]
        fn the_last_mark_is_found(text in "[a '\"`”“„«»「』é]{0,20}") {
            for (open, close) in MARKS {
                prop_assert_eq!(split_last(&text, open), text.rsplit_once(*open));
                prop_assert_eq!(split_last(&text, close), text.rsplit_once(*close));
            }
        }

        /// Whatever stands where: on characters, and around the place.
        #[test]
        fn a_quotation_is_around_its_place(text in "[a-z \"'`„“”«».,:，é\n]{0,60}", at in 0usize..120, worded: bool) {
            let at = floor(&text, at);
            ends_sentence(&text, &(0..at));
            if let Some(quoted) = quotation(&text, &(at..at), worded) {
                prop_assert!(quoted.start <= at && at <= quoted.end && text.get(quoted).is_some());
            }
        }
    }
}
