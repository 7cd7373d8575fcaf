//! Judging one text: what the firewall finds in it, where that is for people, and what is not told:
//! what a comment allows, what the baseline knows, what is below the level that was asked for.
//!
//! What stands at the place of a finding stays here. It goes into the mask, where it is blotted out,
//! and into the baseline's mark, which is made with a key.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use memchr::memmem;
use portcullis_firewall::{Direction, Finding, Kind, Origin, Rule, Rules, Scratch, Text, Through};
use portcullis_policies::DataLevel;
use sha2::{Digest as _, Sha256};

use super::baseline::Key;
use super::mask::Mask;
use super::windows::Window;
use crate::cli::places::{Place, Places};

/// How many findings of one file are told.
pub(super) const MOST: usize = 10_000;
/// How many of one window are kept, with those that are not told.
const MOST_KEPT: usize = 200_000;

/// What allows a finding when it stands on a line of it.
const ALLOWS: [&str; 2] = ["portcullis:allow", "gitleaks:allow"];

/// What is looked for, and what is told.
pub(super) struct Judge<'r> {
    pub(super) rules: &'r Rules,
    /// Findings below are not told.
    pub(super) level: DataLevel,
    /// Rules that are not asked.
    pub(super) silent: Box<dyn Fn(&Rule) -> bool + Sync + 'r>,
    /// Whether comments allow.
    pub(super) comments: bool,
    /// What findings are marked with, where there is a baseline.
    pub(super) key: Option<Key>,
}

/// A finding as it is told: where, never what.
#[derive(Clone, Debug)]
pub(super) struct Told<'r> {
    pub(super) rule: &'r Rule,
    pub(super) from: Place,
    /// The place after its last character.
    pub(super) to: Place,
    pub(super) through: Through,
    pub(super) score: u8,
    /// Names it from run to run. Nothing of what was found is in it.
    pub(super) fingerprint: String,
    /// What the baseline knows it by.
    pub(super) mark: Option<String>,
    /// What the rule matched, with what must not be seen blotted out.
    pub(super) shown: String,
}

/// What one file came to.
pub(super) struct Judged<'r> {
    pub(super) told: Vec<Told<'r>>,
    /// How many findings a comment allows.
    pub(super) allowed: usize,
    /// Whether there were more than can be told.
    pub(super) more: bool,
    file: Arc<str>,
    /// The commit, where the file is that of a diff.
    commit: Option<Arc<str>>,
    /// Of each rule: how many findings there were.
    counts: HashMap<&'r str, u64>,
    /// Findings that reach into the next window: rule and end.
    reaching: Vec<(&'r str, usize)>,
}

/// The text took too much work, and was not judged.
pub(super) struct Unjudged;

impl<'r> Judged<'r> {
    /// Nothing yet, of a file of this name, which in a diff is that of one commit.
    pub(super) fn new(file: Arc<str>, commit: Option<Arc<str>>) -> Self {
        Self { told: Vec::new(), allowed: 0, more: false, file, commit, counts: HashMap::new(), reaching: Vec::new() }
    }

