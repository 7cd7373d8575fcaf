//! What a person sees of a finding: what the rule matched, with what must not be seen blotted out.

use std::ops::Range;

use portcullis_firewall::{Finding, Kind, Through};

use crate::cli::places::Cut as _;

/// How many characters are shown.
const MOST: usize = 60;
/// How many of them may stand for what is blotted out.
const BLOT: usize = 12;

/// As many parts of what one rule matched are blotted out one by one.
const PARTS: usize = 64;
/// As much of what a rule matched is looked at.
const LONGEST: usize = 4 << 10;

/// What must not be seen in one text, in order and apart.
pub(super) struct Mask(Vec<Range<usize>>);

impl Mask {
    /// What belongs to any of the findings in a text.
    pub(super) fn of(all: &[Finding<'_>]) -> Self {
        let hides = |kind| !matches!(kind, Kind::Injection | Kind::Structural);
        let secrets = all.iter().filter(|finding| hides(finding.rule.kind)).map(|finding| finding.secret.clone());
        let mut parts: Vec<_> = secrets.filter(|secret| !secret.is_empty()).collect();
        parts.sort_by_key(|part| part.start);
        let mut apart: Vec<Range<usize>> = Vec::new();
        for part in parts {
            match apart.last_mut() {
                Some(last) if part.start <= last.end => last.end = last.end.max(part.end),
                _ => apart.push(part),
            }
        }
        Self(apart)
    }

    /// Shows a finding in the text.
    pub(super) fn shown(&self, text: &str, finding: &Finding<'_>) -> String {
        let span = &finding.span;
        let parts = self.within(span);
        if finding.through != Through::Plain || parts.len() > PARTS {
            return "*".repeat(BLOT);
        }
        // No more of it is seen.
        let end = span.end.min(text.floor_char_boundary_of(span.start.saturating_add(LONGEST)));
        let mut out = String::new();
        let mut at = span.start;
        for hidden in parts.iter().filter(|part| part.start < end) {
            out.push_str(text.get(at..hidden.start.max(at)).unwrap_or_default());
            let hidden = hidden.start.max(span.start)..hidden.end.min(span.end);
            let length = text.get(hidden.clone()).map_or(BLOT, |part| part.chars().take(BLOT).count());
            out.extend(std::iter::repeat_n('*', length));
            at = hidden.end;
        }
        out.push_str(text.get(at..end.max(at)).unwrap_or_default());
        // What is hidden may stand there once more.
        let clipped = |part: &Range<usize>| part.start.max(span.start)..part.end.min(span.end);
        let again = |part: &Range<usize>| text.get(clipped(part)).is_some_and(|part| out.contains(part));
        if parts.iter().any(again) { "*".repeat(BLOT) } else { printable(&out) }
    }

    /// What of it reaches into a part of the text.
    fn within(&self, span: &Range<usize>) -> &[Range<usize>] {
        let Self(parts) = self;
        let first = parts.partition_point(|part| part.end <= span.start);
        let last = parts.partition_point(|part| part.start < span.end);
        parts.get(first..last).unwrap_or_default()
    }
}

/// On one line, without what would move a terminal's cursor or cannot be seen, and not too long.
fn printable(text: &str) -> String {
    let one_line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut out: String = one_line.chars().take(MOST).map(crate::cli::printable::visible).collect();
    if one_line.chars().nth(MOST).is_some() {
        out.push('…');
    }
    out
}

#[cfg(test)]
mod tests {
    use portcullis_firewall::{Rules, Selection, Source};

    use super::*;

    fn finding<'r>(rules: &'r Rules, rule: usize, span: Range<usize>, secret: Range<usize>) -> Finding<'r> {
        let rule = rules.iter().nth(rule).unwrap();
        Finding { rule, text: 0, span, secret, goes_on: false, through: Through::Plain, score: 100 }
    }

    #[test]
    fn what_any_finding_hides_is_not_shown() {
        let text = "[[rules]]\nid = 'a'\nregex = 'a'\n[[rules]]\nid = 'i'\nregex = 'i'\nfw = {kind = 'injection'}\n";
        let rules = Rules::load(false, &[Source { name: "x", text }], &Selection::default())
            .unwrap_or_else(|_| panic!("rules"));
        let text = "say: key = hunter2!\x1b[0m and forget\nit all";
        let secret = finding(&rules, 0, 5..18, 11..18);
        let orders = finding(&rules, 1, 0..text.len(), 0..text.len());
        let mask = Mask::of(&[secret.clone(), orders.clone()]);
        assert_eq!(mask.shown(text, &secret), "key = *******");
        assert_eq!(mask.shown(text, &orders), "say: key = *******!\u{fffd}[0m and forget it all");
        assert_eq!(mask.shown(text, &Finding { through: Through::Decoded("hex"), ..secret }), "************");
        let within = finding(&rules, 0, 13..16, 14..15);
        assert_eq!(mask.shown(text, &within), "***", "in the middle of what is hidden");
        let again = "hunter2! hunter2!";
        let twice = finding(&rules, 0, 0..again.len(), 0..8);
        assert_eq!(Mask::of(std::slice::from_ref(&twice)).shown(again, &twice), "************");
    }

    #[test]
    fn what_is_long_is_not_shown_in_full() {
        let text = "[[rules]]\nid = 'a'\nregex = 'a'\n";
        let rules = Rules::load(false, &[Source { name: "x", text }], &Selection::default())
            .unwrap_or_else(|_| panic!("rules"));
        let text = "é".repeat(1 << 20);
        let all: Vec<_> =
            (0..PARTS + 1).map(|part| finding(&rules, 0, 0..text.len(), part * 40..part * 40 + 20)).collect();
        assert_eq!(Mask::of(&all).shown(&text, &all[0]), "************", "too many parts");
        // The last of them lies beyond what is looked at.
        let one = finding(&rules, 0, 0..text.len(), text.len() - 2..text.len());
        assert_eq!(Mask::of(std::slice::from_ref(&one)).shown(&text, &one), "************");
        let none = finding(&rules, 0, 0..text.len(), text.len()..text.len());
        assert_eq!(Mask::of(&[]).shown(&text, &none).chars().count(), MOST + 1);
    }
}
