//! Finding the end of the log: from the place that was durable last, or, without one, from its beginning.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use portcullis_audit::{Chain, Hash, Line, MAX_LINE, Position, SealKey, SegmentKeys, Tree, VerifierKey, check_lines};
use portcullis_certs::files;
use portcullis_filters::audit::Entry;

use super::segment::SegmentFile;
use super::state::State;
use super::tree_file::{Beyond, TreeFile};
use super::{AuditLogError, checkpoints, now_micros, pruned, segment};

/// How much is read at once.
pub(super) const PIECE: usize = 4 << 20;

/// Where the log ends.
pub(super) struct End {
    pub(super) position: Position,
    pub(super) tree: Tree,
    /// None where it is not there, and nothing has to be in it yet.
    pub(super) tree_file: Option<TreeFile>,
    /// Hashes that are not in the tree's file yet.
    pub(super) nodes: Vec<u8>,
    /// The newest segment, and its length up to its last whole line; none in a new log.
    pub(super) segment: Option<(u64, u64)>,
    /// The bytes of a torn line behind that.
    pub(super) torn: Option<u64>,
    /// How many entries were read because no place was known.
    pub(super) read_anew: Option<u64>,
    /// Entries under the newest checkpoint, and the segment that it was signed in.
    pub(super) signed: u64,
    pub(super) signed_in: u64,
    /// Why what comes next is no entry, though whole lines stand there, which no checkpoint is over.
    pub(super) damage: Option<String>,
}

impl End {
    /// Seals what is to be told first: that a segment without a line follows the one before, which was under way when the
    /// power went, and then this entry. Goes on behind both, and returns their lines, and how many they are.
    pub(super) fn tell(&mut self, keys: &SegmentKeys, entry: Option<&Entry<'_>>) -> (Vec<u8>, u64) {
        let Some((number, whole)) = self.segment else { return Default::default() };
        let mut chain = Chain::resume(keys.seal_key(number), self.position);
        let mut lines = Vec::new();
        let mut seal = |entry: &Entry<'_>| {
            let leaf = chain.seal(&entry.draft(), now_micros(), &mut lines);
            self.tree.push(leaf, &mut self.nodes);
        };
        if let Some(ended) = number.checked_sub(1).filter(|_| whole == 0) {
            segment::link(ended, self.position, &mut seal);
        }
        entry.into_iter().for_each(seal);
        let told = chain.position().next_seq - self.position.next_seq;
        self.position = chain.position();
        (lines, told)
    }

    /// Opens the newest segment, where there is one, and sees that it ends as it was found: what is not that is neither cut
    /// off nor gone on with. Changes nothing.
    pub(super) fn open(&self, dir: &Path) -> Result<Option<SegmentFile>, AuditLogError> {
        let Some((number, length)) = self.segment else { return Ok(None) };
        let path = segment::plain(dir, number);
        let file = SegmentFile::open(dir, number).map_err(at("open", &path))?;
        if !file.ends_with(length, self.torn.unwrap_or(0)).map_err(at("read", &path))? {
            return Err(damaged(
                &path,
                "it does not end as it did a moment ago, and nobody else may write it".to_owned(),
            ));
        }
        Ok(Some(file))
    }
}

/// Finds the end of the log. Changes nothing: a log that is not continued is evidence.
pub(super) fn end_of_log(dir: &Path, keys: &SegmentKeys, signer: &VerifierKey) -> Result<End, AuditLogError> {
    let end = last_that_holds(dir, keys, signer)?;
    match (end.damage, end.segment) {
        (Some(why), Some((number, _))) => Err(AuditLogError::Unsigned { path: segment::plain(dir, number), why }),
        (damage, segment) => {
            pruned::accounts_for_the_beginning(dir, keys, signer)?;
            Ok(End { damage, segment, ..end })
        }
    }
}