    /// Judges the next window of the file.
    pub(super) fn window(
        &mut self,
        judge: &Judge<'r>,
        window: &Window<'_>,
        scratch: &mut Scratch,
    ) -> Result<(), Unjudged> {
        let text = window.text;
        scratch.set_path(Some(&self.file));
        let mut found: Vec<Finding<'r>> = Vec::new();
        let texts = [Text { text, origin: Origin::Unknown, flows: false }];
        let allowed = if judge.comments { allowed_lines(text) } else { Vec::new() };
        let (mut counted, mut more) = (0, false);
        judge
            .rules
            .scan(&texts, Direction::Both, scratch, &mut |finding| {
                if (judge.silent)(finding.rule) {
                    return;
                }
                // What is not told takes no place from what is. It still is not shown.
                let told = finding.rule.level >= judge.level && !allows(&allowed, &finding);
                if (told && counted == MOST) || found.len() == MOST_KEPT {
                    more = true;
                    return;
                }
                counted += usize::from(told);
                found.push(finding);
            })
            .map_err(|_| Unjudged)?;
        self.more |= more;
        found.sort_by(|a, b| order(a).cmp(&order(b)));
        let found = without_weaker(found);
        let ends = found.iter().flat_map(|f| [f.secret.start, f.secret.end]).collect();
        let places = Places::of(text, window.first, ends);
        let mask = Mask::of(&found);
        let before = std::mem::take(&mut self.reaching);
        let reached = before.iter().map(|(_, end)| *end).max().unwrap_or_default();
        for finding in &found {
            let id = &*finding.rule.id;
            let again = finding.secret.start < reached
                && before.iter().any(|(rule, end)| *rule == id && finding.secret.start < *end);
            if finding.secret.start >= window.own && window.own < text.len() || again {
                continue; // it is whole in the next window, or was told with the last
            }
            if finding.secret.end > window.own {
                self.reaching.push((id, finding.secret.end - window.own));
            }
            let number = self.counts.entry(id).or_default();
            *number += 1;
            let fingerprint = fingerprint(&self.file, self.commit.as_deref(), id, *number);
            if judge.level > finding.rule.level {
                continue;
            }
            if allows(&allowed, finding) {
                self.allowed += 1;
                continue;
            }
            if self.told.len() == MOST {
                self.more = true;
                break;
            }
            let secret = text.get(finding.secret.clone()).unwrap_or_default();
            self.told.push(Told {
                rule: finding.rule,
                from: places.at(finding.secret.start),
                to: places.at(finding.secret.end),
                through: finding.through,
                score: finding.score,
                fingerprint,
                mark: judge.key.as_ref().map(|key| key.mark(id, &self.file, secret)),
                shown: mask.shown(text, finding),
            });
        }
        Ok(())
    }
}

/// By place; of those that begin together, the longest and the strongest first.
fn order<'f>(finding: &'f Finding<'_>) -> (usize, Reverse<usize>, Reverse<DataLevel>, &'f str) {
    let Range { start, end } = finding.secret;
    (start, Reverse(end), Reverse(finding.rule.level), &finding.rule.id)
}

/// Without secrets that a rule of a higher level found, too: `token = ghp_…` is a token, and then no assignment.
fn without_weaker<'r>(found: Vec<Finding<'r>>) -> Vec<Finding<'r>> {
    // Of each level: up to where its findings reach.
    let mut reach = [0; DataLevel::L4 as usize + 1];
    let mut keep = |finding: &Finding<'r>| {
        let (level, end) = (finding.rule.level as usize, finding.secret.end);
        if finding.rule.kind != Kind::Secret {
            return true;
        }
        let covered = reach.iter().skip(level + 1).any(|reached| *reached >= end);
        if let Some(reached) = reach.get_mut(level) {
            *reached = end.max(*reached);
        }
        !covered
    };
    found.into_iter().filter(|finding| keep(finding)).collect()
}

