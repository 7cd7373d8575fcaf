use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use portcullis_audit::{Chain, Position, Seal, SealKey};
use portcullis_certs::NodeKey;
use portcullis_filters::audit::{AuditSink as _, Entry};

use super::batch::{Bounds, Source};
use super::place::Place;
use super::standing::Astray;
use super::*;
use crate::audit_log::read::Cursor;
use crate::audit_log::{AuditKey, segment};
use crate::config::{AuditSettings, Fsync};

/// A log that is passed on to folders, in a folder of its own.
struct Home {
    dir: tempfile::TempDir,
    node: Arc<NodeKey>,
    metrics: Arc<Metrics>,
}

impl Home {
    fn new() -> Self {
        let node = Arc::new(NodeKey::generate().unwrap());
        Self { dir: tempfile::tempdir().unwrap(), node, metrics: Metrics::new().unwrap() }
    }

    fn log_dir(&self) -> PathBuf {
        self.dir.path().join("audit")
    }

    fn archive(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn settings(&self, sinks: &[&str]) -> AuditSettings {
        AuditSettings {
            fsync: Fsync::Always,
            segment_bytes: 4 << 10,
            export: sinks.iter().map(|name| self.sink(name)).collect(),
            ..AuditSettings::default()
        }
    }

    fn sink(&self, name: &str) -> ExportSettings {
        ExportSettings {
            name: name.to_owned(),
            to: Destination::Directory(self.archive(name)),
            batch_lines: 7,
            batch_bytes: 64 << 10,
            every: Duration::from_millis(5),
        }
    }

    fn open(&self, settings: AuditSettings) -> Arc<AuditLog> {
        let key = AuditKey::load_or_create(self.dir.path()).unwrap();
        let (log, _) = AuditLog::open(&self.log_dir(), &key, Arc::clone(&self.node), settings).unwrap();
        Arc::new(log)
    }

    fn pass_on(&self, log: &Arc<AuditLog>, settings: &AuditSettings) -> Exports {
        let sender = Sender { id: self.node.public().node_id(), name: "gate".to_owned() };
        Exports::start(log, self.dir.path(), &sender, &settings.export, &self.metrics).unwrap()
    }

    fn kept(&self, sink: &str) -> Kept {
        Kept::load(&place::file(&self.dir.path().join(FOLDER), sink)).unwrap()
    }

    /// The lines of an archive in the order of its objects' names, and how many objects there are.
    fn archived(&self, name: &str) -> (Vec<u8>, usize) {
        let mut objects = BTreeMap::new();
        for folder in fs::read_dir(self.archive(name).join(self.node.public().node_id())).unwrap() {
            for file in fs::read_dir(folder.unwrap().path()).unwrap().map(|file| file.unwrap().path()) {
                if file.extension().is_some_and(|end| end == "zst") {
                    objects.insert(file.clone(), zstd::decode_all(fs::File::open(&file).unwrap()).unwrap());
                }
            }
        }
        let count = objects.len();
        (objects.into_values().flatten().collect(), count)
    }

    /// All lines of the log.
    fn lines(&self) -> Vec<u8> {
        let mut lines = Vec::new();
        let mut reader = crate::audit_log::read::Reader::oldest(&self.log_dir()).unwrap();
        while let crate::audit_log::read::Step::Line(line) = reader.next().unwrap() {
            lines.extend_from_slice(line);
        }
        lines
    }
}

fn write(log: &AuditLog, entries: u64) {
    for number in 0..entries {
        let path = format!("/api/chat/{number}");
        log.hand_over(Entry { event_type: "request", path: &path, ..Entry::default() }.draft()).wait().unwrap();
    }
}

fn until(done: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !done() {
        assert!(Instant::now() < deadline, "it does not happen");
        std::thread::yield_now();
    }
}

#[test]
fn what_is_in_the_log_is_in_the_archive_in_its_order_over_restarts() {
    let home = Home::new();
    let settings = home.settings(&["archive"]);
    fs::create_dir(home.archive("archive")).unwrap();
    for _ in 0..3 {
        let log = home.open(settings.clone());
        let exports = home.pass_on(&log, &settings);
        write(&log, 40);
        log.close();
        exports.close(Duration::from_secs(30));
    }
    let lines = home.lines();
    let count = lines.iter().filter(|byte| **byte == b'\n').count() as u64;
    let (archived, _) = home.archived("archive");
    assert_eq!(archived, lines);
    assert_eq!(home.kept("archive").place.entries, Some(count));
    assert_eq!(home.kept("archive").until, None);
    let counted = String::from_utf8(home.metrics.render().unwrap()).unwrap();
    assert!(
        counted.contains(&format!("portcullis_audit_export_lines_total{{sink=\"archive\"}} {count}\n")),
        "{counted}"
    );
    assert!(counted.contains("portcullis_audit_export_gaps_total{sink=\"archive\"} 0\n"), "{counted}");
    let folder = home.archive("archive").join(home.node.public().node_id()).join("audit-000000");
    let notes = fs::read_dir(folder)
        .unwrap()
        .filter(|f| f.as_ref().unwrap().path().extension().is_some_and(|end| end == "checkpoint"));
    assert!(notes.count() > 0, "the checkpoints stand beside");
}

#[test]
fn a_batch_that_may_have_arrived_is_the_same_again() {
    let home = Home::new();
    let settings = AuditSettings { segment_bytes: 1 << 20, ..home.settings(&["archive"]) };
    fs::create_dir(home.archive("archive")).unwrap();
    let log = home.open(settings.clone());
    write(&log, 5);
    let exports = home.pass_on(&log, &settings);
    until(|| home.kept("archive").place.entries == Some(5));
    exports.close(Duration::from_secs(30));
    drop(exports);
    // As if the gate had been killed after the object was put and before its place was kept.
    let kept = home.kept("archive");
    let torn = Kept { place: Place::default(), until: Some(kept.place.cursor) };
    torn.save(&place::file(&home.dir.path().join(FOLDER), "archive")).unwrap();
    write(&log, 5);
    let exports = home.pass_on(&log, &settings);
    until(|| home.kept("archive").place.entries == Some(10));
    exports.close(Duration::from_secs(30));
    let (archived, objects) = home.archived("archive");
    assert_eq!((archived, objects), (home.lines(), 2));
}

#[test]
fn an_object_that_says_something_else_stays_and_is_told() {
    let home = Home::new();
    let settings = home.settings(&["archive"]);
    let folder = home.archive("archive").join(home.node.public().node_id()).join("audit-000000");
    fs::create_dir_all(&folder).unwrap();
    let planted = folder.join("000000000000-000000000004.jsonl.zst");
    fs::write(&planted, zstd::encode_all(&b"{}\n"[..], 3).unwrap()).unwrap();
    let log = home.open(settings.clone());
    write(&log, 5);
    let exports = home.pass_on(&log, &settings);
    until(|| exports.status()[0]["failing"].as_str().is_some_and(|why| why.contains("another object stands there")));
    assert_eq!(exports.status()[0]["behind"], 5);
    fs::remove_file(&planted).unwrap();
    until(|| home.kept("archive").place.entries == Some(5));
    until(|| exports.status()[0]["failing"].is_null());
}

#[test]
fn a_pipe_in_the_place_of_an_object_holds_up_nobody() {
    let home = Home::new();
    let settings = home.settings(&["archive"]);
    let folder = home.archive("archive").join(home.node.public().node_id()).join("audit-000000");
    fs::create_dir_all(&folder).unwrap();
    let planted = folder.join("000000000000-000000000004.jsonl.zst");
    rustix::fs::mknodat(rustix::fs::CWD, &planted, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    let log = home.open(settings.clone());
    write(&log, 5);
    let exports = home.pass_on(&log, &settings);
    until(|| exports.status()[0]["failing"].as_str().is_some_and(|why| why.contains("no regular file")));
    fs::remove_file(&planted).unwrap();
    until(|| home.kept("archive").place.entries == Some(5));
}

#[test]
fn nothing_is_deleted_that_one_sink_has_not_got() {
    let home = Home::new();
    let settings = AuditSettings { keep_bytes: Some(1), compress: false, ..home.settings(&["here", "away"]) };
    fs::create_dir(home.archive("here")).unwrap();
    let log = home.open(settings.clone());
    let exports = home.pass_on(&log, &settings);
    write(&log, 60);
    let written = log.next_entry();
    until(|| home.kept("here").place.entries.is_some_and(|entries| entries >= written));
    until(|| exports.status()[1]["failing"].as_str().is_some_and(|why| why.contains("is not there")));
    assert!(segment::plain(&home.log_dir(), 0).exists(), "one of them has not got it");
    fs::create_dir(home.archive("away")).unwrap();
    until(|| !segment::plain(&home.log_dir(), 0).exists());
    log.close();
    exports.close(Duration::from_secs(30));
    assert_eq!(home.archived("here").0, home.archived("away").0);
}

#[test]
fn nothing_is_deleted_before_anybody_asked_for_it() {
    let home = Home::new();
    let settings = AuditSettings { keep_bytes: Some(1), compress: true, ..home.settings(&["archive"]) };
    let log = home.open(settings);
    write(&log, 60);
    until(|| segment::compressed(&home.log_dir(), 2).exists());
    assert!(segment::compressed(&home.log_dir(), 0).exists());
}

/// Everything that a source gives from this place on.
fn gathered(source: &mut Source, lines: usize, durable: Cursor) -> Vec<super::batch::Batch> {
    let bounds = Bounds { lines, bytes: 1 << 20, durable, until: None };
    std::iter::from_fn(|| source.gather(&bounds).unwrap()).collect()
}

#[test]
fn batches_are_whole_lines_of_one_segment_and_never_more_than_is_durable() {
    let home = Home::new();
    let log = home.open(home.settings(&[]));
    write(&log, 60);
    log.close();
    let all = home.lines();
    let end = log.durable();
    assert!(end.segment > 2, "{end:?}");
    let mut source = Source::new(&home.log_dir(), Place::default());
    let batches = gathered(&mut source, 7, end);
    assert_eq!(batches.concat_lines(), all);
    assert!(batches.iter().all(|batch| batch.count <= 7));
    let mut next = 0;
    for batch in &batches {
        assert_eq!(batch.first, next);
        next = batch.next;
    }
    // From any place on, the rest; up to any place, no more.
    for batch in &batches {
        let after = batch.after;
        let rest = gathered(&mut Source::new(&home.log_dir(), after), 1_000, end).concat_lines();
        assert!(all.ends_with(&rest));
        let head = gathered(&mut Source::new(&home.log_dir(), Place::default()), 1_000, after.cursor).concat_lines();
        assert_eq!([head, rest].concat(), all);
    }
}

trait Lines {
    fn concat_lines(&self) -> Vec<u8>;
}

impl Lines for [super::batch::Batch] {
    fn concat_lines(&self) -> Vec<u8> {
        self.iter().flat_map(|batch| batch.lines.clone()).collect()
    }
}

#[test]
fn what_is_gone_is_counted_and_passed_over() {
    let home = Home::new();
    let log = home.open(AuditSettings { compress: false, ..home.settings(&[]) });
    write(&log, 60);
    log.close();
    let end = log.durable();
    let mut source = Source::new(&home.log_dir(), Place::default());
    let first = gathered(&mut source, 3, end).remove(0);
    for number in 0..2 {
        fs::remove_file(segment::plain(&home.log_dir(), number)).unwrap();
    }
    let mut source = Source::new(&home.log_dir(), first.after);
    let rest = gathered(&mut source, 1_000, end);
    assert_eq!(rest.concat_lines(), home.lines());
    assert_eq!(source.take_gaps(), 1);
    // A sink that is away has it read again, and it counts once.
    source.rewind(first.after);
    assert_eq!(gathered(&mut source, 1_000, end).concat_lines(), home.lines());
    assert_eq!(source.take_gaps(), 0);
}

#[test]
fn a_place_behind_the_end_is_none() {
    let home = Home::new();
    let log = home.open(home.settings(&[]));
    write(&log, 5);
    let cursor = Cursor { segment: 99, offset: 7 };
    let mut source = Source::new(&home.log_dir(), Place { cursor, entries: Some(9_999), seal: None });
    let bounds = Bounds { lines: 7, bytes: 1 << 20, durable: log.durable(), until: None };
    assert!(matches!(source.gather(&bounds), Err(Trouble::Astray(Astray::Ahead))));
}

/// An entry nearly as long as one can be.
fn long_line(number: u64) -> Vec<u8> {
    let (text, seal) = ("x".repeat(31 << 10), "0".repeat(64));
    let time = "2026-11-21T02:03:04.123456+00:00";
    let line = format!(
        "{{\"code\": \"{text}\", \"entry_hmac\": \"{seal}\", \"event_type\": \"request\", \"seq_no\": {number}, \
         \"timestamp\": \"{time}\"}}\n"
    );
    line.into_bytes()
}

#[test]
fn a_batch_is_bounded_wherever_its_place_says_that_it_ends() {
    let dir = tempfile::tempdir().unwrap();
    let mut lines = Vec::new();
    for number in 0..2_300 {
        lines.extend_from_slice(&long_line(number));
    }
    fs::write(segment::plain(dir.path(), 0), &lines).unwrap();
    let end = Cursor { segment: 0, offset: lines.len() as u64 };
    let until = Some(Cursor { segment: u64::MAX, offset: u64::MAX });
    let bounds = Bounds { lines: 7, bytes: 1 << 20, durable: end, until };
    let batch = Source::new(dir.path(), Place::default()).gather(&bounds).unwrap().unwrap();
    assert!(batch.more);
    assert!(batch.lines.len() <= batch::MAX_BYTES + long_line(2_300).len(), "{}", batch.lines.len());
}

/// The places after each entry of a log, and those at which its segments begin.
fn places(home: &Home, durable: Cursor) -> Vec<Place> {
    let after = |lines| gathered(&mut Source::new(&home.log_dir(), Place::default()), lines, durable);
    [1_000, 1].into_iter().flat_map(after).map(|batch| batch.after).collect()
}

#[test]
fn a_place_is_one_of_the_log_that_it_was_taken_in() {
    for compress in [false, true] {
        let (home, other) = (Home::new(), Home::new());
        let [log, another] = [&home, &other].map(|home| {
            let log = home.open(AuditSettings { compress, ..home.settings(&[]) });
            write(&log, 60);
            log
        });
        until(|| !compress || [&home, &other].iter().all(|home| segment::compressed(&home.log_dir(), 1).exists()));
        let (end, far) = (log.durable(), Cursor { segment: u64::MAX, offset: 0 });
        let places = places(&home, end);
        assert!(places.iter().any(|place| place.cursor.offset == 0) && places.len() >= 60);
        for place in &places {
            assert_eq!(standing::astray(&home.log_dir(), place, end).unwrap(), None, "{place:?}");
            // Logs with other keys are as long as this one.
            let found = standing::astray(&other.log_dir(), place, another.durable()).unwrap();
            assert!(found.is_some(), "{place:?}");
        }
        let mut inside = places[places.len() - 1];
        inside.cursor.offset -= 1;
        let inside = Place { seal: None, ..inside };
        assert_eq!(standing::astray(&home.log_dir(), &inside, end).unwrap(), Some(Astray::Inside));
        let behind = Place { cursor: Cursor { segment: 0, offset: 1 << 30 }, ..Place::default() };
        assert_eq!(standing::astray(&home.log_dir(), &behind, far).unwrap(), Some(Astray::Ahead));
        assert_eq!(standing::astray(&home.log_dir(), &behind, Cursor::default()).unwrap(), Some(Astray::Ahead));
    }
}

/// What an attacker found: retention deleted what a sink had not got, because its place was one of an older log.
#[test]
fn nothing_is_deleted_for_a_place_of_another_log() {
    let far = Place { cursor: Cursor { segment: 99, offset: 7 }, entries: Some(9_999), seal: None };
    let older = Home::new();
    let log = older.open(older.settings(&[]));
    write(&log, 60);
    let within = *places(&older, log.durable()).last().unwrap();
    for place in [far, within, Place { seal: None, ..within }] {
        let home = Home::new();
        let settings = AuditSettings { keep_bytes: Some(1), compress: false, ..home.settings(&["away"]) };
        let folder = home.dir.path().join(FOLDER);
        portcullis_certs::files::create_private_dir(&folder).unwrap();
        let log = home.open(settings.clone());
        write(&log, 60);
        // One without a seal is known by its length alone.
        let mut place = place;
        if place.seal.is_none() && place != far {
            place.cursor = Cursor { offset: place.cursor.offset + (1 << 20), ..log.durable() };
        }
        Kept { place, until: Some(place.cursor) }.save(&place::file(&folder, "away")).unwrap();
        let exports = home.pass_on(&log, &settings);
        let oldest = Place { entries: Some(0), ..Place::default() };
        assert_eq!(home.kept("away"), Kept { place: oldest, until: None }, "before anything arrived");
        assert_eq!(exports.sinks[0].segment.load(Ordering::Acquire), 0);
        until(|| exports.status()[0]["failing"].is_string());
        write(&log, 60);
        assert_eq!(exports.status()[0]["behind"], log.next_entry());
        assert!(segment::plain(&home.log_dir(), 0).exists(), "it has not got it");
        let failures = |home: &Home| {
            let counted = String::from_utf8(home.metrics.render().unwrap()).unwrap();
            assert!(counted.contains("portcullis_audit_export_gaps_total{sink=\"away\"} 1\n"), "{counted}");
        };
        failures(&home);
        fs::create_dir(home.archive("away")).unwrap();
        let written = log.next_entry();
        until(|| home.kept("away").place.entries.is_some_and(|entries| entries >= written));
        until(|| !segment::plain(&home.log_dir(), 0).exists());
        log.close();
        exports.close(Duration::from_secs(30));
        failures(&home);
        let (archived, _) = home.archived("away");
        assert!(archived.ends_with(&home.lines()));
    }
}

#[test]
fn a_checkpoint_that_says_something_else_stays_and_is_told() {
    let home = Home::new();
    let settings = AuditSettings { segment_bytes: 1 << 20, ..home.settings(&["archive"]) };
    fs::create_dir(home.archive("archive")).unwrap();
    let log = home.open(settings.clone());
    write(&log, 5);
    log.close();
    let pass = || {
        let exports = home.pass_on(&log, &settings);
        until(|| home.kept("archive").place.entries == Some(5));
        exports
    };
    pass().close(Duration::from_secs(30));
    let folder = home.archive("archive").join(home.node.public().node_id()).join("audit-000000");
    let notes = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let note = notes.into_iter().find(|path| path.extension().is_some_and(|end| end == "checkpoint")).unwrap();
    fs::write(&note, "another").unwrap();
    let exports = pass();
    until(|| exports.status()[0]["failing"].as_str().is_some_and(|why| why.contains(".checkpoint`: another object")));
    fs::remove_file(&note).unwrap();
    until(|| exports.status()[0]["failing"].is_null());
    assert!(note.exists());
}

/// Entries of a log, as lines.
fn sealed(event_type: &'static str, count: u64) -> Vec<Vec<u8>> {
    let before = Position { next_seq: 0, previous: Seal::GENESIS };
    let mut chain = Chain::resume(SealKey::new(&[1; 32]).unwrap(), before);
    let line = |time| {
        let mut line = Vec::new();
        chain.seal(&Entry { event_type, ..Entry::default() }.draft(), 1_795_248_000_123_456 + time, &mut line);
        line
    };
    (0..count).map(line).collect()
}

/// The end of so many lines that stand at the beginning of the first segment.
fn after(lines: &[Vec<u8>]) -> Cursor {
    Cursor { segment: 0, offset: lines.concat().len() as u64 }
}

/// What attackers found: bytes behind what was durable were read early, taken back, and went out all the same.
#[test]
fn what_was_taken_back_does_not_go_out() {
    let dir = tempfile::tempdir().unwrap();
    let file = segment::plain(dir.path(), 0);
    let (stays, goes) = (sealed("request", 6), sealed("handshake", 4));
    fs::write(&file, [&stays[..2], &goes[2..]].concat().concat()).unwrap();
    let mut source = Source::new(dir.path(), Place::default());
    let bounds = |lines: &[Vec<u8>]| Bounds { lines: 1, bytes: 1 << 20, durable: after(lines), until: None };
    let first = source.gather(&bounds(&stays[..2])).unwrap().unwrap();
    assert!(first.more);
    fs::write(&file, stays.concat()).unwrap();
    let rest: Vec<_> = std::iter::from_fn(|| source.gather(&bounds(&stays)).unwrap()).collect();
    assert_eq!([first.lines, rest.concat_lines()].concat(), stays.concat());
    assert_eq!(source.take_gaps(), 0);
}

#[test]
fn every_line_of_a_batch_is_looked_at() {
    let dir = tempfile::tempdir().unwrap();
    let lines = sealed("request", 12);
    let rubbish = [b"no entry\n".to_vec(), lines[9].iter().map(|b| if *b == b':' { b';' } else { *b }).collect()];
    for (stands, goes, gaps) in [
        ([&lines[..4], &lines[6..]].concat(), [&lines[..4], &lines[6..]].concat(), 1),
        ([&lines[..4], &rubbish[..1], &lines[4..]].concat(), lines.clone(), 1),
        ([&lines[..9], &rubbish[1..], &lines[10..]].concat(), [&lines[..9], &lines[10..]].concat(), 1),
        ([&rubbish[..], &lines].concat(), lines.clone(), 2),
        ([&lines[..4], &lines[2..]].concat(), [&lines[..4], &lines[2..]].concat(), 1),
    ] {
        fs::write(segment::plain(dir.path(), 0), stands.concat()).unwrap();
        let mut source = Source::new(dir.path(), Place::default());
        let batches = gathered(&mut source, 1_000, after(&stands));
        assert_eq!(batches.concat_lines(), goes.concat());
        assert!(batches.iter().all(|batch| batch.next - batch.first == batch.count), "{batches:?}");
        assert_eq!(source.take_gaps(), gaps);
        // A sink that is away has it read again, and it counts once.
        source.rewind(Place::default());
        assert_eq!(gathered(&mut source, 1_000, after(&stands)).concat_lines(), goes.concat());
        assert_eq!(source.take_gaps(), 0);
    }
}

#[test]
fn the_missing_beginning_of_a_segment_does_not_have_everything_sent_anew() {
    let home = Home::new();
    let log = home.open(AuditSettings { compress: false, ..home.settings(&[]) });
    write(&log, 60);
    log.close();
    let file = segment::plain(&home.log_dir(), 1);
    let whole = fs::read(&file).unwrap();
    let first = whole.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    fs::write(&file, &whole[first..]).unwrap();
    let mut source = Source::new(&home.log_dir(), Place::default());
    assert_eq!(gathered(&mut source, 7, log.durable()).concat_lines(), home.lines());
    assert_eq!(source.take_gaps(), 1);
}

/// What an attacker found: a reader that was kept took what had been durable when it was made for the end of a segment, and
/// went on in the next one without a word.
#[test]
fn a_source_that_lags_behind_leaves_nothing_out() {
    let dir = tempfile::tempdir().unwrap();
    let lines = sealed("request", 24);
    let segments: Vec<_> = lines.chunks(6).map(<[_]>::concat).collect();
    let so_far = |upto: usize| lines[upto / 6 * 6..upto].concat().len() as u64;
    let durable = |upto: usize| Cursor { segment: upto as u64 / 6, offset: so_far(upto) };
    for at_once in 1..=7 {
        for (seen, later) in [(8, 15), (8, 22), (7, 12), (12, 22), (14, 22), (1, 22), (6, 13)] {
            for packed in [false, true] {
                for (number, bytes) in (0..).zip(&segments) {
                    fs::write(segment::plain(dir.path(), number), bytes).unwrap();
                }
                if packed {
                    let whole = zstd::encode_all(segments[0].as_slice(), 3).unwrap();
                    fs::write(segment::compressed(dir.path(), 0), whole).unwrap();
                    fs::remove_file(segment::plain(dir.path(), 0)).unwrap();
                }
                let mut source = Source::new(dir.path(), Place::default());
                let bounds = |upto| Bounds { lines: at_once, bytes: 1 << 20, durable: durable(upto), until: None };
                // The reader is made at the first batch; the log goes on before the second.
                let mut batches: Vec<_> = source.gather(&bounds(seen)).unwrap().into_iter().collect();
                for upto in later..=23 {
                    let batch = source.gather(&bounds(upto)).unwrap();
                    assert!(batch.as_ref().is_none_or(|batch| batch.after.cursor <= durable(upto)));
                    batches.extend(batch);
                }
                batches.extend(std::iter::from_fn(|| source.gather(&bounds(23)).unwrap()));
                let is_whole = batches.concat_lines() == lines[..23].concat();
                assert!(is_whole, "{at_once} {seen} {later} {packed}");
                assert!(batches.windows(2).all(|pair| pair[0].next == pair[1].first));
                assert_eq!(source.take_gaps(), 0);
            }
        }
    }
}

#[test]
fn a_missing_end_of_a_segment_is_no_reason_to_go_on_in_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let lines = sealed("request", 12);
    fs::write(segment::plain(dir.path(), 0), lines[..4].concat()).unwrap();
    fs::write(segment::plain(dir.path(), 1), lines[6..].concat()).unwrap();
    let mut source = Source::new(dir.path(), Place::default());
    let end = Cursor { segment: 1, offset: lines[6..].concat().len() as u64 };
    let bounds = Bounds { lines: 1_000, bytes: 1 << 20, durable: end, until: None };
    let first = source.gather(&bounds).unwrap().unwrap();
    assert_eq!(first.lines, lines[..4].concat());
    assert_eq!(first.after.cursor, after(&lines[..4]), "what should follow there is not in the next segment");
    let rest = source.gather(&bounds).unwrap().unwrap();
    assert_eq!((rest.first, rest.lines), (6, lines[6..].concat()));
    assert_eq!(source.take_gaps(), 1);
}