/// Finds the end of what holds of the log, all that was signed at least. Changes nothing.
pub(super) fn last_that_holds(dir: &Path, keys: &SegmentKeys, signer: &VerifierKey) -> Result<End, AuditLogError> {
    let io = |what| move |source| AuditLogError::Io { what, path: dir.to_owned(), source };
    let plain = segment::numbers(dir, ".jsonl").map_err(io("list"))?;
    let compressed = segment::numbers(dir, ".jsonl.zst").map_err(io("list"))?;
    let newest = plain.last().copied();
    if let Some(number) = compressed.last().filter(|number| newest.is_none_or(|newest| **number > newest)) {
        let why = format!("`audit-{number:06}.jsonl.zst` is there, and not the segment that followed it");
        return Err(damaged(dir, why));
    }
    let ending = newest.map(|number| ending(dir, number)).transpose()?;
    let checkpoint = checkpoints::newest(dir, signer).map_err(|error| damaged(dir, error.to_string()))?;
    let numbers = segment::numbers(dir, ".checkpoint").map_err(io("list"))?;
    if let Some(number) = numbers.last().filter(|number| newest.is_none_or(|newest| **number > newest)) {
        let why = format!("`audit-{number:06}.checkpoint` is there, and not the segment that it was signed for");
        return Err(damaged(dir, why));
    }
    if let Some(newest) = newest.filter(|newest| *newest > 0) {
        begins_as_signed(dir, newest, signer, checkpoint.as_ref().map_or(0, |signed| signed.checkpoint.size))?;
    }
    let grown = TreeFile::read(dir).is_ok_and(|tree| tree.stored() > 0);
    if newest.is_none() && (grown || State::path(dir).exists()) {
        return Err(damaged(dir, "its tree or its state is there, and no segment".to_owned()));
    }
    let known = State::load(dir, keys).filter(|_| newest.is_some());
    let signed = checkpoint.as_ref().map_or(0, |signed| signed.checkpoint.size);
    if let Some(state) = known.as_ref().filter(|state| state.position.next_seq > signed) {
        // The checkpoint is written first: a newer one was there.
        let why = format!(
            "its newest checkpoint is over {signed} entries, and {} were signed: a checkpoint was deleted, or an older one \
             put in its place; once that is explained, move `state.json` away: all of the log is read then, and it says so",
            state.position.next_seq
        );
        return Err(damaged(dir, why));
    }
    // A start looks where the state says; a crash may have left it behind the checkpoint.
    let looked_in = known.map(|state| state.segment);
    let (mut walk, read_anew) = match known {
        Some(state) => (Walk::from(dir, keys, state)?, false),
        // One that was never signed, of a gate that was killed early, is simply read.
        None => (Walk::from_the_beginning(dir, &plain, &compressed)?, checkpoint.is_some() || grown),
    };
    let before = walk.position.next_seq;
    let followed = walk.follow(dir, keys, newest, checkpoint.as_ref().map(|signed| signed.checkpoint.size));
    // What no checkpoint is over may be what a power cut left; before that, somebody was there.
    if newest != Some(walk.segment) || walk.damage.is_none() || walk.position.next_seq < signed {
        followed?;
    }
    if let Some(Ending { length, torn }) = ending
        && walk.damage.is_none()
        && walk.offset.checked_add(torn) != Some(length)
    {
        let why = format!(
            "its lines end at byte {}, and of its {length} bytes {torn} are a torn line: something else stands between",
            walk.offset
        );
        return Err(damaged(&segment::plain(dir, walk.segment), why));
    }
    if let Some(signed) = &checkpoint {
        let size = signed.checkpoint.size;
        if walk.position.next_seq < size {
            let why = format!(
                "its checkpoint `{}` is over {size} entries, and {} are there: the newest were cut off",
                signed.path.display(),
                walk.position.next_seq
            );
            return Err(damaged(dir, why));
        }
        if walk.root_at_checkpoint.is_some_and(|root| root != signed.checkpoint.root) {
            let why = format!("its entries are not those that `{}` was signed over", signed.path.display());
            return Err(damaged(dir, why));
        }
    }
    if let Some(newest) = newest.filter(|newest| *newest > 0 && walk.segment == *newest && walk.offset == 0) {
        // It is begun anew, right behind the one before: that must have ended.
        let end = checkpoints::of_segment(dir, newest - 1, signer).map_err(|error| damaged(dir, error.to_string()))?;
        if end.is_none_or(|end| end.checkpoint.size != walk.position.next_seq) {
            let why = "it has no entry, and the segment before it was not signed at its end, as it is before another one \
                       begins: the gate did not make this file";
            return Err(damaged(&segment::plain(dir, newest), why.to_owned()));
        }
    }
    // Hashes are written once their lines are on the medium.
    let beyond = walk.tree_file.as_ref().map_or(Ok(Beyond::Fits), |file| file.beyond(&walk.nodes));
    match beyond.map_err(at("read", &super::tree_file::path(dir)))? {
        Beyond::Fits => {}
        Beyond::More => {
            let why = "the file `tree` holds more entries than are there: the newest were cut off";
            return Err(damaged(dir, why.to_owned()));
        }
        Beyond::Differs => return Err(damaged(dir, "its entries are not those in the file `tree`".to_owned())),
    }
    Ok(End {
        read_anew: read_anew.then(|| walk.position.next_seq - before),
        position: walk.position,
        tree: walk.tree,
        tree_file: walk.tree_file,
        nodes: walk.nodes,
        segment: newest.map(|number| (number, walk.offset)),
        torn: ending.map(|ending| ending.torn).filter(|torn| *torn > 0),
        signed_in: {
            let checkpoint = checkpoint.as_ref().and_then(|signed| segment::number_of(&signed.path)).unwrap_or(0);
            looked_in.map_or(checkpoint, |segment| segment.min(checkpoint))
        },
        signed,
        damage: walk.damage,
    })
}

