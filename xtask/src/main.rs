//! The project's commands: `cargo xtask demo | test | dist | lint | bench`.
//!
//! Each command first makes sure of the tools that the build needs, says what it runs, and stops
//! at the first failure. Nothing outside `target/` is written, but for a system package of CMake
//! where the user may install one.

mod architecture;
mod args;
mod bench;
mod demo;
mod deny;
mod lint;
mod process;
mod python;
mod real;
mod redis;
mod suite;
mod tools;
mod workspace;

use std::process::ExitCode;

use crate::args::Command;
use crate::workspace::Workspace;

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The shipping build.
fn dist(workspace: &mut Workspace) -> anyhow::Result<()> {
    tools::ensure_cmake(workspace)?;
    process::run(workspace.cargo().args(["build", "--profile", "dist", "-p", "portcullis"]))?;
    println!("xtask: {}", workspace.binary("dist", "portcullis").display());
    Ok(())
}

fn run() -> anyhow::Result<ExitCode> {
    let command = args::parse(std::env::args().skip(1))?;
    let mut workspace = Workspace::find()?;
    match command {
        Command::Bench(options) => bench::run(&mut workspace, &options)?,
        Command::Dist => dist(&mut workspace)?,
        Command::Demo { args } => return demo::run(&mut workspace, &args),
        Command::Help => println!("{}", args::USAGE),
        Command::Lint => lint::run(&mut workspace)?,
        Command::Test { real, args } => suite::run(&mut workspace, real, &args)?,
    }
    Ok(ExitCode::SUCCESS)
}
