use super::*;
use crate::frame::{Reading, with_frame};
use crate::verdict::Code;
use portcullis_firewall::Selection;
use portcullis_policies::DataLevel;
use proptest::prelude::*;

struct Deaf;

impl FindingObserver for Deaf {
    fn found(&self, _: &str, _: DataLevel, _: &'static str) {}
}

/// A seeded source of bodies: no secret stands in this file in one piece.
fn body(letters: &str, length: usize, seed: usize) -> String {
    let letters: Vec<char> = letters.chars().collect();
    let mut state = 0x9e37_79b9_u64 + seed as u64;
    (0..length)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            letters[(state >> 33) as usize % letters.len()]
        })
        .collect()
}

const B62: &str = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
const HEX: &str = "0123456789abcdef";
const UPPER: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// One sample of a kind, as (rule, the fixed beginning, the rest).
fn samples() -> Vec<(&'static str, String, String)> {
    let b62 = |n| body(B62, n, n);
    let mut all: Vec<(&'static str, String, String)> = [
        ("github-token", "ghp_", b62(36)),
        ("github-token", "gho_", b62(36)),
        ("github-fine-grained", "github_pat_", format!("{}_{}", b62(22), b62(59))),
        ("gitlab-token", "glpat-", b62(20)),
        ("npm-token", "npm_", b62(36)),
        ("pypi-token", "pypi-AgEIcHlwaS5vcmc", b62(80)),
        ("rubygems-key", "rubygems_", body(HEX, 48, 1)),
        ("pulumi-token", "pul-", body(HEX, 40, 1)),
        ("aws-key-id", "AKIA", body(UPPER, 16, 5)),
        ("google-api-key", "AIza", b62(35)),
        ("google-oauth-secret", "GOCSPX-", b62(28)),
        ("alibaba-key-id", "LTAI", b62(20)),
        ("digitalocean-token", "dop_v1_", body(HEX, 64, 2)),
        ("netlify-token", "nfp_", b62(36)),
        ("supabase-token", "sbp_", body(HEX, 40, 3)),
        ("planetscale-secret", "pscale_tkn_", b62(43)),
        ("databricks-token", "dapi", body(HEX, 32, 4)),
        ("doppler-token", "dp.pt.", b62(43)),
        ("vault-token", "hvs.", b62(95)),
        ("openai-key", "sk-", format!("proj-{}T3BlbkFJ{}", b62(58), b62(59))),
        ("anthropic-key", "sk-ant-", format!("api03-{}AA", b62(93))),
        ("huggingface-token", "hf_", b62(34)),
        ("groq-key", "gsk_", b62(52)),
        ("xai-key", "xai-", b62(80)),
        ("perplexity-key", "pplx-", b62(48)),
        ("replicate-token", "r8_", b62(37)),
        ("stripe-key", "sk_live_", b62(24)),
        ("square-secret", "sq0atp-", b62(22)),
        ("shopify-token", "shpat_", body(HEX, 32, 6)),
        ("sendgrid-key", "SG.", format!("{}.{}", b62(22), b62(43))),
        ("mailgun-key", "key-", body(HEX, 32, 7)),
        ("slack-token", "xoxb-", format!("123456789012-1234567890123-{}", b62(24))),
        ("linear-key", "lin_api_", b62(40)),
        ("notion-token", "ntn_", format!("12345678901{}", b62(35))),
        ("postman-key", "PMAK-", format!("{}-{}", body(HEX, 24, 8), body(HEX, 34, 9))),
        ("airtable-token", "pat", format!("{}.{}", b62(14), body(HEX, 64, 10))),
        ("newrelic-key", "NRAK-", body(UPPER, 27, 11)),
        ("grafana-token", "glsa_", format!("{}_{}", b62(32), body(HEX, 8, 12))),
        ("sentry-token", "sntryu_", body(HEX, 64, 13)),
        ("private-key", "-----BEGIN ", "RSA PRIVATE KEY-----\nMIIE".to_owned()),
        ("age-key", "AGE-SECRET-KEY-1", body(UPPER, 58, 14)),
        ("url-password", "://", format!("admin:{}@db.example.org", b62(14))),
        (
            "json-web-token",
            "eyJ",
            format!("{}.{}.{}", &data_encoding::BASE64URL_NOPAD.encode(br#"{"alg":"HS256"}"#)[3..], b62(40), b62(43)),
        ),
    ]
    .map(|(rule, begin, rest)| (rule, begin.to_owned(), rest))
    .to_vec();
    all.push((
        "basic-auth",
        "Basic ".to_owned(),
        data_encoding::BASE64.encode(format!("admin:{}", b62(12)).as_bytes()),
    ));
    all
}

fn found_in(text: &str) -> Vec<&'static str> {
    let mut rules = vec![];
    scanner().scan(text, &mut |f| rules.push(f.rule.id));
    rules
}

#[test]
fn knows_every_format_in_prose() {
    for (rule, begin, rest) in samples() {
        for text in
            [format!("my key is {begin}{rest} please use it"), format!("{begin}{rest}"), format!("KEY={begin}{rest}\n")]
        {
            assert!(found_in(&text).contains(&rule), "{rule} in {text}");
        }
    }
    let rules: std::collections::HashSet<_> = samples().iter().map(|(rule, _, _)| *rule).collect();
    assert!(rules.len() >= 25, "{}", rules.len());
}

#[test]
fn leaves_alone_what_is_no_secret() {
    for text in [
        "AKIAIOSFODNN7EXAMPLE",
        "ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        "sk-your-api-key-goes-here-and-nowhere-else-please",
        "password = os.environ['DB']",
        "the password is: hunter",
        "-----BEGIN PUBLIC KEY-----",
        "-----BEGIN CERTIFICATE-----",
        "https://example.com/a:b@c",
        "postgres://user:${PASSWORD}@host/db",
        "skghp_1234567890",
        "token: config.token_value",
        "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "eyJhbGciOiJub25lIn0",
        "Basic understanding of it",
        "SKIP this and that",
        "path is fine",
        "keyboard-shortcuts",
        "550e8400-e29b-41d4-a716-446655440000",
    ] {
        assert_eq!(found_in(text), Vec::<&str>::new(), "{text}");
    }
}

#[test]
fn sees_assignments_and_disguises() {
    let secret = body(B62, 20, 3);
    for text in [
        format!("password = \"{secret}\""),
        format!("DB_PASSWORD={secret}"),
        format!("\"client_secret\": \"{secret}\""),
        format!("api_key: {secret}"),
    ] {
        assert!(found_in(&text).contains(&"assigned-secret"), "{text}");
    }
    let token = format!("ghp_{}", body(B62, 36, 1));
    let hidden: String = token.chars().flat_map(|c| [c, '\u{200b}']).collect();
    assert!(found_in(&hidden).contains(&"github-token"));
}

fn scanner() -> &'static Scanner {
    static ONE: std::sync::OnceLock<Scanner> = std::sync::OnceLock::new();
    ONE.get_or_init(Scanner::default)
}

