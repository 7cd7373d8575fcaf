//! `cargo xtask demo`: the product on a bare machine.

use std::process::{Command, ExitCode};

use anyhow::Context;

use crate::process::run as run_command;
use crate::tools::ensure_cmake;
use crate::workspace::Workspace;

pub(crate) fn run(workspace: &mut Workspace, args: &[String]) -> anyhow::Result<ExitCode> {
    ensure_cmake(workspace)?;
    run_command(workspace.cargo().args(["build", "-p", "portcullis"]))?;
    let binary = workspace.binary("debug", "portcullis");
    let status = Command::new(&binary)
        .arg("demo")
        .args(args)
        .status()
        .with_context(|| format!("cannot start {}", binary.display()))?;
    // Without a code a signal has ended it, as Ctrl-C does.
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}
