//! A gate that asks OSV's API: the right verdicts, and none without an answer.

use std::io::Write as _;
use std::process::{Command, Stdio};

use portcullis_tests::osv_api::{FakeOsv, Trouble, sample};
use portcullis_tests::{Answer, Client, FakeServer, Gate, Script, portcullis, run, until};
use serde_json::{Value, json};

use crate::sca_command::{CRITICAL, LOW, advisories, advisory};

/// Far more than a lookup takes here, and far less than a test may.
const PATIENCE: &str = "5s";
/// How long is waited for a service that does not answer.
const SHORT: &str = "1s";

/// A gate that asks this service.
fn gate(server: &FakeServer, osv: &FakeOsv, source: &str, timeout: &str) -> Gate {
    let api = format!("api: {{url: '{}', timeout: {timeout}}}", osv.url());
    Gate::before(server).filter(&format!("sca: {{source: {source}, {api}}}")).start()
}

/// What a client gets when the model says this.
fn ask(server: &FakeServer, client: &Client, says: &str) -> Answer {
    let message = json!({"role": "assistant", "content": says});
    let body = json!({"model": "tiny:latest", "message": message, "done": true, "done_reason": "stop"});
    server.next(Script::json(&body.to_string()));
    client.post("/api/chat", &json!({"model": "tiny", "stream": false, "messages": []}))
}

#[track_caller]
fn expect(answer: &Answer, code: Option<&str>) {
    let (status, said) = match code {
        None => (200, "allow"),
        Some(code @ "sca.unavailable") => (503, code),
        Some(code) => (502, code),
    };
    assert_eq!((answer.status, &*answer.code()), (status, said), "{}", answer.text());
}

fn frame(content: &str) -> Vec<u8> {
    let message = json!({"role": "assistant", "content": content});
    format!("{}\n", json!({"model": "tiny:latest", "message": message, "done": false})).into_bytes()
}

#[test]
fn the_service_s_word_is_the_verdict() {
    let server = FakeServer::start();
    let osv = FakeOsv::start(advisories());
    let gate = gate(&server, &osv, "api", PATIENCE);
    let alice = gate.approved_client("alice");
    for (says, code) in [
        ("pip install py-widget==1.0", Some("sca.vulnerable")),
        ("pip install Py_Widget==1.0", Some("sca.vulnerable")),
        ("pip install py-widget==2.1", None),
        ("pip install low-widget==1.0", None),
        ("pip install calm-widget==1.0", None),
        ("npm install left-bad", Some("sca.malicious")),
        ("cargo add two-words@=1.1.0", Some("sca.vulnerable")),
        ("cargo add two_words@=1.1.0", Some("sca.vulnerable")),
        ("cargo add two-words@=1.2.0", None),
        ("dotnet add package widget.json --version 12.0.0", Some("sca.vulnerable")),
        ("pip install nobody-knows-it==1.0", None),
    ] {
        let answer = ask(&server, &alice, says);
        expect(&answer, code);
        if code == Some("sca.vulnerable") {
            let entry = gate.audit_of(answer.header("portcullis-request-id").unwrap());
            assert_eq!((&entry["filter"], &entry["code"]), (&json!("sca"), &json!("sca.vulnerable")));
        }
    }
    // Names leave, versions and texts do not.
    for seen in osv.seen() {
        let text = seen.text();
        assert!(!text.contains("1.1.0") && !text.contains("install") && !text.contains("version"), "{text}");
    }
}

#[test]
fn every_page_counts() {
    let mut all: Vec<_> = (0..7).map(|n| advisory(&format!("GHSA-{n}"), "PyPI", "paged", Some("1.1"), LOW)).collect();
    all.push(advisory("GHSA-worst", "PyPI", "paged", Some("2.0"), CRITICAL));
    let (server, osv) = (FakeServer::start(), FakeOsv::start(all));
    osv.pages_of(1);
    let gate = gate(&server, &osv, "api", PATIENCE);
    let alice = gate.approved_client("alice");
    let answer = ask(&server, &alice, "pip install paged==1.5");
    expect(&answer, Some("sca.vulnerable"));
    assert!(answer.text().contains("GHSA-worst") && answer.text().contains("mended in 2.0"), "{}", answer.text());
    expect(&ask(&server, &alice, "pip install paged==2.0"), None);
    assert_eq!(osv.seen().iter().filter(|seen| seen.line.contains("/v1/query ")).count(), 8);
}

