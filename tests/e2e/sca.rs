//! What answers bring in, behind a real gate with a database of advisories.

use portcullis_tests::{Answer, FakeServer, Gate, Script, until};
use serde_json::{Value, json};

const CRITICAL: &str = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H";

fn advisory(id: &str, ecosystem: &str, name: &str, events: Value, score: &str) -> String {
    let severity = if score.is_empty() { json!([]) } else { json!([{"type": "CVSS_V3", "score": score}]) };
    let ranges = json!([{"type": "ECOSYSTEM", "events": events}]);
    let affected = json!([{"package": {"ecosystem": ecosystem, "name": name}, "ranges": ranges}]);
    let modified = "2026-01-01T00:00:00Z";
    json!({"id": id, "modified": modified, "aliases": ["CVE-2026-1"], "severity": severity, "affected": affected})
        .to_string()
}

/// A gate whose database knows four packages; `more` goes into the filter's settings.
fn gate(server: &FakeServer, more: &str) -> Gate {
    let gate = Gate::before(server).filter(&format!("sca: {{block_at: high, source: local{more}}}")).start();
    import(&gate);
    gate
}

/// Gives a gate its database.
pub(crate) fn import(gate: &Gate) {
    let lines = [
        advisory("GHSA-bad", "PyPI", "django", json!([{"introduced": "0"}, {"fixed": "3.2.14"}]), CRITICAL),
        advisory("GHSA-npm", "npm", "lodash", json!([{"introduced": "0"}, {"fixed": "4.17.21"}]), CRITICAL),
        advisory("MAL-2026-7", "npm", "left-pat", json!([{"introduced": "0"}]), ""),
        advisory("PYSEC-1", "PyPI", "moin", json!([{"introduced": "0"}, {"fixed": "1.9"}]), ""),
    ];
    let file = gate.dir.path().join("advisories.jsonl");
    std::fs::write(&file, lines.join("\n")).expect("a file");
    let database = gate.state().join("osv.redb");
    portcullis_advisories::import(&database, &[file], jiff::Timestamp::now(), &mut |_| ()).expect("an import");
}

fn said(text: &str, done: bool) -> String {
    json!({"model": "tiny:latest", "message": {"role": "assistant", "content": text}, "done": done}).to_string()
}

fn audited(gate: &Gate, answer: &Answer) -> Value {
    gate.audit_of(answer.header("portcullis-request-id").expect("every answer names its request"))
}

