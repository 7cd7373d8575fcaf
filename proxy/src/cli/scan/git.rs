//! What git says was added. Its arguments are fixed, so that neither the user's settings nor a
//! repository's attributes change what is seen; no shell is between.

use std::io::BufReader;
use std::process::{Child, ChildStdout, Command, Stdio};

use super::patch::Patches;
use super::printable;
use crate::cli::{Failure, Outcome};

/// How a diff is to be written: whole files where they were renamed, and as text whatever attributes say.
const AS_TEXT: [&str; 12] = [
    "--unified=0",
    "--no-color",
    "--no-ext-diff",
    "--no-textconv",
    "--text",
    "--no-renames",
    "--no-relative",
    "--inter-hunk-context=0",
    "--submodule=short",
    "--ignore-submodules=none",
    "--src-prefix=a/",
    "--dst-prefix=b/",
];

/// A git that writes a diff; what is wrong, it says itself.
pub(super) struct Git {
    child: Child,
}

/// What is about to be committed.
pub(super) fn staged() -> Outcome<(Git, Patches<BufReader<ChildStdout>>)> {
    in_repository("--staged")?;
    let mut git = git();
    git.args(["diff", "--cached"]).args(AS_TEXT);
    start(git)
}

/// What the commits after this one add, each by itself: what a later one takes away is still in the history.
pub(super) fn since(revision: &str) -> Outcome<(Git, Patches<BufReader<ChildStdout>>)> {
    in_repository("--since")?;
    let mut ask = git();
    ask.args(["rev-parse", "--verify", "--quiet", "--end-of-options"]).arg(format!("{revision}^{{commit}}"));
    let said = ask.stdin(Stdio::null()).output().map_err(not_there)?;
    let commit = String::from_utf8_lossy(&said.stdout).trim().to_owned();
    if !said.status.success() || !commit.bytes().all(|byte| byte.is_ascii_hexdigit()) || commit.is_empty() {
        return Err(Failure::usage(
            "`--since` names no commit of this repository, expected a branch, a tag or a hash: `git log --oneline` \
             lists them; a shallow clone may lack it (`git fetch --unshallow`)",
        ));
    }
    let mut git = git();
    git.args(["log", "--format=commit %H", "--diff-merges=first-parent", "--patch", "--reverse"]).args(AS_TEXT);
    git.arg(format!("{commit}..HEAD")).arg("--");
    start(git)
}

/// Asks git for the repository: outside of one it would print how its own commands are used.
fn in_repository(option: &str) -> Outcome {
    let mut ask = git();
    let said = ask.args(["rev-parse", "--git-dir"]).stdin(Stdio::null()).output().map_err(not_there)?;
    if said.status.success() {
        return Ok(());
    }
    let why = String::from_utf8_lossy(&said.stderr);
    let why = why.lines().next().unwrap_or_default();
    let why: String = why.strip_prefix("fatal: ").unwrap_or(why).chars().take(200).collect();
    Err(Failure::usage(format!(
        "`{option}` is about a git repository, and git says of the current folder: {}; run it inside of one, or name \
         files and directories: `portcullis scan PATH`",
        printable(&why)
    )))
}

impl Git {
    /// Waits for its end. A git that failed did not say everything.
    pub(super) fn end(mut self) -> Outcome {
        let status = self.child.wait().map_err(not_there)?;
        if status.success() { Ok(()) } else { Err(Failure::broken(format!("git did not say everything: {status}"))) }
    }
}

fn git() -> Command {
    let mut git = Command::new("git");
    git.args(["--no-pager", "-c", "core.quotePath=true", "-c", "log.showSignature=false"]).env_remove("GIT_DIFF_OPTS");
    git
}

fn start(mut git: Command) -> Outcome<(Git, Patches<BufReader<ChildStdout>>)> {
    let mut child = git.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().map_err(not_there)?;
    let from = child.stdout.take().ok_or_else(|| Failure::broken("git: no output"))?;
    Ok((Git { child }, Patches::new(BufReader::new(from))))
}

fn not_there(error: std::io::Error) -> Failure {
    Failure::broken(format!("git cannot be run: {error}; `--staged` and `--since` need it, `--diff FILE` does not"))
}
