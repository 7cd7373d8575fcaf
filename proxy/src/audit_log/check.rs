//! Checking a whole log: every line, seal and link, the tree, and every checkpoint, also while a gate writes it.
//!
//! Nothing is locked and nothing is written. What is looked at first is what the gate writes last ([`State`], then
//! checkpoints, then the tree, then lines), so that a log that grows meanwhile is never found to be too short. The
//! lines are read ahead in blocks and checked on all processors ([`walk`]); the tree is built from them again and held
//! against the file `tree` and against every root that was signed ([`roots`]).

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use portcullis_audit::{Checkpoint, Hash, Note, Position, SealKey, SegmentKeys, Tree, VerifierKey, tree};

use super::checkpoints::{self, BadCheckpoint, Signed};
use super::pruned::Told;
use super::segment;
use super::state::State;
use super::tree_file::TreeFile;

mod blocks;
mod end;
mod rest;
mod roots;
mod sources;
mod walk;

pub(crate) use end::{End, end};
use sources::of_files;
pub(crate) use sources::{Source, of_log};

use roots::Roots;
use walk::{Pruned, Walked};

/// How often a log is begun with whose oldest segment is deleted meanwhile: retention seldom deletes twice in a row.
const TRIES: usize = 3;

/// How long tree, checkpoint and state, which a gate writes together, may lie apart: three syncs of a busy disk. So long
/// may a torn newest line take to get its end, too.
const SOON: Duration = Duration::from_secs(1);
/// How often it is looked at meanwhile.
const LOOK: Duration = Duration::from_millis(10);

/// Why a log cannot be looked at: nothing is said about whether it holds.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CheckError {
    #[error("there is no audit log in `{0}`; `portcullis run` begins one")]
    Absent(PathBuf),
    #[error("`{0}` went away while the log was read; try again")]
    Gone(PathBuf),
    #[error("cannot {what} `{path}`: {why}")]
    Io { what: &'static str, path: PathBuf, why: String },
    #[error("`{path}` cannot be decompressed: {why}")]
    Packed { path: PathBuf, why: String },
    #[error("a thread that checks ended early")]
    Thread,
}

/// What the seals are checked with.
pub(crate) enum SealKeys {
    /// Those of the whole log.
    All(SegmentKeys),
    /// That of one segment, handed over.
    One(SealKey),
    /// None: all but the seals is checked.
    Unknown,
}

impl SealKeys {
    fn of(&self, segment: u64) -> Option<SealKey> {
        match self {
            Self::All(keys) => Some(keys.seal_key(segment)),
            Self::One(key) => Some(key.clone()),
            Self::Unknown => None,
        }
    }
}

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Doubt {
    pub(crate) file: PathBuf,
    /// Counted from 1, where it is about a line.
    pub(crate) line: Option<u64>,
    pub(crate) why: String,
}

impl std::fmt::Display for Doubt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:", self.file.display())?;
        self.line.map_or(Ok(()), |line| write!(f, "{line}:"))?;
        write!(f, " {}", self.why)
    }
}

/// What a check came to.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// How many lines hold, and in how many segments they were looked for.
    pub(crate) entries: u64,
    pub(crate) segments: usize,
    /// The number that the next entry gets: how many there ever were.
    pub(crate) size: u64,
    /// The times of the first and the last of them, and the last one's seal. Empty where there is none.
    pub(crate) first: String,
    pub(crate) last: String,
    pub(crate) head: String,
    /// How many checkpoints hold, and how many entries are under the newest of them.
    pub(crate) checkpoints: u64,
    pub(crate) signed: Option<u64>,
    /// Who else signed a checkpoint. Their signatures are not checked: that takes their keys.
    pub(crate) witnesses: BTreeSet<String>,
    /// What is wrong, the chain's own first. None: it holds.
    pub(crate) doubts: Vec<Doubt>,
}

/// Tells how many bytes on disk were read so far, and how many there are.
pub(crate) type Progress<'p> = &'p mut dyn FnMut(u64, u64);

