//! What an operator knows to be harmless: gitleaks' allow lists.

use aho_corasick::AhoCorasick;
use regex_automata::meta::Regex;

use crate::budget::Budget;
use crate::check::{Candidate, part};
use crate::document::{Condition, Target, WrittenAllow};
use crate::expression;
use crate::scan::Exhausted;

/// How far to each side of a match its line is looked at.
const LINE: usize = 2 << 10;

/// What an expression costs, in units of the [`Budget`].
const LOOK: usize = 100;

/// An allow list, ready to be asked.
pub(crate) struct Allow {
    /// Whether all of what it says must hold, not any.
    all: bool,
    target: Target,
    regexes: Option<Regex>,
    stopwords: Option<AhoCorasick>,
    paths: Option<Regex>,
}

impl Allow {
    /// Of what is written. `None` where it says nothing that is known of a text: commits.
    pub(crate) fn new(written: &WrittenAllow) -> Result<Option<Self>, String> {
        let regexes = expression::any(&written.regexes).map_err(|reason| format!("its allow list's {reason}"))?;
        let paths = expression::any(&written.paths).map_err(|reason| format!("its allow list's path {reason}"))?;
        let stopwords = match &written.stopwords[..] {
            [] => None,
            words => {
                let built = AhoCorasick::builder().ascii_case_insensitive(true).build(words);
                Some(built.map_err(|error| format!("its stop words: {error}"))?)
            }
        };
        // One that also asks for a commit allows nothing here: texts have none.
        let all = written.condition == Condition::And;
        let silent = regexes.is_none() && paths.is_none() && stopwords.is_none();
        if silent || (all && !written.commits.is_empty()) {
            return Ok(None);
        }
        Ok(Some(Self { all, target: written.regex_target, regexes, stopwords, paths }))
    }

    /// Whether a candidate is harmless. `before` is what the match would begin with, had its
    /// expression not been made shorter.
    pub(crate) fn allows(
        &self,
        candidate: &Candidate<'_>,
        before: usize,
        path: Option<&str>,
        budget: &mut Budget,
    ) -> Result<bool, Exhausted> {
        let text = candidate.text;
        let end = candidate.start + candidate.matched.len();
        let about = match self.target {
            Target::Secret => candidate.secret,
            Target::Match => part(text, candidate.start.saturating_sub(before)..end),
            Target::Line => line(text, candidate.start, end),
        };
        budget.spend(LOOK + 2 * about.len() + 2 * candidate.secret.len())?;
        let answers = [
            self.paths.as_ref().map(|paths| path.is_some_and(|path| paths.is_match(path))),
            self.regexes.as_ref().map(|regexes| regexes.is_match(about)),
            self.stopwords.as_ref().map(|words| words.is_match(candidate.secret)),
        ];
        let mut answers = answers.into_iter().flatten();
        Ok(if self.all { answers.all(|yes| yes) } else { answers.any(|yes| yes) })
    }
}

/// The lines on which a match stands, as far as they are near.
fn line(text: &str, start: usize, end: usize) -> &str {
    let near = |at: usize| (0..4).find_map(|more| text.is_char_boundary(at + more).then_some(at + more)).unwrap_or(at);
    let first = near(start.saturating_sub(LINE));
    let last = near(end.saturating_add(LINE).min(text.len())).min(text.len());
    let from = part(text, first..start).rfind('\n').map_or(first, |at| first + at + 1);
    let to = part(text, end..last).find('\n').map_or(last, |at| end + at);
    part(text, from..to)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(written: &str, text: &str, secret: &str, path: Option<&str>) -> bool {
        let allow = Allow::new(&toml::from_str(written).unwrap()).unwrap().unwrap();
        let start = text.find(secret).unwrap();
        let candidate = Candidate { secret, matched: secret, text, start };
        allow.allows(&candidate, 4, path, &mut Budget::default()).unwrap()
    }

    #[test]
    fn asks_about_what_it_is_told() {
        let text = "first\nkey=abc # test\nlast";
        assert!(allows("regexes = ['^abc$']", text, "abc", None));
        assert!(!allows("regexes = ['test']", text, "abc", None));
        assert!(allows("regexes = ['test$']\nregexTarget = 'line'", text, "abc", None));
        assert!(!allows("regexes = ['first']\nregexTarget = 'line'", text, "abc", None));
        assert!(allows("regexes = ['^key=abc$']\nregexTarget = 'match'", text, "abc", None));
        assert!(allows("stopwords = ['B']", text, "abc", None));
        assert!(allows("paths = ['\\.md$']", text, "abc", Some("a.md")));
        assert!(!allows("paths = ['\\.md$']", text, "abc", None));
    }

    #[test]
    fn all_or_any() {
        let both = "regexes = ['^abc$']\npaths = ['\\.md$']";
        assert!(allows(both, "abc", "abc", None));
        assert!(!allows(&format!("condition = 'AND'\n{both}"), "abc", "abc", None));
        assert!(allows(&format!("condition = 'AND'\n{both}"), "abc", "abc", Some("x.md")));
    }

    #[test]
    fn lines_are_cut_on_characters() {
        let text = "é".repeat(3000) + "abc" + &"é".repeat(3000);
        assert!(line(&text, 6000, 6003).contains("abc"));
        assert_eq!(line("abc", 0, 3), "abc");
    }
}
