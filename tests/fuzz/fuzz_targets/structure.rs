//! How a text is built, and what it says about persons: never a panic, places lie on its characters, and what
//! stands in the middle of any text is seen there.
#![no_main]

use std::collections::BTreeMap;
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

/// What is put into the middle of a text, and who must see it.
const PLANTED: [(&str, &str); 4] = [
    ("structure-bidi", "user\u{202E}nimda"),
    ("structure-invisible", "see\u{E0041}\u{E0042}\u{E0043}\u{E0044}"),
    ("structure-control-characters", "a\0b"),
    ("structure-mixed-scripts", "p\u{430}ypal"),
];

fuzz_target!(|text: &str| {
    let half = (text.len() / 2..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or_default();
    let (before, after) = text.split_at(half);
    judge(text, None);
    for (rule, planted) in PLANTED {
        judge(&format!("{before}\n\n{planted}\n\n{after}"), Some((rule, before.len() + 2..before.len() + 2 + planted.len())));
    }
});

/// Judges a text, of which this rule must tell this part.
fn judge(text: &str, must: Option<(&str, std::ops::Range<usize>)>) {
    let texts = [Text { text, origin: Origin::User, flows: false }];
    let mut found: BTreeMap<String, Vec<std::ops::Range<usize>>> = BTreeMap::new();
    let judged = RULES.scan(&texts, Direction::Request, &mut Scratch::default(), &mut |finding| {
        assert!(text.get(finding.span.clone()).is_some_and(|part| !part.is_empty()));
        assert!(text.get(finding.secret.clone()).is_some());
        found.entry(finding.rule.id.to_string()).or_default().push(finding.span);
    });
    if let (Ok(()), Some((rule, part))) = (judged, must) {
        let told = found.get(rule).into_iter().flatten().any(|span| span.start < part.end && span.end > part.start);
        assert!(told, "{rule} {found:?}");
    }
    // No rule tells more places than there are.
    assert!(found.values().all(|spans| spans.len() <= text.len()));
}