/// Checks the log in this folder: against its own checkpoints, which this key signed, and those that others kept.
///
/// # Errors
/// When there is none, or it cannot be read.
pub(crate) fn log(
    dir: &Path,
    keys: &SealKeys,
    signer: &VerifierKey,
    held: &[Signed],
    progress: Progress<'_>,
) -> Result<Report, CheckError> {
    for _ in 1..TRIES {
        match log_as_it_is(dir, keys, signer, held, progress) {
            // A running gate deletes what is old: it begins later now.
            Err(CheckError::Gone(_)) => {}
            checked => return checked,
        }
    }
    log_as_it_is(dir, keys, signer, held, progress)
}

fn log_as_it_is(
    dir: &Path,
    keys: &SealKeys,
    signer: &VerifierKey,
    held: &[Signed],
    progress: Progress<'_>,
) -> Result<Report, CheckError> {
    let state = match keys {
        SealKeys::All(keys) => Some(State::load(dir, keys)),
        _ => None,
    };
    let mut report = Report::default();
    // What is deleted was signed before, so this comes before the checkpoints.
    let oldest = of_log(dir).ok().and_then(|sources| Some(sources.first()?.number));
    let own = own_checkpoints(dir, signer, &mut report)?;
    let tree_file = TreeFile::read(dir).ok();
    let sources = of_log(dir)?;
    if let Some(oldest) = oldest.filter(|oldest| sources.first().is_some_and(|first| first.number > *oldest)) {
        return Err(CheckError::Gone(segment::plain(dir, oldest)));
    }
    report.segments = sources.len();
    let Some(first) = sources.first() else {
        if own.is_empty() && tree_file.is_none() {
            return Err(CheckError::Absent(dir.to_owned()));
        }
        report.doubt(dir, "there is no segment, and there was one: its tree or a checkpoint is here");
        return Ok(report);
    };
    report.complete(&sources);
    let Some(from) = report.beginning(first)? else { return Ok(report) };
    let stored = tree_file.as_ref().map_or(0, TreeFile::stored);
    let begun = match &tree_file {
        Some(file) => Tree::resume(from.next_seq, file).ok(),
        None => Some(Tree::default()).filter(|_| from.next_seq == 0),
    };
    let begun = begun.unwrap_or_else(|| {
        let why = format!("it holds fewer than the {} entries before the first that is here", from.next_seq);
        report.doubt(&super::tree_file::path(dir), why);
        Tree::default()
    });
    if begun.size() != from.next_seq {
        return Ok(report);
    }
    let sizes = own.iter().chain(held).map(|signed| signed.checkpoint.size);
    let sizes: BTreeSet<_> = sizes.chain(state.iter().flatten().map(|state| state.position.next_seq)).collect();
    let mut roots = Roots::new(begun, tree_file.as_ref(), sizes.clone());
    let pruned = first.number > 0;
    let walked = walk::walk(&sources, keys, from, &mut roots, pruned, progress)?;
    report.walked(&walked);
    let behind = match walked.packed {
        Some(at) => rest::rest(&mut report, (&sources, at), keys, tree_file.as_ref(), &sizes, progress)?,
        None => Vec::new(),
    };
    let broken = walked.bad.is_some();
    let size = report.size;
    let newest = own.iter().map(|signed| signed.checkpoint.size).max();
    report.tree(dir, stored, newest, size, broken);
    for signed in own.iter().chain(held) {
        let earlier = || tree_file.as_ref().and_then(|file| tree::root(file, signed.checkpoint.size).ok());
        let root = match signed.checkpoint.size < from.next_seq {
            true => earlier(),
            false => {
                let later = || behind.iter().find_map(|roots| roots.at(signed.checkpoint.size));
                roots.at(signed.checkpoint.size).or_else(later)
            }
        };
        report.against(signed, signer, root, size, broken);
    }
    if pruned && !broken {
        let mut signed = own.iter().chain(held).map(|signed| &signed.checkpoint);
        let signed = signed.find(|signed| Some(signed.size) == report.signed);
        report.pruned((dir, first), &walked.pruned, signed, |told, signed| match keys {
            SealKeys::All(keys) => tree_file.as_ref().is_some_and(|file| told.is_by_the_gate(keys, file, signed)),
            // Nobody else can tell.
            SealKeys::One(_) | SealKeys::Unknown => true,
        });
    }
    report.every_end_is_signed(dir, &sources, &own, signer);
    if let (Some(state), SealKeys::All(keys)) = (state, keys) {
        report.state(dir, keys, state.as_ref(), newest);
    }
    Ok(report)
}

