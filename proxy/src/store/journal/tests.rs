use super::*;
use crate::store::live::number_of;

const HERE: Origin<'static> = Origin { node: "peer:gate", boot: "this boot" };
const BLIND: Quarantine = Quarantine { until_ms: 1_000_000, began_ms: 7 };

fn open(dir: &Path) -> Opened {
    Journal::open(dir, &HERE, BLIND).unwrap()
}

fn hashed(n: u8) -> Hashed {
    Hashed { nonce: u128::from(n) << 64 | u128::from(n), node: 1 }
}

/// A journal with the nonces 0 to 9 in two buckets.
fn filled() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    begin_on(dir.path(), &HERE).unwrap();
    let mut journal = open(dir.path()).journal;
    (0..10).for_each(|n| journal.append(u32::from(n % 2) + 5, &hashed(n), (u32::from(n % 2) + 5) * 16).unwrap());
    dir
}

fn buckets(dir: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<_> = files.filter(|path| path.extension().is_some_and(|e| e == "nonces")).collect();
    found.sort();
    found
}

#[test]
fn what_was_written_is_there_again() {
    let dir = filled();
    for _ in 0..2 {
        let Opened { live, lost, journal } = open(dir.path());
        assert_eq!((lost, live.len(), journal.quarantine()), (None, 10, None));
        assert!((0..10).all(|n| live.holds(&hashed(n))));
    }
    use std::os::unix::fs::MetadataExt as _;
    for entry in fs::read_dir(dir.path()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().mode() & 0o777, 0o600, "{:?}", entry.path());
    }
}

#[test]
fn what_is_forgotten_stays_refused_and_its_files_may_go() {
    let dir = filled();
    let Opened { mut journal, .. } = open(dir.path());
    let files = journal.forget(5).unwrap();
    assert_eq!(files, buckets(dir.path())[..1]);
    drop(journal);
    // Killed here, before they were removed.
    let Opened { live, lost, .. } = open(dir.path());
    assert_eq!((lost, live.len(), live.floor()), (None, 5, Some(5)));
    assert_eq!(buckets(dir.path()).len(), 1, "what is left of them is tidied away");
    assert!(live.is_forgotten(5) && !live.is_forgotten(6));
}

#[test]
fn a_torn_record_is_cut_off_and_the_next_one_takes_its_place() {
    let dir = filled();
    let file = buckets(dir.path()).remove(1);
    let whole = fs::read(&file).unwrap();
    for torn in 1..records::LENGTH {
        fs::write(&file, &whole[..whole.len() - torn]).unwrap();
        let Opened { mut journal, live, lost } = open(dir.path());
        assert_eq!((lost, live.len()), (None, 9));
        journal.append(6, &hashed(99), 96).unwrap();
        drop(journal);
        let Opened { live, lost, .. } = open(dir.path());
        assert_eq!((lost, live.len()), (None, 10));
        assert!(live.holds(&hashed(99)));
        fs::write(&file, &whole).unwrap();
    }
}

#[test]
fn what_cannot_be_trusted_is_lost_and_waited_out() {
    type Harm = fn(&Path);
    let harms: [(&str, Harm); 9] = [
        ("no journal", |dir| fs::remove_dir_all(dir).unwrap()),
        ("no facts", |dir| fs::remove_file(head::path(dir)).unwrap()),
        ("broken facts", |dir| fs::write(head::path(dir), "{}").unwrap()),
        ("no bucket", |dir| fs::remove_file(&buckets(dir)[0]).unwrap()),
        ("empty bucket", |dir| fs::write(&buckets(dir)[0], "").unwrap()),
        ("zeros at the end", |dir| {
            let file = OpenOptions::new().write(true).open(&buckets(dir)[0]).unwrap();
            file.set_len(file.metadata().unwrap().len() + 4096).unwrap();
        }),
        ("a changed record", |dir| {
            let mut bytes = fs::read(&buckets(dir)[0]).unwrap();
            bytes[records::LENGTH * 2 + 3] ^= 1;
            fs::write(&buckets(dir)[0], bytes).unwrap();
        }),
        ("another journal's bucket", |dir| {
            fs::copy(&buckets(filled().path())[0], &buckets(dir)[0]).unwrap();
        }),
        ("buckets exchanged", |dir| {
            let both = buckets(dir);
            fs::copy(&both[0], &both[1]).unwrap();
        }),
    ];
    for (what, harm) in harms {
        let dir = filled();
        harm(dir.path());
        let Opened { live, lost, journal } = open(dir.path());
        assert!(lost.is_some() && live.len() == 0, "{what}: {lost:?}");
        assert_eq!(journal.quarantine(), Some(BLIND), "{what}");
        drop(journal);
        // The loss is remembered, also by a gate that starts again meanwhile.
        let Opened { lost, journal, .. } =
            Journal::open(dir.path(), &HERE, Quarantine { until_ms: 5, began_ms: 9 }).unwrap();
        assert_eq!((lost, journal.quarantine()), (None, Some(BLIND)), "{what}");
        assert!(buckets(dir.path()).is_empty(), "{what}: nothing of the old one is left");
    }
}

#[test]
fn another_boot_and_another_node_have_no_memory_of_it() {
    for origin in [Origin { boot: "another", ..HERE }, Origin { node: "peer:other", ..HERE }] {
        let dir = filled();
        let Opened { live, lost, journal } = Journal::open(dir.path(), &origin, BLIND).unwrap();
        assert!(lost.is_some() && live.len() == 0);
        assert_eq!(journal.quarantine(), Some(BLIND));
    }
    // A clock that is behind does not shorten it: what the journal held was made by then.
    let dir = filled();
    let early = Quarantine { until_ms: 1, began_ms: 0 };
    let opened = Journal::open(dir.path(), &Origin { boot: "another", ..HERE }, early).unwrap();
    assert_eq!(opened.journal.quarantine().unwrap().until_ms, end_ms(6));
}

