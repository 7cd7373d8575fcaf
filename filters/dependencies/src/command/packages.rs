//! What a command installs.

use std::collections::HashSet;
use std::sync::LazyLock;

use portcullis_osv::{Ecosystem, Wanted};

use super::args::{Arg, args};
use super::head::{Head, Kind, Step};
use super::options::{CARGO, COMPOSER, CONDA, DOTNET, GEM, GO, NPM, PIP, Takes};
use super::{unnamed, words};
use crate::found::{Remote, Spec};
use crate::spec;

/// Registries that are the ecosystems' own.
const OWN: &[&str] = &[
    "pypi.org",
    "pypi.python.org",
    "registry.npmjs.org",
    "registry.yarnpkg.com",
    "index.crates.io",
    "rubygems.org",
    "index.rubygems.org",
    "api.nuget.org",
    "www.nuget.org",
    "repo1.maven.org",
    "repo.maven.apache.org",
    "proxy.golang.org",
    "packagist.org",
    "repo.packagist.org",
];

/// The old index of crates.io, which lock files still name.
const CRATES_INDEX: &str = "github.com/rust-lang/crates.io-index";

/// Words that end a command in prose. They are no packages there.
static PROSE: LazyLock<HashSet<&str>> =
    LazyLock::new(|| include_str!("../data/prose.txt").split_ascii_whitespace().collect());

/// Reads a command: its text from the tool's name on. Says whether it installs what only its run will name, too.
pub(crate) fn parse(text: &str, prose: bool, list: bool, found: &mut dyn FnMut(Spec)) -> bool {
    let mut words = if list { words::listed(text) } else { shell(text, prose) };
    let inner = !prose && unnamed::take_inner(&mut words);
    for word in &mut words {
        // The end of an element, of a link's text.
        if let Some(end) = word.find("</").or_else(|| word.find("](")) {
            word.truncate(end);
        }
        let bare = word.trim_matches(['"', '\'', '`', '\u{201C}']);
        let bare = if prose { plain_word(bare) } else { without_stop(bare) };
        // A path may end or begin with a point; so does `.`, which is one.
        if bare.len() != word.len() && (bare.is_empty() || !word.starts_with('.')) && word != "." {
            *word = bare.to_owned();
        }
    }
    // What follows a sign that ends a sentence or a quotation is none of the command's.
    let cut = words.iter_mut().position(|word| prose && cut_name(word));
    words.truncate(cut.map_or(words.len(), |cut| cut + 1));
    words.retain(|word| !word.is_empty());
    let mut rest = words.iter();
    let Some((mut head, mut step)) = rest.next().and_then(|word| Head::of(word)) else { return false };
    while step == Step::More {
        let Some(word) = rest.next() else { return false };
        step = head.word(word);
    }
    let Step::Yes(kind) = step else { return false };
    let mut rest = rest.as_slice();
    let listed = list && unnamed::has_variable(text);
    if prose && let Some(end) = rest.iter().position(|word| is_prose(word)) {
        let after = rest.get(end..).unwrap_or_default();
        rest = rest.get(..end).unwrap_or_default();
        // `requests and evil`: another one, or how the sentence goes on.
        if !rest.is_empty() && after.first().is_some_and(|word| joins(word)) {
            let mut more: Vec<String> = after.iter().filter(|word| !joins(word)).cloned().collect();
            more.truncate(more.iter().position(|word| is_prose(word)).unwrap_or(more.len()));
            kind.read(rest, found);
            kind.read(&more, &mut |spec| found(spec.guessed()));
            return inner || kind.names_none(rest);
        }
    }
    kind.read(rest, found);
    inner || listed || kind.names_none(rest)
}

/// Cuts a word of prose at the first sign that no registry takes in a name, and says whether there is one. Letters that
/// look like others are kept: they are told.
fn cut_name(word: &mut String) -> bool {
    let option = word.len() - word.trim_start_matches('-').len();
    let sign =
        word.char_indices().find(|(at, c)| *at > 0 && !c.is_ascii() && (!c.is_alphanumeric() || is_syllable(*c)));
    let dash = word.get(option..).and_then(|rest| rest.find("--")).map(|at| at + option);
    let Some(end) = sign.map(|(at, _)| at).into_iter().chain(dash.filter(|at| *at > 0)).min() else { return false };
    word.truncate(end);
    true
}

