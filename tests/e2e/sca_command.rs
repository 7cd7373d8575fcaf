//! `portcullis sca`: what is told of files, lists and answers, in which form, and with which exit code.

use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};

use portcullis_tests::{portcullis, run};
use serde_json::{Value, json};

use crate::scan::{Folder, Said};
use crate::scan_report::validate;

pub const CRITICAL: &str = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H";
pub const LOW: &str = "CVSS:3.1/AV:L/AC:H/PR:H/UI:R/S:U/C:L/I:N/A:N";

/// An advisory on a package that is mended in this version, or nowhere.
pub fn advisory(id: &str, ecosystem: &str, name: &str, fixed: Option<&str>, score: &str) -> Value {
    let mut events = vec![json!({"introduced": "0"})];
    events.extend(fixed.map(|fixed| json!({"fixed": fixed})));
    let kind = if ecosystem == "PyPI" { "ECOSYSTEM" } else { "SEMVER" };
    json!({
        "id": id, "modified": "2026-01-01T00:00:00Z", "aliases": [format!("CVE-{}", id.to_lowercase())],
        "severity": [{"type": "CVSS_V3", "score": score}],
        "affected": [{"package": {"ecosystem": ecosystem, "name": name}, "ranges": [{"type": kind, "events": events}]}],
    })
}

/// A few, of every kind.
pub fn advisories() -> Vec<Value> {
    let mut withdrawn = advisory("GHSA-gone", "PyPI", "calm-widget", Some("2.0"), CRITICAL);
    withdrawn["withdrawn"] = "2026-02-01T00:00:00Z".into();
    vec![
        advisory("GHSA-crit", "PyPI", "py-widget", Some("2.1"), CRITICAL),
        advisory("GHSA-low", "PyPI", "low-widget", Some("2.0"), LOW),
        advisory("GHSA-crate", "crates.io", "two_words", Some("1.2.0"), CRITICAL),
        advisory("GHSA-net", "NuGet", "Widget.Json", Some("13.0.1"), CRITICAL),
        advisory("MAL-2026-9", "npm", "left-bad", None, CRITICAL),
        withdrawn,
    ]
}

/// `portcullis sca` in this folder, with the database that is in it.
fn sca(folder: &Folder, args: &[&str], input: &str) -> Said {
    let mut command = Command::new(portcullis());
    command.current_dir(folder.path()).arg("sca").args(args);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // It may end before it has read everything.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    Said::of(&child.wait_with_output().unwrap())
}

/// A folder with a database of these advisories.
fn folder() -> Folder {
    let folder = Folder::new();
    let lines: String = advisories().iter().map(|advisory| format!("{advisory}\n")).collect();
    folder.write("advisories.jsonl", lines);
    let (database, from) = (folder.path().join("osv.redb"), folder.path().join("advisories.jsonl"));
    let imported = run(&["osv", "import", "--database", database.to_str().unwrap(), from.to_str().unwrap()]);
    assert!(imported.status.success(), "{}", String::from_utf8_lossy(&imported.stderr));
    folder
}

const LOCAL: [&str; 2] = ["--database", "osv.redb"];

fn with<'a>(args: &[&'a str]) -> Vec<&'a str> {
    [&LOCAL[..], args].concat()
}

