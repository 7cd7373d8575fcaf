//! `cargo xtask test`: unit, documentation and end-to-end tests.

use crate::process::run as run_command;
use crate::tools::ensure_cmake;
use crate::workspace::Workspace;
use crate::{real, redis};

pub(crate) fn run(workspace: &mut Workspace, real: bool, args: &[String]) -> anyhow::Result<()> {
    ensure_cmake(workspace)?;
    redis::ensure();
    let mut test = workspace.cargo();
    // The floor brings a second proxy stack that only the benchmarks need.
    test.args(["test", "--workspace", "--exclude", "perf-floor"]).args(args);
    if real {
        match real::prepare(workspace) {
            Ok(upstream) => {
                test.env("PORTCULLIS_REAL_PYTHON", upstream.python);
                test.env("PORTCULLIS_REAL_MODELS", upstream.models);
                if std::env::var_os("PORTCULLIS_REAL_OLLAMA").is_none() {
                    println!(
                        "xtask: name an `ollama` program in PORTCULLIS_REAL_OLLAMA, and the tests drive that, too"
                    );
                }
            }
            Err(error) => println!(
                "xtask: no real model server ({error:#}); the tests that need one say that they \
                 are skipped"
            ),
        }
    }
    // The end-to-end suite starts the product as a process of its own.
    run_command(workspace.cargo().args(["build", "-p", "portcullis"]))?;
    run_command(&mut test)
}
