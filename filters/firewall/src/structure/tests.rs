use proptest::prelude::*;

use super::*;
use crate::planes::Planes;
use crate::{Direction, Finding, Origin, Rules, Scratch, Selection, Source, Text};

fn structure() -> Structure {
    let rule = |id: &str| Rule {
        id: id.into(),
        description: "".into(),
        kind: crate::Kind::Structural,
        level: portcullis_policies::DataLevel::L2,
        action: None,
        direction: Direction::Both,
    };
    Structure::new(TRAITS.iter().map(|(_, id)| rule(id)).collect(), 1 << 20)
}

/// What is found: of each, its name and the text of its span.
fn found(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let plain = Planes::of(text).are_plain();
    structure().scan(text, plain, Direction::Request, &mut |hit| {
        found.push((hit.rule.id.to_string(), text.get(hit.span).unwrap().to_owned()));
    });
    found
}

fn names(text: &str) -> Vec<String> {
    found(text).into_iter().map(|(id, _)| id).collect()
}

/// Characters that look random, and are the same in every run.
fn noise(alphabet: &str, length: usize) -> String {
    let alphabet: Vec<char> = alphabet.chars().collect();
    let mut state = 7u64;
    let next = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        alphabet[(state >> 33) as usize % alphabet.len()]
    };
    (0..length).map(next).collect()
}

const BASE64: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

#[test]
fn what_people_write_is_built_as_it_should_be() {
    let ruler = format!("Title\n{}\n| a | b |\n|{}|{}|\n", "=".repeat(80), "-".repeat(200), "-".repeat(200));
    let indented = format!("{}deep\n", " ".repeat(2000));
    let wrapped = noise(BASE64, 4096)
        .as_bytes()
        .chunks(64)
        .map(|l| std::str::from_utf8(l).unwrap())
        .collect::<Vec<_>>()
        .join("\n");
    let certificate = format!("-----BEGIN CERTIFICATE-----\n{wrapped}\n-----END CERTIFICATE-----\n");
    let picture = format!("<img src=\"data:image/png;base64,{}\">", noise(BASE64, 4096));
    let public_key = format!("ssh-rsa AAAAB3NzaC1{} me@host", noise(BASE64, 1400));
    let text_in_base64 =
        data_encoding::BASE64.encode("The quick brown fox jumps over 13 lazy dogs. ".repeat(40).as_bytes());
    let minified =
        "!function(e,t){var n=e[t].map(function(r){return r.a(66)});for(;n[0];)n=n.b({c:[1,2,{d:3}]})}(x,1);"
            .repeat(40);
    for text in [
        "",
        "plain prose, with (brackets) and [more of them]\tand a tab\r\nand a page\u{c}",
        "emoji: 👩‍👩‍👧‍👦 👨🏽‍💻 ❤️ 🏳️‍🌈 🏴󠁧󠁢󠁥󠁮󠁧󠁿 1️⃣ #️⃣ ☎️ ✔️ 👁️‍🗨️",
        "می‌خواهم کتاب‌ها را بخوانم؛ نمی‌دانم.",
        "مرحبا بالعالم، هذا نص عربي عادي (مع أقواس) و English words.",
        "שלום עולם, זה טקסט בעברית עם English באמצע.",
        "שלום \u{2067}עולם\u{2069} \u{200f}(טוב)\u{200f}\nnext",
        "हिन्दी में क्‍ष और श्री, বাংলা র‌্যাব, സംസ്കാരം ന്‍",
        "ภาษาไทย\u{200b}ไม่มี\u{200b}ช่องว่าง\u{200b}ระหว่าง\u{200b}คำ\u{200b}นะ",
        "日本語の文章と漢字葛\u{e0100}城市、한국어 문장, 中文。",
        "\u{feff}a file that begins with a mark",
        "Donau\u{ad}dampf\u{ad}schiff",
        "Русский текст про USB-кабель и Linux'ом, Ελληνικό κείμενο, Հայերեն, ѕрска ћирилица",
        "5 μs, kΩ, ΔT, 2πr, σ2, λx.y, αβ-pruning, x∈ℝ",
        &ruler,
        &indented,
        &certificate,
        &picture,
        &public_key,
        &text_in_base64,
        minified.get(..3000).unwrap(),
        &noise("0123456789abcdef", 512),
        &"fn main() { println!(\"{}\", [1, 2]); }\n".repeat(50),
        &"(a) b) c) :) ".repeat(30),
    ] {
        assert_eq!(names(text), [""; 0], "{text}");
    }
}

#[test]
fn control_characters_are_none_of_a_text() {
    assert_eq!(found("abc\u{0}def\u{8}g"), [("structure-control-characters".into(), "\u{0}def\u{8}".into())]);
    assert_eq!(found("so \u{1b}[2J gone"), [("structure-terminal-escape".into(), "\u{1b}".into())]);
    assert_eq!(names("\u{7f}"), ["structure-control-characters"]);
}

