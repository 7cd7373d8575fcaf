//! Compressing a segment that has ended.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use super::KeepError;
use super::ended::Ended;
use crate::audit_log::segment;

/// zstd's level: three is its own default, and faster than the log is written.
const LEVEL: i32 = 3;

/// Compresses a segment: the copy is whole, durable, and of what was written, before the segment goes. Says how many bytes
/// its lines are.
///
/// # Errors
/// When the segment, or a copy that is there, is not what was written, or the disk says no.
pub(super) fn compress(ended: &Ended, number: u64) -> Result<u64, KeepError> {
    let dir = ended.dir();
    let (from, to) = (segment::plain(dir, number), segment::compressed(dir, number));
    if to.exists() {
        // The gate ended between the two steps, or somebody put one of them there.
        let length = ended.read(number, &from, |_| Ok(()))?;
        ended.read(number, &to, |_| Ok(()))?;
        return fs::remove_file(&from).map(|()| length).map_err(KeepError::io("delete", &from));
    }
    let beside = to.with_extension("zst.part");
    let length = write(ended, number, &from, &beside).inspect_err(|_| {
        // On a disk that is full, half a copy would only be in the way.
        let _ = fs::remove_file(&beside);
    })?;
    fs::rename(&beside, &to).map_err(KeepError::io("put in place", &to))?;
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(KeepError::io("sync", dir))?;
    fs::remove_file(&from).map(|()| length).map_err(KeepError::io("delete", &from))
}

/// Compresses what is checked in the same go: nobody can put another file there in between.
fn write(ended: &Ended, number: u64, from: &Path, to: &Path) -> Result<u64, KeepError> {
    let failed = |error| KeepError::io("write", to)(error);
    // What is left of another time goes, and is not written through: it may be a link to something else.
    let _ = fs::remove_file(to);
    let file = fs::OpenOptions::new().create_new(true).write(true).mode(0o600).open(to).map_err(failed)?;
    let mut encoder = zstd::stream::write::Encoder::new(file, LEVEL).map_err(failed)?;
    encoder.include_checksum(true).map_err(failed)?;
    let length = ended.read(number, from, |lines| encoder.write_all(lines).map_err(failed))?;
    let file = encoder.finish().map_err(failed)?;
    file.sync_all().map(|()| length).map_err(failed)
}
