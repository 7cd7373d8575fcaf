//! Taking what is no entry off the end of the log, so that it can be continued.
//!
//! A power cut may leave blocks that were never written among entries that had not been synced, and whole lines behind
//! them. A start takes off a torn last line by itself, but nothing before which whole lines stand, and nothing that is
//! longer than a line: that may as well be somebody's doing, and an operator has to look. Only what no checkpoint is over
//! is ever taken off; it is kept beside the log, and an entry that says so takes its place in one step: whenever a repair
//! ends, either all of it is still there, or that entry is.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use portcullis_certs::{NodeKey, files};
use portcullis_filters::audit::Entry;
use sha2::{Digest as _, Sha256};

use super::resume::{End, last_that_holds};
use super::segment::{self, SegmentFile};
use super::{AuditKey, AuditLog, AuditLogError, lock, pruned, signer};
use crate::config::AuditSettings;

/// As many files are kept of damage at one place.
const MOST_KEPT: u32 = 8;

/// How much is copied at once.
const PIECE: usize = 1 << 20;

/// What is no entry at the end of a log.
#[derive(Debug)]
pub(crate) struct Damage {
    /// The newest segment, and how many of its bytes hold.
    pub(crate) file: PathBuf,
    pub(crate) holds: u64,
    /// How many entries the log has without it, and how many of these are under a checkpoint.
    pub(crate) entries: u64,
    pub(crate) signed: u64,
    /// How many bytes it is, and how many lines end in it.
    pub(crate) bytes: u64,
    pub(crate) lines: u64,
    /// What is wrong with the first.
    pub(crate) why: String,
    /// Where it is kept, once it was taken off.
    pub(crate) kept: PathBuf,
}

/// A log that nobody else writes meanwhile, and its damage.
pub(crate) struct Damaged {
    dir: PathBuf,
    lock: File,
    /// What holds, and the newest segment in it.
    end: End,
    number: u64,
    pub(crate) damage: Damage,
}

impl Damaged {
    /// Looks for it. `None` where a start would continue the log as it is.
    ///
    /// # Errors
    /// When a gate writes the log, when something is wrong that a checkpoint is over, or when the disk says no.
    pub(crate) fn find(dir: &Path, key: &AuditKey, node: &NodeKey) -> Result<Option<Self>, AuditLogError> {
        let lock = lock(dir)?;
        let (keys, signer) = (key.segments(), signer(dir, node)?);
        let end = last_that_holds(dir, &keys, &signer)?;
        let (Some(why), Some((number, holds))) = (end.damage.clone(), end.segment) else { return Ok(None) };
        // Nothing is taken off a log that would not be continued afterwards.
        pruned::accounts_for_the_beginning(dir, &keys, &signer)?;
        let file = segment::plain(dir, number);
        let mut seen = Seen::default();
        rest(&file, holds, |piece| seen.see(piece)).map_err(at("read", &file))?;
        let entries = end.position.next_seq;
        let kept = dir.join(format!("damaged-{number:06}-{entries:012}"));
        let Seen { bytes, lines, .. } = seen;
        let damage = Damage { file, holds, entries, signed: end.signed, bytes, lines, why, kept };
        Ok(Some(Self { dir: dir.to_owned(), lock, end, number, damage }))
    }

    /// Takes it off: the entry that says so stands in its place, or it does. Where that ends early, and it does not stand
    /// there any more, a start goes on behind the entry.
    ///
    /// # Errors
    /// When something is kept under this name already, or the disk says no.
    pub(crate) fn take_off(
        self,
        key: &AuditKey,
        node: Arc<NodeKey>,
        settings: AuditSettings,
    ) -> Result<Damage, AuditLogError> {
        let Self { dir, lock, mut end, number, damage } = self;
        let (kept, digest) = keep(&damage).map_err(at("keep what is damaged as", &damage.kept))?;
        let damage = Damage { kept, ..damage };
        File::open(&dir).and_then(|dir| dir.sync_all()).map_err(at("sync", &dir))?;
        let name = damage.kept.file_name().unwrap_or_default().to_string_lossy();
        let entry = Entry {
            event_type: "audit.repaired",
            path: &name,
            output_sha256: &digest,
            response_bytes: damage.bytes,
            ..Entry::default()
        };
        let (lines, _) = end.tell(&key.segments(), Some(&entry));
        let file = SegmentFile::open(&dir, number).map_err(at("open", &damage.file))?;
        let as_found = file.length().and_then(|length| match length == damage.holds + damage.bytes {
            true => Ok(()),
            false => Err(grown()),
        });
        let replaced = as_found.and_then(|()| file.replace(&dir, number, damage.holds, &lines));
        replaced.map_err(at("take it off", &damage.file))?;
        let (log, _) = AuditLog::open_locked(lock, &dir, key, node, settings)?;
        log.close();
        Ok(damage)
    }
}

/// Copies the damage to where it is kept, and returns its name and its SHA-256 in hex. What an attempt before kept there
/// stays: where that is something else, this gets another name.
fn keep(damage: &Damage) -> io::Result<(PathBuf, String)> {
    let part = damage.kept.with_extension("part");
    // A disk that is full needs the room.
    keep_by(damage, &part).inspect_err(|_| _ = fs::remove_file(&part))
}

fn keep_by(damage: &Damage, part: &Path) -> io::Result<(PathBuf, String)> {
    // Left by an attempt that ended early.
    match fs::remove_file(part) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut copy = fs::OpenOptions::new().create_new(true).write(true).mode(0o600).open(part)?;
    let mut seen = Seen::default();
    rest(&damage.file, damage.holds, |piece| {
        seen.see(piece)?;
        copy.write_all(piece)
    })?;
    copy.sync_all()?;
    if seen.bytes != damage.bytes {
        return Err(grown());
    }
    let digest = seen.digest.finalize();
    for number in 0..MOST_KEPT {
        let name = if number == 0 { damage.kept.clone() } else { damage.kept.with_extension(number.to_string()) };
        if !name.try_exists()? {
            fs::rename(part, &name)?;
            return Ok((name, data_encoding::HEXLOWER.encode(&digest)));
        }
        let mut there = Seen::default();
        rest(&name, 0, |piece| there.see(piece))?;
        if there.digest.finalize() == digest {
            fs::remove_file(part)?;
            return Ok((name, data_encoding::HEXLOWER.encode(&digest)));
        }
    }
    Err(io::Error::new(io::ErrorKind::AlreadyExists, "too much is kept under this name already; move it away"))
}

/// Only what is kept is cut off.
fn grown() -> io::Error {
    io::Error::other("the segment is not as long as it was a moment ago: see that nobody else writes it, and try again")
}

/// What was seen of it.
#[derive(Default)]
struct Seen {
    bytes: u64,
    lines: u64,
    digest: Sha256,
}

impl Seen {
    fn see(&mut self, piece: &[u8]) -> io::Result<()> {
        self.bytes += piece.len() as u64;
        self.lines += memchr::memchr_iter(b'\n', piece).count() as u64;
        self.digest.update(piece);
        Ok(())
    }
}

/// Reads a file from a place to its end.
fn rest(path: &Path, from: u64, mut see: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
    let mut file = files::open_regular(path)?;
    io::Seek::seek(&mut file, io::SeekFrom::Start(from))?;
    let mut piece = vec![0; PIECE];
    loop {
        match file.read(&mut piece) {
            Ok(0) => return Ok(()),
            Ok(got) => see(piece.get(..got).unwrap_or_default())?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn at(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> AuditLogError {
    let path = path.to_owned();
    move |source| AuditLogError::Io { what, path, source }
}
