//! What is hidden is found, where it stands; what is not hidden stays alone.

use std::io::Write;
use std::sync::LazyLock;

use data_encoding::{BASE32, BASE64, BASE64_NOPAD, BASE64URL_NOPAD, HEXLOWER};
use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use proptest::prelude::*;

use super::*;
use crate::{Selection, Source, Through};

mod beside;

const RULES: &str = r#"
[[rules]]
id = "token"
regex = '''\b(tok_[A-Za-z0-9]{28})(?:[^A-Za-z0-9]|$)'''
keywords = ["tok_"]
[[rules]]
id = "key"
regex = '''(-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----)'''
keywords = ["private key-----"]
"#;

const TOKEN: &str = "tok_aZ0bY1cX2dW3eV4fU5gT6hS7iR8j";

fn rules() -> &'static Rules {
    static LOADED: LazyLock<Rules> = LazyLock::new(|| {
        let source = [Source { name: "rules.toml", text: RULES }];
        Rules::load(false, &source, &Selection::default()).map_err(|wrong| format!("{wrong:?}")).unwrap()
    });
    &LOADED
}

/// The findings in texts that flow into each other.
fn scan<'r>(rules: &'r Rules, texts: &[&str]) -> Result<Vec<Finding<'r>>, Exhausted> {
    let mut found = Vec::new();
    let texts: Vec<Text<'_>> = texts.iter().map(|text| Text { text, origin: Origin::User, flows: true }).collect();
    rules.scan(&texts, Direction::Request, &mut Scratch::default(), &mut |finding| found.push(finding))?;
    Ok(found)
}

fn each(write: impl Fn(u8) -> String) -> String {
    TOKEN.bytes().map(write).collect()
}

fn list(write: impl Fn(u8) -> String, between: &str) -> String {
    TOKEN.bytes().map(write).collect::<Vec<_>>().join(between)
}

fn chunks(size: usize) -> Vec<&'static str> {
    TOKEN.as_bytes().chunks(size).map(|part| std::str::from_utf8(part).unwrap()).collect()
}

/// A text cut into pieces of one size.
fn cut(text: &str, size: usize) -> Vec<String> {
    text.as_bytes().chunks(size).map(|part| String::from_utf8_lossy(part).into_owned()).collect()
}

fn quoted(pieces: &[String], between: &str) -> String {
    pieces.iter().map(|piece| format!("\"{piece}\"")).collect::<Vec<_>>().join(between)
}

fn rot13(text: &str) -> String {
    let turn = |c: char, first: u8| char::from(first + (c as u8 - first + 13) % 26);
    let letter = |c: char| match c {
        'a'..='z' => turn(c, b'a'),
        'A'..='Z' => turn(c, b'A'),
        _ => c,
    };
    text.chars().map(letter).collect()
}

fn packed(gzip: bool) -> Vec<u8> {
    let text = format!("the key is {TOKEN}, keep it");
    if gzip {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    } else {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }
}

