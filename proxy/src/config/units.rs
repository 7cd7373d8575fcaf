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

/// How somebody writes it who wrote this and is wrong: a bare number in the unit that is usual there, else what is usual,
/// which is given in seconds.
pub(super) fn meant(text: &str, usual: u64) -> String {
    let (size, unit) = match usual {
        _ if usual > 0 && usual.is_multiple_of(86_400) => (86_400, "d"),
        _ if usual > 0 && usual.is_multiple_of(3_600) => (3_600, "h"),
        _ if usual > 0 && usual.is_multiple_of(60) => (60, "m"),
        _ => (1, "s"),
    };
    let bare = text.trim().parse::<u64>().ok().filter(|number| *number > 0);
    let number = bare.filter(|number| number.checked_mul(size).is_some()).unwrap_or(usual / size);
    format!("{number}{unit}")
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

/// A span of time, as `duration` reads it.
pub(crate) fn span(duration: std::time::Duration) -> String {
    let millis = duration.as_millis();
    if millis.is_multiple_of(1000) { format!("{}s", millis / 1000) } else { format!("{millis}ms") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_number_gets_the_unit_that_is_usual() {
        for (text, usual, meant) in [
            ("14", 14 * 86_400, "14d"),
            ("soon", 14 * 86_400, "14d"),
            ("2", 5, "2s"),
            ("0", 90, "90s"),
            ("3", 3_600, "3h"),
            ("-1", 120, "2m"),
            ("99999999999999999999", 3_600, "1h"),
        ] {
            assert_eq!(super::meant(text, usual), meant, "{text}");
            assert!(duration(meant).is_some(), "{meant}");
        }
    }

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
