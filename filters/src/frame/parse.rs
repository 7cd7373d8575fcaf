//! Reading what a frame says.

use std::borrow::Cow;

use super::{Bytes, Frame, FrameBody, StreamFormat};
use crate::json::Json;

/// Why a frame cannot be judged, and so cannot leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// JSON was expected.
    #[error("the upstream sent what is not JSON where JSON was expected")]
    NotJson,
    /// Text was expected.
    #[error("the upstream sent what is not UTF-8")]
    NotText,
    /// An event has a line that one client takes for data, or for a name, and another does not.
    #[error("the upstream sent an event with a line that clients read in different ways")]
    OddLine,
}

/// How the bytes of a frame are to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// One JSON document.
    Json,
    /// One server-sent event.
    Event,
    /// Plain text.
    Text,
}

impl Reading {
    /// How frames of this stream format are read.
    #[must_use]
    pub const fn of(format: StreamFormat) -> Self {
        match format {
            StreamFormat::Ndjson => Self::Json,
            StreamFormat::Sse => Self::Event,
        }
    }
}

/// An event without data: no client is shown anything of it.
const SILENCE: Bytes = Bytes::from_static(b":\n\n");
/// What some clients take for the end of a line, and the standard does not (WHATWG, 9.2.6). JSON may hold it in strings.
const LINE_ENDS: [char; 3] = ['\u{85}', '\u{2028}', '\u{2029}'];
/// What some clients drop where a line begins.
const MARK: char = '\u{feff}';

/// A frame as it leaves, if no watch amends it, and so as it is judged. Of an event without data nothing is left but a
/// sign of life: what stands in it says nothing to a client that keeps to the standard, and something to others. Where
/// JSON holds what some clients take for the end of a line, its escape stands there.
///
/// # Errors
/// When clients would read its lines in different ways.
pub fn settled(raw: Bytes, reading: Reading) -> Result<Bytes, FrameError> {
    if reading != Reading::Event {
        return Ok(raw);
    }
    let text = std::str::from_utf8(&raw).map_err(|_| FrameError::NotText)?;
    let mut data = false;
    for line in lines(text) {
        match (line, line.split_once(':')) {
            ("data", None) | (_, Some(("data", _))) => data = true,
            _ if is_odd(line) => return Err(FrameError::OddLine),
            _ => {}
        }
    }
    if !data {
        return Ok(SILENCE);
    }
    if text.is_ascii() || !text.contains(LINE_ENDS) {
        return Ok(raw);
    }
    // Outside of strings there is no escape: what comes of it is no JSON, and is refused for that.
    let mut escaped = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '\u{85}' => escaped.push_str("\\u0085"),
            '\u{2028}' => escaped.push_str("\\u2028"),
            '\u{2029}' => escaped.push_str("\\u2029"),
            char => escaped.push(char),
        }
    }
    Ok(escaped.into())
}

/// Whether a line that is no data could be taken for some, or for several lines, by a client that is less strict.
fn is_odd(line: &str) -> bool {
    let hidden = |char: char| char == MARK || LINE_ENDS.contains(&char) || (char.is_control() && char != '\t');
    if line.contains(hidden) {
        return true;
    }
    // Neither what an event says, nor its name, may be hidden behind white space, or in another case.
    let shown = line.trim_start();
    let begins = |field: &str| shown.get(..field.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(field));
    begins("data") || (begins("event") && line != "event" && !line.starts_with("event:"))
}

/// Parses a frame and shows it.
///
/// # Errors
/// When the bytes are not what they should be: what cannot be read cannot be judged.
pub fn with_frame<T>(raw: &Bytes, reading: Reading, show: impl FnOnce(&Frame<'_>) -> T) -> Result<T, FrameError> {
    match reading {
        Reading::Json => {
            if raw.iter().all(u8::is_ascii_whitespace) {
                return Ok(show(&Frame { raw, body: FrameBody::Empty, beside: None, event: None }));
            }
            let json = Json::parse(raw).map_err(|_| FrameError::NotJson)?;
            Ok(show(&Frame { raw, body: FrameBody::Json(&json), beside: None, event: None }))
        }
        Reading::Text => {
            let text = std::str::from_utf8(raw).map_err(|_| FrameError::NotText)?;
            Ok(show(&Frame { raw, body: FrameBody::Text(text), beside: None, event: None }))
        }
        Reading::Event => {
            let text = std::str::from_utf8(raw).map_err(|_| FrameError::NotText)?;
            let Some(data) = event_data(text) else {
                // Comments and bare fields reach nobody, but they leave the gate: judge them.
                let body = if text.trim().len() > 1 { FrameBody::Text(text) } else { FrameBody::Empty };
                return Ok(show(&Frame { raw, body, beside: None, event: None }));
            };
            if data.trim_matches(' ') == "[DONE]" {
                return Ok(show(&Frame {
                    raw,
                    body: FrameBody::End,
                    beside: has_loose_text(text).then_some(text),
                    event: None,
                }));
            }
            let json = Json::parse_text(&data).map_err(|_| FrameError::NotJson)?;
            let beside = has_loose_text(text).then_some(text);
            Ok(show(&Frame { raw, body: FrameBody::Json(&json), beside, event: event_name(text) }))
        }
    }
}

/// The data of an event, its lines joined by `\n`; `None` when it has no data line.
fn event_data(event: &str) -> Option<Cow<'_, str>> {
    let mut data: Option<Cow<'_, str>> = None;
    for line in lines(event) {
        let Some(rest) = line.strip_prefix("data") else { continue };
        let value = match rest.strip_prefix(':') {
            Some(value) => value.strip_prefix(' ').unwrap_or(value),
            None if rest.is_empty() => "",
            None => continue,
        };
        data = Some(match data {
            None => Cow::Borrowed(value),
            Some(before) => Cow::Owned(format!("{before}\n{value}")),
        });
    }
    data
}

