//! `portcullis audit verify`: whether the chain holds.

use std::path::{Path, PathBuf};
use std::time::Duration;

use portcullis_audit::{Line, Position, check_lines};
use serde_json::json;

use super::entry::NOTHING;
use super::walk::begun;
use super::{Failure, JsonArgs, Outcome, say};
use crate::audit_log::AuditKey;
use crate::audit_log::read::{Came, MAX_LINE, Segment, numbers};
use crate::audit_log::segment;

/// How often, and after which pause, a line without its end is looked at again: a gate may be writing it.
const LOOKS: (u32, Duration) = (50, Duration::from_millis(20));

/// What was seen.
#[derive(Default)]
pub(crate) struct Summary {
    pub(crate) entries: u64,
    pub(crate) first: String,
    pub(crate) last: String,
    pub(crate) head: String,
}

/// What a check of the log came to.
pub(crate) struct Checked {
    pub(crate) summary: Summary,
    pub(crate) segments: usize,
    /// File, line and reason of the first line that does not hold.
    pub(crate) bad: Option<(PathBuf, u64, String)>,
}

pub(super) fn verify(files: &[PathBuf], args: &JsonArgs) -> Outcome {
    let config = args.config.load()?;
    let checked = check(&config.node.state, files)?;
    let (sum, bad) = (&checked.summary, &checked.bad);
    let or_dash = |text: &str| if text.is_empty() { NOTHING.to_owned() } else { text.to_owned() };
    if args.json {
        let bad = bad.as_ref().map(|(file, line, why)| json!({"file": file, "line": line, "reason": why}));
        say!(
            "{}",
            json!({"ok": bad.is_none(), "entries": sum.entries, "segments": checked.segments, "first": sum.first, "last": sum.last, "head": sum.head, "bad": bad})
        );
    } else {
        let (entries, files) = (sum.entries, checked.segments);
        say!("{entries} entries in {files} file(s), {} to {}", or_dash(&sum.first), or_dash(&sum.last));
        say!("head {}", or_dash(&sum.head));
    }
    match bad {
        None => {
            if !args.json {
                say!("the chain holds");
            }
            Ok(())
        }
        Some((file, line, why)) => {
            Err(Failure::no(format!("the chain does not hold: {}:{line}: {why}", file.display())))
        }
    }
}

/// Checks the log of a state directory, or the given files as one chain.
pub(crate) fn check(state: &Path, files: &[PathBuf]) -> Outcome<Checked> {
    let files = if files.is_empty() { of_log(&begun(state.join("audit"))?)? } else { files.to_vec() };
    let keys = AuditKey::load(state).map_err(|e| Failure::no(format!("{e:#}")))?.segments();
    let (mut summary, mut position) = (Summary::default(), Position::START);
    for (number, file) in files.iter().enumerate() {
        let unread = |error: std::io::Error| Failure::no(format!("cannot read `{}`: {error}", file.display()));
        let mut lines = Segment::file(file).and_then(|segment| segment.lines(0)).map_err(unread)?;
        let (mut line, key) = (Vec::new(), keys.seal_key(number as u64));
        let (mut number, mut looks) = (1, 0);
        loop {
            let why = match lines.next(&mut line).map_err(unread)? {
                Came::End { torn: 0 } => break,
                Came::End { .. } if looks < LOOKS.0 => {
                    looks += 1;
                    std::thread::sleep(LOOKS.1);
                    continue;
                }
                Came::End { .. } => "it ends in the middle of a line".to_owned(),
                Came::TooLong => format!("it is longer than {MAX_LINE} bytes, and no entry is"),
                Came::Line => {
                    let checked = check_lines(&line, Some(&key), position);
                    position = checked.position;
                    match checked.bad {
                        None => {
                            summary.saw(&line, &position);
                            (number, looks) = (number + 1, 0);
                            continue;
                        }
                        Some((_, why)) => why.to_string(),
                    }
                }
            };
            return Ok(Checked { summary, segments: files.len(), bad: Some((file.clone(), number, why)) });
        }
    }
    Ok(Checked { summary, segments: files.len(), bad: None })
}

/// The files of a log, oldest first.
fn of_log(dir: &Path) -> Outcome<Vec<PathBuf>> {
    let place = |number| Some(segment::plain(dir, number)).filter(|path| path.exists());
    Ok(numbers(dir)?.into_iter().map(|n| place(n).unwrap_or_else(|| segment::compressed(dir, n))).collect())
}

impl Summary {
    fn saw(&mut self, line: &[u8], position: &Position) {
        self.entries += 1;
        position.previous.as_str().clone_into(&mut self.head);
        let time = line.strip_suffix(b"\n").and_then(Line::read).map(|line| line.timestamp.to_owned());
        self.last = time.unwrap_or_default();
        if self.first.is_empty() {
            self.first.clone_from(&self.last);
        }
    }
}
