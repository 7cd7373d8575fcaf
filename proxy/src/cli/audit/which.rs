//! Which entries a command is about.

use std::borrow::Cow;

use clap::{Args, ValueEnum};
use serde::Deserialize;

use super::{Failure, Outcome};
use crate::cli::scope;

/// Which entries.
#[derive(Args)]
pub(crate) struct Which {
    /// From then on: a time, `--since 2026-11-21T08:00:00Z`, or an age, `--since 10m`.
    #[arg(long, value_name = "TIME|AGE", value_parser = moment)]
    since: Option<String>,
    /// Before then: a time, `--until 2026-11-21T09:00:00+01:00`, or an age, `--until 1h`.
    #[arg(long, value_name = "TIME|AGE", value_parser = moment)]
    until: Option<String>,
    /// Of callers whose id contains this: `--node z6MkhaXg`.
    #[arg(long, value_name = "TEXT")]
    node: Option<String>,
    /// What was decided: `--decision block`.
    #[arg(long, value_enum)]
    decision: Option<Decided>,
    /// With exactly this code: `--code policy.model_denied`.
    #[arg(long)]
    code: Option<String>,
    /// Of this request, as `Portcullis-Request-Id` names it: `--request-id 01KAJ3Y7Z6M1R4T8V0X2B5D7FH`.
    #[arg(long, value_name = "ID")]
    request_id: Option<String>,
    /// At most so many, the newest of those that fit: `--limit 100`.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
}

/// What was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Decided {
    /// The request was let through.
    Allow,
    /// It was refused.
    Block,
}

/// What is asked of an entry, as it stands in the line.
#[derive(Deserialize)]
struct Asked<'l> {
    #[serde(borrow, default)]
    code: Cow<'l, str>,
    #[serde(borrow, default)]
    node_id: Cow<'l, str>,
    #[serde(borrow, default)]
    policy_decision: Cow<'l, str>,
    #[serde(borrow, default)]
    request_id: Cow<'l, str>,
    #[serde(borrow, default)]
    timestamp: Cow<'l, str>,
}

impl Which {
    /// How many at most.
    pub(super) fn limit(&self) -> Option<u64> {
        self.limit
    }

    /// Whether a line fits; an error when it is no entry.
    ///
    /// Each line is asked for its own time: a clock that was set back leaves older times after newer ones, so what one line
    /// says tells nothing of those around it.
    pub(super) fn fits(&self, line: &[u8]) -> Result<bool, serde_json::Error> {
        if let Some(request) = &self.request_id
            && memchr::memmem::find(line, request.as_bytes()).is_none()
        {
            return Ok(false);
        }
        let asked: Asked<'_> = serde_json::from_slice(line)?;
        Ok(self.since.as_deref().is_none_or(|since| &*asked.timestamp >= since)
            && self.until.as_deref().is_none_or(|until| &*asked.timestamp < until)
            && self.node.as_deref().is_none_or(|node| asked.node_id.contains(node))
            && self.decision.is_none_or(|decided| asked.policy_decision == decided.as_str())
            && self.code.as_deref().is_none_or(|code| asked.code == code)
            && self.request_id.as_deref().is_none_or(|request| asked.request_id == request))
    }

    /// Those of one request.
    ///
    /// # Errors
    /// When that is no request's id.
    pub(super) fn of_request(id: &str) -> Outcome<Self> {
        let which = Self {
            since: None,
            until: None,
            node: None,
            decision: None,
            code: None,
            request_id: Some(id.to_owned()),
            limit: Some(1),
        };
        which.check().map(|()| which)
    }

    /// Whether it can be asked: an id is looked for as it stands in the lines, so it must need no escapes there.
    pub(super) fn check(&self) -> Outcome {
        match &self.request_id {
            Some(id) if id.is_empty() || id.len() > 64 || !id.bytes().all(|b| b.is_ascii_alphanumeric()) => {
                Err(Failure::usage(format!(
                    "`--request-id {}`: expected 26 letters and digits, as `Portcullis-Request-Id` carries them",
                    id.escape_debug()
                )))
            }
            _ => Ok(()),
        }
    }
}

