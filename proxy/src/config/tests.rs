use super::*;
use std::path::Path;

fn parse(text: &str) -> Result<Config, ConfigError> {
    load::parse(text, Path::new("p.yaml"))
}

const UPSTREAM: &str = "upstreams:\n  local: {url: http://127.0.0.1:11434, kind: ollama}\n";

#[test]
fn little_is_needed() {
    let config = parse(UPSTREAM).unwrap();
    assert_eq!(config.gate.listen.to_string(), "0.0.0.0:8443");
    assert_eq!(config.gate.tls, Tls::Mutual);
    let usual: Vec<_> = KNOWN_FILTERS.into_iter().filter(|name| *name != "sca").collect();
    assert_eq!(config.chain.iter().map(|l| l.name).collect::<Vec<_>>(), usual, "it needs advisories");
    assert_eq!(config.gate.limits.body_bytes, 16 << 20);
    assert_eq!(config.upstreams[0].first_byte_timeout.as_secs(), 900);
    assert!(config.warnings.is_empty());
}

#[test]
fn every_mistake_says_where_and_what_to_write() {
    for (text, line, words) in [
        ("gate:\n  lisen: 1\n", 2, "did you mean `listen`?"),
        ("gate:\n  listen: 8443\n", 2, ""),
        ("gate:\n  listen: host:8443\n", 2, "`host:8443` is not an address"),
        ("gate:\n  listen: 0.0.0.0:8443\n  tls: off\n", 3, "in the clear"),
        ("gate:\n  drain: soon\n", 2, "`soon` is not a duration"),
        ("gate:\n  limits:\n    body_bytes: lots\n", 3, "not a size"),
        ("gate:\n  limits: {connections: 0}\n", 2, "at least 1"),
        ("admin: {listen: 0.0.0.0:9901}\n", 1, "not a loopback address"),
        ("chain: [identity, polcy, firewall, audit]\n", 1, "did you mean `policy`?"),
        ("chain: [identity, mcp, policy, audit]\n", 1, "later release"),
        ("chain: [signature, identity, policy, audit]\n", 1, "must stand after `identity`"),
        ("chain: [identity, ratelimit, signature, policy, audit]\n", 1, "before whatever counts"),
        ("filters:\n  signature: {require: sometimes}\n", 2, ""),
        ("filters:\n  signature: {schemes: [rfc9241]}\n", 2, "did you mean `rfc9421`?"),
        ("filters:\n  signature: {schemes: []}\n", 2, "no signature could hold"),
        ("filters:\n  signature: {window: 10m}\n", 2, "between a second and five minutes"),
        ("filters:\n  signature:\n    store: {url: redis://a, pasword: x}\n", 3, "did you mean `password`?"),
        ("filters:\n  signature: {store: 7}\n", 2, ""),
        (
            "filters:\n  identity: {accept: [signature]}\n  signature: {mode: shadow}\n",
            2,
            "is in the chain and enforced",
        ),
        ("chain: [policy, identity, audit]\n", 1, "must stand before"),
        ("chain: [identity, policy]\n", 1, "`audit` is missing"),
        ("filters:\n  audit: {mode: shadow}\n", 1, "`audit` is missing, `off` or in `shadow`"),
        (
            "filters:\n  audit: {witnesses: [{url: 'http://other', fingerprint: a}]}\n",
            2,
            "a gate is spoken with over TLS, always",
        ),
        (
            "filters:\n  audit: {witnesses: [{url: 'https://other', fingerprint: abc}]}\n",
            2,
            "`abc` is not a fingerprint",
        ),
        ("filters:\n  audit: {witnesses: [{url: 'https://other'}]}\n", 2, "fingerprint"),
        (
            "filters:\n  audit:\n    witnesses:\n      - {url: 'https://a', fingerprint: \
             00112233445566778899aabbccddeeff}\n      - {url: 'https://b', fingerprint: abc}\n",
            5,
            "`abc` is not a fingerprint",
        ),
        (
            "filters:\n  audit: {witnesses: [{url: 'https://a', fingerprint: 00112233445566778899aabbccddeeff}, {url: \
             'https://b', fingerprint: '00:11:22:33:44:55:66:77:88:99:aa:bb:cc:dd:ee:ff'}]}\n",
            2,
            "the witness `b:8443` stands twice",
        ),
        ("filters:\n  identity: {accept: [jwt]}\n", 2, "no identity provider is named"),
        ("filters:\n  identity: {accept: [apikey]}\n", 2, "did you mean `api_key`?"),
        ("filters:\n  identity: {accept: []}\n", 2, "nobody could get in"),
        ("gate:\n  certificate_lifetime: 4s\n", 2, "between 5 seconds and 10 years"),
        ("gate:\n  client_ca: [none.pem]\n", 2, "is not a file"),
        ("gate:\n  client_ca: [Cargo.toml]\n", 2, "holds no certificate"),
        ("filters:\n  identity: {crl: [Cargo.toml]}\n", 2, "expected revocation lists in PEM"),
        ("filters:\n  identity:\n    spiffe: {trust_domains: {}, allow: []}\n", 3, "there are 0, expected 1 to 64"),
        (
            "filters:\n  identity:\n    spiffe:\n      trust_domains: {Example.org: []}\n      allow: ['*']\n",
            4,
            "`Example.org` is not a trust domain",
        ),
        (
            "filters:\n  identity:\n    spiffe:\n      trust_domains: {example.org: [a]}\n      allow: ['spiffe://exmple.org/*']\n",
            5,
            "can never match",
        ),
        ("gate:\n  tls: server\nfilters:\n  identity: {accept: [mtls]}\n", 4, "`gate.tls` is `server`"),
        (
            "gate:\n  listen: 127.0.0.1:8443\n  tls: off\nfilters:\n  identity: {accept: [ollama_key]}\n",
            5,
            "it needs TLS",
        ),
        ("filters:\n  identity: {jwt: [{issuer: 'https://id', audience: [x]}]}\n", 2, "`accept` does not have `jwt`"),
        (
            "filters:\n  identity:\n    accept: [jwt]\n    jwt:\n      - {issuer: 'http://id', audience: [x]}\n",
            4,
            "is no https address",
        ),
        (
            "filters:\n  identity:\n    accept: [jwt]\n    jwt:\n      - {issuer: 'https://id', audience: []}\n",
            5,
            "made for any other service",
        ),
        (
            "filters:\n  identity:\n    accept: [jwt]\n    jwt:\n      - issuer: https://id\n        audience: [x]\n        algorithms: [HS256]\n",
            7,
            "shared secrets",
        ),
        (
            "filters:\n  identity:\n    accept: [jwt]\n    jwt:\n      - issuer: https://id\n        audience: [x]\n        jwks: http://id.example/keys\n",
            7,
            "fetched by https",
        ),
        ("filters:\n  policy: {file: none.yaml}\n", 2, "cannot be read"),
        ("chain: [ratelimit, identity, policy, audit]\n", 1, "`identity` must stand before it"),
        ("filters:\n  ratelimit: {requests: 600}\n", 2, "`600` is not a rate"),
        ("filters:\n  ratelimit: {requests: 0/m}\n", 2, "write `600/m`, or `off`"),
        ("filters:\n  ratelimit: {tokens: lots}\n", 2, "write `2000000/h`"),
        ("filters:\n  ratelimit:\n    concurrent: 0\n", 3, "`0` does not fit"),
        ("filters:\n  ratelimit:\n    per_model:\n      concurrent: 9999999\n", 4, "from 1 to 1000000"),
        ("filters:\n  ratelimit: {globl: {}}\n", 2, "did you mean `global`?"),
        ("filters:\n  ratelimit: {answer_tokens: -1}\n", 2, "from 1 to 1048576"),
        ("filters:\n  sca:\n", 2, "write `sca: {}`"),
        ("filters:\n  schema: {tools: {model: }}\n", 2, "`model` has no value"),
        ("filters:\n  sca:\n    block_at: ~\n", 3, "`block_at` has no value"),
        ("filters:\n  identity:\n    spiffe: null\n", 3, "`spiffe` has no value"),
        ("chain:\n", 1, "`chain` has no value"),
        ("routes:\n  - {to: [locl]}\n", 2, "did you mean `local`?"),
    ] {
        let whole = format!("{text}{UPSTREAM}");
        let Err(ConfigError(mistakes)) = parse(&whole) else { panic!("{text}") };
        let said = mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
        assert!(said.contains(words), "{said}");
        assert!(mistakes.iter().any(|m| m.line == line && m.column > 0), "{said}");
        assert!(said.starts_with("p.yaml:"), "{said}");
    }
}

