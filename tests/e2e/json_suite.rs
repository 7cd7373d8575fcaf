//! The files of JSONTestSuite as request bodies: <https://github.com/nst/JSONTestSuite>.

use std::path::{Path, PathBuf};

use portcullis_tests::{FakeServer, Gate};

/// Its files, where they are.
fn files() -> Option<Vec<PathBuf>> {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data/jsontestsuite/test_parsing"));
    let Ok(entries) = std::fs::read_dir(folder) else {
        eprintln!("skipped: JSONTestSuite needs ../shared/data/jsontestsuite beside the repository");
        return None;
    };
    let mut files: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    Some(files)
}

#[test]
fn every_file_of_json_test_suite_gets_the_answer_that_its_name_says() {
    let Some(files) = files() else { return };
    let server = FakeServer::start();
    let gate = Gate::before(&server).filter("ratelimit: {requests: 100000/m}").start();
    let alice = gate.approved_client("alice");
    let before = server.seen().len();
    let mut counts = [0; 3];
    for file in &files {
        let name = file.file_name().and_then(|name| name.to_str()).expect("a name");
        let body = std::fs::read(file).expect("a file");
        let head = format!(
            "POST /api/chat HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        let answer = alice.raw(&[head.as_bytes(), &body].concat());
        let is_json = (answer.status, answer.code().as_str()) != (400, "request.malformed");
        // Nothing of it is a chat request, so what is JSON is refused for another reason, or for a stricter rule.
        assert!((400..500).contains(&answer.status), "{name}: {} {}", answer.status, answer.text());
        let stricter = ["stands twice", "differ only in case"].iter().any(|rule| answer.text().contains(rule));
        match name.split('_').next() {
            Some("n") => assert!(!is_json, "{name}: {}", answer.text()),
            Some("y") => assert!(is_json || stricter, "{name}: {}", answer.text()),
            _ => {}
        }
        counts[usize::from(name.starts_with('y')) + 2 * usize::from(name.starts_with('i'))] += 1;
    }
    assert_eq!(counts, [188, 95, 35], "n, y, i");
    assert_eq!(server.seen().len(), before, "none of it reached the server");
    assert_eq!(gate.metric(r#"portcullis_filter_panics_total{filter="schema"}"#), 0.0);
    assert_eq!(alice.get("/api/version").status, 200, "the gate stands");
}
