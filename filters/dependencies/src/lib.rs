//! What dependencies a text or a manifest brings in.
#![cfg_attr(test, allow(clippy::string_slice, reason = "tests slice the ASCII that they wrote"))]

mod command;
mod fence;
mod format;
mod found;
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
mod xml;
mod yaml;

pub use format::Hint;
pub use found::{Findings, Found, How, LONGEST_NAME, MOST_FOUND, Remote, Unreadable, What};
pub use growing::{Growing, MOST_HELD};

/// What a whole text brings in.
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
