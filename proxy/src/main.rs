//! Portcullis: a zero-trust sidecar proxy for local model servers.
//!
//! Where to begin reading: `service.rs` is one request's walk, `relay.rs` carries it to the model
//! server, `listener.rs` owns sockets and threads, `cli/run.rs` puts everything together. What is
//! judged, and how, is in the crate `portcullis-filters`.

#![cfg_attr(test, allow(clippy::string_slice, reason = "tests slice the ASCII that they wrote"))]

use std::process::ExitCode;

mod admin;
mod answering;
mod audit_log;
mod body;
mod budgets;
mod certificates;
mod cli;
mod clock;
mod config;
mod corked;
mod credentials;
mod decisions;
mod demo;
mod door;
mod explain;
mod exposure;
mod floods;
mod generation;
mod grants;
mod keyring;
mod listener;
mod logging;
mod memory;
mod metrics;
mod packages;
mod places;
mod privacy;
mod queue;
mod record;
mod refuse;
mod relay;
mod route;
mod rulebook;
mod running;
mod service;
mod slots;
mod store;
#[cfg(debug_assertions)]
mod test_fault;
mod trust;
mod upstream;
mod web;
mod witness;
mod witnessed;

/// Each request allocates and frees a few large buffers; this allocator does so at half the cost
/// (docs/benchmarks.md).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    cli::main()
}
