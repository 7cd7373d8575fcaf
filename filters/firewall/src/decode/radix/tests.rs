use proptest::prelude::*;

use super::*;
use crate::decode::tests::{all_runs, given, kept_runs, texts, write};

/// Short texts in lines that are hardly long enough, often without a digit in the first one.
fn lines_of_few() -> impl Strategy<Value = String> {
    let said = prop_oneof!["[ -~]{18}", "[a-z]{18}", "[ -~]{20,60}", "[A-Z ]{10,40}"];
    (said, 0u8..8, 16usize..27, prop_oneof!["\n", "\r\n", "\n", ", "], "[ ,.]?").prop_map(
        |(said, way, width, gap, end)| {
            let written: Vec<char> = write(&said, way).chars().collect();
            written.chunks(width).map(|line| line.iter().collect::<String>()).collect::<Vec<_>>().join(&gap) + &end
        },
    )
}

/// Runs that are just long enough, and just not.
fn shortest() -> impl Strategy<Value = String> {
    proptest::collection::vec("[ -~]{17,18}", 6)
        .prop_map(|said| said.iter().map(|said| write(said, 1) + ", ").collect())
}

/// The same without a look before: every run is the first line of what may be more.
fn each_slowly(text: &str, runs: &[Range<usize>], budget: &Budget, sink: &mut Sink<'_>) -> Result<(), Exhausted> {
    let bytes = text.as_bytes();
    let mut block = Block::default();
    for first in runs {
        let line = &bytes[first.clone()];
        let mut give = |text: &str, end, name| sink(Piece { text, from: From::Run(first.start, end), name });
        if first.start >= block.end {
            let mut symbols = line.to_vec();
            let end = lines(bytes, first, &mut symbols);
            block = Block { end, read: None };
            if symbols.len() >= LEAST {
                block.read = decode(&symbols, budget, &mut |text, name| give(text, end, name))?;
            }
            if symbols.len() == line.len() {
                continue;
            }
        }
        let alone = matches!(bytes.get(first.end), Some(b' ' | b'\t'));
        if line.len() >= LEAST && (alone || block.read.is_none_or(|name| !is_in(line, name) || is_packed(line))) {
            decode(line, budget, &mut |text, name| give(text, first.end, name))?;
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]
    /// A run that is passed over would have said nothing.
    #[test]
    fn no_run_that_says_something_is_passed_over(text in prop_oneof![texts(), lines_of_few(), shortest()]) {
        let budget = Budget::of(1 << 20);
        let slow = given(|sink| each_slowly(&text, &all_runs(&text), &budget, sink));
        prop_assert_eq!(given(|sink| each(&text, &kept_runs(&text).all, &budget, sink)), slow);
    }

    /// The table says what the alphabets are.
    #[test]
    fn a_run_is_written_in_what_has_its_symbols(run in "(0x|)([0-9a-f]{1,9}|[2-7a-z]{1,9}|[A-Z2-7]{1,9}|[a-zA-Z0-9+/_-]{0,3})") {
        let symbols = bare(run.as_bytes());
        let is_in = |alphabet: &Alphabet| symbols.iter().all(|symbol| alphabet.has(*symbol));
        let has = |kind: fn(&u8) -> bool| symbols.iter().any(kind);
        let (upper, lower) = (has(u8::is_ascii_uppercase), has(u8::is_ascii_lowercase));
        let mut names = Vec::new();
        if is_in(&HEX) {
            names.push("hex");
        } else {
            if is_in(&BASE32) && !(upper && lower) {
                names.push("base32");
            }
            if (upper && lower) || (has(u8::is_ascii_digit) && (upper || lower)) {
                names.push("base64");
            }
        }
        prop_assert_eq!(alphabets(run.as_bytes()).into_iter().flatten().map(|a| a.name).collect::<Vec<_>>(), names);
    }
}

proptest! {
    #[test]
    fn every_symbol_says_its_kinds(symbols in "[A-Z]{0,40}[a-z]{0,9}|[0-9a-fA-F]{0,60}[g-z]?|[a-z2-7]{0,40}[01_+/-]?|[a-z0-9_-]{14,18}|\\PC{0,30}") {
        let slow = symbols.bytes().fold(0, |kinds, byte| kinds | kinds_of(byte));
        prop_assert_eq!(kinds(symbols.as_bytes()), slow);
    }
}
