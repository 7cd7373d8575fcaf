//! `--signature`: what it costs that every request is signed.
//!
//! 1. One verification beside the library's own, in one process.
//! 2. One claim of a nonce, and the memory that it takes, in one process.
//! 3. The full chain on signed requests beside the floor. All arms are sent requests that were signed
//!    before the clock started, so the load client does the same work for each of them; the floor does
//!    not look at the signatures. The gate's answers are signed in return, as they always are.

use std::ffi::OsStr;
use std::net::SocketAddr;

use anyhow::Context;
use serde_json::json;

use super::arm::{Arm, FLOOR};
use super::cell::SIGNED;
use super::results::{Results, Sample};
use super::{Bench, THREADS, gate, measure, peers, table};
use crate::args::BenchOptions;
use crate::process::run as run_command;

const SIGNED_GATE: &str = "gate, signed";
const UNSIGNED_GATE: &str = "gate, unsigned";

pub(crate) fn run(bench: &Bench, upstream: SocketAddr, options: &BenchOptions) -> anyhow::Result<()> {
    for (package, test) in [("portcullis-signatures", "speed"), ("portcullis", "store::embedded::speed")] {
        let test = ["test", "--release", "-q", "-p", package, test, "--", "--ignored", "--nocapture"];
        run_command(bench.workspace.cargo().args(test))?;
    }
    let floor = peers::floor(bench, upstream)?;
    let gate = gate::start(bench, upstream, "node")?;
    let key = bench.pki("node.key");
    let sign = [OsStr::new("--sign-key"), key.as_os_str()];
    let arms: [(&str, &Arm, &[&OsStr]); 3] =
        [(FLOOR, &floor, &sign), (UNSIGNED_GATE, &gate, &[]), (SIGNED_GATE, &gate, &sign)];
    println!("xtask: measuring signed requests, {} repetition(s)", options.repetitions);
    let mut results = Results::default();
    for _ in 0..options.repetitions {
        for (name, arm, more) in arms {
            let sample = measure::measure_with(bench, arm, &SIGNED, more).with_context(|| name.to_owned())?;
            results.add(SIGNED.name, name, sample);
        }
    }
    print!("{}", table::tables(&results));
    let of = |figure: fn(&Sample) -> Option<f64>, other: &str| {
        let figure = |arm: &str| results.medians().find(|(_, name, _)| *name == arm).and_then(|(.., s)| figure(&s));
        Some(figure(SIGNED_GATE)? / figure(other)?)
    };
    let ratios = [
        ("signed_chain_vs_floor_rps", of(|sample| sample.requests_per_s, FLOOR)),
        ("signed_chain_vs_floor_cpu", of(|sample| sample.cpu_us, FLOOR)),
        ("signed_vs_unsigned_cpu", of(|sample| sample.cpu_us, UNSIGNED_GATE)),
    ];
    for (name, ratio) in ratios {
        println!("{name}: {:.2}", ratio.context("a figure is missing")?);
    }
    if options.json {
        let ratios: serde_json::Map<_, _> =
            ratios.map(|(name, ratio)| (name.to_owned(), json!(ratio))).into_iter().collect();
        println!("{}", json!({ "repetitions": options.repetitions, "threads": THREADS, "ratios": ratios }));
    }
    Ok(())
}
