//! What stands beside a key, and what a budget leaves unsaid.

use super::*;

#[test]
fn who_can_wait_is_told_all_of_a_text_of_tokens() {
    let rules = Rules::load(true, &[], &Selection::default()).map_err(|wrong| format!("{wrong:?}")).unwrap();
    let tokens: Vec<_> = (0..300).map(|seed| crate::draw("token: ghp_{b62:30}{crc32}", seed).unwrap()).collect();
    // Each of these words has a value that goes on to the end.
    let text = format!("{}\n{}", tokens.join("\n"), "password=".repeat(1000));
    let texts = [Text { text: &text, origin: Origin::User, flows: false }];
    let told = |scratch: &mut Scratch| {
        let mut found = 0;
        let judged = rules.scan(&texts, Direction::Request, scratch, &mut |finding| {
            found += usize::from(&*finding.rule.id == "github-token");
        });
        (judged, found)
    };
    let (judged, found) = told(&mut Scratch::default());
    assert_eq!(judged, Err(Exhausted));
    assert_eq!(found, tokens.len(), "what was found by then is told");
    assert_eq!(told(&mut Scratch::patient()), (Ok(()), tokens.len()));
}

#[test]
fn what_begins_close_before_its_keyword_is_told_once() {
    let text = r#"
[[rules]]
id = "close"
regex = '''x{1,4}kw=([a-z0-9]{6})'''
keywords = ["kw="]
entropy = 2.0
"#;
    let source = [Source { name: "rules.toml", text }];
    let rules = Rules::load(false, &source, &Selection::default()).map_err(|wrong| format!("{wrong:?}")).unwrap();
    for (text, spans) in [
        ("xxxkw=a1b2c3", vec![(0, 12)]),
        ("xxxxxxkw=a1b2c3", vec![(2, 15)]),
        // The first does not hold, and the others stand side by side.
        ("xxkw=aaaaaa xkw=a1b2c3xxkw=d4e5f6", vec![(12, 22), (22, 33)]),
        ("kw=a1b2c3", vec![]),
    ] {
        let found: Vec<_> =
            scan(&rules, &[text]).unwrap().iter().map(|finding| (finding.span.start, finding.span.end)).collect();
        assert_eq!(found, spans, "{text}");
    }
}

#[test]
fn what_stands_beside_it_hides_nothing() {
    let spaced = |size: usize| chunks(size).join(" ");
    let hex = HEXLOWER.encode(TOKEN.as_bytes());
    let base32 = BASE32.encode(TOKEN.as_bytes());
    let base64 = BASE64_NOPAD.encode(format!("id: {TOKEN}").as_bytes());
    let reversed: String = TOKEN.chars().rev().collect();
    for before in 0..64 {
        let before = "word ".repeat(before / 5) + &" ".repeat(before % 5);
        for (way, text) in [
            ("a dash that looks like a sign of base64", format!("{before}see\u{2014}{hex}")),
            ("a letter with an accent", format!("{before}\u{e9}{base32}")),
            ("the same, backwards", format!("{before}{reversed}\u{e9}")),
            ("a word behind it", format!("{before}see {base64} and more")),
            ("words of the size of its groups", format!("{before}take this with your keys {}", spaced(4))),
            ("words of another size", format!("{before}take this with your keys {}", spaced(1))),
        ] {
            let found = scan(rules(), &[&text]).unwrap();
            assert!(found.iter().any(|finding| &*finding.rule.id == "token"), "{way}: {text:?}");
        }
    }
}

#[test]
fn an_escape_between_brackets_parts_and_names_as_its_character_does() {
    let rules = Rules::load(true, &[], &Selection::default()).map_err(|wrong| format!("{wrong:?}")).unwrap();
    let token = crate::draw("ghp_{b62:30}{crc32}", 7).unwrap();
    let parted = |mark: &str| {
        token.as_bytes().chunks(4).map(|part| std::str::from_utf8(part).unwrap()).collect::<Vec<_>>().join(mark)
    };
    let value = "Xy7Kq2Lm9Pz4Rt8Vw3";
    for text in [
        parted("(\\u2022)"),
        parted("<&#8226;>"),
        parted("[%E2%80%A2]"),
        parted("'\\u0436'"),
        parted("\"\\342\\200\\242\""),
        format!("{{\"\\u9375\": \"{value}\"}}"),
        format!("'&#37749;': '{value}'"),
        format!("password \"\\u306f\"{value}"),
    ] {
        let found = scan(&rules, &[&text]).unwrap();
        assert!(found.iter().any(|finding| finding.rule.kind == crate::Kind::Secret), "{text}");
    }
}

