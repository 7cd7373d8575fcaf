//! Two clocks that must agree: a signature says when it was made, and holds for seconds.

use std::io::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};

use http::header::{self, HeaderMap};

use super::address::GateAddress;
use crate::keyring::now;

/// From how many seconds on a person is told. A gate takes 30 by default.
const TOLD: u64 = 10;

/// Whether it was told already that the two clocks differ.
#[derive(Default)]
pub(super) struct Clocks {
    told: AtomicBool,
}

impl Clocks {
    /// Tells a person of this gate's clock, which shows this time, once, where it is far from this machine's.
    pub(super) fn compare(&self, gate: &GateAddress, shown: Option<i64>) {
        if let Some(off) = shown.and_then(|shown| now().checked_sub(shown)).filter(|off| self.is_news(*off)) {
            let _ = writeln!(
                std::io::stderr(),
                "portcullis: {gate}: this machine's clock is {}. What is signed more than 30 seconds before or after \
                 the gate's own time is refused: {MEND}.",
                spoken(off)
            );
        }
    }

    fn is_news(&self, off: i64) -> bool {
        off.unsigned_abs() >= TOLD && !self.told.swap(true, Ordering::Relaxed)
    }
}

/// The sentence for a program whose request the gate found too old or too young; `None` where the two clocks
/// are not seen to differ, and it has another reason, which only the gate knows.
pub(super) fn differs(headers: &HeaderMap) -> Option<String> {
    // A `Date` is of whole seconds, and was on its way.
    let off = now().checked_sub(of_gate(headers)?).filter(|off| off.unsigned_abs() > 1)?;
    let how = spoken(off);
    Some(format!("this machine's clock is {how}, and so the gate refuses what is signed here; {MEND}, then try again"))
}

/// What sets a clock right.
const MEND: &str = "let both keep time by the network (`timedatectl set-ntp true`, or what this system has for it)";

/// When the gate sent an answer, by its own clock: the `Date` of the answer (RFC 9110, section 6.6.1).
pub(super) fn of_gate(headers: &HeaderMap) -> Option<i64> {
    let text = headers.get(header::DATE)?.to_str().ok()?;
    let date = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    Some(date.as_second())
}

/// How far this machine's clock is from the gate's, in words.
fn spoken(off: i64) -> String {
    let side = if off < 0 { "behind" } else { "ahead of" };
    format!("{} {side} the gate's", length(off.unsigned_abs()))
}

/// So many seconds, in words.
pub(crate) fn length(seconds: u64) -> String {
    let (count, unit) = match seconds {
        0..120 => (seconds, "second"),
        120..7200 => (seconds / 60, "minute"),
        7200..172_800 => (seconds / 3600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {unit}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn a_person_is_told_once() {
        let clocks = Clocks::default();
        assert!(!clocks.is_news(9) && clocks.is_news(-3600) && !clocks.is_news(-3600));
        assert!(Clocks::default().is_news(i64::MIN));
    }

    #[test]
    fn a_program_is_told_what_to_do() {
        let date = |off| {
            let date =
                jiff::Timestamp::from_second(now() + off).unwrap().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
            HeaderMap::from_iter([(header::DATE, HeaderValue::from_str(&date).unwrap())])
        };
        let behind = differs(&date(3700)).unwrap();
        assert!(behind.contains("61 minutes behind the gate's") && behind.contains("timedatectl"), "{behind}");
        for headers in [HeaderMap::new(), date(0)] {
            assert_eq!(differs(&headers), None, "a clock that is right is not blamed");
        }
    }

    #[test]
    fn a_difference_is_said_in_words() {
        for (off, words) in [
            (1, "1 second ahead of the gate's"),
            (-45, "45 seconds behind the gate's"),
            (-150, "2 minutes behind the gate's"),
            (7200, "2 hours ahead of the gate's"),
            (i64::MIN, "106751991167300 days behind the gate's"),
        ] {
            assert_eq!(spoken(off), words);
        }
    }

    #[test]
    fn reads_the_gate_s_date() {
        for (text, seconds) in [("Sun, 06 Nov 1994 08:49:37 GMT", Some(784_111_777)), ("yesterday", None), ("", None)] {
            let headers = HeaderMap::from_iter([(header::DATE, HeaderValue::from_str(text).unwrap())]);
            assert_eq!(of_gate(&headers), seconds, "{text}");
        }
        assert_eq!(of_gate(&HeaderMap::new()), None);
    }
}
