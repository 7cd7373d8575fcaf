//! The local database of advisories: import, lookup, age.
//!
//! 1. [`import`] reads advisories in the OSV format from directories, files and zip exports into a new file beside
//!    the database, and puts it in its place when all of it is there. What is broken is reported and left out.
//! 2. A running gate holds a [`Database`]. It looks up what is said of a package, and sees by itself when the file
//!    was replaced by a new one.
//! 3. An [`Index`] of names, which the operator may provide, tells whether a registry has a package at all, and in
//!    which versions.
//!
//! What of an advisory is kept, and what it means, is `portcullis-osv`.

mod database;
mod import;
mod index;
mod row;
mod tables;

pub use database::{Database, DatabaseError};
pub use import::{Broken, ImportError, Progress, Report, import};
pub use index::{Index, IndexError};
pub use tables::Status;
