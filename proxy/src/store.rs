//! What must be known beyond one exchange, and beyond one process: which nonces were used, how much was.

#[cfg(test)]
pub(crate) mod conformance;
mod embedded;
mod hashed;
mod journal;
mod live;
mod past;
pub(crate) mod redis;
mod share;
mod stores;

pub(crate) use embedded::{Bounds, Embedded};
pub(crate) use journal::{begin, look, replay_dir};
pub(crate) use stores::Stores;
