//! How bad it is.

use std::fmt;

use cvss::Cvss;

/// How bad a vulnerability is, in the words of CVSS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Nobody said. No reason to believe that it is harmless.
    #[default]
    Unrated,
    /// 0.0 to 3.9.
    Low,
    /// 4.0 to 6.9; others say *moderate*.
    Medium,
    /// 7.0 to 8.9.
    High,
    /// 9.0 and above.
    Critical,
}

impl Severity {
    /// In lower case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unrated => "unrated",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What all the ratings of an advisory come to: the worst of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rating {
    /// In words.
    pub severity: Severity,
    /// As a CVSS score in tenths, 0 to 100, where one was given: `98` is 9.8.
    pub score: Option<u8>,
}

/// The longest rating that is read, in bytes: a vector of CVSS 4.0 with all of its metrics has less than 200.
const MAX_RATING: usize = 512;

impl Severity {
    /// The severity that this word stands for, in any case. Databases say *moderate* for medium, *important* for
    /// high and *negligible* for low.
    #[must_use]
    pub fn named(word: &str) -> Option<Self> {
        const WORDS: [(&str, Severity); 9] = [
            ("critical", Severity::Critical),
            ("high", Severity::High),
            ("important", Severity::High),
            ("low", Severity::Low),
            ("medium", Severity::Medium),
            ("moderate", Severity::Medium),
            ("negligible", Severity::Low),
            ("minor", Severity::Low),
            ("none", Severity::Low),
        ];
        let word = word.trim();
        WORDS.iter().find(|(known, _)| known.eq_ignore_ascii_case(word)).map(|(_, severity)| *severity)
    }

    /// The severity of a CVSS score in tenths. The bands are those of versions 3 and 4, for version 2 as well, which
    /// ends at high.
    #[must_use]
    pub const fn of_score(tenths: u8) -> Self {
        match tenths {
            0..=39 => Self::Low,
            40..=69 => Self::Medium,
            70..=89 => Self::High,
            _ => Self::Critical,
        }
    }
}

impl Rating {
    /// Reads a rating as databases write it: a CVSS vector of version 2, 3.0, 3.1 or 4.0, a score, or a word.
    ///
    /// Of versions 2 and 3 the base score counts, since how likely an attack was when the advisory was written says
    /// little of today. Version 4 has but one score.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.len() > MAX_RATING {
            return None;
        }
        if let Some(severity) = Severity::named(text) {
            return Some(Self { severity, score: None });
        }
        let score = match text.parse::<f64>() {
            Ok(score) => score,
            Err(_) => base_score(text)?,
        };
        if !(0.0..=10.0).contains(&score) {
            return None;
        }
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 100")]
        let tenths = (score * 10.0).round() as u8;
        Some(Self { severity: Severity::of_score(tenths), score: Some(tenths) })
    }

    /// The worse of two ratings, with the higher of two scores.
    #[must_use]
    pub fn worse(self, other: Self) -> Self {
        Self { severity: self.severity.max(other.severity), score: self.score.max(other.score) }
    }
}

/// The score of a CVSS vector with all the metrics that it must have; without one of them it would come out harmless.
fn base_score(text: &str) -> Option<f64> {
    const V2: &[&str] = &["AV", "AC", "Au", "C", "I", "A"];
    const V3: &[&str] = &["AV", "AC", "PR", "UI", "S", "C", "I", "A"];
    const V4: &[&str] = &["AV", "AC", "AT", "PR", "UI", "VC", "VI", "VA", "SC", "SI", "SA"];
    let (score, metrics) = match text.parse::<Cvss>().ok()? {
        Cvss::CvssV20(vector) => (vector.score().value(), V2),
        Cvss::CvssV30(vector) | Cvss::CvssV31(vector) => (vector.base_score().value(), V3),
        Cvss::CvssV40(vector) => (vector.score().value(), V4),
        _ => return None,
    };
    let has = |metric: &&str| text.split('/').any(|part| part.split_once(':').is_some_and(|(name, _)| name == *metric));
    metrics.iter().all(has).then_some(score)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scores that FIRST and the NVD give for these vectors.
    #[test]
    fn vectors_have_the_scores_that_first_gives_them() {
        let vectors = [
            // The examples of <https://www.first.org/cvss/v2/guide>: CVE-2002-0392, CVE-2003-0818, CVE-2003-0062.
            ("AV:N/AC:L/Au:N/C:N/I:N/A:C", 78),
            ("AV:N/AC:L/Au:N/C:C/I:C/A:C", 100),
            ("AV:L/AC:H/Au:N/C:C/I:C/A:C", 62),
            // <https://www.first.org/cvss/v3.1/examples>: phpMyAdmin, MySQL, SSLv3, VMware, Tomcat, Juniper, Bash.
            ("CVSS:3.1/AV:N/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N", 61),
            ("CVSS:3.1/AV:N/AC:L/PR:L/UI:N/S:U/C:L/I:L/A:L", 63),
            ("CVSS:3.1/AV:N/AC:L/PR:L/UI:N/S:C/C:L/I:L/A:N", 64),
            ("CVSS:3.1/AV:N/AC:H/PR:N/UI:R/S:U/C:L/I:N/A:N", 31),
            ("CVSS:3.1/AV:N/AC:L/PR:L/UI:N/S:C/C:H/I:H/A:H", 99),
            ("CVSS:3.1/AV:L/AC:L/PR:H/UI:N/S:U/C:L/I:L/A:L", 42),
            ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", 98),
            ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H", 100),
            ("CVSS:3.0/AV:N/AC:H/PR:N/UI:N/S:U/C:H/I:H/A:H", 81),
            // What time has done to it does not count.
            ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H/E:U/RL:O/RC:U", 98),
            // <https://www.first.org/cvss/v4.0/examples>
            ("CVSS:4.0/AV:L/AC:L/AT:P/PR:L/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N", 73),
            ("CVSS:4.0/AV:N/AC:L/AT:P/PR:N/UI:P/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N", 77),
            ("CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:N/VA:N/SC:N/SI:N/SA:N", 87),
            ("CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:H/SI:H/SA:H", 100),
            ("CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N", 93),
            ("CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:A/VC:N/VI:N/VA:N/SC:L/SI:L/SA:N", 51),
        ];
        for (vector, score) in vectors {
            assert_eq!(Rating::read(vector).and_then(|rating| rating.score), Some(score), "{vector}");
        }
    }

    #[test]
    fn words_and_numbers_are_ratings_too() {
        let severity = |text: &str| Rating::read(text).map(|rating| rating.severity);
        assert_eq!(severity("MODERATE"), Some(Severity::Medium));
        assert_eq!(severity(" critical "), Some(Severity::Critical));
        assert_eq!(severity("7.0"), Some(Severity::High));
        assert_eq!(severity("6.9"), Some(Severity::Medium));
        assert_eq!(severity("0"), Some(Severity::Low));
        for nothing in
            ["", "11", "-1", "NaN", "inf", "severe", "CVSS:3.1/AV:N", "CVSS:5.0/AV:N/AC:L", "/", ":", "a:b/c"]
        {
            assert_eq!(severity(nothing), None, "{nothing}");
        }
        assert_eq!(severity(&"9".repeat(MAX_RATING + 1)), None);
    }

    #[test]
    fn the_worse_rating_counts() {
        let low = Rating { severity: Severity::Low, score: Some(20) };
        let high = Rating { severity: Severity::High, score: None };
        assert_eq!(low.worse(high), Rating { severity: Severity::High, score: Some(20) });
        assert_eq!(low.worse(high), high.worse(low));
    }
}