#[test]
fn what_is_vulnerable_is_told_with_what_mends_it() {
    let folder = folder();
    folder.write("requirements.txt", "# widgets\npy_Widget==1.0\nlow-widget==1.0\ncalm-widget==1.0\nother==1\n");
    let said = sca(&folder, &with(&["--json", "requirements.txt"]), "");
    let findings = said.findings();
    assert_eq!((said.code, findings.len()), (1, 2), "{}{}", said.out, said.err);
    let first = &findings[0];
    for (key, value) in [
        ("file", json!("requirements.txt")),
        ("line", json!(2)),
        ("package", json!("py_Widget")),
        ("ecosystem", json!("PyPI")),
        ("version", json!("1.0")),
        ("id", json!("GHSA-crit")),
        ("aliases", json!(["CVE-ghsa-crit"])),
        ("severity", json!("critical")),
        ("fixed", json!("2.1")),
        ("blocks", json!(true)),
        ("code", json!("sca.vulnerable")),
    ] {
        assert_eq!(first[key], value, "{key}");
    }
    assert!(first["reason"].as_str().unwrap().contains("mended in 2.1"));
    assert_eq!((&findings[1]["id"], &findings[1]["blocks"]), (&json!("GHSA-low"), &json!(false)));

    let table = sca(&folder, &with(&["requirements.txt"]), "");
    let row = table.out.lines().find(|line| line.contains("GHSA-crit")).expect("a row");
    for cell in ["requirements.txt:2", "py_Widget (PyPI)", " 1.0 ", "critical", " 2.1 ", "blocked"] {
        assert!(row.contains(cell), "{cell}: {row}");
    }
    assert!(!table.out.contains('\u{1b}'), "no colour but on a terminal");
    // What blocks is up to the operator.
    folder.write("low.txt", "low-widget==1.0\n");
    folder.write("fixed.txt", "py-widget==2.1\nlow-widget>=2\n");
    let code = |args: &[&str]| sca(&folder, &with(args), "").code;
    assert_eq!(code(&["--ecosystem", "PyPI", "low.txt"]), 0);
    assert_eq!(code(&["--ecosystem", "PyPI", "--block-at", "low", "low.txt"]), 1);
    assert_eq!(code(&["--ecosystem", "PyPI", "--strict", "fixed.txt"]), 0);
}

