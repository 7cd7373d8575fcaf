//! Characters of other scripts that look like ASCII ones (after Unicode's confusables, for ASCII targets).

use std::sync::LazyLock;

/// The letter or digit that a character looks like.
pub(super) fn letter(c: char) -> Option<char> {
    match u32::from(c) {
        // The tables are for letters outside Latin-1.
        ..0x100 => None,
        0x1F1E6..=0x1F1FF => upper(c, 0x1F1E6),
        _ => listed(c).map(|known| char::from(known & !FOREIGN)),
    }
}

/// Whether a look-alike belongs to a script of its own, not to an extension of Latin.
pub(super) fn is_foreign(c: char) -> bool {
    listed(c).is_some_and(|known| known & FOREIGN != 0)
}

/// What says that a character is no letter of Latin.
const FOREIGN: u8 = 0x80;

/// Of each character of the first plane what it looks like, [marked](FOREIGN) if it is foreign, or 0: to look for it in lists takes as long as
/// everything else that is done with a letter.
static LISTED: LazyLock<Box<[u8]>> = LazyLock::new(|| {
    let of = |c: char| {
        let foreign = cyrillic(c).or_else(|| greek(c)).or_else(|| rare(c));
        let known = foreign.map(|letter| (letter, FOREIGN)).or_else(|| latin(c).map(|letter| (letter, 0)));
        known.and_then(|(letter, mark)| Some(u8::try_from(letter).ok()? | mark)).unwrap_or(0)
    };
    (0..=u32::from(u16::MAX)).map(|code| char::from_u32(code).map_or(0, of)).collect()
});

fn listed(c: char) -> Option<u8> {
    LISTED.get(u32::from(c) as usize).copied().filter(|known| *known != 0)
}

/// The quote, dash or other mark that a character looks like, wherever it stands.
pub(super) fn mark(c: char) -> Option<char> {
    Some(match c {
        '\u{2018}' | '\u{2019}' | '\u{201A}' | '\u{201B}' | '\u{2032}' | '\u{02B9}' | '\u{02BC}' => '\'',
        '\u{201C}' | '\u{201D}' | '\u{201E}' | '\u{201F}' | '\u{2033}' | '\u{00AB}' | '\u{00BB}' => '"',
        '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{2043}' | '\u{02D7}' | '\u{2796}' | '\u{06D4}' => '-',
        '\u{02CD}' | '\u{203F}' => '_',
        '\u{2044}' | '\u{2215}' | '\u{29F8}' | '\u{2571}' => '/',
        '\u{2236}' | '\u{A789}' | '\u{02D0}' | '\u{05C3}' => ':',
        '\u{A4FF}' | '\u{30A0}' => '=',
        '\u{2795}' | '\u{16ED}' | '\u{1429}' => '+',
        // White letters on black, which have no compatibility form.
        '\u{1F150}'..='\u{1F169}' => upper(c, 0x1F150)?,
        '\u{1F170}'..='\u{1F189}' => upper(c, 0x1F170)?,
        '\u{2028}' | '\u{2029}' | '\u{0085}' => '\n',
        _ => return None,
    })
}

fn upper(c: char, first: u32) -> Option<char> {
    char::from_u32(u32::from('A') + (u32::from(c) - first))
}

/// The counterpart of a character in two lists that go in step.
fn pair(c: char, from: &str, to: &str) -> Option<char> {
    from.chars().zip(to.chars()).find(|(from, _)| *from == c).map(|(_, to)| to)
}

fn cyrillic(c: char) -> Option<char> {
    if !matches!(c, '\u{400}'..='\u{52F}' | '\u{1C80}'..='\u{1C8A}' | '\u{A640}'..='\u{A69F}') {
        return None;
    }
    pair(
        c,
        "аАВбсСԁԂеЕҒԌһҺНіІїјЈкКҚԚԛӀӏмМоОрРѕЅтТцѵѴԝԜхХҲуУүҮҰЗзЬьпгвнꓲꙅꙄѡшԍ",
        "aABbcCddeEFGhHHiIijJkKKQqIlmMoOpPsStTuvVwWxXXyYyYY33bbnrBHIsSwwG",
    )
}

fn greek(c: char) -> Option<char> {
    if !matches!(c, '\u{370}'..='\u{3FF}' | '\u{1F00}'..='\u{1FFF}' | '\u{2C80}'..='\u{2CFF}') {
        return None;
    }
    pair(
        c,
        "αΑΒβγΕεΖΗηΙιΚκΜΝνΟοσΡρϱΤτΥυϒΧχωϲϹϳͿϜϺⲀⲂⲈⲎⲒⲔⲘⲚⲞⲢⲤⲦⲨⲬⲟⲣⲥⲭ",
        "aABByEeZHnIiKkMNvOooPppTtYuYXxwcCjJFMABEHIKMNOPCTYXopcx",
    )
}

fn rare(c: char) -> Option<char> {
    match c {
        '\u{530}'..='\u{58F}' => pair(c, "օՕոսՍհցզքլղյԼՏաւԱԾ", "oOnuUhgqplnjLSwiUO"),
        '\u{13A0}'..='\u{13FF}' | '\u{AB70}'..='\u{ABBF}' => pair(
            c,
            "ᎠᎡᎢᎥᎩᎪᎫᎬᎳᎷᎻᎽᏀᏂᏃᏎᏏᏒᏔᏕᏙᏚᏞᏟᏢᏦᏧᏮᏳᏴꭺꭻꭼꮃꮇꮋꮍꮐꮓꮢꮤꮥꮩꮪꮮꮯꮲꮶ",
            "DRTiYAJEWMHYGhZ4bRWSVSLCPKd6GBajewmhygzrwsvslcpk",
        ),
        '\u{A4D0}'..='\u{A4FF}' => pair(c, "ꓐꓑꓒꓓꓔꓖꓗꓙꓚꓜꓝꓟꓠꓡꓢꓣꓦꓧꓪꓫꓬꓮꓰꓲꓳꓴ", "BPdDTGKJCZFMNLSRVHWXYAEIOU"),
        _ => None,
    }
}

fn latin(c: char) -> Option<char> {
    if !matches!(c, '\u{100}'..='\u{2AF}' | '\u{1D00}'..='\u{1D7F}' | '\u{1E00}'..='\u{1EFF}' | '\u{A720}'..='\u{A7FF}')
    {
        return None;
    }
    pair(
        c,
        "ɑɒƄƅɡɢʙıɩɪɭǀǃƽʋᴠᴡᴢʏꜱᴄᴅᴇᴏᴘᴛᴜᴊᴋᴍɴʀʜʟᴀꜰƠơƯưɵøØłŁđĐħĦŧŦƝɲɓɗɠɦƙƥƭʂƴƵƶẜ",
        "aabbggbiiilll5vvwzyscdeoptujkmnrhlafOoUuooOlLdDhHtTNnbdghkptsyZzs".get(..).unwrap_or_default(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pair_is_in_its_range() {
        let lists = include_str!("confusable.rs").split('"').filter(|part| !part.is_ascii());
        let letters: Vec<char> = lists.flat_map(str::chars).filter(|c| !c.is_ascii()).collect();
        assert!(letters.len() > 200);
        for c in letters.into_iter().filter(|c| u32::from(*c) >= 0x100) {
            assert!(letter(c).is_some(), "{c}");
        }
    }
}
