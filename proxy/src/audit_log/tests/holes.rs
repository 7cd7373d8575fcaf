//! Holes in the newest entries, small ones and such as are larger than what is read at once: none is taken for the end of
//! the log.

use portcullis_audit::MAX_LINE;

use super::refused::{everything, refused};
use super::repair::{cut_short, find};
use super::*;
use crate::audit_log::resume::PIECE;
use crate::audit_log::segment::SegmentFile;

/// What stands behind a hole.
#[derive(Clone, Copy, Debug)]
enum Behind {
    /// The rest of the line that it begins in, and whole ones.
    Rest,
    /// Its own newline, and whole lines.
    Lines,
    /// Newlines alone.
    Newlines,
    /// Nothing that has an end.
    Nothing,
}

/// Puts a hole of so many zeros before this line of segment 0, and says where.
fn hole(home: &Home, line: usize, zeros: usize, behind: Behind, torn: bool) -> u64 {
    let lines = home.lines(0);
    let before = lines[..line].concat();
    let begin = before.len() as u64;
    let rest = match behind {
        Behind::Rest => lines[line..].concat().split_off(10),
        Behind::Lines => [b"\n".to_vec(), lines[line..].concat()].concat(),
        Behind::Newlines => b"\n\n".to_vec(),
        Behind::Nothing => Vec::new(),
    };
    let last: &[u8] = if torn { b"{\"code\": \"" } else { b"" };
    fs::write(home.segment(0), [before, vec![0; zeros], rest, last.to_vec()].concat()).unwrap();
    begin
}

fn sizes() -> impl Iterator<Item = usize> {
    [MAX_LINE, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE].into_iter()
}

#[test]
fn no_hole_is_the_end_of_the_log_and_all_of_it_is_kept() {
    let whole = cut_short();
    let behind = [Behind::Rest, Behind::Lines, Behind::Newlines, Behind::Nothing];
    for (zeros, behind, torn) in sizes()
        .flat_map(|zeros| behind.map(|behind| (zeros, behind)))
        .flat_map(|(z, b)| [false, true].map(|torn| (z, b, torn)))
    {
        let case = format!("{zeros} {behind:?} {torn}");
        let home = whole.copy();
        let begin = hole(&home, 8, zeros, behind, torn);
        let before = everything(&home);
        match home.try_open(settings()) {
            Err(error @ AuditLogError::Unsigned { .. }) => {
                let said = error.to_string();
                assert!(said.contains("number 8") && said.contains("portcullis audit repair"), "{case}: {said}");
            }
            Err(error) => panic!("{case}: {error}"),
            Ok((_, opened)) => panic!("{case}: it goes on, {opened:?}"),
        }
        let found = find(&home).unwrap().expect("damage");
        assert!(before == everything(&home), "{case}: a look changes nothing");
        let damaged = fs::read(home.segment(0)).unwrap().split_off(begin as usize);
        assert_eq!((found.damage.holds, found.damage.entries, found.damage.signed), (begin, 8, 5), "{case}");
        assert_eq!(found.damage.bytes, damaged.len() as u64, "{case}");
        let taken = found.take_off(&home.key(), Arc::clone(&home.node), settings()).unwrap();
        assert!(fs::read(taken.kept).unwrap() == damaged, "{case}: something is not kept");
        home.more(1, &settings());
        assert_eq!(home.verify(), 10, "{case}: eight, the one that tells of it, and the new one");
        assert_eq!(home.check().doubts, [], "{case}");
    }
}

#[test]
fn a_hole_before_what_was_signed_is_refused_and_not_taken_off() {
    let whole = cut_short();
    for (zeros, without_state) in sizes().flat_map(|zeros| [(zeros, false), (zeros, true)]) {
        let home = whole.copy();
        hole(&home, 3, zeros, Behind::Lines, false);
        if without_state {
            fs::remove_file(home.log_dir().join("state.json")).unwrap();
        }
        refused(&home, if without_state { "number 3" } else { "another entry stands" });
        let before = everything(&home);
        assert!(matches!(find(&home), Err(AuditLogError::Damaged { .. })), "{zeros}");
        assert!(before == everything(&home), "{zeros}");
    }
}

#[test]
fn a_hole_in_an_earlier_segment_is_refused() {
    let whole = Home::with(12, &AuditSettings { segment_bytes: 2_000, ..settings() });
    fs::remove_file(whole.log_dir().join("state.json")).unwrap();
    for (zeros, behind) in sizes().flat_map(|zeros| [(zeros, Behind::Lines), (zeros, Behind::Nothing)]) {
        let home = whole.copy();
        hole(&home, 1, zeros, behind, false);
        refused(&home, "number 1");
        assert!(matches!(find(&home), Err(AuditLogError::Damaged { .. })), "{zeros} {behind:?}");
    }
}

#[test]
fn a_hole_where_the_newest_segment_begins_hides_nothing_that_was_signed() {
    let home = Home::with(12, &AuditSettings { segment_bytes: 2_000, ..settings() });
    let newest = *segment::numbers(&home.log_dir(), ".jsonl").unwrap().last().unwrap();
    home.more(2 * MAX_LINE as u64 / 400, &settings());
    let mut bytes = fs::read(home.segment(newest)).unwrap();
    assert!(bytes.len() > 2 * MAX_LINE);
    bytes[..MAX_LINE].fill(0);
    fs::write(home.segment(newest), bytes).unwrap();
    refused(&home, "it is not the one that was signed when its segment ended");
}

#[test]
fn what_is_as_long_as_a_line_may_be_is_a_torn_one() {
    let whole = cut_short();
    for torn in [1, MAX_LINE - 1] {
        let home = whole.copy();
        hole(&home, 12, torn, Behind::Nothing, false);
        assert!(find(&home).unwrap().is_none());
        let (log, opened) = home.open(settings());
        log.close();
        assert_eq!(opened.repaired, Some(torn as u64));
        assert_eq!((home.verify(), home.check().doubts), (13, vec![]));
    }
}

#[test]
fn what_is_not_the_end_that_was_found_is_not_cut_off() {
    let home = Home::with(3, &settings());
    let whole = fs::read(home.segment(0)).unwrap();
    let length = whole.len() as u64;
    let ends = |bytes: &[u8], torn| {
        fs::write(home.segment(0), bytes).unwrap();
        SegmentFile::open(&home.log_dir(), 0).unwrap().ends_with(length, torn).unwrap()
    };
    assert!(ends(&whole, 0));
    assert!(ends(&[&whole[..], b"{\"code"].concat(), 6));
    for (end, torn) in [(&b"{\"code"[..], 0), (b"{\"code", 5), (b"{\"code", 7), (b"{\"cod\n", 6), (b"\n{\"cod", 6)] {
        assert!(!ends(&[&whole[..], end].concat(), torn), "{end:?} {torn}");
    }
    assert!(!ends(&[&whole[..whole.len() - 1], b"{{"].concat(), 1), "no line ends before it");
    assert!(!ends(&[&whole[..], &[0; MAX_LINE]].concat(), MAX_LINE as u64));
    // Nor is a segment gone on with that was changed since its end was found.
    fs::write(home.segment(0), &whole).unwrap();
    let signer = signer(&home.log_dir(), &home.node).unwrap();
    let end = resume::end_of_log(&home.log_dir(), &home.key().segments(), &signer).unwrap();
    assert!(end.open(&home.log_dir()).is_ok());
    fs::write(home.segment(0), [&whole[..], b"a line\n"].concat()).unwrap();
    assert!(matches!(end.open(&home.log_dir()), Err(AuditLogError::Damaged { .. })));
}
