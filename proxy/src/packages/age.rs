//! How old advisories are, and whether that is young enough.

use std::fmt;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// By so much the clocks of two machines may differ: a database may come from another one.
const SKEW: SignedDuration = SignedDuration::from_mins(5);

/// When advisories were imported, seen from now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Age {
    /// So long ago.
    Ago(Duration),
    /// At a time that has not come yet: a clock was set back, or was wrong then. How old they are nobody knows.
    Ahead(Duration),
}

impl Age {
    /// Of what was imported then.
    pub(crate) fn at(imported: Timestamp, now: Timestamp) -> Self {
        let since = now.duration_since(imported);
        match Duration::try_from(since) {
            Ok(ago) => Self::Ago(ago),
            Err(_) if since >= -SKEW => Self::Ago(Duration::ZERO),
            Err(_) => Self::Ahead(since.unsigned_abs()),
        }
    }

    /// Why they are not believed, if they are not.
    pub(crate) fn problem(self, max_age: Duration) -> Option<String> {
        let cure = "bring them up to date with `portcullis osv sync` or `osv import`";
        match self {
            Self::Ago(age) if age <= max_age => None,
            Self::Ago(age) => Some(format!(
                "the advisories were imported {} ago, and `filters.sca.max_age` is {}; {cure}",
                Spoken(age),
                Spoken(max_age)
            )),
            Self::Ahead(by) => Some(format!(
                "the advisories were imported at a time that is {} ahead of this machine's clock, so nobody can tell how \
                 old they are; set the clock right, and {cure}",
                Spoken(by)
            )),
        }
    }
}

/// A span of time as people say it: in the largest unit that there are two of.
pub(crate) struct Spoken(pub(crate) Duration);

impl fmt::Display for Spoken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        match seconds {
            0..120 => write!(f, "{seconds} s"),
            120..7_200 => write!(f, "{} min", seconds / 60),
            7_200..172_800 => write!(f, "{} h", seconds / 3_600),
            _ => write!(f, "{} days", seconds / 86_400),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_old_or_not_yet_imported_is_not_believed() {
        let (now, day) = (Timestamp::UNIX_EPOCH + SignedDuration::from_hours(1_000), Duration::from_secs(86_400));
        let said = |ago: i64| Age::at(now - SignedDuration::from_secs(ago), now).problem(day);
        for ago in [0, 60, 86_400, -60, -300] {
            assert_eq!(said(ago), None, "{ago}");
        }
        let old = said(3 * 86_400).unwrap();
        assert!(old.contains("3 days ago") && old.contains("is 24 h") && old.contains("osv sync"), "{old}");
        for (ago, words) in [(-301, "5 min ahead"), (-3_600, "60 min ahead"), (-400 * 86_400, "400 days ahead")] {
            let said = said(ago).unwrap();
            assert!(said.contains(words) && said.contains("set the clock right"), "{said}");
        }
    }
}
