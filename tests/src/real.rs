//! Real counterparts: a llama.cpp server and Python clients, where they are installed.
//!
//! `cargo xtask test --real` prepares them and says where by `PORTCULLIS_REAL_PYTHON` and
//! `PORTCULLIS_REAL_MODELS`. Without those a test that needs them skips, and says so.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// The Python interpreter and the models, or `None` with a visible word about what is missing.
pub fn prepared(test: &str) -> Option<(PathBuf, PathBuf)> {
    let find = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|p| p.exists());
    match (find("PORTCULLIS_REAL_PYTHON"), find("PORTCULLIS_REAL_MODELS")) {
        (Some(python), Some(models)) => Some((python, models)),
        _ => {
            eprintln!("skipped: {test} needs a real llama.cpp server; `cargo xtask test --real` prepares one");
            None
        }
    }
}

/// The Python interpreter, where it has this module, or `None` with a visible word about what is missing.
pub fn python_with(module: &str, test: &str) -> Option<PathBuf> {
    let python = std::env::var_os("PORTCULLIS_REAL_PYTHON").map(PathBuf::from).filter(|python| {
        let probe = Command::new(python).args(["-c", &format!("import {module}")]).stderr(Stdio::null()).status();
        probe.is_ok_and(|status| status.success())
    });
    if python.is_none() {
        eprintln!("skipped: {test} needs the Python module `{module}`; `cargo xtask test --real` installs it");
    }
    python
}

/// A running llama.cpp server. Ended on drop.
pub struct LlamaServer {
    child: Child,
    /// `http://127.0.0.1:PORT`
    pub url: String,
}

impl LlamaServer {
    /// Starts one with this model file.
    pub fn start(python: &Path, model: &Path) -> Self {
        Self::run(python, "llama_upstream.py", &[model.as_os_str()])
    }

    /// Starts what gives this server the routes of an Ollama.
    pub fn as_ollama(&self, python: &Path, model: &str) -> Self {
        Self::run(python, "ollama_upstream.py", &[self.url.as_ref(), model.as_ref()])
    }

    fn run(python: &Path, script: &str, args: &[&OsStr]) -> Self {
        let mut child = Command::new(python)
            .arg(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/real")).join(script))
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the server starts");
        let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        let url = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| {
                let said: serde_json::Value = serde_json::from_str(&line).ok()?;
                Some(said["listening"].as_str()?.to_owned())
            })
            .expect("the server says where it listens");
        std::thread::spawn(move || for _ in lines {});
        Self { child, url }
    }
}

impl Drop for LlamaServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The real `ollama` program, or `None` with a visible word about what is missing.
pub fn ollama(test: &str) -> Option<PathBuf> {
    let found = std::env::var_os("PORTCULLIS_REAL_OLLAMA").map(PathBuf::from).filter(|p| p.exists());
    if found.is_none() {
        eprintln!("skipped: {test} needs the ollama program; name it in PORTCULLIS_REAL_OLLAMA");
    }
    found
}
