//! The command line and the admin listener.

use portcullis_tests::{FakeServer, Gate, portcullis, run};

#[test]
fn init_never_overwrites() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().to_str().unwrap();
    let args = ["init", "--dir", dir, "--name", "box", "--upstream", "http://127.0.0.1:1", "--kind", "ollama"];
    assert!(run(&args).status.success());
    let read = |name: &str| std::fs::read(folder.path().join(name)).unwrap();
    let names = [
        "portcullis.yaml",
        "state/node.key",
        "state/ca.key",
        "state/server.key",
        "state/audit.key",
        "state/admin.token",
    ];
    let before: Vec<_> = names.iter().map(|n| read(n)).collect();
    let again = run(&args);
    assert!(again.status.success());
    assert!(String::from_utf8_lossy(&again.stdout).contains("exists"));
    assert_eq!(names.iter().map(|n| read(n)).collect::<Vec<_>>(), before);
    use std::os::unix::fs::PermissionsExt as _;
    for name in &names[1..] {
        assert_eq!(std::fs::metadata(folder.path().join(name)).unwrap().permissions().mode() & 0o777, 0o600, "{name}");
    }
    assert_eq!(std::fs::metadata(folder.path().join("state")).unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn every_command_does_what_it_says() {
    let server = FakeServer::start();
    let gate = Gate::before(&server).start();
    let id = gate.cli_json(&["id", "show"]);
    assert!(
        id["node_id"].as_str().unwrap().starts_with("peer:")
            && id["did"].as_str().unwrap().starts_with("did:llmesh:1:z")
    );
    assert_eq!(id["public_key_hex"].as_str().unwrap().len(), 64);
    assert_eq!(gate.cli_json(&["id"]), id);
    assert_eq!(gate.cli_json(&["check"])["ok"], true);
    assert_eq!(gate.cli_json(&["status"])["ready"], true);
    assert_eq!(gate.cli_json(&["config", "show"])["gate"]["tls"], "mutual");
    let doctor = gate.cli_json(&["doctor"]);
    assert!(doctor.as_array().unwrap().iter().all(|l| l["health"] != "fail"), "{doctor}");
    let schema: serde_json::Value = serde_json::from_slice(&run(&["config", "schema"]).stdout).unwrap();
    assert!(schema["properties"]["gate"].is_object());
    let gate_url = format!("https://{}", gate.address);
    for client in ["ollama", "openai-python", "ollama-python", "node", "curl", "open-webui", "continue"] {
        let said = gate.cli(&["client-config", client]);
        let text = String::from_utf8_lossy(&said.stdout).into_owned();
        let door = format!("portcullis connect {} --pin {}", gate_url, gate.fingerprint());
        assert!(said.status.success() && text.contains(&door) && text.contains("127.0.0.1:11434"), "{client}: {text}");
    }
    for shell in ["bash", "zsh", "fish"] {
        assert!(run(&["completions", shell]).status.success());
    }
    assert!(String::from_utf8_lossy(&run(&["version"]).stdout).starts_with("portcullis "));
    assert_eq!(run(&["nonsense"]).status.code(), Some(2));
    assert_eq!(run(&["check", "--config", "/nonexistent.yaml"]).status.code(), Some(2));
    assert_eq!(gate.cli(&["peers", "approve", "nobody"]).status.code(), Some(1));
}

#[test]
fn the_admin_listener_wants_its_token_and_its_own_name() {
    let server = FakeServer::start();
    let gate = Gate::before(&server).start();
    assert_eq!(gate.ask_admin("GET", "/api/v1/status", None).0, 401);
    assert_eq!(gate.ask_admin("GET", "/api/v1/status", Some("wrong")).0, 401);
    let (status, text) = gate.ask_admin("GET", "/api/v1/status", Some(&gate.token()));
    assert_eq!(status, 200, "{text}");
    assert_eq!(gate.ask_admin("GET", "/api/v1/peers", Some(&gate.token())).0, 200);
    let rebound = rebind(&gate, "Host: evil.example:80");
    assert!(rebound.starts_with("HTTP/1.1 403"), "{rebound}");
    let origin = rebind(&gate, &format!("Host: {}\r\nOrigin: http://evil.example", gate.admin));
    assert!(origin.starts_with("HTTP/1.1 403"), "{origin}");

    let alice = gate.stranger("alice");
    alice.get("/api/version");
    let path = format!("/api/v1/peers/{}/approve", alice.id);
    assert_eq!(gate.ask_admin("POST", &path, Some(&gate.token())).0, 200);
    assert_eq!(alice.get("/api/version").status, 200);
}

fn rebind(gate: &Gate, lines: &str) -> String {
    use std::io::{Read as _, Write as _};
    let mut tcp = std::net::TcpStream::connect(gate.admin).unwrap();
    write!(tcp, "GET /metrics HTTP/1.1\r\n{lines}\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    tcp.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn the_metrics_are_the_promised_ones() {
    let server = FakeServer::start();
    let gate = Gate::before(&server).start();
    let (_, text) = gate.ask_admin("GET", "/metrics", None);
    for name in [
        "build_info",
        "requests_total",
        "request_duration_seconds",
        "overhead_seconds",
        "filter_duration_seconds",
        "upstream_up",
        "upstream_duration_seconds",
        "time_to_first_token_seconds",
        "tokens_total",
        "streams_active",
        "connections_active",
        "handshakes_total",
        "replays_total",
        "firewall_findings_total",
        "audit_entries_total",
        "audit_write_seconds",
        "audit_failures_total",
        "peers",
        "certificate_expiry_timestamp_seconds",
        "config_reloads_total",
        "config_last_reload_successful",
        "filter_panics_total",
        "audit_chain_ok",
        "audit_sequence",
        "upstream_exposed",
        "requests_in_flight",
        "responses_total",
        "time_per_output_token_seconds",
    ] {
        assert!(text.contains(&format!("# TYPE portcullis_{name} ")), "portcullis_{name}");
    }
    assert!(text.contains("process_resident_memory_bytes"));
    assert_eq!(gate.metric(r#"portcullis_filter_panics_total{filter="firewall"}"#), 0.0);
    assert!(text.contains(r#"portcullis_filter_panics_total{filter="firewall"} 0"#), "watched sets start at 0");
}

#[test]
fn the_demo_walks_its_tour() {
    let output = std::process::Command::new(portcullis()).args(["demo", "--attack", "--once"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.matches("as expected").count() >= 25, "{said}");
    for code in [
        "identity.invalid",
        "identity.key_changed",
        "identity.pending",
        "identity.required",
        "identity.revoked",
        "policy.egress_denied",
        "policy.expired",
        "policy.model_denied",
        "policy.route_denied",
        "ratelimit.requests",
        "request.malformed",
        "signature.replayed",
    ] {
        assert!(said.contains(&format!(" {code} ")), "{code}: {said}");
    }
    let of =
        |line: &str| said.lines().find(|l| l.contains(line)).unwrap_or_else(|| panic!("{line}: {said}")).to_owned();
    assert!(of("`portcullis explain ID` knows why for").contains("refusals, such as"), "{said}");
    assert!(of("by the policy filter: no rule allows it").contains("/policy.yaml:"), "{said}");
    let wait: u64 = of("Retry-After:").rsplit(' ').next().unwrap().parse().unwrap();
    assert!((3500..=3600).contains(&wait), "an hour, or a little less: {wait}");
    assert!(said.contains("its chain holds"));
}
