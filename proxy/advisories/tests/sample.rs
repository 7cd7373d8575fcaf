//! The sample of two databases, through an import and back. It needs the sample beside the source tree, and says so
//! where it is missing.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use portcullis_advisories::{Database, import};
use portcullis_osv::{Advisory, Ecosystem, Notice};

/// The files of the sample, those that are there.
fn samples() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/osv");
    ["pypi.jsonl", "crates-io.jsonl"].into_iter().map(|file| folder.join(file)).filter(|path| path.exists()).collect()
}

#[test]
fn every_notice_is_found_again() {
    let samples = samples();
    if samples.is_empty() {
        println!("skipped: the sample is not here");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("osv.redb");
    let before = Instant::now();
    let report = import(&path, &samples, jiff::Timestamp::now(), &mut |_| {}).unwrap();
    println!("imported in {:?}", before.elapsed());
    assert_eq!(report.broken, []);

    let texts = samples.iter().map(|sample| std::fs::read_to_string(sample).unwrap());
    let lines: Vec<String> = texts.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>()).collect();
    let advisories: Vec<Advisory> = lines.iter().map(|line| Advisory::parse(line).unwrap()).collect();
    let (withdrawn, standing): (Vec<&Advisory>, Vec<&Advisory>) = advisories.iter().partition(|a| a.withdrawn);
    assert_eq!((report.withdrawn, report.added), (withdrawn.len() as u64, standing.len() as u64));

    let database = Database::open(&path).unwrap();
    let mut expected: BTreeMap<_, Vec<&Notice>> = BTreeMap::new();
    for notice in standing.iter().flat_map(|advisory| &advisory.notices) {
        expected.entry(&notice.package).or_default().push(notice);
    }
    assert!(expected.len() > 400);
    for (package, notices) in &mut expected {
        notices.sort_by(|a, b| a.id.cmp(&b.id));
        let found = database.notices(package).unwrap();
        assert!(found.iter().eq(notices.iter().copied()), "{package}");
    }
    for advisory in &standing {
        let mut named = database.advisory(&advisory.id).unwrap();
        named.sort_by(|a, b| a.package.cmp(&b.package));
        let mut notices: Vec<_> = advisory.notices.clone();
        notices.sort_by(|a, b| a.package.cmp(&b.package));
        assert_eq!(named, notices, "{}", advisory.id);
    }
    assert!(withdrawn.iter().all(|advisory| database.advisory(&advisory.id).unwrap().is_empty()));
    let status = database.status().unwrap();
    assert_eq!(status.total(), report.added);
    assert_eq!(status.advisories.keys().copied().collect::<Vec<_>>(), [Ecosystem::CratesIo, Ecosystem::PyPi]);
    assert!(status.newest.is_some());
}
