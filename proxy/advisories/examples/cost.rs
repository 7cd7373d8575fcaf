//! What the database costs: the time of an import, the size of the file, the memory of a process that has it open,
//! and the time of lookups.
//!
//!     cargo run --release -p portcullis-advisories --example cost            # 200,000 advisories made up
//!     cargo run --release -p portcullis-advisories --example cost -- FILE…   # advisories of your own

#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a measurement, not a part of the product")]

use std::fmt::Write as _;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::Instant;

use portcullis_advisories::{Database, import};
use portcullis_osv::{Ecosystem, Known, Package, Unpinned, Wanted, judge};

/// How many advisories are made up: what OSV has of the eight ecosystems.
const ADVISORIES: usize = 200_000;

/// How many packages they are about. Some have one advisory, some hundreds.
const PACKAGES: usize = 60_000;

/// How many packages an answer of a model may want.
const LOOKUPS: usize = 50;

/// How often the lookups are repeated for their median.
const ROUNDS: usize = 200;

fn main() {
    if let Some(path) = std::env::var_os(ONLY_LOOK_UP) {
        return look_up(Path::new(&path));
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("osv.redb");
    let mut sources: Vec<PathBuf> = std::env::args().skip(1).map(PathBuf::from).collect();
    if sources.is_empty() {
        sources.push(dir.path().join("advisories.jsonl"));
        std::fs::write(&sources[0], make_up()).unwrap();
    }
    for what in ["import", "import again"] {
        let before = Instant::now();
        let report = import(&path, &sources, jiff::Timestamp::now(), &mut |_| {}).unwrap();
        let seconds = before.elapsed().as_secs_f64();
        println!("{what}: {} added, {} replaced in {seconds:.2} s", report.added, report.replaced);
        println!("    {} withdrawn, {} elsewhere, {} broken", report.withdrawn, report.elsewhere, report.broken_total);
    }
    // The memory of the import is not that of a gate.
    let exe = std::env::current_exe().unwrap();
    std::process::Command::new(exe).env(ONLY_LOOK_UP, &path).status().unwrap();
}

/// Names the database in the process that does nothing but look up.
const ONLY_LOOK_UP: &str = "COST_OF_DATABASE";

fn look_up(path: &Path) {
    let before = Instant::now();
    let database = Database::open(path).unwrap();
    println!("open: {:?}, {} MB on disk", before.elapsed(), database.status().unwrap().size / 1_000_000);
    println!("memory when open: {} MB", resident());
    let (mut lookups, mut judged) = (Vec::new(), Vec::new());
    let mut notices = 0;
    for round in 0..ROUNDS {
        let wanted: Vec<Package> = (0..LOOKUPS).map(|i| package((round * 7919 + i * 104_729) % PACKAGES)).collect();
        let before = Instant::now();
        let found: Vec<_> = wanted.iter().map(|package| database.notices(package).unwrap()).collect();
        lookups.push(before.elapsed());
        let before = Instant::now();
        for (package, found) in wanted.iter().zip(&found) {
            notices += found.len();
            let version = Wanted::Exact("3.1.4".into());
            black_box(judge(package, &version, found, Known::default(), Unpinned::Newest));
        }
        judged.push(before.elapsed());
    }
    for (what, times) in [("lookups", &mut lookups), ("judgements", &mut judged)] {
        let first = times[0];
        times.sort();
        println!("{LOOKUPS} {what}: {first:?} at first, then {:?} (median of {ROUNDS})", times[ROUNDS / 2]);
    }
    println!("    {:.1} notices a package", notices as f64 / (ROUNDS * LOOKUPS) as f64);
    println!("memory after {} lookups: {} MB", LOOKUPS * ROUNDS, resident());
}

fn package(i: usize) -> Package {
    let ecosystem = Ecosystem::ALL[i % Ecosystem::ALL.len()];
    Package::new(ecosystem, &name(ecosystem, i))
}

fn name(ecosystem: Ecosystem, i: usize) -> String {
    match ecosystem {
        Ecosystem::Maven => format!("org.example.group{}:artifact-{i}", i % 97),
        Ecosystem::Go => format!("github.com/example{}/module-{i}", i % 97),
        Ecosystem::Packagist => format!("vendor{}/package-{i}", i % 97),
        _ => format!("package-{i}"),
    }
}

/// Advisories as databases write them, one a line: with texts, references, and lists of versions.
fn make_up() -> String {
    let mut text = String::new();
    for i in 0..ADVISORIES {
        // Squares, so that some packages have many advisories and most have one.
        let which = (i * i / 7 + i) % PACKAGES;
        let ecosystem = Ecosystem::ALL[which % Ecosystem::ALL.len()];
        let (major, minor) = (i % 9, i % 23);
        let versions: Vec<String> = (0..i % 40).map(|patch| format!("\"{major}.{minor}.{patch}\"")).collect();
        writeln!(
            text,
            r#"{{"schema_version":"1.6.0","id":"GHSA-{i:04x}-made-up{}","modified":"2024-0{}-11T07:08:09Z","aliases":["CVE-2024-{i}"],"summary":"{}","details":"{}","severity":[{{"type":"CVSS_V3","score":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:N"}}],"affected":[{{"package":{{"ecosystem":"{ecosystem}","name":"{}"}},"ranges":[{{"type":"ECOSYSTEM","events":[{{"introduced":"{major}.{minor}.0"}},{{"fixed":"{major}.{minor}.40"}}]}},{{"type":"ECOSYSTEM","events":[{{"introduced":"0"}},{{"fixed":"0.{minor}.1"}}]}}],"versions":[{}]}}],"database_specific":{{"severity":"HIGH"}},"references":[{{"type":"WEB","url":"https://example.org/{i}"}}]}}"#,
            i % 7,
            1 + i % 9,
            "What can be done with it. ".repeat(2),
            "How it can be done, and what to do against it. ".repeat(8),
            name(ecosystem, which),
            versions.join(","),
        )
        .unwrap();
    }
    text
}

/// What of this process is in memory, in megabytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()).and_then(|kb| kb.parse::<u64>().ok()).unwrap_or_default()
        / 1024
}
