//! An entry as a line for people.

use super::entry::{Entry, NOTHING};
use crate::cli::printable::printable;

/// An entry as a line for people, in colour or without.
pub(super) fn row(entry: &Entry, colour: bool) -> String {
    let (on, off) = match (colour, entry.text("policy_decision")) {
        (true, "BLOCK") => ("\u{1b}[31m", "\u{1b}[0m"),
        (true, "ALLOW") => ("\u{1b}[32m", "\u{1b}[0m"),
        _ => ("", ""),
    };
    // Whoever could write to the log could write to the terminal of its reader.
    let text = |key: &str| printable(entry.text(key));
    let or_dash = |text: String| if text.is_empty() { NOTHING.to_owned() } else { text };
    let decision = text("policy_decision");
    let what = if decision.is_empty() { text("event_type") } else { decision };
    let tried = if entry.is_shadow() { ", shadow" } else { "" };
    let repairs = match entry.number("repairs") {
        0 => String::new(),
        count => format!(", repairs {count}"),
    };
    format!(
        "{} {on}{what:<5}{off} {} {:<24} {} {} {} {} {:.1} ms{tried}{repairs}",
        text("timestamp").get(..23).unwrap_or_default(),
        or_dash(text("request_id")),
        or_dash(text("code")),
        or_dash(text("node_id").chars().take(20).collect()),
        text("method"),
        text("path"),
        or_dash(text("model")),
        entry.number("duration_us") as f64 / 1000.0,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_what_was_only_tried_and_what_was_asked_once_more() {
        let entry = |more: &str| {
            Entry::read(
                format!(
                    r#"{{"timestamp": "2026-11-21T08:00:00.123456+00:00", "policy_decision": "ALLOW", "request_id": "01R", "code": "sca.vulnerable", "method": "POST", "path": "/api/chat", "duration_us": 1500{more}}}"#
                )
                .as_bytes(),
            )
            .unwrap()
        };
        let plain = row(&entry(""), false);
        assert!(plain.starts_with("2026-11-21T08:00:00.123 ALLOW 01R sca.vulnerable "), "{plain}");
        assert!(plain.ends_with(" 1.5 ms"), "{plain}");
        assert_eq!(row(&entry(r#", "shadow": true, "repairs": 2"#), false), format!("{plain}, shadow, repairs 2"));
        assert!(row(&entry(""), true).contains("\u{1b}[32mALLOW\u{1b}[0m"));
    }

    #[test]
    fn nothing_in_a_line_moves_the_cursor() {
        let entry =
            Entry::read(br#"{"path": "/\u001b[2J\u202e", "node_id": "\u009b1234567890123456789012345"}"#).unwrap();
        let row = row(&entry, false);
        assert!(row.chars().all(|c| !c.is_control() && c != '\u{202e}'), "{row:?}");
    }
}
