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

/// Parses a frame and shows it.
///
/// # Errors
/// When the bytes are not what they should be: what cannot be read cannot be judged.
pub fn with_frame<T>(raw: &Bytes, reading: Reading, show: impl FnOnce(&Frame<'_>) -> T) -> Result<T, FrameError> {
    match reading {
        Reading::Json => {
            if raw.iter().all(u8::is_ascii_whitespace) {
                return Ok(show(&Frame { raw, body: FrameBody::Empty, beside: None }));
            }
            let json = Json::parse(raw).map_err(|_| FrameError::NotJson)?;
            Ok(show(&Frame { raw, body: FrameBody::Json(&json), beside: None }))
        }
        Reading::Text => {
            let text = std::str::from_utf8(raw).map_err(|_| FrameError::NotText)?;
            Ok(show(&Frame { raw, body: FrameBody::Text(text), beside: None }))
        }
        Reading::Event => {
            let text = std::str::from_utf8(raw).map_err(|_| FrameError::NotText)?;
            let Some(data) = event_data(text) else {
                // Comments and bare fields reach nobody, but they leave the gate: judge them.
                let body = if text.trim().len() > 1 { FrameBody::Text(text) } else { FrameBody::Empty };
                return Ok(show(&Frame { raw, body, beside: None }));
            };
            if data.trim() == "[DONE]" {
                return Ok(show(&Frame { raw, body: FrameBody::End, beside: has_loose_text(text).then_some(text) }));
            }
            let json = Json::parse_text(&data).map_err(|_| FrameError::NotJson)?;
            let beside = has_loose_text(text).then_some(text);
            Ok(show(&Frame { raw, body: FrameBody::Json(&json), beside }))
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

    proptest! {
        #[test]
        fn lines_are_what_stands_between_their_ends(event in "([a-zé: ]{0,9}(\r\n|\n|\r|\u{2028})?){0,9}") {
            let split: Vec<&str> = event.split(['\n', '\r']).collect();
            prop_assert_eq!(lines(&event).collect::<Vec<_>>(), split);
        }
    }
}