/// Chinese, Japanese and Korean: they stand behind a name without a blank, and look like no letter.
fn is_syllable(c: char) -> bool {
    matches!(c, '\u{2E80}'..='\u{9FFF}' | '\u{AC00}'..='\u{D7AF}' | '\u{F900}'..='\u{FAFF}' | '\u{20000}'..='\u{3FFFF}')
}

/// A word of prose without the marks around it.
fn plain_word(word: &str) -> &str {
    let word = word.trim_start_matches(['*', '(']).trim_end_matches([',', ';', '!', '?', ')', '.', ':', '\'', '"']);
    let word = word.trim_end_matches("__");
    // `==1.*` is a range.
    if word.ends_with(".*") || word.ends_with("=*") { word } else { word.trim_end_matches('*') }
}

/// A word that a full stop was written behind, within the marks of code.
fn without_stop(word: &str) -> &str {
    let bare = word.strip_suffix('.').filter(|bare| bare.ends_with(|c: char| c.is_alphanumeric()));
    bare.filter(|_| !word.starts_with(['.', '-']) && !word.contains('/') || word.starts_with('@')).unwrap_or(word)
}

/// A command in a shell. The quote that ends its tool's name stood open before it.
fn shell(text: &str, prose: bool) -> Vec<String> {
    let end =
        text.find(['"', '\'']).filter(|end| !text.get(..*end).is_none_or(|name| name.contains(char::is_whitespace)));
    match end.and_then(|end| Some((text.get(..end)?, text.get(end + 1..)?))) {
        Some((name, rest)) => words::shell(&format!("{name}{rest}"), prose),
        None => words::shell(text, prose),
    }
}

/// Whether a word in prose is one of its own, not a package's name.
pub(crate) fn is_prose(word: &str) -> bool {
    let lower = word.to_ascii_lowercase();
    lower == "-" || lower == "--" || PROSE.contains(lower.as_str())
}

/// Whether a word of prose may join two packages.
pub(crate) fn joins(word: &str) -> bool {
    ["and", "or", "plus"].iter().any(|joins| word.eq_ignore_ascii_case(joins))
}

impl Kind {
    /// Whether one of the words in the place of a package is made when the command runs.
    fn names_none(self, words: &[String]) -> bool {
        let takes = match self {
            Self::Pip | Self::PipRun | Self::PipWith | Self::Poetry => PIP,
            Self::Conda => CONDA,
            Self::Npm | Self::NpmRun | Self::NpmCreate => NPM,
            Self::Cargo | Self::CargoInstall => CARGO,
            Self::Go => GO,
            Self::Gem | Self::Bundle => GEM,
            Self::Composer => COMPOSER,
            Self::Dotnet => DOTNET,
            Self::Deno | Self::Maven => Takes::NOTHING,
        };
        let mut plain = 0;
        args(words, takes).into_iter().any(|arg| match (arg, self) {
            (Arg::Option("-r" | "--requirement" | "--requirements", file), Self::Pip | Self::Poetry) => {
                unnamed::is_input(file)
            }
            (Arg::Option("--with" | "--from", value), Self::Pip | Self::PipRun | Self::PipWith) => {
                unnamed::is_made(value)
            }
            (Arg::Option("-p" | "--package", value), Self::NpmRun | Self::NpmCreate) => unnamed::is_made(value),
            (Arg::Option("-Dartifact", value), Self::Maven) => unnamed::is_made(value),
            (Arg::Option(..) | Arg::Perhaps(_), _) => false,
            // What the package is given, or a program of the reader's own.
            (Arg::Plain(_), Self::PipWith | Self::Deno | Self::Maven) => false,
            (Arg::Plain(word), _) => {
                plain += 1;
                let first = matches!(self, Self::PipRun | Self::NpmRun | Self::NpmCreate | Self::Dotnet);
                (plain == 1 || !first) && unnamed::is_made(word)
            }
        })
    }

