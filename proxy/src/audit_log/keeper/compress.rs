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

/// Compresses a segment: the copy is whole, durable, and of what was written, before the segment goes.
///
/// # Errors
/// When the segment, or a copy that is there, is not what was written, or the disk says no.
pub(super) fn compress(ended: &Ended, number: u64) -> Result<(), KeepError> {
    let dir = ended.dir();
    let (from, to) = (segment::plain(dir, number), segment::compressed(dir, number));
    if to.exists() {
        // The gate ended between the two steps, or somebody put one of them there.
        ended.read(number, &from, |_| Ok(()))?;
        ended.read(number, &to, |_| Ok(()))?;
        return fs::remove_file(&from).map_err(KeepError::io("delete", &from));
    }
    let beside = to.with_extension("zst.part");
    if let Err(error) = write(ended, number, &from, &beside) {
        // On a disk that is full, half a copy would only be in the way.
        let _ = fs::remove_file(&beside);
        return Err(error);
    }
    fs::rename(&beside, &to).map_err(KeepError::io("put in place", &to))?;
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(KeepError::io("sync", dir))?;
    fs::remove_file(&from).map_err(KeepError::io("delete", &from))
}

/// Compresses what is checked in the same go: nobody can put another file there in between.
fn write(ended: &Ended, number: u64, from: &Path, to: &Path) -> Result<(), KeepError> {
    let failed = |error| KeepError::io("write", to)(error);
    let file = fs::OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(to).map_err(failed)?;
    let mut encoder = zstd::stream::write::Encoder::new(file, LEVEL).map_err(failed)?;
    encoder.include_checksum(true).map_err(failed)?;
    ended.read(number, from, |lines| encoder.write_all(lines).map_err(failed))?;
    let file = encoder.finish().map_err(failed)?;
    file.sync_all().map_err(failed)
}
