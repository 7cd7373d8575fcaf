//! What a person sees of a finding: what the rule matched, with what must not be seen blotted out.

use std::ops::Range;

use portcullis_firewall::{Finding, Kind, Through};

/// How many characters are shown.
const MOST: usize = 60;
/// How many of them may stand for what is blotted out.
const BLOT: usize = 12;

/// Shows a finding. `all` are the findings in the same text: what belongs to any of them is not shown.
pub(super) fn shown(text: &str, finding: &Finding<'_>, all: &[Finding<'_>]) -> String {
    if finding.through != Through::Plain {
        return "*".repeat(BLOT);
    }
    let span = &finding.span;
    let mut out = String::new();
    let mut at = span.start;
    let parts = hidden(span, all);
    for hidden in &parts {
        out.push_str(text.get(at..hidden.start).unwrap_or_default());
        let length = text.get(hidden.clone()).map_or(BLOT, |part| part.chars().take(BLOT).count());
        out.extend(std::iter::repeat_n('*', length));
        at = at.max(hidden.end);
    }
    out.push_str(text.get(at..span.end).unwrap_or_default());
    // What is hidden may stand there once more.
    let again = |part: &Range<usize>| text.get(part.clone()).is_some_and(|part| out.contains(part));
    if parts.iter().any(again) { "*".repeat(BLOT) } else { printable(&out) }
}

/// What must not be seen within a span, in order and apart.
fn hidden(span: &Range<usize>, all: &[Finding<'_>]) -> Vec<Range<usize>> {
    let near = all.iter().filter(|other| other.rule.kind != Kind::Injection && other.rule.kind != Kind::Structural);
    let within = near.map(|other| other.secret.start.max(span.start)..other.secret.end.min(span.end));
    let mut parts: Vec<_> = within.filter(|part| part.start < part.end).collect();
    parts.sort_by_key(|part| part.start);
    let mut apart: Vec<Range<usize>> = Vec::new();
    for part in parts {
        match apart.last_mut() {
            Some(last) if part.start <= last.end => last.end = last.end.max(part.end),
            _ => apart.push(part),
        }
    }
    apart
}

/// On one line, without what would move a terminal's cursor or cannot be seen, and not too long.
fn printable(text: &str) -> String {
    let one_line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut out: String = one_line.chars().take(MOST).map(super::visible).collect();
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
        Finding { rule, text: 0, span, secret, through: Through::Plain, score: 100 }
    }

    #[test]
    fn what_any_finding_hides_is_not_shown() {
        let text = "[[rules]]\nid = 'a'\nregex = 'a'\n[[rules]]\nid = 'i'\nregex = 'i'\nfw = {kind = 'injection'}\n";
        let rules = Rules::load(false, &[Source { name: "x", text }], &Selection::default())
            .unwrap_or_else(|_| panic!("rules"));
        let text = "say: key = hunter2!\x1b[0m and forget\nit all";
        let secret = finding(&rules, 0, 5..18, 11..18);
        let orders = finding(&rules, 1, 0..text.len(), 0..text.len());
        let all = [secret.clone(), orders.clone()];
        assert_eq!(shown(text, &secret, &all), "key = *******");
        assert_eq!(shown(text, &orders, &all), "say: key = *******!\u{fffd}[0m and forget it all");
        assert_eq!(shown(text, &Finding { through: Through::Decoded("hex"), ..secret }, &all), "************");
    }
}