/// Checks these files as one chain. Where they begin with the first entry of a log, they are held against the
/// checkpoints that others kept; later ones cannot be.
///
/// # Errors
/// When one cannot be read.
pub(crate) fn files(
    files: &[PathBuf],
    keys: &SealKeys,
    signer: Option<&VerifierKey>,
    held: &[Signed],
    progress: Progress<'_>,
) -> Result<Report, CheckError> {
    let sources = of_files(files)?;
    let mut report = Report { segments: sources.len(), ..Report::default() };
    report.named(&sources);
    let Some(first) = sources.first() else { return Err(CheckError::Absent(PathBuf::new())) };
    let Some(from) = report.beginning(first)? else { return Ok(report) };
    report.complete(&sources);
    let begun = Tree::default();
    let whole = from.next_seq == 0;
    let mut roots = Roots::new(begun, None, held.iter().map(|signed| signed.checkpoint.size).collect());
    let walked = walk::walk(&sources, keys, from, &mut roots, false, progress)?;
    report.walked(&walked);
    for signed in held {
        match signer {
            Some(signer) if whole => {
                let root = roots.at(signed.checkpoint.size);
                report.against(signed, signer, root, walked.position.next_seq, walked.bad.is_some());
            }
            _ => {
                report.doubt(&signed.path, "it cannot be held against files that do not begin with a log's first entry")
            }
        }
    }
    Ok(report)
}

/// The checkpoints beside the segments; one that is none is a doubt.
fn own_checkpoints(dir: &Path, signer: &VerifierKey, report: &mut Report) -> Result<Vec<Signed>, CheckError> {
    let numbers = match segment::numbers(dir, ".checkpoint") {
        Ok(numbers) => numbers,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(CheckError::Absent(dir.to_owned()));
        }
        Err(error) => return Err(io("list", dir)(error)),
    };
    let mut own = Vec::with_capacity(numbers.len());
    for number in numbers {
        let path = segment::checkpoint(dir, number);
        match checkpoints::read(&path, signer) {
            Ok(signed) => own.push(signed),
            // Deleted with its segment since the folder was listed.
            Err(BadCheckpoint::Unread { .. }) if !path.exists() => {}
            Err(BadCheckpoint::Unread { path, why }) => return Err(CheckError::Io { what: "read", path, why }),
            Err(BadCheckpoint::Wrong { path, why }) => report.doubt(&path, why),
        }
    }
    Ok(own)
}

impl Report {
    fn doubt(&mut self, file: &Path, why: impl Into<String>) {
        self.doubts.push(Doubt { file: file.to_owned(), line: None, why: why.into() });
    }

    /// Where the first line stands, as it says itself; a doubt where it does not.
    fn beginning(&mut self, first: &Source) -> Result<Option<Position>, CheckError> {
        match first.begins_after() {
            Err(CheckError::Packed { path, why }) => {
                self.doubt(&path, unpacked(&why));
                Ok(None)
            }
            Err(error) => Err(error),
            Ok(Ok(from)) => Ok(Some(from)),
            Ok(Err(why)) => {
                self.doubts.push(Doubt { file: first.path.clone(), line: Some(1), why: why.to_owned() });
                Ok(None)
            }
        }
    }

