//! `cargo xtask lint`: formatting, clippy, the architecture, the dependencies.

use anyhow::ensure;

use crate::process::{run as run_command, succeeds};
use crate::tools::ensure_cmake;
use crate::workspace::Workspace;
use crate::{architecture, deny};

pub(crate) fn run(workspace: &mut Workspace) -> anyhow::Result<()> {
    for (command, component) in [("fmt", "rustfmt"), ("clippy", "clippy")] {
        ensure!(
            succeeds(workspace.cargo().args([command, "--version"])),
            "the toolchain has no {component}; `rustup component add {component}` installs it"
        );
    }
    run_command(workspace.cargo().args(["fmt", "--all", "--check"]))?;
    // Seconds, before the minutes of clippy.
    architecture::check(workspace)?;
    ensure_cmake(workspace)?;
    let clippy = ["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"];
    run_command(workspace.cargo().args(clippy))?;
    deny::check(workspace)
}
