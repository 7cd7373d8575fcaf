//! `portcullis scan` on what git says was added, and the hook that refuses a commit.

use std::process::Command;

use portcullis_tests::portcullis;

use crate::scan::{Folder, Said, places, token};

/// A repository with one commit.
struct Repository(Folder);

impl Repository {
    fn new() -> Self {
        let repository = Self(Folder::new());
        repository.git(&["init", "--quiet", "--initial-branch=main"]);
        for (key, value) in
            [("user.name", "Somebody"), ("user.email", "somebody@example.org"), ("commit.gpgSign", "false")]
        {
            repository.git(&["config", key, value]);
        }
        repository.write("a.txt", "one\ntwo\nthree\n");
        repository.commit("Begin");
        repository
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        self.0.write(name, bytes);
    }

    /// Runs git, without the settings of whoever runs the tests.
    fn command(&self, args: &[&str]) -> Said {
        let mut git = Command::new("git");
        git.current_dir(self.0.path()).args(args);
        git.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
        let folder = portcullis().parent().unwrap().to_owned();
        let paths = std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).collect::<Vec<_>>();
        git.env("PATH", std::env::join_paths([vec![folder], paths].concat()).unwrap());
        Said::of(&git.output().expect("git runs"))
    }

    fn git(&self, args: &[&str]) -> String {
        let said = self.command(args);
        assert_eq!(said.code, 0, "git {args:?}: {}", said.err);
        said.out.trim().to_owned()
    }

    fn commit(&self, message: &str) -> String {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--no-verify", "--message", message]);
        self.git(&["rev-parse", "HEAD"])
    }
}

#[test]
fn staged_lines_have_their_numbers() {
    let repository = Repository::new();
    let token = token(20);
    repository.write("old.txt", format!("{token}\n"));
    repository.commit("Add what is known");
    assert_eq!(repository.0.scan(&["--staged"]).code, 0);
    repository.write("a.txt", format!("one\nnew\ntwo\nthree\n\n  key {token}\n"));
    repository.write("old.txt", format!("{token}\nmore\n"));
    repository.write("sub/na me\u{e9}\".txt", format!("++ b/x\n{token}\n"));
    repository.git(&["add", "--all"]);
    repository.write("unstaged.txt", &token);
    let expected = [("a.txt", 6, 7), ("sub/na me\u{e9}\".txt", 2, 1)];
    assert_eq!(places(&repository.0.found(&["--staged"])), expected);
    // Neither the user's settings nor the repository's attributes change what is seen.
    for (key, value) in
        [("diff.noprefix", "true"), ("diff.external", "true"), ("color.ui", "always"), ("diff.context", "9")]
    {
        repository.git(&["config", key, value]);
    }
    repository.write(".git/info/attributes", "*.txt -diff\n");
    assert_eq!(places(&repository.0.found(&["--staged"])), expected);
    // From below, too.
    let below = Command::new(portcullis())
        .current_dir(repository.0.path().join("sub"))
        .args(["scan", "--staged", "--json"])
        .output();
    assert_eq!(places(&Said::of(&below.unwrap()).findings()), expected);
}

#[test]
fn a_rename_is_looked_through_and_a_binary_file_is_not() {
    let repository = Repository::new();
    repository.write("old.txt", format!("x\n{}\n", token(21)));
    repository.commit("Add");
    repository.git(&["mv", "old.txt", "new.txt"]);
    repository.write("program", format!("\x7f\0{}\n", token(21)));
    repository.git(&["add", "--all"]);
    let said = repository.0.scan(&["--staged", "--json"]);
    assert_eq!(places(&said.findings()), [("new.txt", 2, 1)]);
    assert!(said.err.contains("1 not scanned: binary"), "{}", said.err);
}

