//! What was found in one request, weighed as it comes in.

use std::ops::Range;

use portcullis_firewall::{Action, Direction, Exhausted, Finding, Kind, Rule, Scratch, Standing};
use portcullis_policies::DataLevel;

use super::judge::{Judge, code};
use super::redact::{Cuts, MOST, address, is_mark};
use super::texts::{Place, Texts};
use crate::exchange::{Facts, Noted};
use crate::verdict::{Code, Refusal};

/// The most findings of one request that are told one by one.
const TOLD: usize = 16;

/// What was found so far.
#[derive(Default)]
pub(super) struct Findings<'r> {
    /// The strictest rule that refuses the request.
    blocked: Option<&'r Rule>,
    /// What is to be taken out.
    pub(super) cuts: Cuts<'r>,
    /// What is not taken out itself, and may be gone with what is.
    beside: Vec<Beside<'r>>,
    /// The highest level of anything.
    level: DataLevel,
    /// The highest level of what is not taken out.
    left: DataLevel,
    noted: Vec<Noted>,
    /// The values and rules of what was told, so that a value that is seen in two ways is told once.
    seen: Vec<(usize, *const Rule)>,
}

/// A finding that is told or blocks by its level, and where it lies: what is taken out may take it along.
struct Beside<'r> {
    rule: &'r Rule,
    value: usize,
    part: Range<usize>,
    blocks: bool,
    /// Its number among what was noted.
    noted: Option<usize>,
}

impl<'r> Findings<'r> {
    /// Scans a request's texts.
    ///
    /// # Errors
    /// When they take more work than texts of their size may take, and nothing that blocks was found before.
    pub(super) fn of(judge: &'r Judge, texts: &Texts<'_>, scratch: &mut Scratch) -> Result<Self, Exhausted> {
        let mut all = Self::default();
        let done = judge.rules.scan_until_settled(&texts.texts, Direction::Request, scratch, &mut |finding| {
            all.take(judge, texts, &finding);
            if all.blocked.is_some() { Standing::Settled } else { Standing::Open }
        });
        all.settle(judge);
        // What was found by then says more than that there was too much of it.
        if all.blocked.is_some() { Ok(all) } else { done.map(|()| all) }
    }

