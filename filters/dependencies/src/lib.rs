//! What dependencies a text or a manifest brings in.
//!
//! 1. A text is an answer, prose with blocks of code in it, or a file of which the name is known: [`Hint`].
//! 2. It is read as it grows, line by line: [`Growing`]. [`find`] reads a whole one in the same way, so a stream and the
//!    text that it becomes bring in the same.
//! 3. Disguises fall first: what is not seen is gone, and full width is ASCII. A name in look-alike letters stays as it
//!    is written, and is flagged.
//! 4. Commands that install something are found in any line. In prose a line is held only from a word on that may be the
//!    name of a tool; the words that follow decide.
//! 5. Manifests, lock files and imports are followed by a reader for each kind, all of them where nobody says what a
//!    block is. An entry of several lines is held until it is read.
//! 6. Each [`Found`] says which package, which versions ([`portcullis_osv::Wanted`]), where in the text, and how that was
//!    said. What does not come from the ecosystem's own registry says from where: [`Remote`].
//! 7. Everything is bounded: what is held ([`MOST_HELD`]), what is told ([`MOST_FOUND`]), how deep and how long. What
//!    goes beyond, or is broken, is told as [`Unreadable`].
//!
//! No sockets, no files, no clocks: texts come in, findings go out.
//!
//! ```
//! use portcullis_dependencies::{Hint, find};
//!
//! let findings = find("First run `pip install requests==2.19.1`.", Hint::Answer);
//! let found = findings.found.first().ok_or("nothing")?;
//! assert_eq!(found.package.to_string(), "PyPI:requests");
//! assert_eq!(found.wanted.to_string(), "2.19.1");
//! # Ok::<(), &str>(())
//! ```

#![cfg_attr(test, allow(clippy::string_slice, reason = "tests slice the ASCII that they wrote"))]

mod command;
mod fence;
mod format;
mod found;
mod fragment;
mod go_lines;
mod gradle;
mod growing;
mod imports;
mod json;
mod lines;
mod pins;
mod requirements;
mod ruby;
mod seen;
mod setup;
mod spec;
mod strings;
mod toml_lines;
mod trigger;
mod written;
mod xml;
mod yaml;

pub use format::{Hint, Reading};
pub use found::{Findings, Found, How, LONGEST_NAME, MOST_FOUND, Remote, Unreadable, What};
pub use growing::{Growing, MOST_HELD};

/// What a whole text brings in. Its lines may be of any length.
#[must_use]
pub fn find(text: &str, hint: Hint<'_>) -> Findings {
    let mut growing = Growing::whole(hint);
    if matches!(hint, Hint::File(_)) {
        growing.look_ahead(text);
    }
    growing.push(text);
    growing.end();
    growing.take()
}
