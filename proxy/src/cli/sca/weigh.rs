//! Judging what was found, by the gate's own judge.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use portcullis_advisories::IndexError;
use portcullis_dependencies::{Found, Hint, How, MOST_FOUND, What as Reads, find};
use portcullis_filters::sca::{
    Advisories, Dossier, Finding, Handling, Judge, Lookup, ScaObserver, ScaSettings, Told as Answer,
};
use portcullis_osv::{Ecosystem, Package};

use super::input::Input;
use crate::cli::places::{Place, Places};
use crate::cli::{Failure, Outcome};
use crate::config::ScaConfig;
use crate::packages::Packages;

/// Packages that are looked up at once: each lookup has the time that one answer has.
const AT_ONCE: usize = 500;

/// What came of it.
#[derive(Default)]
pub(super) struct Weighed {
    /// What speaks against what, in the order of the files and lines.
    pub(super) told: Vec<Told>,
    /// How many dependencies there are, each counted once a file.
    pub(super) dependencies: usize,
    /// What else is to be said of the files.
    pub(super) remarks: Vec<String>,
}

/// Something that speaks against a dependency, or a part of a text.
pub(super) struct Told {
    pub(super) file: Arc<str>,
    pub(super) from: Place,
    pub(super) what: What,
    pub(super) blocks: bool,
}

/// What it is.
pub(super) enum What {
    /// A finding, as the gate has it.
    Finding(Box<Finding>),
    /// A file of a kind that is not known.
    Foreign(String),
    /// More dependencies than are told of one text.
    TooMany,
    /// What is known of these dependencies cannot be looked up.
    Unavailable { ecosystem: Ecosystem, first: String, others: Vec<String>, why: String },
    /// A command that installs what only its run will name.
    Unnamed,
    /// A part of the text that cannot be read.
    Unreadable(String),
}

/// A dependency, and where it stands.
struct Item {
    file: Arc<str>,
    from: Place,
    found: Found,
}

/// Counts nothing.
struct Quiet;

