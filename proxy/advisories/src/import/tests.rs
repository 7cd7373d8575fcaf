use std::fs;
use std::io::{Seek as _, Write as _};
use std::os::unix::fs::MetadataExt as _;

use portcullis_osv::{Because, Ecosystem, Known, Notice, Package, Unpinned, Wanted, judge};
use proptest::prelude::*;
use serde_json::{Value, json};
use tempfile::TempDir;
use zip::write::{SimpleFileOptions, ZipWriter};

use super::*;
use crate::{Database, DatabaseError, Status};

/// A directory with a database in it, and whatever is imported.
struct Bench {
    dir: TempDir,
}

impl Bench {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("state/osv.redb")
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.dir.path().join("in").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }

    fn try_import(&self, sources: &[PathBuf]) -> Result<Report, ImportError> {
        import(&self.path(), sources, Timestamp::from_second(1_700_000_000).unwrap(), &mut |_| {})
    }

    fn import(&self, sources: &[PathBuf]) -> Report {
        self.try_import(sources).unwrap()
    }

    fn notices(&self, ecosystem: Ecosystem, name: &str) -> Vec<Notice> {
        Database::open(&self.path()).unwrap().notices(&Package::new(ecosystem, name)).unwrap()
    }

    fn ids(&self, ecosystem: Ecosystem, name: &str) -> Vec<String> {
        self.notices(ecosystem, name).iter().map(|notice| notice.id.to_string()).collect()
    }

    fn status(&self) -> Status {
        Database::open(&self.path()).unwrap().status().unwrap()
    }
}

fn advisory(id: &str, packages: &[(&str, &str)]) -> Value {
    let affected: Vec<Value> = packages
        .iter()
        .map(|(ecosystem, name)| {
            let events = json!([{"introduced": "0"}, {"fixed": "2.0.0"}]);
            json!({"package": {"ecosystem": ecosystem, "name": name}, "ranges": [{"type": "ECOSYSTEM", "events": events}]})
        })
        .collect();
    json!({"id": id, "modified": "2024-05-01T12:00:00.5Z", "affected": affected, "aliases": ["CVE-2024-1"]})
}

fn zipped(entries: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut writer = ZipWriter::new(io::Cursor::new(Vec::new()));
    for (name, bytes) in entries {
        writer.start_file(*name, SimpleFileOptions::default()).unwrap();
        writer.write_all(bytes).unwrap();
    }
    let mut cursor = writer.finish().unwrap();
    cursor.rewind().unwrap();
    cursor.into_inner()
}

#[test]
fn every_kind_of_source_is_read() {
    let bench = Bench::new();
    let one = |id: &str| advisory(id, &[("npm", "p")]);
    let pretty = |id: &str| serde_json::to_string_pretty(&one(id)).unwrap();
    bench.write("tree/a.json", one("A-1").to_string());
    bench.write("tree/deep/er/b.json", pretty("A-2"));
    bench.write("tree/readme.md", "not an advisory");
    bench.write("tree/.git/c.json", "{}");
    let sources = [
        bench.dir.path().join("in/tree"),
        bench.write("lines.jsonl", format!("{}\r\n\n{}", one("A-3"), one("A-4"))),
        bench.write("list.json", json!([one("A-5"), one("A-6")]).to_string()),
        bench.write("pretty-list", format!("[\n{},\n{}\n]\n", pretty("A-7"), pretty("A-8"))),
        bench.write("several", format!("{}\n{}", pretty("A-9"), pretty("B-0"))),
        bench.write("all.zip", zipped(&[("B-1.json", one("B-1").to_string().into()), ("x.txt", vec![1])])),
        bench.write("empty.json", "[]"),
    ];
    let report = bench.import(&sources);
    assert_eq!((report.added, report.broken_total), (11, 0), "{report:?}");
    let ids = bench.ids(Ecosystem::Npm, "p");
    assert_eq!(ids, ["A-1", "A-2", "A-3", "A-4", "A-5", "A-6", "A-7", "A-8", "A-9", "B-0", "B-1"]);
}

