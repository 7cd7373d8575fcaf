//! The command line.

use anyhow::{Context, bail, ensure};

pub(crate) const USAGE: &str = "\
cargo xtask demo [-- ARGS]           build the proxy and run `portcullis demo ARGS`
cargo xtask test [--real] [-- ARGS]  run every test; --real also prepares a real llama.cpp server
                                     and real clients (Python packages, in target/)
cargo xtask dist                     the shipping build, with link-time optimisation
cargo xtask lint                     formatting, clippy, architecture, dependencies
cargo xtask bench [OPTIONS]          measure the gate beside a bare Pingora proxy and peers
    --quick                          only 1 KB bodies at 16 and 64 connections
    --reps N                         repetitions of every cell (default 3)
    --gate-only | --no-gate          only the gate, or everything but the gate
    --with-envoy                     fetch the Envoy binary with pip first
    firewall                         only the firewall: what it finds and costs, beside others
    --policy                         only the policy: a decision with 10 to 10,000 rules
    --output-gate                    only what answers are held to: schemas, dependencies, advisories
    --audit                          only the audit log: written, checked, opened with 10 GB
    --signature                      only signed requests: the chain, one verification, the replay store
    --json                           the last line of the output is one JSON object";

/// What to do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Bench(BenchOptions),
    Dist,
    Demo { args: Vec<String> },
    Help,
    Lint,
    Test { real: bool, args: Vec<String> },
}

/// How to measure.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct BenchOptions {
    pub(crate) quick: bool,
    pub(crate) repetitions: usize,
    pub(crate) gate: bool,
    pub(crate) others: bool,
    pub(crate) with_envoy: bool,
    pub(crate) json: bool,
    pub(crate) policy: bool,
    pub(crate) signature: bool,
    pub(crate) output_gate: bool,
    /// Only the audit log.
    pub(crate) audit: bool,
    pub(crate) firewall: bool,
}

impl Default for BenchOptions {
    fn default() -> Self {
        Self {
            quick: false,
            repetitions: 3,
            gate: true,
            others: true,
            with_envoy: false,
            json: false,
            policy: false,
            signature: false,
            output_gate: false,
            audit: false,
            firewall: false,
        }
    }
}

/// Reads the command line without the program's name.
pub(crate) fn parse(mut args: impl Iterator<Item = String>) -> anyhow::Result<Command> {
    let Some(command) = args.next() else {
        return Ok(Command::Help);
    };
    let rest: Vec<String> = args.collect();
    match command.as_str() {
        "bench" => Ok(Command::Bench(parse_bench(rest)?)),
        "demo" => Ok(Command::Demo { args: after_separator(rest) }),
        "dist" => {
            ensure!(rest.is_empty(), "`dist` takes no arguments");
            Ok(Command::Dist)
        }
        "help" | "--help" | "-h" => Ok(Command::Help),
        "lint" => {
            ensure!(rest.is_empty(), "`lint` takes no arguments");
            Ok(Command::Lint)
        }
        "test" => {
            let real = rest.first().is_some_and(|arg| arg == "--real");
            let args = after_separator(rest.into_iter().skip(usize::from(real)).collect());
            Ok(Command::Test { real, args })
        }
        _ => bail!("there is no command `{command}`\n{USAGE}"),
    }
}

/// Arguments for somebody else may, but need not, come after `--`.
fn after_separator(mut args: Vec<String>) -> Vec<String> {
    if args.first().is_some_and(|arg| arg == "--") {
        args.remove(0);
    }
    args
}

fn parse_bench(args: Vec<String>) -> anyhow::Result<BenchOptions> {
    let mut options = BenchOptions::default();
    let mut args = args.into_iter();
    while let Some(name) = args.next() {
        match name.as_str() {
            "firewall" | "--firewall" => options.firewall = true,
            "--gate-only" => options.others = false,
            "--json" => options.json = true,
            "--no-gate" => options.gate = false,
            "--policy" => options.policy = true,
            "--signature" => options.signature = true,
            "--output-gate" => options.output_gate = true,
            "--audit" => options.audit = true,
            "--quick" => options.quick = true,
            "--reps" => {
                let value = args.next().context("`--reps` needs a number")?;
                options.repetitions = value.parse().with_context(|| format!("bad number `{value}`"))?;
            }
            "--with-envoy" => options.with_envoy = true,
            _ => bail!("`bench` has no option `{name}`\n{USAGE}"),
        }
    }
    ensure!(options.gate || options.others, "--gate-only and --no-gate leave nothing to measure");
    ensure!(options.repetitions > 0, "`--reps` must be at least 1");
    Ok(options)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> anyhow::Result<Command> {
        parse(line.split_whitespace().map(str::to_owned))
    }

    fn strings(args: &[&str]) -> Vec<String> {
        args.iter().map(|arg| (*arg).to_owned()).collect()
    }

    #[test]
    fn demo_takes_its_arguments_with_and_without_a_separator() {
        let expected = Command::Demo { args: strings(&["--once", "--attack"]) };
        assert_eq!(parsed("demo -- --once --attack").unwrap(), expected);
        assert_eq!(parsed("demo --once --attack").unwrap(), expected);
    }

    #[test]
    fn test_passes_on_what_is_not_its_own() {
        let expected = Command::Test { real: true, args: strings(&["--test", "it", "--", "x"]) };
        assert_eq!(parsed("test --real -- --test it -- x").unwrap(), expected);
        let expected = Command::Test { real: false, args: strings(&["name"]) };
        assert_eq!(parsed("test name").unwrap(), expected);
    }

    #[test]
    fn bench_options_are_read() {
        let expected =
            BenchOptions { quick: true, repetitions: 5, others: false, json: true, ..BenchOptions::default() };
        let command = parsed("bench --json --quick --gate-only --reps 5").unwrap();
        assert_eq!(command, Command::Bench(expected));
        let policy = Command::Bench(BenchOptions { policy: true, ..BenchOptions::default() });
        assert_eq!(parsed("bench --policy").unwrap(), policy);
        let firewall = Command::Bench(BenchOptions { firewall: true, ..BenchOptions::default() });
        assert_eq!(parsed("bench firewall").unwrap(), firewall);
        let signature = Command::Bench(BenchOptions { signature: true, ..BenchOptions::default() });
        assert_eq!(parsed("bench --signature").unwrap(), signature);
    }

    #[test]
    fn mistakes_are_named() {
        for line in ["fly", "lint now", "bench --fast", "bench --reps", "bench --reps 0"] {
            assert!(parsed(line).is_err(), "{line}");
        }
        assert!(parsed("bench --gate-only --no-gate").is_err());
        assert_eq!(parsed("").unwrap(), Command::Help);
    }
}
