//! How the database is laid out.

use std::collections::BTreeMap;

use jiff::Timestamp;
use portcullis_osv::{Advisory, Ecosystem};
use redb::{ReadableTable, Table, TableDefinition, WriteTransaction};
use serde::{Deserialize, Serialize};

use crate::row::Row;

/// What is said of a package: by the number of its ecosystem, its canonical name and the advisory's identifier.
pub(crate) const NOTICES: TableDefinition<'_, (u8, &str, &str), &[u8]> = TableDefinition::new("notices");

/// Which packages an advisory names, so that none of its rows is left behind when it changes.
pub(crate) const ADVISORIES: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("advisories");

/// One row: what there is, and since when.
pub(crate) const SUMMARY: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("summary");

/// The layout of the tables. It changes with them, and with the numbers below.
pub(crate) const FORMAT: u32 = 1;

/// The key of the one row, and of the number of the format.
pub(crate) const THE_SUMMARY: &str = "summary";
pub(crate) const THE_FORMAT: &str = "format";

/// The ecosystems, by the numbers that are stored for them. What is added goes to the end.
const ECOSYSTEMS: [Ecosystem; 8] = [
    Ecosystem::CratesIo,
    Ecosystem::Go,
    Ecosystem::Maven,
    Ecosystem::Npm,
    Ecosystem::NuGet,
    Ecosystem::Packagist,
    Ecosystem::PyPi,
    Ecosystem::RubyGems,
];

/// The number of an ecosystem; none for one that this version of the program does not store.
pub(crate) fn number(ecosystem: Ecosystem) -> Option<u8> {
    ECOSYSTEMS.iter().position(|known| *known == ecosystem).and_then(|place| u8::try_from(place).ok())
}

pub(crate) fn ecosystem(number: u8) -> Option<Ecosystem> {
    ECOSYSTEMS.get(usize::from(number)).copied()
}

/// What is in a database, and how old it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// How many advisories name a package of each ecosystem.
    pub advisories: BTreeMap<Ecosystem, u64>,
    /// When advisories were last imported.
    pub imported: Option<Timestamp>,
    /// When the advisory that was changed last was changed.
    pub newest: Option<Timestamp>,
    /// The size of the file, in bytes.
    pub size: u64,
}

impl Status {
    /// How many advisories there are; one that names packages of two ecosystems counts twice.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.advisories.values().sum()
    }
}

/// A [`Status`] as it lies in the database. Times are in seconds since 1970.
#[derive(Debug, Default, Deserialize, Serialize)]
pub(crate) struct Summary {
    advisories: BTreeMap<u8, u64>,
    imported: i64,
    newest: Option<i64>,
}

impl Summary {
    pub(crate) fn status(&self, size: u64) -> Status {
        let advisories = self.advisories.iter().filter_map(|(number, count)| Some((ecosystem(*number)?, *count)));
        let time = |seconds| Timestamp::from_second(seconds).ok();
        Status {
            advisories: advisories.filter(|(_, count)| *count > 0).collect(),
            imported: time(self.imported),
            newest: self.newest.and_then(time),
            size,
        }
    }

    /// Notes that an advisory was, or is no longer, about packages of these ecosystems.
    fn count(&mut self, packages: &[(u8, String)], step: impl Fn(u64) -> u64) {
        let mut numbers: Vec<u8> = packages.iter().map(|(number, _)| *number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        for number in numbers {
            let count = self.advisories.entry(number).or_default();
            *count = step(*count);
        }
    }

    pub(crate) fn imported_at(&mut self, now: Timestamp) {
        self.imported = now.as_second();
    }
}

/// The tables of one import.
pub(crate) struct Tables<'txn> {
    notices: Table<'txn, (u8, &'static str, &'static str), &'static [u8]>,
    advisories: Table<'txn, &'static str, &'static [u8]>,
    pub(crate) summary: Summary,
}

/// What became of an advisory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It was not there before.
    Added,
    /// It names no package of an ecosystem that is kept, and did not before.
    Elsewhere,
    /// It takes the place of what was there under its identifier.
    Replaced,
    /// It was taken back, or names none of our packages any more; what was there is gone.
    Withdrawn,
}

impl<'txn> Tables<'txn> {
    /// Opens the tables, and makes those that are missing.
    pub(crate) fn open(transaction: &'txn WriteTransaction) -> Result<Self, redb::Error> {
        let summary = transaction.open_table(SUMMARY)?;
        let summary = match summary.get(THE_SUMMARY)? {
            Some(stored) => postcard::from_bytes(stored.value()).map_err(damaged)?,
            None => Summary::default(),
        };
        Ok(Self { notices: transaction.open_table(NOTICES)?, advisories: transaction.open_table(ADVISORIES)?, summary })
    }

    /// Puts an advisory in the place of whatever was stored under its identifier.
    pub(crate) fn put(&mut self, advisory: &Advisory) -> Result<Outcome, redb::Error> {
        let before: Vec<(u8, String)> = match self.advisories.remove(&*advisory.id)? {
            Some(packages) => postcard::from_bytes(packages.value()).map_err(damaged)?,
            None => Vec::new(),
        };
        for (number, name) in &before {
            self.notices.remove((*number, name.as_str(), &*advisory.id))?;
        }
        self.summary.count(&before, |count| count.saturating_sub(1));
        let mut packages = Vec::with_capacity(advisory.notices.len());
        for notice in &advisory.notices {
            let Some(number) = number(notice.package.ecosystem()) else { continue };
            let name = notice.package.name();
            let row = postcard::to_allocvec(&Row::from(notice)).map_err(damaged)?;
            self.notices.insert((number, name, &*advisory.id), row.as_slice())?;
            packages.push((number, name.to_owned()));
        }
        self.summary.newest = self.summary.newest.max(seconds(advisory));
        self.summary.count(&packages, |count| count.saturating_add(1));
        if packages.is_empty() {
            let gone = advisory.withdrawn || !before.is_empty();
            return Ok(if gone { Outcome::Withdrawn } else { Outcome::Elsewhere });
        }
        let stored = postcard::to_allocvec(&packages).map_err(damaged)?;
        self.advisories.insert(&*advisory.id, stored.as_slice())?;
        Ok(if before.is_empty() { Outcome::Added } else { Outcome::Replaced })
    }
}

fn seconds(advisory: &Advisory) -> Option<i64> {
    advisory.modified.as_deref()?.parse().ok().map(Timestamp::as_second)
}

/// What is in the database is not what this program puts there.
pub(crate) fn damaged(error: postcard::Error) -> redb::Error {
    redb::Error::Corrupted(error.to_string())
}
