mod compared;
mod encoded;
mod views;

use super::class::Class;
use super::live::LiveRule;
use super::*;
use crate::rule::{Direction, Kind};
use crate::scan::{Origin, Scratch, Text};
use crate::{Samples, Selection, Source, Through, draw};
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

/// What is found where a text takes too much work to judge.
const EXHAUSTED: &str = "exhausted";

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
            found.push((EXHAUSTED.to_owned(), 0..0));
        }
        if !found.is_empty() {
            return (whole[..gone].to_owned(), found);
        }
        assert!(stream.open() >= gone as u64 || stream.open() <= stream.pushed());
        // Of a character that is several bytes all leave, or none.
        gone = gone.max(whole.floor_char_boundary(stream.open() as usize));
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
pub(super) fn secret_of(rules: &Rules, rule: &str, text: &str) -> Option<Range<usize>> {
    let mut at = None;
    let compiled = rules.engine.rules().iter().find(|compiled| *compiled.rule.id == *rule).unwrap();
    let said = compiled.confirm(text, 0..text.len(), &mut |hit| {
        at.get_or_insert(hit.secret);
    });
    said.unwrap();
    at
}

/// The secret of a text as a whole scan finds it, in whichever view, and whether it stands there as it is.
pub(super) fn scanned(rules: &Rules, rule: &str, text: &str) -> Option<(Range<usize>, bool)> {
    let texts = [Text { text, origin: Origin::Answer, flows: false }];
    let mut at = None;
    let said = rules.scan(&texts, Direction::Response, &mut Scratch::default(), &mut |finding| {
        if *finding.rule.id == *rule {
            at.get_or_insert((finding.secret, finding.through == Through::Plain));
        }
    });
    said.unwrap();
    at
}

/// What a rule must find: its samples, and for those whose checksums no template draws, what is made here.
fn texts(rule: &Samples, seeds: Range<u64>) -> Vec<String> {
    let key = |kind: &str, seed: u64| {
        let bytes = draw("{b62:32}", seed).unwrap();
        bech32::encode::<bech32::Bech32>(bech32::Hrp::parse(kind).unwrap(), bytes.as_bytes()).unwrap()
    };
    let made = |seed: u64| match rule.rule.as_str() {
        "age-key" => vec![key("age-secret-key-", seed).to_uppercase()],
        "age-pq-key" => vec![key("age-secret-key-pq-", seed).to_uppercase()],
        "nostr-key" => vec![key("nsec", seed)],
        "extended-private-key" => vec![draw("xprv{b62:108}", seed).unwrap().replace(['0', 'O', 'I', 'l'], "w")],
        _ => rule.positive.iter().map(|template| draw(template, seed).unwrap()).collect(),
    };
    let texts: Vec<String> = seeds.flat_map(made).collect();
    assert!(!texts.is_empty(), "{}: no samples", rule.rule);
    texts
}

/// What is wrong with how the samples of each rule are held, however they are cut: of each rule, the first mistake.
fn mistakes(rules: &Rules, samples: &[Samples], seeds: Range<u64>) -> Vec<String> {
    let mut wrong = Vec::new();
    for rule in samples {
        let mistake = texts(rule, seeds.clone())
            .into_iter()
            .find_map(|text| cuts(&text).iter().find_map(|pieces| mistake(rules, &rule.rule, &text, pieces)));
        wrong.extend(mistake.map(|mistake| format!("{}: {mistake}", rule.rule)));
    }
    wrong
}

/// What is wrong with how one text is held.
fn mistake(rules: &Rules, rule: &str, text: &str, pieces: &[&str]) -> Option<String> {
    let (gone, found) = play(rules, pieces);
    if found.is_empty() {
        return Some(format!("not found in {pieces:?}"));
    }
    if found.iter().any(|(id, _)| id == EXHAUSTED) {
        return Some(format!("too much work in {pieces:?}"));
    }
    let secret = match secret_of(rules, rule, text) {
        Some(secret) => secret,
        None => match scanned(rules, rule, text) {
            Some((secret, true)) => secret,
            other => return Some(format!("only {other:?} in {pieces:?}")),
        },
    };
    let Some(prefix) = rules.prefix_of(rule, &text[secret.clone()]) else {
        return Some("it is not watched for".to_owned());
    };
    // A short first piece without letters leaves.
    let first = pieces.first().map_or(0, |first| if is_first(first) { first.len() } else { 0 });
    let may = (secret.start + prefix).max(first);
    let past = gone.len() > may;
    past.then(|| format!("{:?} left of {pieces:?}", &gone[secret.start..]))
}