#[test]
fn what_was_answered_is_not_asked_again() {
    let (server, osv) = (FakeServer::start(), FakeOsv::start(advisories()));
    let gate = gate(&server, &osv, "api", PATIENCE);
    let alice = gate.approved_client("alice");
    expect(&ask(&server, &alice, "pip install py-widget==1.0 other==1"), Some("sca.vulnerable"));
    let seen = osv.seen().len();
    expect(&ask(&server, &alice, "pip install py-widget==2.1 other==2"), None);
    assert_eq!(osv.seen().len(), seen);
    // Also while the service is away; what is not known is not let through then.
    osv.fail(Trouble::Status(503, None), usize::MAX);
    expect(&ask(&server, &alice, "pip install py-widget==1.0"), Some("sca.vulnerable"));
    expect(&ask(&server, &alice, "pip install another==1.0"), Some("sca.unavailable"));
    osv.recover();
    expect(&ask(&server, &alice, "pip install another==1.0"), None);
    assert_eq!(osv.asked().iter().filter(|name| *name == "py-widget").count(), 1);
}

#[test]
fn a_service_that_fails_ends_the_answer_and_is_left_alone() {
    let (server, osv) = (FakeServer::start(), FakeOsv::start(advisories()));
    let gate = gate(&server, &osv, "api", SHORT);
    let alice = gate.approved_client("alice");
    // That it does not take a question says nothing of the next one.
    osv.fail(Trouble::Status(400, None), 4);
    for number in 0..4 {
        expect(&ask(&server, &alice, &format!("pip install odd-{number}==1.0")), Some("sca.unavailable"));
    }
    expect(&ask(&server, &alice, "pip install even==1.0"), None);
    for (number, trouble) in [Trouble::Silence, Trouble::NoJson, Trouble::Drip].into_iter().enumerate() {
        osv.fail(trouble.clone(), usize::MAX);
        let before = osv.seen().len();
        let answer = ask(&server, &alice, &format!("pip install calm-{number}==1.0"));
        expect(&answer, Some("sca.unavailable"));
        assert!(!answer.text().contains("calm-") && osv.seen().len() > before, "{trouble:?}: {}", answer.text());
    }
    // After three in a row it is not asked for a while, and nothing passes in the meantime.
    osv.recover();
    let before = osv.seen().len();
    expect(&ask(&server, &alice, "pip install calm-again==1.0"), Some("sca.unavailable"));
    assert_eq!(osv.seen().len(), before);
    expect(&ask(&server, &alice, "Nothing to install."), None);
    // Then it is.
    until("the service to be asked again", || {
        (ask(&server, &alice, "pip install calm-again==1.0").status == 200).then_some(())
    });
}

/// `portcullis sca` that asks this service, with this on standard input.
fn sca(osv: &FakeOsv, args: &[&str], input: &str) -> (i32, Vec<Value>, String) {
    let mut command = Command::new(portcullis());
    command.args(["sca", "--json", "--api-url", &osv.url()]).args(args);
    if !args.contains(&"--source") {
        command.args(["--source", "api"]);
    }
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let findings = String::from_utf8(output.stdout).unwrap();
    let findings = findings.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    (output.status.code().unwrap(), findings, String::from_utf8(output.stderr).unwrap())
}

#[test]
fn no_trouble_is_taken_for_a_yes() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("portcullis.yaml");
    std::fs::write(
        &config,
        "upstreams:\n  local: {url: 'http://127.0.0.1:11434', kind: ollama}\nfilters:\n  sca: {api: {timeout: 1s}}\n",
    )
    .unwrap();
    let args = ["--config", config.to_str().unwrap()];
    for trouble in [
        Trouble::Drip,
        Trouble::Huge,
        Trouble::Less,
        Trouble::More,
        Trouble::NoJson,
        Trouble::OtherJson,
        Trouble::Silence,
        Trouble::Torn,
        Trouble::Status(302, None),
        Trouble::Status(400, None),
        Trouble::Status(404, None),
        Trouble::Status(429, None),
        Trouble::Status(429, Some(3_600)),
        Trouble::Status(500, None),
        Trouble::Status(503, Some(u64::MAX)),
    ] {
        let osv = FakeOsv::start(advisories());
        osv.fail(trouble.clone(), usize::MAX);
        // One that nothing is known of: only an answer says so.
        let (code, findings, err) = sca(&osv, &args, "pip install other==1.0");
        assert_eq!((code, findings.len(), osv.seen().is_empty()), (3, 1, false), "{trouble:?}: {err}");
        assert_eq!(findings[0]["code"], "sca.unavailable", "{trouble:?}");
        assert!(osv.seen().len() <= 3, "{trouble:?}: {}", osv.seen().len());
    }
}

#[test]
fn what_says_to_try_later_is_asked_again() {
    for trouble in [Trouble::Status(429, Some(0)), Trouble::Status(503, None)] {
        let osv = FakeOsv::start(advisories());
        osv.fail(trouble.clone(), 2);
        let (code, findings, err) = sca(&osv, &[], "pip install py-widget==1.0");
        assert_eq!((code, findings.len()), (1, 1), "{trouble:?}: {err}");
        assert_eq!(findings[0]["id"], "GHSA-crit", "{trouble:?}");
        // Three times for many packages, then for the one that has something.
        assert_eq!(osv.seen().len(), 4, "{trouble:?}");
    }
}

