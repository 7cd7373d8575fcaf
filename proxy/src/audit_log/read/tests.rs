use std::fs::{self, OpenOptions};
use std::io::Write as _;

use proptest::prelude::*;
use tempfile::TempDir;

use super::lines::MAX_LINE;
use super::*;

/// A log in a folder of its own.
struct Log(TempDir);

impl Log {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn dir(&self) -> &Path {
        self.0.path()
    }

    fn path(&self, number: u64) -> PathBuf {
        self.dir().join(format!("audit-{number:06}.jsonl"))
    }

    fn append(&self, number: u64, bytes: &[u8]) {
        let mut file = OpenOptions::new().create(true).append(true).open(self.path(number)).unwrap();
        file.write_all(bytes).unwrap();
    }

    /// Compresses a segment, as after a rotation.
    fn pack(&self, number: u64) {
        self.pack_beside(number);
        fs::remove_file(self.path(number)).unwrap();
    }

    fn pack_beside(&self, number: u64) {
        let packed = zstd::encode_all(&*fs::read(self.path(number)).unwrap(), 3).unwrap();
        fs::write(self.packed(number), packed).unwrap();
    }

    fn packed(&self, number: u64) -> PathBuf {
        self.dir().join(format!("audit-{number:06}.jsonl.zst"))
    }
}

/// Reads to the end, and tells what was met.
fn read(reader: &mut Reader) -> Vec<String> {
    let mut met = Vec::new();
    loop {
        met.push(match reader.next().unwrap() {
            Step::Line(line) => String::from_utf8_lossy(line).trim_end().to_owned(),
            Step::Damaged(Damage { file, line, why }) => {
                format!("{}:{line}: {why}", file.file_name().unwrap().to_string_lossy())
            }
            Step::Pruned(gone) => format!("pruned {}-{}", gone.start(), gone.end()),
            Step::TakenBack => "taken back".to_owned(),
            Step::End { is_torn: true } => "torn".to_owned(),
            Step::End { is_torn: false } => return met,
        });
        if met.last().is_some_and(|last| last == "torn") {
            return met;
        }
    }
}

fn all(log: &Log) -> Vec<String> {
    read(&mut Reader::oldest(log.dir()).unwrap())
}

#[test]
fn a_log_that_has_not_begun_is_waited_for() {
    let log = Log::new();
    let mut reader = Reader::oldest(&log.dir().join("audit")).unwrap();
    assert!(read(&mut reader).is_empty(), "no folder");
    fs::create_dir(log.dir().join("audit")).unwrap();
    assert!(read(&mut reader).is_empty(), "no file");
    fs::write(log.dir().join("audit/audit-000001.jsonl"), "a\n").unwrap();
    assert_eq!(read(&mut reader), ["a"], "the first has any number");
    assert_eq!(reader.cursor(), Cursor { segment: 1, offset: 2 });
}

#[test]
fn a_line_is_one_once_it_has_its_end() {
    let log = Log::new();
    log.append(0, b"a\nb");
    let mut reader = Reader::oldest(log.dir()).unwrap();
    assert_eq!(read(&mut reader), ["a", "torn"]);
    assert_eq!(reader.cursor(), Cursor { segment: 0, offset: 2 });
    // It is taken back, and another one written in its place.
    fs::write(log.path(0), b"a\ncc").unwrap();
    assert_eq!(read(&mut reader), ["torn"]);
    log.append(0, b"c\nd\n");
    assert_eq!(read(&mut reader), ["ccc", "d"]);
}

#[test]
fn nothing_is_read_from_the_end_on_that_was_said() {
    let log = Log::new();
    log.append(0, b"a\nb\n");
    log.append(1, b"c\nd\n");
    log.append(2, b"e\n");
    let mut reader = Reader::oldest(log.dir()).unwrap();
    let upto = |segment, offset| Cursor { segment, offset };
    for (end, expected) in [
        (upto(0, 0), &[][..]),
        (upto(0, 2), &["a"]),
        (upto(0, 2), &[]),
        (upto(0, 4), &["b"]),
        (upto(1, 0), &[]),
        (upto(1, 2), &["c"]),
        // What is said meanwhile counts in the part that is open, and in those to which it comes.
        (upto(2, 0), &["d"]),
        (upto(2, 2), &["e"]),
    ] {
        reader.until(end);
        assert_eq!(read(&mut reader), expected, "{end:?}");
        assert!(reader.cursor() <= end, "{end:?}");
    }
    // Where its segment is gone, it does not go past the one in which it ends either.
    let mut reader = Reader::from(log.dir(), upto(0, 2));
    reader.until(upto(1, 2));
    for number in 0..2 {
        fs::remove_file(log.path(number)).unwrap();
    }
    assert!(read(&mut reader).is_empty());
    reader.until(upto(2, 2));
    assert_eq!(read(&mut reader), ["pruned 0-1", "e"]);
}