/// The name of an event; empty where it is given several.
fn event_name(event: &str) -> Option<&str> {
    let mut named = lines(event).filter_map(|line| line.strip_prefix("event:"));
    let name = named.next()?;
    let name = name.strip_prefix(' ').unwrap_or(name);
    match named.next() {
        Some(_) => Some(""),
        None => Some(name).filter(|name| !name.is_empty()),
    }
}

/// Whether an event carries words outside its data that nobody would judge. Its name is let through
/// where it is one of those that servers use: small letters, at most 64, once.
fn has_loose_text(event: &str) -> bool {
    let mut named = false;
    lines(event).any(|line| {
        let known = match line.split_once(':') {
            None => line.is_empty() || line == "data",
            Some(("data", _)) => true,
            Some(("event", name)) => !std::mem::replace(&mut named, true) && is_name(name.trim_start_matches(' ')),
            Some(("retry", ms)) => ms.trim().len() < 8 && ms.trim().bytes().all(|b| b.is_ascii_digit()),
            Some(_) => false,
        };
        !known
    })
}

fn is_name(name: &str) -> bool {
    name.len() <= 64 && name.bytes().all(|b| b.is_ascii_lowercase() || matches!(b, b'.' | b'_' | b'-'))
}

/// The lines of an event, without what ends them; between a `\r` and its `\n` stands an empty one.
fn lines(event: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(event);
    std::iter::from_fn(move || {
        let text = rest?;
        let end = memchr::memchr2(b'\n', b'\r', text.as_bytes());
        rest = end.and_then(|end| text.get(end + 1..));
        text.get(..end.unwrap_or(text.len()))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn settles(event: &str) -> Result<String, FrameError> {
        let settled = settled(event.to_owned().into(), Reading::Event)?;
        Ok(String::from_utf8(settled.to_vec()).unwrap())
    }

    /// Each is nothing to a client that keeps to the standard, and data, or a name, to one that does not.
    #[test]
    fn lines_that_clients_read_in_different_ways_do_not_leave() {
        let hidden = [
            "\u{feff}data: {}",
            " data: {}",
            "\tdata: {}",
            "\u{a0}data: {}",
            "data : {}",
            "DATA: {}",
            "data\t: {}",
            ": hi\n data: {}",
            "\u{feff}event: x",
            "Event: x",
            " event: x",
            "event : x",
            ": x\u{7f}",
            "id: \u{0}",
        ];
        let ends = ["\u{2028}", "\u{2029}", "\u{85}", "\u{b}", "\u{c}", "\u{1c}", "\u{1d}", "\u{1e}"];
        let split = ends.map(|end| format!(": x{end}data: {{}}{end}{end}"));
        for line in hidden.into_iter().chain(split.iter().map(String::as_str)) {
            for event in
                [format!("{line}\n\n"), format!("{line}\ndata: {{\"a\":1}}\n\n"), format!("data: 1\r\n{line}\r\n\r\n")]
            {
                assert_eq!(settles(&event), Err(FrameError::OddLine), "{event:?}");
            }
        }
    }

    #[test]
    fn an_event_without_data_is_a_sign_of_life() {
        for event in [": keep-alive\n\n", "event: ping\n\n", "id: 7\r\nretry: 9\r\n\r\n", "\n\n", ":", "dat: 1"] {
            assert_eq!(settles(event).unwrap(), ":\n\n", "{event:?}");
        }
        for event in
            ["data: {}\n\n", "data\n\n", "event: a\ndata: {}\n\n", ": so\r\ndata:{}", "data: {\"a\":\"é\"}\n\n"]
        {
            assert_eq!(settles(event).unwrap(), event);
        }
    }

    #[test]
    fn what_some_take_for_the_end_of_a_line_leaves_as_its_escape() {
        let event = settles("data: {\"a\":\"1\u{2028}data: 2\u{85}\u{2029}\"}\n\n").unwrap();
        assert_eq!(event, "data: {\"a\":\"1\\u2028data: 2\\u0085\\u2029\"}\n\n");
        let read =
            |event: String| with_frame(&event.into(), Reading::Event, |frame| matches!(frame.body, FrameBody::Json(_)));
        assert_eq!(read(event), Ok(true));
        for outside in ["data: {\u{2028}}", "data: \u{2028}[DONE]", "data: [DONE]\u{85}", "data: [DONE]\u{c}"] {
            assert_eq!(read(settles(&format!("{outside}\n\n")).unwrap()), Err(FrameError::NotJson), "{outside:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_settled_stays_so(event in "((data|event|id|: )?[:a \u{85}\u{2028}\u{feff}{}\"]{0,9}(\r\n|\n|\r)){0,5}") {
            if let Ok(once) = settles(&event) {
                prop_assert_eq!(settles(&once).unwrap(), once.clone());
                prop_assert!(!once.contains(LINE_ENDS));
            }
        }

        #[test]
        fn lines_are_what_stands_between_their_ends(event in "([a-zé: ]{0,9}(\r\n|\n|\r|\u{2028})?){0,9}") {
            let split: Vec<&str> = event.split(['\n', '\r']).collect();
            prop_assert_eq!(lines(&event).collect::<Vec<_>>(), split);
        }
    }
}
