//! What a text is, as far as a name says so.

use portcullis_osv::Ecosystem;

/// What is known of a text before it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hint<'h> {
    /// An answer: prose with blocks of code.
    Answer,
    /// A list of packages of an ecosystem, one in a line.
    Ecosystem(Ecosystem),
    /// A file of this name.
    File(&'h str),
    /// Code in this language, named as in Markdown.
    Language(&'h str),
}

/// What the name of a file says of how well it is understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// Code, or a script: what it imports and what it runs.
    Code,
    /// JSON, TOML, XML, YAML or the like, but no manifest that is known: only parts that look like one's count.
    Form,
    /// A manifest, a lock file, or a list of requirements.
    Manifest,
    /// Nothing that is known: everything is tried, as on a text.
    Text,
}

impl Reading {
    /// What a file of this name, or path, is read as.
    #[must_use]
    pub fn of(path: &str) -> Self {
        let name = last(path);
        if KNOWN.contains(&name.as_str()) || name.ends_with(".versions.toml") || name.ends_with(".gemspec") {
            return Self::Manifest;
        }
        match Format::file(path) {
            Format::Any if name.ends_with(".ipynb") => Self::Code,
            Format::Any => Self::Text,
            Format::Cfg | Format::Diff | Format::Json | Format::Toml | Format::Yaml => Self::Form,
            // `App.csproj` and its kin are manifests, whatever they are called.
            Format::Xml if name.ends_with(".xml") || name.ends_with(".html") => Self::Form,
            Format::Go
            | Format::JavaScript
            | Format::Other
            | Format::Python
            | Format::Ruby
            | Format::Rust
            | Format::Shell => Self::Code,
            Format::GoMod
            | Format::GoSum
            | Format::Gradle
            | Format::GradleLock
            | Format::List(_)
            | Format::Requirements
            | Format::Xml => Self::Manifest,
        }
    }
}

/// Manifests and lock files whose form alone would not tell what they are.
const KNOWN: [&str; 28] = [
    "cargo.lock",
    "cargo.toml",
    "composer.json",
    "composer.lock",
    "deno.json",
    "deno.jsonc",
    "environment.yaml",
    "environment.yml",
    "gemfile",
    "gemfile.lock",
    "gems.locked",
    "gems.rb",
    "npm-shrinkwrap.json",
    "package-lock.json",
    "package.json",
    "packages.config",
    "packages.lock.json",
    "pdm.lock",
    "pipfile",
    "pipfile.lock",
    "pnpm-lock.yaml",
    "poetry.lock",
    "pom.xml",
    "pyproject.toml",
    "setup.cfg",
    "setup.py",
    "uv.lock",
    "yarn.lock",
];

/// What a block of code is read as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Format {
    /// Nobody said: everything is tried.
    #[default]
    Any,
    /// `setup.cfg` and its kin.
    Cfg,
    /// What differs from before, line by line.
    Diff,
    Go,
    GoMod,
    GoSum,
    /// Gradle's build files.
    Gradle,
    /// Gradle's lock files: what was resolved, one in a line.
    GradleLock,
    JavaScript,
    Json,
    /// A list of packages.
    List(Ecosystem),
    /// Another language: no imports that are known.
    Other,
    Python,
    /// `requirements.txt`.
    Requirements,
    Ruby,
    Rust,
    Shell,
    Toml,
    Xml,
    Yaml,
}

impl Format {
    /// What a hint says.
    pub(crate) fn of(hint: Hint<'_>) -> Option<Self> {
        match hint {
            Hint::Answer => None,
            Hint::Ecosystem(ecosystem) => Some(Self::List(ecosystem)),
            Hint::File(name) => Some(Self::file(name)),
            Hint::Language(language) => Some(Self::language(language)),
        }
    }

    /// What a block says behind its opening marks: a language, or a file's name.
    pub(crate) fn info(info: &str) -> Self {
        let named = info
            .split([' ', ',', '{', '}', '"', '\'', '=', ':'])
            .filter(|word| word.contains('.'))
            .map(Self::file)
            .find(|format| *format != Self::Any);
        named.unwrap_or_else(|| {
            let first = info.trim_start_matches(['{', '.', ' ']).split([' ', ',', '{', '}', ':', ';']).next();
            Self::language(first.unwrap_or_default())
        })
    }

