//! Child processes: run to the end, asked for their output, or kept in the background.

use std::fs::File;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};

/// How long a background process may take to start, and to stop.
const START: Duration = Duration::from_secs(30);
const STOP: Duration = Duration::from_secs(8);

/// Says what runs, runs it with inherited output, and fails when it fails.
pub(crate) fn run(command: &mut Command) -> anyhow::Result<()> {
    let line = describe(command);
    println!("$ {line}");
    let status = command.status().with_context(|| format!("cannot start `{line}`"))?;
    ensure!(status.success(), "`{line}` failed ({status})");
    Ok(())
}

/// Whether the command can be started and succeeds, its output thrown away.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}

/// What the command writes to its standard output.
pub(crate) fn output(command: &mut Command) -> anyhow::Result<String> {
    let line = describe(command);
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("cannot start `{line}`"))?;
    if !output.status.success() {
        bail!("`{line}` failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// Program and arguments, the program without its folder.
fn describe(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let mut line = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
    for arg in command.get_args() {
        line.push(' ');
        line.push_str(&arg.to_string_lossy());
    }
    line
}

/// A command with as many file descriptors as the system grants.
pub(crate) fn with_descriptors(program: &Path) -> Command {
    let mut command = Command::new("sh");
    let script = r#"ulimit -n "$(ulimit -H -n)" 2>/dev/null; exec "$0" "$@""#;
    command.args(["-c", script]).arg(program);
    command
}

/// A process in the background, ended when this goes out of scope.
pub(crate) struct Background {
    name: String,
    child: Child,
}

impl Background {
    /// Starts a command, its output going to a file.
    pub(crate) fn start(name: &str, command: &mut Command, log: &Path) -> anyhow::Result<Self> {
        let file = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        Ok(Self { name: name.to_owned(), child })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until the process accepts connections.
    pub(crate) fn wait_for_port(&mut self, addr: SocketAddr) -> anyhow::Result<()> {
        self.wait_until(|| TcpStream::connect_timeout(&addr, Duration::from_millis(500)).is_ok())
            .with_context(|| format!("{} does not listen on {addr}", self.name))
    }

    /// Waits until `ready` says so; fails when the process ends or takes too long.
    pub(crate) fn wait_until(&mut self, ready: impl Fn() -> bool) -> anyhow::Result<()> {
        let start = Instant::now();
        while !ready() {
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ended at once ({status})", self.name);
            }
            ensure!(start.elapsed() < START, "{} was not ready in time", self.name);
            sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// Whether the process has ended after SIGTERM.
    fn terminate(&mut self) -> bool {
        // The standard library only knows SIGKILL, which would orphan the workers of a server.
        let kill = format!("kill -TERM {}", self.pid());
        if !succeeds(Command::new("sh").args(["-c", &kill])) {
            return false;
        }
        let start = Instant::now();
        while start.elapsed() < STOP {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return true;
            }
            sleep(Duration::from_millis(20));
        }
        false
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        if !self.terminate() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// A loopback address that nobody listens on now.
pub(crate) fn free_address() -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("no free loopback port")?;
    Ok(listener.local_addr()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_command_is_named_with_its_reason() {
        let error = output(Command::new("sh").args(["-c", "echo no luck >&2; exit 3"]));
        assert!(error.unwrap_err().to_string().ends_with("failed: no luck"));
        assert_eq!(output(Command::new("echo").arg("hi")).unwrap(), "hi\n");
    }

    #[test]
    fn a_background_process_ends_with_its_guard() {
        let log = std::env::temp_dir().join(format!("xtask-log-{}", std::process::id()));
        let sleeper = Background::start("sleep", Command::new("sleep").arg("60"), &log).unwrap();
        let check = format!("kill -0 {}", sleeper.pid());
        assert!(succeeds(Command::new("sh").args(["-c", &check])));
        drop(sleeper);
        assert!(!succeeds(Command::new("sh").args(["-c", &check])));
        std::fs::remove_file(log).unwrap();
    }
}