#[test]
fn what_is_stored_is_what_was_read() {
    let bench = Bench::new();
    let written = json!({
        "id": "MAL-1", "modified": "2024-05-01T12:00:00Z", "aliases": ["GHSA-1", "CVE-1"],
        "severity": [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}],
        "affected": [{
            "package": {"ecosystem": "PyPI", "name": "Some_Package"},
            "ranges": [
                {"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "1.0"}, {"introduced": "2"}, {"last_affected": "3"}]},
                {"type": "ECOSYSTEM", "events": [{"introduced": "4"}, {"limit": "5"}]},
                {"type": "ECOSYSTEM", "events": [{"introduced": "6"}]},
                {"type": "GIT", "events": [{"introduced": "0"}, {"fixed": "abc"}]},
            ],
            "versions": ["5.5", "not a version"],
        }],
    });
    let expected = Advisory::parse(&written.to_string()).unwrap().notices;
    bench.import(&[bench.write("a.json", written.to_string())]);
    assert_eq!(bench.notices(Ecosystem::PyPi, "some-package"), expected);
    assert_eq!(expected.len(), 1);
}

#[test]
fn an_advisory_that_changes_leaves_nothing_behind() {
    let bench = Bench::new();
    bench.import(&[bench.write("a.json", advisory("A-1", &[("npm", "p"), ("npm", "q"), ("PyPI", "p")]).to_string())]);
    assert_eq!(bench.status().advisories, [(Ecosystem::Npm, 1), (Ecosystem::PyPi, 1)].into());
    let report = bench.import(&[bench.write("a.json", advisory("A-1", &[("npm", "q"), ("Go", "r")]).to_string())]);
    assert_eq!((report.added, report.replaced), (0, 1));
    assert_eq!(bench.ids(Ecosystem::Npm, "p"), Vec::<String>::new());
    assert_eq!(bench.ids(Ecosystem::PyPi, "p"), Vec::<String>::new());
    assert_eq!(bench.ids(Ecosystem::Npm, "q"), ["A-1"]);
    assert_eq!(bench.ids(Ecosystem::Go, "r"), ["A-1"]);
    assert_eq!(bench.status().advisories, [(Ecosystem::Go, 1), (Ecosystem::Npm, 1)].into());
    // The same again changes nothing.
    bench.import(&[bench.write("a.json", advisory("A-1", &[("npm", "q"), ("Go", "r")]).to_string())]);
    assert_eq!(bench.status().total(), 2);
}

#[test]
fn what_was_taken_back_is_gone() {
    let bench = Bench::new();
    bench.import(&[bench.write("a.json", advisory("A-1", &[("npm", "p")]).to_string())]);
    let mut withdrawn = advisory("A-1", &[("npm", "p")]);
    withdrawn["withdrawn"] = json!("2024-06-01T00:00:00Z");
    let report = bench.import(&[bench.write("a.json", withdrawn.to_string())]);
    assert_eq!(report.withdrawn, 1);
    assert_eq!(bench.ids(Ecosystem::Npm, "p"), Vec::<String>::new());
    assert_eq!(bench.status().total(), 0);
    let report = bench.import(&[bench.write("d.json", advisory("D-1", &[("Debian:12", "p")]).to_string())]);
    assert_eq!((report.elsewhere, report.added), (1, 0));
}

#[test]
fn what_is_broken_is_named_and_left_out() {
    let bench = Bench::new();
    let good = |id: &str| advisory(id, &[("npm", "p")]).to_string();
    let mut archive = zipped(&[("good.json", good("Z-1").into()), ("bad.json", b"{".to_vec())]);
    let lines = bench.write("lines.jsonl", format!("{}\n{{\"id\": 7}}\n{}\n\u{fffd}\n", good("L-1"), good("L-2")));
    let list = bench.write("list.json", format!("[{},\n{{\"affected\": []}}, {}]", good("M-1"), good("M-2")));
    let zip = bench.write("a.zip", &archive);
    let text = bench.write("text.json", "hello");
    let cut = bench.write("cut.json", "{\"id\": \"A\", ");
    let latin = bench.write("latin.json", b"{\"id\": \"\xff\"}");
    archive.truncate(archive.len() / 2);
    let half = bench.write("half.zip", &archive);
    let report = bench.import(&[
        lines.clone(),
        list.clone(),
        zip.clone(),
        text.clone(),
        cut.clone(),
        latin.clone(),
        half.clone(),
    ]);
    assert_eq!(bench.ids(Ecosystem::Npm, "p"), ["L-1", "L-2", "M-1", "M-2", "Z-1"]);
    let places: Vec<_> = report.broken.iter().map(|b| (&b.file, b.entry.as_deref(), b.line)).collect();
    let expected = [
        (&lines, None, Some(2)),
        (&lines, None, Some(4)),
        (&list, None, Some(2)),
        (&zip, Some("bad.json"), None),
        (&text, None, None),
        (&cut, None, Some(1)),
        (&latin, None, Some(1)),
        (&half, None, None),
    ];
    assert_eq!(places, expected);
    assert!(report.broken.iter().all(|broken| !broken.problem.is_empty()));
    assert_eq!(report.broken_total, 8);
}