/// The newest segment begins where the one before it was signed when it ended.
fn begins_as_signed(dir: &Path, newest: u64, signer: &VerifierKey, signed: u64) -> Result<(), AuditLogError> {
    let path = segment::plain(dir, newest);
    let mut line = vec![0; MAX_LINE];
    let got = fill(&mut *open(dir, newest)?, &mut line).map_err(at("read", &path))?;
    let line = line.get(..got).unwrap_or_default();
    let first = line.iter().position(|byte| *byte == b'\n').and_then(|end| line.get(..end));
    if first.is_none() && got < MAX_LINE {
        // The entry that ties it to the one before was not written yet.
        return Ok(());
    }
    let begins = first.and_then(follows).map(|position| position.next_seq);
    let end = checkpoints::of_segment(dir, newest - 1, signer).map_err(|error| damaged(dir, error.to_string()))?;
    let ended = end.map(|end| end.checkpoint.size);
    if begins.is_none() && ended.is_some_and(|ended| signed <= ended) {
        // Nothing in it was signed, so it is met as damage at its end.
        return Ok(());
    }
    if begins.is_none() || begins != ended {
        let path = segment::checkpoint(dir, newest - 1);
        return Err(damaged(&path, "it is not the one that was signed when its segment ended".to_owned()));
    }
    Ok(())
}

/// A walk along the log.
struct Walk {
    position: Position,
    tree: Tree,
    tree_file: Option<TreeFile>,
    nodes: Vec<u8>,
    segment: u64,
    /// How far into the segment it came.
    offset: u64,
    /// The root where the newest checkpoint was signed, once it was passed.
    root_at_checkpoint: Option<Hash>,
    /// Why it came no further.
    damage: Option<String>,
}

impl Walk {
    /// From a place that was durable, once it is seen to be one.
    fn from(dir: &Path, keys: &SegmentKeys, state: State) -> Result<Self, AuditLogError> {
        let size = state.position.next_seq;
        let wrong = |why: &str| damaged(dir, format!("{why}, and {size} were durable"));
        let path = segment::plain(dir, state.segment);
        match files::open_regular(&path) {
            Ok(file) => {
                let length = file.metadata().map_err(at("look at", &path))?.len();
                if length < state.offset {
                    return Err(wrong("its newest entries were cut off"));
                }
                let end = last_lines(&file, state.offset).map_err(at("read", &path))?;
                if !ends_with(&end, &keys.seal_key(state.segment), state.position) {
                    return Err(wrong("another entry stands where its newest durable one was"));
                }
            }
            // It ended there, and was compressed since.
            Err(_) if segment::compressed(dir, state.segment).exists() => {}
            Err(source) => return Err(at("open", &path)(source)),
        }
        let found = TreeFile::open(dir, size).map_err(at("open", &super::tree_file::path(dir)))?;
        let Some(tree_file) = found else {
            return Err(wrong("the file `tree` holds fewer entries"));
        };
        let tree = Tree::resume(size, &tree_file).map_err(at("read", &super::tree_file::path(dir)))?;
        if tree.root() != state.root {
            return Err(wrong("the file `tree` is of another log"));
        }
        Ok(Self {
            position: state.position,
            root_at_checkpoint: None,
            tree,
            tree_file: Some(tree_file),
            nodes: Vec::new(),
            segment: state.segment,
            offset: state.offset,
            damage: None,
        })
    }

