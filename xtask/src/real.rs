//! A real llama.cpp server and real clients for the end-to-end suite, without any download of
//! models: the server comes as a Python wheel, the models are made here.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;

use crate::process::output;
use crate::python::{self, Venv};
use crate::workspace::Workspace;

/// The server itself, and what the model maker imports.
const SERVER: &[&str] = &["xllamacpp==2026.10.11549", "gguf==0.19.0", "numpy"];

/// Clients that some tests drive; each is optional.
const CLIENTS: &[&str] = &["openai", "ollama", "llmesh-mcp==0.1.1", "moto[server]", "zstandard"];

/// The models: a file and the maker's options.
const MODELS: &[(&str, &[&str])] = &[
    ("tiny.gguf", &[]),
    // Says what LLMesh's `generate_code` answers, where a schema lets it begin so.
    (
        "coder.gguf",
        &[
            "--text",
            r#"{"code":"x=1","cve_scan_requested":false,"dependencies_added":[],"explanation":"it-sets-x","generated_files":[],"language":"python"}"#,
        ],
    ),
    ("noise.gguf", &["--style", "random"]),
    // Heavy enough to be slow, for tests of cancelled and slow streams.
    ("slow.gguf", &["--style", "random", "--layers", "8", "--dim", "512", "--ffn", "2048"]),
];

/// Where the suite finds them.
pub(crate) struct Upstream {
    pub(crate) python: PathBuf,
    pub(crate) models: PathBuf,
}

/// Prepares everything, or what is missing of it.
pub(crate) fn prepare(workspace: &Workspace) -> anyhow::Result<Upstream> {
    let maker = maker(workspace.root())?;
    println!("xtask: preparing a real llama.cpp server in {}", workspace.target().display());
    let venv = python::venv(&workspace.target().join("real-venv"))?;
    venv.install(SERVER)?;
    for client in CLIENTS {
        if let Err(error) = venv.install(&[client]) {
            println!("xtask: {error:#}; tests that need it say that they are skipped");
        }
    }
    let models = workspace.target().join("real-models");
    fs::create_dir_all(&models)?;
    for (name, options) in MODELS {
        make(&venv, &maker, &models.join(name), options)?;
    }
    Ok(Upstream { python: venv.python().to_owned(), models })
}

/// The script that writes a tiny model.
fn maker(root: &Path) -> anyhow::Result<PathBuf> {
    let script = root.join("tests/real/make_tiny_gguf.py");
    anyhow::ensure!(script.is_file(), "`{}` is not there", script.display());
    Ok(script)
}

/// Makes a model unless it is there and newer than its maker.
fn make(venv: &Venv, maker: &Path, model: &Path, options: &[&str]) -> anyhow::Result<()> {
    let modified = |file: &Path| fs::metadata(file).and_then(|data| data.modified());
    if let (Ok(model), Ok(maker)) = (modified(model), modified(maker))
        && model > maker
    {
        return Ok(());
    }
    // A maker that is interrupted must not leave half a model behind.
    let partial = model.with_extension("partial");
    output(Command::new(venv.python()).arg(maker).args(options).arg(&partial))?;
    fs::rename(&partial, model).with_context(|| format!("cannot write {}", model.display()))
}
