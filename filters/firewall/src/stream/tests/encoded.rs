//! What is encoded beside letters with marks, invisible characters and what a terminal is told is found as in a whole
//! text.

use super::*;
use crate::decode::tests::write;

/// What stands right beside it.
const SIDES: [(&str, &str); 12] = [
    ("", ""),
    ("\u{e9}", ""),
    ("caf\u{e9}", "\u{e9}"),
    ("x\u{200b}", "\u{200b}x"),
    ("\u{200b}", "\u{200b}a"),
    ("caf\u{e9}7\u{1b}[31m", "\u{1b}[0m more"),
    ("a\u{1b}[1m", "\u{1b}"),
    ("\u{43a}\u{43b}\u{44e}\u{447}_", "\u{430}\u{301} and more"),
    ("7\u{301}", "\u{301}x"),
    ("1\u{ff11}\u{336}", "\u{ff11}"),
    ("a7\u{f1}", "\u{f1}b \u{f1}and more \u{e9}"),
    ("\u{2014}", "\u{2013}"),
];

/// As many ways are there to write a text.
const WAYS: std::ops::Range<u8> = 0..23;

/// Which rules about secrets a whole scan finds in a text.
fn secrets(rules: &Rules, text: &str) -> Vec<String> {
    let texts = [Text { text, origin: Origin::Answer, flows: false }];
    let mut found = Vec::new();
    let said = rules.scan(&texts, Direction::Response, &mut Scratch::default(), &mut |finding| {
        if finding.rule.kind == Kind::Secret {
            found.push(finding.rule.id.to_string());
        }
    });
    said.unwrap_or_else(|_| panic!("{} bytes of {text:?}", text.len()));
    found
}

/// Whether anything of it is found while it grows, or nothing is there.
fn is_found(rules: &Rules, text: &str, sizes: &[usize]) -> bool {
    if secrets(rules, text).is_empty() {
        return true;
    }
    let mut pieces = Vec::new();
    let mut rest = text;
    for size in sizes.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (piece, left) = rest.split_at(rest.ceil_char_boundary((*size).min(rest.len())));
        pieces.push(piece);
        rest = left;
    }
    !play(rules, &pieces).1.is_empty()
}

#[test]
fn what_is_encoded_beside_what_is_seen_as_something_else_is_found() {
    let (rules, _) = builtin();
    let words = "and so it goes on with words that say nothing at all, one after the other. ".repeat(12);
    let (mut all, mut wrong) = (0, Vec::new());
    for (rule, template) in [
        ("aws-access-key-id", "AKIA{b32:16}"),
        ("github-token", "ghp_{b62:30}{crc32}"),
        ("gitlab-token", "glpat-{b62:20}"),
    ] {
        let token = draw(template, 5).unwrap();
        for way in WAYS {
            for (before, after) in SIDES {
                for (lead, tail) in [("", 0), ("Here it is: ", 0), ("d\u{e9}j\u{e0} vu, ", 200), (&words[..701], 700)] {
                    let text =
                        format!("{lead}{before}{}{after} and that is all. {}", write(&token, way), &words[..tail]);
                    all += usize::from(!secrets(rules, &text).is_empty());
                    let missed = [1, 3, 50, 700].into_iter().find(|size| !is_found(rules, &text, &[*size]));
                    wrong.extend(missed.map(|size| format!("{rule} in way {way}, in pieces of {size}: {text:?}")));
                }
            }
        }
    }
    println!("{all} texts");
    assert!(all > 2000, "{all}");
    none_of(&wrong);
}

proptest! {
    /// Whatever a scan of a whole text finds is found while it grows, however it is written and whatever stands beside it.
    #[test]
    fn what_a_scan_finds_encoded_is_found_at_any_split(
        before in "([ -~é\u{200b}\u{301}\u{1b}ñа７]|café|[a-z]{1,5} ){0,30}", which: prop::sample::Index, seed in 0u64..50,
        way in WAYS, after in "([ -~é\u{200b}\u{301}\u{1b}ñа７]|[a-z]{1,5} ){0,20}",
        cut in prop::collection::vec(1usize..9, 1..20),
    ) {
        let (rules, samples) = builtin();
        let sample = texts(which.get(samples), seed..seed + 1).swap_remove(0);
        let text = format!("{before}{}{after}", write(&sample, way));
        // What reaches over more than this may be missed.
        prop_assert!(text.len() >= 600 || is_found(rules, &text, &cut), "{:?} of {:?}", secrets(rules, &text), text);
    }
}
