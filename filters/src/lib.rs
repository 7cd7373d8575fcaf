//! The filters of Portcullis: pure judgement, and the one place that runs them.
//!
//! A [`Filter`] is a rule about exchanges. It is shown a request's head, then its whole body, and
//! says [`Verdict::Pass`], [`Verdict::Block`] or [`Verdict::Replace`]. For the answer it may put up
//! a [`Watch`], which is shown every frame before the frame may leave.
//!
//! The [`Chain`](chain::Chain) runs filters in order, and nothing else does: there an error, a panic
//! and a time-out become a refusal, a filter in `shadow` mode is heard but not obeyed, and every
//! call is counted. It gives out proofs: [`Admitted`](chain::Admitted) for a head that may be
//! followed by its body, [`Cleared`](chain::Cleared) for a request that may go upstream, and, by way
//! of the [`Gate`](gate::Gate), [`ClearedFrame`](gate::ClearedFrame) for a frame that may go to the
//! client. Their fields are private and each has one maker, so forwarding something unjudged does
//! not compile.
//!
//! To write a filter: implement [`Filter`] in a file of its own, list the phases it needs, keep
//! per-answer state in its watch, and add one line to [`registry`].
//!
//! There are no sockets, files or clocks in here, and no proxy library: what a filter needs from the
//! world is handed to it as a trait object.

#![cfg_attr(test, allow(clippy::string_slice, reason = "tests slice the ASCII that they wrote"))]

// A panicking filter must become a refusal, which needs unwinding.
const _: () = assert!(cfg!(panic = "unwind"), "the chain turns panics into refusals: build with panic = unwind");

pub mod audit;
pub mod chain;
pub mod dialect;
pub mod exchange;
pub mod filter;
pub mod firewall;
pub mod frame;
pub mod gate;
pub mod identity;
pub mod json;
pub mod policy;
pub mod ratelimit;
pub mod sca;
pub mod schema;
pub mod signature;
#[cfg(test)]
mod speed;
pub mod store;
#[cfg(test)]
mod testkit;
pub mod verdict;

pub use filter::{Filter, Mode, Phase, Watch};
pub use verdict::{Code, FilterError, Outcome, Refusal, Verdict};
