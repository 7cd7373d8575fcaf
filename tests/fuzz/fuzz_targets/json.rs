//! Strict JSON: never panics, accepts nothing that serde_json refuses, and reads what it writes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis_filters::json::Json;

fuzz_target!(|text: &[u8]| {
    if let Ok(json) = Json::parse(text) {
        assert!(serde_json::from_slice::<serde_json::Value>(text).is_ok());
        let written = json.to_bytes();
        assert_eq!(Json::parse(&written).expect("it reads what it writes"), json);
    }
});