#[test]
fn reading_goes_on_in_the_next_segment() {
    let log = Log::new();
    log.append(0, b"a\n");
    let mut reader = Reader::oldest(log.dir()).unwrap();
    assert_eq!(read(&mut reader), ["a"]);
    log.append(0, b"b\n");
    log.append(1, b"c\n");
    assert_eq!(read(&mut reader), ["b", "c"], "the rest of the old one first");
    // What is compressed under it, and before it, changes nothing.
    log.pack(0);
    log.pack(1);
    log.append(2, b"d\n");
    assert_eq!(read(&mut reader), ["d"]);
    assert_eq!(all(&log), ["a", "b", "c", "d"]);
}

#[test]
fn the_plain_one_counts_while_both_are_there() {
    let log = Log::new();
    log.append(0, b"a\n");
    log.append(1, b"b\n");
    fs::write(log.packed(0), b"half of it").unwrap();
    assert_eq!(all(&log), ["a", "b"]);
    assert_eq!(numbers(log.dir()).unwrap(), [0, 1]);
}

#[test]
fn deleted_segments_are_told() {
    let log = Log::new();
    for number in 0..5 {
        log.append(number, format!("{number}\n").as_bytes());
    }
    let mut reader = Reader::oldest(log.dir()).unwrap();
    assert!(matches!(reader.next().unwrap(), Step::Line(b"0\n")));
    for number in [0, 1, 2] {
        fs::remove_file(log.path(number)).unwrap();
    }
    assert_eq!(read(&mut reader), ["pruned 1-2", "3", "4"]);
    let mut again = Reader::from(log.dir(), Cursor { segment: 1, offset: 2 });
    assert_eq!(read(&mut again), ["pruned 1-2", "3", "4"]);
    assert_eq!(all(&log), ["3", "4"], "whoever begins now misses nothing");
}

#[test]
fn lines_that_were_taken_back_are_told() {
    let log = Log::new();
    log.append(0, b"a\nbbbb\n");
    let mut reader = Reader::oldest(log.dir()).unwrap();
    assert_eq!(read(&mut reader), ["a", "bbbb"]);
    fs::write(log.path(0), b"a\n").unwrap();
    assert_eq!(read(&mut reader), ["taken back"]);
    log.append(0, b"c\n");
    assert_eq!(read(&mut reader), ["c"]);
    fs::write(log.path(0), b"a\nd\nlonger than before\n").unwrap();
    assert_eq!(read(&mut reader), ["longer than before"], "what stands where the place is");
    fs::write(log.path(0), b"a\nd\nfar longer than it was before\n").unwrap();
    assert_eq!(read(&mut reader), ["taken back", "far longer than it was before"]);
}

#[test]
fn a_segment_that_another_file_took_the_place_of_is_read_there() {
    let log = Log::new();
    log.append(0, b"a\nb\n\0\0\0\n");
    let mut reader = Reader::oldest(log.dir()).unwrap();
    assert_eq!(read(&mut reader), ["a", "b", "\0\0\0"]);
    let put = |bytes: &[u8]| {
        let part = log.dir().join("part");
        fs::write(&part, bytes).unwrap();
        fs::rename(&part, log.path(0)).unwrap();
    };
    put(b"a\nb\nrepaired\n");
    assert_eq!(read(&mut reader), ["taken back", "repaired"]);
    log.append(0, b"c\n");
    assert_eq!(read(&mut reader), ["c"]);
    put(b"a\n");
    log.append(1, b"d\n");
    assert_eq!(read(&mut reader), ["taken back", "d"]);
    // What was compressed is read to its end where it was opened.
    log.append(1, b"e\n");
    log.pack(1);
    assert_eq!(read(&mut reader), ["e"]);
}

