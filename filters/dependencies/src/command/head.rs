//! The words with which a command begins: the tool, and what it is asked to do.

/// What a command installs, and how it writes that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Bundle,
    Cargo,
    CargoInstall,
    Composer,
    /// Names of conda's own channels, which mostly are those of PyPI.
    Conda,
    Deno,
    Dotnet,
    Gem,
    Go,
    Maven,
    Npm,
    /// The first name is the package, the rest is for what it runs.
    NpmRun,
    /// The first name without `create-`.
    NpmCreate,
    Pip,
    PipRun,
    /// Only what `--with` names.
    PipWith,
    Poetry,
}

/// A tool's names, and what it can be asked to do: `*` is any word.
struct Tool {
    names: &'static [&'static str],
    forms: &'static [(&'static [&'static str], Kind)],
}

const NPM: &[(&[&str], Kind)] = &[
    (&["install"], Kind::Npm),
    (&["i"], Kind::Npm),
    (&["in"], Kind::Npm),
    (&["ins"], Kind::Npm),
    (&["inst"], Kind::Npm),
    (&["insta"], Kind::Npm),
    (&["instal"], Kind::Npm),
    (&["isnt"], Kind::Npm),
    (&["isnta"], Kind::Npm),
    (&["isntal"], Kind::Npm),
    (&["isntall"], Kind::Npm),
    (&["add"], Kind::Npm),
    (&["a"], Kind::Npm),
    (&["install-test"], Kind::Npm),
    (&["it"], Kind::Npm),
    (&["up"], Kind::Npm),
    (&["update"], Kind::Npm),
    (&["upgrade"], Kind::Npm),
    (&["udpate"], Kind::Npm),
    (&["global", "add"], Kind::Npm),
    (&["workspace", "*", "add"], Kind::Npm),
    (&["workspace", "*", "up"], Kind::Npm),
    (&["workspaces", "foreach", "add"], Kind::Npm),
    (&["create"], Kind::NpmCreate),
    (&["init"], Kind::NpmCreate),
    (&["innit"], Kind::NpmCreate),
    (&["exec"], Kind::NpmRun),
    (&["x"], Kind::NpmRun),
    (&["dlx"], Kind::NpmRun),
];

const TOOLS: &[Tool] = &[
    Tool {
        names: &["pip", "pipenv"],
        forms: &[(&["install"], Kind::Pip), (&["download"], Kind::Pip), (&["wheel"], Kind::Pip)],
    },
    Tool {
        names: &["pipx"],
        forms: &[
            (&["install"], Kind::Pip),
            (&["upgrade"], Kind::Pip),
            (&["inject"], Kind::Pip),
            (&["run"], Kind::PipRun),
        ],
    },
    Tool {
        names: &["uv"],
        forms: &[
            (&["add"], Kind::Pip),
            (&["pip", "install"], Kind::Pip),
            (&["tool", "install"], Kind::Pip),
            (&["tool", "run"], Kind::PipRun),
            (&["run"], Kind::PipWith),
        ],
    },
    Tool { names: &["uvx"], forms: &[(&[], Kind::PipRun)] },
    Tool { names: &["easy_install"], forms: &[(&[], Kind::Pip)] },
    Tool { names: &["pdm", "rye"], forms: &[(&["add"], Kind::Pip)] },
    Tool {
        names: &["conda", "mamba", "micromamba"],
        forms: &[
            (&["install"], Kind::Conda),
            (&["create"], Kind::Conda),
            (&["update"], Kind::Conda),
            (&["upgrade"], Kind::Conda),
        ],
    },
    Tool { names: &["poetry"], forms: &[(&["add"], Kind::Poetry), (&["self", "add"], Kind::Poetry)] },
    Tool { names: &["npm", "pnpm", "yarn", "bun"], forms: NPM },
    Tool { names: &["npx", "pnpx", "bunx"], forms: &[(&[], Kind::NpmRun)] },
    Tool { names: &["deno"], forms: &[(&["add"], Kind::Deno), (&["install"], Kind::Deno), (&["run"], Kind::Deno)] },
    Tool {
        names: &["cargo"],
        forms: &[(&["add"], Kind::Cargo), (&["install"], Kind::CargoInstall), (&["binstall"], Kind::CargoInstall)],
    },
    Tool { names: &["go"], forms: &[(&["get"], Kind::Go), (&["install"], Kind::Go), (&["run"], Kind::Go)] },
    Tool { names: &["gem"], forms: &[(&["install"], Kind::Gem), (&["i"], Kind::Gem)] },
    Tool { names: &["bundle", "bundler"], forms: &[(&["add"], Kind::Bundle)] },
    Tool {
        names: &["composer", "composer.phar"],
        forms: &[
            (&["require"], Kind::Composer),
            (&["req"], Kind::Composer),
            (&["create-project"], Kind::Composer),
            (&["global", "require"], Kind::Composer),
        ],
    },
    Tool {
        names: &["dotnet"],
        forms: &[
            (&["add", "package"], Kind::Dotnet),
            (&["add", "*", "package"], Kind::Dotnet),
            (&["package", "add"], Kind::Dotnet),
            (&["tool", "install"], Kind::Dotnet),
            (&["tool", "update"], Kind::Dotnet),
        ],
    },
    Tool { names: &["nuget"], forms: &[(&["install"], Kind::Dotnet)] },
    Tool { names: &["install-package", "install-module"], forms: &[(&[], Kind::Dotnet)] },
    Tool {
        names: &["mvn", "mvnw"],
        forms: &[(&["dependency:get"], Kind::Maven), (&["*", "dependency:get"], Kind::Maven)],
    },
];