#[test]
fn a_token_that_says_what_it_is_is_found_in_pieces() {
    let rules = Rules::load(true, &[], &Selection::default()).map_err(|wrong| format!("{wrong:?}")).unwrap();
    let template = "eyJhbGciOiJFUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiI1MjMwNDc1MDUwIiwibmFtZSI6IkFpa28ifQ.{b64url:86}";
    let token = crate::draw(template, 3).unwrap();
    for size in [9, 16, 33, 80] {
        let parts: Vec<_> = token.as_bytes().chunks(size).map(|part| std::str::from_utf8(part).unwrap()).collect();
        for text in [format!("k = \"{}\"", parts.join("\" + \"")), format!("paste:\n{}\nthat is all", parts.join("\n"))]
        {
            let found = scan(&rules, &[&text]).unwrap();
            assert!(found.iter().any(|finding| &*finding.rule.id == "jwt"), "{size}: {text}");
        }
    }
}

#[test]
fn bytes_in_binary_are_found_between_others() {
    let row = list(|byte| format!("{byte:08b}"), " ");
    for (before, after) in [(1, 1), (2, 0), (0, 5), (30, 30)] {
        let noise = |count: usize| vec!["00000000"; count].join(" ");
        let text = format!("{}\n\n{row}\n\n{}", noise(before), noise(after));
        let found = scan(rules(), &[&text]).unwrap();
        assert!(found.iter().any(|finding| &*finding.rule.id == "token"), "{before} and {after}");
    }
}

#[test]
fn a_rule_file_that_says_nothing_is_a_mistake() {
    for text in ["", "# rules\n", "title = \"rules\"\n", "[[rule]]\nid = \"a\"\nregex = \"b\"\n"] {
        let source = [Source { name: "rules.toml", text }];
        let wrong = Rules::load(true, &source, &Selection::default()).err().unwrap_or_default();
        assert!(wrong.first().is_some_and(|wrong| wrong.message.contains("[[rules]]")), "{text:?}: {wrong:?}");
    }
}

#[test]
fn a_dump_of_anything_hides_no_key_in_its_middle() {
    let noise = |size: u32| (0..size).map(|n| (n.wrapping_mul(0x9E37_79B9) >> 13) as u8 | 0x80);
    for (before, after) in [(0, 16), (80, 0), (200, 100), (1000, 3000), (4000, 16)] {
        let bytes: Vec<u8> = noise(before).chain(format!(" {TOKEN} ").bytes()).chain(noise(after)).collect();
        let lines = bytes.chunks(16).enumerate().map(|(number, line)| {
            let hex: Vec<_> = line.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("{:08x}  {}  |{}|", number * 16, hex.join(" "), ".".repeat(line.len()))
        });
        let text = lines.collect::<Vec<_>>().join("\n");
        let found = scan(rules(), &[&text]).unwrap();
        assert!(found.iter().any(|finding| &*finding.rule.id == "token"), "{before} and {after} bytes beside it");
    }
}

/// What is taken out is all of a secret, and no more than it where that is known.
#[test]
fn a_secret_ends_where_its_value_does() {
    let rules = Rules::load(true, &[], &Selection::default()).map_err(|wrong| format!("{wrong:?}")).unwrap();
    let jwt = |seed| {
        let claims = BASE64URL_NOPAD.encode(crate::draw("{{\"sub\":\"{digit:10}\"}}", seed).unwrap().as_bytes());
        let header = BASE64URL_NOPAD.encode(br#"{"alg":"HS256","typ":"JWT"}"#);
        format!("{header}.{claims}.{}", crate::draw("{b62:43}", seed).unwrap())
    };
    let value = crate::draw("Q7{b62:30}x8", 3).unwrap();
    let (one, other) = (jwt(1), jwt(2));
    for (rule, before, secret, after) in [
        ("assigned-secret", "GET /a?access_token=", &one, "&page=2"),
        ("assigned-secret", "GET /a?page=2&access_token=", &value, "&"),
        // Nowhere else a value is known to end there.
        ("assigned-secret", "access_token=", &format!("{value}&page=2"), ""),
        ("jwt", "see ", &format!("{one}-{other}"), " there"),
        ("jwt", "see ", &format!("{one}_{other}.{value}"), ". And so on"),
    ] {
        let text = format!("{before}{secret}{after}");
        let found = scan(&rules, &[&text]).unwrap();
        let found: Vec<_> = found.iter().filter(|f| *f.rule.id == *rule).map(|f| &text[f.secret.clone()]).collect();
        assert_eq!(found, [secret], "{text}");
    }
}