#[test]
fn what_an_answer_brings_in_is_judged_and_told() {
    let server = FakeServer::start();
    let gate = gate(&server, "");
    let alice = gate.approved_client("alice");
    let ask = |text: &str| {
        server.next(Script::json(&said(text, true)));
        alice.post("/api/chat", &json!({"model": "tiny", "stream": false, "messages": []}))
    };
    let refused = ask("Use this:\n```sh\npip install 'Django==3.2.1'\n```");
    assert_eq!((refused.status, refused.code().as_str()), (502, "sca.vulnerable"), "{}", refused.text());
    let message = refused.json()["error"].as_str().unwrap().to_owned();
    for words in ["Django", "3.2.1", "PyPI", "GHSA-bad", "CVE-2026-1", "critical", "3.2.14"] {
        assert!(message.contains(words), "{words}: {message}");
    }
    let entry = audited(&gate, &refused);
    assert_eq!((&entry["code"], &entry["advisory_ids"]), (&json!("sca.vulnerable"), &json!("GHSA-bad")));
    assert!(!entry.to_string().contains("jango"), "identifiers alone: {entry}");
    let refused = ask("npm install left-pat");
    assert_eq!((refused.status, refused.code().as_str()), (502, "sca.malicious"));
    for fine in ["pip install django==3.2.14", "Django 3.2.1 is old.", "go get a coffee", ""] {
        let answer = ask(fine);
        assert_eq!((answer.status, answer.text()), (200, said(fine, true)), "{fine}");
        assert_eq!(audited(&gate, &answer).get("advisory_ids"), None);
    }
    // What nobody rated is told.
    let told = ask("pip install moin==1.8");
    assert_eq!(told.status, 200);
    let entry = audited(&gate, &told);
    assert_eq!((&entry["policy_decision"], &entry["advisory_ids"]), (&json!("ALLOW"), &json!("PYSEC-1")));
    assert_eq!(gate.metric(r#"portcullis_sca_findings_total{ecosystem="PyPI",severity="critical"}"#), 1.0);
    assert_eq!(gate.metric(r#"portcullis_sca_findings_total{ecosystem="npm",severity="malicious"}"#), 1.0);
    assert_eq!(gate.metric(r#"portcullis_sca_findings_total{ecosystem="Maven",severity="high"}"#), 0.0);
    let explained = gate.cli_json(&["explain", refused.header("portcullis-request-id").unwrap()]);
    assert!(explained.to_string().contains("MAL-2026-7"), "{explained}");
    assert_eq!(gate.metric(r#"portcullis_sca_findings_total{ecosystem="PyPI",severity="unrated"}"#), 1.0);
}

#[test]
fn explain_says_which_package_and_which_version_while_the_gate_runs_and_after() {
    let server = FakeServer::start();
    let gate = gate(&server, "");
    let alice = gate.approved_client("alice");
    let ask = |text: &str| {
        server.next(Script::json(&said(text, true)));
        let answer = alice.post("/api/chat", &json!({"model": "tiny", "stream": false, "messages": []}));
        answer.header("portcullis-request-id").unwrap().to_owned()
    };
    let (flagged, blocked) = (ask("pip install moin==1.8"), ask("pip install Django==3.2.1"));
    let found = |id: &str| gate.cli_json(&["explain", id])["findings"][0].clone();
    let told = found(&flagged);
    assert_eq!((&told["rule"], &told["action"]), (&json!("PYSEC-1"), &json!("flag")));
    let about = |told: &Value| told["about"].as_str().unwrap_or_default().to_owned();
    assert_eq!(about(&told), "`moin` 1.8 of PyPI is vulnerable (PYSEC-1, CVE-2026-1, severity unrated); mended in 1.9");
    assert!(
        about(&found(&blocked)).starts_with("`Django` 3.2.1 of PyPI is vulnerable (GHSA-bad"),
        "{}",
        found(&blocked)
    );
    let shown = gate.cli(&["explain", &flagged]);
    assert!(String::from_utf8_lossy(&shown.stdout).contains("flag; `moin` 1.8 of PyPI"), "{shown:?}");
    let unnamed = ask("```sh\npip install $FOO\n```");
    let says = |id: &str| about(&found(id));
    assert_eq!(says(&unnamed), "a command installs what only its run will name");
    assert_eq!(gate.metric(r#"portcullis_sca_findings_total{ecosystem="unnamed",severity="suspect"}"#), 1.0);
    // A gate that was started anew remembers nothing: the log has identifiers, the database says what they are.
    gate.restart(|| ());
    assert_eq!(says(&unnamed), "a command installs what only its run will name");
    let told = found(&flagged);
    assert_eq!(
        (&told["rule"], &told["action"], &told["code"]),
        (&json!("PYSEC-1"), &json!("flag"), &json!("sca.vulnerable"))
    );
    assert_eq!(about(&told), "`moin` of PyPI, severity unrated, mended in 1.9");
    let told = found(&blocked);
    assert_eq!(about(&told), "`django` of PyPI, severity critical, mended in 3.2.14");
    assert_eq!(gate.cli_json(&["explain", &blocked])["filter"], "sca");
    std::fs::remove_file(gate.state().join("osv.redb")).unwrap();
    assert_eq!(found(&blocked).get("about"), None, "without a database only the identifiers are known");
}

#[test]
fn what_was_never_brought_in_is_told_as_that() {
    let server = FakeServer::start();
    let gate = gate(&server, "");
    let alice = gate.approved_client("alice");
    let ask = |text: &str| {
        server.next(Script::json(&said(text, true)));
        alice.post("/api/chat", &json!({"model": "tiny", "stream": false, "messages": []}))
    };
    let refused = ask("gem install rails");
    assert_eq!((refused.status, refused.code().as_str()), (503, "sca.unavailable"));
    assert!(refused.text().contains("has no advisories of RubyGems"), "{}", refused.text());
    std::fs::remove_file(gate.state().join("osv.redb")).unwrap();
    let refused = until("the database to be gone", || Some(ask("pip install django")).filter(|a| a.status == 503));
    assert!(refused.text().contains("at the moment"), "{}", refused.text());
    let shown = |args: &[&str]| String::from_utf8_lossy(&gate.cli(args).stdout).into_owned();
    assert!(shown(&["status"]).contains("source local: nothing can be looked up: "), "{}", shown(&["status"]));
    assert!(shown(&["check"]).contains("`portcullis osv sync`"), "{}", shown(&["check"]));
    assert!(gate.log().contains("Advisories cannot be looked up."));
    import(&gate);
    until("the database to be back", || Some(ask("pip install moin==1.9")).filter(|a| a.status == 200));
    assert!(gate.log().contains("Advisories can be looked up again."), "{}", gate.log());
    assert!(shown(&["status"]).contains("source local: advisories of "), "{}", shown(&["status"]));
    let checked = shown(&["check"]);
    assert!(checked.contains("sca     block_at high, source local: advisories of "), "{checked}");
    assert!(checked.contains("schema  repair 0, no tools are served"), "{checked}");
}

#[test]
fn a_stream_is_cut_before_the_line_that_installs_it() {
    let server = FakeServer::start();
    let gate = gate(&server, "");
    let alice = gate.approved_client("alice");
    let text = "Sure.\n```sh\ncd app\npip install django==3.2.1\n./run\n```\n";
    let pieces: Vec<String> =
        text.split_inclusive([' ', '\n']).map(|piece| format!("{}\n", said(piece, false))).collect();
    let ask = |pieces: &[String]| {
        let mut pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
        let end = format!("{}\n", said("", true));
        pieces.push(&end);
        server.next(Script::stream("application/x-ndjson", &pieces));
        alice.post("/api/chat", &json!({"model": "tiny", "messages": []}))
    };
    let cut = ask(&pieces);
    assert_eq!(cut.status, 200, "words had left");
    let words: String = cut
        .text()
        .lines()
        .filter_map(|line| {
            let frame: Value = serde_json::from_str(line).ok()?;
            Some(frame["message"]["content"].as_str()?.to_owned())
        })
        .collect();
    assert_eq!(words, "Sure.\n```sh\ncd app\n");
    let last: Value = serde_json::from_str(cut.text().lines().last().unwrap()).unwrap();
    assert!(last["error"].as_str().is_some_and(|error| error.contains("sca.vulnerable")), "{last}");
    let fine: Vec<String> = pieces.iter().map(|piece| piece.replace("3.2.1", "4.2.1")).collect();
    let answer = ask(&fine);
    assert!(answer.text().starts_with(&fine.concat()), "it passes as it came");
}

#[test]
fn calls_of_tools_and_declared_packages_count() {
    let server = FakeServer::start();
    let gate = gate(&server, "");
    let alice = gate.approved_client("alice");
    let tools = json!([{"type": "function", "function": {"name": "sh", "parameters": {"type": "object"}}}]);
    for arguments in [
        json!({"command": "npm i lodash@4.17.20"}),
        json!({"path": "package.json", "content": "{\n  \"dependencies\": {\n    \"lodash\": \"4.17.20\"\n  }\n}\n"}),
    ] {
        let call = json!([{"function": {"name": "sh", "arguments": arguments}}]);
        let message = json!({"role": "assistant", "content": "", "tool_calls": call});
        server.next(Script::json(&json!({"model": "tiny:latest", "message": message, "done": true}).to_string()));
        let refused =
            alice.post("/api/chat", &json!({"model": "tiny", "stream": false, "messages": [], "tools": tools}));
        assert_eq!(
            (refused.status, refused.code().as_str()),
            (502, "sca.vulnerable"),
            "{arguments}: {}",
            refused.text()
        );
    }
}

#[test]
fn the_last_stage_of_a_tool_s_answer_is_what_it_brings_in() {
    let server = FakeServer::start();
    let gate = gate(&server, "}\n  schema: {tools: {model: tiny}");
    let alice = gate.approved_client("alice");
    let ask = |number: u64, dependency: &str| {
        let code = json!({"code": "x = 1", "language": "python", "explanation": "e", "dependencies_added": [dependency],
            "generated_files": [], "cve_scan_requested": true});
        server.next(Script::json(&said(&code.to_string(), true)));
        alice.post(
            "/tools/generate_code",
            &json!({"task_id": "7f3c9a1e-52d4-4c1b-9a77-0d1f2e3a4b5c",
            "caller_nonce": format!("{number:032x}"), "prompt": "p"}),
        )
    };
    assert_eq!(ask(1, "django==4.2.1").status, 200);
    let refused = ask(2, "django==3.2.1");
    assert_eq!((refused.status, refused.code().as_str()), (502, "sca.vulnerable"), "{}", refused.text());
    // The replay is found before it.
    let refused = ask(1, "django==3.2.1");
    assert_eq!((refused.status, refused.code().as_str()), (409, "schema.replayed"), "{}", refused.text());
}

#[test]
fn without_advisories_nothing_that_names_a_package_passes() {
    let server = FakeServer::start();
    let gate = Gate::before(&server).filter("sca: {block_at: high}").start();
    let alice = gate.approved_client("alice");
    let ask = |text: &str| {
        server.next(Script::json(&said(text, true)));
        alice.post("/api/chat", &json!({"model": "tiny", "stream": false, "messages": []}))
    };
    let refused = ask("pip install requests");
    assert_eq!((refused.status, refused.code().as_str()), (503, "sca.unavailable"), "{}", refused.text());
    assert!(!refused.text().contains("osv.redb"), "no path of the host: {}", refused.text());
    assert_eq!(ask("Hello.").status, 200);
    // It goes on by itself once there are some.
    let file = gate.dir.path().join("a.json");
    std::fs::write(&file, advisory("GHSA-x", "PyPI", "django", json!([{"introduced": "0"}]), CRITICAL)).unwrap();
    let database = gate.state().join("osv.redb");
    portcullis_advisories::import(&database, &[file], jiff::Timestamp::now(), &mut |_| ()).expect("an import");
    portcullis_tests::until("the database to be seen", || (ask("pip install requests").status == 200).then_some(()));
    assert_eq!(ask("pip install django").code(), "sca.vulnerable");
    // One that is too old is none.
    let old = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(24 * 30);
    let file = gate.dir.path().join("a.json");
    portcullis_advisories::import(&database, &[file], old, &mut |_| ()).expect("an import");
    portcullis_tests::until("its age to be seen", || (ask("pip install requests").status == 503).then_some(()));
}

#[test]
fn what_a_shadow_would_have_refused_is_told_apart_from_what_was_only_told() {
    let server = FakeServer::start();
    let gate = gate(&server, ", mode: shadow");
    let alice = gate.approved_client("alice");
    let ask = |text: &str| {
        server.next(Script::json(&said(text, true)));
        let answer = alice.post("/api/chat", &json!({"model": "tiny", "stream": false, "messages": []}));
        assert_eq!((answer.status, answer.text()), (200, said(text, true)));
        answer
    };
    let (tried, told) = (ask("pip install Django==3.2.1"), ask("pip install moin==1.8"));
    let (entry, other) = (audited(&gate, &tried), audited(&gate, &told));
    assert_eq!((&entry["code"], &entry["shadow"]), (&json!("sca.vulnerable"), &json!(true)), "{entry}");
    assert_eq!((&other["code"], other.get("shadow")), (&json!("sca.vulnerable"), None), "{other}");
    let counted = r#"portcullis_shadow_refusals_total{code="sca.vulnerable",filter="sca"}"#;
    assert_eq!(gate.metric(counted), 1.0);
    let explained = |answer: &Answer| gate.cli_json(&["explain", answer.header("portcullis-request-id").unwrap()]);
    let reason = |answer: &Answer| explained(answer)["reason"].as_str().unwrap_or_default().to_owned();
    for _ in 0..2 {
        assert!(reason(&tried).contains("in shadow mode: `sca` would have refused it"), "{}", reason(&tried));
        assert!(reason(&told).ends_with("what the sca found did not refuse it"), "{}", reason(&told));
        assert_eq!(explained(&told)["findings"][0]["action"], "flag");
        assert_ne!(explained(&tried)["findings"][0]["action"], "flag", "it would have been refused");
        // From the log the same.
        gate.restart(|| ());
    }
    assert!(gate.cli(&["audit", "verify"]).status.success(), "the chain holds with it");
}
