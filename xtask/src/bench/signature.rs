//! `--signature`: what it costs that every request is signed.
//!
//! 1. The full chain on signed requests beside the floor. All arms are sent requests that were signed
//!    before the clock started, so the load client does the same work for each of them; the floor does
//!    not look at the signatures. The gate's answers are signed in return, as they always are.
//! 2. One verification beside the library's own, in one process.
//! 3. One claim of a nonce, and the memory that it takes, in one process.

use std::ffi::OsStr;
use std::net::SocketAddr;

use anyhow::{Context, bail};
use serde_json::json;

use super::arm::{Arm, FLOOR};
use super::cell::SIGNED;
use super::results::{Results, Sample};
use super::{Bench, THREADS, gate, measure, peers, table};
use crate::args::BenchOptions;
use crate::process::run as run_command;

const SIGNED_GATE: &str = "gate, signed";
const UNSIGNED_GATE: &str = "gate, unsigned";

/// What is measured in one process, by package and test.
const IN_PROCESS: [(&str, &str); 2] = [("portcullis-signatures", "speed"), ("portcullis", "store::embedded::speed")];

pub(crate) fn run(bench: &Bench, upstream: SocketAddr, options: &BenchOptions) -> anyhow::Result<()> {
    let results = chain(bench, upstream, options)?;
    print!("{}", table::tables(&results));
    let ratios = ratios(&results);
    for (name, ratio) in ratios {
        println!("{name}: {:.2}", ratio.context("a figure is missing")?);
    }
    for (package, test) in IN_PROCESS {
        let test = ["test", "--release", "-q", "-p", package, test, "--", "--ignored", "--nocapture"];
        run_command(bench.workspace.cargo().args(test))?;
    }
    if options.json {
        let ratios: serde_json::Map<_, _> =
            ratios.map(|(name, ratio)| (name.to_owned(), json!(ratio))).into_iter().collect();
        println!("{}", json!({ "repetitions": options.repetitions, "threads": THREADS, "ratios": ratios }));
    }
    Ok(())
}

/// The floor and the gate in turn.
fn chain(bench: &Bench, upstream: SocketAddr, options: &BenchOptions) -> anyhow::Result<Results> {
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
            // A refusal is cheaper than an answer: it must not count as one.
            if let Some(error) = &sample.error_sample {
                bail!("{name}: {} requests failed, for example: {error}", sample.errors);
            }
            results.add(SIGNED.name, name, sample);
        }
    }
    Ok(results)
}

fn ratios(results: &Results) -> [(&'static str, Option<f64>); 3] {
    let of = |figure: fn(&Sample) -> Option<f64>, other: &str| {
        let figure = |arm: &str| results.medians().find(|(_, name, _)| *name == arm).and_then(|(.., s)| figure(&s));
        Some(figure(SIGNED_GATE)? / figure(other)?)
    };
    [
        ("signed_chain_vs_floor_rps", of(|sample| sample.requests_per_s, FLOOR)),
        ("signed_chain_vs_floor_cpu", of(|sample| sample.cpu_us, FLOOR)),
        ("signed_vs_unsigned_cpu", of(|sample| sample.cpu_us, UNSIGNED_GATE)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_of_the_signed_gate() {
        let mut results = Results::default();
        for (arm, rps, cpu) in [(FLOOR, 1000.0, 50.0), (UNSIGNED_GATE, 800.0, 80.0), (SIGNED_GATE, 450.0, 160.0)] {
            let sample = Sample { requests_per_s: Some(rps), cpu_us: Some(cpu), ..Sample::default() };
            results.add(SIGNED.name, arm, sample);
        }
        let found = ratios(&results).map(|(_, ratio)| ratio);
        assert_eq!(found, [Some(0.45), Some(3.2), Some(2.0)]);
        assert_eq!(ratios(&Results::default()).map(|(_, ratio)| ratio), [None; 3]);
    }
}
