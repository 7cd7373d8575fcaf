//! What an advisory says of a package: which versions are affected, how badly, and where it is mended.
//!
//! 1. An [`Ecosystem`] knows how its packages are named and how its versions are ordered: [`Package`], [`Version`].
//! 2. An advisory in the OSV format (<https://ossf.github.io/osv-schema/>) becomes what is kept of it: an
//!    [`Advisory`], with one [`Notice`] for each package that it names.
//! 3. A package that somebody wants, in a version that they fix or leave open ([`Wanted`]), is judged by the notices
//!    on its name: [`judge`] returns the [`Hit`]s, worst first.
//! 4. A name that is nearly that of a widely used package is seen: [`Popular`].
//!
//! What cannot be read is taken to be affected, and says so. No sockets, no files, no clocks: advisories come in as
//! text.

#![cfg_attr(test, allow(clippy::string_slice, reason = "tests slice the ASCII that they wrote"))]

mod advisory;
mod ecosystem;
mod judge;
mod likeness;
mod package;
mod piece;
mod popular;
mod requirement;
mod severity;
mod span;
mod version;
mod wanted;

pub use advisory::{Advisory, BrokenAdvisory, MAX_ADVISORY, Nature, Notice};
pub use ecosystem::Ecosystem;
pub use judge::{Because, Hit, Known, Unpinned, judge};
pub use likeness::Likeness;
pub use package::Package;
pub use popular::{Popular, Resemblance};
pub use severity::{Rating, Severity};
pub use span::{End, Span};
pub use version::{MAX_VERSION, Version};
pub use wanted::Wanted;
