//! Lines of the audit log: nothing panics, a line has one spelling, and pieces say what the whole says.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis_audit::{Line, Position, SealKey, Value, check_lines, pieces};

fuzz_target!(|bytes: &[u8]| {
    for line in bytes.split(|b| *b == b'\n') {
        let Some(read) = Line::read(line) else { continue };
        assert_eq!(read.bytes(), line);
        let object: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(line).expect("it is JSON");
        let python: Vec<String> = object.iter().map(|(name, value)| format!("\"{name}\": {value}")).collect();
        assert_eq!(format!("{{{}}}", python.join(", ")).as_bytes(), line, "a second spelling");
        assert_eq!(read.fields().count(), object.len());
        for (name, value) in read.fields() {
            let said: serde_json::Value = match value {
                Value::Number(number) => number.into(),
                Value::Truth(truth) => truth.into(),
                Value::Text(_) => value.text().expect("it is a text").into(),
            };
            assert_eq!(object.get(name), Some(&said));
        }
        assert_eq!(Position::after(line).map(|after| after.previous), read.seq_no.checked_add(1).map(|_| read.seal));
    }
    // Without a key more of what is made up holds; with one nothing does.
    let from = bytes.split(|b| *b == b'\n').find_map(Position::after).unwrap_or(Position::START);
    for key in [None, SealKey::new(&[7; 32])] {
        for from in [Position::START, from] {
            let whole = check_lines(bytes, key.as_ref(), from);
            assert_eq!(whole.lines, whole.leaves.len() as u64);
            let checked = pieces(bytes, from, 3).into_iter().map(|p| check_lines(p.bytes, key.as_ref(), p.from));
            let joined = checked.reduce(|mut all, next| {
                all.join(next);
                all
            });
            assert_eq!(joined, Some(whole));
        }
    }
});