#[test]
fn a_bomb_changes_nothing() {
    let bench = Bench::new();
    bench.import(&[bench.write("a.json", advisory("A-1", &[("npm", "p")]).to_string())]);
    let before = fs::read(bench.path()).unwrap();
    let zeros = vec![b' '; portcullis_osv::MAX_ADVISORY];
    let names: Vec<String> = (0..3).map(|i| format!("{i}.json")).collect();
    let mut entries: Vec<(&str, Vec<u8>)> = vec![("B-1.json", advisory("B-1", &[("npm", "p")]).to_string().into())];
    entries.extend(names.iter().map(|name| (name.as_str(), zeros.clone())));
    let bomb = bench.write("bomb.zip", zipped(&entries));
    let error =
        bench.try_import(&[bench.write("c.json", advisory("C-1", &[("npm", "p")]).to_string()), bomb]).unwrap_err();
    assert!(matches!(error, ImportError::Bomb { .. }), "{error}");
    assert_eq!(fs::read(bench.path()).unwrap(), before);
    assert_eq!(bench.ids(Ecosystem::Npm, "p"), ["A-1"]);
    // One entry that is too long is but broken.
    let long = bench.write("long.zip", zipped(&[("l.json", vec![b' '; portcullis_osv::MAX_ADVISORY + 1])]));
    let report = bench.import(&[long]);
    assert_eq!(report.broken.len(), 1);
}

#[test]
fn nothing_changes_when_a_source_is_missing() {
    let bench = Bench::new();
    let there = bench.write("a.json", advisory("A-1", &[("npm", "p")]).to_string());
    let error = bench.try_import(&[there.clone(), bench.dir.path().join("none")]).unwrap_err();
    assert!(matches!(error, ImportError::Io { .. }), "{error}");
    assert!(matches!(Database::open(&bench.path()), Err(DatabaseError::Missing(_))));
    bench.import(&[there]);
    assert_eq!(bench.status().imported, Some(Timestamp::from_second(1_700_000_000).unwrap()));
    assert_eq!(bench.status().newest, Some("2024-05-01T12:00:00Z".parse().unwrap()));
    assert_eq!(bench.status().size, fs::metadata(bench.path()).unwrap().len());
}

#[test]
fn what_brings_nothing_makes_nothing_younger() {
    let bench = Bench::new();
    let (empty, broken) = (bench.write("empty.json", "[]"), bench.write("broken.json", "{"));
    assert_eq!(bench.import(&[empty.clone(), broken.clone()]).total(), 0);
    assert!(matches!(Database::open(&bench.path()), Err(DatabaseError::Missing(_))));
    bench.import(&[bench.write("a.json", advisory("A-1", &[("npm", "p")]).to_string())]);
    let before = bench.status();
    let later = Timestamp::from_second(1_800_000_000).unwrap();
    import(&bench.path(), &[empty, broken], later, &mut |_| {}).unwrap();
    assert_eq!(bench.status(), before);
    // The same again says that it is still so.
    import(&bench.path(), &[bench.dir.path().join("in/a.json")], later, &mut |_| {}).unwrap();
    assert_eq!(bench.status().imported, Some(later));
}

#[test]
fn the_files_are_private_and_nothing_is_left_beside() {
    let bench = Bench::new();
    bench.import(&[bench.write("a.json", advisory("A-1", &[("npm", "p")]).to_string())]);
    let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
    let state = bench.path().parent().unwrap().to_owned();
    assert_eq!((mode(&state), mode(&bench.path())), (0o700, 0o600));
    let mut names: Vec<_> = fs::read_dir(&state).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["osv.redb", "osv.redb.lock"]);
}

#[test]
fn a_gate_that_holds_the_database_sees_the_new_one() {
    let bench = Bench::new();
    bench.import(&[bench.write("a.json", advisory("A-1", &[("npm", "p")]).to_string())]);
    let gate = Database::open(&bench.path()).unwrap();
    let package = Package::new(Ecosystem::Npm, "p");
    assert_eq!(gate.notices(&package).unwrap().len(), 1);
    bench.import(&[bench.write("b.json", advisory("A-2", &[("npm", "p")]).to_string())]);
    let notices = gate.notices(&package).unwrap();
    assert_eq!(notices.len(), 2);
    let hits = judge(&package, &Wanted::Exact("1.0.0".into()), &notices, Known::default(), Unpinned::Newest);
    assert!(hits.len() == 2 && hits.iter().all(|hit| hit.because == Because::Version));
    // What cannot be read is no reason to go on with what was there.
    fs::write(bench.path(), b"no database").unwrap();
    assert!(gate.notices(&package).is_err());
    fs::remove_file(bench.path()).unwrap();
    assert!(matches!(gate.notices(&package), Err(DatabaseError::Missing(_))));
    bench.import(&[bench.write("a.json", advisory("A-1", &[("npm", "p")]).to_string())]);
    assert_eq!(gate.notices(&package).unwrap().len(), 1);
}

