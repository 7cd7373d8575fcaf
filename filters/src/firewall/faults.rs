//! Whatever breaks in the firewall, the request is refused: by the chain, as it is in the gate.

use std::io::Write as _;
use std::time::Duration;

use data_encoding::BASE64;
use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use portcullis_firewall::{MOST_HELD, Source};
use portcullis_policies::DataLevel;

use super::tests::{RULES, head};
use super::*;
use crate::chain::{Chain, Member, Observer};
use crate::exchange::Content;
use crate::filter::Mode;
use crate::verdict::{Code, Refusal};

/// Breaks when it is told of a finding of this rule.
struct Breaks(&'static str);

impl FindingObserver for Breaks {
    fn found(&self, rule: &str, _: DataLevel, _: &'static str) {
        assert_ne!(rule, self.0, "told of what it cannot take");
    }
}

struct Deaf;

impl Observer for Deaf {
    fn ran(&self, _: &'static str, _: Phase, _: Duration) {}
    fn panicked(&self, _: &'static str) {}
    fn shadowed(&self, _: &'static str, _: Code) {}
}

/// What becomes of a request, judged by a chain of the firewall alone.
fn send(body: Vec<u8>) -> Result<(), Refusal> {
    let settings = FirewallSettings::default();
    let source = Source { name: "t.toml", text: RULES };
    let rules = Rules::load(false, &[source], &settings.selection()).map_err(|wrong| format!("{wrong:?}")).unwrap();
    let observer = Arc::new(Breaks("hint"));
    let firewall = Firewall::new(settings, Arc::new(rules), Fingerprints::new(b"a key").unwrap(), observer).unwrap();
    let member = Member { filter: Arc::new(firewall), mode: Mode::Enforce };
    let chain = Chain::new(vec![member], Duration::from_secs(60), Arc::new(Deaf)).unwrap();
    let judged = async {
        let admitted = chain.admit(head("/api/chat")).await.map_err(|refused| refused.refusal)?;
        chain.clear(admitted, Content::plain(body.into())).await.map(|_| ()).map_err(|refused| refused.refusal)
    };
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(judged)
}

fn says(text: &str) -> Vec<u8> {
    serde_json::json!({"model": "tiny", "messages": [{"role": "user", "content": text}]}).to_string().into_bytes()
}

fn shows(image: &str) -> Vec<u8> {
    serde_json::json!({"messages": [{"role": "user", "content": "see", "images": [image]}]}).to_string().into_bytes()
}

/// A lot of the same, packed.
fn gzip(text: &[u8]) -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::best());
    packer.write_all(text).unwrap();
    packer.finish().unwrap()
}

/// A picture whose comment unfolds without end.
fn picture() -> Vec<u8> {
    let mut packer = ZlibEncoder::new(b"Comment\0\0".to_vec(), Compression::best());
    packer.write_all(&vec![b' '; 16 << 20]).unwrap();
    let comment = packer.finish().unwrap();
    let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
    bytes.extend((comment.len() as u32).to_be_bytes());
    bytes.extend(b"zTXt");
    bytes.extend(comment);
    bytes.extend([0; 4]);
    bytes
}

fn in_pieces(text: &str) -> String {
    let pieces = text.as_bytes().chunks(60).map(String::from_utf8_lossy);
    pieces.map(|piece| format!("\"{piece}\"")).collect::<Vec<_>>().join(" + ")
}

#[test]
fn whatever_breaks_refuses() {
    assert_eq!(send(says("hello")), Ok(()), "a request that breaks nothing");
    let deep = (0..12).fold("what is wrapped in so often".to_owned(), |text, _| BASE64.encode(text.as_bytes()));
    let bomb = gzip(&vec![b' '; 16 << 20]);
    for (fault, body) in [
        ("a panic", says("hint_12345678")),
        ("a panic, and a secret before it", says("ours_12345678 hint_12345678")),
        ("a bomb", says(&BASE64.encode(&bomb))),
        ("a bomb in a bomb", says(&BASE64.encode(&gzip(&gzip(&vec![b' '; 64 << 20]))))),
        ("a bomb in hex", says(&data_encoding::HEXLOWER.encode(&bomb))),
        ("a bomb in pieces", says(&in_pieces(&BASE64.encode(&bomb)))),
        ("too deep", says(&deep)),
        ("a bomb in a picture", shows(&BASE64.encode(&picture()))),
    ] {
        let refusal = send(body).err().unwrap_or_else(|| panic!("{fault} passes"));
        assert_eq!((refusal.code, refusal.level), (Code::Internal("firewall"), DataLevel::L4), "{fault}");
        assert_eq!(refusal.code.as_str(), "firewall.internal");
    }
    // What was found by then says more than that there was too much.
    let refusal = send(says(&format!("ours_12345678 {}", BASE64.encode(&bomb)))).unwrap_err();
    assert_eq!(refusal.code, Code::FirewallSecret);
    for (fault, bytes) in [
        ("no UTF-8", &b"\xff\xfe"[..]),
        ("a letter in too many bytes", b"\xc0\xaf"),
        ("half a surrogate", b"\\ud800"),
        ("a letter cut off", b"\xf0\x9f"),
        ("a bare control character", b"\0"),
    ] {
        let body = [&br#"{"messages":[{"role":"user","content":""#[..], bytes, br#""}]}"#].concat();
        assert!(send(body).is_err(), "{fault}");
    }
}

#[test]
fn ten_million_escapes_get_a_verdict() {
    // What is said is a backslash or a letter, and what that says as JSON in a string.
    for escape in [r"\\", r"\u0041", r"\u005cu0041"] {
        let text = escape.repeat((20 << 20) / escape.len());
        let body = format!(r#"{{"messages":[{{"role":"user","content":"{text} ours_12345678"}}]}}"#);
        let code = send(body.into_bytes()).err().map(|refusal| refusal.code);
        assert!(matches!(code, Some(Code::FirewallSecret | Code::Internal("firewall"))), "{escape} {code:?}");
    }
}

#[test]
fn rules_that_do_not_hold_make_no_filter() {
    let load = |text: &str| {
        let settings = FirewallSettings::default();
        Rules::load(false, &[Source { name: "t.toml", text }], &settings.selection()).map(|rules| {
            let prints = Fingerprints::new(b"a key").unwrap();
            Firewall::new(settings, Arc::new(rules), prints, Arc::new(Breaks("hint"))).is_ok()
        })
    };
    assert!(load(RULES).is_ok_and(|made| made));
    assert!(load("[allowlist]\nstopwords = ['x']").is_ok_and(|made| !made), "no rules at all");
    for (fault, rule) in [
        ("nothing", ""),
        ("no TOML", "[[rules]"),
        ("no expression", "[[rules]]\nid = 'a'\nregex = '(['\nkeywords = ['a']"),
        ("a check that nobody knows", "[[rules]]\nid = 'a'\nregex = 'a'\n[rules.fw]\nchecks = ['magic']"),
        ("a sample that is not found", "[[rules]]\nid = 'a'\nregex = 'a'\n[rules.fw.samples]\npositive = ['b']"),
        ("a key that nobody knows", "[[rules]]\nid = 'a'\nregex = 'a'\n[rules.fw]\nacton = 'block'"),
    ] {
        assert!(load(rule).is_err(), "{fault}");
    }
    // What is held of an answer is bounded, whatever the rules are.
    const { assert!(MOST_HELD <= 8 << 10) };
}
