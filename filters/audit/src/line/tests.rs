use proptest::prelude::*;

use super::*;
use crate::chain::{Chain, Position, SealKey};
use crate::entry::Entry;

/// The line of an entry, without its newline.
fn line(entry: &Entry<'_>, position: Position) -> String {
    let mut out = Vec::new();
    Chain::resume(SealKey::new(&[7; 32]).unwrap(), position).seal(&entry.draft(), 1_700_000_000_000_000, &mut out);
    assert_eq!(out.pop(), Some(b'\n'));
    String::from_utf8(out).unwrap()
}

/// What the reader says of a field, as JSON.
fn json(value: Value<'_>) -> serde_json::Value {
    match value {
        Value::Number(number) => number.into(),
        Value::Truth(truth) => truth.into(),
        Value::Text(_) => value.text().unwrap().into(),
    }
}

/// An object as Python's `json.dumps(sort_keys=True, ensure_ascii=False)` writes it.
fn python(object: &serde_json::Map<String, serde_json::Value>) -> String {
    let fields: Vec<String> = object.iter().map(|(name, value)| format!("\"{name}\": {value}")).collect();
    format!("{{{}}}", fields.join(", "))
}

#[test]
fn the_longest_entry_is_below_the_bound() {
    let long = "\"".repeat(600);
    let long = long.as_str();
    let entry = Entry {
        event_type: long,
        request_id: long,
        node_id: long,
        identity_method: long,
        listener: long,
        route_class: long,
        method: long,
        path: long,
        model: long,
        upstream: long,
        policy_decision: long,
        filter: long,
        code: long,
        data_level: long,
        prompt_sha256: long,
        output_sha256: long,
        request_bytes: u64::MAX,
        response_bytes: u64::MAX,
        duration_us: u64::MAX,
        task_id: long,
        advisory_ids: long,
        repairs: u64::MAX,
        shadow: true,
        client_address: long,
        previous_hmac: Seal::GENESIS.as_str(),
        segment: u64::MAX,
    };
    let draft = entry.draft();
    assert!(draft.capacity() == entry.capacity(), "one allocation");
    let line = line(&entry, Position { next_seq: u64::MAX, previous: Seal::GENESIS });
    assert!(line.len() < MAX_LINE, "{}", line.len());
    let read = Line::read(line.as_bytes()).unwrap();
    assert_eq!((read.seq_no, read.segment, read.previous_hmac), (u64::MAX, Some(u64::MAX), Some(Seal::GENESIS)));
    assert_eq!(read.field("path").unwrap().text().unwrap(), "\"".repeat(512));
    let longer = format!("{{\"a\": \"{}\", {}", "x".repeat(MAX_LINE), &line[1..]);
    assert!(Line::read(longer.as_bytes()).is_none());
}

#[test]
fn a_second_spelling_is_refused() {
    let line = line(&Entry { path: "/a\"b\\cä/", shadow: true, ..Entry::default() }, Position::START);
    assert!(Line::read(line.as_bytes()).is_some());
    for (from, to) in [
        ("\": \"", "\":\""),
        ("\", \"", "\",\""),
        ("\", \"", "\" , \""),
        ("{", "{ "),
        ("}", " }"),
        ("}", "} "),
        ("}", "}}"),
        ("}", ""),
        ("/a", "\\/a"),
        ("/a", "\\u002fa"),
        ("\\\"b", "\\u0022b"),
        ("ä", "\\u00e4"),
        ("ä", "\t"),
        ("ä", "\u{1}"),
        ("ä", "\\u000a"),
        ("ä", "\\u001F"),
        ("ä", "\\u0020"),
        ("ä", "\\u+001"),
        ("ä", "\\"),
        ("\"duration_us\": 0", "\"duration_us\": 00"),
        ("\"duration_us\": 0", "\"duration_us\": -0"),
        ("\"duration_us\": 0", "\"duration_us\": 0.0"),
        ("\"duration_us\": 0", "\"duration_us\": 0e0"),
        ("\"duration_us\": 0", "\"duration_us\": null"),
        ("\"duration_us\": 0", "\"duration_us\": []"),
        ("\"duration_us\": 0", "\"duration_us\": {}"),
        ("\"duration_us\": 0", "\"duration_us\": 18446744073709551616"),
        ("\"duration_us\": 0", "\"duration_us\": "),
        ("\"seq_no\": 0", "\"seq_no\": \"0\""),
        ("\"shadow\": true", "\"shadow\": True"),
        ("\"shadow\": true", "\"shadow\": tru"),
        ("+00:00", "Z"),
        ("\"code\"", "\"Code\""),
        ("\"code\"", "\"\""),
        ("\"code\"", "\"c\\u006fde\""),
        ("\"data_level\"", "\"code\""),
        ("\"data_level\"", "\"a\""),
        ("\"entry_hmac\": \"", "\"entry_hmac\": \"0"),
        ("{\"code\"", "{\"code\": \"\", \"code\""),
    ] {
        let changed = line.replacen(from, to, 1);
        assert_ne!(changed, line, "{from}");
        assert!(Line::read(changed.as_bytes()).is_none(), "{changed}");
    }
    let upper = line.replace(|c: char| matches!(c, 'a'..='f'), "A");
    assert!(Line::read(upper.as_bytes()).is_none());
    assert!(Line::read(&line.as_bytes()[1..]).is_none() && Line::read(b"{}").is_none() && Line::read(b"").is_none());
    assert!(Line::read(&[line.as_bytes(), b"\n"].concat()).is_none());
    assert!(Line::read(&line.replace('ä', "_").replace('_', "\u{ff}").into_bytes()).is_none());
}

