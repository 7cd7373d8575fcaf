//! What code imports: names of modules, which hint at packages.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use portcullis_osv::{Ecosystem, Wanted};

use crate::found::{How, Spec};
use crate::lines::{Line, Out};
use crate::spec;
use crate::strings::strings;

/// Modules that come with Python.
static PYTHON: LazyLock<HashSet<&str>> =
    LazyLock::new(|| include_str!("data/python.txt").split_ascii_whitespace().collect());
/// Modules that come with Node.js.
static NODE: LazyLock<HashSet<&str>> =
    LazyLock::new(|| include_str!("data/node.txt").split_ascii_whitespace().collect());
/// Modules of Python whose packages are named otherwise.
static MODULES: LazyLock<HashMap<&str, &str>> = LazyLock::new(|| {
    let lines = include_str!("data/modules.txt").lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.split_once(' ')).collect()
});
/// Crates that come with Rust, and what is no crate.
const RUST: &[&str] = &["alloc", "core", "crate", "proc_macro", "self", "std", "super", "test", "Self"];

fn tell(ecosystem: Ecosystem, name: &str, line: &Line<'_>, out: &mut Out<'_>) {
    out.add(Spec::new(ecosystem, name, Wanted::Any), How::Import, line.place.clone());
}

/// `import a.b as c, d`, `from a.b import c`, `__import__("a")`, `import_module("a")`.
/// `sure` says that it is Python; others write alike.
pub(crate) fn python(line: &Line<'_>, sure: bool, out: &mut Out<'_>) {
    let text = line.text.split('#').next().unwrap_or_default().trim();
    let tabs;
    let text = if text.contains('\t') {
        tabs = text.replace('\t', " ");
        &tabs
    } else {
        text
    };
    // Java and others end a line so, and their paths have points.
    if text.ends_with(';') && text.contains('.') && !sure {
        return;
    }
    for statement in text.trim_start_matches(">>> ").split(';') {
        let statement = statement.trim();
        // `try: import a`
        let begun = ["try:", "else:", "finally:"].iter().find_map(|begin| statement.strip_prefix(begin));
        python_statement(begun.unwrap_or(statement).trim(), line, out);
    }
}

/// `python -c 'import a'`.
pub(crate) fn python_command(line: &Line<'_>, out: &mut Out<'_>) {
    let Some((before, code)) = line.text.split_once(" -c ") else { return };
    if before.contains("python")
        && let Some(code) = strings(code).first()
    {
        code.lines().for_each(|text| python(&Line { text, place: line.place.clone() }, true, out));
    }
}

fn python_statement(text: &str, line: &Line<'_>, out: &mut Out<'_>) {
    if let Some(rest) = text.strip_prefix("from ") {
        if let Some((module, _)) = [" import ", " import(", " import*"].iter().find_map(|word| rest.split_once(word)) {
            module_of_python(module.trim(), line, out);
        }
    } else if let Some(rest) = text.strip_prefix("import ") {
        let modules: Vec<&str> = rest.split(',').map(str::trim).collect();
        let plain = |module: &str| match module.split_once(" as ") {
            Some((module, name)) => is_path(module.trim()) && is_path(name.trim()),
            None => is_path(module),
        };
        if modules.iter().all(|module| plain(module)) {
            for module in modules {
                module_of_python(module.split(' ').next().unwrap_or(module), line, out);
            }
        }
    }
    for call in ["__import__(", "import_module("] {
        if let Some((_, rest)) = text.split_once(call)
            && let Some(module) = strings(rest).first()
        {
            module_of_python(module, line, out);
        }
    }
}

fn is_path(text: &str) -> bool {
    !text.is_empty() && text.split('.').all(is_identifier)
}

