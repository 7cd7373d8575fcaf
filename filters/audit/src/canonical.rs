//! The canonical form of a line, that of Python's `json.dumps(sort_keys=True, ensure_ascii=False)`: sorted keys,
//! `", "` and `": "`, whole numbers.

/// The longest text in an entry, in bytes: nobody's name, path or code needs more, and a line stays bounded.
pub(crate) const MAX_TEXT: usize = 512;

/// The length of a time, in bytes.
pub(crate) const TIMESTAMP: usize = 32;

/// Writes the fields of one object, one after the other.
pub(crate) struct Fields<'o> {
    out: &'o mut Vec<u8>,
    first: bool,
}

impl<'o> Fields<'o> {
    /// Opens the object.
    pub(crate) fn open(out: &'o mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, first: true }
    }

    /// Where the next field goes, in bytes from the start.
    pub(crate) fn here(&self) -> usize {
        self.out.len()
    }

    pub(crate) fn truth(&mut self, key: &str) {
        self.key(key);
        self.out.extend_from_slice(b"true");
    }

    pub(crate) fn number(&mut self, key: &str, number: u64) {
        self.key(key);
        push_number(self.out, number);
    }

    pub(crate) fn text(&mut self, key: &str, text: &str) {
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

    /// Closes the object.
    pub(crate) fn close(self) {
        self.out.push(b'}');
    }

    fn key(&mut self, key: &str) {
        if !std::mem::take(&mut self.first) {
            self.out.extend_from_slice(b", ");
        }
        self.out.push(b'"');
        self.out.extend_from_slice(key.as_bytes());
        self.out.extend_from_slice(b"\": ");
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

/// Writes a number in decimal. `write!` takes longer than sealing the line.
pub(crate) fn push_number(out: &mut Vec<u8>, number: u64) {
    let mut digits = [0u8; 20];
    let mut rest = number;
    let mut used = 0;
    for digit in digits.iter_mut().rev() {
        *digit = digit_of(rest);
        rest /= 10;
        used += 1;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(20 - used..).unwrap_or_default());
}

/// Writes a moment as `2026-11-21T02:03:04.123456+00:00`, from microseconds since 1970. Civil dates after
/// Howard Hinnant's algorithm; years after 9999 lose their first digits.
pub(crate) fn push_timestamp(out: &mut Vec<u8>, micros: u64) {
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
    for (number, width, after) in [
        (year, 4, "-"),
        (month, 2, "-"),
        (day, 2, "T"),
        (hour, 2, ":"),
        (minute, 2, ":"),
        (second, 2, "."),
        (micros, 6, "+00:00"),
    ] {
        for place in (0..width).rev() {
            out.push(digit_of(number / 10u64.pow(place)));
        }
        out.extend_from_slice(after.as_bytes());
    }
}

/// The last decimal digit.
fn digit_of(number: u64) -> u8 {
    b'0' + u8::try_from(number % 10).unwrap_or(0)
}

/// Whether this is a time as [`push_timestamp`] writes them, as far as its digits and marks go.
pub(crate) fn is_timestamp(text: &str) -> bool {
    const FORM: &[u8; TIMESTAMP] = b"dddd-dd-ddTdd:dd:dd.dddddd+00:00";
    let fits = |(byte, form): (u8, &u8)| if *form == b'd' { byte.is_ascii_digit() } else { byte == *form };
    text.len() == TIMESTAMP && text.bytes().zip(FORM).all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_civil() {
        let timestamp = |micros| {
            let mut out = Vec::new();
            push_timestamp(&mut out, micros);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(timestamp(0), "1970-01-01T00:00:00.000000+00:00");
        assert_eq!(timestamp(1_709_208_000_000_001), "2024-02-29T12:00:00.000001+00:00");
        assert!(is_timestamp(&timestamp(u64::MAX)));
        for days in (0..40_000).step_by(13) {
            let micros = days * 86_400_000_000 + 3_723_000_456;
            let expected = jiff::Timestamp::from_microsecond(i64::try_from(micros).unwrap()).unwrap();
            assert_eq!(timestamp(micros).replace("+00:00", "Z"), format!("{expected:.6}"));
            assert!(is_timestamp(&timestamp(micros)));
        }
        for other in
            ["", "2024-02-29T12:00:00.000001Z", "2024-02-29 12:00:00.000001+00:00", "2024-02-29T12:00:00.000001+01:00"]
        {
            assert!(!is_timestamp(other), "{other}");
        }
    }

    #[test]
    fn numbers_are_decimal() {
        for number in [0, 7, 10, 99, 1_000_000, u64::MAX] {
            let mut out = Vec::new();
            push_number(&mut out, number);
            assert_eq!(String::from_utf8(out).unwrap(), number.to_string());
        }
    }
}
