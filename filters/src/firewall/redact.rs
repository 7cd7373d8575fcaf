//! Taking findings out of a request, and leaving it valid.
//!
//! Each is replaced by `[redacted:RULE]`. What was rewritten is judged once more by whoever asked for it: only
//! what holds nothing any more goes on.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::ops::Range;

use portcullis_firewall::Rule;

use super::Value;
use super::spans::Spans;

/// How every mark begins.
const MARK: &str = "[redacted:";
/// The most that is cut out of one request, and the most that may go with it.
pub(super) const MOST: usize = 65_536;

/// What is to be cut out of one request.
#[derive(Default)]
pub(super) struct Cuts<'r> {
    /// By the value's address: the document does not move while it is judged.
    by_value: HashMap<usize, Vec<(Range<usize>, &'r Rule)>>,
    count: usize,
    first: Option<&'r Rule>,
}

/// The request cannot be rewritten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Uncut;

impl<'r> Cuts<'r> {
    /// Notes a cut. A value that says the same in two ways is cut once.
    pub(super) fn add(&mut self, value: &Value<'_>, range: Range<usize>, rule: &'r Rule) -> Result<(), Uncut> {
        if self.count >= MOST {
            return Err(Uncut);
        }
        self.count += 1;
        self.first.get_or_insert(rule);
        self.by_value.entry(address(value)).or_default().push((range, rule));
        Ok(())
    }

    /// What of each value is cut out.
    pub(super) fn covered(&self) -> Covered {
        let part = |(range, _): &(Range<usize>, &Rule)| range.start as u64..range.end as u64;
        let of_value = |(value, cuts): (&usize, &Vec<_>)| (*value, Spans::of(cuts.iter().map(part)));
        Covered(self.by_value.iter().map(of_value).collect())
    }

    /// Whether nothing is to be cut.
    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The rule of the first cut.
    pub(super) fn first(&self) -> Option<&'r Rule> {
        self.first
    }

    /// The document without what is to be cut, and how many marks stand in it.
    pub(super) fn apply(&mut self, json: &Value<'_>) -> Result<(Vec<u8>, u32), Uncut> {
        let mut marks = 0;
        let rewritten = self.rewrite(json, &mut marks)?;
        // A cut that found no place was none.
        if self.by_value.is_empty() { Ok((rewritten.to_bytes(), marks)) } else { Err(Uncut) }
    }

    fn rewrite<'j>(&mut self, json: &'j Value<'_>, marks: &mut u32) -> Result<Value<'j>, Uncut> {
        Ok(match json {
            Value::String(text) => match self.by_value.remove(&address(json)) {
                None => Value::String(text.as_ref().into()),
                Some(cuts) => Value::String(cut(text, cuts, marks)?.into()),
            },
            Value::Array(items) => {
                Value::Array(items.iter().map(|item| self.rewrite(item, marks)).collect::<Result<_, _>>()?)
            }
            Value::Object(entries) => {
                let rewritten =
                    entries.iter().map(|(key, value)| Ok((key.as_ref().into(), self.rewrite(value, marks)?)));
                Value::Object(rewritten.collect::<Result<_, _>>()?)
            }
            Value::Bool(truth) => Value::Bool(*truth),
            Value::Null => Value::Null,
            Value::Number(number) => Value::Number(number.clone()),
        })
    }
}

/// Whether a finding is nothing but a mark that stands there already, with the name of a rule that is `known`.
pub(super) fn is_mark(text: &str, secret: &Range<usize>, known: impl Fn(&str) -> bool) -> bool {
    // It may reach over quotes and signs around the mark, but not over another word.
    let around = |c: char| !c.is_alphanumeric() && c != '[' && c != ']';
    let found = text.get(secret.clone()).unwrap_or_default().trim_matches(around);
    let inside = found.trim_start_matches('[').trim_end_matches(']');
    known(inside.strip_prefix(MARK.trim_start_matches('[')).unwrap_or(inside))
}

/// What of each value is cut out, by the value's address.
pub(super) struct Covered(HashMap<usize, Spans>);

impl Covered {
    /// Whether this part of a value lies wholly within one cut.
    pub(super) fn holds(&self, value: usize, part: &Range<usize>) -> bool {
        self.0.get(&value).is_some_and(|spans| spans.hold(&(part.start as u64..part.end as u64)))
    }
}

/// Names a value as long as the document is not moved.
pub(super) fn address(value: &Value<'_>) -> usize {
    std::ptr::from_ref(value).addr()
}

/// A text without these parts. Parts that overlap are one, named after the rule of the first: of those in the same place
/// the one of the highest level.
fn cut(text: &str, mut cuts: Vec<(Range<usize>, &Rule)>, marks: &mut u32) -> Result<String, Uncut> {
    cuts.sort_by_key(|(range, rule)| (range.start, Reverse(range.end), Reverse(rule.level), &*rule.id));
    let mut rewritten = String::with_capacity(text.len());
    let mut at = 0;
    let mut cuts = cuts.into_iter().peekable();
    while let Some((Range { start, mut end }, rule)) = cuts.next() {
        while let Some((next, _)) = cuts.next_if(|(next, _)| next.start < end) {
            end = end.max(next.end);
        }
        rewritten.push_str(text.get(at..start).ok_or(Uncut)?);
        let _ = write!(rewritten, "{MARK}{}]", rule.id);
        *marks += 1;
        at = end;
    }
    rewritten.push_str(text.get(at..).ok_or(Uncut)?);
    // JSON in a string stays JSON.
    if is_document(text) && !is_document(&rewritten) { Err(Uncut) } else { Ok(rewritten) }
}

