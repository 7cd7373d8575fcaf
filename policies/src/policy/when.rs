//! When a rule holds: from and until, hours of the day, days of the week, in one time zone.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::{TimeZone, TimeZoneDatabase};

/// When a rule holds. Without any bound it always does.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct When {
    /// From this Unix second on.
    pub(super) from: Option<i64>,
    /// Until this Unix second, which is no more in it.
    pub(super) until: Option<i64>,
    /// Seconds of the local day; where the end is not after the beginning, it is the next day's.
    pub(super) hours: Option<(i64, i64)>,
    /// A bit for each day of the week, Monday first; a window over midnight belongs to the day on
    /// which it begins.
    pub(super) days: Option<u8>,
    /// Whose hours and days; UTC where none is given.
    pub(super) zone: Option<TimeZone>,
}

/// Whether a rule holds at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hold {
    /// Never again.
    Ended,
    /// Not now, but later.
    Later,
    /// Now.
    Now,
}

const DAY: i64 = 86_400;

impl When {
    pub(super) fn at(&self, now: i64) -> Hold {
        if self.until.is_some_and(|until| now >= until) {
            return Hold::Ended;
        }
        if self.from.is_some_and(|from| now < from) || !self.in_hours(now) {
            return Hold::Later;
        }
        Hold::Now
    }

    fn in_hours(&self, now: i64) -> bool {
        if self.hours.is_none() && self.days.is_none() {
            return true;
        }
        let offset = match (&self.zone, Timestamp::from_second(now)) {
            (Some(zone), Ok(now)) => i64::from(zone.to_offset(now).seconds()),
            _ => 0,
        };
        let local = now.saturating_add(offset);
        let (day, second) = (local.div_euclid(DAY), local.rem_euclid(DAY));
        // 1970 began on a Thursday.
        let on = |day: i64| self.days.is_none_or(|days| days & (1 << (day + 3).rem_euclid(7)) != 0);
        match self.hours {
            None => on(day),
            Some((begin, end)) if begin < end => on(day) && (begin..end).contains(&second),
            Some((begin, end)) => (second >= begin && on(day)) || (second < end && on(day - 1)),
        }
    }

    /// Whether there is no moment at which it holds.
    pub(super) fn is_empty(&self) -> bool {
        matches!((self.from, self.until), (Some(from), Some(until)) if from >= until)
    }
}

/// The time zone of this name, from the data that the program carries along.
pub(super) fn zone(name: &str) -> Result<TimeZone, String> {
    if name == "UTC" {
        return Ok(TimeZone::UTC);
    }
    TimeZoneDatabase::bundled()
        .get(name)
        .map_err(|_| format!("`{name}` is no time zone, expected a name such as `Europe/Berlin` or `UTC`"))
}

/// A moment: RFC 3339, or a date or date and time in the rule's zone.
pub(super) fn moment(text: &str, zone: &TimeZone) -> Result<i64, String> {
    if let Ok(exact) = text.parse::<Timestamp>() {
        return Ok(exact.as_second());
    }
    let civil =
        text.parse::<DateTime>().or_else(|_| text.parse::<Date>().map(|date| date.to_datetime(jiff::civil::Time::MIN)));
    let bad = || format!("`{text}` is no time, expected such as `2026-12-24T18:00:00Z` or `2026-12-24`");
    let civil = civil.map_err(|_| bad())?;
    zone.to_timestamp(civil).map(Timestamp::as_second).map_err(|_| bad())
}

/// A window such as `08:00-18:00` or `22:00-06:00`.
pub(super) fn hours(text: &str) -> Result<(i64, i64), String> {
    let bad = || format!("`{text}` are no hours, expected such as `08:00-18:00` or `22:00-06:00`");
    let (begin, end) = text.split_once('-').ok_or_else(bad)?;
    let second = |text: &str| {
        let (hour, minute) = text.trim().split_once(':')?;
        let two = |digits: &str| (digits.len() == 2).then(|| digits.parse::<u8>().ok()).flatten().map(i64::from);
        let (hour, minute) = (two(hour)?, two(minute)?);
        (minute < 60 && hour * 60 + minute <= 24 * 60).then_some((hour * 60 + minute) * 60)
    };
    let (begin, end) = (second(begin).ok_or_else(bad)?, second(end).ok_or_else(bad)?);
    if begin == end || begin == DAY {
        return Err(format!("`{text}` is no window; leave `hours` out for the whole day"));
    }
    Ok((begin, end))
}

