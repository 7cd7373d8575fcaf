//! Options that take the next word, tool by tool.

/// What the options of tools that are read alike take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Takes {
    /// They take the next word.
    pub(super) always: &'static [&'static str],
    /// They take it with some of the tools, and nothing with others.
    pub(super) perhaps: &'static [&'static str],
    /// Options of several letters are written in any case.
    pub(super) any_case: bool,
}

impl Takes {
    pub(super) const NOTHING: Self = Self { always: &[], perhaps: &[], any_case: false };
}

const fn takes(always: &'static [&'static str], perhaps: &'static [&'static str]) -> Takes {
    Takes { always, perhaps, any_case: false }
}

pub(super) const PIP: Takes = takes(PIP_ALWAYS, &["-C", "-d", "-f", "-p", "-w"]);
pub(super) const CONDA: Takes = takes(CONDA_ALWAYS, &["-f"]);
pub(super) const NPM: Takes = takes(NPM_ALWAYS, &["-C", "-F", "-c", "-p", "-w"]);
pub(super) const CARGO: Takes = takes(CARGO_ALWAYS, &["-p"]);
pub(super) const GO: Takes = takes(GO_ALWAYS, &[]);
pub(super) const GEM: Takes = takes(GEM_ALWAYS, &["-g", "-p", "-r"]);
pub(super) const COMPOSER: Takes = takes(COMPOSER_ALWAYS, &[]);
pub(super) const DOTNET: Takes = Takes { any_case: true, ..takes(DOTNET_ALWAYS, &[]) };

const PIP_ALWAYS: &[&str] = &[
    "-r",
    "--requirement",
    "--requirements",
    "-c",
    "--constraint",
    "--constraints",
    "-e",
    "--editable",
    "-i",
    "--index-url",
    "--extra-index-url",
    "--find-links",
    "-t",
    "--target",
    "--platform",
    "--python-version",
    "--implementation",
    "--abi",
    "--root",
    "--prefix",
    "--src",
    "--proxy",
    "--timeout",
    "--retries",
    "--trusted-host",
    "--cert",
    "--client-cert",
    "--cache-dir",
    "--log",
    "--progress-bar",
    "--only-binary",
    "--no-binary",
    "--upgrade-strategy",
    "--use-feature",
    "--use-deprecated",
    "--config-settings",
    "--report",
    "--python",
    "--dest",
    "--group",
    "-G",
    "--source",
    "--extras",
    "-E",
    "--index",
    "--default-index",
    "--extra",
    "--tag",
    "--branch",
    "--rev",
    "--optional",
    "--with",
    "--with-editable",
    "--from",
    "--directory",
    "--project",
    "--package",
    "--script",
    "--spec",
    "--suffix",
    "--pip-args",
    "--marker",
    "-m",
    "--wheel-dir",
];
const CONDA_ALWAYS: &[&str] = &[
    "-c",
    "--channel",
    "-n",
    "--name",
    "-p",
    "--prefix",
    "--file",
    "--solver",
    "--subdir",
    "--platform",
    "--repodata-fn",
];
const NPM_ALWAYS: &[&str] = &[
    "--registry",
    "--prefix",
    "--tag",
    "--save-prefix",
    "--workspace",
    "--loglevel",
    "--cache",
    "--omit",
    "--include",
    "--package",
    "--call",
    "--filter",
    "--cwd",
    "--dir",
];
const CARGO_ALWAYS: &[&str] = &[
    "--features",
    "-F",
    "--rename",
    "--git",
    "--path",
    "--branch",
    "--tag",
    "--rev",
    "--registry",
    "--index",
    "--version",
    "--vers",
    "--package",
    "--target",
    "--manifest-path",
    "--root",
    "--profile",
    "--bin",
    "--example",
    "--color",
    "--config",
    "-Z",
    "-j",
    "--jobs",
    "--base",
    "--target-dir",
];
const GO_ALWAYS: &[&str] = &["-ldflags", "-tags", "-modfile", "-o", "-C", "-gcflags", "-mod", "-exec"];
const GEM_ALWAYS: &[&str] = &[
    "-v",
    "--version",
    "-s",
    "--source",
    "-i",
    "--install-dir",
    "-n",
    "--bindir",
    "-P",
    "--trust-policy",
    "--platform",
    "--group",
    "--file",
    "--git",
    "--github",
    "--path",
    "--branch",
    "--ref",
    "--glob",
    "--require",
    "--http-proxy",
];
const COMPOSER_ALWAYS: &[&str] = &["-d", "--working-dir", "--repository", "--repository-url"];
const DOTNET_ALWAYS: &[&str] = &[
    "-v",
    "--version",
    "-f",
    "--framework",
    "-s",
    "--source",
    "--package-directory",
    "--tool-path",
    "--add-source",
    "--configfile",
    "--project",
    "-Version",
    "-RequiredVersion",
    "-MinimumVersion",
    "-MaximumVersion",
    "-Source",
    "-Repository",
    "-ProjectName",
    "-OutputDirectory",
    "-Framework",
    "-Scope",
    "-Provider",
    "-Name",
];