#[test]
fn damage_is_told_with_its_place_and_passed_over() {
    let log = Log::new();
    let long = vec![b'x'; MAX_LINE + 1];
    log.append(0, b"a\n");
    log.append(0, &long);
    log.append(0, b"\nb\ntorn");
    log.append(1, b"c\n");
    log.append(1, &long[1..]);
    log.append(1, b"\n");
    let expected = [
        "a".to_owned(),
        format!("audit-000000.jsonl:2: {TOO_LONG}"),
        "b".to_owned(),
        format!("audit-000000.jsonl:4: {TORN}"),
        "c".to_owned(),
        "x".repeat(MAX_LINE),
    ];
    assert_eq!(all(&log), expected);
    log.pack(0);
    assert_eq!(all(&log), expected.map(|line| line.replace("000.jsonl:", "000.jsonl.zst:")));
}

#[test]
fn what_cannot_be_decompressed_is_told_and_passed_over() {
    let log = Log::new();
    for number in 0..3 {
        let lines: String = (0..100_000).map(|line| format!("{number} {line} {}\n", line * 7919 % 10_007)).collect();
        log.append(number, lines.as_bytes());
        log.pack(number);
    }
    let packed = fs::read(log.packed(1)).unwrap();
    fs::write(log.packed(1), &packed[..packed.len() / 2]).unwrap();
    let met = all(&log);
    let told: Vec<_> = met.iter().enumerate().filter(|(_, line)| line.ends_with(UNPACKED)).collect();
    let [(at, told)] = told[..] else { panic!("{told:?}") };
    let before = met[..at].iter().filter(|line| line.starts_with("1 ")).count();
    assert!(before > 0 && before < 100_000, "{before}");
    assert_eq!(*told, format!("audit-000001.jsonl.zst:{}: {UNPACKED}", before + 1));
    assert_eq!(met.len() - at - 1, 100_000);
    // The newest one, too: nothing comes after it, and nothing is told twice.
    fs::write(log.packed(2), b"no zstd").unwrap();
    let mut reader = Reader::oldest(log.dir()).unwrap();
    assert_eq!(read(&mut reader).last().unwrap(), &format!("audit-000002.jsonl.zst:1: {UNPACKED}"));
    assert!(read(&mut reader).is_empty());
}

#[test]
fn a_segment_may_be_many_times_larger_than_what_is_kept_of_it() {
    let log = Log::new();
    let line = [&[b'0'; 1000][..], b"\n"].concat();
    log.append(0, &line.repeat(200_000));
    log.append(1, &line);
    log.pack(0);
    let mut reader = Reader::oldest(log.dir()).unwrap();
    let mut lines = 0;
    while let Step::Line(line) = reader.next().unwrap() {
        lines += 1;
        assert_eq!(line.len(), 1001);
    }
    assert_eq!(lines, 200_001);
    assert!(reader.line.capacity() <= 2 * MAX_LINE);
}

#[test]
fn the_newest_are_found_from_the_end() {
    let log = Log::new();
    log.append(3, b"a 1\nb 1\na 2\n");
    log.append(4, b"b 2\na 3\n");
    log.append(5, b"b 3\nb 4\na 4 without its en");
    let from = |count, of: &[u8]| newest(log.dir(), count, |line| line.starts_with(of)).unwrap().from;
    let at = |segment, offset| Cursor { segment, offset };
    for packed in [false, true] {
        assert_eq!(from(1, b"b"), at(5, 4));
        assert_eq!(from(2, b""), at(5, 0));
        assert_eq!(from(1, b"a"), at(4, 4));
        assert_eq!(from(2, b"a"), at(3, 8));
        assert_eq!(from(3, b"a"), at(3, 0));
        assert_eq!(from(9, b"a"), at(3, 0), "there are not so many");
        assert_eq!(from(0, b"a"), at(5, 8), "none: where the next one comes");
        assert_eq!(newest(log.dir(), 3, |_| true).unwrap().to, at(5, 8));
        if !packed {
            log.pack(3);
            log.pack(4);
        }
    }
    let nothing = Log::new();
    assert_eq!(newest(nothing.dir(), 5, |_| true).unwrap().to, Cursor::default());
}