    fn read(self, words: &[String], found: &mut dyn FnMut(Spec)) {
        match self {
            Self::Pip | Self::Poetry => python(words, false, found),
            Self::PipRun => python(words, true, found),
            Self::PipWith => with(words, found),
            Self::Conda => plain(words, CONDA, &mut spec::conda, found),
            Self::Npm => npm(words, false, found),
            Self::NpmRun => npm(words, true, found),
            Self::NpmCreate => npm(words, true, &mut |spec| found(creates(spec))),
            Self::Deno => {
                plain(words, Takes::NOTHING, &mut |word| word.strip_prefix("npm:").and_then(spec::npm), found)
            }
            Self::Cargo => cargo(words, false, found),
            Self::CargoInstall => cargo(words, true, found),
            Self::Go => {
                for arg in args(words, GO) {
                    if let Arg::Plain(word) = arg {
                        spec::go_modules(word).into_iter().for_each(&mut *found);
                    }
                }
            }
            Self::Gem | Self::Bundle => gem(words, found),
            Self::Composer => composer(words, found),
            Self::Dotnet => dotnet(words, found),
            Self::Maven => maven(words, found),
        }
    }
}

fn plain(words: &[String], takes: Takes, read: &mut dyn FnMut(&str) -> Option<Spec>, found: &mut dyn FnMut(Spec)) {
    for arg in args(words, takes) {
        match arg {
            Arg::Plain(word) => read(word).into_iter().for_each(&mut *found),
            Arg::Perhaps(word) => perhaps(word, &mut *read).into_iter().for_each(&mut *found),
            Arg::Option(..) => {}
        }
    }
}

/// A word that may be what an option takes: a folder or a version is no package.
fn perhaps(word: &str, read: impl FnOnce(&str) -> Option<Spec>) -> Option<Spec> {
    let spec =
        read(word).filter(|spec| spec.remote.is_none() && word.starts_with(|c: char| c.is_alphabetic() || c == '@'));
    spec.map(|spec| Spec { perhaps: true, ..spec })
}

/// `npm create x` runs `create-x`.
fn creates(spec: Spec) -> Spec {
    if spec.remote.is_some() {
        return spec;
    }
    let written = match spec.written.split_once('/') {
        Some((scope, name)) => format!("{scope}/create-{name}"),
        None => format!("create-{}", spec.written),
    };
    Spec { written, ..spec }
}

/// A registry that is not the ecosystem's own.
pub(crate) fn registry(address: &str) -> Option<Remote> {
    let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
    // What a reader takes for the host may be a name before an `@`, or stand behind another slash.
    let host = rest.split(['/', '\\', '?', '#']).next().unwrap_or_default();
    let host = host.rsplit('@').next().unwrap_or(host).split(':').next().unwrap_or(host);
    let own = OWN.iter().any(|own| own.eq_ignore_ascii_case(host))
        || rest
            .strip_prefix(CRATES_INDEX)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '.', '#', '?']));
    (!address.is_empty() && !own).then(|| Remote::Registry(address.to_owned()))
}

/// Tells what a command names; where it names a registry of its own, that is where it comes from.
fn tell(ecosystem: Ecosystem, specs: Vec<Spec>, own: Option<Remote>, found: &mut dyn FnMut(Spec)) {
    let own = own.map(Remote::shortened);
    if specs.is_empty()
        && let Some(own) = own
    {
        return found(Spec::remote(ecosystem, "", own));
    }
    for mut spec in specs {
        spec.remote = spec.remote.or_else(|| own.clone());
        found(spec);
    }
}

fn python(words: &[String], first: bool, found: &mut dyn FnMut(Spec)) {
    let (mut specs, mut own, mut plain) = (Vec::new(), None, 0);
    for arg in args(words, PIP) {
        match arg {
            Arg::Option("-i" | "--index-url" | "--extra-index-url" | "--index" | "--default-index", address)
            | Arg::Option("--find-links", address) => own = own.or_else(|| registry(address)),
            // With `pipx` it takes nothing.
            Arg::Option("-f", address) if address.contains('/') => own = own.or_else(|| registry(address)),
            Arg::Option("-e" | "--editable" | "--with" | "--with-editable" | "--spec" | "--from", value) => {
                plain += 1;
                specs.extend(value.split(',').filter_map(spec::pypi));
            }
            // With `uvx` it is `--with`.
            Arg::Option("-w", value) if first => specs.extend(value.split(',').filter_map(spec::pypi)),
            Arg::Option("-r" | "-c" | "--requirement" | "--requirements" | "--constraint" | "--constraints", file) => {
                specs.extend(listed_elsewhere(file));
            }
            // `-Uname`: no option of pip's, but it says a name.
            Arg::Option(option, value) if !value_of_upgrade(option).is_empty() => {
                let name = value_of_upgrade(option);
                let name = if value.is_empty() { name.to_owned() } else { format!("{name}={value}") };
                specs.extend(spec::pypi(&name).map(Spec::guessed));
            }
            Arg::Option(..) => {}
            Arg::Perhaps(word) => specs.extend(perhaps(word, spec::pypi)),
            Arg::Plain(_) if first && plain > 0 => {}
            Arg::Plain(word) => {
                plain += 1;
                match spec::pypi(word) {
                    Some(spec) => specs.push(spec),
                    // `a,b` is no name of pip's, but it says two.
                    None => specs.extend(word.split(',').filter_map(spec::pypi)),
                }
            }
        }
    }
    tell(Ecosystem::PyPi, specs, own, found);
}

