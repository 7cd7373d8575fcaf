//! A real door process, and plain HTTP to it.

use std::fs;
use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use portcullis_certs::NodeKey;
use serde_json::Value;
use tempfile::TempDir;

use crate::client::{Answer, Stream};
use crate::gate::Gate;
use crate::program::{portcullis, until};

/// What one person keeps of doors: a key, and the gates that were met.
pub struct DoorHome {
    dir: Arc<TempDir>,
    doors: AtomicUsize,
}

/// A running door. Ended on drop.
pub struct Door {
    /// `None` for further doors of one process: the first owns it.
    child: Option<Child>,
    log: PathBuf,
    /// Lives as long as what is in it is used.
    dir: Arc<TempDir>,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Default for DoorHome {
    fn default() -> Self {
        Self { dir: Arc::new(tempfile::tempdir().expect("a folder")), doors: AtomicUsize::new(0) }
    }
}

impl DoorHome {
    /// A person who never met a gate.
    pub fn new() -> Self {
        Self::default()
    }

    /// The folder.
    pub fn path(&self) -> PathBuf {
        self.dir.path().join("door")
    }

    /// A command of this person's.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(portcullis());
        command.arg("connect").args(args).env("PORTCULLIS_DOOR", self.path()).stdin(Stdio::null());
        command
    }

    /// Runs `connect` to its end.
    pub fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().expect("portcullis runs")
    }

    /// The door's node id, once it has a key.
    pub fn id(&self) -> String {
        NodeKey::load(&self.path().join("node.key")).expect("the door's key").public().node_id()
    }

    /// Opens a door to this gate, whose operator read the fingerprint out.
    #[track_caller]
    pub fn open(&self, gate: &Gate) -> Door {
        self.open_with(gate, &[])
    }

    /// The same with more options.
    #[track_caller]
    pub fn open_with(&self, gate: &Gate, more: &[&str]) -> Door {
        let (url, pin) = (gate.url(), gate.fingerprint());
        let mut args = vec![url.as_str(), "--pin", &pin, "--listen", "127.0.0.1:0", "--name", "laptop"];
        args.extend(more);
        self.start(&args).remove(0)
    }

    /// Opens a door whom the gate's operator approves.
    #[track_caller]
    pub fn open_approved(&self, gate: &Gate) -> Door {
        let door = self.open(gate);
        let output = gate.cli(&["peers", "approve", &self.id(), "--name", "laptop"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        door.says("lets this door in");
        door
    }

    /// Starts doors and waits until they are open: the first of them owns the process.
    #[track_caller]
    pub fn start(&self, args: &[&str]) -> Vec<Door> {
        let count = self.doors.fetch_add(1, Ordering::Relaxed);
        let log = self.dir.path().join(format!("log{count}"));
        let mut command = self.command(args);
        command.stdout(Stdio::null()).stderr(fs::File::create(&log).expect("a log"));
        let child = command.spawn().expect("portcullis starts");
        let mut door = Door { child: Some(child), log, dir: Arc::clone(&self.dir), address: ([0; 4], 0).into() };
        let gates = args.iter().filter(|arg| arg.starts_with("https://")).count();
        let addresses = until("the door to open", || {
            let found: Vec<SocketAddr> = door
                .log()
                .lines()
                .filter_map(|l| l.split_once("http://")?.1.split_once(" leads to ")?.0.parse().ok())
                .collect();
            assert!(door.ended().is_none(), "the door ended: {}", door.log());
            (found.len() == gates).then_some(found)
        });
        door.address = addresses[0];
        let mut doors = vec![door];
        for address in &addresses[1..] {
            let (log, dir) = (doors[0].log.clone(), Arc::clone(&doors[0].dir));
            doors.push(Door { child: None, log, dir, address: *address });
        }
        doors
    }
}

impl Door {
    /// What it wrote to standard error so far.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Waits until it says this.
    #[track_caller]
    pub fn says(&self, what: &str) {
        let deadline = std::time::Instant::now() + Duration::from_secs(20);
        while !self.log().contains(what) {
            assert!(std::time::Instant::now() < deadline, "the door never said `{what}`: {}", self.log());
            std::thread::park_timeout(Duration::from_millis(10));
        }
    }

    /// How often it said this.
    pub fn said(&self, what: &str) -> usize {
        self.log().matches(what).count()
    }

    /// A connection.
    pub fn connect(&self) -> TcpStream {
        let tcp = TcpStream::connect(self.address).expect("the door listens");
        tcp.set_read_timeout(Some(Duration::from_secs(30))).expect("a socket");
        tcp.set_nodelay(true).expect("a socket");
        tcp
    }

    /// Sends these bytes and reads the head of the answer.
    pub fn begin(&self, bytes: &[u8]) -> Option<Stream> {
        let mut tcp = self.connect();
        // The gate may answer before everything was read.
        let _ = tcp.write_all(bytes);
        Stream::head(tcp)
    }

    /// Sends these bytes and reads the answer; one without a head has status 0.
    pub fn raw(&self, bytes: &[u8]) -> Answer {
        self.begin(bytes).map_or_else(Answer::default, Stream::finish)
    }

    /// Sends a request with these lines after the first two.
    pub fn ask(&self, method: &str, path: &str, lines: &[&str], body: &str) -> Answer {
        self.raw(&self.request(method, path, lines, body))
    }

    /// Gets.
    pub fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[], "")
    }

    /// Posts JSON.
    pub fn post(&self, path: &str, body: &Value) -> Answer {
        self.ask("POST", path, &["Content-Type: application/json"], &body.to_string())
    }

    /// Posts JSON and leaves the answer's body to be read.
    #[track_caller]
    pub fn post_streamed(&self, path: &str, body: &Value) -> Stream {
        let lines = ["Content-Type: application/json"];
        self.begin(&self.request("POST", path, &lines, &body.to_string())).expect("an answer")
    }

    fn request(&self, method: &str, path: &str, lines: &[&str], body: &str) -> Vec<u8> {
        let mut text = format!("{method} {path} HTTP/1.1\r\n");
        if !lines.iter().any(|line| line.starts_with("Host:")) {
            text.push_str(&format!("Host: {}\r\n", self.address));
        }
        for line in lines {
            text.push_str(&format!("{line}\r\n"));
        }
        text.push_str(&format!("Content-Length: {}\r\n\r\n{body}", body.len()));
        text.into_bytes()
    }

    /// Sends a signal.
    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(self.child.as_ref().expect("a process"));
        rustix::process::kill_process(pid, signal).expect("the door runs");
    }

    /// Waits for it to end by itself.
    #[track_caller]
    pub fn wait(&mut self) -> ExitStatus {
        until("the door to end", || self.ended())
    }

    fn ended(&mut self) -> Option<ExitStatus> {
        self.child.as_mut()?.try_wait().expect("a child")
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            eprintln!("--- the door's log ---\n{}", self.log());
        }
    }
}