#[test]
fn history_keeps_what_a_later_commit_takes_away() {
    let repository = Repository::new();
    let first = repository.git(&["rev-parse", "HEAD"]);
    repository.write("b.txt", format!("x\n{}\n", token(22)));
    let second = repository.commit("Add a key");
    repository.write("b.txt", "x\n");
    repository.commit("Take it away");
    let said = repository.0.scan(&["--since", &first, "--json"]);
    assert_eq!((said.code, places(&said.findings())), (1, vec![("b.txt", 2, 1)]), "{}", said.err);
    assert_eq!(said.findings()[0]["commit"], second);
    assert_eq!(repository.0.scan(&["--since", &second]).code, 0);
    let planted = repository.0.path().join("planted");
    for wrong in ["nothing", "--output=planted", "-p", "main..main", ""] {
        let said = repository.0.scan(&[&format!("--since={wrong}")]);
        assert_eq!((said.code, planted.exists()), (2, false), "{wrong}: {}", said.err);
    }
}

#[test]
fn any_unified_diff_can_be_scanned() {
    let repository = Repository::new();
    let token = token(23);
    repository.write("a.txt", format!("one\ntwo\nthree\nfour {token}\n"));
    let diff = repository.git(&["diff"]) + "\n";
    for (args, input) in [(&["--json", "--diff", "-"][..], &*diff), (&["--json", "--diff", "x.diff"], "")] {
        repository.write("x.diff", &diff);
        let said = repository.0.scan_input(args, input.as_bytes());
        assert_eq!((said.code, places(&said.findings())), (1, vec![("a.txt", 4, 6)]), "{}", said.err);
    }
    // What is no diff is not taken for a clean one.
    let said = repository.0.scan_input(&["--diff", "-"], diff.replace("+four", "four").as_bytes());
    assert!(said.code == 3 && said.err.contains("does not fit into its hunk"), "{}", said.err);
    let elsewhere = Folder::new();
    assert_eq!(elsewhere.scan(&["--staged"]).code, 2, "nobody can mend it by trying again");
}

#[test]
fn the_hook_refuses_a_commit_with_a_secret() {
    let repository = Repository::new();
    let hooks = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/pre-commit");
    repository.git(&["config", "core.hooksPath", hooks]);
    let commit = |message: &str| {
        repository.git(&["add", "--all"]);
        repository.command(&["commit", "--quiet", "--message", message])
    };
    repository.write("b.txt", "nothing to see\n");
    assert_eq!(commit("Add a file").code, 0);
    let head = repository.git(&["rev-parse", "HEAD"]);
    let token = token(24);
    repository.write("b.txt", format!("nothing to see\nkey: {token}\n"));
    let refused = commit("Add a key");
    assert_eq!(refused.code, 1, "{}", refused.err);
    let told = format!("{}{}", refused.out, refused.err);
    assert!(told.contains("b.txt:2:6  gitlab-token") && !told.contains(&token), "{told}");
    assert_eq!(repository.git(&["rev-parse", "HEAD"]), head);
    // As part of a baseline it is known, and a comment allows it.
    assert_eq!(repository.0.scan(&["--baseline", ".portcullis-baseline.json", "--write-baseline", "b.txt"]).code, 0);
    assert_eq!(commit("Add a known key").code, 0);
    repository.write("c.txt", format!("{token} portcullis:allow\n"));
    assert_eq!(commit("Add an allowed key").code, 0);
}

#[test]
fn outside_of_a_repository_it_says_what_to_do() {
    let folder = Folder::new();
    for args in [["--staged", "--json"], ["--since", "main"]] {
        let said = folder.scan(&args);
        assert_eq!(said.code, 2, "{}", said.err);
        let expected = format!(
            "`{}` is about a git repository, and git says of the current folder: not a git repository",
            args[0]
        );
        assert!(said.err.contains(&expected) && said.err.contains("portcullis scan PATH"), "{}", said.err);
        assert!(!said.err.contains("usage: git") && said.out.is_empty(), "{}", said.err);
    }
    let said = Repository::new().0.scan(&["--since", "nosuch"]);
    assert!(said.code == 2 && said.err.contains("names no commit of this repository, expected"), "{}", said.err);
}