impl ScaObserver for Quiet {
    fn found(&self, _: Ecosystem, _: &'static str) {}
    fn unnamed(&self) {}
}

/// Judges all of it. `strict` says that what is not understood is no yes.
pub(super) fn all(config: &ScaConfig, inputs: &[Input], strict: bool) -> Outcome<Weighed> {
    let advisories = Packages::default().source(config).map_err(|error| match error.downcast_ref::<IndexError>() {
        Some(why) => Failure::usage(format!("{why}: `--index`, or `filters.sca.index`")),
        None => Failure::from(error),
    })?;
    let judge = Judge::new(config.settings, Arc::clone(&advisories), Arc::new(Quiet));
    let mut weighed = Weighed::default();
    let mut items = Vec::new();
    let doubtful = config.settings.unavailable;
    for input in inputs {
        let (items_before, told_before) = (items.len(), weighed.told.len());
        gather(input, &config.settings, &mut items, &mut weighed.told);
        let nothing = (items_before, told_before) == (items.len(), weighed.told.len());
        match input.doubt(nothing) {
            Some(why) if strict => {
                let file = Arc::from(input.name.as_str());
                weighed.told.push(Told { file, from: Place::FIRST, what: What::Foreign(why), blocks: true });
            }
            doubt => weighed.remarks.extend(doubt),
        }
    }
    weighed.dependencies = items.len();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let names: HashSet<_> = items.iter().map(|item| &item.found.package).collect();
    let mut names: Vec<Package> = names.into_iter().cloned().collect();
    names.sort_unstable();
    let mut known: BTreeMap<Package, Result<Dossier, String>> = BTreeMap::new();
    // Each ecosystem by itself, as in the gate: one that is missing hides nothing of another.
    let groups = names.chunk_by(|one, other| one.ecosystem() == other.ecosystem());
    for names in groups.flat_map(|group| group.chunks(AT_ONCE)) {
        match runtime.block_on(ask(&*advisories, names)) {
            Ok(dossiers) if dossiers.len() == names.len() => {
                known.extend(names.iter().cloned().zip(dossiers.into_iter().map(Ok)));
            }
            Ok(_) => return Err(Failure::broken("what was asked for and what was told differ")),
            Err(why) => known.extend(names.iter().map(|name| (name.clone(), Err(why.to_string())))),
        }
    }
    let mut missing: BTreeMap<String, Vec<&Item>> = BTreeMap::new();
    for item in &items {
        match known.get(&item.found.package) {
            Some(Ok(dossier)) => {
                let findings = judge.weigh(&item.found, dossier).into_iter();
                weighed
                    .told
                    .extend(findings.map(|finding| item.told(finding.blocks, What::Finding(Box::new(finding)))));
            }
            // Nothing is installed by a name in code.
            Some(Err(_)) if item.found.how == How::Import => {}
            Some(Err(why)) => missing.entry(why.clone()).or_default().push(item),
            None => return Err(Failure::broken("a package was not looked up")),
        }
    }
    if doubtful != Handling::Off {
        weighed.told.extend(missing.into_iter().filter_map(|(why, items)| unavailable(doubtful, why, &items)));
    }
    let order: BTreeMap<&str, usize> =
        inputs.iter().enumerate().rev().map(|(place, input)| (input.name.as_str(), place)).collect();
    weighed.told.sort_by_key(|told| (order.get(&*told.file).copied(), told.from, !told.blocks));
    Ok(weighed)
}

async fn ask(advisories: &dyn Advisories, packages: &[Package]) -> Answer {
    match advisories.look_up(packages.to_vec()) {
        Lookup::Later(answer) => answer.await,
        Lookup::Now(answer) => answer,
    }
}

/// Takes what a text brings in, each dependency once, and tells of what cannot be read.
fn gather(input: &Input, settings: &ScaSettings, items: &mut Vec<Item>, told: &mut Vec<Told>) {
    let file: Arc<str> = Arc::from(input.name.as_str());
    let findings = find(&input.text, input.hint());
    // Of a list, every line names a package: one that names none was not understood.
    let odd = match input.hint() {
        Hint::Ecosystem(_) => lines_without(&input.text, &findings.found),
        Hint::Answer | Hint::File(_) | Hint::Language(_) => Vec::new(),
    };
    let begin = findings.found.iter().map(|found| found.place.start);
    let begin = begin.chain(findings.unreadable.iter().map(|unreadable| unreadable.place.start));
    let begin = begin.chain(odd.iter().copied()).collect();
    let places = Places::of(&input.text, Place::FIRST, begin);
    let mut doubt = |from: Place, what: What| {
        let handling = if matches!(what, What::Unnamed) { settings.unknown } else { settings.unavailable };
        if handling != Handling::Off {
            told.push(Told { file: Arc::clone(&file), from, what, blocks: handling == Handling::Block });
        }
    };
    if findings.too_many {
        doubt(Place::FIRST, What::TooMany);
    }
    for unreadable in &findings.unreadable {
        let what = match unreadable.what {
            Reads::Unnamed => What::Unnamed,
            what => What::Unreadable(what.to_string()),
        };
        doubt(places.at(unreadable.place.start), what);
    }
    for line in odd {
        doubt(places.at(line), What::Unreadable("a line of the list that names no package".to_owned()));
    }
    let mut seen = HashSet::new();
    for found in findings.found {
        if seen.insert((found.package.clone(), found.wanted.clone(), found.remote.is_some())) {
            items.push(Item { file: Arc::clone(&file), from: places.at(found.place.start), found });
        }
    }
}

/// Where the lines begin in which nothing was found, though something stands there that is no remark and no option.
fn lines_without(text: &str, found: &[Found]) -> Vec<usize> {
    let mut at = 0;
    let mut lines = Vec::new();
    for line in text.split_inclusive('\n') {
        let span = at..at + line.len();
        at = span.end;
        let said = line.trim();
        let says_nothing = said.is_empty() || said.starts_with(['#', '-', ';']) || said.starts_with("//");
        let names = found.iter().any(|found| found.place.start < span.end && span.start < found.place.end);
        if !says_nothing && !names && lines.len() < MOST_FOUND {
            lines.push(span.start);
        }
    }
    lines
}

/// That these cannot be looked up.
fn unavailable(doubtful: Handling, why: String, items: &[&Item]) -> Option<Told> {
    let first = items.first()?;
    let what = What::Unavailable {
        ecosystem: first.found.package.ecosystem(),
        first: first.found.written.clone(),
        others: items.iter().skip(1).map(|item| item.found.written.clone()).collect(),
        why,
    };
    Some(first.told(doubtful == Handling::Block, what))
}

impl Item {
    fn told(&self, blocks: bool, what: What) -> Told {
        Told { file: Arc::clone(&self.file), from: self.from, what, blocks }
    }
}

impl What {
    /// Whether it is a judgement. All else is that there is none.
    pub(super) fn is_judged(&self) -> bool {
        matches!(self, Self::Finding(_) | Self::Unnamed)
    }

    /// What it is, in a sentence.
    pub(super) fn sentence(&self) -> String {
        match self {
            Self::Finding(finding) => finding.sentence(),
            Self::Foreign(why) => why.clone(),
            Self::TooMany => format!("names more than {MOST_FOUND} dependencies, and the rest is not judged"),
            Self::Unavailable { first, others, why, .. } => match others.len() {
                0 => format!("`{first}` cannot be looked up: {why}"),
                more => format!("`{first}` and {more} more cannot be looked up: {why}"),
            },
            Self::Unnamed => "a command installs what only its run will name".to_owned(),
            Self::Unreadable(what) => format!("{what}, which may bring something in, cannot be read"),
        }
    }
}