#[test]
fn every_ecosystem_and_input_is_read() {
    let folder = folder();
    folder.write("package.json", r#"{"dependencies": {"left-bad": "^1.0.0"}}"#);
    for (args, input, ids) in [
        (vec!["package.json"], "", vec!["MAL-2026-9"]),
        (vec![], "Run this:\n```sh\npip install py-widget==1.0\n```\n", vec!["GHSA-crit"]),
        (vec![], r#"{"message": {"content": "Run:\n```sh\npip install py-widget==1.0\n```\n"}}"#, vec!["GHSA-crit"]),
        (vec![], r#"{"message": {"content": "Run:\n```sh\npip install py-widget==2.1\n```\n"}}"#, vec![]),
        (vec!["-"], "Nothing to install here.", vec![]),
        (vec!["--ecosystem", "npm"], "left-bad@1.0.0\n", vec!["MAL-2026-9"]),
        (vec!["--ecosystem", "npm"], r#"{"dependencies": {"left-bad": "^1.0.0"}}"#, vec!["MAL-2026-9"]),
        (vec!["--ecosystem", "crates.io"], "two-words@=1.1.0\n", vec!["GHSA-crate"]),
        (vec!["--ecosystem", "nuget"], "widget.json 12.0.0\n", vec!["GHSA-net"]),
        (vec!["--stdin-name", "requirements.txt"], "py-widget==1.0 --hash=sha256:00\n", vec!["GHSA-crit"]),
    ] {
        let said = sca(&folder, &with(&[&args[..], &["--json"]].concat()), input);
        let found: Vec<_> = said.findings().iter().map(|f| f["id"].as_str().unwrap().to_owned()).collect();
        assert_eq!(
            (found, said.code),
            (ids.iter().map(ToString::to_string).collect(), i32::from(!ids.is_empty())),
            "{args:?}: {}",
            said.err
        );
    }
}

#[test]
fn a_line_of_a_list_that_is_not_understood_is_no_yes() {
    let folder = folder();
    let said = sca(&folder, &with(&["--ecosystem", "npm", "--json"]), "# a remark\nwhat is this\nleft-good@1.0.0\n");
    assert_eq!(said.code, 3, "{}", said.err);
    assert!(said.out.contains("names no package") && said.out.contains("\"line\":2"), "{}", said.out);
}

#[test]
fn a_file_that_is_not_understood_is_named_and_is_no_yes_where_that_counts() {
    let folder = folder();
    folder.write("bun.lock", r#"{"packages": {"left-bad": ["left-bad@1.0.0", "", {}, "sha512-x"]}}"#);
    folder.write("bom.json", r#"{"bomFormat": "CycloneDX", "components": [{"purl": "pkg:npm/left-bad@1.0.0"}]}"#);
    for (file, words) in [("bun.lock", "read as text"), ("bom.json", "is no manifest that is known")] {
        let said = sca(&folder, &with(&[file]), "");
        assert!(said.code == 0 && said.err.contains(words) && said.err.contains(file), "{file}: {}", said.err);
        let strict = sca(&folder, &with(&["--strict", "--json", file]), "");
        assert_eq!((strict.code, &strict.findings()[0]["id"]), (3, &json!("unknown-format")), "{}", strict.err);
    }
    let known = sca(&folder, &with(&["--strict", "--stdin-name", "gradle.lockfile"]), "empty=\n");
    assert_eq!((known.code, known.err.contains("known")), (0, false), "{}", known.err);
    let frame = |text: &str| format!("data: {}\n\n", json!({"choices": [{"index": 0, "delta": {"content": text}}]}));
    let stream = frame("pip install py-") + &frame("widget==1.0\n") + "data: [DONE]\n\n";
    assert_eq!(sca(&folder, &LOCAL, &stream).code, 1);
    folder.write("stream.txt", &stream);
    assert_eq!(sca(&folder, &with(&["stream.txt"]), "").code, 1);
}

#[test]
fn other_lists_are_named_and_not_read() {
    let folder = folder();
    folder.write("requirements.txt", "-r base.txt\nother==1\n");
    folder.write("base.txt", "py-widget==1.0\n");
    let said = sca(&folder, &with(&["requirements.txt"]), "");
    assert_eq!(said.code, 0);
    assert!(said.err.contains("requirements.txt:1: `base.txt` is not followed"), "{}", said.err);
    let both = sca(&folder, &with(&["--ecosystem", "PyPI", "requirements.txt", "base.txt"]), "");
    assert_eq!((both.code, both.err.contains("not followed")), (1, false), "{}", both.err);
    folder.write("app/poetry.lock", "[[package]]\nname = \"py-widget\"\nversion = \"1.0\"\noptional = false\n");
    let walked = sca(&folder, &with(&["--json", "app"]), "");
    assert_eq!((walked.code, &walked.findings()[0]["file"]), (1, &json!("app/poetry.lock")), "{}", walked.err);
}

#[test]
fn what_cannot_be_looked_up_or_read_is_no_yes() {
    let folder = folder();
    folder.write("requirements.txt", "other==1\n");
    let missing = sca(&folder, &["--database", "none.redb", "--json", "requirements.txt"], "");
    assert_eq!((missing.code, &missing.findings()[0]["code"]), (3, &json!("sca.unavailable")), "{}", missing.err);
    let two = sca(&folder, &["--database", "none.redb", "--json", "--ecosystem", "npm"], "left-bad\nleft-good\n");
    let names = (&two.findings()[0]["package"], &two.findings()[0]["others"]);
    assert_eq!(names, (&json!("left-bad"), &json!(["left-good"])), "{}", two.out);
    // What is known to be bad says more than what is not known.
    folder.write("mixed.txt", "pip install py-widget==1.0\ngem install other\n");
    assert_eq!(sca(&folder, &with(&["mixed.txt"]), "").code, 1);
    let both = sca(&folder, &with(&["nowhere.txt", "mixed.txt"]), "");
    assert!(both.code == 1 && both.err.contains("1 file could not be read"), "{} {}", both.code, both.err);
    folder.write("gems.txt", "gem install other\n");
    assert_eq!(sca(&folder, &with(&["gems.txt"]), "").code, 3, "of Ruby there are no advisories");
    folder.write("text.txt", "Nothing to install here.\n");
    assert_eq!(sca(&folder, &["--database", "none.redb", "text.txt"], "").code, 0, "nothing had to be looked up");
    fs::create_dir(folder.path().join("empty")).unwrap();
    for (args, code, words) in [
        (with(&["nowhere.txt"]), 3, "`nowhere.txt`"),
        (with(&["empty"]), 3, "`empty`: is a folder without a manifest"),
        (with(&["--ecosystem", "debian", "requirements.txt"]), 2, "`crates.io`"),
        (with(&["--block-at", "severe", "requirements.txt"]), 2, "`critical`"),
        (with(&["--source", "oracle", "requirements.txt"]), 2, "`both`"),
        (with(&["--index", "nowhere", "requirements.txt"]), 2, "`nowhere` is no folder"),
        (with(&["--index", "empty", "requirements.txt"]), 2, "`empty` holds no list of names"),
        (vec!["--source", "api", "--api-url", "http://osv.example", "requirements.txt"], 2, "https"),
        (vec!["--config", "none.yaml", "requirements.txt"], 2, "none.yaml"),
    ] {
        let said = sca(&folder, &args, "");
        assert!(said.code == code && said.err.contains(words), "{args:?}: {} {}", said.code, said.err);
    }
    folder.write("program.txt", b"\x7fELF\0\0");
    assert_eq!(sca(&folder, &with(&["program.txt", "requirements.txt"]), "").code, 3);
}

#[test]
fn sarif_of_dependencies_holds_to_its_schema() {
    let folder = folder();
    folder.write("a b/requirements.txt", "\n  py-widget==1.0\nlow-widget==1.0\nx @ git+https://example.com/x.git\n");
    folder.write("clean/requirements.txt", "other==1\n");
    let found = sca(&folder, &with(&["--sarif", "a b/requirements.txt"]), "");
    let clean = sca(&folder, &with(&["--sarif", "clean/requirements.txt"]), "");
    let missed = sca(&folder, &with(&["--sarif", "nowhere.txt"]), "");
    let blind = sca(&folder, &["--database", "none.redb", "--sarif", "clean/requirements.txt"], "");
    assert_eq!((found.code, clean.code, missed.code, blind.code), (1, 0, 3, 3));
    let log: Value = serde_json::from_str(&found.out).unwrap();
    let results = log["runs"][0]["results"].as_array().unwrap();
    let of = |id: &str| results.iter().find(|result| result["ruleId"] == id).expect("a result");
    assert_eq!((&of("GHSA-crit")["level"], &of("GHSA-low")["level"]), (&json!("error"), &json!("warning")));
    let place = &of("GHSA-crit")["locations"][0]["physicalLocation"];
    assert_eq!(
        (&place["artifactLocation"]["uri"], &place["region"]["startLine"]),
        (&json!("a%20b/requirements.txt"), &json!(2))
    );
    assert_eq!(of("remote-source")["properties"]["package"], "x");
    let rules = log["runs"][0]["tool"]["driver"]["rules"].as_array().unwrap();
    assert!(
        rules
            .iter()
            .any(|rule| rule["id"] == "GHSA-crit" && rule["helpUri"] == "https://osv.dev/vulnerability/GHSA-crit")
    );
    for (name, said) in [("found", found), ("clean", clean), ("missed", missed), ("blind", blind)] {
        validate(&folder, name, &said.out);
    }
}

#[test]
fn a_config_says_how_it_is_judged() {
    let folder = folder();
    let yaml = "upstreams:\n  local: {url: 'http://127.0.0.1:11434', kind: ollama}\n\
                filters:\n  sca: {block_at: low, database: osv.redb}\n";
    folder.write("portcullis.yaml", yaml);
    folder.write("requirements.txt", "low-widget==1.0\n");
    assert_eq!(sca(&folder, &["requirements.txt"], "").code, 1, "the config in this folder blocks at low");
    assert_eq!(sca(&folder, &["--block-at", "high", "requirements.txt"], "").code, 0);
    assert_eq!(sca(&folder, &with(&["requirements.txt"]), "").code, 0, "a database that is named needs no config");
    fs::remove_file(folder.path().join("osv.redb")).unwrap();
    assert_eq!(sca(&folder, &["requirements.txt"], "").code, 3, "nothing is known of it");
}