/// What stands behind `-U` in the same word, unless it is made of other options of one letter.
fn value_of_upgrade(option: &str) -> &str {
    let value = option.strip_prefix("-U").unwrap_or_default();
    if value.chars().all(|c| "IUVceiqrv".contains(c)) { "" } else { value }
}

/// A list of requirements that comes from elsewhere. One that lies here is the reader's own.
pub(crate) fn listed_elsewhere(file: &str) -> Option<Spec> {
    let remote = spec::remote(file).filter(|remote| !matches!(remote, Remote::File(_)))?;
    Some(Spec::remote(Ecosystem::PyPi, "", remote))
}

fn with(words: &[String], found: &mut dyn FnMut(Spec)) {
    for arg in args(words, PIP) {
        match arg {
            Arg::Option("--with" | "-w", value) => value.split(',').filter_map(spec::pypi).for_each(&mut *found),
            Arg::Option(..) | Arg::Perhaps(_) => {}
            Arg::Plain(_) => return,
        }
    }
}

fn npm(words: &[String], first: bool, found: &mut dyn FnMut(Spec)) {
    let (mut specs, mut own, mut plain) = (Vec::new(), None, 0);
    for arg in args(words, NPM) {
        match arg {
            Arg::Option("--registry", address) => own = registry(address),
            Arg::Option("-p" | "--package", value) if first => {
                plain += 1;
                specs.extend(spec::npm(value));
            }
            Arg::Option(..) => {}
            Arg::Perhaps(word) if !first => specs.extend(perhaps(word, spec::npm)),
            Arg::Perhaps(_) => {}
            Arg::Plain(_) if first && plain > 0 => {}
            Arg::Plain(word) => {
                plain += 1;
                specs.extend(spec::npm(word));
            }
        }
    }
    tell(Ecosystem::Npm, specs, own, found);
}

fn cargo(words: &[String], exact: bool, found: &mut dyn FnMut(Spec)) {
    let (mut specs, mut own, mut version) = (Vec::new(), None, None);
    for arg in args(words, CARGO) {
        match arg {
            Arg::Option("--git", address) => own = Some(Remote::Vcs(address.to_owned())),
            Arg::Option("--path", path) => own = Some(Remote::File(path.to_owned())),
            Arg::Option("--registry" | "--index", address) if address != "crates-io" => {
                own = own.or_else(|| registry(address));
            }
            Arg::Option("--version" | "--vers", value) => version = Some(value),
            Arg::Option(..) => {}
            Arg::Perhaps(word) => specs.extend(perhaps(word, spec::cargo)),
            Arg::Plain(word) => specs.extend(spec::cargo(word)),
        }
    }
    for spec in &mut specs {
        let asked =
            version.filter(|_| spec.wanted == Wanted::Any).and_then(|version| spec::cargo(&format!("x@{version}")));
        if let Some(asked) = asked {
            spec.wanted = asked.wanted;
        }
        // `cargo install` takes a bare version for exactly that one.
        if let Wanted::Range(range) = &spec.wanted
            && exact
            && range.starts_with(|c: char| c.is_ascii_digit())
        {
            spec.wanted = spec::exact(range);
        }
    }
    tell(Ecosystem::CratesIo, specs, own, found);
}

