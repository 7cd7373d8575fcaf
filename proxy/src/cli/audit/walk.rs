//! Going through the log, entry by entry, and telling of what is none.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::output::Output;
use super::which::Which;
use super::{ConfigArg, Failure, Outcome};
use crate::audit_log::read::{Damage, Reader, Step, newest, numbers};

/// How many damaged places are told one by one.
const MAX_TOLD: u64 = 10;

const NO_ENTRY: &str = "it is not an entry";

/// The folder of this gate's log, in which there is one.
pub(super) fn folder(config: &ConfigArg) -> Outcome<PathBuf> {
    begun(config.state()?.join("audit"))
}

/// The same folder, if a log was begun in it.
pub(super) fn begun(dir: PathBuf) -> Outcome<PathBuf> {
    match numbers(&dir) {
        Ok(numbers) if numbers.is_empty() => {
            Err(Failure::no(format!("there is no audit log in `{}`; `portcullis run` begins one", dir.display())))
        }
        Ok(_) => Ok(dir),
        Err(error) => Err(Failure::broken(format!("cannot read the audit log in `{}`: {error}", dir.display()))),
    }
}

/// Hands on every entry that fits and was there when this began, oldest first, each as it is read.
///
/// # Errors
/// When the log cannot be read or the output not be written, and, at the end, when some of the log was damaged.
pub(super) fn walk(
    dir: &Path,
    which: &Which,
    mut output: Output,
    mut each: impl FnMut(&[u8], &mut Output) -> std::io::Result<()>,
) -> Outcome {
    which.check()?;
    let span = newest(dir, which.limit().unwrap_or(0), |line| which.fits(line).unwrap_or(false))?;
    let mut reader = match which.limit() {
        Some(_) => Reader::from(dir, span.from),
        None => Reader::oldest(dir)?,
    };
    let mut told = Told::default();
    while reader.cursor() < span.to && !output.is_closed() {
        match reader.next()? {
            Step::Line(line) => match which.fits(line) {
                Ok(true) => each(line, &mut output).map_err(|error| output.unwritten(&error))?,
                Ok(false) => {}
                Err(_) => told.no_entry(&mut reader),
            },
            Step::End { .. } => break,
            step => told.step(&step),
        }
    }
    output.finish()?;
    told.end()
}

/// What was met that is no entry.
#[derive(Default)]
pub(super) struct Told {
    damaged: u64,
}

impl Told {
    /// Tells of what a reader met besides lines.
    pub(super) fn step(&mut self, step: &Step<'_>) {
        match step {
            Step::Damaged(damage) => self.damage(damage),
            Step::End { .. } | Step::Line(_) => {}
            Step::Pruned(gone) => {
                say_aside(&format!("segments {} to {} of the log were deleted meanwhile", gone.start(), gone.end()));
            }
            Step::TakenBack => {
                say_aside(
                    "the newest lines could not be brought to the disk, and were taken back; what is shown may hold them",
                );
            }
        }
    }

    /// Tells that the line that was read last is no entry.
    pub(super) fn no_entry(&mut self, reader: &mut Reader) {
        self.damage(&reader.last(NO_ENTRY));
    }

    fn damage(&mut self, damage: &Damage) {
        self.damaged += 1;
        if self.damaged <= MAX_TOLD {
            say_aside(&damage.to_string());
        }
    }

    /// Whether everything was an entry.
    pub(super) fn end(self) -> Outcome {
        match self.damaged {
            0 => Ok(()),
            count => Err(Failure::no(format!(
                "{}, and left out; `portcullis audit verify` tells what holds",
                if count == 1 {
                    "1 place of the log is no entry".to_owned()
                } else {
                    format!("{count} places of the log are no entries")
                }
            ))),
        }
    }
}

/// Says something on standard error, beside what was asked for.
fn say_aside(text: &str) {
    let _ = writeln!(std::io::stderr(), "portcullis: {text}");
}
