use super::class::Class;
use super::*;
use crate::{Samples, Selection, Source, draw};
use proptest::prelude::*;

/// Rules of every shape: a prefix, a value behind a key, a marker in the middle, no prefix at all, a lazy
/// block, a whole match without groups.
const SHAPES: &str = r#"
[[rules]]
id = "prefix"
regex = '''\b(ghp_[A-Za-z0-9]{36})(?:[^A-Za-z0-9]|$)'''
keywords = ["ghp_"]
[rules.fw.samples]
positive = ["token is ghp_{b62:36} ok", "ghp_{b62:36}"]

[[rules]]
id = "value"
regex = '''(?i)[\w.-]{0,50}?(?:passwd|password|token)(?:[ \t\w.-]{0,20})[\s'"]{0,3}(?:=|:{1,3}=?|=>)[\s'"=]{0,5}([\w.=+/-]{10,150})(?:[\s'";]|$)'''
keywords = ["passwd", "password", "token"]
entropy = 3
[rules.fw]
level = "L3"
[rules.fw.samples]
positive = ["db.password = \"{b62:20}\" is it", "TOKEN={b62:32}\n"]

[[rules]]
id = "marker"
regex = '''(?:^|[\s'"=])([A-Za-z0-9_~.]{3}\dQ~[A-Za-z0-9_~.-]{31,34})(?:[\s'"<]|$)'''
keywords = ["Q~"]
[rules.fw.samples]
positive = ["it is {b62:3}8Q~{b62:33} then"]

[[rules]]
id = "suffix"
regex = '''\b([0-9a-f]{32}-us[0-9]{1,2})\b'''
keywords = ["-us"]
[rules.fw.samples]
positive = ["it is {hex:32}-us12 then"]

[[rules]]
id = "block"
regex = '''-----BEGIN[ A-Z0-9_-]{0,40}PRIVATE KEY-----[\s\S-]{32,}?KEY-----'''
keywords = ["-----BEGIN"]
[rules.fw.samples]
positive = ["look:\n-----BEGIN RSA PRIVATE KEY-----\n{b64:64}\n{b64:64}\n-----END RSA PRIVATE KEY-----\nis it"]

[[rules]]
id = "address"
regex = '''(?i)\b[a-z]{2,10}:/{2}[^\s:/@]{1,40}:([^\s:/@]{6,80})@[\w.-]{3,60}'''
keywords = ["://"]
[rules.fw.samples]
positive = ["see postgres://admin:{b62:14}@db.example.org/x now"]
"#;

fn shapes() -> Rules {
    load(false, &[Source { name: "shapes.toml", text: SHAPES }])
}

fn samples() -> Vec<Samples> {
    let source = Source { name: "shapes.toml", text: SHAPES };
    let document = crate::document::read(&source, &mut Vec::new());
    document.rules.iter().filter_map(|rule| Samples::of(rule, &source)).collect()
}

