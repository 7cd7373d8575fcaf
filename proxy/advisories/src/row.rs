//! What is stored of an advisory for each package that it names.

use std::borrow::Cow;

use portcullis_osv::{End, Nature, Notice, Package, Rating, Severity, Span};
use serde::{Deserialize, Serialize};

/// A notice as it lies in the database. The package and the identifier are in its key.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Row<'t> {
    #[serde(borrow)]
    aliases: Vec<Cow<'t, str>>,
    severity: u8,
    score: Option<u8>,
    nature: u8,
    mended: bool,
    doubtful: bool,
    #[serde(borrow)]
    spans: Vec<StoredSpan<'t>>,
    #[serde(borrow)]
    versions: Vec<Cow<'t, str>>,
}

#[derive(Debug, Deserialize, Serialize)]
struct StoredSpan<'t> {
    #[serde(borrow)]
    from: Option<Cow<'t, str>>,
    #[serde(borrow)]
    until: StoredEnd<'t>,
}

#[derive(Debug, Deserialize, Serialize)]
enum StoredEnd<'t> {
    Fixed(#[serde(borrow)] Cow<'t, str>),
    Last(#[serde(borrow)] Cow<'t, str>),
    Limit(#[serde(borrow)] Cow<'t, str>),
    Open,
}

/// The severities and natures, by the numbers that are stored for them. What is added goes to the end.
const SEVERITIES: [Severity; 5] =
    [Severity::Unrated, Severity::Low, Severity::Medium, Severity::High, Severity::Critical];
const NATURES: [Nature; 3] = [Nature::Informational, Nature::Vulnerability, Nature::Malicious];

impl<'t> From<&'t Notice> for Row<'t> {
    fn from(notice: &'t Notice) -> Self {
        let place = |place: Option<usize>| place.and_then(|place| u8::try_from(place).ok()).unwrap_or(u8::MAX);
        Self {
            aliases: notice.aliases.iter().map(|alias| Cow::Borrowed(&**alias)).collect(),
            severity: place(SEVERITIES.iter().position(|severity| *severity == notice.rating.severity)),
            score: notice.rating.score,
            nature: place(NATURES.iter().position(|nature| *nature == notice.nature)),
            mended: notice.mended,
            doubtful: notice.doubtful,
            spans: notice.spans.iter().map(StoredSpan::from).collect(),
            versions: notice.versions.iter().map(|version| Cow::Borrowed(&**version)).collect(),
        }
    }
}

impl<'t> From<&'t Span> for StoredSpan<'t> {
    fn from(span: &'t Span) -> Self {
        let until = match &span.until {
            End::Fixed(version) => StoredEnd::Fixed(Cow::Borrowed(version)),
            End::Last(version) => StoredEnd::Last(Cow::Borrowed(version)),
            End::Limit(version) => StoredEnd::Limit(Cow::Borrowed(version)),
            End::Open => StoredEnd::Open,
        };
        Self { from: span.from.as_deref().map(Cow::Borrowed), until }
    }
}

impl Row<'_> {
    /// The notice again. A number that nothing stands for, as of a later version of the program, counts as the worst.
    pub(crate) fn into_notice(self, package: Package, id: &str) -> Notice {
        let severity = SEVERITIES.get(usize::from(self.severity)).copied().unwrap_or(Severity::Critical);
        Notice {
            package,
            id: id.into(),
            aliases: self.aliases.iter().map(|alias| (**alias).into()).collect(),
            rating: Rating { severity, score: self.score },
            nature: NATURES.get(usize::from(self.nature)).copied().unwrap_or(Nature::Malicious),
            spans: self.spans.into_iter().map(Span::from).collect(),
            versions: self.versions.iter().map(|version| (**version).into()).collect(),
            mended: self.mended,
            doubtful: self.doubtful,
        }
    }
}

impl From<StoredSpan<'_>> for Span {
    fn from(span: StoredSpan<'_>) -> Self {
        let until = match span.until {
            StoredEnd::Fixed(version) => End::Fixed((*version).into()),
            StoredEnd::Last(version) => End::Last((*version).into()),
            StoredEnd::Limit(version) => End::Limit((*version).into()),
            StoredEnd::Open => End::Open,
        };
        Self { from: span.from.as_deref().map(Box::from), until }
    }
}
