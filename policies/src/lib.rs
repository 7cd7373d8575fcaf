//! The nouns of Portcullis, and the language in which an operator says who may do what.
//!
//! A caller is an [`Identity`], whatever proved it. What it asks for is a [`Route`] of a known
//! [`RouteClass`] in a known [`Dialect`], for a [`ModelName`] in canonical form. What a text
//! carries is a [`DataLevel`]. A [`Policy`](policy::Policy) is the operator's document, read from
//! YAML as it is written and kept as it is meant; the route tables are data beside it.
//!
//! Nothing here does I/O, and nothing here knows HTTP libraries, sockets or TLS: this crate lies
//! at the bottom of the house, and every other crate points to it.

#![cfg_attr(test, allow(clippy::string_slice, reason = "tests slice the ASCII that they wrote"))]

pub mod certificate;
pub mod claims;
pub mod class;
pub mod diagnostic;
pub mod fields;
pub mod glob;
pub mod grant;
pub mod identity;
mod key_standing;
pub mod level;
pub mod model;
pub mod policy;
pub mod rate;
pub mod routes;
pub mod schemas;
pub mod scope;

pub use certificate::CertificateProblem;
pub use claims::Claims;
pub use class::{Dialect, RouteClass, StreamFormat, UpstreamKind};
pub use diagnostic::{Diagnostic, nearest};
pub use grant::{Grant, Grants};
pub use identity::{Identity, IdentityMethod, InvalidIdentity};
pub use key_standing::KeyStanding;
pub use level::DataLevel;
pub use rate::{InvalidRate, Rate};
pub use scope::Scope;
