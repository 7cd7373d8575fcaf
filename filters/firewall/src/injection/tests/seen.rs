//! What reads the same as a reader sees it is judged there alone, and no injection is lost by that.

use super::Judge;
use super::marks::FOUND;
use crate::injection::reads_the_same;

/// As a word processor writes it.
fn printed(text: &str) -> String {
    let mut open = false;
    let mut written = String::new();
    for c in text.replace("...", "…").replace(" - ", " – ").chars() {
        written.push(match c {
            '\'' => '’',
            '"' => {
                open = !open;
                if open { '“' } else { '”' }
            }
            '!' | '?' | ':' | ',' if !text.is_ascii() => char::from_u32(u32::from(c) + 0xfee0).unwrap_or(c),
            c => c,
        });
    }
    written + "\u{a0}…"
}

#[test]
fn what_is_seen_is_enough() {
    let mut judge = Judge::new();
    let mut same = 0;
    for (text, by) in FOUND.iter() {
        let text = printed(text);
        let Some(view) = crate::view::of(&text).filter(|view| reads_the_same(&text, view)) else { continue };
        same += 1;
        assert!(judge.score(&view.text, *by) >= judge.score(&text, *by).min(50), "{text}");
    }
    assert!(same * 2 > FOUND.len(), "{same} of {}", FOUND.len());
}