    /// Segments follow each other without a gap.
    fn complete(&mut self, sources: &[Source]) {
        for (source, next) in sources.iter().zip(sources.iter().skip(1)) {
            if Some(next.number) != source.number.checked_add(1) {
                let why = format!("it is segment {}, and stands after segment {}", next.number, source.number);
                self.doubt(&next.path, why);
            }
        }
    }

    /// A file that has the name of a segment holds that one.
    fn named(&mut self, sources: &[Source]) {
        for source in sources {
            if let Some(named) = segment::number_in(&source.path).filter(|named| *named != source.number) {
                let why = format!("its name is that of segment {named}, and it holds segment {}", source.number);
                self.doubt(&source.path, why);
            }
        }
    }

    fn walked(&mut self, walked: &Walked) {
        self.entries = walked.lines;
        self.size = walked.position.next_seq;
        (self.first, self.last) = (walked.first.clone(), walked.last.clone());
        if walked.lines > 0 {
            walked.position.previous.as_str().clone_into(&mut self.head);
        }
        // What the lines say comes first, in their order: the walk ends at a bad line, and a line that differs was passed.
        let chain = [&walked.differs, &walked.bad].into_iter().flatten().cloned();
        self.doubts.splice(0..0, chain);
    }

    /// The file `tree` ends where it may.
    fn tree(&mut self, dir: &Path, stored: u64, newest: Option<u64>, size: u64, broken: bool) {
        let path = super::tree_file::path(dir);
        if newest.is_some_and(|newest| stored < tree::stored_count(newest)) {
            self.doubt(&path, "it holds fewer entries than the newest checkpoint is over");
        } else if stored > tree::stored_count(size) && !broken {
            self.doubt(&path, format!("it holds more entries than the {size} of the log: the newest were cut off"));
        }
        // It may be signed for the first time just now.
        let signed = || segment::numbers(dir, ".checkpoint").is_ok_and(|numbers| !numbers.is_empty());
        if stored > 0 && newest.is_none() && !soon(signed) {
            self.doubt(dir, "there is no checkpoint, and the tree was signed: checkpoints were deleted");
        }
    }

    /// The log has what was signed.
    fn against(&mut self, signed: &Signed, signer: &VerifierKey, root: Option<Hash>, size: u64, broken: bool) {
        let Signed { checkpoint: Checkpoint { size: over, root: wanted, .. }, note, path } = signed;
        self.witnesses.extend(witnesses(note, signer));
        match root {
            Some(root) if root == *wanted => {
                self.checkpoints += 1;
                self.signed = self.signed.max(Some(*over));
            }
            Some(_) => self.doubt(path, format!("the first {over} entries are not those that it was signed over: they were rewritten, or an older log was put back and went on")),
            // Nothing is known of what comes after a broken line.
            None if broken => {}
            None => self.doubt(
                path,
                format!("it was signed over {over} entries, and the log has {size}: the newest were cut off, or an older log was put back"),
            ),
        }
    }

    /// A segment ends with a checkpoint over all that it holds, so each but the newest has that one beside it; and there is
    /// none of a segment that is not here.
    fn every_end_is_signed(&mut self, dir: &Path, sources: &[Source], own: &[Signed], signer: &VerifierKey) {
        for (source, next) in sources.iter().zip(sources.iter().skip(1)) {
            // What cannot be read is told where the lines are.
            let Ok(Ok(end)) = next.begins_after() else { continue };
            self.end_is_signed(dir, source.number, end.next_seq, signer);
        }
        if let Some(first) = sources.first()
            && let Some(before) = first.number.checked_sub(1)
            && let Ok(Ok(end)) = first.begins_after()
        {
            self.end_is_signed(dir, before, end.next_seq, signer);
        }
        let newest = sources.last().map_or(0, |source| source.number);
        for signed in own {
            let number = segment::number_of(&signed.path);
            if number.is_some_and(|number| number > newest) {
                self.doubt(&signed.path, "it is of a segment that is not here");
            }
        }
    }