impl Decided {
    fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "ALLOW",
            Self::Block => "BLOCK",
        }
    }
}

/// A time as entries write it, from a time or an age. Of that form, the later one is the greater text.
fn moment(text: &str) -> Result<String, String> {
    let bad = || format!("`{text}` is neither a time nor an age, expected such as `2026-11-21T08:00:00Z` or `10m`");
    let time = match text.parse::<jiff::Timestamp>() {
        Ok(time) => time,
        Err(_) => {
            let age = match scope::duration(text) {
                Ok(age) => jiff::SignedDuration::try_from(age).map_err(|_| bad())?,
                Err(_) => text.parse().map_err(|_| bad())?,
            };
            jiff::Timestamp::now().checked_sub(age).map_err(|_| bad())?
        }
    };
    Ok(format!("{time:.6}").replace('Z', "+00:00"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        which: Which,
    }

    fn which(args: &[&str]) -> Result<Which, clap::Error> {
        let args = ["show"].iter().chain(args);
        <Line as clap::Parser>::try_parse_from(args).map(|line| line.which)
    }

    const ENTRY: &[u8] = br#"{"code": "policy.model_denied", "node_id": "did:key:z6Mk\"", "policy_decision": "BLOCK", "request_id": "01R", "timestamp": "2026-11-21T08:00:00.123456+00:00"}
"#;

    #[test]
    fn each_argument_is_asked() {
        for (args, expected) in [
            (&["--since", "2026-11-21T08:00:00.123456Z"][..], true),
            (&["--since", "2026-11-21T08:00:00.123457Z"], false),
            (&["--since", "2026-11-21T09:00:00.123456+01:00"], true),
            (&["--until", "2026-11-21T08:00:00.123457Z"], true),
            (&["--until", "2026-11-21T08:00:00.123456Z"], false),
            (&["--node", "z6Mk\""], true),
            (&["--node", "z6Ml"], false),
            (&["--decision", "block"], true),
            (&["--decision", "allow"], false),
            (&["--code", "policy.model_denied"], true),
            (&["--code", "policy"], false),
            (&["--request-id", "01R"], true),
            (&["--request-id", "01"], false),
            (&["--decision", "block", "--code", "policy.model_denied", "--since", "3000d"], true),
            (&["--decision", "block", "--code", "policy.route_denied"], false),
        ] {
            let Ok(which) = which(args) else { panic!("{args:?}") };
            assert_eq!(which.fits(ENTRY).unwrap(), expected, "{args:?}");
        }
    }

    #[test]
    fn what_is_no_entry_is_none() {
        let all = which(&[]).unwrap_or_else(|_| panic!("no arguments"));
        for line in [&b"{}{}\n"[..], b"[1]\n", b"{\"code\": 1}\n", b"\xff\n", b"\n"] {
            assert!(all.fits(line).is_err(), "{line:?}");
        }
    }

    #[test]
    fn a_wrong_word_says_what_was_expected() {
        for (args, expected) in [
            (&["--decision", "denied"][..], "allow, block"),
            (&["--decision", "BLOCK"], "allow, block"),
            (&["--since", "yesterday"], "2026-11-21T08:00:00Z"),
            (&["--until", "10"], "`10m`"),
            (&["--limit", "0"], "1.."),
        ] {
            let Err(error) = which(args) else { panic!("{args:?}") };
            assert!(error.to_string().contains(expected), "{error}");
            assert_eq!(error.exit_code(), 2);
        }
        for id in ["", "01R\"", "01R 02"] {
            let Ok(which) = which(&["--request-id", id]) else { panic!("{id}") };
            assert!(which.check().is_err(), "{id}");
        }
    }
}
