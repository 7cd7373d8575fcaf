//! Where things lie, and how cargo is called.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;

/// The workspace that this program belongs to.
pub(crate) struct Workspace {
    root: PathBuf,
    target: PathBuf,
    /// A CMake that is not on the PATH.
    cmake: Option<PathBuf>,
}

impl Workspace {
    pub(crate) fn find() -> anyhow::Result<Self> {
        let manifest =
            env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let root = manifest.parent().context("xtask lies in no workspace")?.to_owned();
        let target = match env::var_os("CARGO_TARGET_DIR") {
            Some(dir) => root.join(dir),
            None => root.join("target"),
        };
        Ok(Self { root, target, cmake: None })
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn target(&self) -> &Path {
        &self.target
    }

    /// Tools that xtask fetches.
    pub(crate) fn tools(&self) -> PathBuf {
        self.target.join("tools")
    }

    /// A program that cargo has built; `profile` is the folder's name.
    pub(crate) fn binary(&self, profile: &str, name: &str) -> PathBuf {
        self.target.join(profile).join(name)
    }

    pub(crate) fn set_cmake(&mut self, cmake: PathBuf) {
        self.cmake = Some(cmake);
    }

    /// A cargo command in the workspace's root.
    pub(crate) fn cargo(&self) -> Command {
        let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command.current_dir(&self.root);
        // `cargo run` describes xtask in the environment. Build scripts that watch these
        // variables would run again, and rebuild half of the tree, at every change of command.
        for (name, _) in env::vars_os() {
            let watched = name.to_string_lossy();
            if watched.starts_with("CARGO_PKG_") || watched.starts_with("CARGO_MANIFEST_") {
                command.env_remove(name);
            }
        }
        if let Some(cmake) = &self.cmake {
            command.env("CMAKE", cmake);
            if let Some(path) = cmake.parent().and_then(in_front_of_path) {
                command.env("PATH", path);
            }
        }
        command
    }
}

fn in_front_of_path(dir: &Path) -> Option<OsString> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::join_paths([dir.to_owned()].into_iter().chain(env::split_paths(&path))).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_private_cmake_reaches_cargo() {
        let mut workspace = Workspace::find().unwrap();
        workspace.set_cmake(PathBuf::from("tools/bin/cmake"));
        let cargo = workspace.cargo();
        let envs: Vec<_> = cargo.get_envs().collect();
        assert!(envs.contains(&("CMAKE".as_ref(), Some("tools/bin/cmake".as_ref()))));
        let (_, path) = envs.iter().find(|(name, _)| *name == "PATH").unwrap();
        assert!(path.unwrap().to_string_lossy().starts_with("tools/bin:"));
        assert!(workspace.root().join("xtask").is_dir());
    }
}
