//! What attackers of this very gate have tried: each must stay closed.

use portcullis_tests::provider::{Provider, now};
use portcullis_tests::{Answer, Client, FakeServer, Gate, Script, until};
use serde_json::json;

const BOSS: &str = "version: 1\nrules:\n  - {name: boss, who: ['name:boss'], effect: allow, classes: [admin, inference, read]}\n  - {name: guests, who: ['profile:read'], effect: allow, classes: [read]}\n";

fn enrol(client: &Client, token: &str) -> Answer {
    client.raw(format!("GET /api/version HTTP/1.1\r\nHost: localhost\r\nPortcullis-Enroll: {token}\r\n\r\n").as_bytes())
}

#[test]
fn an_invited_caller_does_not_choose_the_name_that_rules_are_about() {
    let server = FakeServer::start();
    let gate = Gate::before(&server).policy(BOSS).start();
    let token = gate.cli_json(&["enroll", "--grant", "read"])["token"].as_str().unwrap().to_owned();
    let impostor = gate.stranger("boss");
    until("the token to be known", || (enrol(&impostor, &token).status == 200).then_some(()));
    let answer = impostor.post("/api/pull", &json!({"model": "tiny"}));
    assert_eq!(answer.code(), "policy.route_denied", "{}", answer.text());
    let peer = gate.cli_json(&["peers", "list"]).as_array().unwrap().iter().find(|p| p["id"] == impostor.id).cloned();
    let peer = peer.unwrap();
    assert_eq!((&peer["name"], &peer["presented_name"]), (&json!(null), &json!("boss")));
}

#[test]
fn bodies_that_never_come_take_up_nothing() {
    let server = FakeServer::start();
    let gate = Gate::before(&server).start();
    let (alice, bob) = (gate.approved_client("alice"), gate.approved_client("bob"));
    let announced = "POST /api/chat HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 16000000\r\n\r\n{";
    let open: Vec<_> = (0..20)
        .map(|_| {
            let mut tls = alice.connect();
            std::io::Write::write_all(&mut tls, announced.as_bytes()).unwrap();
            std::io::Write::flush(&mut tls).unwrap();
            tls
        })
        .collect();
    for _ in 0..20 {
        let large = json!({"model": "tiny", "messages": [{"role": "user", "content": "word ".repeat(100_000)}]});
        assert_eq!(bob.post("/api/chat", &large).status, 200);
    }
    drop(open);
}

#[test]
fn liveness_is_no_way_to_fill_the_log() {
    let server = FakeServer::start();
    let gate = Gate::before(&server).filter("ratelimit: {strangers: 20/h}").start();
    let nobody = gate.nobody();
    // A probe may come from the address of the flood: it is answered all the same.
    assert!((0..60).all(|_| nobody.get("/").status == 200));
    let all = gate.audit();
    assert_eq!(all.iter().filter(|e| e["event_type"] == "request").count(), 20);
    assert_eq!(gate.stranger("alice").get("/api/version").code(), "identity.pending", "that is counted apart");
    let told =
        until("the line for the others", || gate.audit().into_iter().find(|e| e["event_type"] == "request.flood"));
    assert_eq!((told["policy_decision"].as_str(), told["code"].as_str()), (Some("ALLOW"), Some("")));
    assert!(told["path"].as_str().unwrap().starts_with("40 requests from liveness "), "{told}");
}

#[test]
fn without_a_model_s_name_every_model_must_be_granted() {
    let server = FakeServer::start();
    let policy = "version: 1\nrules:\n  - {name: tiny, who: ['*'], effect: allow, classes: [inference, read], models: ['tiny*']}\n";
    let url = format!("http://{}", server.address());
    let gate = Gate::before_url(&url, "llamacpp").policy(policy).start();
    let alice = gate.stranger("alice");
    gate.approve_by(&alice, "/v1/models");
    for body in [json!({"prompt": "x"}), json!({"model": null, "prompt": "x"}), json!({"model": "big", "prompt": "x"})]
    {
        let answer = alice.post("/completion", &body);
        assert_eq!(answer.code(), "policy.model_denied", "{body}: {}", answer.text());
    }
    let many = alice.post("/completion", &json!({"model": "tiny", "prompt": ["x", "y"]}));
    assert_eq!(many.code(), "schema.request", "a list of prompts is as many requests: {}", many.text());
}

