//! Python packages in folders of our own.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};

use crate::process::{output, succeeds};

/// The Python of a virtual environment.
pub(crate) struct Venv {
    python: PathBuf,
}

/// Makes a virtual environment where there is none yet.
pub(crate) fn venv(dir: &Path) -> anyhow::Result<Venv> {
    let python = dir.join("bin/python");
    let has_pip = |python: &Path| python.is_file() && succeeds(Command::new(python).args(["-m", "pip", "--version"]));
    if !has_pip(&python) {
        output(Command::new("python3").args(["-m", "venv", "--clear"]).arg(dir))?;
        ensure!(has_pip(&python), "the virtual environment has no pip");
    }
    Ok(Venv { python })
}

impl Venv {
    pub(crate) fn python(&self) -> &Path {
        &self.python
    }

    pub(crate) fn install(&self, packages: &[&str]) -> anyhow::Result<()> {
        pip_install(&mut Command::new(&self.python), packages)
    }
}

/// Installs packages into a plain folder with the system's own pip.
pub(crate) fn install_flat(dir: &Path, packages: &[&str]) -> anyhow::Result<()> {
    let mut pip = Command::new("python3");
    pip.env("PIP_TARGET", dir);
    pip_install(&mut pip, packages)
}

fn pip_install(python: &mut Command, packages: &[&str]) -> anyhow::Result<()> {
    python.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
    python.env("PIP_NO_INPUT", "1").args(packages);
    output(python).map(drop).with_context(|| format!("pip cannot install {}", packages.join(" ")))
}
