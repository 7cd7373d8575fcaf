//! Commands that install something, wherever they stand in a line.
//!
//! [`Scan`] follows a line a character at a time and says where a command may have begun and where one ends;
//! [`parse`] reads what it installs.

mod args;
mod head;
mod options;
mod packages;
mod scan;
mod unnamed;
mod words;

pub(crate) use packages::{listed_elsewhere, parse, registry};
pub(crate) use scan::{Around, Scan, Statement};
pub(crate) use unnamed::is_fed;
