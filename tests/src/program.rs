//! The program under test, and waiting for conditions.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
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

/// A port that is free, and that nobody takes by chance before it is listened on (or while a gate restarts): it is
/// outside of the range from which the system takes ports for connections and for listeners that name none.
pub fn free_port() -> u16 {
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    let (first, count) = ports_apart();
    // Other test programs that run at the same time start elsewhere.
    let start = std::process::id().wrapping_mul(2_654_435_761) >> 8;
    (0..count)
        .map(|_| first + (start.wrapping_add(TAKEN.fetch_add(1, Ordering::Relaxed)) % count))
        .filter_map(|port| u16::try_from(port).ok())
        .find(|&port| TcpListener::bind(("127.0.0.1", port)).is_ok())
        .expect("a free port")
}

/// The first of the ports that the system hands out to nobody, and how many follow it.
fn ports_apart() -> (u32, u32) {
    let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let mut ends = range.split_whitespace().filter_map(|end| end.parse::<u32>().ok());
    let (low, high) = (ends.next().unwrap_or(32_768), ends.next().unwrap_or(60_999));
    let (below, above) = (low.saturating_sub(10_000), 65_535_u32.saturating_sub(high));
    match below.max(above) {
        0..=1_000 => (10_000, 55_535),
        _ if below >= above => (10_000, below),
        _ => (high + 1, above),
    }
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
