//! Zip exports of a database of advisories.

use std::fs::File;
use std::io::{BufReader, Read as _, Seek as _, SeekFrom};

use portcullis_osv::MAX_ADVISORY;
use zip::ZipArchive;

use super::sources::Source;
use super::{Broken, ImportError, Intake};

/// How many entries an archive may have; the export of everything that OSV has is below a million.
const MAX_ENTRIES: usize = 2_000_000;

/// How many times its own size an archive may unpack to. Advisories shrink to a tenth or so.
const MAX_RATIO: u64 = 100;

/// What any archive may unpack to, in bytes, however small it is: two of the longest advisories.
const FREE: u64 = 16 * 1024 * 1024;

/// Whether a file begins as a zip archive does.
pub(super) fn is_archive(mut file: &File) -> bool {
    let mut magic = [0; 4];
    let is_archive = file.read_exact(&mut magic).is_ok() && magic == *b"PK\x03\x04";
    // Where the file cannot be read from its beginning again, reading it says so.
    let _ = file.seek(SeekFrom::Start(0));
    is_archive
}

/// Takes every entry of an archive that ends in `.json`.
pub(super) fn take(intake: &mut Intake<'_>, source: &Source, file: File) -> Result<(), ImportError> {
    let mut archive = match ZipArchive::new(BufReader::new(file)) {
        Ok(archive) => archive,
        Err(error) => {
            intake.broken(Broken::of(source, format!("no zip archive: {error}")));
            return Ok(());
        }
    };
    let bomb = |problem: String| ImportError::Bomb { path: source.path.clone(), problem };
    if archive.len() > MAX_ENTRIES {
        return Err(bomb(format!("has {} entries, expected at most {MAX_ENTRIES}", archive.len())));
    }
    let mut left = source.size.saturating_mul(MAX_RATIO).max(FREE);
    let mut bytes = Vec::new();
    for i in 0..archive.len() {
        let mut name = None;
        let mut packed = 0;
        bytes.clear();
        let read = archive.by_index(i).map_err(|error| error.to_string()).and_then(|entry| {
            let entry_name = String::from_utf8_lossy(entry.name_raw()).into_owned();
            let wanted = entry.is_file() && entry_name.to_ascii_lowercase().ends_with(".json");
            packed = entry.compressed_size();
            name = Some(entry_name);
            if !wanted {
                return Ok(false);
            }
            // What the archive says of the size of an entry need not be so.
            let most = (MAX_ADVISORY as u64).saturating_add(1).min(left.saturating_add(1));
            entry.take(most).read_to_end(&mut bytes).map(|_| true).map_err(|error| error.to_string())
        });
        let length = bytes.len() as u64;
        let Some(rest) = left.checked_sub(length) else {
            return Err(bomb(format!("unpacks to more than {MAX_RATIO} times its size")));
        };
        left = rest;
        let place = || Broken { entry: name.clone(), ..Broken::of(source, String::new()) };
        match read {
            Ok(true) => intake.take(place, &bytes)?,
            Ok(false) => {}
            Err(problem) => intake.broken(Broken { problem, ..place() }),
        }
        intake.read = intake.read.saturating_add(packed);
        intake.step(&source.path, 0);
        // The whole of the file is counted when it is done.
        intake.read = intake.read.saturating_sub(packed);
    }
    Ok(())
}