    fn language(name: &str) -> Self {
        match name.to_ascii_lowercase().as_str() {
            "python" | "py" | "python3" | "ipython" | "pycon" | "py3" => Self::Python,
            "javascript" | "js" | "jsx" | "typescript" | "ts" | "tsx" | "mjs" | "node" | "vue" | "svelte" => {
                Self::JavaScript
            }
            "rust" | "rs" => Self::Rust,
            "go" | "golang" => Self::Go,
            "go.mod" | "gomod" | "go-mod" => Self::GoMod,
            "go.sum" | "gosum" => Self::GoSum,
            "ruby" | "rb" | "gemfile" => Self::Ruby,
            "json" | "json5" | "jsonc" => Self::Json,
            "toml" => Self::Toml,
            "ini" | "cfg" => Self::Cfg,
            "xml" | "html" | "csproj" | "pom" | "msbuild" => Self::Xml,
            "yaml" | "yml" => Self::Yaml,
            "bash" | "sh" | "shell" | "zsh" | "console" | "shell-session" | "fish" | "powershell" | "ps1" | "pwsh"
            | "cmd" | "bat" | "batch" | "dockerfile" | "docker" | "makefile" | "make" => Self::Shell,
            "requirements" | "requirements.txt" | "pip-requirements" | "pip" => Self::Requirements,
            "groovy" | "gradle" => Self::Gradle,
            "diff" | "patch" => Self::Diff,
            "c" | "cpp" | "c++" | "cs" | "csharp" | "java" | "kotlin" | "kt" | "scala" | "swift" | "php"
            | "haskell" | "hs" | "lua" | "perl" | "r" | "dart" | "elixir" | "sql" | "css" | "zig" | "julia" | "d"
            | "ocaml" | "nix" | "clojure" => Self::Other,
            _ => Self::Any,
        }
    }

    fn file(path: &str) -> Self {
        let name = last(path);
        let (stem, extension) = name.rsplit_once('.').unwrap_or((&name, ""));
        match (name.as_str(), extension) {
            ("go.mod", _) => Self::GoMod,
            ("go.sum", _) => Self::GoSum,
            ("pipfile" | "cargo.lock" | "poetry.lock" | "uv.lock" | "pdm.lock", _) => Self::Toml,
            ("pipfile.lock" | "composer.lock", _) => Self::Json,
            ("gemfile" | "gemfile.lock" | "gems.rb" | "gems.locked", _) => Self::Ruby,
            ("dockerfile" | "makefile", _) => Self::Shell,
            (_, "txt" | "in") if stem.contains("requirement") || stem.contains("constraint") => Self::Requirements,
            (_, "csproj" | "fsproj" | "vbproj" | "props" | "targets" | "nuspec" | "config" | "pom") => Self::Xml,
            (_, "gradle" | "kts") => Self::Gradle,
            ("gradle.lockfile" | "buildscript-gradle.lockfile", _) => Self::GradleLock,
            (_, "gemspec") => Self::Ruby,
            (_, "cjs" | "mts" | "cts") => Self::JavaScript,
            (_, "ipynb" | "lock") => Self::Any,
            (_, "pyw" | "pyi") => Self::Python,
            _ => Self::language(extension),
        }
    }
}

/// The last part of a path, in lower case.
fn last(path: &str) -> String {
    path.rsplit(['/', '\\']).next().unwrap_or(path).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_how_well_a_file_is_understood() {
        for (name, reading) in [
            ("a/b/Cargo.lock", Reading::Manifest),
            ("requirements-dev.txt", Reading::Manifest),
            ("src\\App.csproj", Reading::Manifest),
            ("gradle/libs.versions.toml", Reading::Manifest),
            ("buildscript-gradle.lockfile", Reading::Manifest),
            ("main.py", Reading::Code),
            ("yarn.lock", Reading::Manifest),
            ("notebook.ipynb", Reading::Code),
            ("build.sh", Reading::Code),
            ("Gemfile", Reading::Manifest),
            ("x.gemspec", Reading::Manifest),
            ("setup.py", Reading::Manifest),
            ("bom.json", Reading::Form),
            ("deploy.yaml", Reading::Form),
            ("bom.xml", Reading::Form),
            ("bun.lock", Reading::Text),
            ("flake.lock", Reading::Text),
            ("Package.resolved", Reading::Text),
            ("names.txt", Reading::Text),
        ] {
            assert_eq!(Reading::of(name), reading, "{name}");
        }
    }
}