/// Days such as `mon` or `mon..fri`, as bits.
pub(super) fn days(words: &str) -> Result<u8, String> {
    const NAMES: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
    let bad = || format!("`{words}` is no day, expected one of {} or a span such as `mon..fri`", NAMES.join(", "));
    let day = |word: &str| NAMES.iter().position(|name| *name == word.trim()).ok_or_else(bad);
    let Some((first, last)) = words.split_once("..") else { return Ok(1 << day(words)?) };
    let (first, last) = (day(first)?, day(last)?);
    let span = if last >= first { last - first } else { last + 7 - first };
    Ok((0..=span).fold(0, |bits, step| bits | 1 << ((first + step) % 7)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_second()
    }

    fn holds(when: &When, text: &str) -> bool {
        when.at(at(text)) == Hold::Now
    }

    #[test]
    fn a_window_over_midnight_belongs_to_the_day_it_begins_on() {
        let night =
            When { hours: Some(hours("22:00-06:00").unwrap()), days: Some(days("fri").unwrap()), ..When::default() };
        // 2026-11-20 is a Friday.
        for (text, meant) in [
            ("2026-11-20T21:59:59Z", false),
            ("2026-11-20T22:00:00Z", true),
            ("2026-11-21T05:59:59Z", true),
            ("2026-11-21T06:00:00Z", false),
            ("2026-11-21T22:00:00Z", false),
            ("2026-11-20T05:00:00Z", false),
        ] {
            assert_eq!(holds(&night, text), meant, "{text}");
        }
    }

    #[test]
    fn local_hours_follow_the_clocks() {
        let office = When {
            hours: Some(hours("08:00-18:00").unwrap()),
            days: Some(days("mon..fri").unwrap()),
            zone: Some(zone("Europe/Berlin").unwrap()),
            ..When::default()
        };
        // Summer time ended on 2026-10-25: eight o'clock is 06:00Z before it and 07:00Z after it.
        for (text, meant) in [
            ("2026-10-23T06:00:00Z", true),
            ("2026-10-23T05:59:59Z", false),
            ("2026-10-26T06:30:00Z", false),
            ("2026-10-26T07:00:00Z", true),
            ("2026-10-26T16:59:59Z", true),
            ("2026-10-26T17:00:00Z", false),
            ("2026-10-24T10:00:00Z", false),
        ] {
            assert_eq!(holds(&office, text), meant, "{text}");
        }
    }

    #[test]
    fn a_window_that_summer_time_skips_or_doubles_is_what_the_wall_clock_says() {
        let early = When {
            hours: Some(hours("02:00-03:00").unwrap()),
            zone: Some(zone("Europe/Berlin").unwrap()),
            ..When::default()
        };
        // On 2026-03-29 no wall clock shows 02:30; on 2026-10-25 it does so twice.
        let held = |day: &str| {
            (0..24 * 60).filter(|m| early.at(at(&format!("{day}T00:00:00Z")) + m * 60) == Hold::Now).count()
        };
        assert_eq!((held("2026-03-29"), held("2026-10-25"), held("2026-11-20")), (0, 120, 60));
    }

    #[test]
    fn from_and_until_bound_a_rule() {
        let berlin = zone("Europe/Berlin").unwrap();
        let bounds = When {
            from: Some(moment("2026-12-01", &berlin).unwrap()),
            until: Some(moment("2026-12-24T18:00:00", &berlin).unwrap()),
            ..When::default()
        };
        for (text, hold) in [
            ("2026-11-30T22:59:59Z", Hold::Later),
            ("2026-11-30T23:00:00Z", Hold::Now),
            ("2026-12-24T16:59:59Z", Hold::Now),
            ("2026-12-24T17:00:00Z", Hold::Ended),
        ] {
            assert_eq!(bounds.at(at(text)), hold, "{text}");
        }
        assert_eq!(moment("2026-12-24T18:00:00+02:00", &berlin), Ok(at("2026-12-24T16:00:00Z")));
    }

    #[test]
    fn says_what_is_no_time() {
        for text in ["8-18", "08:00", "08:00-08:00", "25:00-26:00", "08:60-09:00", "8:00-9:00", "24:00-06:00", ""] {
            assert!(hours(text).is_err(), "{text}");
        }
        assert_eq!(hours("00:00-24:00"), Ok((0, DAY)));
        for text in ["", "monday", "mon..", "fri...mon", "mon-fri"] {
            assert!(days(text).is_err(), "{text}");
        }
        assert_eq!(days("sat..mon"), Ok(0b110_0001));
        assert!(zone("Mars/Phobos").is_err() && moment("tomorrow", &TimeZone::UTC).is_err());
    }
}
