use proptest::prelude::*;

use super::rows::CODES;
use super::*;
use crate::decode::tests::{given, texts, write};

/// The rows of a text, found by looking at every byte.
fn slowly(bytes: &[u8], read: usize) -> Vec<Range<usize>> {
    let (mut found, mut floor, mut at) = (Vec::new(), 0, 0);
    while at < bytes.len() {
        let row = bytes[at..].iter().take_while(|byte| CODES.has(**byte)).count();
        let digits = bytes[at..at + row].iter().filter(|byte| byte.is_ascii_digit()).count();
        if row >= LINE && digits >= LEAST {
            found.push(at..at + row);
            floor = at + row + read;
        }
        at = (at + row).max(floor).max(at + 1);
    }
    found
}

/// What rows are made of, and what ends them.
const PARTS: &str = "([0-9]{1,3}, |0x[0-9a-f]{2},|[0-9a-f]{2} |[01]{8} |chr\\([0-9]{2}\\)\\+|[0-9a-f]{1,20}|[ ]{1,70}|[a-f ]{1,30}|[a-f ]{27,40}[0-9]{11,13}[g-z]|([ ,]{0,70}[0-9]){10,13}|[g-z]|é|\n){0,40}";

/// Numbers of a table, and characters as numbers among them; sometimes what they are is hardly long enough.
fn tables() -> impl Strategy<Value = String> {
    let table = prop_oneof![
        "(0, |9, |15,|[0-9], ?|x|u ){0,12}",
        "(0x[0-9a-f]{1,4}, ?){0,9}",
        "([0-9]{1,5}, |[a-f0-9]{1,3} |_|[0-9a-f_]{1,9},){0,9}",
        "([01]{6,9}[ _]|0b[01]{7,8},|0o[0-7]{1,4} |9,|\\(){0,14}",
        "[0-9a-f]{0,80}, ?",
        "([0-9a-f]{2},){0,30}",
    ];
    let said = prop_oneof!["[ -~]{11,15}", "[ -~\t\n]{0,14}", "\\PC{3,12}", "\t{11,13}", "[\0-\u{FF}]{9,20}"];
    let shown = (said, 12u8..17).prop_map(|(said, way)| write(&said, way));
    let octal = "[ -~]{11,13}".prop_map(|said| said.bytes().map(|byte| format!("0o{byte:o} ")).collect::<String>());
    let part = prop_oneof![2 => table.prop_map(|table| table), 2 => shown, 1 => octal];
    (proptest::collection::vec(part, 1..6), 0usize..6)
        .prop_map(|(parts, cut)| parts.concat().chars().skip(cut).collect())
}

#[test]
fn tables_say_nothing_at_a_glance() {
    for (unit, says) in [("0, ", false), ("0x13b,", false), ("15, 0, ", false), ("0x80,", false), ("99,", true)] {
        let text = unit.repeat(90);
        let seen = Glance::default().may_say(text.as_bytes(), &Planes::of(&text), 0..text.len());
        assert_eq!(seen, says, "{unit}");
    }
}

/// What stands between numbers, and between rows of them.
const BETWEEN: [&str; 6] = [", ", " ", "\n", "\n\n", ",", ";\n"];

/// Numbers that are characters, with the same after each.
fn row(codes: &[u8], between: usize) -> String {
    codes.iter().map(|code| format!("{code}{}", BETWEEN[between])).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]
    /// A row is read on its own, whatever other numbers stand before it and after it, with something else between them,
    /// be it what stands between the rows.
    #[test]
    fn a_row_stands_on_a_line_of_its_own(
        before in proptest::collection::vec(33u8..127, 0..5),
        said in proptest::collection::vec(33u8..127, 20..40),
        after in proptest::collection::vec(33u8..127, 0..5),
        [begin, ours] in [0..BETWEEN.len(), 0..BETWEEN.len()],
        [first, second] in [1..BETWEEN.len(), 1..BETWEEN.len()],
        tail in prop_oneof![Just(""), Just("\n"), Just("\n\n"), Just("7 "), Just("200")],
    ) {
        let other = |more: usize| (ours + more) % BETWEEN.len();
        let (first, second) = (other(first), other(second));
        let [between, after] = [BETWEEN[second], &*row(&after, second)];
        let text = [BETWEEN[begin], &row(&before, first), &row(&said, ours), between, after, tail].concat();
        let (bytes, budget) = (text.as_bytes(), Budget::of(1 << 20));
        let mut found = false;
        numbers(bytes, 0..bytes.len(), &budget, &mut |piece| {
            found |= piece.name == "char-codes" && piece.text.lines().any(|line| line.as_bytes() == said);
            Ok(())
        }).unwrap();
        prop_assert!(found, "{text:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]
    /// Of what the look before says nothing, no way of reading says anything.
    #[test]
    fn no_row_that_says_something_is_left_out(text in prop_oneof![3 => tables(), 1 => texts()]) {
        let (bytes, planes, budget) = (text.as_bytes(), Planes::of(&text), Budget::of(1 << 20));
        let mut glance = Glance::default();
        for part in slowly(bytes, 0).into_iter().chain([0..bytes.len(), 0..bytes.len() / 2]) {
            let said = given(|sink| numbers(bytes, part.clone(), &budget, sink));
            prop_assert!(glance.may_say(bytes, &planes, part) || said.is_empty(), "{:?}", said);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]
    /// A digit that is passed over begins no row, wherever reading ends.
    #[test]
    fn no_row_is_passed_over(text in prop_oneof![texts(), PARTS.prop_map(|text| text)], read in prop_oneof![Just(0), 0usize..90]) {
        let mut fast = Vec::new();
        rows(text.as_bytes(), &Planes::of(&text), &mut |row| {
            fast.push(row.clone());
            Ok(row.end + read)
        }).unwrap();
        prop_assert_eq!(fast, slowly(text.as_bytes(), read));
    }
}
