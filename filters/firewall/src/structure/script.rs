//! Words of letters that look like others: Cyrillic, Greek or Armenian ones among Latin ones.

use std::ops::Range;

use super::Trait;

/// Letters of other scripts that look like Latin ones.
const LOOKALIKES: &str = "аеіорсухѕјһԁԛԝӏАВЕЅІЈКМНОРСТУХԌԚԜӀοανριυτκΑΒΕΖΗΙΚΜΝΟΡΤΥΧօոսցհՕՏ";

/// Latin letters that look like those of other scripts.
const LATIN_LOOKALIKES: &str = "aceiopxysjABCEHIKMOPSTXYZ";

/// Looks at every word that has such letters.
pub(super) fn look(text: &str, report: &mut dyn FnMut(Trait, Range<usize>)) {
    let mut span: Option<Range<usize>> = None;
    let mut at = 0;
    let bytes = text.as_bytes();
    while let Some(next) = next_lead(bytes, at) {
        let before = bytes.get(at..next).unwrap_or_default();
        let run = bytes.get(next..).unwrap_or_default().iter().take_while(|byte| !byte.is_ascii()).count();
        // Most words have one script.
        let latin = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphabetic);
        if !latin(before.last()) && !latin(bytes.get(next + run)) {
            at = next + run;
            continue;
        }
        let start = next - before.iter().rev().take_while(|byte| byte.is_ascii_alphabetic()).count();
        let end = start
            + text
                .get(start..)
                .unwrap_or_default()
                .chars()
                .take_while(|c| is_letter(*c))
                .map(char::len_utf8)
                .sum::<usize>();
        if text.get(start..end).is_some_and(is_mixed) {
            span.get_or_insert(start..end).end = end;
        }
        at = end.max(next + 1);
    }
    if let Some(span) = span {
        report(Trait::Mixed, span);
    }
}

/// The next byte that begins a letter of these scripts: U+0370 to U+058F.
fn next_lead(bytes: &[u8], at: usize) -> Option<usize> {
    let is_lead = |byte: u8| (0xcd..=0xd6).contains(&byte);
    if bytes.get(at).is_some_and(|byte| is_lead(*byte)) {
        return Some(at);
    }
    let mut from = at;
    for block in bytes.get(at..)?.chunks(32) {
        if block.iter().fold(false, |any, byte| any | is_lead(*byte)) {
            return block.iter().position(|byte| is_lead(*byte)).map(|place| from + place);
        }
        from += block.len();
    }
    None
}

fn is_foreign(letter: char) -> bool {
    ('\u{370}'..'\u{590}').contains(&letter)
}

fn is_letter(letter: char) -> bool {
    letter.is_ascii_alphabetic() || is_foreign(letter)
}

/// Whether letters of one script pass for those of the other, in a word that has both.
fn is_mixed(word: &str) -> bool {
    if !word.bytes().any(|byte| byte.is_ascii()) {
        return false;
    }
    let latin = word.bytes().filter(u8::is_ascii).count();
    let mut foreign = word.chars().filter(|letter| is_foreign(*letter));
    let others = foreign.clone().count();
    let greek = foreign.clone().any(|letter| letter < '\u{400}');
    let all_pass = foreign.all(|letter| LOOKALIKES.contains(letter));
    // A Greek letter beside Latin ones is mathematics, one between them is not.
    let between =
        word.bytes().next().is_some_and(|byte| byte.is_ascii()) && word.bytes().last().is_some_and(|b| b.is_ascii());
    let passes = all_pass && latin > 1 && (!greek || (between && latin > others));
    let latin_passes = others > latin
        && latin + others > 3
        && word.chars().filter(char::is_ascii).all(|letter| LATIN_LOOKALIKES.contains(letter));
    passes || latin_passes
}
