use proptest::prelude::*;

use super::*;
use crate::decode::tests::{all_runs, given, kept_runs, texts};

const MARKS: [&str; 6] = ["ghp_", "sk-", "akia", "xoxb-", "glpat-", "a1"];

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
    let ways: [(_, fn(&str) -> String); 2] = [
        ("reversed", |word| word.chars().rev().collect()),
        ("rot13", |word| {
            let mut said = Vec::new();
            moved(word, &mut said);
            String::from_utf8(said).unwrap()
        }),
    ];
    ways.into_iter()
        .flat_map(|(name, read)| {
            let said = places.iter().map(|place| (place, read(&text[place.clone()]))).filter(|(_, said)| {
                MARKS.iter().any(|mark| said.to_ascii_lowercase().contains(mark)) || radix::may_say(said.as_bytes())
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
        let disguised = Disguised::new(MARKS.into_iter().map(Keyword::any_case));
        let mut runs = kept_runs(&text);
        let given = given(|sink| crate::decode::each_hidden(&text, &mut runs, &disguised, sink));
        prop_assert_eq!(given, slowly(&text));
    }
}