#[test]
fn few_lines_are_found_without_reading_the_rest() {
    let log = Log::new();
    // A hole of a terabyte: whoever read it would not come back.
    let file = fs::File::create(log.path(0)).unwrap();
    file.set_len(1 << 40).unwrap();
    log.append(0, b"\na\nb\n");
    let span = newest(log.dir(), 2, |_| true).unwrap();
    assert_eq!(span.from, Cursor { segment: 0, offset: (1 << 40) + 1 });
    assert_eq!(read(&mut Reader::from(log.dir(), span.from)), ["a", "b"]);
}

#[test]
fn what_is_wrong_with_a_line_has_its_number_wherever_reading_began() {
    let log = Log::new();
    log.append(0, b"a\nb\nc\nd");
    for (offset, steps) in [(0, 3), (2, 2), (4, 1)] {
        let mut reader = Reader::from(log.dir(), Cursor { segment: 0, offset });
        for _ in 0..steps {
            assert!(matches!(reader.next().unwrap(), Step::Line(_)));
        }
        assert_eq!(reader.last("").line, 3);
        assert!(matches!(reader.next().unwrap(), Step::End { is_torn: true }));
        assert_eq!(reader.here("").line, 4);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// However lines lie in segments, and whichever of these are compressed: all are read once and in order, each place
    /// leads to what comes after it, and the newest are the last.
    #[test]
    fn all_lines_are_read_in_order(
        lines in prop::collection::vec((0usize..3, prop_oneof![0usize..80, 30_000usize..40_000, MAX_LINE - 2..MAX_LINE + 3]), 0..40),
        packed in prop::collection::vec(any::<bool>(), 120),
        torn in 0usize..30,
        count in 0u64..45,
    ) {
        let log = Log::new();
        let (mut number, mut written) = (0, Vec::new());
        for (at, (next, length)) in lines.iter().enumerate() {
            let segment = number + u64::from(*next == 0 && at > 0);
            if segment > number && packed[at] {
                log.pack(number);
            }
            number = segment;
            let line = format!("{at:02}{}", "y".repeat(*length));
            log.append(number, format!("{line}\n").as_bytes());
            written.push(line);
        }
        if !lines.is_empty() {
            log.append(number, "z".repeat(torn).as_bytes());
        }
        written.retain(|line| line.len() <= MAX_LINE);
        let is_line = |line: &String| line.starts_with(|c: char| c.is_ascii_digit());
        let read_from = |at| -> Vec<String> { read(&mut Reader::from(log.dir(), at)).into_iter().filter(is_line).collect() };

        let mut reader = Reader::oldest(log.dir()).unwrap();
        let (mut found, mut places) = (Vec::new(), vec![reader.cursor()]);
        loop {
            match reader.next().unwrap() {
                Step::Line(line) => found.push(String::from_utf8_lossy(line).trim_end().to_owned()),
                Step::End { is_torn } => {
                    prop_assert_eq!(is_torn, torn > 0 && !lines.is_empty());
                    break;
                }
                Step::Damaged(damage) => {
                    prop_assert_eq!(damage.why, TOO_LONG);
                    continue;
                }
                other => prop_assert!(false, "{:?}", other),
            }
            places.push(reader.cursor());
        }
        prop_assert_eq!(&found, &written);
        prop_assert!(places.is_sorted());
        for (at, place) in places.iter().enumerate().step_by(7) {
            prop_assert_eq!(&read_from(*place)[..], &written[at..]);
        }

        let span = newest(log.dir(), count, |_| true).unwrap();
        let first = written.len().saturating_sub(usize::try_from(count).unwrap());
        prop_assert_eq!(&read_from(span.from)[..], &written[first..]);
        let wanted = |line: &[u8]| line[1].is_multiple_of(2);
        let span = newest(log.dir(), count, wanted).unwrap();
        let even: Vec<_> = written.iter().filter(|line| wanted(line.as_bytes())).cloned().collect();
        let first = even.len().saturating_sub(usize::try_from(count).unwrap());
        let found: Vec<_> = read_from(span.from).into_iter().filter(|line| wanted(line.as_bytes())).collect();
        prop_assert_eq!(&found[..], &even[first..]);
    }
}