    fn end_is_signed(&mut self, dir: &Path, number: u64, end: u64, signer: &VerifierKey) {
        let path = segment::checkpoint(dir, number);
        // Read now: the segment may have ended since the checkpoints were read.
        match checkpoints::read(&path, signer) {
            Ok(signed) if signed.checkpoint.size == end => {}
            Ok(signed) => {
                let over = signed.checkpoint.size;
                let why =
                    format!("the segment ended with {end} entries, and this is over {over}: another one was put here");
                self.doubt(&path, why);
            }
            Err(BadCheckpoint::Unread { .. }) => {
                self.doubt(&path, "the segment has ended, and its checkpoint is not here: it was deleted");
            }
            // Told where all of them were read.
            Err(BadCheckpoint::Wrong { .. }) => {}
        }
    }

    /// Entries say of every older segment that it was deleted, without a gap. Those are believed that were signed, and that
    /// the gate wrote: the key of one segment seals any entry in it, and a start signs what it finds at the end.
    fn pruned(
        &mut self,
        (dir, first): (&Path, &Source),
        told: &[Pruned],
        signed: Option<&Checkpoint>,
        is_by_the_gate: impl Fn(&Told, &Checkpoint) -> bool,
    ) {
        let (mut reached, mut forged) = (None, None);
        for Pruned { seq_no, told } in told {
            let Some(signed) = signed.filter(|signed| *seq_no < signed.size) else { continue };
            if !is_by_the_gate(told, signed) {
                forged = forged.or(Some(*seq_no));
                continue;
            }
            let (from, to) = (*told.segments.start(), *told.segments.end());
            if let Some(end) = reached.filter(|end| from > *end) {
                let why = format!(
                    "segments {end} to {} are not here, and no signed entry `audit.pruned` says that they were deleted",
                    from.saturating_sub(1)
                );
                return self.doubt(&first.path, why);
            }
            reached = reached.max(Some(to.saturating_add(1)));
        }
        if reached.is_none_or(|end| end < first.number) {
            self.doubt(
                &first.path,
                "older segments are not here, and no signed entry `audit.pruned` says that they were deleted",
            );
        }
        if let Some(number) = forged {
            let why =
                format!("entry {number} says that the gate deleted segments, and the gate's word in it does not hold");
            self.doubt(dir, why);
        }
    }

    /// What the gate noted under its key when it signed last was not taken back.
    fn state(&mut self, dir: &Path, keys: &SegmentKeys, state: Option<&State>, newest: Option<u64>) {
        let path = State::path(dir);
        match (state, newest) {
            (None, Some(_)) if soon(|| State::load(dir, keys).is_some()) => {}
            (None, Some(_)) => self.doubt(
                &path,
                "it is not here, or not sealed with this log's key; a running gate writes it with its next checkpoint",
            ),
            (Some(state), newest) if newest.is_none_or(|newest| newest < state.position.next_seq) => {
                let over = state.position.next_seq;
                self.doubt(
                    &path,
                    format!("a checkpoint over {over} entries was signed, and is not here: it was deleted"),
                );
            }
            _ => {}
        }
    }
}

/// What is said of a compressed segment that is not one any more: somebody changed it, or the medium did.
fn unpacked(why: &str) -> String {
    format!("it cannot be decompressed ({why}): it was changed, or cut off")
}

/// Whether this comes to be: what a running gate writes one after the other may be half there.
fn soon(is: impl Fn() -> bool) -> bool {
    let until = Instant::now() + SOON;
    while !is() {
        if Instant::now() > until {
            return false;
        }
        std::thread::park_timeout(LOOK);
    }
    true
}

/// Who signed besides the log.
pub(crate) fn witnesses<'n>(note: &'n Note, signer: &VerifierKey) -> impl Iterator<Item = String> + use<'n> {
    let signer = signer.clone();
    note.signatures.iter().filter(move |signature| !signature.is_by(&signer)).map(|signature| signature.name.clone())
}

fn io(what: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> CheckError {
    let path = path.to_owned();
    move |error| CheckError::Io { what, path, why: error.to_string() }
}