fn none_of(wrong: &[String]) {
    assert!(wrong.is_empty(), "{} rules:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn of_every_shape_nothing_leaves_past_its_prefix() {
    let samples = samples();
    assert_eq!(samples.len(), 6);
    none_of(&mistakes(&shapes(), &samples, 0..4));
}

/// The rules in the program that look at answers, with their samples.
pub(super) fn watched(pii: bool) -> (Rules, Vec<Samples>) {
    let rules = Rules::load(true, &[], &Selection { pii, ..Selection::default() });
    let rules = rules.map_err(|wrong| format!("{wrong:?}")).unwrap();
    let kind = if pii { Kind::Pii } else { Kind::Secret };
    let is_watched = |samples: &Samples| {
        let rule = rules.iter().find(|rule| *rule.id == *samples.rule);
        rule.is_some_and(|rule| rule.kind == kind && rule.direction.covers(Direction::Response))
    };
    let mut samples: Vec<Samples> = Rules::builtin_samples().into_iter().filter(is_watched).collect();
    for rule in rules.iter().filter(|rule| rule.kind == kind && rule.direction.covers(Direction::Response)) {
        if samples.iter().all(|samples| samples.rule != *rule.id) {
            let (rule, file) = (rule.id.to_string(), String::new());
            samples.push(Samples { file, line: 0, rule, positive: Vec::new(), negative: Vec::new() });
        }
    }
    (rules, samples)
}

fn builtin() -> &'static (Rules, Vec<Samples>) {
    static RULES: std::sync::OnceLock<(Rules, Vec<Samples>)> = std::sync::OnceLock::new();
    RULES.get_or_init(|| watched(false))
}

#[test]
fn of_every_rule_nothing_leaves_past_its_prefix() {
    let (rules, samples) = watched(false);
    none_of(&mistakes(&rules, &samples, 0..3));
}

#[test]
fn of_every_rule_about_persons_nothing_leaves_past_its_prefix() {
    let (rules, samples) = watched(true);
    none_of(&mistakes(&rules, &samples, 0..3));
}

/// Beginnings of what many rules find, close together, and of words that are something else for a reader.
fn crowded(samples: &[Samples]) -> Vec<String> {
    let templates: Vec<&String> = samples.iter().flat_map(|samples| &samples.positive).collect();
    let crowd = |seed: usize| {
        let part = |number: usize| {
            let text = draw(templates[(seed * 131 + number * 977) % templates.len()], seed as u64).unwrap();
            let size = 8 + (seed * 7 + number * 5) % 60;
            let part: String = text.chars().take(size).collect();
            let end = ["", "\u{e9}", "\u{200b}", " ", "\u{430}7", "=\"", "\u{1b}[1;31;1;31;1;31;1;31;1;31;"]
                [(seed + number) % 7];
            part + end
        };
        (0..60).map(part).collect::<String>()
    };
    (0..200).map(crowd).collect()
}

#[test]
fn a_text_takes_little_memory_whatever_it_says() {
    let (rules, samples) = watched(false);
    let mut all = Stream::new();
    let mut largest = 0;
    let endless = [
        "x1",
        "password = 'a",
        "é\u{200b}",
        "-----BEGIN A PRIVATE KEY-----\nMII",
        "eyJ.a",
        "key token pass ",
        "-----BEGIN A PRIVATE KEY-----\nMII\u{200b}",
        "password = '\u{ff41}",
        "7\u{e9}_token=",
        "\u{430}1",
    ];
    let endless = endless.into_iter().map(|part| part.repeat(4096 / part.len()));
    let endless = endless.chain(crowded(&samples));
    for text in samples.iter().flat_map(|rule| texts(rule, 0..1)).chain(endless) {
        let mut one = Stream::new();
        for c in text.chars() {
            for stream in [&mut one, &mut all] {
                // What is refused takes no more than what is not.
                let _ = stream.push(&rules, c.encode_utf8(&mut [0; 4]), &|_| true, &mut |_| {});
                largest = largest.max(stream.size());
            }
        }
    }
    println!("at most {largest} bytes a text");
    assert!(largest <= MOST_STATE, "{largest}");
}

