//! `portcullis sca`: the gate's judgement on manifests, lock files, lists and what a model said, for CI and by hand.

use std::io::{self, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use portcullis_filters::sca::{Handling, ScaSettings};
use portcullis_osv::{Ecosystem, Severity, Unpinned};

use self::input::Input;
use self::report::Form;
use self::weigh::Weighed;
use super::printable::{count, printable};
use super::{ConfigArg, Failure, Outcome};
use crate::config::{ScaConfig, SourceWord};
use crate::web::is_safe;

mod folder;
mod input;
mod report;
mod spoken;
mod weigh;

/// How long one lookup by the API may take where no config says so: nobody waits for a stream here.
const PATIENCE: Duration = Duration::from_secs(60);

/// Arguments of `sca`.
#[derive(Args)]
pub(crate) struct ScaArgs {
    /// Manifests, lock files, lists, texts, or folders, of which the manifests are judged; `-` is standard input, which is
    /// also read when nothing is named.
    files: Vec<PathBuf>,
    /// The ecosystem of what has no telling name: standard input, or a list in a `.txt`. Without it, standard input is
    /// read as a model's answer.
    #[arg(long, value_name = "NAME", value_parser = ecosystem)]
    ecosystem: Option<Ecosystem>,
    /// What standard input is called in findings; a name such as `package.json` says how it is read, too.
    #[arg(long, value_name = "NAME")]
    stdin_name: Option<String>,
    /// One JSON object a finding and line.
    #[arg(long)]
    json: bool,
    /// SARIF 2.1.0.
    #[arg(long, conflicts_with = "json")]
    sarif: bool,
    /// From which severity on a vulnerable dependency is blocked: `low`, `medium`, `high` or `critical`. Malicious ones
    /// always are. Default: `high`.
    #[arg(long, value_name = "SEVERITY", value_parser = severity)]
    block_at: Option<Severity>,
    /// Blocks what is only told otherwise: vulnerabilities that nobody rated, unknown and look-alike names, packages
    /// from elsewhere, files of a kind that is not known; and judges what is not pinned by every version that fits.
    #[arg(long)]
    strict: bool,
    /// The database of advisories. Default: that of the config.
    #[arg(long, value_name = "FILE")]
    database: Option<PathBuf>,
    /// A folder with the names of the packages that registries have: `PyPI.txt`, `npm.txt`.
    #[arg(long, value_name = "DIR")]
    index: Option<PathBuf>,
    /// Where advisories come from: `local`, the database; `api`, OSV's API; `both`, the API where the database is
    /// missing or too old. Default: `local`.
    #[arg(long, value_name = "SOURCE", value_parser = source)]
    source: Option<SourceWord>,
    /// OSV's API. Default: the public one.
    #[arg(long, value_name = "URL")]
    api_url: Option<String>,
    #[command(flatten)]
    config: ConfigArg,
}

pub(super) fn run(args: &ScaArgs) -> Outcome {
    let config = args.settings()?;
    let (inputs, failed) = args.inputs()?;
    for why in &failed {
        mention(why);
    }
    for input in &inputs {
        input.mention_lists(&inputs, mention);
    }
    let weighed = weigh::all(&config, &inputs, args.strict)?;
    for remark in &weighed.remarks {
        mention(remark);
    }
    report::tell(args.form(), &weighed.told, &failed);
    if !inputs.is_empty() {
        mention(&said(&weighed, inputs.len()));
    }
    let unread = match failed.len() {
        0 => String::new(),
        many => format!("{} could not be read", count(many, "file")),
    };
    // What is known to be bad says more than what is not known.
    let blocks = |judged: bool| weighed.told.iter().any(|told| told.blocks && told.what.is_judged() == judged);
    if blocks(true) {
        Err(Failure::no(unread))
    } else if blocks(false) || !failed.is_empty() {
        Err(Failure::broken(unread))
    } else {
        Ok(())
    }
}

impl ScaArgs {
    fn form(&self) -> Form {
        match (self.json, self.sarif) {
            (true, _) => Form::Json,
            (_, true) => Form::Sarif,
            _ => Form::Table,
        }
    }

    /// How it is judged: as the config says, and over that the command line. A config is read where it is named, or
    /// where nothing else says what to ask.
    fn settings(&self) -> Outcome<ScaConfig> {
        let asks_api = self.source == Some(SourceWord::Api);
        let alone = self.config.config.is_none() && (self.database.is_some() || asks_api);
        let mut config = if alone {
            let mut config = ScaConfig::default();
            config.api.timeout = PATIENCE;
            config
        } else {
            let help = "or name a database with `--database`, or OSV's API with `--source api`";
            let file = self.config.file().map_err(|no| Failure { message: format!("{}; {help}", no.message), ..no })?;
            crate::config::load(&file)?.filters.sca
        };
        if let Some(database) = &self.database {
            config.database.clone_from(database);
        }
        if let Some(folder) = &self.index {
            if !folder.is_dir() {
                return Err(Failure::usage(format!("`--index`: `{}` is no folder", folder.display())));
            }
            config.index = Some(folder.clone());
        }
        config.source = self.source.unwrap_or(config.source);
        if let Some(url) = &self.api_url {
            if !is_safe(url) {
                let expected = "expected `https://…`, or a server on this very machine";
                return Err(Failure::usage(format!("`--api-url`: `{url}` is not reached by https: {expected}")));
            }
            url.trim_end_matches('/').clone_into(&mut config.api.url);
        }
        config.settings.block_at = self.block_at.unwrap_or(config.settings.block_at);
        if self.strict {
            let block = Handling::Block;
            config.settings = ScaSettings {
                unrated: block,
                unavailable: block,
                unknown: block,
                typosquat: block,
                remote: block,
                unpinned: Unpinned::Strict,
                ..config.settings
            };
        }
        Ok(config)
    }

    /// What is to be judged, and what cannot be read.
    fn inputs(&self) -> Outcome<(Vec<Input>, Vec<String>)> {
        let mut files = self.files.clone();
        if files.is_empty() {
            if io::stdin().is_terminal() {
                return Err(Failure::usage("expected files, or `-` for standard input"));
            }
            files.push(PathBuf::from("-"));
        }
        let (mut inputs, mut failed) = (Vec::new(), Vec::new());
        let mut all = Vec::new();
        for file in files {
            if !file.is_dir() {
                all.push(file);
                continue;
            }
            match folder::manifests(&file) {
                Ok(found) => all.extend(found),
                Err(error) => failed.push(format!("`{}`: {error}", file.display())),
            }
        }
        for file in &all {
            let read = if file.as_os_str() == "-" {
                Input::stdin(self.stdin_name.as_deref(), self.ecosystem)
            } else {
                Input::file(file, self.ecosystem)
            };
            match read {
                Ok(input) => inputs.push(input),
                Err(error) => failed.push(format!("`{}`: {error}", file.display())),
            }
        }
        Ok((inputs, failed))
    }
}

/// What was found, in one line.
fn said(weighed: &Weighed, inputs: usize) -> String {
    let blocked = weighed.told.iter().filter(|told| told.blocks).count();
    let all = weighed.told.len();
    let found = match (all, blocked) {
        (0, _) => "nothing found".to_owned(),
        (_, 0) => format!("{}, none of which blocks", count(all, "finding")),
        _ => format!("{}, {blocked} of which block", count(all, "finding")),
    };
    let what = match weighed.dependencies {
        1 => "1 dependency".to_owned(),
        many => format!("{many} dependencies"),
    };
    if weighed.dependencies == 0 && all == 0 {
        return format!("no dependencies in {}", count(inputs, "text"));
    }
    format!("{what} in {}: {found}", count(inputs, "text"))
}

/// Tells on standard error.
fn mention(what: &str) {
    let _ = writeln!(io::stderr(), "portcullis: {}", printable(what));
}

/// Reads an ecosystem's name, as OSV gives it or as people call it.
pub(super) fn ecosystem(text: &str) -> Result<Ecosystem, String> {
    let known = match text.to_ascii_lowercase().as_str() {
        "cargo" | "rust" | "crates" => Some(Ecosystem::CratesIo),
        "golang" => Some(Ecosystem::Go),
        "java" | "gradle" => Some(Ecosystem::Maven),
        "javascript" | "node" | "yarn" | "pnpm" => Some(Ecosystem::Npm),
        "dotnet" => Some(Ecosystem::NuGet),
        "composer" | "php" => Some(Ecosystem::Packagist),
        "python" | "pip" => Some(Ecosystem::PyPi),
        "gem" | "ruby" | "bundler" => Some(Ecosystem::RubyGems),
        _ => Ecosystem::named(text),
    };
    known.ok_or_else(|| {
        let all: Vec<_> = Ecosystem::ALL.iter().map(|ecosystem| format!("`{ecosystem}`")).collect();
        format!("expected one of {}", all.join(", "))
    })
}

fn severity(text: &str) -> Result<Severity, String> {
    [Severity::Low, Severity::Medium, Severity::High, Severity::Critical]
        .into_iter()
        .find(|severity| severity.as_str() == text)
        .ok_or_else(|| "expected `low`, `medium`, `high` or `critical`".to_owned())
}

fn source(text: &str) -> Result<SourceWord, String> {
    match text {
        "api" => Ok(SourceWord::Api),
        "both" => Ok(SourceWord::Both),
        "local" => Ok(SourceWord::Local),
        _ => Err("expected `local`, `api` or `both`".to_owned()),
    }
}

/// The last part of a path, in lower case.
fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase()
}
