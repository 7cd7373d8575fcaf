use proptest::prelude::*;

use super::*;
use crate::chain::{Chain, Seal};
use crate::entry::Entry;

fn key() -> SealKey {
    SealKey::new(&[7; 32]).unwrap()
}

fn log(entries: u64) -> Vec<Vec<u8>> {
    let mut chain = Chain::resume(key(), Position::START);
    (0..entries)
        .map(|i| {
            let path = format!("/api/ch\u{e4}t/{i}");
            let entry = Entry {
                event_type: "request",
                path: &path,
                policy_decision: "ALLOW",
                request_bytes: i,
                ..Entry::default()
            };
            let mut line = Vec::new();
            chain.seal(&entry.draft(), 1_700_000_000_000_000 + i, &mut line);
            line
        })
        .collect()
}

fn check(lines: &[Vec<u8>]) -> Checked {
    check_lines(&lines.concat(), Some(&key()), Position::START)
}

#[test]
fn accepts_what_was_written_and_nothing_else() {
    let lines = log(5);
    let checked = check(&lines);
    assert_eq!((checked.lines, checked.bad), (5, None));
    assert_eq!(Some(checked.position), Position::after(&lines[4]));
    assert_eq!(checked.leaves, lines.iter().map(|l| leaf_hash(&l[..l.len() - 1])).collect::<Vec<_>>());
    assert_eq!(checked.first, "2023-11-14T22:13:20.000000+00:00");
    assert_eq!(checked.last, "2023-11-14T22:13:20.000004+00:00");

    let mut removed = lines.clone();
    removed.remove(2);
    assert_eq!(check(&removed).bad, Some((2, BadLine::Sequence { found: 3, expected: 2 })));
    let mut swapped = lines.clone();
    swapped.swap(1, 2);
    assert_eq!(check(&swapped).bad, Some((1, BadLine::Sequence { found: 2, expected: 1 })));
    let mut doubled = lines.clone();
    doubled.insert(3, lines[2].clone());
    assert_eq!(check(&doubled).bad, Some((3, BadLine::Sequence { found: 2, expected: 3 })));
    let mut torn = lines.clone();
    torn[4].pop();
    let checked = check(&torn);
    assert_eq!((checked.lines, checked.bad), (4, Some((4, BadLine::Torn))));
    assert_eq!(Some(checked.position), Position::after(&lines[3]));
    let mut empty = lines.clone();
    empty.insert(1, b"\n".to_vec());
    assert_eq!(check(&empty).bad, Some((1, BadLine::Form)));

    let other = SealKey::new(&[8; 32]).unwrap();
    assert_eq!(check_lines(&lines[0], Some(&other), Position::START).bad, Some((0, BadLine::Seal)));
    let elsewhere = Position { next_seq: 0, previous: Seal([b'1'; 64]) };
    assert_eq!(check_lines(&lines[0], Some(&key()), elsewhere).bad, Some((0, BadLine::Seal)));
    // Without a key the seals are not looked at, everything else is.
    assert_eq!(check_lines(&lines.concat(), None, Position::START), check(&lines));
    assert_eq!(check_lines(&removed.concat(), None, Position::START).bad.map(|(line, _)| line), Some(2));
    let nothing = check_lines(b"", Some(&key()), Position::START);
    assert_eq!((nothing.lines, nothing.bad, nothing.position), (0, None, Position::START));
}

#[test]
fn a_seal_elsewhere_in_its_line_is_refused() {
    // The bytes that the seal covers are the same, wherever its own text stands.
    let line = String::from_utf8(log(1).remove(0)).unwrap();
    let at = line.find(", \"entry_hmac\"").unwrap();
    let seal = &line[at..at + 82];
    let without = line.replacen(seal, "", 1);
    for (comma, _) in without.match_indices(", \"") {
        let mut moved = without.clone();
        moved.insert_str(comma, seal);
        let checked = check(&[moved.clone().into_bytes()]);
        assert_eq!(checked.bad.is_none(), moved == line, "{moved}");
    }
}

#[test]
fn names_out_of_order_or_twice_are_refused_even_when_sealed() {
    let line = String::from_utf8(log(1).remove(0)).unwrap();
    let swapped = line.replace("\"code\": \"\", \"data_level\": \"\"", "\"data_level\": \"\", \"code\": \"\"");
    let twice = line.replace("\"code\": \"\"", "\"code\": \"\", \"code\": \"\"");
    let spelt = line.replace("/api/", "\\/api/");
    for changed in [swapped, twice, spelt] {
        assert_ne!(changed, line);
        // Sealed anew by somebody who has the key.
        let at = changed.find(", \"entry_hmac\": \"").unwrap();
        let unsealed = [&changed[..at], changed[at + 82..].trim_end()].concat();
        let mac = key().mac(&[&Seal::GENESIS.0, unsealed.as_bytes()]);
        let seal = format!(", \"entry_hmac\": \"{}\"", data_encoding::HEXLOWER.encode(&mac));
        let sealed = [&unsealed[..at], &seal, &unsealed[at..], "\n"].concat();
        assert_eq!(check(&[sealed.into_bytes()]).bad, Some((0, BadLine::Form)));
    }
}

#[test]
fn a_segment_begins_after_the_line_that_it_names() {
    let second = SealKey::new(&[9; 32]).unwrap();
    let mut chain = Chain::resume(key(), Position::START);
    let mut before = Vec::new();
    chain.seal(&Entry::default().draft(), 1, &mut before);
    let border = chain.position();
    for previous in [border.previous, Seal::GENESIS] {
        let entry = Entry { previous_hmac: previous.as_str(), segment: 1, ..Entry::default() };
        let mut line = Vec::new();
        chain.restore(border);
        chain.rekey(second.clone());
        chain.seal(&entry.draft(), 2, &mut line);
        let expected = (previous != border.previous).then_some((0, BadLine::Segment));
        assert_eq!(check_lines(&line, Some(&second), border).bad, expected);
        assert_eq!(check_lines(&line, None, border).bad, expected);
        assert!(check_lines(&line, Some(&key()), border).bad.is_some());
    }
}

proptest! {
    #[test]
    fn any_changed_byte_is_noticed(at in 0usize..10_000, flip in 1u8..=255) {
        let mut bytes = log(3).concat();
        let at = at % bytes.len();
        bytes[at] ^= flip;
        prop_assert!(check_lines(&bytes, Some(&key()), Position::START).bad.is_some());
    }

    #[test]
    fn pieces_say_what_the_whole_says(
        lines in 0u64..12,
        count in 0usize..20,
        change in proptest::option::of((any::<usize>(), any::<u8>())),
        cut in proptest::option::of(any::<usize>()),
    ) {
        let mut bytes = log(lines).concat();
        if let Some((at, byte)) = change && !bytes.is_empty() {
            let at = at % bytes.len();
            bytes[at] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut % (bytes.len() + 1));
        }
        let whole = check_lines(&bytes, Some(&key()), Position::START);
        let pieces = pieces(&bytes, Position::START, count);
        prop_assert!(pieces.len() <= count.max(1));
        prop_assert_eq!(pieces.iter().flat_map(|piece| piece.bytes).copied().collect::<Vec<_>>(), bytes.clone());
        let checked = pieces.iter().map(|piece| check_lines(piece.bytes, Some(&key()), piece.from));
        let joined = checked.reduce(|mut all, next| {
            all.join(next);
            all
        });
        prop_assert_eq!(joined.unwrap(), whole);
    }
}