#[test]
fn the_database_comes_first_where_both_are_asked() {
    let (server, osv) = (FakeServer::start(), FakeOsv::start(advisories()));
    let gate = gate(&server, &osv, "both", PATIENCE);
    let alice = gate.approved_client("alice");
    expect(&ask(&server, &alice, "pip install py-widget==1.0"), Some("sca.vulnerable"));
    assert_eq!(osv.asked(), ["py-widget"], "there is no database yet");
    std::fs::write(gate.dir.path().join("a.json"), advisory("GHSA-own", "PyPI", "own", None, CRITICAL).to_string())
        .unwrap();
    let imported = gate.cli(&["osv", "import", gate.dir.path().join("a.json").to_str().unwrap()]);
    assert!(imported.status.success(), "{}", String::from_utf8_lossy(&imported.stderr));
    let seen = osv.seen().len();
    expect(&ask(&server, &alice, "pip install own==1.0"), Some("sca.vulnerable"));
    expect(&ask(&server, &alice, "pip install third==1.0"), None);
    assert_eq!(osv.seen().len(), seen, "the database knows, and is young enough");
}

#[test]
fn a_stream_waits_for_the_answer_and_ends_before_the_line() {
    let (server, osv) = (FakeServer::start(), FakeOsv::start(advisories()));
    let gate = gate(&server, &osv, "api", PATIENCE);
    let alice = gate.approved_client("alice");
    let request = json!({"model": "tiny", "messages": []});
    for (version, passes) in [("2.1", true), ("1.0", false)] {
        // What was kept of the other version says nothing of a package that was not asked for.
        let name = if passes { "low-widget" } else { "py-widget" };
        let (sender, script) = Script::paced("application/x-ndjson");
        server.next(script);
        sender.send(frame("Sure:\n")).unwrap();
        let mut stream = alice.post_streamed("/api/chat", &request);
        assert_eq!(stream.piece().unwrap().unwrap(), frame("Sure:\n"));
        osv.hold(true);
        let asked = osv.seen().len();
        let lines = ["```sh\n", "pip install ", name, "==", version, "\n", "echo done\n", "```\n"];
        lines.iter().for_each(|line| sender.send(frame(line)).unwrap());
        until("the service to be asked", || (osv.seen().len() > asked).then_some(()));
        drop(sender);
        osv.hold(false);
        let answer = stream.finish();
        let text = answer.text();
        assert_eq!(text.contains("pip install"), passes, "{text}");
        assert_eq!(text.contains("sca.vulnerable"), !passes, "{text}");
        if passes {
            let all: String = lines.iter().map(|line| String::from_utf8(frame(line)).unwrap()).collect();
            assert!(answer.complete && text == all, "{text}");
        } else {
            assert!(!text.contains("py-widget==") && !text.contains("echo done"), "{text}");
        }
    }
}

/// Of every package of the sample, in a version that is affected, the service and the database say the same.
#[test]
fn the_service_and_the_database_agree() {
    let Some(all) = sample() else { return };
    let mut lists = [("crates.io", String::new()), ("PyPI", String::new())];
    for affected in all.iter().flat_map(|advisory| advisory["affected"].as_array().unwrap()) {
        let (package, ecosystem) = (affected["package"]["name"].as_str().unwrap(), &affected["package"]["ecosystem"]);
        let listed = affected["versions"].as_array().and_then(|versions| versions.first());
        let events = affected["ranges"][0]["events"].as_array().into_iter().flatten();
        let mut fixed = events.filter_map(|event| event["fixed"].as_str());
        let version = listed.and_then(Value::as_str).unwrap_or("0.0.1");
        let Some((_, list)) = lists.iter_mut().find(|(name, _)| ecosystem == name) else { continue };
        let separator = if ecosystem == "PyPI" { "==" } else { "@=" };
        for version in [version].into_iter().chain(fixed.next()) {
            list.push_str(&format!("{package}{separator}{version}\n"));
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let (file, database) = (folder.path().join("a.jsonl"), folder.path().join("osv.redb"));
    std::fs::write(&file, all.iter().map(|advisory| format!("{advisory}\n")).collect::<String>()).unwrap();
    let database = database.to_str().unwrap();
    let imported = run(&["osv", "import", "--database", database, file.to_str().unwrap()]);
    assert!(imported.status.success(), "{}", String::from_utf8_lossy(&imported.stderr));
    let osv = FakeOsv::start(all);
    osv.pages_of(3);
    for (ecosystem, list) in lists {
        let (code, by_api, err) = sca(&osv, &["--ecosystem", ecosystem], &list);
        let (_, by_database, _) =
            sca(&osv, &["--ecosystem", ecosystem, "--source", "local", "--database", database], &list);
        assert!(by_api.len() > 100, "{ecosystem}: {} {err}", by_api.len());
        assert!(by_api.iter().all(|finding| finding["code"] != "sca.unavailable"), "{ecosystem}: {err}");
        assert_eq!((by_api == by_database, code), (true, 1), "{ecosystem}");
    }
}
