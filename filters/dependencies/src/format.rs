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
        let name = path.rsplit(['/', '\\']).next().unwrap_or(path).to_ascii_lowercase();
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
            (_, "gemspec") => Self::Ruby,
            (_, "cjs" | "mts" | "cts") => Self::JavaScript,
            (_, "ipynb" | "lock") => Self::Any,
            (_, "pyw" | "pyi") => Self::Python,
            _ => Self::language(extension),
        }
    }
}