fn is_identifier(text: &str) -> bool {
    text.chars().all(|c| c.is_alphanumeric() || c == '_') && text.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

fn module_of_python(path: &str, line: &Line<'_>, out: &mut Out<'_>) {
    if !is_path(path) {
        return;
    }
    let module = path.split('.').next().unwrap_or(path);
    // No package's name begins with a low line: parts of Python that are written in C do.
    if PYTHON.contains(module) || module.starts_with('_') {
        return;
    }
    // Packages that share a namespace.
    let google = path.strip_prefix("google.cloud.").map(|rest| rest.split('.').next().unwrap_or(rest));
    if let Some(part) = google {
        return tell(Ecosystem::PyPi, &format!("google-cloud-{part}"), line, out);
    }
    if path.starts_with("google.protobuf") {
        return tell(Ecosystem::PyPi, "protobuf", line, out);
    }
    tell(Ecosystem::PyPi, MODULES.get(module).unwrap_or(&module), line, out);
}

/// `import a from "b"`, `import "b"`, `require("b")`, `import("b")`, `export * from "b"`.
pub(crate) fn javascript(line: &Line<'_>, out: &mut Out<'_>) {
    let text = line.text.trim();
    let mut modules = Vec::new();
    if text.starts_with("import ") || text.starts_with("export ") || text.contains("} from ") {
        if let Some((_, rest)) = text.rsplit_once(" from ").or_else(|| text.rsplit_once("}from ")) {
            modules.extend(strings(rest).into_iter().next());
        } else if let Some(rest) = text.strip_prefix("import ") {
            modules.extend(strings(rest).into_iter().next().filter(|_| rest.starts_with(['"', '\''])));
        }
    }
    for call in ["require(", "import(", "require.resolve("] {
        for (at, _) in text.match_indices(call) {
            let before = text.get(..at).and_then(|before| before.chars().next_back());
            let argument = text.get(at + call.len()..).unwrap_or_default().trim_start();
            if before.is_none_or(|before| !before.is_alphanumeric()) && argument.starts_with(['"', '\'', '`']) {
                let end = argument.char_indices().skip(1).find(|(_, c)| argument.starts_with(*c)).map(|(at, _)| at);
                modules.extend(end.and_then(|end| argument.get(1..end)).map(str::to_owned));
            }
        }
    }
    for module in modules {
        module_of_javascript(&module, line, out);
    }
}

fn module_of_javascript(path: &str, line: &Line<'_>, out: &mut Out<'_>) {
    let inside =
        path.starts_with(['.', '/', '#', '~']) || path.starts_with("@/") || path.contains('$') || path.is_empty();
    if inside || path.starts_with("node:") || path.starts_with("bun:") || path.starts_with("jsr:") {
        return;
    }
    if path.contains("://") || path.starts_with("npm:") {
        if let Some(spec) = spec::npm(path) {
            out.add(spec, How::Import, line.place.clone());
        }
        return;
    }
    let parts = if path.starts_with('@') { 2 } else { 1 };
    let end = path.match_indices('/').nth(parts - 1).map_or(path.len(), |(at, _)| at);
    let name = path.get(..end).unwrap_or(path);
    if !NODE.contains(name)
        && let Some(spec) = spec::npm_entry(name, "")
    {
        out.add(spec, How::Import, line.place.clone());
    }
}

/// `use a::b;`, `pub use a::b;`, `extern crate a;`.
pub(crate) fn rust(line: &Line<'_>, out: &mut Out<'_>) {
    let text = line.text.trim();
    let text = text.strip_prefix("pub ").unwrap_or(text);
    let path = if let Some(rest) = text.strip_prefix("extern crate ") {
        rest.trim_end_matches(';').split(' ').next()
    } else if let Some(rest) = text.strip_prefix("use ") {
        let rest = rest.trim_start_matches("::");
        rest.split_once("::").or_else(|| rest.split_once(" as ")).map(|(name, _)| name)
    } else {
        None
    };
    let Some(name) = path.map(str::trim).filter(|name| is_identifier(name)) else { return };
    // A module or a type of the crate begins like a crate; only its case tells a type apart.
    if !RUST.contains(&name) && name.chars().next().is_some_and(char::is_lowercase) {
        tell(Ecosystem::CratesIo, name, line, out);
    }
}

/// `import "a.example/b"`, and lines of a block of imports.
#[derive(Clone, Debug, Default)]
pub(crate) struct GoImports {
    block: bool,
}

impl GoImports {
    pub(crate) fn is_active(&self) -> bool {
        self.block
    }

    pub(crate) fn line(&mut self, line: &Line<'_>, out: &mut Out<'_>) {
        let text = line.text.trim();
        if text == "import (" {
            self.block = true;
        } else if self.block && text == ")" {
            self.block = false;
        } else if self.block || text.starts_with("import ") {
            let path = strings(text).into_iter().next().unwrap_or_default();
            if path.contains('/') && !text.contains(" from ") {
                spec::go_modules(&path).into_iter().for_each(|spec| out.add(spec, How::Import, line.place.clone()));
            }
        }
    }
}