#[test]
fn every_needed_field_is_needed() {
    let line = line(&Entry::default(), Position::START);
    let object: serde_json::Map<_, _> = serde_json::from_str(&line).unwrap();
    assert_eq!(python(&object), line);
    for name in object.keys() {
        let mut without = object.clone();
        without.remove(name);
        let needed = ["entry_hmac", "event_type", "seq_no", "timestamp"].contains(&name.as_str());
        assert_eq!(Line::read(python(&without).as_bytes()).is_none(), needed, "{name}");
        let mut other = object.clone();
        other.insert(name.clone(), true.into());
        assert_eq!(Line::read(python(&other).as_bytes()).is_none(), needed, "{name}");
    }
    // The seal has a comma before it.
    let first: serde_json::Map<_, _> = object.into_iter().filter(|(name, _)| name.as_str() >= "entry_hmac").collect();
    assert!(Line::read(python(&first).as_bytes()).is_none());
}

#[test]
fn the_first_line_of_a_segment_says_so_in_one_way() {
    let previous = "ab".repeat(32);
    let entry = Entry { event_type: "audit.segment", previous_hmac: &previous, segment: 2, ..Entry::default() };
    let line = line(&entry, Position::START);
    let read = Line::read(line.as_bytes()).unwrap();
    assert_eq!((read.segment, read.previous_hmac), (Some(2), Seal::parse(&previous)));
    for (from, to) in [("\"segment\": 2", "\"segment\": 0"), ("\"segment\": 2", "\"segment\": \"2\""), ("abab", "ABAB")]
    {
        assert!(Line::read(line.replacen(from, to, 1).as_bytes()).is_none(), "{to}");
    }
}

/// Texts with everything that could matter.
fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[ -~]{0,40}", "(\\PC|[\"\\\\/\\x00-\\x1f\\x7f-\\xa0]){0,20}", "(ä|\"){250,300}",]
}

proptest! {
    #[test]
    fn entries_are_read_as_serde_json_reads_them(
        texts in proptest::collection::vec(text(), 8),
        numbers in proptest::collection::vec(any::<u64>(), 5),
        shadow: bool,
    ) {
        let entry = Entry {
            event_type: &texts[0],
            path: &texts[1],
            model: &texts[2],
            node_id: &texts[3],
            code: &texts[4],
            advisory_ids: &texts[5],
            client_address: &texts[6],
            upstream: &texts[7],
            duration_us: numbers[0],
            repairs: numbers[1],
            request_bytes: numbers[2],
            response_bytes: numbers[3],
            shadow,
            ..Entry::default()
        };
        let position = Position { next_seq: numbers[4], previous: Seal::GENESIS };
        let line = line(&entry, position);
        prop_assert!(entry.draft().capacity() == entry.capacity(), "one allocation");
        let expected: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&line).unwrap();
        // serde_json's map is sorted, and its strings are escaped as Python does it.
        prop_assert_eq!(&python(&expected), &line);
        let read = Line::read(line.as_bytes()).unwrap();
        prop_assert_eq!(read.seq_no, numbers[4]);
        prop_assert_eq!(read.timestamp, "2023-11-14T22:13:20.000000+00:00");
        prop_assert_eq!(read.seal.as_str(), expected["entry_hmac"].as_str().unwrap());
        let found: serde_json::Map<_, _> = read.fields().map(|(name, value)| (name.to_owned(), json(value))).collect();
        prop_assert_eq!(found, expected);
        let (before, after) = read.unsealed();
        let seal = format!(", \"entry_hmac\": \"{}\"", read.seal);
        prop_assert_eq!([before, after].concat(), line.replacen(&seal, "", 1).into_bytes());
    }

    #[test]
    fn what_is_read_is_the_one_spelling_of_what_it_says(
        names in proptest::collection::btree_set("[a-z_]{1,6}", 0..6),
        texts in proptest::collection::vec(text(), 6),
    ) {
        // Any object in Python's form is read, with the escapes that no entry of ours has.
        let base = line(&Entry::default(), Position::START);
        let mut object: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&base).unwrap();
        for (name, text) in names.iter().zip(&texts).filter(|(name, _)| name.as_str() != "segment") {
            object.insert(name.clone(), text.as_str().into());
        }
        let line = python(&object);
        let read = Line::read(line.as_bytes()).unwrap();
        let found: serde_json::Map<_, _> = read.fields().map(|(name, value)| (name.to_owned(), json(value))).collect();
        prop_assert_eq!(found, object);
    }

    #[test]
    fn what_is_changed_is_refused_or_spelt_as_python_spells_it(
        changes in proptest::collection::vec((any::<usize>(), prop_oneof![any::<u8>(), proptest::sample::select(b"\"\\{}:, 0u1bnt".to_vec())], 0u8..3), 1..4),
    ) {
        let line = line(&Entry { path: "/a\"b\\\\cä", shadow: true, repairs: 2, ..Entry::default() }, Position::START);
        let mut bytes = line.into_bytes();
        for (at, byte, how) in changes {
            let at = at % bytes.len();
            match how {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ => drop(bytes.remove(at)),
            }
        }
        if Line::read(&bytes).is_some() {
            let object: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(&bytes).unwrap();
            prop_assert_eq!(python(&object).into_bytes(), bytes);
        }
    }
}
