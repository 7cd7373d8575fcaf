//! How a text is built, whatever it says: its size, what it hides from a reader, what it repeats.
//!
//! What a keyword gives away (paths, names of hosts) is found by the engine, as with any other rule of
//! `policies/firewall/structure.toml`. What none gives away is looked for here, in a few passes over
//! the bytes that cost a fraction of a nanosecond each; text that is not ASCII is looked at by character.

mod blob;
mod bytes;
mod hidden;
mod repeat;
mod script;

use std::ops::Range;

use crate::engine::Match;
use crate::rule::{Direction, Rule};

/// What is looked for here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trait {
    /// More text than one text should be.
    Size,
    /// Bytes that no text has.
    Control,
    /// Orders to a terminal.
    Terminal,
    /// Brackets in brackets in brackets.
    Nesting,
    /// Binary data, written as text.
    Blob,
    /// The same, again and again.
    Repetition,
    /// Characters that nobody sees.
    Invisible,
    /// Characters that turn round what stands beside them.
    Bidi,
    /// Words of letters that look like others.
    Mixed,
}

const TRAITS: &[(Trait, &str)] = &[
    (Trait::Size, "structure-size"),
    (Trait::Control, "structure-control-characters"),
    (Trait::Terminal, "structure-terminal-escape"),
    (Trait::Nesting, "structure-nesting"),
    (Trait::Blob, "structure-binary"),
    (Trait::Repetition, "structure-repetition"),
    (Trait::Invisible, "structure-invisible"),
    (Trait::Bidi, "structure-bidi"),
    (Trait::Mixed, "structure-mixed-scripts"),
];

/// The structural rules in force that no expression states.
#[derive(Debug, Default)]
pub(crate) struct Structure {
    rules: Vec<(Trait, Rule)>,
    /// Longer texts are too long, in bytes.
    largest: usize,
}

/// Whether there is a structural rule of this name that no expression states.
pub(crate) fn is_trait(id: &str) -> bool {
    TRAITS.iter().any(|(_, known)| *known == id)
}

impl Structure {
    /// These rules, and how long a text may be.
    pub(crate) fn new(rules: Vec<Rule>, largest: usize) -> Self {
        let of = |rule: Rule| Some((TRAITS.iter().find(|(_, known)| **known == *rule.id)?.0, rule));
        Self { rules: rules.into_iter().filter_map(of).collect(), largest }
    }

    /// The rules.
    pub(crate) fn rules(&self) -> impl Iterator<Item = &Rule> {
        self.rules.iter().map(|(_, rule)| rule)
    }

    /// Looks at a text that goes `way`. Where it is `plain`, as [`Planes`](crate::planes::Planes) say, it hides nothing.
    pub(crate) fn scan<'r>(&'r self, text: &str, plain: bool, way: Direction, found: &mut dyn FnMut(Match<'r>)) {
        if self.rules.is_empty() {
            return;
        }
        let mut report = |seen: Trait, span: Range<usize>| {
            let rule = self.rules.iter().find(|(known, rule)| *known == seen && rule.direction.covers(way));
            if let Some((_, rule)) = rule {
                found(Match { rule, span: span.clone(), secret: span, compiled: None });
            }
        };
        if text.len() > self.largest {
            report(Trait::Size, 0..text.len());
        }
        if !plain {
            bytes::look(text, &mut report);
        }
        bytes::nesting(text, &mut report);
        blob::look(text, &mut report);
        repeat::look(text, &mut report);
        if !plain && !text.is_ascii() {
            hidden::look(text, &mut report);
            script::look(text, &mut report);
        }
    }
}

#[cfg(test)]
mod tests;