#[test]
fn what_finds_no_room_is_decided() {
    let (rules, _) = builtin();
    let live = rules.live().unwrap();
    // Alive: a key, which is refused where it cannot be told, and a value, which is not. Seen in two ways, the second.
    for (text, tells) in [
        ("-----BEGIN A PRIVATE KEY-----\nMII", true),
        ("password = 'ab", false),
        ("-----BEGIN A PRIVATE KEY-----\nMII\u{ff41}\u{430}b", true),
    ] {
        let mut stream = Stream::new();
        stream.push(rules, text, &|_| true, &mut |f| panic!("{}", f.rule.id)).unwrap();
        assert!(stream.open() < stream.pushed(), "{text:?} is held");
        let mut found = Vec::new();
        let found_one = &mut |f: StreamFinding<'_>| found.push((f.rule.id.to_string(), f.secret));
        let mut judge =
            Judge { rules, live, holds: &|_| true, found: found_one, told: Told::default(), free: 0, exhausted: false };
        let (before, room) = (stream.size(), size_of::<Stream>() + told::MOST_ROOM + stream.seen.kept.heap());
        stream.fit(&mut judge, before);
        assert_eq!(stream.size(), before, "there is room");
        let both = stream.stood.as_ref().map_or(0, |stood| size_of::<Follower>() + stood.kept.heap());
        stream.fit(&mut judge, room + both);
        assert!(stream.seen.candidates.is_empty() && stream.stood.iter().all(|stood| stood.candidates.is_empty()));
        assert_eq!(!found.is_empty(), tells, "{text:?}: {found:?}");
        assert!(
            found.iter().all(|(rule, secret)| rule == "private-key" && secret.end == text.len() as u64),
            "{found:?}"
        );
    }
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
        "def",
        "A",
    ] {
        let mut stream = Stream::new();
        stream.push(&rules, text, &|_| true, &mut |f| panic!("{}", f.rule.id)).unwrap();
        assert_eq!(stream.open(), stream.pushed(), "{text}");
    }
}

#[test]
fn a_short_number_leaves_at_the_very_beginning() {
    let (rules, _) = watched(true);
    for (piece, most) in
        [("12", 2), ("007", 3), ("0.5", 3), ("2024", 4), ("\n1.", 3), ("12345", 0), ("a1b2", 0), ("sk-a", 3)]
    {
        let mut stream = Stream::new();
        for (number, piece) in ["", piece, "3"].into_iter().enumerate() {
            // Any word may be the beginning of an address, and is held for that.
            stream.push(&rules, piece, &|rule| rule.kind == Kind::Secret, &mut |_| {}).unwrap();
            assert!(number == 0 || stream.open() == most, "{piece}: {}", stream.open());
        }
    }
    let mut stream = Stream::new();
    ["a ", "12"].iter().for_each(|piece| stream.push(&rules, piece, &|_| true, &mut |_| {}).unwrap());
    assert_eq!(stream.open(), 2, "not later");
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
    assert_eq!(of("suffix"), class(None, true, 0));
    assert_eq!(of("block"), class(Some(0), false, 10));
    assert_eq!(of("address"), class(Some(10), true, 0));
}

#[test]
fn words_in_other_languages_cost_little_more_than_english_ones() {
    // Where a word is seen as something else it is followed twice.
    const MOST: u64 = 160;
    let (rules, _) = builtin();
    for row in [
        "secret_clé_privée_à_protéger: false, token_créé_à_échéance: true,\n",
        "password = contraseña_del_año_1\n",
        "token_được_tạo = \"chưa_được_đặt_giá_trị\"\n",
        "self.contraseña_usuario = password_añadida_año_2024(token_sesión)\n",
        "mật_khẩu_password = tên_đăng_nhập_của_bạn;\n",
        "password = 7аеорсхAb_ ",
    ] {
        let text: Vec<char> = row.chars().cycle().take(1 << 16).collect();
        for size in [1, 4] {
            let mut stream = Stream::new();
            for piece in text.chunks(size) {
                let piece: String = piece.iter().collect();
                let said = stream.push(rules, &piece, &|_| true, &mut |_| {});
                assert!(said.is_ok(), "{row} in pieces of {size} after {}", stream.pushed());
            }
            let (each, again) = (stream.seen.work / stream.pushed(), stream.again);
            println!("{each} a byte, {again} of {} again: {row:?} in pieces of {size}", stream.pushed());
            assert!(each <= MOST && again <= stream.pushed(), "{each}, {again}: {row} in pieces of {size}");
        }
    }
}

#[test]
fn a_run_that_ended_is_not_read_from_its_middle() {
    let (rules, _) = builtin();
    let name = draw("see src/main/resources/static/assets/index-{b62:40}.css", 9).unwrap();
    let words = "and so it goes on with words that say nothing at all, one after the other. ".repeat(4);
    for size in 60..260 {
        let text = format!("{name} {} numéro_de_client_2 and more", &words[..size]);
        let mut stream = Stream::new();
        for c in text.chars() {
            let found = &mut |f: StreamFinding<'_>| panic!("{} after {size}", f.rule.id);
            stream.push(rules, c.encode_utf8(&mut [0; 4]), &|_| true, found).unwrap();
        }
    }
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