    /// The rule that still finds something that must not pass in a request that was rewritten.
    ///
    /// # Errors
    /// When it takes more work than texts of its size may take.
    pub(super) fn remaining(
        judge: &'r Judge,
        texts: &Texts<'_>,
        scratch: &mut Scratch,
    ) -> Result<Option<&'r Rule>, Exhausted> {
        let mut left = None;
        let done = judge.rules.scan_until_settled(&texts.texts, Direction::Request, scratch, &mut |finding| {
            let text = texts.texts.get(finding.text).map_or("", |text| text.text);
            let passes = matches!(judge.stance.action(finding.rule, Direction::Request), None | Some(Action::Flag));
            if !passes && !is_mark(text, &finding.secret, |rule| judge.knows(rule)) {
                left.get_or_insert(finding.rule);
            }
            if left.is_some() { Standing::Settled } else { Standing::Open }
        });
        if left.is_some() { Ok(left) } else { done.map(|()| None) }
    }

    fn take(&mut self, judge: &Judge, texts: &Texts<'_>, finding: &Finding<'r>) {
        let (Some(text), Some(place)) = (texts.texts.get(finding.text), texts.places.get(finding.text)) else {
            return self.block(finding.rule);
        };
        let value = match place {
            Place::Fixed => None,
            Place::Value(value) => Some((*value, Some(finding.secret.clone()))),
            Place::Within(value, offset) => {
                // A value and its key are one text for what is in the value, and for nothing else.
                if !matches!(finding.rule.kind, Kind::Secret | Kind::Pii) || finding.secret.end <= *offset {
                    return;
                }
                let inside = finding.secret.start.checked_sub(*offset).map(|start| start..finding.secret.end - offset);
                Some((*value, inside))
            }
        };
        if let Some((value, _)) = &value {
            let key = (std::ptr::from_ref(*value).addr(), std::ptr::from_ref(finding.rule));
            if matches!(place, Place::Within(..)) && self.seen.contains(&key) {
                return;
            }
            if self.seen.len() < TOLD {
                self.seen.push(key);
            }
        }
        let Some(decision) = judge.decide(finding.rule, Direction::Request) else { return };
        self.level = self.level.max(finding.rule.level);
        // What goes on in another text is not gone when this part of it is.
        let place = value.and_then(|(value, part)| Some((value, part?))).filter(|_| !finding.goes_on);
        let taken_out = match (decision.action, &place) {
            (Action::Redact, Some((value, part))) => self.cuts.add(value, part.clone(), finding.rule).is_ok(),
            _ => false,
        };
        // What cannot be taken out does not pass.
        let action = if decision.action == Action::Redact && !taken_out { Action::Block } else { decision.action };
        let noted = self.note(judge, finding.rule, action, text.text.get(finding.secret.clone()));
        let may_go = action == Action::Flag || decision.yields();
        if let Some((value, part)) = place.filter(|_| may_go && self.beside.len() < MOST) {
            if action == Action::Flag {
                judge.count(finding.rule, action);
            }
            let blocks = action == Action::Block;
            self.beside.push(Beside { rule: finding.rule, value: address(value), part, blocks, noted });
            return;
        }
        judge.count(finding.rule, action);
        self.stays(finding.rule, action);
    }

    /// Decides what lies beside what is taken out: what lies wholly within it goes with it.
    fn settle(&mut self, judge: &Judge) {
        if self.beside.is_empty() {
            return;
        }
        let covered = self.cuts.covered();
        for Beside { rule, value, part, blocks, noted } in std::mem::take(&mut self.beside) {
            let gone = covered.holds(value, &part);
            let action = match (blocks, gone) {
                (false, _) => Action::Flag,
                (true, true) => Action::Redact,
                (true, false) => Action::Block,
            };
            if blocks {
                judge.count(rule, action);
            }
            if let Some(noted) = noted.and_then(|number| self.noted.get_mut(number)) {
                noted.action = action.as_str();
            }
            if !gone {
                self.stays(rule, action);
            }
        }
    }

    /// Weighs what about which this is done.
    fn stays(&mut self, rule: &'r Rule, action: Action) {
        if action == Action::Block {
            self.block(rule);
        }
        if action != Action::Redact {
            self.left = self.left.max(rule.level);
        }
    }

    /// Notes a finding for the record: its number there, if it is told.
    fn note(&mut self, judge: &Judge, rule: &Rule, action: Action, secret: Option<&str>) -> Option<usize> {
        let number = self.noted.len();
        if number >= TOLD {
            return None;
        }
        self.noted.push(Noted {
            filter: "firewall",
            rule: rule.id.clone(),
            code: code(rule.kind),
            level: rule.level,
            action: action.as_str(),
            fingerprint: judge.prints.of(secret.unwrap_or_default()),
            about: None,
        });
        Some(number)
    }

    fn block(&mut self, rule: &'r Rule) {
        if self.blocked.is_none_or(|blocked| blocked.level < rule.level) {
            self.blocked = Some(rule);
        }
    }

    /// States what was found.
    pub(super) fn tell(&mut self, facts: &mut Facts) {
        facts.raise_level(self.level);
        self.noted.drain(..).for_each(|noted| facts.note_finding(noted));
    }

    /// The refusal where something could not be taken out.
    pub(super) fn uncut(&self) -> Refusal {
        self.cuts.first().map_or_else(|| Refusal::internal("firewall", "a cut without a rule"), refuse)
    }

    /// The refusal that follows, if one does.
    pub(super) fn refusal(&self, facts: &Facts) -> Option<Refusal> {
        if let Some(rule) = self.blocked {
            return Some(refuse(rule));
        }
        let above = facts.ceiling().filter(|ceiling| self.left > *ceiling)?;
        let message = "the request holds more than may be shown to where it goes";
        let detail = format!("level {}, at most {above} may pass", self.left);
        Some(Refusal::new("firewall", Code::FirewallLevel, message).with_detail(detail).with_level(self.left))
    }
}

/// The refusal of a request in which this rule found something.
pub(super) fn refuse(rule: &Rule) -> Refusal {
    let what: String = rule.description.chars().filter(|c| !c.is_control()).take(120).collect();
    let what = if what.is_empty() { (*rule.id).to_owned() } else { what };
    let message = match rule.kind {
        Kind::Secret => {
            format!("the request contains what looks like a secret ({what}); take it out and try again")
        }
        Kind::Pii => format!("the request contains personal data ({what}); take it out and try again"),
        Kind::Injection => {
            format!(
                "the request contains what tries to give the model other orders ({what}); take it out and try again"
            )
        }
        Kind::Structural => {
            format!("the request contains a structure that is not let through ({what}); take it out and try again")
        }
    };
    Refusal::new("firewall", code(rule.kind), message).with_detail(format!("rule {}", rule.id)).with_level(rule.level)
}