#[test]
fn two_gates_cannot_share_it() {
    let dir = filled();
    let first = open(dir.path());
    let Err(error) = Journal::open(dir.path(), &HERE, BLIND) else { panic!("it was opened twice") };
    assert!(matches!(error, JournalError::Busy(_)), "{error}");
    drop(first);
    open(dir.path());
}

#[test]
fn a_new_node_has_no_past_and_an_old_one_keeps_its_own() {
    let dir = tempfile::tempdir().unwrap();
    begin_on(dir.path(), &HERE).unwrap();
    let opened = open(dir.path());
    assert_eq!((opened.lost, opened.journal.quarantine()), (None, None));
    drop(opened);
    let dir = filled();
    begin_on(dir.path(), &HERE).unwrap();
    assert_eq!(open(dir.path()).live.len(), 10, "nothing is written over");
}

#[test]
fn who_only_looks_sees_what_holds_and_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(look(&dir.path().join("none"), "peer:gate").unwrap().lost, Some("there is none"));
    begin(dir.path(), "peer:gate").unwrap();
    let standing = look(dir.path(), "peer:gate").unwrap();
    assert_eq!((standing.lost, standing.above_ms), (None, None));
    assert!(look(dir.path(), "peer:other").unwrap().lost.is_some());
    let boot = boot_id();
    let mut opened = Journal::open(dir.path(), &Origin { node: "peer:gate", boot: &boot }, BLIND).unwrap();
    opened.journal.append(5, &hashed(1), 80).unwrap();
    opened.journal.forget(5).unwrap();
    assert_eq!(look(dir.path(), "peer:gate").unwrap().above_ms, Some(end_ms(5)), "also while it is in use");
}

#[test]
fn what_failed_to_be_written_leaves_no_trace() {
    let dir = filled();
    let Opened { mut journal, .. } = open(dir.path());
    // A bucket cannot be begun where its file cannot be made.
    fs::create_dir(bucket_path(dir.path(), 9)).unwrap();
    assert!(journal.append(9, &hashed(50), 144).is_err());
    fs::remove_dir(bucket_path(dir.path(), 9)).unwrap();
    journal.append(9, &hashed(50), 144).unwrap();
    // Nothing is forgotten where that cannot be written down.
    let beside = head::path(dir.path()).with_extension("new");
    fs::create_dir(&beside).unwrap();
    assert!(journal.forget(5).is_err() && journal.probe().is_err());
    assert!(journal.append(10, &hashed(51), 160).is_err());
    fs::remove_dir(&beside).unwrap();
    assert!(journal.probe().is_ok());
    drop(journal);
    let Opened { live, lost, .. } = open(dir.path());
    assert_eq!((lost, live.len(), live.floor()), (None, 11, None));
}

#[test]
fn there_are_only_so_many_buckets() {
    let dir = tempfile::tempdir().unwrap();
    begin_on(dir.path(), &HERE).unwrap();
    let Opened { mut journal, .. } = open(dir.path());
    for number in 0..MAX_BUCKETS as u32 {
        assert!(journal.has_room_for(number));
        journal.append(number, &hashed(1), number * 16).unwrap();
    }
    assert!(journal.has_room_for(0) && !journal.has_room_for(MAX_BUCKETS as u32));
    assert_eq!(number_of(i64::from(MAX_BUCKETS as u32 - 1) * 16_000), Some(MAX_BUCKETS as u32 - 1));
    journal.forget(0).unwrap();
    assert!(journal.has_room_for(MAX_BUCKETS as u32));
}

/// A link, and a pipe, in a file's place.
fn put(path: &Path, to: Option<&Path>) {
    let _ = fs::remove_file(path);
    match to {
        Some(to) => std::os::unix::fs::symlink(to, path).unwrap(),
        None => {
            rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        }
    }
}

#[test]
fn what_begins_is_written_through_no_link() {
    let put: [fn(&Path, &Path); 3] =
        [|path, key| put(path, Some(key)), |path, key| fs::hard_link(key, path).unwrap(), |path, _| put(path, None)];
    for put in put {
        let dir = filled();
        let key = dir.path().join("key");
        fs::write(&key, "a key").unwrap();
        let mut journal = open(dir.path()).journal;
        let (bucket, beside) = (bucket_path(dir.path(), 9), head::path(dir.path()).with_extension("new"));
        [&bucket, &beside].into_iter().for_each(|path| put(path, &key));
        journal.append(9, &hashed(50), 144).unwrap();
        assert_eq!(fs::read_to_string(&key).unwrap(), "a key");
        assert!(bucket.symlink_metadata().unwrap().is_file() && !beside.exists());
        drop(journal);
        assert_eq!(open(dir.path()).live.len(), 11);
    }
}

#[test]
fn what_is_there_is_opened_through_no_link_and_not_waited_for() {
    for name in ["lock", "0000000005.nonces"] {
        for link in [true, false] {
            let dir = filled();
            let (path, elsewhere) = (dir.path().join(name), dir.path().join("elsewhere"));
            fs::rename(&path, &elsewhere).unwrap();
            let before = [&fs::read(&elsewhere).unwrap()[..], b"torn"].concat();
            fs::write(&elsewhere, &before).unwrap();
            put(&path, link.then_some(&elsewhere));
            let said = Journal::open(dir.path(), &HERE, BLIND).err().unwrap().to_string();
            let why = if link { "it is a symbolic link, expected a regular file" } else { "it is no regular file" };
            assert!(said.contains(name) && said.contains(why), "{said}");
            assert_eq!(fs::read(&elsewhere).unwrap(), before);
        }
    }
}