#[test]
fn upstreams_are_checked() {
    for (text, words) in [
        ("upstreams: {}\n", "there is none"),
        ("upstreams:\n  a: {url: https://x:1, kind: ollama}\n", "later release"),
        ("upstreams:\n  a: {url: 'http://u@x:1', kind: ollama}\n", "expected `http://HOST:PORT`"),
        ("upstreams:\n  a: {url: 'http://127.0.0.1:8443', kind: ollama}\n", "own address"),
        ("upstreams:\n  a: {url: 'http://127.0.0.1:1', kind: olama}\n", "did you mean `ollama`?"),
        ("upstreams:\n  a: {url: 'http://127.0.0.1:1', kind: ollama, api_key: '${NOT_SET_ANYWHERE}'}\n", "is not set"),
        ("upstreams:\n  a: {url: 'http://127.0.0.1:1', kind: ollama, slots: 0}\n", "from 1 to 4096"),
        ("upstreams:\n  a: {url: 'http://127.0.0.1:1', kind: ollama, slots: many}\n", "`many` does not fit"),
        ("upstreams:\n  a: {url: 'http://127.0.0.1:1', kind: ollama, queue: {length: 0}}\n", "from 1 to 65536"),
        (
            "upstreams:\n  a: {url: 'http://127.0.0.1:1', kind: ollama, queue: {length: 4, per_caller: 5}}\n",
            "never wait",
        ),
        ("upstreams:\n  a: {url: 'http://127.0.0.1:1', kind: ollama, queue: {wait: 2h}}\n", "at most an hour"),
        ("gate: {}\n", "upstreams"),
        ("upstreams: [\n", ""),
    ] {
        let Err(error) = parse(text) else { panic!("{text}") };
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[test]
fn all_mistakes_come_at_once() {
    let Err(ConfigError(mistakes)) = parse("gate: {drain: x, listen: y}\nchain: [a]\nupstreams: {}\n") else {
        panic!()
    };
    assert!(mistakes.len() >= 5, "{mistakes:?}");
}

#[test]
fn limits_have_defaults_and_can_be_lifted() {
    let usual = parse(UPSTREAM).unwrap();
    let limits = usual.filters.ratelimit.to_json();
    for key in ["requests", "tokens", "concurrent"] {
        assert_eq!(
            (&limits[key], &limits["global"][key]),
            (&"off".into(), &"off".into()),
            "{key} is the operator's to say"
        );
    }
    assert_eq!(limits["strangers"], "3000/m");
    assert_eq!(usual.upstreams[0].queue, QueueSettings::default());
    let text = "filters:\n  ratelimit: {requests: off, concurrent: off, strangers: off, global: {tokens: 5/s}, answer_tokens: 9}\n";
    let said = "upstreams:\n  local: {url: http://127.0.0.1:11434, kind: ollama, slots: off, queue: {length: 4}}\n";
    let config = parse(&format!("{text}{said}")).unwrap();
    let limits = config.filters.ratelimit.to_json();
    assert_eq!((&limits["requests"], &limits["concurrent"]), (&"off".into(), &"off".into()));
    assert_eq!((&limits["strangers"], &limits["answer_tokens"]), (&"off".into(), &9.into()));
    assert_eq!(limits["global"]["tokens"], "5/s");
    assert_eq!(limits["tokens"], "off");
    let queue = config.upstreams[0].queue;
    assert_eq!((queue.slots, queue.length, queue.per_caller), (Slots::Unlimited, 4, 4));
    let without = parse(&format!("chain: [identity, policy, firewall, audit]\n{UPSTREAM}")).unwrap();
    assert!(without.warnings.iter().any(|w| w.contains("`ratelimit` is not enforced")));
}

#[test]
fn secrets_are_never_shown() {
    let config = parse("upstreams:\n  a: {url: 'http://127.0.0.1:1', kind: ollama, api_key: hunter22}\n").unwrap();
    assert_eq!(config.upstreams[0].api_key.as_ref().unwrap().expose(), "hunter22");
    assert!(!format!("{:?}", config.upstreams).contains("hunter22"));
}

#[test]
fn a_loopback_gate_may_do_without() {
    let text = format!("gate: {{listen: '127.0.0.1:8443', tls: off}}\nchain: [firewall, audit]\n{UPSTREAM}");
    assert!(parse(&text).is_ok(), "{:?}", parse(&text).err());
}

#[test]
fn every_example_is_a_config() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples");
    let mut seen = 0;
    for file in std::fs::read_dir(folder).unwrap().filter_map(|f| f.ok().map(|f| f.path())) {
        if file.extension().is_some_and(|e| e == "yaml") {
            load(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
            seen += 1;
        }
    }
    assert!(seen >= 2);
}
