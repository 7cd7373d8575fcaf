//! So much in so long: `600/m`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A count for each span of time, written `600/m`, `5/s`, `2000000/h`, `10000000/d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rate {
    /// How many; at least 1.
    pub count: u64,
    /// In how long.
    pub per: Duration,
}

/// A text that is not a rate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a rate, expected a number of at least 1 and `/s`, `/m`, `/h` or `/d`, such as `600/m`")]
pub struct InvalidRate(String);

/// The largest count, so that no sum of a few overflows.
const MAX_COUNT: u64 = 1 << 48;

impl FromStr for Rate {
    type Err = InvalidRate;

    fn from_str(text: &str) -> Result<Self, InvalidRate> {
        let refuse = || InvalidRate(text.chars().take(32).collect());
        let (count, unit) = text.split_once('/').ok_or_else(refuse)?;
        let seconds = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3_600,
            "d" => 86_400,
            _ => return Err(refuse()),
        };
        let count = count.parse().ok().filter(|n| (1..=MAX_COUNT).contains(n)).ok_or_else(refuse)?;
        Ok(Self { count, per: Duration::from_secs(seconds) })
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = match self.per.as_secs() {
            1 => "s",
            60 => "m",
            3_600 => "h",
            _ => "d",
        };
        write!(f, "{}/{unit}", self.count)
    }
}

impl Serialize for Rate {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

impl schemars::JsonSchema for Rate {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Rate".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "pattern": "^[1-9][0-9]*/[smhd]$"})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        for text in ["1/s", "600/m", "2000000/h", "5/d"] {
            assert_eq!(text.parse::<Rate>().unwrap().to_string(), text);
        }
        for text in ["", "600", "0/m", "-1/m", "1.5/m", "1/w", "1/m ", "99999999999999999999/s", "/m"] {
            assert!(text.parse::<Rate>().is_err(), "{text}");
        }
    }
}
