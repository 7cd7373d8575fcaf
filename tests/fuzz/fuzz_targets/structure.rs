//! How a text is built, and what it says about persons: never a panic, and places lie on its characters.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use portcullis_firewall::{Direction, Origin, Rules, Scratch, Selection, Source, Text};

static RULES: LazyLock<Rules> = LazyLock::new(|| {
    let files = [
        Source { name: "structure.toml", text: include_str!("../../../policies/firewall/structure.toml") },
        Source { name: "pii.toml", text: include_str!("../../../policies/firewall/pii.toml") },
    ];
    // So small that a fuzzer's texts reach it.
    let selection = Selection { pii: true, largest_text: 2048, ..Selection::default() };
    Rules::load(false, &files, &selection).ok().expect("rules")
});

fuzz_target!(|text: &str| {
    let texts = [Text { text, origin: Origin::User, flows: false }];
    let _ = RULES.scan(&texts, Direction::Request, &mut Scratch::default(), &mut |finding| {
        assert!(text.get(finding.span.clone()).is_some_and(|part| !part.is_empty()));
        assert!(text.get(finding.secret.clone()).is_some());
    });
});