proptest! {
    #[test]
    fn nothing_panics_the_scanner(text in any::<String>(), from in 0usize..64) {
        let scanner = scanner();
        scanner.scan(&text, &mut |_| {});
        let mut from = from.min(text.len());
        while !text.is_char_boundary(from) { from -= 1; }
        scanner.scan_from(&text, from, false, &mut |_| {});
    }
}

/// The development corpus lies beside the project; where it does not, this skips and says so.
#[test]
fn holds_its_own_on_the_development_corpus() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data/firewall/corpus_dev.jsonl");
    let Ok(corpus) = std::fs::read_to_string(path) else {
        eprintln!("skipped: the firewall's development corpus is not there");
        return;
    };
    let scanner = scanner();
    let (mut hit, mut missed, mut wrong, mut clean) = (0, 0, 0, 0);
    let mut by_rule = std::collections::BTreeMap::<String, usize>::new();
    let mut wrongly = std::collections::BTreeMap::<&str, usize>::new();
    for line in corpus.lines() {
        let item: serde_json::Value = serde_json::from_str(line).unwrap();
        if item.get("evasion").is_some_and(|e| !e.is_null()) {
            continue;
        }
        let mut rules = vec![];
        scanner.scan(item["text"].as_str().unwrap(), &mut |f| {
            if f.rule.level >= DataLevel::L3 {
                rules.push(f.rule.id)
            }
        });
        match (item["label"].as_str().unwrap(), rules.first()) {
            ("secret", Some(_)) => hit += 1,
            ("secret", None) => {
                missed += 1;
                *by_rule.entry(item["rule"].as_str().unwrap_or("?").to_owned()).or_default() += 1;
            }
            ("clean", Some(rule)) => {
                wrong += 1;
                *wrongly.entry(rule).or_default() += 1;
            }
            ("clean", None) => clean += 1,
            _ => {}
        }
    }
    let recall = f64::from(hit) / f64::from(hit + missed);
    let precision = f64::from(hit) / f64::from(hit + wrong);
    eprintln!("recall {recall:.3}, precision {precision:.3}, clean {clean}, missed {by_rule:?}, wrong {wrongly:?}");
    assert!(recall >= 0.75 && precision >= 0.9);
}
