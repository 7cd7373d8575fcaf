use proptest::prelude::*;

use super::*;
use crate::decode::tests::texts;

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
const PARTS: &str = "([0-9]{1,3}, |0x[0-9a-f]{2},|[0-9a-f]{2} |[01]{8} |chr\\([0-9]{2}\\)\\+|[0-9a-f]{1,20}|[ ]{1,70}|[a-f ]{1,30}|[g-z]|é|\n){0,40}";

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
