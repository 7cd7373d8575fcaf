//! `portcullis audit tail`: the newest entries, and those to come.

use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use super::Outcome;
use super::entry::Entry;
use super::output::Output;
use super::table::row;
use super::walk::Told;
use crate::audit_log::read::{Reader, Step, newest};
use crate::cli::colour;

/// How long to wait at the end of the log before it is looked at again.
const PAUSE: Duration = Duration::from_millis(200);

/// Prints the newest entries, and those to come when it follows, until its own reader is gone.
pub(super) fn tail(dir: &Path, follow: bool, lines: u64, as_json: bool) -> Outcome {
    let span = newest(dir, lines, |_| true)?;
    let mut reader = Reader::from(dir, span.from);
    let mut output = Output::standard();
    let mut told = Told::default();
    let colour = colour();
    while !output.is_closed() && (follow || reader.cursor() < span.to) {
        match reader.next()? {
            Step::Line(line) => match Entry::read(line) {
                Some(entry) => {
                    let written =
                        if as_json { output.write_all(line) } else { writeln!(output, "{}", row(&entry, colour)) };
                    written.map_err(|error| output.unwritten(&error))?;
                }
                None => told.no_entry(&mut reader),
            },
            Step::End { .. } if follow => {
                output.flush().map_err(|error| output.unwritten(&error))?;
                output.wait(PAUSE)?;
            }
            Step::End { .. } => break,
            step => told.step(&step),
        }
    }
    output.finish()?;
    told.end()
}