fn is_document(text: &str) -> bool {
    text.trim_start().starts_with(['{', '[']) && serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_firewall::{Direction, Kind};
    use proptest::prelude::*;

    fn rule() -> Rule {
        Rule {
            id: "some-rule".into(),
            description: "something".into(),
            kind: Kind::Secret,
            level: portcullis_policies::DataLevel::L4,
            action: None,
            direction: Direction::Both,
        }
    }

    fn redacted(text: &str, cuts: &[(&str, Range<usize>)]) -> Result<(String, u32), Uncut> {
        let json = Value::parse(text.as_bytes()).unwrap();
        let rule = rule();
        let mut all = Cuts::default();
        for (key, range) in cuts {
            all.add(json.get(key).unwrap(), range.clone(), &rule)?;
        }
        let (bytes, marks) = all.apply(&json)?;
        Ok((String::from_utf8(bytes).unwrap(), marks))
    }

    #[test]
    fn cuts_are_marked_and_the_rest_stays() {
        let text = r#"{"n":1.5,"a":"one two\nthree","b":[true,null],"c":"ä one"}"#;
        let (said, marks) = redacted(text, &[("a", 4..7), ("c", 3..6)]).unwrap();
        let mark = "[redacted:some-rule]";
        assert_eq!(said, format!(r#"{{"n":1.5,"a":"one {mark}\nthree","b":[true,null],"c":"ä {mark}"}}"#));
        assert_eq!(marks, 2);
        let (said, marks) = redacted(r#"{"a":"abcdefghij"}"#, &[("a", 5..8), ("a", 2..6), ("a", 0..1)]).unwrap();
        assert_eq!((said.as_str(), marks), (r#"{"a":"[redacted:some-rule]b[redacted:some-rule]ij"}"#, 2));
    }

    #[test]
    fn a_part_is_covered_by_one_cut_alone() {
        let (json, other) = (Value::String("abcdefghij".into()), Value::String("abcdefghij".into()));
        let rule = rule();
        let mut cuts = Cuts::default();
        for range in [4..6, 2..5, 0..1, 4..9] {
            cuts.add(&json, range, &rule).unwrap();
        }
        let covered = cuts.covered();
        assert!(covered.holds(address(&json), &(5..9)) && !covered.holds(address(&json), &(2..9)));
        assert!(!covered.holds(address(&other), &(5..9)), "the same words elsewhere");
    }

    #[test]
    fn what_cannot_be_cut_is_said() {
        assert_eq!(redacted(r#"{"a":"ä"}"#, &[("a", 1..2)]), Err(Uncut), "in the middle of a character");
        assert_eq!(redacted(r#"{"a":"x"}"#, &[("a", 0..9)]), Err(Uncut));
        assert_eq!(redacted(r#"{"a":1}"#, &[("a", 0..1)]), Err(Uncut));
        let arguments = r#"{"a":"{\"x\":\"secret\"}"}"#;
        assert!(redacted(arguments, &[("a", 6..12)]).is_ok());
        assert_eq!(redacted(arguments, &[("a", 5..12)]), Err(Uncut), "JSON in a string stays JSON");
    }

    #[test]
    fn a_mark_is_known() {
        let known = |rule: &str| rule == "some-rule";
        let text = "password = '[redacted:some-rule]' and hunter2!";
        for found in ["[redacted:some-rule]", "redacted:some-rule", "'[redacted:some-rule]'", "some-rule"] {
            let at = text.find(found).unwrap();
            assert!(is_mark(text, &(at..at + found.len()), known), "{found}");
        }
        for found in ["hunter2!", "[redacted:some-rule]' and hunter2!", "password = '[redacted:some-rule]"] {
            let at = text.find(found).unwrap();
            assert!(!is_mark(text, &(at..at + found.len()), known), "{found}");
        }
    }

    proptest! {
        #[test]
        fn a_rewritten_document_is_one(text in "\\PC{0,40}", start in 0usize..50, length in 0usize..50) {
            let document = Value::Object(vec![("a".into(), Value::String(text.clone().into()))]);
            let rule = rule();
            let mut cuts = Cuts::default();
            cuts.add(document.get("a").unwrap(), start..start + length, &rule).unwrap();
            let fits = text.is_char_boundary(start) && text.is_char_boundary(start + length);
            match cuts.apply(&document) {
                Ok((bytes, 1)) => {
                    prop_assert!(fits);
                    let read = Value::parse(&bytes).unwrap();
                    let expected = format!("{}[redacted:some-rule]{}", &text[..start], &text[start + length..]);
                    prop_assert_eq!(read.get("a").unwrap().as_str().unwrap(), expected);
                }
                Ok((_, marks)) => prop_assert!(false, "{} marks", marks),
                Err(Uncut) => prop_assert!(!fits || is_document(&text)),
            }
        }
    }
}
