//! That the cheap look for reasons finds what folding the whole text finds.

use std::ops::Range;
use std::sync::LazyLock;

use proptest::prelude::*;
use proptest::sample::select;

use super::{JUDGE, Judge};
use crate::injection::fold::Folded;
use crate::injection::lexicon::{Found, Special};
use crate::injection::windows::{Foreign, Windows};
use crate::injection::{link, marks, place, windows};

/// Every cue of the lexicon of which there is one in every sign.
static MARKED: LazyLock<Vec<String>> = LazyLock::new(|| {
    let lexicon: toml::Table = toml::from_str(include_str!("../../../../../policies/firewall/injection.toml")).unwrap();
    let written = lexicon["cues"].as_table().unwrap().values().flat_map(|cue| cue.as_table().unwrap().values());
    let cues = written.flat_map(|written| written.as_str().unwrap().split([',', '\n'])).map(str::trim);
    let marked =
        cues.filter(|cue| cue.starts_with('!')).map(|cue| cue.trim_start_matches(['!', '^']).trim_matches('*'));
    marked.map(|cue| cue.replace('，', ",")).collect()
});

/// What may stand between two words.
const SPACES: &[&str] = &[
    "\n", "-", "\t", "\r\n", "  ", "   ", "\n ", " \n", "\n\n", "\n  ", "\n\t", " \t", " - ", "--", "-\n", "\r\n\t- ",
];

/// How a cue may be written: as it is, loud, with accents, twice, in part, with other space between its words.
fn cue() -> impl Strategy<Value = String> {
    let space = select(SPACES);
    (select(&MARKED[..]), 0u8..16, any::<u64>(), space).prop_map(|(cue, way, random, space)| match way {
        0 => cue.to_uppercase(),
        1 | 2 => {
            cue.chars().enumerate().map(|(at, c)| if random >> (at % 64) & 1 == 0 { c } else { accented(c) }).collect()
        }
        3 => format!("{cue}{cue}"),
        4 => cue.chars().skip(1).collect(),
        5 => cue.chars().take(cue.chars().count() - 1).collect(),
        6 => cue.replacen(' ', "", 1),
        7..=11 => cue.replace(' ', space),
        _ => cue,
    })
}

/// A text with all its accents.
pub(super) fn with_accents(text: &str) -> String {
    text.chars().map(accented).collect()
}

fn accented(c: char) -> char {
    match c {
        'a' => 'á',
        'e' => 'È',
        'i' => 'ï',
        'o' => 'ồ',
        'u' => 'ű',
        'n' => 'ñ',
        's' => 'ș',
        c => c,
    }
}

fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => cue(),
        4 => "[a-z]{1,9}( [a-z]{1,9}){0,12}",
        1 => "[a-z ]{0,90}[éµβ中文]{1,3}[a-z]{0,4}",
        1 => select(&["![a](https://a.example/", "]: http://a.example/?q={chat}", "<img src=//a/?q=CHAT_SUMMARY>", "{{", "?"][..])
            .prop_map(str::to_owned),
        1 => ".{0,9}",
        1 => "[a-z ]{0,90}[a-zа-я][\u{640}\u{64b}\u{e31}]{1,3}[a-z]{0,4}",
    ]
}

fn text() -> impl Strategy<Value = String> {
    let gap = select(&[" ", " ", ". ", "\n", ", ", ""][..]);
    prop::collection::vec((piece(), gap), 0..24)
        .prop_map(|parts| parts.into_iter().flat_map(|(p, gap)| [p, gap.to_owned()]).collect())
}

/// Every reason there is, by looking everywhere.
fn everywhere(judge: &Judge, text: &str) -> Windows {
    let mut reasons = Windows::default();
    let mut folded = Folded::default();
    folded.fold(text, 0..text.len());
    let lexicon = &judge.injection.lexicon;
    let accented = |at: &Range<usize>| folded.is_accented(text, at);
    lexicon.each_accented(folded.bytes(), &mut Found::default(), &accented, &mut |known, at| {
        let place = folded.place(at);
        if known.special != Some(Special::Line) || place::begins_line(text, place) {
            reasons.add(place, text.len());
        }
    });
    let small = text.to_ascii_lowercase();
    for begin in link::BEGINNINGS {
        for (at, _) in small.match_indices(begin).filter(|(at, _)| link::carries(text, *at).is_some()) {
            reasons.add(at, text.len());
        }
    }
    windows::foreign(text, &mut |at, kind| {
        if kind == Foreign::Script {
            reasons.add(at.start, text.len());
        }
    });
    reasons.settle();
    reasons
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn no_reason_is_missed(text in text()) {
        let mut judge = JUDGE.with(|judge| judge.take().unwrap_or_else(Judge::new));
        prop_assert_eq!(missed(&mut judge, &text), None, "{}", text);
        JUDGE.with(|known| known.set(Some(judge)));
    }

    /// Where all of a text is ASCII, nothing else is looked at closer, either.
    #[test]
    fn no_other_reason_is_seen_in_ascii(text in text()) {
        let text: String = text.chars().filter(char::is_ascii).collect();
        let mut judge = JUDGE.with(|judge| judge.take().unwrap_or_else(Judge::new));
        judge.of(&text, super::Origin::User);
        let found: Vec<_> = judge.scratch.windows.iter().collect();
        prop_assert_eq!(found, everywhere(&judge, &text).iter().collect::<Vec<_>>(), "{}", text);
        JUDGE.with(|known| known.set(Some(judge)));
    }
}

/// Every cue with every kind of space, since chance comes to few of them.
#[test]
fn no_cue_is_missed_by_its_spaces() {
    let mut judge = Judge::new();
    for cue in MARKED.iter().filter(|cue| cue.contains(' ')) {
        for space in SPACES {
            let text = cue.replace(' ', space);
            assert_eq!(missed(&mut judge, &text), None, "{text:?}");
        }
    }
}

#[test]
fn no_reason_is_missed_behind_another_alphabet() {
    let text = format!("中文 {}dikkáte alma {}", "a ".repeat(40), "b ".repeat(220));
    assert_eq!(missed(&mut Judge::new(), &text), None);
}

/// A reason that the cheap look does not see.
fn missed(judge: &mut Judge, text: &str) -> Option<Range<usize>> {
    judge.of(text, super::Origin::User);
    let bare = marks::without(text);
    let text = bare.as_ref().map_or(text, |bare| &bare.text);
    let found: Vec<_> = judge.scratch.windows.iter().collect();
    let seen =
        |reason: &Range<usize>| found.iter().any(|window| window.start <= reason.start && reason.end <= window.end);
    everywhere(judge, text).iter().find(|reason| !seen(reason))
}
