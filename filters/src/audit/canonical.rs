//! The canonical form of an entry: sorted keys, `", "` and `": "`, Python's escapes, whole numbers.

use portcullis_audit::Entry;

/// The longest text in an entry, in bytes.
const MAX_TEXT: usize = 512;

/// Where, in a line, its seal is to be put.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gap(pub(super) usize);

/// Writes an entry in canonical form, without `entry_hmac`, and says where that would stand.
pub(super) fn write(out: &mut Vec<u8>, entry: &Entry<'_>, seq_no: u64, timestamp: &str) -> Gap {
    out.push(b'{');
    let mut line = Line { out, first: true };
    // Entries of answers that bring nothing in have no such key.
    if !entry.advisory_ids.is_empty() {
        line.text("advisory_ids", entry.advisory_ids);
    }
    line.text("code", entry.code);
    line.text("data_level", entry.data_level);
    line.number("duration_us", entry.duration_us);
    let gap = Gap(line.out.len());
    line.text("event_type", entry.event_type);
    line.text("filter", entry.filter);
    line.text("identity_method", entry.identity_method);
    line.text("listener", entry.listener);
    line.text("method", entry.method);
    line.text("model", entry.model);
    line.text("node_id", entry.node_id);
    line.text("output_sha256", entry.output_sha256);
    line.text("path", entry.path);
    line.text("policy_decision", entry.policy_decision);
    line.text("prompt_sha256", entry.prompt_sha256);
    // Nor have those of answers that came at once.
    if entry.repairs > 0 {
        line.number("repairs", entry.repairs);
    }
    line.number("request_bytes", entry.request_bytes);
    line.text("request_id", entry.request_id);
    line.number("response_bytes", entry.response_bytes);
    line.text("route_class", entry.route_class);
    line.number("seq_no", seq_no);
    // Nor those of which nothing was only tried.
    if entry.shadow {
        line.truth("shadow");
    }
    line.text("task_id", entry.task_id);
    line.text("timestamp", timestamp);
    line.text("upstream", entry.upstream);
    out.push(b'}');
    gap
}

/// The text that puts a seal into its gap.
pub(super) fn seal_text(hmac: &str) -> String {
    format!(", \"entry_hmac\": \"{hmac}\"")
}

struct Line<'o> {
    out: &'o mut Vec<u8>,
    first: bool,
}

impl Line<'_> {
    fn key(&mut self, key: &str) {
        if !std::mem::take(&mut self.first) {
            self.out.extend_from_slice(b", ");
        }
        self.out.push(b'"');
        self.out.extend_from_slice(key.as_bytes());
        self.out.extend_from_slice(b"\": ");
    }

    fn truth(&mut self, key: &str) {
        self.key(key);
        self.out.extend_from_slice(b"true");
    }

    fn number(&mut self, key: &str, number: u64) {
        self.key(key);
        let mut digits = [0u8; 20];
        let mut rest = number;
        let mut used = 0;
        for digit in digits.iter_mut().rev() {
            *digit = b'0' + u8::try_from(rest % 10).unwrap_or(0);
            rest /= 10;
            used += 1;
            if rest == 0 {
                break;
            }
        }
        self.out.extend_from_slice(digits.get(20 - used..).unwrap_or_default());
    }

    fn text(&mut self, key: &str, text: &str) {
        self.key(key);
        self.out.push(b'"');
        let mut end = text.len().min(MAX_TEXT);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let text = text.get(..end).unwrap_or_default();
        if text.bytes().all(|b| b >= 0x20 && b != b'"' && b != b'\\' && b < 0x7f) {
            self.out.extend_from_slice(text.as_bytes());
        } else {
            self.escaped(text);
        }
        self.out.push(b'"');
    }

    /// Control characters are left out: they are nobody's name, and a terminal would obey them.
    fn escaped(&mut self, text: &str) {
        let mut buffer = [0u8; 4];
        for c in text.chars().filter(|c| !c.is_control()) {
            match c {
                '"' => self.out.extend_from_slice(b"\\\""),
                '\\' => self.out.extend_from_slice(b"\\\\"),
                c => self.out.extend_from_slice(c.encode_utf8(&mut buffer).as_bytes()),
            }
        }
    }
}

/// A moment as `2026-11-21T02:03:04.123456+00:00`, from microseconds since 1970. Civil dates after
/// Howard Hinnant's algorithm.
#[must_use]
pub(super) fn timestamp(micros: u64) -> String {
    let (seconds, micros) = (micros / 1_000_000, micros % 1_000_000);
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let z = days + 719_468;
    let era = z / 146_097;
    let day_of_era = z % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let mp = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * mp + 2) / 5 + 1;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    let mut text = String::with_capacity(32);
    for (number, width, after) in [
        (year, 4, "-"),
        (month, 2, "-"),
        (day, 2, "T"),
        (hour, 2, ":"),
        (minute, 2, ":"),
        (second, 2, "."),
        (micros, 6, "+00:00"),
    ] {
        push_padded(&mut text, number, width);
        text.push_str(after);
    }
    text
}

/// Writes a number in so many digits. Formatting by `format!` takes longer than sealing the line.
fn push_padded(text: &mut String, number: u64, width: u32) {
    for place in (0..width).rev() {
        text.push(char::from(b'0' + u8::try_from(number / 10u64.pow(place) % 10).unwrap_or(0)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_sorted_and_the_gap_is_in_its_place() {
        let mut out = Vec::new();
        let (path, advisory_ids) = ("/a\"b\\c\u{7}ä\n", "CVE-2026-1");
        let entry = Entry { path, event_type: "request", advisory_ids, repairs: 2, shadow: true, ..Entry::default() };
        let gap = write(&mut out, &entry, 7, "t");
        let seal = seal_text("ff");
        out.splice(gap.0..gap.0, seal.bytes());
        let value: serde_json::Value = serde_json::from_slice(&out).unwrap();
        let keys: Vec<_> = value.as_object().unwrap().keys().cloned().collect();
        let text = String::from_utf8(out).unwrap();
        let mut at = 0;
        for key in &keys {
            // serde_json's map is sorted; so must the text be.
            let found = text.find(&format!("\"{key}\": ")).unwrap();
            assert!(found >= at, "{key}");
            at = found;
        }
        assert_eq!(value["path"], "/a\"b\\cä");
        assert_eq!((&value["seq_no"], &value["shadow"]), (&7.into(), &true.into()));
    }

    #[test]
    fn times_are_civil() {
        assert_eq!(timestamp(0), "1970-01-01T00:00:00.000000+00:00");
        assert_eq!(timestamp(1_709_208_000_000_001), "2024-02-29T12:00:00.000001+00:00");
        for days in (0..40_000).step_by(13) {
            let micros = days * 86_400_000_000 + 3_723_000_456;
            let expected = jiff::Timestamp::from_microsecond(i64::try_from(micros).unwrap()).unwrap();
            assert_eq!(timestamp(micros).replace("+00:00", "Z"), format!("{expected:.6}"));
        }
    }
}
