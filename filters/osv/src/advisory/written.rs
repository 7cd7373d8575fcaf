//! An advisory as it is written: the parts of the OSV schema that are read.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::Value;

/// The whole document. Fields that are absent, null and empty mean the same in the databases that there are.
#[derive(Deserialize)]
pub(super) struct Written<'t> {
    #[serde(borrow)]
    pub(super) id: Cow<'t, str>,
    #[serde(borrow)]
    pub(super) modified: Option<Cow<'t, str>>,
    #[serde(borrow)]
    pub(super) withdrawn: Option<Cow<'t, str>>,
    #[serde(borrow)]
    pub(super) aliases: Option<Vec<Cow<'t, str>>>,
    pub(super) severity: Option<Vec<WrittenSeverity>>,
    #[serde(borrow)]
    pub(super) affected: Option<Vec<WrittenAffected<'t>>>,
    /// Free form: each database puts its own things there.
    pub(super) database_specific: Option<Value>,
}

#[derive(Deserialize)]
pub(super) struct WrittenSeverity {
    /// A vector, a number or a word, depending on the type. Some databases write a number as one.
    pub(super) score: Option<Value>,
}

#[derive(Deserialize)]
pub(super) struct WrittenAffected<'t> {
    #[serde(borrow)]
    pub(super) package: Option<WrittenPackage<'t>>,
    pub(super) severity: Option<Vec<WrittenSeverity>>,
    #[serde(borrow)]
    pub(super) ranges: Option<Vec<WrittenRange<'t>>>,
    #[serde(borrow)]
    pub(super) versions: Option<Vec<Cow<'t, str>>>,
    pub(super) ecosystem_specific: Option<Value>,
    pub(super) database_specific: Option<Value>,
}

#[derive(Deserialize)]
pub(super) struct WrittenPackage<'t> {
    #[serde(borrow)]
    pub(super) ecosystem: Cow<'t, str>,
    #[serde(borrow)]
    pub(super) name: Cow<'t, str>,
}

#[derive(Deserialize)]
pub(super) struct WrittenRange<'t> {
    #[serde(borrow, rename = "type")]
    pub(super) kind: Cow<'t, str>,
    #[serde(borrow)]
    pub(super) events: Option<Vec<WrittenEvent<'t>>>,
}

/// An event has one of these; each that is there counts.
#[derive(Deserialize)]
pub(super) struct WrittenEvent<'t> {
    #[serde(borrow)]
    pub(super) introduced: Option<Cow<'t, str>>,
    #[serde(borrow)]
    pub(super) fixed: Option<Cow<'t, str>>,
    #[serde(borrow)]
    pub(super) last_affected: Option<Cow<'t, str>>,
    #[serde(borrow)]
    pub(super) limit: Option<Cow<'t, str>>,
}
