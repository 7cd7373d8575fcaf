//! Every credential but certificates: who gets in by it, who does not, and what the log says of it.

use data_encoding::BASE64;
use portcullis_tests::provider::{Device, Provider, now, sealed, set, token};
use portcullis_tests::{Client, FakeServer, Gate, Script, until};
use serde_json::{Value, json};

const ISSUER: &str = "https://id.example";

fn get(lines: &str) -> Vec<u8> {
    format!("GET /api/version HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n").into_bytes()
}

fn bearer(credential: &str) -> Vec<u8> {
    get(&format!("Authorization: Bearer {credential}\r\n"))
}

/// A gate that takes everything, with a provider's keys in a file.
fn gate(server: &FakeServer, keys: &std::path::Path) -> Gate {
    std::fs::write(keys, set(1).to_string()).unwrap();
    let providers = format!(
        "[{{issuer: '{ISSUER}', audience: [portcullis], jwks: 'file:{}', claims: [groups], leeway: 10s}}]",
        keys.display()
    );
    Gate::before(server)
        .filter(&format!("identity: {{accept: [mtls, api_key, jwt, ollama_key], jwt: {providers}}}"))
        .start()
}

/// A gate that takes tokens alone, and asks the provider for its keys.
fn discovering(server: &FakeServer, provider: &Provider) -> Gate {
    let providers = format!("[{{issuer: '{}', audience: [portcullis]}}]", provider.issuer());
    Gate::before(server).gate("tls: server").filter(&format!("identity: {{accept: [jwt], jwt: {providers}}}")).start()
}

fn key(gate: &Gate, name: &str, more: &[&str]) -> String {
    let mut args = vec!["keys", "add", name];
    args.extend(more);
    gate.cli_json(&args)["key"].as_str().unwrap().to_owned()
}

/// What is sent, by whom, and what must come of it: status, code, whom the log names, how it was proven.
type Row<'g> = (&'static str, &'g Client, Vec<u8>, u16, &'static str, String, &'static str);

