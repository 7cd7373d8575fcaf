//! Licences, banned crates and sources, checked by cargo-deny (`deny.toml`).

use std::env;
use std::path::PathBuf;
use std::process::Command;

use crate::process::run;
use crate::tools::which;
use crate::workspace::Workspace;

const VERSION: &str = "0.20.2";

/// Runs cargo-deny where it is installed. Advisories need a network and change without a change
/// of ours, so they are left to `cargo deny check advisories` on a schedule.
pub(crate) fn check(workspace: &Workspace) -> anyhow::Result<()> {
    let own = workspace.tools().join("bin/cargo-deny");
    let installed = which("cargo-deny").or_else(|| own.is_file().then(|| own.clone()));
    let deny = match installed {
        Some(deny) => deny,
        None if env::var_os("PORTCULLIS_INSTALL_DENY").is_some() => install(workspace, own)?,
        None => {
            println!(
                "xtask: cargo-deny is skipped: it is not installed (set \
                 PORTCULLIS_INSTALL_DENY=1 to build it into target/tools)"
            );
            return Ok(());
        }
    };
    // Offline means what it says only when the crates of every platform are here.
    run(workspace.cargo().args(["fetch", "--locked", "--quiet"]))?;
    let checks = ["--offline", "check", "bans", "licenses", "sources"];
    run(Command::new(deny).args(checks).current_dir(workspace.root()))
}

fn install(workspace: &Workspace, deny: PathBuf) -> anyhow::Result<PathBuf> {
    let install = ["install", "--locked", "cargo-deny", "--version", VERSION];
    run(workspace.cargo().args(install).arg("--root").arg(workspace.tools()))?;
    Ok(deny)
}