/// The token in every disguise, and how it is seen.
fn disguises() -> Vec<(String, Through)> {
    use Through::{Decoded, Joined, Normalised};
    let base64 = BASE64.encode(TOKEN.as_bytes());
    let utf16: Vec<u8> = TOKEN.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let wrapped = BASE64.encode(format!("some words before {TOKEN} and some after").as_bytes());
    let lines: Vec<&str> = wrapped.as_bytes().chunks(20).map(|line| std::str::from_utf8(line).unwrap()).collect();
    let dump: String = TOKEN
        .as_bytes()
        .chunks(16)
        .enumerate()
        .map(|(row, line)| {
            let pairs: Vec<String> = line.chunks(2).map(|pair| HEXLOWER.encode(pair)).collect();
            format!("{:08x}: {:39}  {}\n", row * 16, pairs.join(" "), String::from_utf8_lossy(line))
        })
        .collect();
    let in_quotes: Vec<String> = chunks(7).iter().map(|part| format!("\"{part}\"")).collect();
    let messages: Vec<String> =
        chunks(16).iter().map(|part| format!("{{\"role\": \"user\", \"content\": \"{part}\"}}")).collect();
    let wide: String = TOKEN.chars().filter_map(|c| char::from_u32(u32::from(c) + 0xFEE0)).collect();
    let tags: String = TOKEN.chars().filter_map(|c| char::from_u32(u32::from(c) + 0xE0000)).collect();
    let backwards = |text: &str| text.chars().rev().collect::<String>();
    let hex = HEXLOWER.encode(TOKEN.as_bytes());
    let words = BASE64_NOPAD.encode(b"what stands before it");
    vec![
        (base64.clone(), Decoded("base64")),
        (BASE64.encode(base64.as_bytes()), Decoded("base64")),
        (format!("abc{}", BASE64_NOPAD.encode(TOKEN.as_bytes())), Decoded("base64")),
        (BASE64URL_NOPAD.encode(format!("{TOKEN}??>>~~").as_bytes()), Decoded("base64")),
        (BASE64.encode(&utf16), Decoded("base64")),
        (BASE64.encode(&packed(true)), Decoded("base64")),
        (BASE64.encode(&packed(false)), Decoded("base64")),
        (lines.join("\n"), Decoded("base64")),
        (lines.join("\r\n    "), Decoded("base64")),
        (BASE32.encode(TOKEN.as_bytes()), Decoded("base32")),
        (HEXLOWER.encode(TOKEN.as_bytes()), Decoded("hex")),
        (format!("0x{}", HEXLOWER.encode(TOKEN.as_bytes()).to_uppercase()), Decoded("hex")),
        (list(|byte| format!("{byte:02x}"), " "), Decoded("hex")),
        (list(|byte| format!("0x{byte:02X}"), ", "), Decoded("hex")),
        (list(|byte| format!("{byte:02x}"), ":"), Decoded("hex")),
        (dump, Decoded("hexdump")),
        (list(|byte| byte.to_string(), ", "), Decoded("char-codes")),
        (list(|byte| format!("chr({byte})"), " + "), Decoded("char-codes")),
        (list(|byte| format!("{byte:08b}"), " "), Decoded("binary")),
        (list(|byte| format!("{byte:03o}"), " "), Decoded("octal")),
        (each(|byte| format!("%{byte:02X}")), Decoded("percent")),
        (each(|byte| format!("%25{byte:02x}")), Decoded("percent")),
        (TOKEN.replace('_', "%5f"), Decoded("percent")),
        (each(|byte| format!("&#{byte};")), Decoded("html")),
        (each(|byte| format!("&#x{byte:X};")), Decoded("html")),
        (TOKEN.replace('_', "&lowbar;"), Decoded("html")),
        (each(|byte| format!("\\u{byte:04x}")), Decoded("backslash")),
        (each(|byte| format!("\\\\u{byte:04x}")), Decoded("backslash")),
        (each(|byte| format!("\\u{{{byte:x}}}")), Decoded("backslash")),
        (each(|byte| format!("\\x{byte:02x}")), Decoded("backslash")),
        (each(|byte| format!("\\{byte:03o}")), Decoded("backslash")),
        (format!("line\\n{TOKEN}"), Decoded("backslash")),
        (each(|byte| format!("={byte:02X}")), Decoded("quoted-printable")),
        (chunks(20).join("=\n"), Decoded("quoted-printable")),
        (backwards(TOKEN), Decoded("reversed")),
        (rot13(TOKEN), Decoded("rot13")),
        (backwards(&base64), Decoded("reversed")),
        (rot13(base64.trim_end_matches('=')), Decoded("rot13")),
        (backwards(&hex), Decoded("reversed")),
        (BASE64.encode(backwards(TOKEN).as_bytes()), Decoded("base64")),
        (cut(&base64, 20).join(" "), Decoded("base64")),
        (format!("{}\n{}", &base64[..17], &base64[17..]), Decoded("base64")),
        (format!("{}\n{base64}", &words[..words.len() - 1]), Decoded("base64")),
        (format!("{words}\n{hex}"), Decoded("hex")),
        (format!("{}ABC{}", "zz".repeat(9), BASE64_NOPAD.encode(TOKEN.as_bytes())), Decoded("base64")),
        (format!("41, 42, 43\n\n{}", list(|byte| byte.to_string(), ", ")), Decoded("char-codes")),
        (format!("{}\n\n52, 53", list(|byte| byte.to_string(), ", ")), Decoded("char-codes")),
        (format!("97 [{}]", list(|byte| byte.to_string(), ", ")), Decoded("char-codes")),
        (format!("61\n{}", list(|byte| format!("{byte:02x}"), " ")), Decoded("hex")),
        // From here on, what is around it matters.
        (list(|byte| char::from(byte).to_string(), "\u{200B}"), Normalised),
        (list(|byte| char::from(byte).to_string(), "\u{AD}\u{2060}"), Normalised),
        (TOKEN.replace('a', "а").replace('T', "Т").replace('o', "ο"), Normalised),
        (wide, Normalised),
        (tags, Normalised),
        (quoted(&cut(&base64, 14), " + "), Joined),
        (quoted(&cut(&hex, 11), "\n  + "), Joined),
        (quoted(&cut(&BASE64.encode(base64.as_bytes()), 8), ", "), Joined),
        (cut(&base64, 12).join("\n"), Joined),
        (cut(&base64, 4).join("\n"), Joined),
        (format!("{}\n{}", &base64[..11], &base64[11..]), Joined),
        (cut(&base64, 4).join(" "), Joined),
        (cut(&base64, 8).join(" "), Joined),
        (cut(&base64, 12).join(" "), Joined),
        (cut(&base64, 1).join(" "), Joined),
        (cut(&hex, 7).join("-"), Joined),
        (cut(&base64, 9).join("<b>"), Joined),
        (in_quotes.join(" + "), Joined),
        (in_quotes.join(", "), Joined),
        (in_quotes.join("\n    "), Joined),
        (in_quotes.join(" .\n"), Joined),
        (in_quotes.join(" .. "), Joined),
        (in_quotes.join("\nb = "), Joined),
        (format!("[{}]", messages.join(", ")), Joined),
        (chunks(9).join("\n"), Joined),
        (chunks(12).join("\n  > "), Joined),
        (list(|byte| char::from(byte).to_string(), " "), Joined),
        (list(|byte| char::from(byte).to_string(), "-"), Joined),
        (list(|byte| char::from(byte).to_string(), "🔥"), Joined),
        (format!("[{}]", list(|byte| char::from(byte).to_string(), "][")), Joined),
        (chunks(4).join("-"), Joined),
        (chunks(4).join(" "), Joined),
        (chunks(6).join("/**/"), Joined),
        (chunks(6).join("<b>"), Joined),
        (chunks(10).join("]]><![CDATA["), Joined),
    ]
}