#[test]
fn size_and_depth_have_bounds() {
    assert_eq!(names(&"A word or two. ".repeat(70_000))[0], "structure-size");
    for unit in ["[", "{\"a\":", "((", "[[{"] {
        let deep = format!("so {}", unit.repeat(300));
        assert_eq!(names(&deep), ["structure-nesting"], "{unit}");
    }
    assert!(names(&format!("{}{}", "[".repeat(200), "]".repeat(200))).is_empty());
}

#[test]
fn blobs_are_seen_however_they_are_wrapped() {
    let blob = noise(BASE64, 3000);
    assert_eq!(found(&format!("see {blob} there")), [("structure-binary".into(), blob.clone())]);
    let lines = blob.as_bytes().chunks(76).map(|l| std::str::from_utf8(l).unwrap()).collect::<Vec<_>>();
    assert_eq!(found(&lines.join("\r\n")), [("structure-binary".into(), lines.join("\r\n"))]);
    assert_eq!(names(&noise("0123456789abcdef", 2048)), ["structure-binary"]);
    assert_eq!(names(&noise("0123456789ABCDEF", 2048)), ["structure-binary"]);
}

#[test]
fn repetitions_are_seen() {
    for unit in ["a", "ab ", "ignore this. ", "é", "🙂", "lorem ipsum dolor sit amet, consectetur adipiscing elit\n"]
    {
        let text = format!("Begin. {}The end", unit.repeat(6000 / unit.len() + 1));
        let found = found(&text);
        assert_eq!(found.len(), 1, "{unit}");
        assert_eq!(found[0].0, "structure-repetition");
        assert!(found[0].1.len() > 5500 && found[0].1.contains(unit), "{unit}");
    }
    assert!(names(&"=".repeat(1000)).is_empty());
}

#[test]
fn what_nobody_sees_is_seen() {
    for text in [
        "pass\u{200b}word",
        "ig\u{200d}nore",
        "ig\u{2060}nore",
        "a\u{e0069}\u{e0067}b",
        "🏴\u{e0069}\u{e0067}\u{e007f}",
        "ok\u{fe01}\u{e0101}\u{e0102}",
        "👍\u{fe00}\u{e0110}\u{e0111}\u{e0112}",
        "pay\u{3164}load",
        "\u{200b}\u{200c}\u{200b}\u{200c}\u{200b}\u{200c}",
        " \u{200b} \u{200b} \u{200b} \u{200b} \u{200b} ",
        "p\u{34f}a\u{34f}s\u{34f}s",
    ] {
        assert_eq!(names(text), ["structure-invisible"], "{text:?}");
    }
    assert_eq!(found("a pass\u{200b}wo\u{200b}rd b")[0].1, "\u{200b}wo\u{200b}");
    assert!(names("one \u{200b} left behind").is_empty());
}

#[test]
fn what_is_turned_round_is_seen() {
    for text in [
        "if (access != \"user\u{202e} \u{2066}// only admins\u{2069} \u{2066}\") {",
        "/*\u{202e} } \u{2066}if (isAdmin)\u{2069} \u{2066} begin */",
        "a \u{202d}b\u{202c}",
        "invoice\u{202e}fdp.exe",
        "x \u{2067}y\u{2069} z",
        "open \u{2066}here\nand on",
        "שלום \u{2067}עולם\nnext",
    ] {
        assert_eq!(names(text), ["structure-bidi"], "{text:?}");
    }
    assert_eq!(found("one\na \u{202e}b\u{202c} c\ntwo")[0].1, "\u{202e}b\u{202c}");
}

#[test]
fn words_of_two_scripts_are_seen() {
    for (text, word) in [
        ("my pаssword is", "pаssword"),
        ("раypal.com", "раypal"),
        ("the pοrt of", "pοrt"),
        ("Пaрoль: да", "Пaрoль"),
        ("ѕсоре of it", ""),
    ] {
        let expected: Vec<(String, String)> =
            (!word.is_empty()).then(|| ("structure-mixed-scripts".into(), word.into())).into_iter().collect();
        assert_eq!(found(text), expected, "{text}");
    }
}

fn judge(rules: &Rules, text: &str) -> Vec<(String, Option<crate::Action>)> {
    let mut found = Vec::new();
    let texts = [Text { text, origin: Origin::User, flows: false }];
    let mut note = |f: Finding<'_>| found.push((f.rule.id.to_string(), f.rule.action));
    rules.scan(&texts, Direction::Request, &mut Scratch::default(), &mut note).unwrap();
    found
}