#[test]
fn one_import_at_a_time() {
    let bench = Bench::new();
    bench.import(&[bench.write("a.json", "[]")]);
    let held = lock(&bench.path()).unwrap();
    let error = bench.try_import(&[bench.write("a.json", "[]")]).unwrap_err();
    assert!(matches!(error, ImportError::Busy(_)), "{error}");
    drop(held);
    bench.import(&[bench.write("a.json", "[]")]);
}

#[test]
fn what_is_no_database_is_refused() {
    let bench = Bench::new();
    let source = bench.write("a.json", "[]");
    fs::create_dir_all(bench.path().parent().unwrap()).unwrap();
    fs::write(bench.path(), "something else entirely").unwrap();
    let remedy = "remove it, then `portcullis osv sync`";
    let error = bench.try_import(std::slice::from_ref(&source)).unwrap_err();
    assert!(matches!(error, ImportError::Store { .. }) && error.to_string().contains(remedy), "{error}");
    assert_eq!(fs::read(bench.path()).unwrap(), b"something else entirely");
    let error = Database::open(&bench.path()).err().unwrap();
    assert!(matches!(error, DatabaseError::Damaged(_)) && error.to_string().contains(remedy), "{error}");
    // A database of the same library that is not ours.
    fs::remove_file(bench.path()).unwrap();
    redb::Database::create(bench.path()).unwrap().close().unwrap();
    assert!(matches!(Database::open(&bench.path()), Err(DatabaseError::Damaged(_))));
}

#[test]
fn a_damaged_file_is_an_error_and_no_panic() {
    let bench = Bench::new();
    let advisories: Vec<Value> = (0..500).map(|i| advisory(&format!("A-{i}"), &[("npm", "p")])).collect();
    bench.import(&[bench.write("a.json", json!(advisories).to_string())]);
    let whole = fs::read(bench.path()).unwrap();
    let package = Package::new(Ecosystem::Npm, "p");
    let mut failed = 0;
    for at in (0..whole.len()).step_by(whole.len() / 40) {
        let mut damaged = whole.clone();
        damaged.iter_mut().skip(at).take(64).for_each(|byte| *byte ^= 0xa5);
        fs::write(bench.path(), damaged).unwrap();
        failed += usize::from(Database::open(&bench.path()).and_then(|database| database.notices(&package)).is_err());
    }
    fs::write(bench.path(), &whole[..whole.len() / 2]).unwrap();
    failed += usize::from(Database::open(&bench.path()).and_then(|database| database.notices(&package)).is_err());
    assert!(failed > 0);
}

#[test]
fn tells_how_far_it_has_come() {
    let bench = Bench::new();
    let lines: Vec<String> = (0..50).map(|i| advisory(&format!("A-{i}"), &[("npm", "p")]).to_string()).collect();
    let sources = [
        bench.write("a.jsonl", lines.join("\n")),
        bench.write("b.zip", zipped(&[("a.json", lines[0].clone().into())])),
    ];
    let mut steps = Vec::new();
    let now = Timestamp::from_second(0).unwrap();
    import(&bench.path(), &sources, now, &mut |step| steps.push((step.advisories, step.read, step.total))).unwrap();
    let total = sources.iter().map(|path| fs::metadata(path).unwrap().len()).sum::<u64>();
    assert!(steps.is_sorted() && steps.iter().all(|step| step.2 == total && step.1 <= total), "{steps:?}");
    assert_eq!(steps.last(), Some(&(51, total, total)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// Whatever a file holds, the rest of an import goes through.
    #[test]
    fn any_file_is_read_or_named(text in "[\\[\\]{},\":a-z0-9\n\\\\ ]{0,80}", zip in any::<bool>()) {
        let bench = Bench::new();
        let mut bytes = text.into_bytes();
        if zip {
            bytes.splice(0..0, *b"PK\x03\x04");
        }
        let sources = [bench.write("x", bytes), bench.write("good.json", advisory("G-1", &[("npm", "p")]).to_string())];
        let report = bench.import(&sources);
        prop_assert_eq!(report.added, 1);
        prop_assert_eq!(bench.ids(Ecosystem::Npm, "p"), ["G-1"]);
    }
}
