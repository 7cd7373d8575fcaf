//! The files of a log: which there are, and what stands in one of them, whether it is compressed or not.

use std::fs::{self, File};
use std::io::{self, BufReader, Read as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use portcullis_certs::files;

use super::lines::Lines;

/// The largest window that a compressed segment may ask for, as a power of two: 128 MiB, which is also the most that
/// zstd's own command line takes without being told to.
const MAX_WINDOW_LOG: u32 = 27;

/// What stands at the end of the name of a compressed segment.
const PACKED: &str = ".zst";

/// A segment that is there.
pub(crate) struct Segment {
    pub(crate) path: PathBuf,
    pub(crate) content: Content,
}

/// How it is kept.
pub(crate) enum Content {
    /// In a zstd stream: nobody writes it any more.
    Packed(Box<BufReader<zstd::Decoder<'static, BufReader<File>>>>),
    /// As it was written, and may still be.
    Plain(File),
}

impl Segment {
    /// Opens a segment by its number; none when it is not there (any more).
    pub(crate) fn open(dir: &Path, number: u64) -> io::Result<Option<Self>> {
        // In this order: the plain one goes only after the compressed one has its name.
        for path in [dir.join(name(number)), dir.join(name(number) + PACKED)] {
            match Self::file(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                opened => return opened.map(Some),
            }
        }
        Ok(None)
    }

    /// Opens a file that holds lines, wherever it is; one whose name ends in `.zst` is compressed.
    pub(crate) fn file(path: &Path) -> io::Result<Self> {
        let file = files::open_regular(path)?;
        let content = if path.extension().is_some_and(|end| end == "zst") {
            let mut decoder = zstd::Decoder::new(file)?;
            decoder.window_log_max(MAX_WINDOW_LOG)?;
            Content::Packed(Box::new(BufReader::new(decoder)))
        } else {
            Content::Plain(file)
        };
        Ok(Self { path: path.to_owned(), content })
    }

    /// Its lines from a place on, counted in uncompressed bytes.
    ///
    /// # Errors
    /// What the disk says, and `UnexpectedEof` when a compressed one ends before that place.
    pub(crate) fn lines(self, offset: u64) -> io::Result<Lines> {
        let content = match self.content {
            Content::Packed(mut packed) => {
                let skipped = io::copy(&mut (&mut packed).take(offset), &mut io::sink())?;
                if skipped < offset {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                Content::Packed(packed)
            }
            plain @ Content::Plain(_) => plain,
        };
        Ok(Lines::new(content, offset))
    }
}

/// The numbers of the segments that are there, oldest first. A log that has not begun has none.
pub(crate) fn numbers(dir: &Path) -> io::Result<Vec<u64>> {
    let listed = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        listed => listed?,
    };
    let mut found = Vec::new();
    for entry in listed {
        found.extend(entry?.file_name().to_str().and_then(number));
    }
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

/// The number in a file's name. A name that spells it otherwise than the writer does is another file's.
fn number(file: &str) -> Option<u64> {
    let plain = file.strip_suffix(PACKED).unwrap_or(file);
    let number = plain.strip_prefix("audit-")?.strip_suffix(".jsonl")?.parse().ok()?;
    (name(number) == plain).then_some(number)
}

fn name(number: u64) -> String {
    format!("audit-{number:06}.jsonl")
}

/// Whether a line of this file begins here.
pub(super) fn begins_line(file: &File, offset: u64) -> io::Result<bool> {
    let Some(before) = offset.checked_sub(1) else { return Ok(true) };
    let mut byte = [0];
    Ok(file.read_at(&mut byte, before)? == 1 && byte == *b"\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_writer_names_is_a_segment() {
        for (file, expected) in [
            ("audit-000000.jsonl", Some(0)),
            ("audit-000001.jsonl.zst", Some(1)),
            ("audit-1000000.jsonl", Some(1_000_000)),
            ("audit-1.jsonl", None),
            ("audit-+00001.jsonl", None),
            ("audit-000001.jsonl.gz", None),
            ("audit-000001.jsonl.zst.part", None),
            ("audit-.jsonl", None),
            ("tree", None),
        ] {
            assert_eq!(number(file), expected, "{file}");
        }
    }
}