#[test]
fn what_an_operator_blocks_is_blocked_whoever_vouches_for_it() {
    let server = FakeServer::start();
    let provider = Provider::start();
    let issuer = provider.issuer();
    let gate = Gate::before(&server)
        .gate("tls: server")
        .filter(&format!("identity: {{accept: [jwt], jwt: [{{issuer: '{issuer}', audience: [portcullis]}}]}}"))
        .start();
    let nobody = gate.nobody();
    let get = |token: &str| {
        let request = format!("GET /api/version HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n");
        nobody.raw(request.as_bytes())
    };
    let (bob, carol) = (provider.token("bob", &json!({})), provider.token("carol", &json!({})));
    until("the provider's keys", || (get(&bob).status == 200).then_some(()));
    assert!(gate.cli(&["peers", "block", &format!("jwt:{issuer}#bob")]).status.success());
    until("the block to bite", || (get(&bob).code() == "identity.revoked").then_some(()));
    assert_eq!(get(&carol).status, 200);
    assert_eq!(gate.cli(&["peers", "block", "nobody-at-all"]).status.code(), Some(1));
}

#[test]
fn a_broken_config_stops_no_revocation() {
    let server = FakeServer::start();
    let gate = Gate::before(&server).start();
    let alice = gate.approved_client("alice");
    let config = std::fs::read_to_string(gate.config()).unwrap();
    std::fs::write(gate.config(), config.replace("gate:", "gat:")).unwrap();
    let output = gate.cli(&["peers", "revoke", &alice.id]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(String::from_utf8_lossy(&output.stderr).contains("the config does not hold"));
    until("the revocation", || (alice.get("/api/version").code() == "identity.revoked").then_some(()));
}

#[test]
fn a_broken_config_leads_to_no_other_grants() {
    let server = FakeServer::start();
    let gate = Gate::before(&server).start();
    let alice = gate.approved_client("alice");
    let given = gate.cli_json(&["grants", "add", &alice.id, "--routes", "admin", "--for", "1h"]);
    let id = given["id"].as_str().unwrap();
    let config = std::fs::read_to_string(gate.config()).unwrap();
    let store = "store: {url: 'redis://localhost', password: '${PORTCULLIS_NOT_SET}'}";
    let filters = format!("filters:\n  signature: {{{store}}}\n  policy: {{grants: shared}}\n");
    let shared = config.replace("filters:\n", &filters);
    for (written, told) in [(&shared, "PORTCULLIS_NOT_SET"), (&shared.replace("gate:", "gat:"), "gat")] {
        std::fs::write(gate.config(), written).unwrap();
        for command in [&["list"][..], &["revoke", id]] {
            let output = gate.cli(&[&["grants"], command].concat());
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.code() == Some(2) && said.contains(told), "{command:?}: {said}");
            assert!(said.contains("`grants: shared`") && !said.contains("working on"), "{command:?}: {said}");
            assert!(output.stdout.is_empty(), "nothing that could be read as an answer");
        }
    }
    // Where they are surely its own, somebody can be thrown out.
    std::fs::write(gate.config(), config.replace("gate:", "gat:")).unwrap();
    let listed = gate.cli(&["grants", "list"]);
    assert!(String::from_utf8_lossy(&listed.stdout).contains(id), "{}", String::from_utf8_lossy(&listed.stderr));
    assert!(gate.cli(&["grants", "revoke", id]).status.success());
}

