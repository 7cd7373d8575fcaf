//! The walk along all lines: one thread reads, as many as there are processors check, and what they found is put
//! together in order here.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::ScopedJoinHandle;

use portcullis_audit::{BadLine, Checked, Line, Position, check_lines};

use super::blocks::{BLOCK, Block, Cutter};
use super::roots::Roots;
use super::sources::Source;
use super::{CheckError, Doubt, Progress, SealKeys, io as at, unpacked};
use crate::audit_log::pruned::Told;

/// How many threads check at most: beyond that one thread does not read fast enough.
const MOST_THREADS: usize = 16;
/// Blocks for each thread that checks: one in its hands, one that waits for it, one that was checked. With
/// [`BLOCK`] that is all that is ever in memory, however long the log.
const BLOCKS: usize = 3;
/// What an entry says when old segments were deleted.
const PRUNED: &[u8] = b"\"event_type\": \"audit.pruned\"";

/// What a walk came to.
pub(super) struct Walked {
    pub(super) lines: u64,
    pub(super) position: Position,
    pub(super) first: String,
    pub(super) last: String,
    /// The line at which the walk ended, where one does not hold.
    pub(super) bad: Option<Doubt>,
    /// The first line that is not the one in the file `tree`.
    pub(super) differs: Option<Doubt>,
    /// What entries say was deleted, oldest first.
    pub(super) pruned: Vec<Pruned>,
    /// Which file cannot be decompressed, by its place in the list, where the walk ended at it.
    pub(super) packed: Option<usize>,
}

/// What an entry says was deleted.
#[derive(Clone)]
pub(super) struct Pruned {
    /// The entry's number.
    pub(super) seq_no: u64,
    pub(super) told: Told,
}

/// A block and what was found in it.
struct Looked {
    block: Block,
    checked: Checked,
    pruned: Vec<Pruned>,
}

/// Walks along these files from a place on. Memory is bounded; the first line that does not hold ends the walk.
pub(super) fn walk(
    sources: &[Source],
    keys: &SealKeys,
    from: Position,
    roots: &mut Roots<'_>,
    look_for_pruned: bool,
    progress: Progress<'_>,
) -> Result<Walked, CheckError> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(MOST_THREADS);
    let buffers = threads * BLOCKS;
    let (give_back, free) = sync_channel(buffers);
    for _ in 0..buffers {
        // There is room for each, and the other end is here.
        let _ = give_back.send(Vec::with_capacity(BLOCK));
    }
    let (hand_on, waiting) = sync_channel(buffers);
    let waiting = Arc::new(Mutex::new(waiting));
    let (tell, told) = sync_channel(buffers);
    let read = Arc::new(AtomicU64::new(0));
    let cutter = Cutter { sources, keys, from, read: Arc::clone(&read) };
    let total = sources.iter().map(|source| source.bytes).sum();
    std::thread::scope(move |scope| {
        let cutting = scope.spawn(move || cutter.run(&free, &hand_on));
        for _ in 0..threads {
            let (waiting, tell) = (Arc::clone(&waiting), tell.clone());
            scope.spawn(move || look(&waiting, &tell, look_for_pruned));
        }
        // Only the threads hold these ends, so that each of them ends when the others do.
        drop((tell, waiting));
        let mut joined = Joined::new(sources, from, roots);
        let mut early = BTreeMap::new();
        let mut next = 0;
        while let Ok(looked) = told.recv() {
            early.insert(looked.block.index, looked);
            while joined.walked.bad.is_none()
                && let Some(looked) = early.remove(&next)
            {
                next += 1;
                joined.take(&looked)?;
                progress(read.load(Ordering::Relaxed), total);
                let _ = give_back.send(looked.block.bytes);
            }
            if joined.walked.bad.is_some() {
                break;
            }
        }
        drop((told, give_back));
        let packed = match ended(cutting)? {
            Err(CheckError::Packed { path, why }) => Some(Doubt { file: path, line: None, why: unpacked(&why) }),
            cut => cut.map(|()| None)?,
        };
        // A thread that fell would leave its block out.
        if !early.is_empty() && joined.walked.bad.is_none() {
            return Err(CheckError::Thread);
        }
        // All that came before it was handed on.
        if let (None, Some(packed)) = (&joined.walked.bad, packed) {
            joined.walked.packed = sources.iter().position(|source| source.lies_at(&packed.file));
            joined.walked.bad = Some(packed);
        }
        Ok(joined.walked)
    })
}

