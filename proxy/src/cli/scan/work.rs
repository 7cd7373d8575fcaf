//! Scanning many sources at once, and telling them in their order.

use std::collections::BTreeMap;
use std::io::Read;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError, mpsc};

use portcullis_firewall::Scratch;

use super::judge::{Judge, Judged};
use super::sources::{self, Source};
use super::windows::{self, Content, WINDOW, Window};
use crate::cli::places::Place;

/// More workers than this wait for each other.
const MOST_WORKERS: usize = 16;

/// What became of one source.
pub(super) struct Done<'r> {
    pub(super) file: Arc<str>,
    pub(super) commit: Option<Arc<str>>,
    pub(super) became: Became,
    pub(super) judged: Judged<'r>,
}

/// How far it was scanned.
pub(super) enum Became {
    /// To its end; so many bytes.
    Scanned(u64),
    /// Not at all: it is no text.
    Binary,
    /// Not at all: it has so many bytes.
    TooLarge(u64),
    /// Not, or not to its end.
    Failed(String),
}

/// Scans what comes, on all cores, and tells each in its order.
pub(super) fn all<'r>(judge: &Judge<'r>, sources: impl Iterator<Item = Source> + Send, tell: &mut dyn FnMut(Done<'r>)) {
    let workers = std::thread::available_parallelism().map_or(1, usize::from).min(MOST_WORKERS);
    let sources = Mutex::new(sources.enumerate());
    let (done, told) = mpsc::sync_channel(workers);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            let (sources, done) = (&sources, done.clone());
            scope.spawn(move || {
                let mut scratch = Scratch::patient();
                loop {
                    let next = sources.lock().unwrap_or_else(PoisonError::into_inner).next();
                    let Some((number, source)) = next else { return };
                    if done.send((number, one(judge, source, &mut scratch))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(done);
        let mut waiting = BTreeMap::new();
        let mut next = 0;
        for (number, done) in told {
            waiting.insert(number, done);
            while let Some(done) = waiting.remove(&next) {
                tell(done);
                next += 1;
            }
        }
    });
}

/// Scans one source. Whatever breaks, it is told that this one was not judged.
fn one<'r>(judge: &Judge<'r>, source: Source, scratch: &mut Scratch) -> Done<'r> {
    let (file, commit) = (source.name(), source.commit());
    let mut judged = Judged::new(file.clone(), commit.clone());
    let became = catch_unwind(AssertUnwindSafe(|| scan(judge, source, &mut judged, scratch)));
    let became = became.unwrap_or_else(|_| {
        *scratch = Scratch::patient();
        Became::Failed("the scanner broke on it".to_owned())
    });
    Done { file, commit, became, judged }
}

fn scan<'r>(judge: &Judge<'r>, source: Source, judged: &mut Judged<'r>, scratch: &mut Scratch) -> Became {
    match source {
        Source::Unreadable(_, why) => Became::Failed(why),
        Source::TooLarge(_, size) => Became::TooLarge(size),
        Source::Input(_) => read(judge, &mut std::io::stdin().lock(), true, judged, scratch),
        Source::File(path) => match sources::open(&path) {
            Ok(mut file) => read(judge, &mut *file, false, judged, scratch),
            Err(error) => Became::Failed(error.to_string()),
        },
        Source::Patch(patch) => {
            let (text, binary) = patch.text();
            if binary {
                return Became::Binary;
            }
            let read = read(judge, &mut text.as_bytes(), true, judged, scratch);
            for told in &mut judged.told {
                for place in [&mut told.from, &mut told.to] {
                    place.line = patch.number(place.line);
                }
            }
            read
        }
    }
}

/// Scans what is read, window by window.
fn read<'r>(
    judge: &Judge<'r>,
    from: &mut dyn Read,
    binary_too: bool,
    judged: &mut Judged<'r>,
    scratch: &mut Scratch,
) -> Became {
    let mut unjudged = None;
    let read = windows::each(from, binary_too, WINDOW, &mut |window: &Window<'_>| {
        if unjudged.is_none() && judged.window(judge, window, scratch).is_err() {
            unjudged = Some(window.first);
        }
    });
    match (read, unjudged) {
        (Err(error), _) => Became::Failed(error.to_string()),
        (Ok(_), Some(Place { line, .. })) => Became::Failed(format!(
            "from line {line} on it takes more work than a text of its size may take: not judged"
        )),
        (Ok(Content::Binary), _) => Became::Binary,
        (Ok(Content::Text(bytes)), _) => Became::Scanned(bytes),
    }
}
