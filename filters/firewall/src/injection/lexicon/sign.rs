//! Signs: cues that say something together.

use super::file::{File, Wrong};
use super::{Concept, SIGNALS};
use crate::document::Diagnostic;
use crate::rule::Rule;

/// Cues that are a sign when they stand near each other.
pub(in crate::injection) struct Sign {
    pub(in crate::injection) rule: usize,
    pub(in crate::injection) signal: usize,
    pub(in crate::injection) concepts: Vec<Concept>,
    pub(in crate::injection) within: usize,
    pub(in crate::injection) points: u8,
    /// Where its verb is not an order.
    pub(in crate::injection) unled: u8,
    /// In what a tool says.
    pub(in crate::injection) tool: u8,
    /// Counts in an answer as well.
    pub(in crate::injection) answer: bool,
}

/// All signs, and of each meaning those that it can complete.
pub(super) type Signs = (Vec<Sign>, Vec<Vec<usize>>);

pub(super) fn read(file: &File, rules: &[Rule], names: &[&str], wrong: &Wrong<'_>) -> Result<Signs, Diagnostic> {
    let mut signs = Vec::new();
    let mut by_concept = vec![Vec::new(); names.len()];
    let mut signals: Vec<&str> = Vec::new();
    for spanned in &file.signs {
        let (at, sign) = (spanned.span().start, spanned.get_ref());
        if !file.rules.contains_key(&sign.rule) {
            return Err(wrong.at(at, format!("there is no rule `{}`", sign.rule)));
        }
        let Some(rule) = rules.iter().position(|rule| *rule.id == *sign.rule) else { continue };
        let signal = sign.signal.as_deref().unwrap_or(&sign.rule);
        let signal = signals.iter().position(|known| *known == signal).unwrap_or_else(|| {
            signals.push(signal);
            signals.len() - 1
        });
        let mut concepts = Vec::new();
        for name in &sign.of {
            let Some(place) = names.iter().position(|known| known == name) else {
                return Err(wrong.at(at, format!("there is no cue `{name}`")));
            };
            concepts.push(u8::try_from(place).unwrap_or(u8::MAX));
            by_concept.get_mut(place).into_iter().for_each(|of: &mut Vec<usize>| of.push(signs.len()));
        }
        let points = sign.points.min(100);
        signs.push(Sign {
            rule,
            signal,
            concepts,
            within: sign.within,
            points,
            unled: sign.unled.unwrap_or(points).min(points),
            tool: sign.tool.unwrap_or(points.saturating_add(points / 5)).min(100),
            answer: sign.answer,
        });
    }
    if signals.len() > SIGNALS {
        return Err(wrong.at(0, format!("there are more than {SIGNALS} kinds of signs")));
    }
    Ok((signs, by_concept))
}
