//! Secrets that are split over the texts of one request: the end of one message and the beginning of
//! the next.

use super::rules::Kind;
use super::scanner::{Finding, Scanner};
use super::{Value, is_prose};

/// As much of each side as a secret of a fixed format takes.
const REACH: usize = 512;

/// Scans the borders between a request's texts, and reports what lies across one.
pub(super) fn scan(json: &Value<'_>, scanner: &Scanner, found: &mut dyn FnMut(Finding)) {
    let mut texts = Vec::new();
    collect(json, false, &mut texts);
    if texts.len() < 2 {
        return;
    }
    let mut before = String::new();
    for text in texts {
        let head = clip(text, REACH, false);
        if !before.is_empty() && !head.is_empty() {
            let border = before.len();
            let window = format!("{before}{head}");
            scanner.scan_from(&window, 0, true, &mut |finding| {
                // An assignment over a border is two people talking; a token is a token.
                if finding.start < border
                    && finding.end > border
                    && finding.rule.kind != Kind::Assignment
                    && finding.rule.kind != Kind::Hint
                {
                    found(finding);
                }
            });
        }
        before.push_str(clip(text, REACH, true));
        let keep = clip(&before, REACH, true).to_owned();
        before = keep;
    }
}

fn collect<'j>(json: &'j Value<'_>, prose: bool, texts: &mut Vec<&'j str>) {
    match json {
        Value::Array(items) => items.iter().for_each(|item| collect(item, prose, texts)),
        Value::Object(entries) => entries.iter().for_each(|(key, value)| collect(value, is_prose(key), texts)),
        Value::String(text) if prose => texts.push(text),
        _ => {}
    }
}

/// The first or last `most` bytes of a text, at a character's border.
fn clip(text: &str, most: usize, last: bool) -> &str {
    if text.len() <= most {
        return text;
    }
    let mut at = if last { text.len() - most } else { most };
    while !text.is_char_boundary(at) {
        at += 1;
    }
    if last { text.get(at..) } else { text.get(..at) }.unwrap_or_default()
}
