//! Taking parts out of a frame that leaves, and leaving the rest of it as it was.
//!
//! 1. The texts of a frame are counted in the order in which the eye saw them.
//! 2. Parts that overlap are one; where it begins, a mark takes its place.
//! 3. JSON in a string stays JSON: a part that begins or ends outside of its strings is not taken out.
//! 4. Beside a text that lost a part, its tokens and their probabilities go, too.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use portcullis_firewall::Rule;
use portcullis_policies::DataLevel;

use crate::firewall::Value;
use crate::frame::{Frame, FrameBody};

/// Keys of the numbers of an answer's tokens, which say the same as its text.
pub(super) const LISTS: [&str; 2] = ["context", "tokens"];
/// Keys of what stands beside a text and repeats it token by token.
const BESIDE: [&str; 4] = ["completion_probabilities", "logprobs", "probs", "top_logprobs"];

/// A part of one text of a frame that must not leave.
#[derive(Clone, Debug)]
pub(super) struct Cut {
    /// Which text of the frame, from 0.
    pub(super) place: usize,
    /// Which part of it.
    pub(super) part: Range<usize>,
    /// The rule, where the part begins here; a mark names it.
    pub(super) rule: Option<Named>,
    /// Whether it goes on at the beginning of a later frame, out of which its rest is taken.
    pub(super) goes_on: bool,
    /// Where the text begins in JSON of which it is a part.
    pub(super) quoted: Option<Quoted>,
}

/// What a mark names: of several rules that find the same, the one of the highest level, as in a request.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Named {
    level: Reverse<DataLevel>,
    pub(super) rule: Arc<str>,
}

impl Named {
    pub(super) fn of(rule: &Rule) -> Self {
        Self { level: Reverse(rule.level), rule: Arc::clone(&rule.id) }
    }
}

/// Where a place in JSON lies: within a string or not, and within an escape or not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Quoted {
    inside: bool,
    /// In an escape: how much of it is still to come.
    escape: u8,
}

impl Quoted {
    /// Takes a byte in.
    pub(super) fn take(&mut self, byte: u8) {
        match (self.escape, byte) {
            (1, b'u') => self.escape = AFTER_U,
            (1 | 2, _) => self.escape = 0,
            (0, b'\\') => self.escape = u8::from(self.inside),
            (0, b'"') => self.inside = !self.inside,
            (0, _) => {}
            (left, _) => self.escape = left - 1,
        }
    }
}

/// What is still to come after `\u`: four bytes, the last of them at 2. At 1 it is the byte after a `\`.
const AFTER_U: u8 = 5;

/// The frame without these parts, and how many marks stand in their places; `None` where that cannot be.
pub(super) fn amend(frame: &Frame<'_>, cuts: &[Cut]) -> Option<(Bytes, u32)> {
    let mut place = usize::from(frame.beside.is_some());
    // What stands beside an event is nobody's text.
    if cuts.iter().any(|cut| cut.place < place) {
        return None;
    }
    let mut places: Places<'_> = BTreeMap::new();
    cuts.iter().for_each(|cut| places.entry(cut.place).or_default().push(cut));
    let mut marks = 0;
    let new = match &frame.body {
        FrameBody::Empty | FrameBody::End => return None,
        FrameBody::Text(text) => without(text, places.remove(&place)?, &mut marks)?.into(),
        FrameBody::Json(json) => {
            let mut done = Done { cuts: 0, marks: 0 };
            let new = rewrite(json, &places, &mut place, &mut done)?;
            // A part whose text is not there any more was not taken out.
            if done.cuts != cuts.len() {
                return None;
            }
            marks = done.marks;
            framed(frame.raw, &new.to_bytes())?
        }
    };
    Some((new, marks))
}

/// The parts of each text.
type Places<'c> = BTreeMap<usize, Vec<&'c Cut>>;

/// What was done in a frame so far.
struct Done {
    cuts: usize,
    marks: u32,
}

