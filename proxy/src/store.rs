//! What must be known beyond one exchange and one process.

pub(crate) mod redis;
