//! Batches as objects that never change: compressed, and named by what is in them.
//!
//! `<node id>/audit-000003/000000012345-000000013344.jsonl.zst` holds the entries 12345 to 13344, all of segment 3; beside
//! them stand the checkpoints that were signed over them. The names in their order give the log. A batch that may have
//! been put is put again under the same name with the same lines, and only where nothing stands.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Instant;

use portcullis_audit::note::MAX_NOTE;
use portcullis_certs::files;
use sha2::{Digest as _, Sha256};

use super::batch::Batch;
use super::place::Place;
use super::{Outlet, Sender, Trouble};
use crate::audit_log::segment;

/// zstd's level: its own default.
const LEVEL: i32 = 3;
/// What an object may be longer than the lines in it: what does not compress costs a header and a few bytes a block.
const OVERHEAD: usize = 64 << 10;
/// How much of a checkpoint's digest stands in its name: it tells a countersigned one from what it was before.
const TAG: usize = 4;

/// Keeps objects by their names.
pub(super) trait Shelf: Send {
    /// Puts an object where none stands. `false` where one does.
    fn put(&mut self, name: &str, bytes: &[u8]) -> Result<bool, String>;

    /// Gets an object of at most this length.
    fn get(&mut self, name: &str, most: usize) -> Result<Vec<u8>, String>;
}

pub(super) struct Archive<S> {
    shelf: S,
    /// The node's id.
    node: String,
    log: PathBuf,
    arrived: Option<(Place, u64)>,
    /// The segment from which on checkpoints are looked for, and the one that was put last.
    noted: (u64, String),
}

impl<S: Shelf> Archive<S> {
    pub(super) fn new(shelf: S, sender: &Sender, log: &Path, place: Place) -> Self {
        // The last checkpoint of the segment before may not have been put yet.
        let noted = (place.cursor.segment.saturating_sub(1), String::new());
        Self { shelf, node: sender.id.clone(), log: log.to_owned(), arrived: None, noted }
    }

    /// Puts a checkpoint of this segment, when everything that it covers was put.
    fn note(&mut self, number: u64, place: Place) -> Result<(), Trouble> {
        let Ok(file) = files::open_regular(&segment::checkpoint(&self.log, number)) else { return Ok(()) };
        let mut note = Vec::new();
        file.take(MAX_NOTE as u64).read_to_end(&mut note).map_err(|error| Trouble::Sink(error.to_string()))?;
        let size = note
            .split(|byte| *byte == b'\n')
            .nth(1)
            .and_then(|size| std::str::from_utf8(size).ok()?.parse::<u64>().ok());
        let Some(size) = size.filter(|size| place.entries.is_some_and(|entries| *size <= entries)) else {
            return Ok(());
        };
        let digest = Sha256::digest(&note);
        let tag = data_encoding::HEXLOWER.encode(digest.get(..TAG).unwrap_or_default());
        let name = format!("{}/audit-{number:06}/{size:012}-{tag}.checkpoint", self.node);
        if self.noted.1 != name {
            let put = self.shelf.put(&name, &note).map_err(Trouble::Sink)?;
            if !put && self.shelf.get(&name, note.len()).map_err(Trouble::Sink)? != note {
                return Err(taken(&name));
            }
            self.noted = (number, name);
        }
        Ok(())
    }

    /// Whether the object of this name holds these lines.
    fn holds(&mut self, name: &str, lines: &[u8]) -> Result<bool, String> {
        let object = self.shelf.get(name, lines.len() + OVERHEAD)?;
        let mut held = Vec::new();
        let unpacked = zstd::Decoder::new(object.as_slice())
            .and_then(|decoder| decoder.take(lines.len() as u64 + 1).read_to_end(&mut held));
        Ok(unpacked.is_ok() && held == lines)
    }
}

impl<S: Shelf> Outlet for Archive<S> {
    fn send(&mut self, batch: &Batch) -> Result<(), Trouble> {
        let Batch { segment, first, next, lines, .. } = batch;
        let name = format!("{}/audit-{segment:06}/{first:012}-{:012}.jsonl.zst", self.node, next.saturating_sub(1));
        let object = compress(lines).map_err(|error| Trouble::Sink(format!("cannot compress `{name}`: {error}")))?;
        let put = self.shelf.put(&name, &object).map_err(Trouble::Sink)?;
        // It is there when the gate ended, or the answer got lost, before its place was kept.
        if !put && !self.holds(&name, lines).map_err(Trouble::Sink)? {
            return Err(taken(&name));
        }
        let before = self.arrived.map_or(0, |(_, lines)| lines);
        self.arrived = Some((batch.after, before + batch.count));
        Ok(())
    }

    fn arrived(&mut self) -> Result<Option<(Place, u64)>, Trouble> {
        Ok(self.arrived.take())
    }

    fn is_full(&self) -> bool {
        false
    }

    fn repeats_exactly(&self) -> bool {
        true
    }

    fn ask_again(&self) -> Option<Instant> {
        None
    }

    fn rest(&mut self, place: Place) -> Result<(), Trouble> {
        let numbers = segment::numbers(&self.log, ".checkpoint").map_err(|error| Trouble::Sink(error.to_string()))?;
        let range = self.noted.0..=place.cursor.segment;
        numbers.into_iter().filter(|number| range.contains(number)).try_for_each(|number| self.note(number, place))
    }

    fn reset(&mut self) {
        self.arrived = None;
    }

    fn finish(&mut self) -> Result<(), Trouble> {
        Ok(())
    }
}

fn taken(name: &str) -> Trouble {
    let what = "another object stands there already; keep it as evidence, and move it away";
    Trouble::Sink(format!("cannot put `{name}`: {what}"))
}

fn compress(lines: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = zstd::Encoder::new(Vec::new(), LEVEL)?;
    encoder.include_checksum(true)?;
    encoder.write_all(lines)?;
    encoder.finish()
}
