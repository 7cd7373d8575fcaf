//! Marks between letters hide no injection, and belong to the text of those who need them.

use std::fs;
use std::sync::LazyLock;

use proptest::prelude::*;
use proptest::sample::{Index, select};
use unicode_normalization::char::compose;

use super::{JUDGE, Judge, items, origin};
use crate::injection::marks;
use crate::scan::Origin;

/// Marks of many scripts.
const MARKS: &[char] = &[
    '\u{300}',
    '\u{336}',
    '\u{34f}',
    '\u{483}',
    '\u{489}',
    '\u{5b0}',
    '\u{5bf}',
    '\u{610}',
    '\u{640}',
    '\u{64b}',
    '\u{652}',
    '\u{65f}',
    '\u{670}',
    '\u{6d6}',
    '\u{711}',
    '\u{7a6}',
    '\u{7eb}',
    '\u{7fa}',
    '\u{8e4}',
    '\u{93c}',
    '\u{941}',
    '\u{94d}',
    '\u{951}',
    '\u{9cd}',
    '\u{e31}',
    '\u{e48}',
    '\u{eb4}',
    '\u{f71}',
    '\u{1039}',
    '\u{135d}',
    '\u{17b7}',
    '\u{180a}',
    '\u{1ab0}',
    '\u{1dc4}',
    '\u{20d2}',
    '\u{20dd}',
    '\u{2de0}',
    '\u{302a}',
    '\u{3099}',
    '\u{a66f}',
    '\u{fe20}',
    '\u{1d165}',
];

/// With a mark behind so many of a hundred letters.
fn marked(text: &str, marks: &[char], share: u32, seed: u32) -> String {
    let mut random = 0x9e37_79b9 ^ seed;
    let mut next = move || {
        random = random.wrapping_mul(0x0019_660d).wrapping_add(0x3c6e_f35f);
        random >> 8
    };
    let mut written = String::new();
    for c in text.chars() {
        written.push(c);
        if c.is_alphabetic() && next() % 100 < share {
            written.push(marks[next() as usize % marks.len()]);
        }
    }
    written
}

/// The injections of the crate's corpora that are found, and who speaks.
pub(super) static FOUND: LazyLock<Vec<(String, Origin)>> = LazyLock::new(|| {
    let mut judge = Judge::new();
    let files = [
        concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/corpus/injection.jsonl"),
        concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/firewall/corpus_dev.jsonl"),
    ];
    let all = files.iter().filter_map(|path| fs::read_to_string(path).ok()).flat_map(|corpus| items(&corpus));
    let of = |item: &serde_json::Value, name: &str| item[name].as_str().unwrap_or_default().to_owned();
    let injections = all.filter(|item| of(item, "label") == "injection");
    let texts = injections.map(|item| (of(&item, "text"), origin(&of(&item, "origin"))));
    texts.filter(|(text, by)| judge.score(text, *by) >= 50).collect()
});

/// Whether a mark changes letters of a text rather than standing on them for nothing.
fn changes(text: &str, mark: char) -> bool {
    let is_own = |c: char| c >= '\u{900}' && c.is_alphabetic() && u32::from(c) >> 7 == u32::from(mark) >> 7;
    text.chars().any(|c| is_own(c) || compose(c, mark).is_some_and(|_| c > '\u{3000}'))
}

/// Every mark at a few shares of the letters of every injection, since chance comes to few of them.
#[test]
fn no_mark_hides_an_injection() {
    let mut judge = Judge::new();
    for (text, by) in FOUND.iter() {
        let score = judge.score(text, *by);
        for mark in MARKS.iter().filter(|mark| !changes(text, **mark)) {
            for share in [3, 40, 100] {
                let marked = marked(text, &[*mark], share, 0);
                assert!(judge.score(&marked, *by) >= score, "{marked:?}");
            }
        }
    }
}