/// Whether the name of a tool may begin with a character.
pub(crate) fn may_be_first(c: char) -> bool {
    matches!(c.to_ascii_lowercase(), 'b'..='e' | 'g' | 'i' | 'm' | 'n' | 'p' | 'r' | 'u' | 'y')
}

/// Whether a word may yet become the name of a tool, in any case.
pub(crate) fn could_begin(word: &str) -> bool {
    names().any(|name| name.get(..word.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(word)))
        || numbered(word).is_some()
}

/// The names of all tools.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    TOOLS.iter().flat_map(|tool| tool.names.iter().copied())
}

/// `pip3`, `pip3.11`.
fn numbered(word: &str) -> Option<&str> {
    let (name, number) = word.split_at_checked(3)?;
    (name.eq_ignore_ascii_case("pip") && number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.'))
        .then_some(name)
}

/// What one more word makes of the beginning of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    More,
    No,
    Yes(Kind),
}

/// The beginning of a command, word by word.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    tool: usize,
    /// The words so far that are no options.
    words: Vec<String>,
    came: bool,
    after_option: bool,
}

impl Head {
    /// Begins with a word, if it is the name of a tool.
    pub(crate) fn of(word: &str) -> Option<(Self, Step)> {
        let lower = word.to_ascii_lowercase();
        let name = lower.strip_suffix(".exe").or_else(|| lower.strip_suffix(".cmd")).unwrap_or(&lower);
        let name = numbered(name).unwrap_or(name);
        let tool = TOOLS.iter().position(|tool| tool.names.contains(&name))?;
        let head = Self { tool, words: Vec::new(), came: false, after_option: false };
        let step = head.forms().find(|(path, _)| path.is_empty()).map_or(Step::More, |(_, kind)| Step::Yes(*kind));
        Some((head, step))
    }

    fn forms(&self) -> impl Iterator<Item = &'static (&'static [&'static str], Kind)> {
        TOOLS.get(self.tool).map_or(&[][..], |tool| tool.forms).iter()
    }

    /// The forms that go on with one more word that fits.
    fn next(&self, fits: impl Fn(&'static str) -> bool) -> impl Iterator<Item = (bool, Kind)> {
        self.forms().filter_map(move |(path, kind)| {
            let (before, rest) = path.split_at_checked(self.words.len())?;
            let same = before.iter().zip(&self.words).all(|(want, word)| *want == "*" || want == word);
            let next = rest.first().filter(|next| same && fits(next))?;
            Some((rest.len() == 1, *kind)).filter(|_| !next.is_empty())
        })
    }

    /// Whether nothing stands behind the tool's name yet.
    pub(crate) fn is_new(&self) -> bool {
        !self.came
    }

    /// Takes one more word.
    pub(crate) fn word(&mut self, word: &str) -> Step {
        self.came = true;
        if word.ends_with([',', ':', '.', '!', '?']) {
            return Step::No;
        }
        if word.starts_with(['-', '+']) {
            self.after_option = !word.contains('=');
            return Step::More;
        }
        let lower = word.to_ascii_lowercase();
        if let Some((_, kind)) = self.next(|next| next == lower).find(|(last, _)| *last) {
            return Step::Yes(kind);
        }
        if self.next(|next| next == lower || next == "*").next().is_some() {
            self.words.push(lower);
            return Step::More;
        }
        // What an option takes, unless it is the next command.
        if std::mem::take(&mut self.after_option) && Self::of(word).is_none() {
            return Step::More;
        }
        Step::No
    }

    /// Whether a word that begins like this may go on the command.
    pub(crate) fn could(&self, begin: &str) -> bool {
        let starts =
            |next: &str| next == "*" || next.get(..begin.len()).is_some_and(|next| next.eq_ignore_ascii_case(begin));
        begin.starts_with(['-', '+']) || self.after_option || self.next(starts).next().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tool_may_begin() {
        for name in names() {
            assert!(may_be_first(name.chars().next().unwrap()) && Head::of(name).is_some(), "{name}");
            for end in 1..=name.len() {
                assert!(could_begin(&name[..end].to_uppercase()), "{name}");
            }
        }
        assert!(could_begin("pip3.1") && !could_begin("pixie") && Head::of("PIP3.12").is_some());
    }

    #[test]
    fn words_decide() {
        for (words, kind) in [
            ("pip install", Some(Kind::Pip)),
            ("pip -q --proxy x install", Some(Kind::Pip)),
            ("pip to", None),
            ("uv tool run", Some(Kind::PipRun)),
            ("dotnet add x package", Some(Kind::Dotnet)),
            ("dotnet add x y", None),
            ("cargo +nightly add", Some(Kind::Cargo)),
            ("npm, install", None),
            ("go getter", None),
        ] {
            let mut words = words.split(' ');
            let Some((mut head, mut step)) = words.next().and_then(Head::of) else {
                assert_eq!(kind, None);
                continue;
            };
            for word in words {
                if step == Step::More {
                    assert!(head.could(word) || kind.is_none(), "{word}");
                    step = head.word(word);
                }
            }
            assert_eq!(step, kind.map_or(Step::No, Step::Yes), "{kind:?}");
        }
    }
}
