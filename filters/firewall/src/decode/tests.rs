//! Texts that are rich in what almost is encoded, and what is found in them with and without the looks before.

use data_encoding::{BASE32_NOPAD, BASE64, BASE64URL_NOPAD, HEXLOWER, HEXUPPER};
use proptest::prelude::*;

use super::*;
use crate::scan::Exhausted;

/// What stands between parts of what is cut, and between pieces.
const GAPS: [&str; 16] =
    ["", "", "", "\n", "\r\n", " ", "\\\n", " \n", "\n> ", "\t", "=", "==\n", "\"", ", ", "/", ".\n\n"];

/// Texts of pieces that are written in many ways, cut anywhere, wrapped at any width.
pub(super) fn texts() -> impl Strategy<Value = String> {
    proptest::collection::vec((piece(), 0..GAPS.len()), 0..9)
        .prop_map(|pieces| pieces.iter().map(|(piece, gap)| format!("{piece}{}", GAPS[*gap])).collect())
}

fn piece() -> impl Strategy<Value = String> {
    let said = prop_oneof![
        "[ -~]{0,60}",
        "[a-zA-Z0-9_]{10,50}",
        "(gh[pousr]_|sk-|AKIA|xox[bp]-|glpat-)[A-Za-z0-9]{0,40}",
        "[a-f0-9]{10,70}",
        "[a-z]{10,40}",
        "[a-z/_-]{10,50}",
        "[A-Z2-7]{16,40}",
        "([a-z]{1,9} ?){1,9}",
        "\\PC{0,20}",
    ];
    (said, 0u8..24, 0u8..12, 0u8..12, 1usize..80, 0..GAPS.len()).prop_map(|(said, way, from, to, width, gap)| {
        let written: Vec<char> = write(&said, way).chars().collect();
        // Half of them are whole.
        let from = usize::from(from.saturating_sub(6)).min(written.len());
        let to = written.len().saturating_sub(usize::from(to.saturating_sub(6))).max(from);
        let lines: Vec<String> = written[from..to].chunks(width.max(4)).map(|line| line.iter().collect()).collect();
        lines.join(GAPS[gap])
    })
}

/// Writes a text in one way.
pub(crate) fn write(text: &str, way: u8) -> String {
    let bytes = text.as_bytes();
    let each = |write: &dyn Fn(u8) -> String| bytes.iter().map(|byte| write(*byte)).collect::<String>();
    let turned = |text: &str| text.chars().rev().collect::<String>();
    let moved = |text: &str| {
        let turn = |c: char, first: u8| char::from((c as u8 - first + 13) % 26 + first);
        let letter = |c: char| match c {
            'a'..='z' => turn(c, b'a'),
            'A'..='Z' => turn(c, b'A'),
            _ => c,
        };
        text.chars().map(letter).collect::<String>()
    };
    match way {
        0 => BASE64.encode(bytes),
        1 => BASE64URL_NOPAD.encode(bytes),
        2 => BASE32_NOPAD.encode(bytes),
        3 => BASE32_NOPAD.encode(bytes).to_lowercase(),
        4 => HEXLOWER.encode(bytes),
        5 => HEXUPPER.encode(bytes),
        6 => format!("0x{}", HEXLOWER.encode(bytes)),
        7 => turned(text),
        8 => moved(text),
        9 => turned(&BASE64.encode(bytes)),
        10 => moved(&BASE64.encode(bytes)),
        11 => BASE64.encode(BASE64.encode(bytes).as_bytes()),
        12 => each(&|byte| format!("{byte}, ")),
        13 => each(&|byte| format!("0x{byte:02x},")),
        14 => each(&|byte| format!("{byte:02x} ")),
        15 => each(&|byte| format!("chr({byte})+")),
        16 => each(&|byte| format!("{byte:08b} ")),
        17 => each(&|byte| format!("%{byte:02X}")),
        18 => each(&|byte| format!("={byte:02X}")),
        19 => each(&|byte| format!("\\x{byte:02x}")),
        20 => each(&|byte| format!("\\u{byte:04x}")),
        21 => each(&|byte| format!("&#{byte};")),
        22 => format!("00000000: {} ", each(&|byte| format!("{byte:02x} "))),
        _ => text.to_owned(),
    }
}

/// What a decoder gives: of each piece where it is from, what it says, and how it was encoded.
pub(super) fn given(decode: impl FnOnce(&mut Sink<'_>) -> Result<(), Exhausted>) -> Vec<String> {
    let mut pieces = Vec::new();
    decode(&mut |piece| {
        pieces.push(format!("{piece:?}"));
        Ok(())
    })
    .unwrap();
    pieces
}

/// Every long run of a text, whatever it may say.
pub(super) fn all_runs(text: &str) -> Vec<Range<usize>> {
    let mut at = 0;
    let runs = text.as_bytes().split(|byte| !radix::is_symbol(*byte)).map(|run| {
        at += run.len() + 1;
        at - run.len() - 1..at - 1
    });
    runs.filter(|run| run.len() >= radix::LINE as usize).collect()
}

/// Those that are kept.
pub(super) fn kept_runs(text: &str) -> Runs {
    let mut runs = Runs::default();
    let planes = Planes::of(text);
    runs.read(text, &planes);
    runs.find_words(text, &planes);
    runs
}
