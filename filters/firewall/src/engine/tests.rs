//! Rules whose keyword is a letter over and over: where a run of it goes on, nothing of theirs begins.

use proptest::prelude::*;

use super::*;
use crate::budget::Budget;
use crate::{Rules, Selection, Source, draw};

const BEARER: &str = "twitter-bearer-token";

/// Some whose keyword only counts at the edge of a word, and others with the same letters.
const WRITTEN: &str = r"
[[rules]]
id = 'edge'
regex = '\b(A{8}[A-Za-z0-9]{8})'
keywords = ['aaaaaaaa']
[[rules]]
id = 'edge-any-case'
regex = '(?i)\b(a{6}[a-y0-9]{6})'
keywords = ['aaaaaa']
[[rules]]
id = 'edge-longer'
regex = '\b(A{8}B3[a-z]{4})'
keywords = ['b3']
[[rules]]
id = 'anywhere'
regex = '(A{9}[x-z]{4})'
keywords = ['aaaaaaaaa']
[[rules]]
id = 'anywhere-small'
regex = '(a{7}[x-z]{4})'
keywords = ['aaaaaaa']
[[rules]]
id = 'key'
regex = '(A{4}B3[a-z]{4})'
keywords = ['aaaab3']
[[rules]]
id = 'behind'
regex = '(?:^|[^A-Z])(A{5}[0-9]{5})'
keywords = ['aaaaa']
";

fn rules() -> Rules {
    Rules::load(false, &[Source { name: "runs.toml", text: WRITTEN }], &Selection::default()).unwrap()
}

#[test]
fn a_run_is_found_behind_every_edge() {
    let rules = Rules::load(true, &[], &Selection::default()).unwrap();
    let samples = Rules::builtin_samples().into_iter().find(|samples| samples.rule == BEARER).unwrap();
    let sample = draw(&samples.positive[0], 7).unwrap();
    let token = &sample[sample.find("AAAA").unwrap()..];
    let mut hits = Hits::default();
    let mut finds = |text: &str| rules.engine.finds(BEARER, text, &mut hits).unwrap();
    // Another `A` belongs to the run.
    let is_edge = |before: char| before == 'A' || !(before.is_ascii_alphanumeric() || before == '_');
    for more in ["", "A", "AAA", "AAAAAAAAA"] {
        assert!(finds(&format!("{more}{token}")), "at the beginning, behind {more}");
        for before in (0..128).map(char::from).chain("é√😀\u{FEFF}".chars()) {
            for far in [0, 1, 500, 505, 508, 509, 600] {
                let text = format!("{}{before}{more}{token}", " ".repeat(far));
                assert_eq!(finds(&text), is_edge(before), "behind {before:?} and {more} at {far}");
            }
        }
    }
}

#[test]
fn only_what_begins_a_run_is_asked_about() {
    let rules = Rules::load(true, &[], &Selection::default()).unwrap();
    for run in ["A".repeat(4000), format!("{}\n", "A".repeat(76)).repeat(50)] {
        let mut count = 0;
        rules.engine.hits(&run, &mut count);
        assert_eq!(count, run.lines().count());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]
    #[test]
    fn as_much_is_found_as_at_every_place(
        parts in prop::collection::vec(prop_oneof![
            2 => "A{1,30}",
            1 => "a{1,30}|[aA]{1,20}|A{400,600}",
            2 => "[x-z]{4}|B3[a-z]{4}|[0-9]{5}|[a-z0-9]{8}",
            1 => "[ -~\n]{0,4}|é",
        ], 0..12),
    ) {
        let rules = rules();
        let text = parts.concat();
        let (mut fast, mut hits) = (Vec::new(), Hits::default());
        hits.begin(usize::MAX);
        rules.engine.scan(&text, &mut hits, &mut |hit| {
            fast.push((hit.rule.id.to_string(), hit.span));
            Standing::Open
        }).unwrap();
        fast.sort_by_key(|(id, span)| (id.clone(), span.start));
        let mut slow = Vec::new();
        for rule in rules.engine.rules() {
            let (mut cache, mut budget) = (rule.cache(), Budget::patient());
            let mut looking = rule.looking(&text, None, &mut cache, &mut budget);
            let mut done = 0;
            for begin in 0..text.len() {
                if begin >= done && let Some(hit) = looking.at(begin).unwrap() {
                    done = hit.span.end;
                    slow.push((rule.rule.id.to_string(), hit.span));
                }
            }
        }
        slow.sort_by_key(|(id, span)| (id.clone(), span.start));
        prop_assert_eq!(fast, slow, "{:?}", &text);
    }
}
