//! A real Redis, on a port of its own.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::program::{free_port, until};

/// A server, ended on drop.
pub struct Redis {
    child: Mutex<Child>,
    port: u16,
    tls: bool,
    dir: TempDir,
    args: Vec<String>,
}

impl Redis {
    /// Starts one with these arguments. `None`, and a line that says so, where the program is missing.
    pub fn start(args: &[&str]) -> Option<Self> {
        Self::start_in(tempfile::tempdir().expect("a folder"), args, false)
    }

    /// The same over TLS alone, with this chain and key, in PEM.
    pub fn start_tls(chain: &str, key: &str, args: &[&str]) -> Option<Self> {
        let dir = tempfile::tempdir().expect("a folder");
        fs::write(dir.path().join("server.crt"), chain).expect("a file");
        fs::write(dir.path().join("server.key"), key).expect("a file");
        let tls = ["--tls-cert-file", "server.crt", "--tls-key-file", "server.key", "--tls-auth-clients", "no"];
        let all: Vec<&str> = tls.iter().chain(args).copied().collect();
        Self::start_in(dir, &all, true)
    }

    fn start_in(dir: TempDir, args: &[&str], tls: bool) -> Option<Self> {
        if Command::new("redis-server").arg("--version").stdout(Stdio::null()).status().is_err() {
            eprintln!("SKIPPED: no `redis-server` here; the Debian package of that name brings it");
            return None;
        }
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        let port = free_port();
        let child = Mutex::new(spawn(port, tls, &dir, &args));
        let redis = Self { child, port, tls, dir, args };
        redis.listens();
        Some(redis)
    }

    /// Its address, as a config names it.
    pub fn url(&self) -> String {
        format!("{}://localhost:{}", if self.tls { "rediss" } else { "redis" }, self.port)
    }

    /// Ends it without a chance to save anything.
    pub fn kill(&self) {
        let mut child = self.child.lock().expect("the server");
        child.kill().and_then(|()| child.wait()).expect("the server ends");
    }

    /// Starts it again, on what it left behind.
    pub fn restart(&self) {
        *self.child.lock().expect("the server") = spawn(self.port, self.tls, &self.dir, &self.args);
        self.listens();
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.lock().expect("the server").id()).expect("a pid");
        kill_process(Pid::from_raw(pid).expect("a pid"), signal).expect("the server runs");
    }

    /// Says something to it; returns its answer.
    pub fn say(&self, words: &[&str]) -> String {
        let output = Command::new("redis-cli").args(["-p", &self.port.to_string()]).args(words).output();
        String::from_utf8(output.expect("redis-cli runs").stdout).expect("text")
    }

    fn listens(&self) {
        let address = SocketAddr::from(([127, 0, 0, 1], self.port));
        until("the store to listen", || {
            assert!(self.child.lock().expect("the server").try_wait().expect("a child").is_none(), "it ended");
            TcpStream::connect(address).ok()
        });
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let mut child = self.child.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let _ = child.kill();
        let _ = child.wait();
    }
}

fn spawn(port: u16, tls: bool, dir: &TempDir, args: &[String]) -> Child {
    let port = port.to_string();
    let ports = if tls { ["--port", "0", "--tls-port", &port] } else { ["--port", &port, "--tls-port", "0"] };
    Command::new("redis-server")
        .args(["--bind", "127.0.0.1", "--save", ""])
        .args(ports)
        .args(args)
        .current_dir(dir.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .expect("redis-server starts")
}
