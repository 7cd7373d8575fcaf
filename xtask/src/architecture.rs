//! What the folders promise: judgement stays pure, files are named for what they hold, and no
//! path of a developer's machine is left in the tree.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};

use crate::process::output;
use crate::workspace::Workspace;

/// Crates and modules that a folder must not use.
const FORBIDDEN: &[(&str, &[&str])] =
    &[("policies/", NO_NETWORK), ("filters/", NO_NETWORK), ("certs/signatures/", NO_NETWORK), ("certs/", &["pingora"])];

const NO_NETWORK: &[&str] = &["pingora", "rustls", "hyper", "tokio::net", "std::net::Tcp"];

/// Home folders that examples and test inputs may name.
const SAMPLE_HOMES: &[&str] = &[
    "alice",
    "bob",
    "carol",
    "dave",
    "dev",
    "eve",
    "jane",
    "john",
    "me",
    "nonroot",
    "ollama",
    "portcullis",
    "runner",
    "user",
    "username",
    "you",
];

/// Checks every file that is, or would be, under version control.
pub(crate) fn check(workspace: &Workspace) -> anyhow::Result<()> {
    let mut git = Command::new("git");
    git.args(["ls-files", "--cached", "--others", "--exclude-standard", "-z"]);
    let files =
        output(git.current_dir(workspace.root())).context("the architecture check reads the list of files from git")?;
    let mut problems = Vec::new();
    for file in files.split('\0').filter(|file| !file.is_empty()) {
        // A file that is deleted but still listed, or is no text, has nothing to check.
        if let Ok(text) = fs::read_to_string(workspace.root().join(file)) {
            problems.extend(problems_in(file, &text));
        }
    }
    for problem in &problems {
        eprintln!("{problem}");
    }
    ensure!(problems.is_empty(), "the architecture check found {} problem(s)", problems.len());
    println!("xtask: the architecture holds");
    Ok(())
}

fn problems_in(file: &str, text: &str) -> Vec<String> {
    let mut problems = Vec::new();
    if Path::new(file).file_name().is_some_and(|name| name == "mod.rs") {
        problems.push(format!("{file}: name the module's file after the module, not mod.rs"));
    }
    let forbidden =
        FORBIDDEN.iter().find(|(folder, _)| file.starts_with(folder)).map_or(&[][..], |(_, forbidden)| forbidden);
    let comment = if file.ends_with(".rs") { "//" } else { "#" };
    let is_code = file.ends_with(".rs") || file.ends_with("Cargo.toml");
    for (number, line) in (1..).zip(text.lines()) {
        if is_code && !line.trim_start().starts_with(comment) {
            for name in forbidden.iter().filter(|name| uses(line, name)) {
                problems.push(format!("{file}:{number}: `{name}` must not be used here"));
            }
        }
        if let Some(path) = machine_path(line) {
            problems.push(format!("{file}:{number}: a path of some machine, `{path}`"));
        }
    }
    problems
}

/// Whether a line names a crate or module: as a whole word, or as the start of one that goes on
/// with `_`, `-` or an upper-case letter.
fn uses(line: &str, name: &str) -> bool {
    line.match_indices(name).any(|(at, _)| {
        let before = line.get(..at).and_then(|text| text.chars().next_back());
        let after = line.get(at + name.len()..).and_then(|text| text.chars().next());
        !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '-')
            && !after.is_some_and(|c| c.is_lowercase() || c.is_numeric())
    })
}

/// The first absolute path in a line that can only be right on one machine.
fn machine_path(line: &str) -> Option<&str> {
    // Written in two parts so that this file does not name what it looks for.
    let roots = [concat!("/wo", "rk/"), concat!("/ho", "me/"), concat!("/Us", "ers/")];
    roots.into_iter().find_map(|root| {
        line.match_indices(root).find_map(|(at, _)| {
            let before = line.get(..at)?.chars().next_back();
            let starts_here = !before.is_some_and(|c| c.is_alphanumeric() || "./_-}~".contains(c));
            let rest = line.get(at + root.len()..)?;
            let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_' && c != '-');
            let next = rest.get(..end.unwrap_or(rest.len()))?;
            let is_name = next.chars().next().is_some_and(char::is_alphanumeric);
            (starts_here && is_name && !SAMPLE_HOMES.contains(&next))
                .then(|| line.get(at..at + root.len() + next.len()))
                .flatten()
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_may_not_reach_the_network() {
        let code = "use pingora_core::Error;\nlet s = std::net::TcpStream::connect(a);\n";
        assert_eq!(problems_in("filters/src/chain.rs", code).len(), 2);
        assert_eq!(problems_in("proxy/src/main.rs", code), Vec::<String>::new());
        let manifest = "[dependencies]\nhyper-util.workspace = true\n# hyper is not used\n";
        assert_eq!(problems_in("policies/Cargo.toml", manifest).len(), 1);
    }

    #[test]
    fn prose_and_other_words_are_no_use() {
        assert_eq!(problems_in("filters/src/lib.rs", "//! Knows no pingora.\n"), [""; 0]);
        assert!(!uses("let hyperbole = 1;", "hyper"));
        assert!(!uses("let my_hyper = 1;", "hyper"));
        assert!(uses("rustls = { version = \"0.23\" }", "rustls"));
        assert_eq!(problems_in("certs/src/tls.rs", "use rustls::sign;\n"), [""; 0]);
        assert_eq!(problems_in("certs/src/tls.rs", "use pingora_error::Error;\n").len(), 1);
    }

    #[test]
    fn module_files_carry_their_name() {
        assert_eq!(problems_in("certs/src/store/mod.rs", "").len(), 1);
    }

    #[test]
    fn machine_paths_are_found_and_samples_are_not() {
        let own = format!("cd {}main/target", concat!("/wo", "rk/"));
        assert_eq!(machine_path(&own), Some(concat!("/wo", "rk/main")));
        let home = format!("\"{}q7x/keys\"", concat!("/ho", "me/"));
        assert!(machine_path(&home).is_some());
        for fine in ["/home/alice/.ssh", "docs/work/items", "~/work/x", "/home/{name}", "/home/"] {
            assert_eq!(machine_path(fine), None, "{fine}");
        }
    }
}
