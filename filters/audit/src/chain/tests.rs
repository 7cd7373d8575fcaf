use super::*;
use crate::entry::Entry;

fn key() -> SealKey {
    SealKey::new(&[7; 32]).unwrap()
}

#[test]
fn a_line_is_the_json_of_python_with_a_seal_in_its_place() {
    let mut chain = Chain::resume(key(), Position { next_seq: 7, previous: Seal::GENESIS });
    let previous = "ab".repeat(32);
    let entry = Entry {
        path: "/a\"b\\c\u{7}ä\n",
        event_type: "request",
        advisory_ids: "CVE-2026-1",
        client_address: "192.0.2.1",
        previous_hmac: &previous,
        segment: 3,
        repairs: 2,
        shadow: true,
        ..Entry::default()
    };
    let mut out = b"before\n".to_vec();
    let leaf = chain.seal(&entry.draft(), 1_709_208_000_000_001, &mut out);
    let text = String::from_utf8(out).unwrap();
    let line = text.strip_prefix("before\n").unwrap().strip_suffix('\n').unwrap();
    let seal = chain.position().previous;
    let expected = format!(
        "{{\"advisory_ids\": \"CVE-2026-1\", \"client_address\": \"192.0.2.1\", \"code\": \"\", \"data_level\": \"\", \
         \"duration_us\": 0, \"entry_hmac\": \"{seal}\", \"event_type\": \"request\", \"filter\": \"\", \
         \"identity_method\": \"\", \"listener\": \"\", \"method\": \"\", \"model\": \"\", \"node_id\": \"\", \
         \"output_sha256\": \"\", \"path\": \"/a\\\"b\\\\cä\", \"policy_decision\": \"\", \"previous_hmac\": \
         \"{previous}\", \"prompt_sha256\": \"\", \"repairs\": 2, \"request_bytes\": 0, \"request_id\": \"\", \
         \"response_bytes\": 0, \"route_class\": \"\", \"segment\": 3, \"seq_no\": 7, \"shadow\": true, \
         \"task_id\": \"\", \"timestamp\": \"2024-02-29T12:00:00.000001+00:00\", \"upstream\": \"\"}}"
    );
    assert_eq!(line, expected);
    assert_eq!(leaf, leaf_hash(line.as_bytes()));
    assert_eq!(chain.position().next_seq, 8);
    // As LLMesh's verifier does it: over the previous seal and the line without its own.
    let mut mac = Hmac::<Sha256>::new_from_slice(&[7; 32]).unwrap();
    mac.update(Seal::GENESIS.as_str().as_bytes());
    mac.update(line.replace(&format!(", \"entry_hmac\": \"{seal}\""), "").as_bytes());
    assert_eq!(seal.as_str(), data_encoding::HEXLOWER.encode(&mac.finalize().into_bytes()));
}

#[test]
fn what_few_entries_have_is_left_out_of_all_others() {
    let mut out = Vec::new();
    let entry = Entry { segment: 3, ..Entry::default() };
    Chain::resume(key(), Position::START).seal(&entry.draft(), 0, &mut out);
    let text = String::from_utf8(out).unwrap();
    for name in ["advisory_ids", "client_address", "previous_hmac", "repairs", "segment", "shadow"] {
        assert!(!text.contains(name), "{text}");
    }
}

#[test]
fn a_draft_is_one_allocation() {
    let long = "\"".repeat(2000);
    let entry = Entry { path: &long, model: &long, node_id: "n", ..Entry::default() };
    let draft = entry.draft();
    assert!(draft.pieces().concat().len() == draft.size() && draft.size() > 2 * 1024);
    // What was reserved at first was enough.
    assert!(draft.capacity() >= draft.size() && draft.capacity() == entry.capacity());
}

#[test]
fn sealing_adds_no_more_than_was_reserved() {
    let draft = Entry::default().draft();
    let (mut out, before) = (Vec::new(), Position { next_seq: u64::MAX, previous: Seal::GENESIS });
    Chain::resume(key(), before).seal(&draft, u64::MAX, &mut out);
    assert_eq!(out.len(), draft.size() + SEALING);
}

#[test]
fn a_place_can_be_gone_back_to() {
    let (mut once, mut twice) = (Vec::new(), Vec::new());
    let draft = Entry { event_type: "request", ..Entry::default() }.draft();
    let mut chain = Chain::resume(key(), Position::START);
    let place = chain.position();
    chain.seal(&draft, 1, &mut once);
    chain.seal(&draft, 2, &mut once);
    assert_eq!(chain.position().next_seq, 2);
    chain.restore(place);
    chain.seal(&draft, 1, &mut twice);
    assert!(once.starts_with(&twice));
    assert_eq!(Position::after(&twice), Some(chain.position()));
    assert_eq!(Position::after(b"{}\n"), None);
    assert_eq!(Seal::parse(Seal::GENESIS.as_str()), Some(Seal::GENESIS));
    for other in ["", &"0".repeat(63), &"A".repeat(64), &"g".repeat(64)] {
        assert_eq!(Seal::parse(other), None);
    }
}
