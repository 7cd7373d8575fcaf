//! A harness that reads as a sentence: a real gate process in front of a fake model server, and
//! clients with identities of their own.
//!
//! ```no_run
//! use portcullis_tests::{FakeServer, Gate};
//! use serde_json::json;
//!
//! let server = FakeServer::start();
//! let gate = Gate::before(&server).start();
//! let alice = gate.approved_client("alice");
//! let answer = alice.post("/api/chat", &json!({"model": "tiny", "messages": []}));
//! assert_eq!(answer.status, 200);
//! assert_eq!(gate.audit().len(), 2);
//! ```
//!
//! Tests assert what a client sees, what the audit log holds, what the metrics count and what
//! reached the model server; never what happens inside. Waiting is always for a condition.

mod client;
pub mod der;
mod door;
mod gate;
mod h2_client;
mod middle;
pub mod osv_api;
pub mod pki;
mod program;
pub mod provider;
pub mod real;
mod redis;
mod server;
mod signing;

pub use client::{Answer, Client, Stream};
pub use door::{Door, DoorHome};
pub use gate::{Gate, GateBuilder};
pub use h2_client::{H2Client, H2Connection};
pub use middle::Middle;
pub use program::{example, free_port, portcullis, run, until, within_a_second};
pub use redis::Redis;
pub use server::{FakeServer, Script, Seen};
pub use signing::{Message, Signer, now_ms};
