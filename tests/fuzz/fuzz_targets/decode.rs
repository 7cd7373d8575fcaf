//! The firewall's views, decoders and joins: never panic on any text, never point outside it, and find a token
//! in whatever disguise, whatever stands around it.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use portcullis_firewall::{Direction, Origin, Rules, Scratch, Selection, Source, Text};

const RULE: &str =
    "[[rules]]\nid = \"token\"\nregex = '''\\b(tok_[a-z0-9]{16})(?:[^a-z0-9]|$)'''\nkeywords = [\"tok_\"]\n";

const TOKEN: &str = "tok_a1b2c3d4e5f6g7h8";

static RULES: LazyLock<Rules> = LazyLock::new(|| {
    let source = [Source { name: "rules.toml", text: RULE }];
    Rules::load(false, &source, &Selection::default()).ok().expect("the rule is sound")
});

/// Each letter in another way of writing it.
fn each(write: impl Fn(u8) -> String) -> String {
    TOKEN.bytes().map(write).collect()
}

fn base64(text: &str) -> String {
    data_encoding::BASE64.encode(text.as_bytes())
}

fn backwards(text: &str) -> String {
    text.chars().rev().collect()
}

static DISGUISES: LazyLock<Vec<String>> = LazyLock::new(|| {
    let token = format!("it is {TOKEN}, here");
    let encoded = base64(&token);
    let (head, tail) = encoded.split_at(20);
    vec![
        TOKEN.to_owned(),
        base64(TOKEN),
        base64(&base64(TOKEN)),
        base64(&backwards(TOKEN)),
        backwards(&base64(TOKEN)),
        format!("{head}\n{tail}"),
        format!("abc{}", data_encoding::BASE64URL_NOPAD.encode(TOKEN.as_bytes())),
        data_encoding::BASE32.encode(TOKEN.as_bytes()),
        data_encoding::HEXUPPER.encode(TOKEN.as_bytes()),
        each(|byte| format!("{byte:02x} ")),
        each(|byte| format!("{byte}, ")),
        each(|byte| format!("{byte:08b} ")),
        each(|byte| format!("%{byte:02x}")),
        each(|byte| format!("%25{byte:02x}")),
        each(|byte| format!("&#{byte};")),
        each(|byte| format!("\\u{byte:04x}")),
        each(|byte| format!("\\\\x{byte:02x}")),
        each(|byte| format!("={byte:02X}")),
        backwards(TOKEN),
        each(|byte| format!("{}\u{200b}", char::from(byte))),
        TOKEN.replace('a', "\u{430}"),
        TOKEN.chars().filter_map(|c| char::from_u32(u32::from(c) + 0xFEE0)).collect(),
    ]
});

fuzz_target!(|bytes: &[u8]| {
    let Some(([way, place], rest)) = bytes.split_first_chunk() else { return };
    let text = String::from_utf8_lossy(rest);
    let middle = text.len() * usize::from(*place) / 255;
    let middle = (middle..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or_default();
    let (before, after) = text.split_at(middle);
    let hidden = &DISGUISES[usize::from(*way) % DISGUISES.len()];
    let beside = format!("{before}\n\n{hidden}\n\n{after}");
    for (text, must) in [(&*text, false), (&*beside, true)] {
        let half = (text.len() / 2..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or_default();
        let texts = [text, &text[..half], &text[half..]].map(|text| Text { text, origin: Origin::Unknown, flows: true });
        let (mut found, mut count) = (false, 0);
        let judged = RULES.scan(&texts, Direction::Both, &mut Scratch::default(), &mut |finding| {
            let text = texts[finding.text].text;
            let (span, secret) = (finding.span, finding.secret);
            // Both lie on characters, and a secret is something.
            assert!(text.get(span.clone()).is_some() && text.get(secret.clone()).is_some_and(|text| !text.is_empty()));
            count += 1;
            found |= finding.text == 0;
        });
        assert!(!must || found || judged.is_err(), "{hidden}");
        // Places of one rule do not overlap, so there are no more than fit.
        assert!(count <= 2 * text.len() + 3);
    }
});