    /// From the first entry that is there.
    fn from_the_beginning(dir: &Path, plain: &[u64], compressed: &[u64]) -> Result<Self, AuditLogError> {
        let first = plain.iter().chain(compressed).min().copied().unwrap_or(0);
        let mut position = Position::START;
        if first > 0 {
            // What came before was deleted as old; the segment's first entry says what it follows.
            let mut reader = open(dir, first)?;
            let mut line = vec![0; MAX_LINE];
            let got = fill(&mut reader, &mut line).map_err(at("read", &segment::plain(dir, first)))?;
            let link = line.get(..got).and_then(|bytes| bytes.split(|byte| *byte == b'\n').next()).and_then(follows);
            let Some(link) = link else {
                let why = format!("the first entry of `audit-{first:06}` does not say which one it follows");
                return Err(damaged(dir, why));
            };
            position = link;
        }
        let found = TreeFile::open(dir, position.next_seq).map_err(at("open", &super::tree_file::path(dir)))?;
        let (tree, tree_file) = match found {
            None if position == Position::START => (Tree::default(), None),
            None => {
                let why = format!("the file `tree` holds fewer than the {} entries before", position.next_seq);
                return Err(damaged(dir, why));
            }
            Some(file) => {
                let tree = Tree::resume(position.next_seq, &file);
                (tree.map_err(at("read", &super::tree_file::path(dir)))?, Some(file))
            }
        };
        Ok(Self {
            position,
            tree,
            tree_file,
            nodes: Vec::new(),
            segment: first,
            offset: 0,
            root_at_checkpoint: None,
            damage: None,
        })
    }

    /// Reads and checks everything that comes after.
    fn follow(
        &mut self,
        dir: &Path,
        keys: &SegmentKeys,
        newest: Option<u64>,
        checkpoint: Option<u64>,
    ) -> Result<(), AuditLogError> {
        self.pass(checkpoint);
        let Some(newest) = newest else { return Ok(()) };
        loop {
            self.segment_to_its_end(dir, keys, newest, checkpoint)?;
            if self.segment == newest {
                return Ok(());
            }
            let next =
                self.segment.checked_add(1).ok_or_else(|| damaged(dir, "no segment comes after it".to_owned()))?;
            (self.segment, self.offset) = (next, 0);
        }
    }

    fn segment_to_its_end(
        &mut self,
        dir: &Path,
        keys: &SegmentKeys,
        newest: u64,
        checkpoint: Option<u64>,
    ) -> Result<(), AuditLogError> {
        let path = segment::plain(dir, self.segment);
        let mut reader = open(dir, self.segment)?;
        std::io::copy(&mut (&mut reader).take(self.offset), &mut std::io::sink()).map_err(at("read", &path))?;
        let key = keys.seal_key(self.segment);
        let mut piece = vec![0; PIECE];
        let mut held = 0;
        loop {
            // Less than a line is held, so there is room for more: where nothing comes the file ends.
            let got = fill(&mut reader, piece.get_mut(held..).unwrap_or_default()).map_err(at("read", &path))?;
            let filled = held + got;
            let whole =
                piece.get(..filled).unwrap_or_default().iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
            let lines = piece.get(..whole).unwrap_or_default();
            let checked = check_lines(lines, Some(&key), self.position);
            for leaf in checked.leaves {
                self.tree.push(leaf, &mut self.nodes);
                self.pass(checkpoint);
            }
            self.position = checked.position;
            if let Some((line, bad)) = checked.bad {
                let hold = usize::try_from(line).unwrap_or(usize::MAX);
                let held = lines.split_inclusive(|byte| *byte == b'\n').take(hold);
                self.offset += held.map(|line| line.len() as u64).sum::<u64>();
                return Err(self.stopped(&path, &bad.to_string()));
            }
            self.offset += whole as u64;
            held = filled - whole;
            if held >= MAX_LINE {
                // A power cut tears a line, and leaves no more than that of it: this is a hole, whatever stands behind it.
                let why = format!("it has no end within {MAX_LINE} bytes, and no entry is that long");
                return Err(self.stopped(&path, &why));
            }
            if got == 0 {
                // A torn line at the very end is what a power cut leaves.
                return match held == 0 || self.segment == newest {
                    true => Ok(()),
                    false => Err(damaged(&path, "it ends in the middle of a line, and is not the newest".to_owned())),
                };
            }
            piece.copy_within(whole..filled, 0);
        }
    }

