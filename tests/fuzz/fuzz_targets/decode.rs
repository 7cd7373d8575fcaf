//! The firewall's views, decoders and joins: never panic on any text, never point outside it, and find
//! what is encoded beside it.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use portcullis_firewall::{Direction, Origin, Rules, Scratch, Selection, Source, Text};

const RULE: &str = "[[rules]]\nid = \"token\"\nregex = '''\\b(tok_[a-z0-9]{16})(?:[^a-z0-9]|$)'''\nkeywords = [\"tok_\"]\n";

static RULES: LazyLock<Rules> = LazyLock::new(|| {
    let source = [Source { name: "rules.toml", text: RULE }];
    Rules::load(false, &source, &Selection::default()).expect("the rule is sound")
});

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    let hidden: String = "tok_a1b2c3d4e5f6g7h8".bytes().map(|byte| format!("%{byte:02x}")).collect();
    let beside = format!("{text} \n {hidden}");
    for (text, must) in [(&*text, false), (&*beside, true)] {
        let half = (text.len() / 2..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or_default();
        let texts = [text, &text[..half], &text[half..]].map(|text| Text { text, origin: Origin::Unknown, flows: true });
        let mut found = false;
        let judged = RULES.scan(&texts, Direction::Both, &mut Scratch::default(), &mut |finding| {
            let text = texts[finding.text].text;
            assert!(text.get(finding.span.clone()).is_some() && text.get(finding.secret.clone()).is_some());
            found = true;
        });
        assert!(!must || found || judged.is_err());
    }
});