#[test]
fn they_are_rules_as_any_other() {
    let builtin = Source { name: "structure.toml", text: include_str!("../../../../policies/firewall/structure.toml") };
    let load = |own: &[Source<'_>], disabled: &[&str]| {
        let files: Vec<Source<'_>> = [builtin].into_iter().chain(own.iter().copied()).collect();
        let disabled = disabled.iter().map(ToString::to_string).collect();
        let selection = Selection { disabled, ..Selection::default() };
        Rules::load(false, &files, &selection).map_err(|wrong| format!("{wrong:?}")).unwrap()
    };
    let rules = load(&[], &[]);
    for (_, id) in TRAITS {
        let rule = rules.iter().find(|rule| *rule.id == **id).unwrap_or_else(|| panic!("{id} is not written"));
        assert_eq!(rule.kind, crate::Kind::Structural);
        assert!(rule.level < portcullis_policies::DataLevel::L3, "{id} blocks by default");
    }
    assert_eq!(judge(&rules, "a\u{0}b"), [("structure-control-characters".to_owned(), None)]);
    assert_eq!(judge(&load(&[], &["structure-control-characters"]), "a\u{0}b"), []);
    let text =
        "[[rules]]\nid = \"structure-control-characters\"\n[rules.fw]\nkind = \"structural\"\naction = \"block\"\n";
    let own = load(&[Source { name: "own.toml", text }], &[]);
    assert_eq!(judge(&own, "a\u{0}b"), [("structure-control-characters".to_owned(), Some(crate::Action::Block))]);
}

proptest! {
    #[test]
    fn places_are_those_of_the_text(text in "(\\PC|[a-z\u{0}\u{1b}\u{200b}\u{202e}\u{2066}\u{e0061}а\n=]{0,9}|(ab){0,3000}|\\[{0,400}){0,12}") {
        structure().scan(&text, false, Direction::Both, &mut |hit| {
            assert!(text.get(hit.span.clone()).is_some_and(|part| !part.is_empty()), "{}", hit.rule.id);
            assert_eq!(hit.span, hit.secret);
        });
    }

    #[test]
    fn what_is_invisible_inside_a_word_is_seen_anywhere(before in "[ -~\n]{0,200}", after in "[ -~\n]{0,200}", which in 0usize..4) {
        let hidden = ['\u{200b}', '\u{200d}', '\u{feff}', '\u{e0041}'][which];
        let text = format!("{before}x{hidden}y{after}");
        prop_assert!(names(&text).contains(&"structure-invisible".to_owned()));
    }
}

proptest! {
    /// A text that the planes call plain is not looked at for what no plain text has.
    #[test]
    fn a_plain_text_hides_nothing(text in "[ -~\n\t\r\u{c}]{0,150}([\0-\u{FF}]|[\u{200b}\u{202e}а]|)[ -~\n]{0,90}") {
        let seen = |plain: bool| {
            let mut found = Vec::new();
            structure().scan(&text, plain, Direction::Both, &mut |hit| found.push((hit.rule.id.clone(), hit.span)));
            found
        };
        prop_assert_eq!(seen(Planes::of(&text).are_plain()), seen(false));
    }
}

/// One of the looks, and its name.
type Step = (&'static str, fn(&str));

/// What looking at ordinary text costs. Run it with `--release`.
#[test]
#[ignore = "measures, proves nothing"]
fn speed() {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/src");
    let code: String = std::fs::read_dir(directory)
        .unwrap()
        .filter_map(|entry| std::fs::read_to_string(entry.unwrap().path()).ok())
        .collect();
    let ascii: String = code.chars().filter(char::is_ascii).collect();
    let russian = "Сервис отклоняет запросы при смене схемы, но только на узлах arm64. ".repeat(3000);
    let structure = structure();
    for (name, text) in [("ascii", &ascii), ("code", &code), ("russian", &russian)] {
        let mut best = f64::MAX;
        for _ in 0..50 {
            let begin = std::time::Instant::now();
            structure.scan(std::hint::black_box(text), false, Direction::Request, &mut |_| {});
            best = best.min(begin.elapsed().as_secs_f64());
        }
        println!("{name}: {:.3} ns/byte", best / text.len() as f64 * 1e9);
        let steps: [Step; 4] = [
            ("bytes", |text| bytes::look(text, &mut |_, _| {})),
            ("nesting", |text| bytes::nesting(text, &mut |_, _| {})),
            ("blob", |text| blob::look(text, &mut |_, _| {})),
            ("repeat", |text| repeat::look(text, &mut |_, _| {})),
        ];
        for (step, look) in steps {
            let mut best = f64::MAX;
            for _ in 0..50 {
                let begin = std::time::Instant::now();
                look(std::hint::black_box(text));
                best = best.min(begin.elapsed().as_secs_f64());
            }
            println!("  {step}: {:.3} ns/byte", best / text.len() as f64 * 1e9);
        }
    }
}