#[test]
fn a_policy_that_is_reloaded_ends_what_it_no_longer_allows() {
    let server = FakeServer::start();
    let gate = Gate::before(&server).policy(BOSS.replace("name:boss", "*").as_str()).start();
    let alice = gate.approved_client("alice");
    let (feed, script) = Script::paced("application/x-ndjson");
    server.next(script);
    let frame = "{\"model\":\"tiny\",\"message\":{\"role\":\"assistant\",\"content\":\"one \"},\"done\":false}\n";
    feed.send(frame.as_bytes().to_vec()).unwrap();
    let mut stream = alice.post_streamed("/api/chat", &json!({"model": "tiny", "messages": []}));
    assert_eq!(stream.piece(), Ok(Some(frame.as_bytes().to_vec())));
    std::fs::write(gate.dir.path().join("policy.yaml"), BOSS).unwrap();
    gate.signal(rustix::process::Signal::HUP);
    assert!(stream.finish().text().contains("policy.route_denied"));
    until("the server to be let go", || (server.abandoned() == 1).then_some(()));
}

#[test]
fn a_hand_in_the_middle_that_is_denied_passes_nothing_on() {
    use portcullis_certs::{NodeKey, delegation};
    use portcullis_policies::Scope;
    let server = FakeServer::start();
    let policy = "version: 1\nrules:\n  - {name: all, who: ['*'], effect: allow, classes: [inference, read]}\n  - {name: not-carol, who: ['name:carol'], effect: deny, classes: [inference, read]}\n";
    let gate = Gate::before(&server).policy(policy).start();
    let (eve, carol, dave) = (gate.approved_client("eve"), gate.stranger("c"), gate.stranger("d"));
    assert_eq!(carol.get("/api/version").code(), "identity.pending");
    assert!(gate.cli(&["peers", "approve", &carol.id, "--name", "carol"]).status.success());
    until("carol to be denied", || (carol.get("/api/version").code() == "policy.route_denied").then_some(()));
    let key = |client: &Client| NodeKey::from_pem(&client.key, "a test's key").unwrap();
    let scope = || Scope { until: Some(now() + 600), ..Scope::default() };
    let first = delegation::issue(&key(&eve), None, &carol.id, scope(), now()).unwrap();
    let second = delegation::issue(&key(&carol), Some(&first), &dave.id, scope(), now()).unwrap();
    let direct = delegation::issue(&key(&eve), None, &dave.id, scope(), now()).unwrap();
    let get = |grant: &str| {
        let request = format!("GET /api/version HTTP/1.1\r\nHost: localhost\r\nPortcullis-Grant: {grant}\r\n\r\n");
        dave.raw(request.as_bytes())
    };
    assert_eq!(get(&direct).status, 200);
    assert_eq!(get(&second).code(), "policy.route_denied");
}

#[test]
fn who_reads_nothing_keeps_no_slot_once_it_is_thrown_out() {
    let server = FakeServer::start();
    let gate = Gate::before(&server).start();
    let alice = gate.approved_client("alice");
    let (feed, script) = Script::paced("application/x-ndjson");
    server.next(script);
    let text = "word ".repeat(2_000);
    let frame = format!(
        "{{\"model\":\"tiny\",\"message\":{{\"role\":\"assistant\",\"content\":\"{text}\"}},\"done\":false}}\n"
    );
    // More than all buffers on the way hold together.
    for _ in 0..4_000 {
        feed.send(frame.clone().into_bytes()).unwrap();
    }
    let stream = alice.post_streamed("/api/chat", &json!({"model": "tiny", "messages": []}));
    assert!(gate.cli(&["peers", "revoke", &alice.id]).status.success());
    let entry = until("its entry in the log", || gate.audit().into_iter().find(|e| e["code"] == "identity.revoked"));
    assert_eq!((entry["path"].as_str(), entry["policy_decision"].as_str()), (Some("/api/chat"), Some("BLOCK")));
    until("the server to be let go", || (server.abandoned() == 1).then_some(()));
    drop(stream);
}
