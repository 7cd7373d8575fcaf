use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;
use crate::decode::tests::{all_runs, given, kept_runs, texts};
use crate::engine::{Engine, Hits};
use crate::scan::{Standing, is_sure};
use crate::{Rules, Selection, draw};

const MARKS: [&str; 6] = ["ghp_", "sk-", "akia", "xoxb-", "glpat-", "a1"];

/// Whether any run of a word may say something.
fn may_say(word: &[u8]) -> bool {
    word.split(|byte| !radix::is_symbol(*byte))
        .any(|run| run.len() >= radix::LEAST && (radix::may_say(run) || radix::is_packed(run)))
}

/// What each word says that looks like a token, if it has a mark or may be encoded; one word at a time.
fn slowly(text: &str) -> Vec<String> {
    let ends = |c: char| c.is_ascii() && ENDS.has(c as u8);
    let random = |run: &Range<usize>| {
        text[run.clone()].contains(|c: char| c.is_ascii_digit())
            && text[run.clone()].contains(|c: char| c.is_ascii_alphabetic())
    };
    let mut places: Vec<Range<usize>> = Vec::new();
    for run in all_runs(text).into_iter().filter(random) {
        let start = text[..run.start].rfind(ends).map_or(0, |at| at + 1);
        let end = text[run.end..].find(ends).map_or(text.len(), |at| run.end + at);
        if places.last() != Some(&(start..end)) {
            places.push(start..end);
        }
    }
    places.retain(|place| WORDS.contains(&place.len()));
    let read = |name: &str, word: &str| {
        let mut said = Vec::new();
        moved(word, &mut said);
        if name == "rot13" { String::from_utf8(said).unwrap() } else { word.chars().rev().collect() }
    };
    ["reversed", "rot13"]
        .into_iter()
        .flat_map(|name| {
            let said = places.iter().map(|place| (place, read(name, &text[place.clone()]))).filter(|(_, said)| {
                MARKS.iter().any(|mark| said.to_ascii_lowercase().contains(mark)) || may_say(said.as_bytes())
            });
            let (mut made, mut lines) = (String::new(), Vec::new());
            for (place, said) in said {
                lines.push((made.len(), place.clone()));
                made += &(said + APART);
            }
            (!made.is_empty()).then(|| format!("{:?}", Piece { text: &made, from: From::Words(&lines), name }))
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]
    /// All words together say what each says alone.
    #[test]
    fn no_disguised_word_is_passed_over(text in texts()) {
        let disguised = Disguised::new(MARKS.into_iter().map(|mark| (Keyword::any_case(mark), Vec::new())), Vec::new());
        let mut runs = kept_runs(&text);
        let given = given(|sink| crate::decode::each_hidden(&text, &mut runs, &disguised, sink));
        prop_assert_eq!(given, slowly(&text));
    }
}

/// What only an address with a password in it has.
const PASSWORD: &str = "://[^\\s:/@]{0,100}:([^\\s/]{3,200})@[a-z]";

/// Addresses as they stand and disguised, of which some have a password.
fn addresses() -> impl Strategy<Value = String> {
    let address = "[a-z]{3,5}://([a-z0-9]{3,9}(:[a-z0-9]{3,9})?@?)?[a-z]{2,20}(\\.[a-z]{2,3}){0,2}/[a-z0-9/]{0,40}";
    let word = (address, 0u8..3).prop_map(|(address, way)| {
        let mut said = Vec::new();
        match way {
            0 => return address,
            1 => reversed(&address, &mut said),
            _ => moved(&address, &mut said),
        }
        String::from_utf8(said).unwrap()
    });
    proptest::collection::vec(word, 1..5).prop_map(|words| words.join(" "))
}

proptest! {
    #[test]
    fn each_byte_of_ascii_is_there(written in "[a-eA-E0-9:/@]{0,9}|\\PC{0,40}", asked in proptest::collection::vec(any::<u128>(), 1..4)) {
        let mut said = b"\n".to_vec();
        WAYS.iter().for_each(|(read, _)| read(&written, &mut said));
        let all = said.iter().fold(0, |all, byte| all | bit(*byte));
        let mut there = There { written: written.as_bytes(), known: bit(b'\n'), absent: 0 };
        for needed in asked.into_iter().flat_map(|asked| [asked & all, asked, 1 << (asked & 127)]) {
            prop_assert_eq!(there.has(needed), needed & !all == 0);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]
    /// Of words without what an expression needs, it matches nothing.
    #[test]
    fn a_mark_without_what_it_needs_marks_nothing(text in addresses()) {
        let regex = crate::expression::any(&[PASSWORD.to_owned()]).unwrap().unwrap();
        let matches = |expressions: Vec<&str>| {
            let marked = |expression| Marked { expression, goes_on: false, begin: None };
            let marks = [(Keyword::any_case("://"), expressions.into_iter().map(marked).collect())];
            let disguised = Disguised::new(marks.into_iter(), Vec::new());
            let mut found = Vec::new();
            crate::decode::each_hidden(&text, &mut kept_runs(&text), &disguised, &mut |piece| {
                found.extend(regex.find_iter(piece.text).map(|found| piece.text[found.range()].to_owned()));
                Ok(())
            }).unwrap();
            found
        };
        prop_assert_eq!(matches(vec![PASSWORD]), matches(Vec::new()));
    }
}

fn rules() -> Rules {
    Rules::load(true, &[], &Selection::default()).unwrap()
}

static RULES: LazyLock<Engine> = LazyLock::new(|| rules().engine);

/// The same where every word is read that has a mark.
static OPEN: LazyLock<Engine> = LazyLock::new(|| rules().engine.open());

static TEMPLATES: LazyLock<Vec<String>> =
    LazyLock::new(|| Rules::builtin_samples().into_iter().flat_map(|samples| samples.positive).collect());

/// What is found in the words of a text as they are read.
fn found(text: &str, engine: &Engine) -> Vec<(String, String, &'static str)> {
    let mut hits = Hits::default();
    hits.begin(usize::MAX);
    let mut found = Vec::new();
    crate::decode::each_hidden(text, &mut kept_runs(text), engine.disguised(), &mut |piece| {
        engine.scan_sure(piece.text, &mut hits, &mut |hit| {
            if is_sure(piece.text, &hit) {
                found.push((
                    hit.rule.id.to_string(),
                    String::from_utf8_lossy(&piece.text.as_bytes()[hit.span.clone()]).into_owned(),
                    piece.name,
                ));
            }
            Standing::Open
        })
    })
    .unwrap();
    found
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    /// A word that is not read has nothing to be found.
    #[test]
    fn nothing_begins_in_a_word_that_is_not_read(
        pieces in proptest::collection::vec(
            (any::<prop::sample::Index>(), 0u64..500, 0u8..3, "(00|ts|ks|e_|é|x/|[a-f0-9]{0,9})", "[ \n,;/]"),
            1..6,
        ),
    ) {
        let mut text = String::new();
        for (template, seed, way, beside, between) in pieces {
            let template: &String = template.get(&TEMPLATES[..]);
            let drawn = draw(template, seed).unwrap_or_default();
            let mut said = Vec::new();
            match way {
                0 => reversed(&drawn, &mut said),
                1 => moved(&drawn, &mut said),
                _ => said.extend(drawn.bytes()),
            }
            text += &String::from_utf8(said).unwrap();
            text += &(beside + &between);
        }
        prop_assert_eq!(found(&text, &RULES), found(&text, &OPEN), "{}", text);
    }
}
