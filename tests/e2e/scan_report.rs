//! What `portcullis scan` leaves behind: SARIF, reports in files, baselines.

use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::scan::{Folder, places, token};

#[test]
fn sarif_holds_to_its_schema() {
    let folder = Folder::new();
    folder.write("a b/\u{e9}.txt", format!("x\n  {}\n", token(40)));
    folder.write("clean.txt", "x");
    let said = folder.scan(&["--sarif", "."]);
    assert_eq!(said.code, 1);
    let log: Value = serde_json::from_str(&said.out).unwrap();
    let run = &log["runs"][0];
    let result = &run["results"][0];
    let place = &result["locations"][0]["physicalLocation"];
    assert_eq!((run["results"].as_array().unwrap().len(), &result["ruleId"]), (1, &"gitlab-token".into()));
    assert_eq!(place["artifactLocation"]["uri"], "a%20b/%C3%A9.txt");
    assert_eq!((&place["region"]["startLine"], &place["region"]["startColumn"]), (&2.into(), &3.into()));
    let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
    assert!(rules.iter().any(|rule| rule["id"] == "gitlab-token" && rule["help"]["text"] != ""));
    let missed = folder.scan(&["--sarif", "missing", "."]);
    let clean = folder.scan(&["--sarif", "clean.txt"]);
    assert_eq!((missed.code, clean.code), (3, 0));
    assert_eq!(
        serde_json::from_str::<Value>(&missed.out).unwrap()["runs"][0]["invocations"][0]["executionSuccessful"],
        false
    );
    assert_eq!(serde_json::from_str::<Value>(&clean.out).unwrap()["runs"][0]["results"].as_array().unwrap().len(), 0);
    for (name, log) in [("found", said.out), ("missed", missed.out), ("clean", clean.out)] {
        validate(&folder, name, &log);
    }
}

/// Holds a log against the schema.
pub fn validate(folder: &Folder, name: &str, log: &str) {
    let python = std::env::var("PORTCULLIS_REAL_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let runs = Command::new(&python).args(["-c", "import jsonschema"]).output().is_ok_and(|o| o.status.success());
    if !runs {
        return eprintln!("skipped: SARIF against its schema, it needs python3 with `jsonschema`");
    }
    folder.write("log.sarif", log);
    let schema = concat!(env!("CARGO_MANIFEST_DIR"), "/data/sarif/sarif-schema-2.1.0.json");
    let script = "import json, sys, jsonschema\n\
                  jsonschema.Draft7Validator(json.load(open(sys.argv[1]))).validate(json.load(open(sys.argv[2])))";
    let output =
        Command::new(python).args(["-c", script, schema]).arg(folder.path().join("log.sarif")).output().unwrap();
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_report_goes_into_a_file() {
    let folder = Folder::new();
    folder.write("a.txt", token(41));
    for form in [&["--json"][..], &["--sarif"], &[]] {
        let direct = folder.scan(&[form, &["a.txt"]].concat());
        let said = folder.scan(&[form, &["--report", "report", "."]].concat());
        assert_eq!((said.code, &*said.out), (1, ""));
        assert_eq!(fs::read_to_string(folder.path().join("report")).unwrap(), direct.out);
    }
    assert_eq!(folder.scan(&["--report", "no/such/folder", "a.txt"]).code, 3);
}

#[test]
fn a_baseline_hides_what_is_known_and_nothing_else() {
    let folder = Folder::new();
    let (old, new) = (token(42), token(43));
    folder.write("a.txt", format!("{old}\n"));
    assert_eq!(folder.scan(&["--baseline", "known.json", "."]).code, 2, "a baseline that is missing hides nothing");
    assert_eq!(folder.scan(&["--baseline", "known.json", "--write-baseline", "."]).code, 0);
    let written = fs::read_to_string(folder.path().join("known.json")).unwrap();
    assert!(written.contains("a.txt") && !written.contains(&old[8..]));
    let known = |expected: &[(&str, u64, u64)]| {
        let said = folder.scan(&["--json", "--baseline", "known.json", "."]);
        assert_eq!(
            (places(&said.findings()), said.code),
            (expected.to_vec(), i32::from(!expected.is_empty())),
            "{}",
            said.err
        );
    };
    known(&[]);
    folder.write("a.txt", format!("\n\nit moved: {old}\n"));
    known(&[]);
    folder.write("a.txt", format!("{new}\n{old}\n"));
    known(&[("a.txt", 1, 1)]);
    folder.write("a.txt", format!("{new}\n"));
    known(&[("a.txt", 1, 1)]);
    folder.write("b.txt", format!("{old}\n"));
    known(&[("a.txt", 1, 1), ("b.txt", 1, 1)]);
    // Written anew, it keeps its salt, and so does not change where nothing changed.
    assert_eq!(folder.scan(&["--baseline", "known.json", "--write-baseline", "."]).code, 0);
    let first = fs::read_to_string(folder.path().join("known.json")).unwrap();
    assert_eq!(folder.scan(&["--baseline", "known.json", "--write-baseline", "."]).code, 0);
    assert_eq!(fs::read_to_string(folder.path().join("known.json")).unwrap(), first);
    folder.write("known.json", first.replace("\"version\": 1", "\"version\": 2"));
    assert_eq!(folder.scan(&["--baseline", "known.json", "."]).code, 2);
}

#[test]
fn fingerprints_stay_and_say_nothing() {
    let folder = Folder::new();
    let prints = || -> Vec<String> {
        folder.found(&["."]).iter().map(|f| f["fingerprint"].as_str().unwrap().to_owned()).collect()
    };
    folder.write("a.txt", format!("{}\n{}\n", token(44), token(45)));
    let first = prints();
    assert!(first.len() == 2 && first[0] != first[1] && prints() == first);
    folder.write("a.txt", format!("\n\n{}\nx\n{}\n", token(44), token(45)));
    assert_eq!(prints(), first, "lines moved");
    // Whoever has a guess cannot try it: another secret has the same one.
    folder.write("a.txt", format!("{}\n{}\n", token(46), token(47)));
    assert_eq!(prints(), first);
}