#[test]
fn every_disguise_is_seen_through() {
    let rules = rules();
    for (hidden, through) in disguises() {
        let text = format!("Please look at this:\n{hidden}\nand tell me what it is.");
        let found = scan(rules, &[&text]).unwrap();
        assert!(found.iter().any(|finding| finding.through == through), "{hidden:?} {through:?} {found:?}");
        let place = text.find(&hidden).map(|start| start..start + hidden.len()).unwrap();
        for finding in found {
            // It says where, and no more than a line around it.
            assert!(
                finding.span.start + 24 >= place.start && finding.span.end <= place.end + 24,
                "{hidden:?} {finding:?}"
            );
        }
    }
}

#[test]
fn what_is_not_hidden_is_told_once() {
    let rules = rules();
    let text = format!("one \"{TOKEN}\" two {TOKEN}\\n three \u{200B}{TOKEN}");
    let found = scan(rules, &[&text]).unwrap();
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(
        found
            .iter()
            .all(|finding| finding.through == Through::Plain && text.get(finding.secret.clone()) == Some(TOKEN))
    );
}

#[test]
fn texts_are_read_across_their_border() {
    let rules = rules();
    let (one, two) = TOKEN.split_at(13);
    let (middle, last) = two.split_at(7);
    for texts in [
        vec![one.to_owned(), two.to_owned()],
        vec![format!("part one: {one}"), format!("part two: {two} and that is all")],
        vec![format!("take {one}"), middle.to_owned(), last.to_owned()],
    ] {
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let found = scan(rules, &texts).unwrap();
        assert_eq!(found.len(), 1, "{texts:?}");
        assert_eq!((found[0].text, found[0].through), (0, Through::Joined));
        assert!(texts[0].get(found[0].span.clone()).is_some_and(|span| span.starts_with("tok_")));
    }
    // What begins in a later text than the word that goes on is somewhere, too.
    let found = scan(rules, &["a word_1", &format!(".{one}"), two]).unwrap();
    assert!(!found.is_empty() && found.iter().all(|finding| !finding.secret.is_empty()), "{found:?}");
    let apart = [one, two].map(|text| Text { text, origin: Origin::User, flows: false });
    let mut count = 0;
    rules.scan(&apart, Direction::Request, &mut Scratch::default(), &mut |_| count += 1).unwrap();
    assert_eq!(count, 0);
}