/// Names a finding: the first, second, ... of this rule in this file. What was found is no part of
/// it, so that nobody can try guesses against it.
fn fingerprint(file: &str, commit: Option<&str>, rule: &str, number: u64) -> String {
    let mut hash = Sha256::new();
    for part in ["portcullis scan 1", file, commit.unwrap_or_default(), rule] {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    hash.update(number.to_be_bytes());
    let hash = hash.finalize();
    data_encoding::HEXLOWER.encode(hash.get(..16).unwrap_or(&hash))
}

/// Whether a comment on one of these lines allows it. Who writes orders to a model into a text would write the
/// comment, too.
fn allows(lines: &[Range<usize>], finding: &Finding<'_>) -> bool {
    matches!(finding.rule.kind, Kind::Secret | Kind::Pii) && on_one_of(lines, &finding.span)
}

/// The lines that allow, in order.
fn allowed_lines(text: &str) -> Vec<Range<usize>> {
    let bytes = text.as_bytes();
    let mut lines: Vec<Range<usize>> = Vec::new();
    for marker in ALLOWS {
        let mut end = 0;
        for at in memmem::find_iter(bytes, marker.as_bytes()) {
            if at < end {
                continue; // on the line that is known
            }
            let before = bytes.get(..at).and_then(|before| memchr::memrchr(b'\n', before));
            let start = before.map_or(0, |before| before + 1);
            end = bytes.get(at..).and_then(|rest| memchr::memchr(b'\n', rest)).map_or(bytes.len(), |rest| at + rest);
            lines.push(start..end);
        }
    }
    lines.sort_unstable_by_key(|line| line.start);
    lines
}

/// Whether a part of a text is on one of these lines.
fn on_one_of(lines: &[Range<usize>], part: &Range<usize>) -> bool {
    let next = lines.partition_point(|line| line.end < part.start);
    lines.get(next).is_some_and(|line| line.start < part.end)
}

#[cfg(test)]
mod tests {
    use portcullis_firewall::{Selection, Source, draw};

    use super::*;

    const RULES: &str = "[[rules]]\nid = 'token'\nregex = '\\b(tok_[a-z0-9]{8})\\b'\nkeywords = ['tok_']\n\
        [[rules]]\nid = 'weak'\nregex = '\\b(weak_[a-z0-9]{8})\\b'\nkeywords = ['weak_']\nfw = {level = 'L1'}\n";

    /// What a file comes to that is judged as one window: told, allowed, and whether there were more.
    fn judged(text: &str, level: DataLevel) -> (usize, usize, bool) {
        let source = [Source { name: "x", text: RULES }];
        let rules = Rules::load(false, &source, &Selection::default()).map_err(|wrong| format!("{wrong:?}")).unwrap();
        let judge = Judge { rules: &rules, level, silent: Box::new(|_| false), comments: true, key: None };
        let mut judged = Judged::new("a.txt".into(), None);
        let window = Window { text, first: Place::FIRST, own: text.len() };
        assert!(judged.window(&judge, &window, &mut Scratch::patient()).is_ok());
        // Whatever else there is, none of it is shown.
        assert!(judged.told.iter().all(|told| !told.shown.contains("_")));
        (judged.told.len(), judged.allowed, judged.more)
    }

    fn lines(template: &str, count: usize) -> String {
        (0..count as u64).map(|seed| draw(template, seed).unwrap() + "\n").collect()
    }

    #[test]
    fn more_than_can_be_told_is_said() {
        assert_eq!(judged(&lines("tok_{lownum:8}", MOST), DataLevel::L0), (MOST, 0, false));
        assert_eq!(judged(&lines("tok_{lownum:8}", MOST + 1), DataLevel::L0), (MOST, 0, true));
    }

    #[test]
    fn what_is_not_told_hides_nothing_behind_it() {
        let allowed = lines("tok_{lownum:8} # gitleaks:allow", MOST + 1);
        let last = lines("tok_{lownum:8}", 1);
        assert_eq!(judged(&format!("{allowed}{last}"), DataLevel::L0), (1, MOST + 1, false));
        let weak = lines("weak_{lownum:8}", MOST + 1);
        assert_eq!(judged(&format!("{weak}{last}"), DataLevel::L4), (1, 0, false));
    }

    #[test]
    fn many_findings_cost_no_more_than_their_number() {
        // Looking at all of them for each of them would take an hour.
        let allowed = lines("weak_{lownum:8} tok_{lownum:8} # gitleaks:allow", 90_000);
        assert_eq!(judged(&allowed, DataLevel::L0), (0, 180_000, false));
        let told = lines("tok_{lownum:8}", MOST);
        assert_eq!(judged(&format!("{allowed}{told}"), DataLevel::L0), (MOST, 180_000, false));
    }
}