proptest! {
    /// Whatever marks stand between whatever letters, and whatever stands around them.
    #[test]
    fn marks_hide_no_injection(
        which: Index,
        marks in prop::collection::vec(select(MARKS), 1..4),
        share in 0u32..=100,
        seed: u32,
        around in ("[a-z ,]{0,400}[.\n] ", " [.\n][a-z ,]{0,400}"),
    ) {
        let (text, by) = which.get(&FOUND[..]);
        prop_assume!(!marks.iter().any(|mark| changes(text, *mark)));
        let mut judge = JUDGE.with(|judge| judge.take().unwrap_or_else(Judge::new));
        let text = format!("{}{text}{}", around.0, around.1);
        let marked = marked(&text, &marks, share, seed);
        let (score, _, span) = judge.of(&marked, *by);
        prop_assert!(score >= judge.score(&text, *by), "{:?}", &marked);
        prop_assert!(score == 0 || marked.get(span).is_some_and(|part| !part.is_empty()));
        JUDGE.with(|known| known.set(Some(judge)));
    }

    /// What is left is the text without them, and each part knows where it stood.
    #[test]
    fn only_marks_are_left_out(text in "([a-zé и中か\u{640}\u{64b}\u{301}\u{e31}\u{94d}\u{3099}कก1]|\\PC){0,60}") {
        if let Some(bare) = marks::without(&text) {
            prop_assert!(bare.text.len() < text.len());
            prop_assert!(marks::without(&bare.text).is_none());
            for (at, c) in bare.text.char_indices() {
                let source = bare.map.source(at..at + c.len_utf8());
                prop_assert_eq!(text.get(source), Some(&*c.to_string()));
            }
        }
    }
}

/// Whoever vocalises Arabic or Hebrew, or writes letters and accents apart, gives no orders by that.
#[test]
fn who_needs_marks_is_not_suspected() {
    let mut judge = Judge::new();
    for text in PROSE {
        let score = judge.score(text, Origin::Tool);
        assert_eq!(score, 0, "{text}");
        let longer = [*text; 20].join(" ");
        assert!(judge.score(&longer, Origin::Tool) < 50, "{text}");
    }
}

const PROSE: &[&str] = &[
    "كَانَ يَا مَا كَانَ فِي قَدِيمِ الزَّمَانِ، مَلِكٌ يَعِيشُ فِي قَصْرٍ كَبِيرٍ مَعَ ابْنَتِهِ الوَحِيدَةِ.",
    "الْقِرَاءَةُ غِذَاءُ الْعَقْلِ، وَمَنْ قَرَأَ كَثِيرًا عَرَفَ كَثِيرًا، وَهٰذَا أَمْرٌ مَعْرُوفٌ عِنْدَ النَّاسِ جَمِيعًا.",
    "ذَهَبَ الطِّفْلُ إِلَى الْمَدْرَسَةِ صَبَاحًا، وَقَالَ الْمُعَلِّمُ: اِفْتَحُوا الْكِتَابَ عَلَى الصَّفْحَةِ الثَّانِيَةِ.",
    "أهـــلًا وسهـــلًا بكم في متجرنا الجديــد، نتمنى لكم يومًا سعيدًا.",
    "בַּבֹּקֶר הָלַךְ הַיֶּלֶד אֶל בֵּית הַסֵּפֶר, וּבַדֶּרֶךְ פָּגַשׁ אֶת חֲבֵרוֹ הַטּוֹב.",
    "הָיֹה הָיְתָה פַּעַם מַלְכָּה זְקֵנָה שֶׁגָּרָה בְּאַרְמוֹן גָּדוֹל עַל שְׂפַת הַיָּם.",
    "L’e\u{301}te\u{301} dernier, nous avons visite\u{301} une e\u{301}glise tre\u{300}s ancienne pre\u{300}s de la rivie\u{300}re.",
    "Пе\u{301}рвый за\u{301}мок стоя\u{301}л на горе\u{301}, а на двери\u{301} висе\u{301}л замо\u{301}к.",
];