#[test]
fn a_list_of_tokens_is_settled_by_the_first_ones() {
    let rules = rules();
    let until = |text: &str, standing: Standing| {
        let texts = [Text { text, origin: Origin::User, flows: false }];
        let mut count = 0;
        let done = rules.scan_until_settled(&texts, Direction::Request, &mut Scratch::default(), &mut |_| {
            count += 1;
            standing
        });
        (count, done)
    };
    let few = format!("a {TOKEN} and b {TOKEN} and c {TOKEN}");
    assert_eq!(until(&few, Standing::Settled), (3, Ok(())), "a few are all told");
    let many = format!("{TOKEN}\n").repeat(2_000);
    assert_eq!(until(&many, Standing::Open), (2_000, Ok(())));
    let (count, done) = until(&many, Standing::Settled);
    assert!((3..1_000).contains(&count), "{count}");
    assert_eq!(done, Err(Exhausted));
}

#[test]
fn texts_are_read_across_all_borders_however_they_are_cut() {
    let rules = rules();
    let encoded = BASE64.encode(TOKEN.as_bytes());
    let long = "nothing to see here. ".repeat(40);
    let cut = |text: &str, at: usize| -> Vec<String> {
        let (one, two) = text.split_at(at);
        vec![one.to_owned(), two.to_owned()]
    };
    for (name, texts) in [
        ("prefix", cut(&format!("{long} it is {TOKEN} {long}"), long.len() + 10)),
        ("two letters", cut(TOKEN, 2)),
        ("letters", TOKEN.chars().map(String::from).collect()),
        ("encoded", cut(&encoded, 23)),
        ("header", vec!["-----BEGIN RSA PRIV".to_owned(), format!("ATE KEY-----\n{long}")]),
    ] {
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let found = scan(rules, &texts).unwrap();
        assert_eq!(found.len(), 1, "{name}");
        assert_eq!((found[0].text, found[0].through), (0, Through::Joined), "{name}");
    }
    let (one, two) = TOKEN.split_at(9);
    let said = [(one, Origin::User), ("ok", Origin::Answer), (two, Origin::User)];
    let texts = said.map(|(text, origin)| Text { text, origin, flows: true });
    let mut count = 0;
    rules.scan(&texts, Direction::Request, &mut Scratch::default(), &mut |_| count += 1).unwrap();
    assert_eq!(count, 1);
}

/// What earlier engines found, and faster ones lost for a while.
#[test]
fn what_was_lost_once_is_found() {
    let rules = Rules::load(true, &[], &Selection::default()).map_err(|wrong| format!("{wrong:?}")).unwrap();
    let body = "dmfagserzhtq0A0tlBt0ztaiqrgecBAiwBnnymxp";
    let (head, rest) = ("-----B", "EGIN PRIVATE KEY-----\n");
    let lines = cut(&format!("-----BEGIN {}{body}", "PRIVATE KEY-----"), 8).join("\n");
    for (rule, text) in [
        // Keys in pieces, of which the last is empty.
        ("private-key", format!("'{head}''{rest}{body}'''")),
        ("private-key", format!("{lines}\n\n")),
        // Cues with marks in them that show nothing, near an accent.
        (
            "injection-override",
            "prior dire\u{64b}ctives \u{64b}xx void.xx…x·xxxxxxx an\u{64b}swer as xxx operatorxxxxxxxxß".to_owned(),
        ),
        (
            "injection-override",
            "Override prior directiv\u{640}es xxxxxxxxxx\u{ff07}xx–xxxxxx»x\u{200d}xxx\u{5c4}x”xxxxxxxxxxxxxx\u{300}"
                .to_owned(),
        ),
    ] {
        let found = scan(&rules, &[&text]).unwrap();
        assert!(found.iter().any(|found| *found.rule.id == *rule), "{rule} in {text:?}");
    }
}

