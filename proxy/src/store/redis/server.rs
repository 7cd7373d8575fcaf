//! A real Redis for tests, on a port of its own.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::config::RedisSettings;

/// A server, which is ended when this is dropped.
pub(super) struct Server {
    child: Child,
    pub(super) port: u16,
    pub(super) dir: tempfile::TempDir,
    args: Vec<String>,
}

impl Server {
    /// Starts one with these arguments. `None`, and a line that says so, where the program is missing.
    pub(super) fn start(args: &[&str]) -> Option<Self> {
        if Command::new("redis-server").arg("--version").stdout(Stdio::null()).status().is_err() {
            eprintln!("SKIPPED: no `redis-server` here; the Debian package of that name brings it");
            return None;
        }
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let dir = tempfile::tempdir().unwrap();
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        let mut server = Self { child: spawn(port, dir.path(), &args), port, dir, args };
        server.wait();
        Some(server)
    }

    pub(super) fn settings(&self) -> RedisSettings {
        RedisSettings {
            host: "127.0.0.1".to_owned(),
            port: self.port,
            tls: false,
            user: None,
            password: None,
            database: 0,
            ca: None,
            // Other tests share the machine.
            timeout: Duration::from_secs(2),
            prefix: "test".to_owned(),
        }
    }

    /// Ends it without a chance to save anything.
    pub(super) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again, on what it left behind.
    pub(super) fn restart(&mut self) {
        self.child = spawn(self.port, self.dir.path(), &self.args);
        self.wait();
    }

    /// Stops it where it stands, or lets it go on.
    pub(super) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
    }

    /// Says something to it over its own command line.
    pub(super) fn say(&self, words: &[&str]) -> String {
        let port = self.port.to_string();
        let output = Command::new("redis-cli").args(["-p", &port]).args(words).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    fn wait(&mut self) {
        let address = SocketAddr::from(([127, 0, 0, 1], self.port));
        let until = Instant::now() + Duration::from_secs(20);
        while std::net::TcpStream::connect(address).is_err() {
            assert!(self.child.try_wait().unwrap().is_none(), "redis-server ended");
            assert!(Instant::now() < until, "redis-server does not listen");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(port: u16, dir: &Path, args: &[String]) -> Child {
    let port = if args.iter().any(|arg| arg == "--tls-port") { "0".to_owned() } else { port.to_string() };
    Command::new("redis-server")
        .args(["--bind", "127.0.0.1", "--port", &port, "--save", "", "--daemonize", "no"])
        .arg("--dir")
        .arg(dir)
        .args(args)
        .stdout(Stdio::null())
        .stdin(Stdio::null())
        .spawn()
        .unwrap()
}
