//! Where what is seen came from, and that it is seen as in a whole text.

use super::*;
use proptest::prelude::*;

#[test]
fn says_where_a_place_came_from() {
    let mut kept = Kept::default();
    kept.add("a\u{200b}b\u{ff47}c");
    assert_eq!(kept.text(), "abgc");
    let came: Vec<u64> = (0..=4).map(|at| kept.origin(at)).collect();
    assert_eq!(came, [0, 1, 5, 8, 9]);
}

#[test]
fn what_is_dropped_at_the_end_of_a_word_lies_behind_it() {
    let text = format!("acme_ffs{}crg", "\u{301}".repeat(8));
    let mut kept = Kept::default();
    text.chars().for_each(|c| {
        kept.add(c.encode_utf8(&mut [0; 4]));
    });
    assert_eq!(kept.text(), "acme_ffscrg");
    let came: Vec<u64> = (7..=11).map(|at| kept.origin(at)).collect();
    assert_eq!(came, [7, 8, 25, 26, 27]);
}

#[test]
fn sees_no_sequences_of_a_terminal() {
    let long = format!("\u{1b}[{}m", "1;".repeat(16));
    for (json, text) in [
        (false, "a\u{1b}[0mb\u{1b}[31;1m\u{1b}c"),
        (false, "a\u{1b}[0\u{1b}[mb \u{1b}[0;\u{200b}1m \u{1b}"),
        (false, "a\u{1b}[\u{e9}b \u{1b}(B \u{1b}[0\n"),
        (false, &format!("a{long}b\u{1b}[;{}", &long[2..])),
        (true, r#"{"a\u001b[0mb":"\u001b\u005b31mc\u001b\u005b\u00e9","d\u001b[":"e""#),
    ] {
        let mut kept = Kept::default();
        let mut said = text.to_owned();
        if json {
            kept.read_json();
            said = text.replace("\\u001b", "\u{1b}").replace("\\u005b", "[").replace("\\u00e9", "\u{e9}");
            // No sequence goes on behind a string.
            said = said.replace("\u{1b}[\"", "[\"");
        }
        for c in text.chars() {
            kept.add(c.encode_utf8(&mut [0; 4]));
        }
        let seen = view::of(&said).map_or(said, |view| view.text);
        let rest = kept.sequence.iter().flat_map(|begun| begun.signs());
        let all: String = kept.text().chars().chain(rest).collect();
        assert_eq!(all, seen, "{text:?}");
        if kept.sequence.is_none() {
            assert_eq!((kept.whole(), kept.came()), (text.len() as u64, text.len() as u64), "{text:?}");
        }
    }
    let mut kept = Kept::default();
    "a\u{1b}[0mb\u{1b}[0\u{e9}".chars().for_each(|c| {
        kept.add(c.encode_utf8(&mut [0; 4]));
    });
    assert_eq!(kept.text(), "ab[0\u{e9}");
    let came: Vec<u64> = [0, 1, 2, 3, 4, 6].map(|at| kept.origin(at)).into();
    assert_eq!(came, [0, 1, 6, 8, 9, 11]);
}

#[test]
fn says_where_a_place_of_json_came_from() {
    let mut kept = Kept::default();
    kept.read_json();
    kept.add(r#"["a\u0041b\"#);
    assert_eq!((kept.text(), kept.whole(), kept.came()), ("[\"aAb", 10, 11));
    let came: Vec<u64> = (0..=5).map(|at| kept.origin(at)).collect();
    assert_eq!(came, [0, 1, 2, 3, 9, 10]);
}

#[test]
fn sees_a_word_anew_that_mixes_scripts() {
    for (text, reader) in [
        ("see \u{0455}k-x", "see sk-x"),
        ("\u{0410}\u{041a}\u{0406}\u{0410}IO", "AKIAIO"),
        ("gh\u{0440}_\u{0430}1", "ghp_a1"),
        ("d\u{e9}j\u{e0} vu, \u{43a}\u{43b}\u{44e}\u{447}", "d\u{e9}j\u{e0} vu, \u{43a}\u{43b}\u{44e}\u{447}"),
        ("g\u{336}h\u{8}p", "ghp"),
        ("\u{c7}\u{a7d0}0\u{b35}a0\u{2d5f}0", "C\u{a7d0}0\u{b35}a0\u{2d5f}0"),
        ("\u{c7}\u{a7d0}0\u{b35}a0\u{2d7f}0", "C\u{a7d0}0\u{b35}a00"),
        ("1\u{64b}\u{94d}k\u{200b}\u{5b0}_\u{640} \u{43a}\u{94d} \u{ff4b}\u{e34} x", "1k_ \u{43a}\u{94d} k x"),
        ("إِنَّ الْـبَيْتِ API 12, שָׁלוֹם नमस्ते ที่นี่", "إِنَّ الْـبَيْتِ API 12, שָׁלוֹם नमस्ते ที่นี่"),
        ("\u{1d420}\u{1d421}\u{1d429}\u{ff3f}", "ghp_"),
        ("d\u{e9}\u{1b}[0q\u{301} x", "d\u{e9} x"),
        ("q\u{200b}\u{301} x", "q x"),
    ] {
        let mut kept = Kept::default();
        for c in text.chars() {
            kept.add(c.encode_utf8(&mut [0; 4]));
        }
        assert_eq!(kept.text(), reader, "{text}");
        let ends: Vec<u64> = text.char_indices().map(|(at, c)| (at + c.len_utf8()) as u64).collect();
        for (at, _) in kept.text().char_indices().skip(1) {
            assert!(ends.contains(&kept.origin(at as u64)), "{text} at {at}: {}", kept.origin(at as u64));
        }
        assert_eq!(kept.origin(kept.end()), text.len() as u64, "{text}");
    }
}

/// A letter of a token, disguised in up to three ways at once.
fn disguised(c: char, way: usize) -> String {
    let wide = char::from_u32(u32::from(c) + 0xFEE0).unwrap_or(c);
    let alike = [('a', 'а'), ('e', 'е'), ('o', 'о'), ('p', 'р')].into_iter().find(|(from, _)| *from == c);
    let alike = alike.map_or(c, |(_, to)| to);
    match way {
        0 => wide.to_string(),
        1 => format!("{c}\u{301}"),
        2 => format!("{wide}\u{301}"),
        3 => format!("{c}\u{200b}\u{301}"),
        4 => format!("{c}\u{1b}[0m\u{301}"),
        5 => format!("{alike}\u{336}"),
        6 => format!("{wide}\u{301}\u{336}"),
        7 => alike.to_string(),
        8 => format!("{c}\u{64b}\u{64b}"),
        9 => format!("{alike}\u{94d}\u{64b}"),
        10 => format!("{wide}\u{200b}\u{e34}"),
        _ => c.to_string(),
    }
}

proptest! {
    /// A token that shows in a whole text shows while it grows, whatever its letters are disguised as.
    #[test]
    fn a_disguised_token_is_seen_as_in_a_whole_text(
        ways in prop::collection::vec(0usize..18, 20), begin in "(see |d\u{e9}j\u{e0} |caf\u{e9}\u{8}|)", json: bool,
    ) {
        const TOKEN: &str = "ghp_pa0oqe7Zkc3xQ9ev";
        let token: String = TOKEN.chars().zip(ways).map(|(c, way)| disguised(c, way)).collect();
        let text = format!("{begin}{token} and");
        let escaped = format!("\"{}\"", text.replace('\u{301}', "\\u0301").replace('\u{1b}', "\\u001b"));
        let mut kept = Kept::default();
        if json {
            kept.read_json();
        }
        for c in if json { &escaped } else { &text }.chars() {
            kept.add(c.encode_utf8(&mut [0; 4]));
        }
        let seen = view::of(&text).map_or(text, |view| view.text);
        prop_assert!(kept.text().contains(TOKEN) || !seen.contains(TOKEN), "{:?} for {:?}", kept.text(), seen);
    }

    #[test]
    fn known_places_lead_to_the_characters_they_came_from(
        pieces in prop::collection::vec(
            "[a-zé\u{200b}\u{ff41}-\u{ff5a}\u{e0061}]{0,300}|[a-z_é\u{200b}]{0,30}\u{301}{1,9}[a-z]{0,30}[ =]?", 1..30,
        ),
    ) {
        each_known_place_leads_to_what_it_shows(&pieces.concat());
    }
}

/// As a text grows by one character at a time.
fn each_known_place_leads_to_what_it_shows(whole: &str) {
    let mut kept = Kept::default();
    for c in whole.chars() {
        kept.add(c.encode_utf8(&mut [0; 4]));
    }
    assert_eq!(kept.came(), whole.len() as u64);
    for (index, c) in kept.text().char_indices() {
        let at = kept.begin() + index as u64;
        let came = kept.origin(at);
        assert!(came <= whole.len() as u64);
        if kept.knows(at) {
            let there = whole[came as usize..].chars().find_map(|there| match view::instead(there, None) {
                // A mark that is not seen here was dropped.
                None if there == '\u{301}' && c != there => None,
                None => Some(there),
                Some(Made::Char(made)) => Some(made),
                _ => None,
            });
            // In a token a letter is what it looks like.
            let there = there.filter(|there| *there == c || view::seen_in_token(b"a_", *there) == Some(c));
            assert!(there.is_some(), "{c:?} at {at} came from {came} in {whole:?}");
        }
    }
}

/// More places than are known, and then all of the word is seen anew.
#[test]
fn places_that_were_forgotten_are_not_known_again() {
    each_known_place_leads_to_what_it_shows(
        "ééé\u{301} éａａａａ\u{200b}a\u{200b}é\u{200b}\u{e0061}ａé\u{e0061}é\u{200b}\u{e0061}é\u{200b}\u{e0061}\u{e0061}\u{e0061}\u{200b}aé\u{e0061}ａ\u{e0061}\u{200b}ａ\u{200b}é\u{e0061}ａé\u{200b}a\u{200b}ａ\u{200b}\u{e0061}ａａ\u{e0061}\u{200b}ａ\u{200b}ａ\u{e0061}ａａ\u{200b}aａ\u{e0061}\u{e0061}ａａé\u{e0061}\u{200b}a\u{e0061}\u{200b}_\u{301}",
    );
}
