//! Tools that the build or a command needs, and how they come onto a bare machine.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

use crate::process::{output, succeeds};
use crate::python;
use crate::workspace::Workspace;

/// Newer majors may drop what the C sources in the tree still ask for.
const CMAKE_PACKAGE: &str = "cmake<4.2";

/// The path of a program on the PATH.
pub(crate) fn which(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|dir| dir.join(name)).find(|file| file.is_file())
}

/// Makes sure that a CMake can be run by build scripts (zlib-ng, below Pingora, is built with it).
pub(crate) fn ensure_cmake(workspace: &mut Workspace) -> anyhow::Result<()> {
    if succeeds(Command::new("cmake").arg("--version")) {
        return Ok(());
    }
    if may_use_apt() {
        println!("xtask: cmake is missing; installing it with apt-get");
        if apt_install("cmake") && succeeds(Command::new("cmake").arg("--version")) {
            return Ok(());
        }
        println!("xtask: apt-get could not install cmake");
    }
    let cmake = cmake_from_pip(&workspace.tools()).context(
        "the build needs cmake, and it could neither be found nor fetched; install the package \
         `cmake` and try again",
    )?;
    workspace.set_cmake(cmake);
    Ok(())
}

pub(crate) fn may_use_apt() -> bool {
    let is_root = || output(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0");
    env::var_os("PORTCULLIS_NO_APT").is_none() && which("apt-get").is_some() && is_root()
}

/// Installs a Debian package. Its services, if it has any, are not started.
pub(crate) fn apt_install(package: &str) -> bool {
    let apt = |args: &[&str]| {
        let mut command = Command::new("apt-get");
        succeeds(command.args(args).env("DEBIAN_FRONTEND", "noninteractive").env("RUNLEVEL", "1"))
    };
    let install = ["install", "-y", "--no-install-recommends", package];
    apt(&install) || (apt(&["update"]) && apt(&install))
}

/// The binary inside the wheel, which needs no Python at run time.
fn cmake_from_pip(tools: &Path) -> anyhow::Result<PathBuf> {
    let venv = tools.join("cmake-venv");
    let flat = tools.join("cmake-pip");
    if let Some(cmake) = cmake_below(&venv).or_else(|| cmake_below(&flat)) {
        return Ok(cmake);
    }
    println!("xtask: cmake is missing; fetching its Python wheel into {}", tools.display());
    if let Err(error) = python::venv(&venv).and_then(|pip| pip.install(&[CMAKE_PACKAGE])) {
        println!("xtask: no virtual environment ({error:#}); trying pip alone");
        python::install_flat(&flat, &[CMAKE_PACKAGE])?;
    }
    match cmake_below(&venv).or_else(|| cmake_below(&flat)) {
        Some(cmake) if succeeds(Command::new(&cmake).arg("--version")) => Ok(cmake),
        Some(cmake) => bail!("{} does not run here", cmake.display()),
        None => bail!("the wheel holds no cmake"),
    }
}

/// `cmake/data/bin/cmake` in a flat folder, or in a virtual environment's site packages.
fn cmake_below(dir: &Path) -> Option<PathBuf> {
    let inside = Path::new("cmake/data/bin/cmake");
    let versions = fs::read_dir(dir.join("lib")).into_iter().flatten().flatten();
    versions
        .map(|version| version.path().join("site-packages"))
        .chain([dir.to_owned()])
        .map(|packages| packages.join(inside))
        .find(|file| file.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found_on_the_path() {
        assert!(which("sh").is_some());
        assert!(which("no-such-program-here").is_none());
    }

    #[test]
    fn cmake_is_found_in_both_layouts() {
        let dir = env::temp_dir().join(format!("xtask-cmake-{}", std::process::id()));
        assert_eq!(cmake_below(&dir), None);
        for inside in ["cmake/data/bin", "lib/python3.11/site-packages/cmake/data/bin"] {
            let bin = dir.join(inside);
            fs::create_dir_all(&bin).unwrap();
            fs::write(bin.join("cmake"), "").unwrap();
            assert_eq!(cmake_below(&dir), Some(bin.join("cmake")));
        }
        fs::remove_dir_all(dir).unwrap();
    }
}