#[test]
fn every_credential_has_its_answer_and_its_line() {
    let server = FakeServer::start();
    let folder = tempfile::tempdir().unwrap();
    let gate = gate(&server, &folder.path().join("keys.json"));
    let (nobody, alice, stranger) = (gate.nobody(), gate.approved_client("alice"), gate.stranger("stranger"));
    let ci = key(&gate, "ci", &[]);
    let other = key(&gate, "other", &[]);
    let gone = key(&gate, "gone", &[]);
    let short = key(&gate, "short", &["--ttl", "1s"]);
    let made = now();
    assert!(gate.cli(&["keys", "revoke", "gone"]).status.success());
    until("the keys to be known", || (nobody.raw(&bearer(&ci)).status == 200).then_some(()));
    until("the short key to end", || (now() > made + 1).then_some(()));

    let good = token(1, ISSUER, "bob", &json!({"groups": ["dev"]}));
    let with = |claims: Value| bearer(&token(1, ISSUER, "bob", &claims));
    let (head, rest) = good.split_once('.').unwrap();
    let (body, signature) = rest.split_once('.').unwrap();
    let root = data_encoding::BASE64URL_NOPAD.encode(br#"{"iss":"https://id.example","sub":"root"}"#);
    let claims = json!({"iss": ISSUER, "aud": "portcullis", "sub": "bob", "exp": now() + 60});
    let unsigned = |alg: &str| bearer(&sealed(&json!({"alg": alg}), &claims, |_| vec![1; 32]));
    // A shared secret that everybody knows: the provider's public key.
    let by_public = |text: &[u8]| {
        let public = data_encoding::BASE64URL_NOPAD.decode(set(1)["keys"][0]["x"].as_str().unwrap().as_bytes());
        let secret = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &public.unwrap());
        ring::hmac::sign(&secret, text).as_ref().to_vec()
    };
    let by_hmac = bearer(&sealed(&json!({"alg": "HS256", "kid": "key-1"}), &claims, by_public));
    let device = Device::new(7);
    let path = "/api/version";
    let at = now();
    let asked = nobody.raw(&device.get(path, at));
    let machine = gate.audit_of(asked.header("portcullis-request-id").unwrap())["node_id"].as_str().unwrap().to_owned();
    assert!(machine.starts_with("ollama:SHA256:"), "{machine}");
    assert!(gate.cli(&["peers", "approve", &machine]).status.success());
    let mut ahead = 0;
    let used = until("the approval to bite", || {
        ahead += 1;
        let request = device.get(path, at + ahead % 25);
        (nobody.raw(&request).status == 200).then_some(request)
    });
    let newcomer = Device::new(8);
    let met = nobody.raw(&newcomer.get(path, at));
    let newcomer_id =
        gate.audit_of(met.header("portcullis-request-id").unwrap())["node_id"].as_str().unwrap().to_owned();
    let signed = |proof: &str, query: &str| {
        format!("GET {path}{query} HTTP/1.1\r\nHost: localhost\r\nAuthorization: {proof}\r\n\r\n").into_bytes()
    };
    let small_order = format!("{}:{}", Device::public("ssh-ed25519", &[0; 32]), BASE64.encode(&[0; 64]));
    let proof = device.proof(&format!("GET,{path}?ts={}", at + 1));
    let (public, _) = proof.split_once(':').unwrap();
    let stranger_id = stranger.id.clone();
    let changed = |text: &str| {
        let last = if text.ends_with('A') { 'B' } else { 'A' };
        format!("{}{last}", &text[..text.len() - 1])
    };
    let empty = String::new;
    let rows: Vec<Row<'_>> = vec![
        ("nothing", &nobody, get(""), 401, "identity.required", empty(), ""),
        ("a certificate", &alice, get(""), 200, "allow", alice.id.clone(), "mtls"),
        ("an unknown certificate", &stranger, get(""), 403, "identity.pending", stranger_id.clone(), "mtls"),
        ("a library's habit", &alice, bearer("unused"), 200, "allow", alice.id.clone(), "mtls"),
        ("ollama's habit", &alice, get("Authorization: Basic Og==\r\n"), 200, "allow", alice.id.clone(), "mtls"),
        ("a habit alone", &nobody, bearer("sk-unused"), 401, "identity.invalid", empty(), ""),
        ("an empty bearer", &nobody, get("Authorization: Bearer \r\n"), 401, "identity.required", empty(), ""),
        ("a scheme of its own", &nobody, get("Authorization: Digest x\r\n"), 401, "identity.required", empty(), ""),
        ("broken Basic", &nobody, get("Authorization: Basic !!\r\n"), 401, "identity.invalid", empty(), ""),
        ("not text", &nobody, get("Authorization: Bearer \u{e9}\r\n"), 401, "identity.invalid", empty(), ""),
        ("20 KB of it", &nobody, bearer(&"a".repeat(20_000)), 401, "identity.invalid", empty(), ""),
        // API keys.
        ("a key", &nobody, bearer(&ci), 200, "allow", "key:ci".into(), "api_key"),
        (
            "bearer in lower case",
            &nobody,
            get(&format!("authorization: bearer {ci}\r\n")),
            200,
            "allow",
            "key:ci".into(),
            "api_key",
        ),
        ("X-Api-Key", &nobody, get(&format!("X-Api-Key: {ci}\r\n")), 200, "allow", "key:ci".into(), "api_key"),
        ("Api-Key", &nobody, get(&format!("Api-Key: {ci}\r\n")), 200, "allow", "key:ci".into(), "api_key"),
        (
            "Basic",
            &nobody,
            get(&format!("Authorization: Basic {}\r\n", BASE64.encode(format!("me:{ci}").as_bytes()))),
            200,
            "allow",
            "key:ci".into(),
            "api_key",
        ),
        (
            "said twice",
            &nobody,
            get(&format!("Authorization: Bearer {ci}\r\nX-Api-Key: {ci}\r\n")),
            200,
            "allow",
            "key:ci".into(),
            "api_key",
        ),
        (
            "two keys",
            &nobody,
            get(&format!("Authorization: Bearer {ci}\r\nX-Api-Key: {other}\r\n")),
            401,
            "identity.invalid",
            empty(),
            "",
        ),
        (
            "two headers",
            &nobody,
            get(&format!("Authorization: Bearer {ci}\r\nAuthorization: Bearer {other}\r\n")),
            401,
            "identity.invalid",
            empty(),
            "",
        ),
        ("a key beside a certificate", &alice, bearer(&ci), 401, "identity.invalid", alice.id.clone(), "mtls"),
        ("a revoked key", &nobody, bearer(&gone), 403, "identity.revoked", "key:gone".into(), "api_key"),
        ("a key that ended", &nobody, bearer(&short), 401, "identity.invalid", "key:short".into(), "api_key"),
        ("a prefix that matches", &nobody, bearer(&ci[..20]), 401, "identity.invalid", empty(), ""),
        ("the prefix alone", &nobody, bearer("pck_"), 401, "identity.invalid", empty(), ""),
        ("one character changed", &nobody, bearer(&changed(&ci)), 401, "identity.invalid", empty(), ""),
        ("one more character", &nobody, bearer(&format!("{ci}A")), 401, "identity.invalid", empty(), ""),
        ("another case", &nobody, bearer(&ci.to_uppercase()), 401, "identity.invalid", empty(), ""),
        (
            "in the query",
            &nobody,
            format!("GET {path}?api_key={ci} HTTP/1.1\r\nHost: localhost\r\n\r\n").into_bytes(),
            401,
            "identity.required",
            empty(),
            "",
        ),
        // Tokens of an identity provider.
        ("a token", &nobody, bearer(&good), 200, "allow", format!("jwt:{ISSUER}#bob"), "jwt"),
        (
            "a list of audiences",
            &nobody,
            with(json!({"aud": ["x", "portcullis"]})),
            200,
            "allow",
            format!("jwt:{ISSUER}#bob"),
            "jwt",
        ),
        (
            "a clock that is off",
            &nobody,
            with(json!({"exp": now() - 5})),
            200,
            "allow",
            format!("jwt:{ISSUER}#bob"),
            "jwt",
        ),
        ("another audience", &nobody, with(json!({"aud": "other"})), 401, "identity.invalid", empty(), ""),
        ("no audience", &nobody, with(json!({"aud": null})), 401, "identity.invalid", empty(), ""),
        ("a token that ended", &nobody, with(json!({"exp": now() - 60})), 401, "identity.invalid", empty(), ""),
        ("a token that never ends", &nobody, with(json!({"exp": null})), 401, "identity.invalid", empty(), ""),
        ("a token of tomorrow", &nobody, with(json!({"nbf": now() + 3600})), 401, "identity.invalid", empty(), ""),
        ("nobody's token", &nobody, with(json!({"sub": null})), 401, "identity.invalid", empty(), ""),
        ("another issuer", &nobody, with(json!({"iss": "https://evil.example"})), 401, "identity.invalid", empty(), ""),
        (
            "another issuer's key",
            &nobody,
            bearer(&token(9, ISSUER, "bob", &json!({}))),
            401,
            "identity.invalid",
            empty(),
            "",
        ),
        ("alg none", &nobody, unsigned("none"), 401, "identity.invalid", empty(), ""),
        ("alg NONE", &nobody, unsigned("NONE"), 401, "identity.invalid", empty(), ""),
        ("alg HS256", &nobody, by_hmac, 401, "identity.invalid", empty(), ""),
        ("alg RS256 with this key", &nobody, unsigned("RS256"), 401, "identity.invalid", empty(), ""),
        ("no signature", &nobody, bearer(&format!("{head}.{body}.")), 401, "identity.invalid", empty(), ""),
        ("other claims", &nobody, bearer(&format!("{head}.{root}.{signature}")), 401, "identity.invalid", empty(), ""),
        (
            "a changed signature",
            &nobody,
            bearer(&format!("{head}.{body}.{}", changed(signature).replace("AA", "BB"))),
            401,
            "identity.invalid",
            empty(),
            "",
        ),
        ("a token beside a certificate", &alice, bearer(&good), 401, "identity.invalid", alice.id.clone(), "mtls"),
        (
            "a token beside a key",
            &nobody,
            get(&format!("Authorization: Bearer {good}\r\nX-Api-Key: {ci}\r\n")),
            401,
            "identity.invalid",
            empty(),
            "",
        ),
        ("an encrypted token", &nobody, bearer("a.b.c.d.e"), 401, "identity.invalid", empty(), ""),
        // Device signatures.
        ("a device nobody knows", &nobody, newcomer.get(path, at), 403, "identity.pending", newcomer_id, "ollama_key"),
        ("a device signature again", &nobody, used, 409, "signature.replayed", machine.clone(), "ollama_key"),
        ("an old device signature", &nobody, device.get(path, at - 120), 403, "signature.stale", empty(), ""),
        ("one from the future", &nobody, device.get(path, at + 120), 403, "signature.stale", empty(), ""),
        (
            "a signature for another path",
            &nobody,
            signed(&device.proof(&format!("GET,/api/tags?ts={at}")), &format!("?ts={at}")),
            401,
            "identity.invalid",
            empty(),
            "",
        ),
        (
            "a signature for another method",
            &nobody,
            signed(&device.proof(&format!("POST,{path}?ts={at}")), &format!("?ts={at}")),
            401,
            "identity.invalid",
            empty(),
            "",
        ),
        (
            "a signature for another time",
            &nobody,
            signed(&proof, &format!("?ts={at}")),
            401,
            "identity.invalid",
            empty(),
            "",
        ),
        ("a device signature without a time", &nobody, signed(&proof, ""), 401, "identity.required", empty(), ""),
        (
            "a key of small order",
            &nobody,
            signed(&small_order, &format!("?ts={at}")),
            401,
            "identity.invalid",
            empty(),
            "",
        ),
        (
            "half a signature",
            &nobody,
            signed(&format!("{public}:AAAA"), &format!("?ts={at}")),
            401,
            "identity.invalid",
            empty(),
            "",
        ),
        (
            "a device beside a certificate",
            &alice,
            device.get(path, at + 2),
            401,
            "identity.invalid",
            alice.id.clone(),
            "mtls",
        ),
        // Invitations and delegated grants that are none.
        (
            "a token that is none",
            &stranger,
            get("Portcullis-Enroll: pce_x\r\n"),
            401,
            "identity.invalid",
            stranger_id.clone(),
            "mtls",
        ),
        (
            "an invented token",
            &stranger,
            get(&format!("Portcullis-Enroll: pce_{}\r\n", "A".repeat(43))),
            401,
            "identity.invalid",
            stranger_id.clone(),
            "mtls",
        ),
        (
            "a grant that is none",
            &stranger,
            get("Portcullis-Grant: pcg1.x.y\r\n"),
            401,
            "identity.invalid",
            stranger_id,
            "mtls",
        ),
        // Headers that say who somebody is.
        (
            "a header's word for a node",
            &nobody,
            get(&format!("Portcullis-Identity: {}\r\nX-LLMesh-Node-Id: x\r\n", alice.id)),
            401,
            "identity.required",
            empty(),
            "",
        ),
        (
            "a header's word for a certificate",
            &nobody,
            get("X-Forwarded-Client-Cert: Subject=\"CN=alice\"\r\nX-SSL-Client-Verify: SUCCESS\r\n"),
            401,
            "identity.required",
            empty(),
            "",
        ),
        (
            "a header's word for an address",
            &nobody,
            get("X-Forwarded-For: 127.0.0.1\r\nForwarded: for=127.0.0.1\r\n"),
            401,
            "identity.required",
            empty(),
            "",
        ),
        (
            "a header's word for a user",
            &nobody,
            get("X-Remote-User: alice\r\nX-Auth-Request-User: alice\r\n"),
            401,
            "identity.required",
            empty(),
            "",
        ),
    ];
    assert!(rows.len() >= 60, "{}", rows.len());
    for (what, client, request, status, code, node, method) in rows {
        let reached = server.seen().len();
        let answer = client.raw(&request);
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{what}: {}", answer.text());
        assert_eq!(server.seen().len() - reached, usize::from(status == 200), "{what}");
        let entry = gate.audit_of(answer.header("portcullis-request-id").unwrap());
        let expected = if status == 200 { ("ALLOW", "") } else { ("BLOCK", code) };
        let said = (entry["policy_decision"].as_str().unwrap(), entry["code"].as_str().unwrap());
        assert_eq!(said, expected, "{what}");
        assert_eq!(
            (entry["node_id"].as_str().unwrap(), entry["identity_method"].as_str().unwrap()),
            (node.as_str(), method),
            "{what}"
        );
        for header in ["authorization", "x-api-key", "api-key", "portcullis-enroll", "portcullis-grant"] {
            assert!(server.seen().iter().all(|seen| seen.header(header).is_none()), "{what}: {header}");
        }
    }
    let everything = format!("{:?}{}{:?}", gate.audit(), gate.log(), gate.metrics());
    for secret in [&ci, &gone, &short, signature] {
        assert!(!everything.contains(secret), "a credential stands in a log");
    }
    assert!(gate.metric("portcullis_replays_total") >= 1.0);
}

