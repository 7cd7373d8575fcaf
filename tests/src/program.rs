//! The program under test, and waiting for conditions.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// The path of the `portcullis` binary of this build, built first when it is missing or old.
pub fn portcullis() -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| build(&["--package", "portcullis", "--bin", "portcullis"]).join("portcullis")).clone()
}

/// The path of an example of this package, built first when it is missing or old.
pub fn example(name: &str) -> PathBuf {
    build(&["--package", "portcullis-tests", "--example", name]).join("examples").join(name)
}

/// Builds, and says where what was built is.
fn build(what: &[&str]) -> PathBuf {
    let mut folder = std::env::current_exe().expect("the test knows its own path");
    folder.pop();
    if folder.ends_with("deps") {
        folder.pop();
    }
    let mut build = Command::new(env!("CARGO"));
    build.args(["build", "--quiet"]).args(what);
    build.arg("--target-dir").arg(folder.parent().expect("a target folder"));
    if folder.ends_with("release") {
        build.arg("--release");
    }
    build.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    assert!(build.status().expect("cargo runs").success(), "{} does not build", what.join(" "));
    folder
}

/// Runs a `portcullis` command to its end.
pub fn run(args: &[&str]) -> Output {
    Command::new(portcullis()).args(args).output().expect("portcullis runs")
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port").port()
}

/// Waits until a condition holds, looking often; fails with `what` after 20 s.
#[track_caller]
pub fn until<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(Instant::now() < deadline, "waited 20 s in vain: {what}");
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

/// Holds what took this long against the second within which the gate promises it. The machine that runs
/// the tests may be busy with others, so several are let pass; the figure is printed.
#[track_caller]
pub fn within_a_second(what: &str, took: Duration) {
    eprintln!("{what}: {took:?}");
    assert!(took < Duration::from_secs(5), "{what} took {took:?}");
}
