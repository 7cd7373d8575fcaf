//! Entries as a table (RFC 4180): a header, fixed columns, CRLF at the end of each record.
//!
//! A spreadsheet takes a cell that begins with `=`, `+`, `-`, `@`, a tab or a carriage return for a formula, and callers
//! choose some of the texts. Such a text gets an apostrophe before it, and so does one that begins with an apostrophe, so
//! that taking one away gives the text back.

use std::borrow::Cow;
use std::io;

use csv::{Terminator, WriterBuilder};
use serde_json::Value;

use crate::cli::audit::entry::{Entry, KEYS, OPTIONAL};

/// The column of what has no column of its own, as a JSON object.
const OTHER: &str = "other";

/// The names of the columns.
pub(super) fn header() -> io::Result<Vec<u8>> {
    written(KEYS.into_iter().chain(OPTIONAL).chain([OTHER]).map(Cow::Borrowed))
}

/// One entry.
pub(super) fn record(entry: &Entry) -> io::Result<Vec<u8>> {
    let columns: Vec<&str> = KEYS.into_iter().chain(OPTIONAL).collect();
    let other = entry.without(&columns);
    let other = if other.is_empty() { String::new() } else { Value::Object(other).to_string() };
    written(columns.iter().map(|key| cell(entry.get(key))).chain([harmless(&other).into_owned().into()]))
}

fn cell(value: Option<&Value>) -> Cow<'_, str> {
    match value {
        None | Some(Value::Null) => Cow::Borrowed(""),
        Some(Value::String(text)) => harmless(text),
        // Numbers and truths of our own; anything else as JSON, which may begin with a sign.
        Some(Value::Number(number)) => Cow::Owned(number.to_string()),
        Some(other) => Cow::Owned(harmless(&other.to_string()).into_owned()),
    }
}

/// A text that no spreadsheet computes.
fn harmless(text: &str) -> Cow<'_, str> {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r', '\'', '＝', '＋', '－', '＠']) {
        Cow::Owned(format!("'{text}"))
    } else {
        Cow::Borrowed(text)
    }
}

fn written<'c>(cells: impl Iterator<Item = Cow<'c, str>>) -> io::Result<Vec<u8>> {
    let mut writer = WriterBuilder::new().terminator(Terminator::CRLF).buffer_capacity(2048).from_writer(Vec::new());
    writer.write_record(cells.map(|cell| cell.into_owned().into_bytes()))?;
    writer.into_inner().map_err(|error| io::Error::other(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn read(bytes: &[u8]) -> Vec<String> {
        let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(bytes);
        let mut records = reader.records();
        let record = records.next().unwrap().unwrap();
        assert!(records.next().is_none(), "one record");
        record.iter().map(str::to_owned).collect()
    }

    #[test]
    fn the_columns_are_fixed() {
        let header = String::from_utf8(header().unwrap()).unwrap();
        assert!(header.starts_with("seq_no,timestamp,event_type,request_id,"), "{header}");
        assert!(
            header.ends_with(",entry_hmac,advisory_ids,client_address,previous_hmac,repairs,segment,shadow,other\r\n"),
            "{header}"
        );
        let entry =
            json!({"seq_no": 7, "path": "/a,\"b\"", "shadow": true, "client_address": "192.0.2.0/24", "more": [1]});
        let entry = Entry::read(entry.to_string().as_bytes()).unwrap();
        let record = String::from_utf8(record(&entry).unwrap()).unwrap();
        assert!(record.starts_with("7,,,,,,,,,\"/a,\"\"b\"\"\","), "{record}");
        assert!(record.ends_with(",192.0.2.0/24,,,,true,\"{\"\"more\"\":[1]}\"\r\n"), "{record}");
        assert_eq!(read(record.as_bytes()).len(), header.split(',').count());
    }

    #[test]
    fn nothing_is_a_formula() {
        for text in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "＝1", "'=1"] {
            assert_eq!(harmless(text), format!("'{text}"));
        }
        assert_eq!(harmless("/api/chat=1"), "/api/chat=1");
    }

    proptest! {
        #[test]
        fn any_text_comes_back(path in any::<String>(), code in "[=+@'\\-\t\r\n\",;]{0,4}[a-z]{0,3}") {
            let entry = json!({"seq_no": 1, "path": path, "code": code, "entry_hmac": "ff"});
            let cells = read(&record(&Entry::read(entry.to_string().as_bytes()).unwrap()).unwrap());
            prop_assert_eq!(cells.len(), KEYS.len() + OPTIONAL.len() + 1);
            for (key, text) in [("path", &path), ("code", &code)] {
                let cell = &cells[KEYS.iter().position(|known| *known == key).unwrap()];
                prop_assert!(!cell.starts_with(['=', '+', '-', '@', '\t', '\r']), "{:?}", cell);
                prop_assert_eq!(cell.strip_prefix('\'').unwrap_or(cell), text);
            }
        }
    }
}