#[test]
fn a_key_that_is_taken_back_ends_a_running_stream() {
    let server = FakeServer::start();
    let gate = Gate::before(&server).gate("tls: server").filter("identity: {accept: [api_key]}").start();
    let ci = key(&gate, "ci", &[]);
    let client = gate.nobody();
    until("the key to be known", || (client.raw(&bearer(&ci)).status == 200).then_some(()));
    let (feed, script) = Script::paced("application/x-ndjson");
    server.next(script);
    let body = json!({"model": "tiny", "messages": []}).to_string();
    let request = format!(
        "POST /api/chat HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {ci}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let frame = "{\"model\":\"tiny\",\"message\":{\"role\":\"assistant\",\"content\":\"one \"},\"done\":false}\n";
    feed.send(frame.as_bytes().to_vec()).unwrap();
    let mut stream = client.begin(request.as_bytes()).unwrap();
    assert_eq!(stream.piece(), Ok(Some(frame.as_bytes().to_vec())));
    assert!(gate.cli(&["keys", "revoke", "ci"]).status.success());
    let rest = stream.finish();
    assert!(rest.text().contains("identity.revoked") || rest.text().contains("taken back"), "{}", rest.text());
    until("the server to be let go", || (server.abandoned() == 1).then_some(()));
    let entry = gate.audit_of(rest.header("portcullis-request-id").unwrap());
    assert_eq!((entry["code"].as_str(), entry["node_id"].as_str()), (Some("identity.revoked"), Some("key:ci")));
}

#[test]
fn a_provider_is_discovered_and_may_change_its_keys() {
    let server = FakeServer::start();
    let provider = Provider::start();
    let gate = discovering(&server, &provider);
    let client = gate.nobody();
    let first = provider.token("bob", &json!({}));
    until("the keys to be fetched", || (client.raw(&bearer(&first)).status == 200).then_some(()));
    let asked = provider.asked();
    for _ in 0..5 {
        assert_eq!(client.raw(&bearer(&first)).status, 200);
        let stranger = token(77, &provider.issuer(), "bob", &json!({}));
        assert_eq!(client.raw(&bearer(&stranger)).code(), "identity.invalid");
    }
    assert!(
        provider.asked() <= asked + 1,
        "a token with an invented key id does not make the gate ask again and again"
    );
    provider.rotate();
    let second = provider.token("bob", &json!({}));
    until("the new key to be noticed", || (client.raw(&bearer(&second)).status == 200).then_some(()));
    assert_eq!(client.raw(&bearer(&first)).code(), "identity.invalid", "the old key is gone");
    provider.fail(true);
    assert_eq!(client.raw(&bearer(&second)).status, 200, "known keys stay in force while the provider is away");
}

#[test]
fn without_a_provider_s_keys_nobody_is_judged() {
    let server = FakeServer::start();
    let provider = Provider::start();
    provider.fail(true);
    let gate = discovering(&server, &provider);
    let answer = gate.nobody().raw(&bearer(&provider.token("bob", &json!({}))));
    assert_eq!((answer.status, answer.code().as_str()), (503, "identity.internal"), "{}", answer.text());
    assert!(server.seen().is_empty());
}

#[test]
fn keys_in_a_file_may_change() {
    let server = FakeServer::start();
    let folder = tempfile::tempdir().unwrap();
    let keys = folder.path().join("keys.json");
    let gate = gate(&server, &keys);
    let client = gate.nobody();
    let (first, second) = (token(1, ISSUER, "bob", &json!({})), token(2, ISSUER, "bob", &json!({})));
    until("the keys to be read", || (client.raw(&bearer(&first)).status == 200).then_some(()));
    assert_eq!(client.raw(&bearer(&second)).code(), "identity.invalid");
    std::fs::write(&keys, set(2).to_string()).unwrap();
    until("the new keys", || (client.raw(&bearer(&second)).status == 200).then_some(()));
    assert_eq!(client.raw(&bearer(&first)).code(), "identity.invalid");
    std::fs::write(&keys, "{\"keys\": [").unwrap();
    until("the broken file to be noticed", || gate.log().contains("cannot be had").then_some(()));
    assert_eq!(client.raw(&bearer(&second)).status, 200, "the last good keys stay in force");
}

#[test]
fn a_reload_forgets_what_the_old_config_took() {
    let server = FakeServer::start();
    let folder = tempfile::tempdir().unwrap();
    let gate = gate(&server, &folder.path().join("keys.json"));
    let client = gate.nobody();
    let good = token(1, ISSUER, "bob", &json!({}));
    until("the keys to be read", || (client.raw(&bearer(&good)).status == 200).then_some(()));
    let config = std::fs::read_to_string(gate.config()).unwrap();
    std::fs::write(gate.config(), config.replace("audience: [portcullis]", "audience: [elsewhere]")).unwrap();
    gate.signal(rustix::process::Signal::HUP);
    until("the new audience", || (client.raw(&bearer(&good)).code() == "identity.invalid").then_some(()));
    let meant = token(1, ISSUER, "bob", &json!({"aud": "elsewhere"}));
    assert_eq!(client.raw(&bearer(&meant)).status, 200);
    let other = folder.path().join("others.json");
    std::fs::write(&other, set(2).to_string()).unwrap();
    let config = std::fs::read_to_string(gate.config()).unwrap();
    std::fs::write(gate.config(), config.replace("keys.json", "others.json")).unwrap();
    gate.signal(rustix::process::Signal::HUP);
    until("the new keys", || {
        let new = token(2, ISSUER, "bob", &json!({"aud": "elsewhere"}));
        (client.raw(&bearer(&new)).status == 200).then_some(())
    });
    assert_eq!(client.raw(&bearer(&meant)).code(), "identity.invalid");
}
