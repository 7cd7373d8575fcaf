//! What an advisory says of a package: which versions are affected, how badly, and where it is mended.
//!
//! 1. An [`Ecosystem`] knows how its packages are named and how its versions are ordered.
//! 2. An advisory in the OSV format (<https://ossf.github.io/osv-schema/>) becomes what is kept of it.
//! 3. A package that somebody wants is judged by the advisories on its name.
//!
//! No sockets, no files, no clocks: advisories come in as text.

mod ecosystem;

pub use ecosystem::Ecosystem;
