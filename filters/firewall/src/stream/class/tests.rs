//! Whatever matches begins with one of the words that are watched for.

use proptest::prelude::*;

use super::super::automaton::{Automaton, Sides};
use super::super::live::LiveRule;
use super::*;
use crate::rules::Rules;
use crate::{Selection, draw};

/// The rules in the program, and the templates of each that such words are watched for.
type Known = (Rules, Vec<(usize, Vec<String>)>);

fn rules() -> &'static Known {
    static RULES: std::sync::OnceLock<Known> = std::sync::OnceLock::new();
    RULES.get_or_init(|| {
        let rules = Rules::load(true, &[], &Selection::default()).map_err(|wrong| format!("{wrong:?}")).unwrap();
        let samples = Rules::builtin_samples();
        let templates = |rule: &LiveRule| {
            let id = &rules.engine.rules()[rule.number].rule.id;
            let own = samples.iter().find(|samples| *samples.rule == **id);
            own.map(|own| own.positive.clone()).unwrap_or_default()
        };
        let known = rules.live().unwrap().rules().iter().enumerate();
        let known = known.filter(|(_, rule)| !leads(&rule.automaton).is_empty());
        let known = known.map(|(place, rule)| (place, templates(rule))).filter(|(_, own)| !own.is_empty()).collect();
        (rules, known)
    })
}

/// Whether something matches that begins here.
fn matches_at(automaton: &Automaton, text: &[u8], from: usize) -> bool {
    let mut threads = Vec::new();
    for at in from..text.len() {
        let before = at.checked_sub(1).map(|at| text[at]);
        let start = (at == from).then_some(0);
        let sides = Sides { before, after: Some(text[at]) };
        if automaton.step(&mut threads, start, (at - from) as u32, sides, &mut 0).is_some() {
            return true;
        }
    }
    automaton.finish(&mut threads, (text.len() - from) as u32, text.last().copied(), &mut 0).is_some()
}

#[test]
fn many_rules_have_such_words() {
    assert!(rules().1.len() > 60, "{}", rules().1.len());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Texts that almost are what a rule finds: letters of another case, other letters, some too many or too few.
    #[test]
    fn all_that_matches_begins_with_one_of_them(
        which in any::<prop::sample::Index>(), template in any::<prop::sample::Index>(), seed in any::<u64>(),
        changes in prop::collection::vec((0usize..5, 0usize..12, "[ -~]"), 0..4),
    ) {
        let (rules, known) = rules();
        let (place, templates) = which.get(known);
        let rule = &rules.live().unwrap().rules()[*place];
        let mut text = draw(template.get::<String>(templates), seed).unwrap();
        let leads = leads(&rule.automaton);
        let lead = leads.iter().filter_map(|lead| text.to_ascii_lowercase().find(lead.as_str())).min().unwrap_or(0);
        for (change, at, with) in changes {
            let at = lead + at;
            if !(text.is_char_boundary(at) && text.is_char_boundary(at + 1)) || at >= text.len() {
                continue;
            }
            match change {
                0 => text.replace_range(at..=at, &with),
                1 => text.replace_range(at..=at, ""),
                2 => text.insert_str(at, &with),
                3 => text.replace_range(at..=at, &text[at..=at].to_ascii_uppercase()),
                _ => text.replace_range(at..=at, &text[at..=at].to_ascii_lowercase()),
            }
        }
        for from in 0..text.len() {
            let lower = text.as_bytes()[from..].to_ascii_lowercase();
            if !leads.iter().any(|lead| lower.starts_with(lead.as_bytes())) {
                prop_assert!(!matches_at(&rule.automaton, text.as_bytes(), from), "{:?} from {from}: {leads:?}", text);
            }
        }
    }
}