fn ended<T>(thread: ScopedJoinHandle<'_, T>) -> Result<T, CheckError> {
    thread.join().map_err(|_| CheckError::Thread)
}

/// Checks blocks until there are no more.
fn look(waiting: &Mutex<Receiver<Block>>, tell: &SyncSender<Looked>, look_for_pruned: bool) {
    loop {
        let next = waiting.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(block) = next else { return };
        let checked = check_lines(&block.bytes, block.key.as_ref(), block.from);
        let pruned = if look_for_pruned { pruned(&block.bytes) } else { Vec::new() };
        if tell.send(Looked { block, checked, pruned }).is_err() {
            return;
        }
    }
}

/// What was found so far, in order.
struct Joined<'j, 'r> {
    sources: &'j [Source],
    roots: &'j mut Roots<'r>,
    /// The file that the last block was of, and how many of its lines were taken.
    source: usize,
    lines: u64,
    walked: Walked,
}

impl<'j, 'r> Joined<'j, 'r> {
    fn new(sources: &'j [Source], from: Position, roots: &'j mut Roots<'r>) -> Self {
        let walked = Walked {
            lines: 0,
            position: from,
            first: String::new(),
            last: String::new(),
            bad: None,
            differs: None,
            pruned: Vec::new(),
            packed: None,
        };
        Self { sources, roots, source: 0, lines: 0, walked }
    }

    fn take(&mut self, looked: &Looked) -> Result<(), CheckError> {
        let Looked { block, checked, pruned } = looked;
        if block.source != self.source {
            (self.source, self.lines) = (block.source, 0);
        }
        let path = self.sources.get(block.source).map(|source| source.path.clone()).unwrap_or_default();
        let doubt = |line: u64, why: String| Doubt { file: path.clone(), line: Some(line + 1), why };
        let walked = &mut self.walked;
        walked.bad = match checked.bad {
            // The place before it is what the lines say, so it is wrong only after a line that is.
            _ if checked.from != walked.position => Some(doubt(self.lines, BadLine::Seal.to_string())),
            Some((0, why)) => Some(doubt(self.lines, why.to_string())),
            _ if block.misplaced => {
                let number = self.sources.get(block.source).map_or(0, |source| source.number);
                Some(doubt(self.lines, format!("it does not begin segment {number}")))
            }
            Some((line, why)) => Some(doubt(self.lines + line, why.to_string())),
            None => None,
        };
        if checked.from != walked.position || (block.misplaced && walked.bad.is_some()) {
            return Ok(());
        }
        let differs = self.roots.grow(&checked.leaves).map_err(at("read the tree beside", &path))?;
        if let Some(leaf) = differs {
            let why = "it is not the line in the file `tree`: one of the two was changed";
            walked.differs = Some(doubt(self.lines + leaf as u64, why.to_owned()));
        }
        if walked.first.is_empty() {
            walked.first.clone_from(&checked.first);
        }
        if !checked.last.is_empty() {
            walked.last.clone_from(&checked.last);
        }
        walked.position = checked.position;
        walked.lines += checked.lines;
        if checked.bad.is_none() {
            walked.pruned.extend_from_slice(pruned);
        }
        self.lines += checked.lines;
        Ok(())
    }
}

/// The segments that entries in these lines say were deleted.
fn pruned(bytes: &[u8]) -> Vec<Pruned> {
    let told = |at: usize| {
        let start = memchr::memrchr(b'\n', bytes.get(..at)?).map_or(0, |end| end + 1);
        let end = at + memchr::memchr(b'\n', bytes.get(at..)?)?;
        let line = Line::read(bytes.get(start..end)?)?;
        Some(Pruned { seq_no: line.seq_no, told: Told::read(&line)? })
    };
    memchr::memmem::find_iter(bytes, PRUNED).filter_map(told).collect()
}