fn gem(words: &[String], found: &mut dyn FnMut(Spec)) {
    let (mut names, mut doubtful, mut own, mut version) = (Vec::new(), Vec::new(), None, None);
    for arg in args(words, GEM) {
        match arg {
            Arg::Option("-v" | "--version", value) => version = Some(value),
            Arg::Option("-s" | "--source", address) => own = registry(address),
            Arg::Option("--git" | "--github", address) => own = Some(Remote::Vcs(address.to_owned())),
            Arg::Option("--path", path) => own = Some(Remote::File(path.to_owned())),
            Arg::Option(..) => {}
            Arg::Perhaps(word) => doubtful.push(word),
            Arg::Plain(word) => names.push(word),
        }
    }
    let doubtful = doubtful.into_iter().filter_map(|name| perhaps(name, |name| spec::gem(name, version)));
    let specs = names.into_iter().filter_map(|name| spec::gem(name, version)).chain(doubtful).collect();
    tell(Ecosystem::RubyGems, specs, own, found);
}

fn composer(words: &[String], found: &mut dyn FnMut(Spec)) {
    let mut specs: Vec<Spec> = Vec::new();
    for arg in args(words, COMPOSER) {
        let Arg::Plain(word) = arg else { continue };
        if let Some(spec) = spec::composer(word) {
            specs.push(spec);
        } else if let Some(last) = specs.last_mut().filter(|last| last.wanted == Wanted::Any)
            && let Some(asked) = spec::composer(&format!("{}:{word}", last.written))
        {
            // `vendor/package 1.2`
            last.wanted = asked.wanted;
        }
    }
    tell(Ecosystem::Packagist, specs, None, found);
}

fn dotnet(words: &[String], found: &mut dyn FnMut(Spec)) {
    let (mut names, mut own, mut version, mut least) = (Vec::new(), None, None, None);
    for arg in args(words, DOTNET) {
        match arg {
            Arg::Option(name, value) => match name.trim_start_matches('-').to_ascii_lowercase().as_str() {
                "v" | "version" | "requiredversion" => version = Some(value),
                "minimumversion" => least = Some(format!("[{value},)")),
                "s" | "source" | "add-source" if value.contains("://") => own = registry(value),
                "name" => names.push(value),
                _ => {}
            },
            Arg::Perhaps(_) => {}
            Arg::Plain(word) => names.push(word),
        }
    }
    let version = version.or(least.as_deref());
    let specs = names.into_iter().take(1).filter_map(|name| spec::dotnet(name, version)).collect();
    tell(Ecosystem::NuGet, specs, own, found);
}

fn maven(words: &[String], found: &mut dyn FnMut(Spec)) {
    let (mut group, mut artifact, mut version, mut own, mut specs) = ("", "", "", None, Vec::new());
    for arg in args(words, Takes::NOTHING) {
        match arg {
            Arg::Option("-Dartifact", value) => specs.extend(spec::maven(value)),
            Arg::Option("-DgroupId", value) => group = value,
            Arg::Option("-DartifactId", value) => artifact = value,
            Arg::Option("-Dversion", value) => version = value,
            Arg::Option("-DremoteRepositories", value) => own = registry(value.rsplit("::").next().unwrap_or(value)),
            Arg::Option(..) | Arg::Perhaps(_) | Arg::Plain(_) => {}
        }
    }
    if !group.is_empty() && !artifact.is_empty() {
        specs.extend(spec::maven(&format!("{group}:{artifact}:{version}")));
    }
    tell(Ecosystem::Maven, specs, own, found);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_registries_are_known_by_their_host() {
        for own in [
            "https://pypi.org/simple",
            "https://user:password@PyPI.org:443/simple",
            "sparse+https://index.crates.io/",
            "https://github.com/rust-lang/crates.io-index",
            "registry.npmjs.org",
        ] {
            assert_eq!(registry(own), None, "{own}");
        }
        for other in [
            "https://evil.example/pypi.org/",
            "https://pypi.org@evil.example/",
            "https://evil.example\\@pypi.org/",
            "https://evil.example?@pypi.org",
            "https://evil.example/github.com/rust-lang/crates.io-index",
            "https://github.com/rust-lang/crates.io-index-evil",
            "https://pypi.org.evil.example/simple",
            "file:///tmp/x",
        ] {
            assert_eq!(registry(other), Some(Remote::Registry(other.to_owned())));
        }
    }
}