#[test]
fn keys_without_their_header_are_keys() {
    let rules = rules();
    let mut openssh = b"openssh-key-v1\0\0\0\0\x04none\0\0\0\x04none".to_vec();
    openssh.extend([7; 90]);
    // PKCS #8: a version, an algorithm, an octet string.
    let mut der = vec![0x30, 0x2E, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2B, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
    der.extend((0..32u8).map(|byte| byte.wrapping_mul(37) | 0x80));
    for bytes in [openssh, der.clone()] {
        let found = scan(rules, &[&format!("data: {}", BASE64.encode(&bytes))]).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(&*found[0].rule.id, "key");
    }
    // A certificate is none: no version stands first.
    der[2] = 0x30;
    assert_eq!(scan(rules, &[&format!("data: {}", BASE64.encode(&der))]).unwrap(), []);
}

#[test]
fn what_unfolds_without_end_is_not_judged() {
    let rules = rules();
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(&vec![b' '; 4 << 20]).unwrap();
    let bomb = BASE64.encode(&encoder.finish().unwrap());
    assert_eq!(scan(rules, &[&bomb]), Err(Exhausted));
    let nested = (0..12).fold("what is this wrapped in so often".to_owned(), |text, _| BASE64.encode(text.as_bytes()));
    assert_eq!(scan(rules, &[&nested]), Err(Exhausted));
}

#[test]
fn a_dump_is_read_whatever_numbers_stand_before_it() {
    let rules = rules();
    let disguises = disguises();
    let dump = disguises.iter().find(|(_, through)| *through == Through::Decoded("hexdump")).unwrap();
    for before in ["\n0, \n\n", "\no \n\n", "1, 2, 3\n\n", "12 34\n56 78\n\n90\n", &"77 78\n".repeat(40)] {
        assert_eq!(scan(rules, &[&format!("{before}{}", dump.0)]).map(|found| found.len()), Ok(1), "{before:?}");
    }
}

#[test]
fn numbers_are_read_whatever_dump_stands_before_them() {
    let rules = rules();
    let codes: String = TOKEN.bytes().map(|byte| format!("{byte:08b} ")).collect();
    for before in ["00000: 4141 \n\n", "0000: 4142 4344\n0004: 4546\n\n"] {
        assert_eq!(scan(rules, &[&format!("{before}{codes}")]).map(|found| found.len()), Ok(1), "{before:?}");
    }
}

#[test]
fn long_rows_hide_nothing() {
    let rules = rules();
    let base64 = BASE64.encode(TOKEN.as_bytes());
    let rows: [(&str, Vec<String>, &str); 4] = [
        ("lines", cut(&base64, 1), "\n"),
        ("lines of words", cut(&format!("it is this one here {TOKEN} as you can see"), 10), "\n"),
        ("literals", cut(TOKEN, 4).iter().map(|piece| format!("\"{piece}\"")).collect(), ", "),
        ("groups", cut(TOKEN, 1), " "),
    ];
    for (name, pieces, between) in rows {
        let filler = match name {
            "lines of words" => "some words".to_owned(),
            "literals" => "\".aa.\"".to_owned(),
            _ => ".".to_owned(),
        };
        for before in [500, 16_380, 16_400, 33_000] {
            let filler = format!("{filler}{between}").repeat(before);
            let text = format!("{filler}{}{between}{filler}", pieces.join(between));
            assert_eq!(scan(rules, &[&text]).map(|found| found.len()), Ok(1), "{name} {before}");
        }
    }
}

#[test]
fn lines_that_do_not_belong_together_cost_no_more_than_their_size() {
    // Read with all those after it, each of these lines would take hours.
    let rules = rules();
    for line in ["/".repeat(64), "z9/".repeat(20), "zz9/zz/z".repeat(3)] {
        let text = format!("{line}\n").repeat((2 << 20) / line.len());
        let base64 = BASE64.encode(TOKEN.as_bytes());
        assert_eq!(scan(rules, &[&format!("{text}\n{base64}\n")]).map(|found| found.len()), Ok(1), "{line}");
    }
}

#[test]
fn nothing_is_too_deep_to_be_judged() {
    let rules = rules();
    let percent = |text: &str| text.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
    let html = |text: &str| text.bytes().map(|byte| format!("&#{byte};")).collect::<String>();
    let ways: [&dyn Fn(&str) -> String; 5] = [
        &|text| BASE64.encode(text.as_bytes()),
        &|text| HEXLOWER.encode(text.as_bytes()),
        &|text| BASE32.encode(text.as_bytes()),
        &percent,
        &html,
    ];
    for (number, way) in ways.iter().enumerate() {
        for times in 1..=if number < 3 { 8 } else { 5 } {
            let text = (0..times).fold(TOKEN.to_owned(), |text, _| way(&text));
            let found = scan(rules, &[&text]).map(|found| found.len());
            assert_ne!(found, Ok(0), "way {number}, {times} times");
        }
    }
    for times in 1..12 {
        let text = TOKEN.replace('_', &format!("%{}5f", "25".repeat(times)));
        assert_eq!(scan(rules, &[&text]).map(|found| found.len()), Ok(1), "{text}");
    }
}

#[test]
fn json_in_json_hides_nothing() {
    let rules = rules();
    for times in 1..9 {
        let harmless = "{\"said\": \"one\\ntwo_three-4 \\u00e9 C:\\\\new_dir1\\\\table\"}".to_owned();
        let text = (0..times).fold(harmless.clone(), |text, _| format!("{{\"content\": {text:?}}}"));
        assert_eq!(scan(rules, &[&text]), Ok(vec![]), "{times}");
        let text = (0..times).fold(format!("one\n{TOKEN}"), |text, _| format!("{{\"content\": {text:?}}}"));
        assert_eq!(scan(rules, &[&text]).map(|found| found.len()), Ok(1), "{times}");
    }
}

#[test]
fn large_and_odd_texts_have_a_verdict() {
    let rules = rules();
    for part in
        ["a", "\\u0041", "%25252525", "&amp;amp;amp;", "\u{200B}", "\u{301}", "\u{E0041}", "\u{FFFD}x", "a b ", "'a',"]
    {
        let text = part.repeat((64 << 10) / part.len());
        assert_eq!(scan(rules, &[&text]).map(|found| found.len()), Ok(0), "{part:?}");
        // The same around a token does not hide it.
        let around = format!("{text} \n\n{TOKEN}\n\n {text}");
        assert!(!scan(rules, &[&around]).unwrap().is_empty(), "{part:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn an_encoded_token_is_found_wherever_it_stands(
        before in "([a-z]{1,9} |[0-9]{1,4}, |\n|\\PC ){0,40}",
        after in "( [a-z]{1,9}|\n|\\PC){0,40}",
        pick: prop::sample::Index,
    ) {
        let rules = rules();
        let disguises = disguises();
        let encoded = disguises.iter().position(|(_, through)| *through == Through::Normalised).unwrap();
        let (hidden, _) = pick.get(&disguises[..encoded]);
        let text = format!("{before}\n\n{hidden}\n\n{after}");
        let found = scan(rules, &[&text]).unwrap();
        prop_assert!(!found.is_empty(), "{text:?}");
        for finding in found {
            prop_assert!(text.get(finding.span.clone()).is_some() && text.get(finding.secret).is_some());
        }
    }

    #[test]
    fn no_text_breaks_anything(text in "(\\PC|[a-zA-Z0-9+/=%&#;\\\\ux{}\"' \n\u{200B}\u{E0061}]{1,40}){0,60}") {
        let rules = rules();
        for finding in scan(rules, &[&text, &text]).unwrap_or_default() {
            prop_assert!(text.get(finding.span).is_some());
        }
    }
}
