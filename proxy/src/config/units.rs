//! Durations and sizes, as people write them.

use std::time::Duration;

/// Reads `500ms`, `10s`, `5m`, `8h`, `1d`.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at_checked(digits)?;
    let number: u64 = number.parse().ok()?;
    let millis = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    number.checked_mul(millis).filter(|ms| *ms > 0).map(Duration::from_millis)
}

/// Reads `4096`, `32KiB`, `16MiB`, `1GiB`, `10MB`.
pub(crate) fn size(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(digits)?;
    let number: u64 = number.parse().ok()?;
    let scale = match unit.trim() {
        "" | "B" => 1,
        "KB" => 1000,
        "KiB" => 1 << 10,
        "MB" => 1_000_000,
        "MiB" => 1 << 20,
        "GB" => 1_000_000_000,
        "GiB" => 1 << 30,
        _ => return None,
    };
    number.checked_mul(scale).filter(|bytes| *bytes > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_people_write() {
        assert_eq!(duration("10s"), Some(Duration::from_secs(10)));
        assert_eq!(duration("8h"), Some(Duration::from_secs(28_800)));
        assert_eq!(size("16MiB"), Some(16 << 20));
        assert_eq!(size("4096"), Some(4096));
        for text in ["", "s", "10", "-1s", "1.5s", "10x", "0s", "99999999999999999999s"] {
            assert_eq!(duration(text), None, "{text}");
        }
        for text in ["", "MiB", "-1", "1.5MiB", "1TiB", "0"] {
            assert_eq!(size(text), None, "{text}");
        }
    }
}