fn rewrite<'j>(json: &'j Value<'_>, cuts: &Places<'_>, place: &mut usize, done: &mut Done) -> Option<Value<'j>> {
    Some(match json {
        Value::String(text) => {
            let own = cuts.get(place);
            *place += 1;
            Value::String(match own {
                None => text.as_ref().into(),
                Some(own) => {
                    done.cuts += own.len();
                    without(text, own.clone(), &mut done.marks)?.into()
                }
            })
        }
        Value::Array(items) => {
            Value::Array(items.iter().map(|item| rewrite(item, cuts, place, done)).collect::<Option<_>>()?)
        }
        Value::Object(entries) => {
            let mut new = Vec::with_capacity(entries.len());
            for (key, value) in entries {
                // A key that loses a part is another key.
                if cuts.contains_key(place) {
                    return None;
                }
                *place += 1;
                let rewritten = rewrite(value, cuts, place, done)?;
                let goes = LISTS.contains(&key.as_ref()) && !matches!(value, Value::String(_))
                    || !cuts.is_empty() && BESIDE.contains(&key.as_ref());
                let kept = match rewritten {
                    Value::Array(_) if goes => Value::Array(Vec::new()),
                    Value::Object(_) if goes => Value::Null,
                    rewritten => rewritten,
                };
                new.push((key.as_ref().into(), kept));
            }
            Value::Object(new)
        }
        Value::Bool(truth) => Value::Bool(*truth),
        Value::Null => Value::Null,
        Value::Number(number) => {
            // A long number was seen as a text; a part of it cannot be taken out.
            if json.long_number().is_some() {
                if cuts.contains_key(place) {
                    return None;
                }
                *place += 1;
            }
            Value::Number(number.clone())
        }
    })
}

/// A text without its parts; counts the marks.
fn without(text: &str, mut own: Vec<&Cut>, marks: &mut u32) -> Option<String> {
    // Of parts that begin at the same place, one that began in an earlier frame has its mark there.
    own.sort_by_key(|cut| (cut.part.start, cut.rule.is_some(), Reverse(cut.part.end), &cut.rule));
    let mut new = String::with_capacity(text.len());
    let mut at = 0;
    let mut walk = Walk { at: 0, quoted: own.first().and_then(|cut| cut.quoted).unwrap_or_default() };
    let mut own = own.into_iter().peekable();
    while let Some(cut) = own.next() {
        let (mut start, mut end, mut goes_on) = (cut.part.start, cut.part.end, cut.goes_on);
        while let Some(next) = own.next_if(|next| next.part.start < end) {
            end = end.max(next.part.end);
            // What goes on reaches the end of the text, as the longest of them.
            goes_on |= next.goes_on;
        }
        if cut.quoted.is_some() {
            Range { start, end } = in_string(text, &mut walk, cut, end, goes_on)?;
        }
        new.push_str(text.get(at..start)?);
        if let Some(Named { rule, .. }) = &cut.rule {
            *marks += 1;
            new.push_str("[redacted:");
            new.push_str(rule);
            new.push(']');
        }
        at = end;
    }
    new.push_str(text.get(at..)?);
    Some(new)
}

/// The part of a text of JSON that can be taken out so that JSON is left: within the string in which it
/// begins, and not within an escape. `None` where it does not begin in a string, or reaches over its end.
///
/// An escape that lies across frames goes as a whole: with a part that `goes_on` what has begun of it here, and with
/// what goes on here its rest.
fn in_string(text: &str, walk: &mut Walk, cut: &Cut, end: usize, goes_on: bool) -> Option<Range<usize>> {
    let (start, from) = (cut.part.start, walk.at);
    let mut part: Option<Range<usize>> = None;
    for (at, byte) in text.bytes().enumerate().take(end).skip(from) {
        if at >= start && part.is_none() {
            // Only of what goes on here the beginning of an escape is gone.
            if !walk.quoted.inside || (walk.quoted.escape != 0 && cut.rule.is_some()) {
                return None;
            }
            part = Some(at..at);
        }
        walk.quoted.take(byte);
        walk.at = at + 1;
        if let Some(part) = &mut part {
            if !walk.quoted.inside {
                return None;
            }
            if walk.quoted.escape == 0 || goes_on {
                part.end = at + 1;
            }
        }
    }
    // What is only a part of an escape would stay: without its beginning, or with what it says.
    part.filter(|part| !part.is_empty())
}

/// How far a text of JSON was followed, part by part.
struct Walk {
    at: usize,
    quoted: Quoted,
}

/// New JSON in the place of a frame's own.
fn framed(raw: &Bytes, json: &[u8]) -> Option<Bytes> {
    let text = std::str::from_utf8(raw).ok()?;
    let mut new = Vec::with_capacity(raw.len() + 64);
    if !is_event(text) {
        new.extend_from_slice(json);
        new.extend_from_slice(text.get(text.trim_end().len()..)?.as_bytes());
        return Some(new.into());
    }
    let mut said = false;
    for line in text.split(['\n', '\r']).filter(|line| !line.is_empty()) {
        if line == "data" || line.starts_with("data:") {
            if std::mem::replace(&mut said, true) {
                continue;
            }
            new.extend_from_slice(b"data: ");
            new.extend_from_slice(json);
        } else {
            new.extend_from_slice(line.as_bytes());
        }
        new.push(b'\n');
    }
    new.push(b'\n');
    Some(new.into())
}

/// Whether a frame whose data is JSON is an event: the first sign of a document is none of a field's name.
fn is_event(text: &str) -> bool {
    !text.trim_start().starts_with(['{', '[', '"'])
}
