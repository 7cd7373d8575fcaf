//! The evaluation of every advisory of two databases, checked against what the advisories themselves list. It needs
//! the sample of the databases beside the source tree, and says so where it is missing.

#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "helpers of tests")]

use std::path::Path;

use portcullis_osv::{Advisory, Because, Ecosystem, Known, Notice, Package, Unpinned, Version, Wanted, judge};
use serde_json::Value;

fn lines(file: &str) -> Option<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/osv").join(file);
    let text = std::fs::read_to_string(path).ok();
    if text.is_none() {
        println!("skipped: the sample `{file}` is not here");
    }
    text
}

fn hit(notices: &[Notice], package: &Package, version: &str) -> Option<Because> {
    let wanted = Wanted::Exact(version.into());
    let mut hits = judge(package, &wanted, notices, Known::default(), Unpinned::Newest);
    assert!(hits.len() <= 1, "one advisory says one thing of a package");
    hits.pop().map(|hit| hit.because)
}

#[test]
fn pypi() {
    check("pypi.jsonl");
}

#[test]
fn crates_io() {
    check("crates-io.jsonl");
}

/// Every version that an advisory lists, or with which a run begins, is a hit; every version with the fix is none,
/// unless the advisory says that it is affected all the same; what was withdrawn says nothing.
fn check(file: &str) {
    let Some(text) = lines(file) else { return };
    let (mut hits, mut passes, mut both, mut withdrawn) = (0, 0, 0, 0);
    for line in text.lines() {
        let written: Value = serde_json::from_str(line).unwrap();
        let id = written["id"].as_str().unwrap();
        let advisory = Advisory::parse(line).unwrap_or_else(|e| panic!("{id}: {e}"));
        let taken_back = written["withdrawn"].is_string();
        assert_eq!(advisory.withdrawn, taken_back, "{id}");
        withdrawn += usize::from(taken_back);
        for affected in written["affected"].as_array().unwrap() {
            let ecosystem = Ecosystem::named(affected["package"]["ecosystem"].as_str().unwrap()).unwrap();
            let package = Package::new(ecosystem, affected["package"]["name"].as_str().unwrap());
            let listed: Vec<&str> = strings(&affected["versions"]);
            let (introduced, fixed) = (events(affected, "introduced"), events(affected, "fixed"));
            for version in listed.iter().chain(&introduced) {
                let expected = (!taken_back).then_some(Because::Version);
                assert_eq!(hit(&advisory.notices, &package, version), expected, "{id} {package} {version}");
                hits += 1;
            }
            for version in fixed {
                let same = |other: &&str| Version::parse(ecosystem, other) == Version::parse(ecosystem, version);
                if listed.iter().any(same) || introduced.iter().any(same) {
                    both += 1;
                    continue;
                }
                assert_eq!(hit(&advisory.notices, &package, version), None, "{id} {package} {version}");
                passes += 1;
            }
        }
    }
    println!(
        "{file}: {hits} affected versions hit, {passes} mended ones pass, {both} are named as affected, too, \
         {withdrawn} advisories withdrawn"
    );
    assert!(hits > 400 && passes > 300 && withdrawn == if file == "pypi.jsonl" { 10 } else { 13 });
}

fn strings(list: &Value) -> Vec<&str> {
    list.as_array().map(|list| list.iter().filter_map(Value::as_str).collect()).unwrap_or_default()
}

/// The versions of all events of this kind, but for those that count commits.
fn events<'v>(affected: &'v Value, kind: &str) -> Vec<&'v str> {
    let ranges = affected["ranges"].as_array().into_iter().flatten().filter(|range| range["type"] != "GIT");
    ranges.flat_map(|range| range["events"].as_array().unwrap()).filter_map(|event| event[kind].as_str()).collect()
}
