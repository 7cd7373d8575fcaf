//! What an answer does that is written to get past the eye.

use portcullis_firewall::draw;

use super::tests::{Format, play, send, shapes};
use super::*;
use crate::firewall::settings::RuleAction;

fn pieces(text: &str, size: usize) -> Vec<&str> {
    text.as_bytes().chunks(size).map(|piece| std::str::from_utf8(piece).unwrap()).collect()
}

#[test]
fn what_has_left_is_refused_and_not_marked() {
    let judge = shapes(Some(RuleAction::Redact));
    let token = draw("the token is gha_{b62:36} ok", 5).unwrap();
    let base64 = data_encoding::BASE64.encode(token.as_bytes());
    let percent: String = token.bytes().map(|byte| format!("%{byte:02X}")).collect();
    for hidden in [base64, percent] {
        let text = format!("it is {hidden} and so on, more words.");
        for size in [1, 4, 7] {
            let (sent, refusal) = play(&judge, Format::Lines, &pieces(&text, size));
            assert_eq!(refusal.map(|no| no.code), Some(Code::FirewallOutputSecret), "{size}: {sent:?}");
            assert!(!sent.concat().contains("redacted"), "{size}: {sent:?}");
        }
        let (sent, refusal) = play(&judge, Format::Lines, &[&text]);
        assert_eq!(refusal, None);
        assert!(!sent.concat().contains(&hidden) && sent.concat().contains("redacted"), "{sent:?}");
    }
}

#[test]
fn what_brings_no_text_lets_nothing_go() {
    let text = draw("gha_{b62:36} and", 5).unwrap();
    let empty = Format::Events.write("");
    for filler in [": ping\n\n", "event: ping\ndata: {\"type\":\"ping\"}\n\n", empty.as_str()] {
        let mut frames = Vec::new();
        for piece in pieces(&text, 1) {
            frames.push(Format::Events.write(piece));
            frames.extend((0..PATIENCE + 2).map(|_| filler.to_owned()));
        }
        let (sent, refusal) = send(&shapes(None), Format::Events, &frames);
        assert_eq!(refusal.map(|no| no.code), Some(Code::FirewallOutputSecret), "{filler}");
        let left =
            sent.iter().filter(|frame| frame.contains("\"content\":\"") && !frame.contains("\"content\":\"\"")).count();
        assert!(left <= "gha_".len(), "{filler}: {left} characters left");
    }
}
