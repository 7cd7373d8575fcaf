//! `portcullis osv`: advisories into the database, from files and from a server, and how old they are.

use std::fs;
use std::io::{Cursor, Write as _};
use std::path::Path;
use std::process::Output;

use portcullis_tests::osv_api::{FakeOsv, Trouble};
use portcullis_tests::{FakeServer, Script, run};
use serde_json::{Value, json};

use crate::sca_command::{CRITICAL, advisories, advisory};

/// `portcullis osv` with the database of this folder.
fn osv(folder: &Path, args: &[&str]) -> Output {
    let database = folder.join("osv.redb");
    run(&[&["osv"], args, &["--database", database.to_str().unwrap()]].concat())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[track_caller]
fn said(output: &Output, code: i32) -> Value {
    assert_eq!(output.status.code(), Some(code), "{}{}", text(&output.stdout), text(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap_or_default()
}

/// An export, as OSV publishes them.
fn export(entries: &[(&str, String)]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, text) in entries {
        zip.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(text.as_bytes()).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn one(id: &str, name: &str) -> (String, String) {
    (format!("{id}.json"), advisory(id, "PyPI", name, Some("2.0"), CRITICAL).to_string())
}

fn zipped(advisories: &[(&str, &str)]) -> Vec<u8> {
    let entries: Vec<_> = advisories.iter().map(|(id, name)| one(id, name)).collect();
    export(&entries.iter().map(|(name, text)| (name.as_str(), text.clone())).collect::<Vec<_>>())
}

#[test]
fn files_of_every_kind_are_imported_and_what_is_broken_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path();
    let lines: String = advisories().iter().map(|advisory| format!("{advisory}\n")).collect();
    fs::create_dir(folder.join("many")).unwrap();
    fs::write(folder.join("many/a.jsonl"), &lines).unwrap();
    fs::write(folder.join("b.zip"), zipped(&[("GHSA-one", "one"), ("GHSA-two", "two")])).unwrap();
    let path = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let (many, zip) = (path("many"), path("b.zip"));
    let report = said(&osv(folder, &["import", "--json", &many, &zip]), 0);
    assert_eq!((&report["added"], &report["withdrawn"], &report["broken_total"]), (&json!(7), &json!(1), &json!(0)));

    fs::write(folder.join("bad.jsonl"), format!("{}\n{{\"id\": 5}}\n", advisories()[0])).unwrap();
    let report = said(&osv(folder, &["import", "--json", &path("bad.jsonl")]), 1);
    assert_eq!((&report["replaced"], &report["broken"][0]["line"]), (&json!(1), &json!(2)));
    let told = osv(folder, &["import", &path("bad.jsonl")]);
    assert!(text(&told.stderr).contains("bad.jsonl`, line 2:"), "{}", text(&told.stderr));
    assert!(text(&told.stdout).contains("1 replaced"), "{}", text(&told.stdout));

    let status = said(&osv(folder, &["status", "--json"]), 0);
    assert_eq!((&status["advisories"]["PyPI"], &status["advisories"]["npm"]), (&json!(4), &json!(1)));
    assert_eq!((&status["usable"], &status["newest"]), (&json!(true), &json!("2026-01-01T00:00:00Z")));
    assert!(text(&osv(folder, &["status"]).stdout).contains("PyPI"));
    // What brings nothing does not make it look younger.
    let before = fs::read(folder.join("osv.redb")).unwrap();
    fs::create_dir(folder.join("empty")).unwrap();
    fs::write(folder.join("broken.json"), "{").unwrap();
    for nothing in ["empty", "broken.json"] {
        assert_eq!(osv(folder, &["import", &path(nothing)]).status.code(), Some(1), "{nothing}");
    }
    assert_eq!(osv(folder, &["import", &path("nowhere")]).status.code(), Some(3));
    assert_eq!(osv(folder, &["import"]).status.code(), Some(2));
    assert_eq!(fs::read(folder.join("osv.redb")).unwrap(), before);
}

#[test]
fn a_database_that_is_missing_or_none_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let status = said(&osv(dir.path(), &["status", "--json"]), 1);
    assert!(status["usable"] == false && status["problem"].as_str().unwrap().contains("osv import"), "{status}");
    fs::write(dir.path().join("osv.redb"), "no database").unwrap();
    let status = osv(dir.path(), &["status"]);
    assert!(status.status.code() == Some(1) && text(&status.stderr).contains("osv.redb"), "{}", text(&status.stderr));
    let remedy = "remove it, then `portcullis osv sync`";
    assert!(text(&status.stderr).contains(remedy), "{}", text(&status.stderr));
    fs::write(dir.path().join("a.json"), advisories()[0].to_string()).unwrap();
    let import = osv(dir.path(), &["import", dir.path().join("a.json").to_str().unwrap()]);
    assert_eq!(import.status.code(), Some(3), "{}", text(&import.stderr));
    assert!(text(&import.stderr).contains(remedy), "{}", text(&import.stderr));
    assert_eq!(fs::read_to_string(dir.path().join("osv.redb")).unwrap(), "no database");
}

#[test]
fn the_config_says_where_it_is_and_how_old_it_may_be() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("portcullis.yaml");
    let yaml = "upstreams:\n  local: {url: 'http://127.0.0.1:11434', kind: ollama}\nfilters:\n  sca: {max_age: 1s}\n";
    fs::write(&config, yaml).unwrap();
    fs::write(dir.path().join("a.json"), advisories()[0].to_string()).unwrap();
    let (config, file) = (config.to_str().unwrap(), dir.path().join("a.json"));
    let imported = run(&["osv", "import", "--config", config, file.to_str().unwrap()]);
    assert!(imported.status.success(), "{}", text(&imported.stderr));
    assert!(dir.path().join("state/osv.redb").is_file());
    // Times are kept in whole seconds.
    portcullis_tests::until("the database to be older than a second", || {
        let status = run(&["osv", "status", "--config", config]);
        (status.status.code() == Some(1) && text(&status.stderr).contains("max_age")).then_some(())
    });
}

fn serve(bytes: &[u8]) -> Script {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Type: application/zip\r\nContent-Length: {}\r\n\r\n", bytes.len());
    Script::Raw([head.as_bytes(), bytes].concat())
}

#[test]
fn exports_are_fetched_and_imported_together() {
    let dir = tempfile::tempdir().unwrap();
    let server = FakeServer::start();
    let url = format!("http://{}", server.address());
    server.next(serve(&zipped(&[("GHSA-one", "one")]))).next(serve(&zipped(&[("GHSA-two", "two")])));
    let args = ["sync", "--json", "--url", &url, "--ecosystem", "PyPI", "--ecosystem", "npm"];
    let report = said(&osv(dir.path(), &args), 0);
    assert_eq!(report["added"], 2);
    let lines: Vec<_> = server.seen().iter().map(|seen| seen.line.clone()).collect();
    assert_eq!(lines, ["GET /npm/all.zip HTTP/1.1", "GET /PyPI/all.zip HTTP/1.1"]);
    assert_eq!(said(&osv(dir.path(), &["status", "--json"]), 0)["total"], 2);

    // Whatever goes wrong with one, nothing changes, and nothing is left behind.
    let left = || -> Vec<_> {
        let mut names: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let (before, names) = (fs::read(dir.path().join("osv.redb")).unwrap(), left());
    let whole = zipped(&[("GHSA-three", "three")]);
    for (trouble, words) in [
        (Script::whole(404, "text/plain", "no"), "404"),
        (Script::whole(302, "text/plain", ""), "302"),
        (Script::whole(200, "text/html", "<html>"), "no zip archive"),
        (Script::HangUp, "cannot be fetched"),
    ] {
        server.next(serve(&whole)).next(trouble);
        let output = osv(dir.path(), &args);
        let err = text(&output.stderr);
        assert!(
            output.status.code() == Some(3) && err.contains(words) && err.contains("PyPI/all.zip"),
            "{words}: {err}"
        );
        assert_eq!(
            (fs::read(dir.path().join("osv.redb")).unwrap(), left()),
            (before.clone(), names.clone()),
            "{words}"
        );
    }
    let wrong = osv(dir.path(), &["sync", "--url", "http://osv.example"]);
    assert!(wrong.status.code() == Some(2) && text(&wrong.stderr).contains("https"));
}

#[test]
fn an_export_that_breaks_off_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    // It knows no exports: whatever it is asked, it breaks off.
    let server = FakeOsv::start(vec![]);
    server.fail(Trouble::Torn, 1);
    let output = osv(dir.path(), &["sync", "--url", &server.url(), "--ecosystem", "Go"]);
    let err = text(&output.stderr);
    assert!(output.status.code() == Some(3) && err.contains("broke off"), "{err}");
    assert!(!dir.path().join("osv.redb").exists());
}