    /// What stands here is no entry.
    fn stopped(&mut self, path: &Path, why: &str) -> AuditLogError {
        let why = format!("the entry that should be number {}: {why}", self.position.next_seq);
        self.damage = Some(why.clone());
        damaged(path, why)
    }

    fn pass(&mut self, checkpoint: Option<u64>) {
        if checkpoint == Some(self.tree.size()) {
            self.root_at_checkpoint = Some(self.tree.root());
        }
    }
}

/// How the newest segment ends.
#[derive(Clone, Copy)]
struct Ending {
    length: u64,
    /// How much stands behind its last whole line: what a power cut leaves of a write that was under way.
    torn: u64,
}

/// Looks at it from behind, and no further than a line is long: the walk meets what is longer.
fn ending(dir: &Path, number: u64) -> Result<Ending, AuditLogError> {
    let path = segment::plain(dir, number);
    let file = SegmentFile::open(dir, number).map_err(at("open", &path))?;
    let length = file.length().map_err(at("look at", &path))?;
    let want = usize::try_from(length).unwrap_or(usize::MAX).min(MAX_LINE);
    let piece = file.read(want, length - want as u64).map_err(at("read", &path))?;
    let torn = piece.iter().rposition(|byte| *byte == b'\n').map_or(want, |last| want - last - 1);
    Ok(Ending { length, torn: torn as u64 })
}

/// The bytes before this place: two lines at least, where there are two.
pub(super) fn last_lines(file: &File, end: u64) -> std::io::Result<Vec<u8>> {
    let want = usize::try_from(end).unwrap_or(usize::MAX).min(2 * MAX_LINE);
    let mut bytes = vec![0; want];
    file.read_exact_at(&mut bytes, end - want as u64)?;
    Ok(bytes)
}

/// Whether these lines end at this position, the last one with a seal that holds.
pub(super) fn ends_with(lines: &[u8], key: &SealKey, position: Position) -> bool {
    let mut lines = lines.split_inclusive(|byte| *byte == b'\n').rev();
    let Some(last) = lines.next() else { return position == Position::START };
    // The first of a segment says itself what it follows.
    let before = match lines.next() {
        Some(line) => Position::after(line),
        None => last.strip_suffix(b"\n").and_then(follows),
    };
    before.is_some_and(|before| {
        let checked = check_lines(last, Some(key), before);
        checked.bad.is_none() && checked.position == position
    })
}

/// What the first line of a segment follows.
pub(super) fn follows(line: &[u8]) -> Option<Position> {
    let line = Line::read(line)?;
    match line.seq_no {
        0 => Some(Position::START),
        next_seq => Some(Position { next_seq, previous: line.previous_hmac? }),
    }
}

/// Reads a segment, plain or compressed.
pub(super) fn open(dir: &Path, number: u64) -> Result<Box<dyn Read>, AuditLogError> {
    let path = segment::plain(dir, number);
    match files::open_regular(&path) {
        Ok(file) => Ok(Box::new(file)),
        Err(source) if source.kind() == std::io::ErrorKind::NotFound => {
            let path = segment::compressed(dir, number);
            let file = files::open_regular(&path).map_err(at("open", &path))?;
            Ok(Box::new(zstd::stream::read::Decoder::new(file).map_err(at("read", &path))?))
        }
        Err(source) => Err(at("open", &path)(source)),
    }
}

/// Reads until the buffer is full or the file ends.
fn fill(reader: &mut dyn Read, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match reader.read(rest) {
            Ok(0) => break,
            Ok(got) => filled += got,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

fn at(what: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> AuditLogError {
    let path = path.to_owned();
    move |source| AuditLogError::Io { what, path, source }
}

fn damaged(path: &Path, why: String) -> AuditLogError {
    AuditLogError::Damaged { path: path.to_owned(), why }
}