fn load(builtin: bool, files: &[Source<'_>]) -> Rules {
    Rules::load(builtin, files, &Selection::default()).map_err(|wrong| format!("{wrong:?}")).unwrap()
}

/// What leaves of the pieces until something is found, and what is found.
fn play(rules: &Rules, pieces: &[&str]) -> (String, Vec<(String, Range<u64>)>) {
    let whole = pieces.concat();
    let mut stream = Stream::new();
    let mut found = Vec::new();
    let mut gone = 0;
    for piece in pieces {
        let said = stream.push(rules, piece, &|_| true, &mut |f| found.push((f.rule.id.to_string(), f.secret)));
        // What takes too much work to judge does not leave either.
        if said.is_err() {
            found.push(("exhausted".to_owned(), 0..0));
        }
        if !found.is_empty() {
            return (whole[..gone].to_owned(), found);
        }
        assert!(stream.open() >= gone as u64 || stream.open() <= stream.pushed());
        gone = gone.max(stream.open() as usize);
    }
    stream.finish(rules, &mut |f| found.push((f.rule.id.to_string(), f.secret))).unwrap();
    if found.is_empty() {
        gone = whole.len();
    }
    (whole[..gone].to_owned(), found)
}

/// All ways to cut a text in two, and one that cuts it into characters.
fn cuts(text: &str) -> Vec<Vec<&str>> {
    let inner = text.char_indices().map(|(at, _)| at).skip(1);
    let mut all: Vec<Vec<&str>> = inner.map(|at| vec![&text[..at], &text[at..]]).collect();
    all.push(text.split_inclusive(|_: char| true).collect());
    all
}

/// What the rule says is the secret of a text, as a whole.
fn secret_of(rules: &Rules, rule: &str, text: &str) -> Option<Range<usize>> {
    let mut at = None;
    let compiled = rules.engine.rules().iter().find(|compiled| *compiled.rule.id == *rule).unwrap();
    compiled.confirm(text, 0..text.len(), &mut |hit| {
        at.get_or_insert(hit.secret);
    });
    at
}

fn nothing_leaves(rules: &Rules, samples: &[Samples], seeds: Range<u64>, step: usize) {
    let (mut drawn, mut plain) = (0, 0);
    let watched = |samples: &&Samples| rules.prefix_of(&samples.rule, "").is_some();
    for rule in samples.iter().filter(watched) {
        for (template, seed) in rule.positive.iter().flat_map(|t| seeds.clone().map(move |seed| (t, seed))) {
            let text = draw(template, seed).unwrap();
            drawn += 1;
            // Some are found only in another view than the plain one, or from a keyword on.
            let Some(secret) = secret_of(rules, &rule.rule, &text) else { continue };
            plain += 1;
            let may = secret.start + rules.prefix_of(&rule.rule, &text[secret.clone()]).unwrap();
            for pieces in cuts(&text).into_iter().rev().step_by(step) {
                let (gone, found) = play(rules, &pieces);
                assert!(!found.is_empty(), "{}: not found in {pieces:?}", rule.rule);
                assert!(gone.len() <= may, "{}: {:?} left of {pieces:?}", rule.rule, &gone[secret.start..]);
            }
        }
    }
    assert!(plain * 10 > drawn * 9, "only {plain} of {drawn} samples are found as they stand");
}

#[test]
fn of_every_shape_nothing_leaves_past_its_prefix() {
    let samples = samples();
    assert_eq!(samples.len(), 6);
    nothing_leaves(&shapes(), &samples, 0..4, 1);
}

#[test]
#[ignore = "fails: the secret of `piped-secret` stands before its keyword, and leaves"]
fn of_every_rule_nothing_leaves_past_its_prefix() {
    let rules = Rules::load(true, &[], &Selection { pii: true, ..Selection::default() });
    nothing_leaves(&rules.map_err(|wrong| format!("{wrong:?}")).unwrap(), &Rules::builtin_samples(), 0..1, 41);
}

#[test]
fn clean_words_are_not_held() {
    let rules = shapes();
    for text in [
        "Hello",
        "The token is ",
        "password: ",
        "see https",
        "xghp_abc",
        "-----BEGIN CERTIFICATE-----\n",
        "ghp_abc ",
        "decade ",
    ] {
        let mut stream = Stream::new();
        stream.push(&rules, text, &|_| true, &mut |f| panic!("{}", f.rule.id)).unwrap();
        assert_eq!(stream.open(), stream.pushed(), "{text}");
    }
}

#[test]
fn a_value_is_held_and_its_key_is_not() {
    let rules = shapes();
    let mut stream = Stream::new();
    stream.push(&rules, "password = \"abc", &|_| true, &mut |_| {}).unwrap();
    assert_eq!(stream.open(), 12);
    stream.push(&rules, "\" and", &|_| true, &mut |_| {}).unwrap();
    assert_eq!(stream.open(), stream.pushed());
}

#[test]
fn classes_are_what_they_should_be() {
    let rules = shapes();
    let of = |id: &str| {
        let own = |live: &&LiveRule| *rules.engine.rules()[live.number].rule.id == *id;
        rules.live().unwrap().rules().iter().find(own).unwrap().class
    };
    let class =
        |back: Option<usize>, words, prefix| Class { back, everywhere: back.is_none(), context: false, words, prefix };
    assert_eq!(of("prefix"), class(Some(0), false, 4));
    assert_eq!(of("value"), class(Some(0), false, 0));
    assert_eq!(of("marker"), class(Some(5), false, 0));
    assert_eq!(of("suffix"), class(None, false, 0));
    assert_eq!(of("block"), class(Some(0), false, 10));
    assert_eq!(of("address"), class(Some(10), true, 0));
}

proptest! {
    #[test]
    fn finds_what_the_engine_finds_at_any_split(
        before in "[ -~\n]{0,40}", seed in any::<u64>(), which in 0usize..8, after in "[ -~\n]{0,40}",
        cut in prop::collection::vec(1usize..9, 1..40),
    ) {
        let rules = shapes();
        let samples = samples();
        let templates: Vec<&String> = samples.iter().flat_map(|s| &s.positive).collect();
        let text = format!("{before} {} {after}", draw(templates[which % templates.len()], seed).unwrap());
        let mut pieces = Vec::new();
        let mut rest = text.as_str();
        for size in cut.iter().cycle() {
            if rest.is_empty() { break; }
            let (piece, left) = rest.split_at((*size).min(rest.len()));
            pieces.push(piece);
            rest = left;
        }
        let (_, found) = play(&rules, &pieces);
        prop_assert!(!found.is_empty(), "{:?}", pieces);
    }
}
