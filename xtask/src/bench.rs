//! `cargo xtask bench`: the gate beside a bare Pingora proxy and well-known peers, in one run.
//!
//! Everything runs on loopback of this machine, two threads each. The arms take turns within
//! every cell, so that whatever else the machine does hits all of them alike, and every cell is
//! repeated; what is printed are medians. `docs/benchmarks.md` explains the columns.

mod arm;
mod cell;
mod firewall;
mod gate;
mod measure;
mod peers;
mod results;
mod signature;
mod table;

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context;

use crate::args::BenchOptions;
use crate::process::{Background, free_address, output, run as run_command, with_descriptors};
use crate::tools::ensure_cmake;
use crate::workspace::Workspace;
use arm::Arm;
use results::Results;

/// Worker threads of the stub, the load client, the floor and the peers.
const THREADS: usize = 2;

const PROFILE: &str = "dist";

/// Where this run keeps its programs and files.
struct Bench<'a> {
    workspace: &'a Workspace,
    dir: PathBuf,
}

impl Bench<'_> {
    fn program(&self, name: &str) -> PathBuf {
        self.workspace.binary(PROFILE, name)
    }

    fn pki(&self, file: &str) -> PathBuf {
        self.dir.join("pki").join(file)
    }

    fn log(&self, name: &str) -> PathBuf {
        self.dir.join(format!("{name}.log"))
    }
}

/// The policy alone: its index beside looking at every rule in turn, in one process.
fn policy(workspace: &Workspace) -> anyhow::Result<()> {
    let test = ["test", "--release", "-q", "-p", "portcullis-policies", "speed", "--", "--ignored", "--nocapture"];
    run_command(workspace.cargo().args(test))
}

pub(crate) fn run(workspace: &mut Workspace, options: &BenchOptions) -> anyhow::Result<()> {
    if options.policy {
        return policy(workspace);
    }
    if options.firewall {
        return firewall::run(workspace, options);
    }
    if options.output_gate {
        return output_gate(workspace);
    }
    if options.audit {
        return audit(workspace);
    }
    ensure_cmake(workspace)?;
    build(workspace, options)?;
    let dir = workspace.target().join("bench");
    if dir.exists() {
        fs::remove_dir_all(&dir).with_context(|| format!("cannot empty {}", dir.display()))?;
    }
    fs::create_dir_all(&dir)?;
    let bench = Bench { workspace, dir };
    let certs = &mut std::process::Command::new(bench.program("perf-loadgen"));
    output(certs.arg("certs").arg(bench.dir.join("pki")))?;
    let (stub, upstream) = stub(&bench)?;
    if options.signature {
        let result = signature::run(&bench, upstream, options);
        drop(stub);
        return result;
    }

    let mut arms = Vec::new();
    if options.others {
        arms.push(Arm::direct(stub, upstream));
        arms.push(peers::floor(&bench, upstream)?);
        arms.extend(peers::nginx(&bench, upstream)?);
        arms.extend(peers::envoy(&bench, upstream, options.with_envoy)?);
        if options.gate {
            arms.push(gate::start(&bench, upstream, "peer")?);
        }
        report(&bench, &arms, options)
    } else {
        // The stub is no arm then, and lives until the end of the measurement.
        arms.push(gate::start(&bench, upstream, "peer")?);
        let result = report(&bench, &arms, options);
        drop(stub);
        result
    }
}

/// What answers are held to, in one process each: schemas and texts beside reading the same JSON, and the database with
/// 200,000 advisories.
fn output_gate(workspace: &Workspace) -> anyhow::Result<()> {
    let speed = ["test", "--release", "-q", "-p", "portcullis-filters", "speed::", "--", "--ignored", "--nocapture"];
    run_command(workspace.cargo().args(speed))?;
    run_command(workspace.cargo().args(["run", "--release", "-q", "-p", "portcullis-advisories", "--example", "cost"]))
}

/// The audit log alone: how fast it is written, what one exchange waits for it, how fast a large one is opened and
/// checked.
fn audit(workspace: &mut Workspace) -> anyhow::Result<()> {
    ensure_cmake(workspace)?;
    let speed = ["test", "--release", "-q", "-p", "portcullis", "audit_log::speed", "--"];
    run_command(workspace.cargo().args(speed).args(["--ignored", "--nocapture", "--test-threads=1"]))
}

/// The model server that all arms forward to.
fn stub(bench: &Bench) -> anyhow::Result<(Background, SocketAddr)> {
    let address = free_address()?;
    let mut stub = with_descriptors(&bench.program("perf-stub"));
    stub.args(["--listen", &address.to_string(), "--threads", &THREADS.to_string()]);
    // The pace is the stub's own: the gate forwards no header that a client chose.
    stub.args(["--tokens", &cell::TOKENS.to_string(), "--gap-us", &cell::GAP_US.to_string()]);
    let mut stub = Background::start("the stub", &mut stub, &bench.log("stub"))?;
    stub.wait_for_port(address)?;
    Ok((stub, address))
}

fn build(workspace: &Workspace, options: &BenchOptions) -> anyhow::Result<()> {
    let tools = ["build", "--profile", PROFILE, "-p", "perf-stub", "-p", "perf-loadgen"];
    run_command(workspace.cargo().args(tools))?;
    // The floor and the gate are built apart, so that neither gets features of the other's.
    if options.others {
        run_command(workspace.cargo().args(["build", "--profile", PROFILE, "-p", "perf-floor"]))?;
    }
    if options.gate {
        run_command(workspace.cargo().args(["build", "--profile", PROFILE, "-p", "portcullis"]))?;
    }
    Ok(())
}

fn report(bench: &Bench, arms: &[Arm], options: &BenchOptions) -> anyhow::Result<()> {
    let names: Vec<_> = arms.iter().map(|arm| arm.name).collect();
    println!("xtask: measuring {}, {} repetition(s)", names.join(", "), options.repetitions);
    let mut results = Results::default();
    for repetition in 0..options.repetitions {
        for cell in cell::all(options.quick) {
            // Memory does not vary enough to be measured more than once.
            if cell.is_idle() && repetition > 0 {
                continue;
            }
            for arm in arms.iter().filter(|arm| cell.fits(arm)) {
                let sample =
                    measure::measure(bench, arm, &cell).with_context(|| format!("{} at {}", arm.name, cell.name))?;
                results.add(cell.name, arm.name, sample);
            }
        }
        println!("xtask: repetition {} of {} done", repetition + 1, options.repetitions);
    }
    print!("{}", table::render(&results));
    if options.json {
        println!("{}", results.json(options.repetitions, THREADS));
    }
    Ok(())
}
