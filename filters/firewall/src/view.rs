//! A text as a reader sees it: what cannot be seen is gone, and what looks like an ASCII character is
//! one.
//!
//! - Invisible characters are dropped; tag characters and chains of variation selectors, in which
//!   ASCII can be written so that only a model reads it, are read.
//! - Marks are dropped that do not belong to the letter of ASCII behind which they stand, of whatever script they are.
//! - Compatibility forms (full width, mathematical, circled) become what they stand for: NFKC, one
//!   character at a time.
//! - Look-alikes of other scripts become ASCII inside words that mix scripts, and everywhere in words
//!   that look like a token. Prose in those scripts stays as it is.

mod confusable;
mod fold;
mod growing;
mod kinds;
mod map;

pub(crate) use fold::{Made, is_mark, is_no_mark};
pub(crate) use growing::{ESCAPE, ends_word, instead, may_look_alike, seen_in_token, unsure};
pub(crate) use kinds::{is_alphabetic, is_combining_mark};
pub(crate) use map::{Map, View};

use fold::changes;

/// The text as a reader sees it, or nothing where that is how it stands.
pub(crate) fn of(text: &str) -> Option<View> {
    let mut changes = changes(text).peekable();
    // Most texts stay as they are, and then nothing is copied.
    changes.peek()?;
    let mut view = View::default();
    let mut done = 0;
    for change in changes {
        view.copy(text, done..change.at.start);
        done = change.at.end;
        match change.made {
            Made::Nothing => {}
            Made::Char(made) => view.put_char(made, change.at),
            Made::Text(made) => view.put(&made, change.at),
        }
    }
    view.copy(text, done..text.len());
    Some(view)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn seen(text: &str) -> String {
        of(text).map_or_else(|| text.to_owned(), |view| view.text)
    }

    #[test]
    fn shows_what_a_reader_sees() {
        let tags: String = "key-1".chars().filter_map(|c| char::from_u32(0xE0000 + u32::from(c))).collect();
        let selectors: String = "hidden word"
            .bytes()
            .filter_map(|byte| char::from_u32(if byte < 16 { 0xFE00 } else { 0xE0100 - 16 } + u32::from(byte)))
            .collect();
        for (given, reader) in [
            ("a plain text", "a plain text".to_owned()),
            ("k\u{200B}e\u{AD}y\u{2060}\u{FEFF}", "key".to_owned()),
            ("ｋｅｙ＿１", "key_1".to_owned()),
            ("𝐤𝓮𝕪 ⓚⓔⓨ ᵏᵉʸ 🅺🅴🆈", "key key key KEY".to_owned()),
            ("раypal аnd plаin", "paypal and plain".to_owned()),
            ("ключ от двери, API-ключ", "ключ от двери, API-ключ".to_owned()),
            ("Ключ_12345_рass_осЕ", "Kлюч_12345_pass_ocE".to_owned()),
            ("το κλειδί είναι εδώ", "το κλειδί είναι εδώ".to_owned()),
            ("café Müller yapılandırma", "café Müller yapılandırma".to_owned()),
            ("tökén_1234567", "token_1234567".to_owned()),
            ("k\u{336}e\u{336}y\u{336}", "key".to_owned()),
            ("e\u{301}te\u{301}", "e\u{301}te\u{301}".to_owned()),
            ("k\u{64B}e\u{640}y\u{5B0}s p\u{94D}a\u{E34}s\u{730}s\u{610}", "keys pass".to_owned()),
            ("1\u{64B}\u{64B}\u{200B}\u{94D}2\u{1B}[1m\u{670}3\u{336}\u{336}", "123".to_owned()),
            ("р\u{64B}аy\u{94D}р\u{94D}\u{336}al ｋ\u{E34}ｅ\u{200B}\u{5B0}y", "paypal key".to_owned()),
            ("tökén_\u{64B}12-\u{5B0}345ö\u{94D}67", "token_12-345o67".to_owned()),
            ("e\u{301}t\u{64B}e\u{301}", "e\u{301}te\u{301}".to_owned()),
            ("‘a’ – “b”", "'a' - \"b\"".to_owned()),
            ("g\0h\u{8}p\u{1B}[31m_\u{1B}[0mx", "ghp_x".to_owned()),
            (&format!("see {tags}"), "see key-1".to_owned()),
            (&format!("x{selectors}"), "x\nhidden word".to_owned()),
            ("❤\u{FE0F} ok", "❤ ok".to_owned()),
            ("_session=\u{93E}18|\u{E31}6 \u{93E}", "_session=18|6 \u{93E}".to_owned()),
            ("ｇ\u{301}ｈ\u{301}p\u{200B}\u{301}_1234567890", "ghp_1234567890".to_owned()),
        ] {
            assert_eq!(seen(given), reader, "{given:?}");
        }
    }

    #[test]
    fn a_mark_belongs_to_a_letter_of_its_script() {
        for text in [
            "إِنَّ مِفْتَاحَ الْـبَيْتِ هُنَا ـ ١٢٣، API 12، ٱلرَّحْمٰن",
            "בְּרֵאשִׁית בָּרָא אֱלֹהִים, API 12, שָׁלוֹם",
            "नमस्ते दुनिया, API कुंजी 12 (हिन्दी)",
            "ที่นี่ API 12 ผู้ใช้ ก็ได้",
            "ܫܠܳܡܳܐ বাংলা কী தமிழ் விசை 12 မြန်မာ བོད་ཡིག ភាសាខ្មែរ",
            "ガラス ǆ̈ я́ ά",
        ] {
            assert_eq!(seen(text), text);
        }
        let mark = regex_automata::meta::Regex::new(r"^[\p{M}\x{640}\x{7FA}\x{180A}]$").unwrap();
        for c in ('\u{80}'..=char::MAX).filter(|c| mark.is_match(c.encode_utf8(&mut [0; 4]).as_bytes())) {
            assert_eq!(seen(&format!("q{c}x7{c}{c} y")), "qx7 y", "{c:?}");
            assert!(matches!(instead(c, Some('q')), Some(Made::Nothing)), "{c:?}");
        }
    }

    #[test]
    fn signs_that_are_not_looked_up_have_no_other_form() {
        for c in ('\u{2500}'..='\u{27BF}').chain('\u{1F300}'..='\u{1FAFF}') {
            let other = confusable::mark(c).or_else(|| fold::looks_like(c)).is_some() || fold::compatible(c).is_some();
            assert_eq!(!seen(&format!("a_{c}_0123456789")).contains(c), other, "{c:?}");
        }
    }

    #[test]
    fn letters_that_are_passed_over_are_seen_as_they_are() {
        for c in '\u{80}'..=char::MAX {
            let text = format!("Ā{c}");
            let passed = fold::letters(c.to_string().as_bytes());
            assert!(
                passed == 0 || (passed == c.len_utf8() && seen(&c.to_string()) == c.to_string() && seen(&text) == text),
                "{c:?}"
            );
        }
    }

    proptest! {
        /// A text that the planes call plain is seen as it stands.
        #[test]
        fn a_plain_text_is_not_looked_at(text in "[ -~\n\t\r]{0,150}([\0-\u{FF}]|\\PC|)[ -~]{0,90}") {
            prop_assert!(!crate::planes::Planes::of(&text).are_plain() || of(&text).is_none());
        }

        #[test]
        fn every_place_maps_to_characters(text in "(\\PC|[a-z_0-9 аеο\u{200B}\u{301}\u{E0061}\u{FE01}ﷺ½ａ\0]){0,40}", a: usize, b: usize) {
            if let Some(view) = of(&text) {
                let len = view.text.len() + 1;
                let (a, b) = (a % len, b % len);
                let part = a.min(b)..a.max(b);
                if view.text.get(part.clone()).is_some() {
                    let source = view.map.source(part);
                    prop_assert!(text.get(source.clone()).is_some(), "{source:?}");
                }
            }
        }
    }
}
