//! The firewall's engine: what a text hides that must not leave, or must not come in.
//!
//! 1. [`Rules`] are written as data, in gitleaks' format, and compiled once.
//! 2. A text is scanned as it stands, as a reader sees it, and as it reads when it is decoded.
//! 3. Keywords say which rules can match at all; only these look closer, and only where they can.
//! 4. What has the shape of a finding is checked: checksums, structure, entropy, placeholders.
//! 5. The work is bounded. What takes more than a text of its size may take is not judged, and so
//!    it is refused: [`Exhausted`].
//!
//! No sockets, no files, no clocks: a rule file comes in as text.

#![cfg_attr(test, allow(clippy::string_slice, reason = "tests slice the ASCII that they wrote"))]

mod allow;
mod budget;
mod check;
mod count;
mod decode;
mod document;
mod engine;
mod expression;
mod finding;
mod injection;
mod join;
mod keywords;
#[cfg(test)]
mod levels;
mod listed;
mod planes;
mod rule;
mod rules;
mod runs;
mod sample;
mod samples;
mod scan;
#[cfg(test)]
mod speed;
mod stream;
mod structure;
mod trigger;
mod view;

pub use check::Candidate;
pub use document::{Diagnostic, Source};
pub use finding::{Finding, Through};
pub use rule::{Action, Direction, Kind, Rule};
pub use rules::{Report, Rules, Selection};
pub use sample::{Malformed, draw};
pub use samples::Samples;
pub use scan::{Exhausted, Origin, Scratch, Standing, Text};
pub use stream::{MOST_HELD, MOST_STATE, Stream, StreamFinding};
