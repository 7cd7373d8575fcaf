//! `portcullis scan`: the firewall on files, standard input and git diffs, for CI and pre-commit use.
//!
//! Memory is bounded whatever is scanned: files are read in windows of 4 MiB, one for each worker,
//! and of a diff at most 64 MiB that are added to one file.

use std::fs::File;
use std::io::{self, BufReader, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use clap::{Args, value_parser};
use portcullis_policies::DataLevel;

use self::baseline::{Baseline, Known};
use self::judge::Judge;
use self::patch::Patches;
use self::report::{Form, Report};
use self::sources::{Source, Walk};
use self::work::{Became, Done};
use super::printable::{count, printable};
use super::{Failure, Outcome};

mod baseline;
mod git;
mod judge;
mod mask;
mod patch;
mod report;
mod rules;
mod sarif;
mod sources;
mod windows;
mod work;

/// Arguments of `scan`.
#[derive(Args)]
pub(crate) struct ScanArgs {
    /// Files and directories; `-` is standard input, which is also read when nothing is named.
    paths: Vec<PathBuf>,
    /// What standard input is called in findings.
    #[arg(long, value_name = "NAME", default_value = "<stdin>")]
    stdin_name: String,
    /// What is staged in git: only lines that are added.
    #[arg(long, conflicts_with_all = ["paths", "diff", "since"])]
    staged: bool,
    /// A unified diff, `-` for standard input: only lines that are added.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["paths", "since"])]
    diff: Option<PathBuf>,
    /// What each commit after this one adds.
    #[arg(long, value_name = "REV", conflicts_with = "paths")]
    since: Option<String>,
    /// More rules, in gitleaks' format; may be given several times. A rule takes the place of an earlier one of its name.
    #[arg(long, value_name = "FILE")]
    rules: Vec<PathBuf>,
    /// Without the rules in the program.
    #[arg(long)]
    no_builtin: bool,
    /// Also looks for data about persons.
    #[arg(long)]
    pii: bool,
    /// Also tells about absolute paths, internal imports and sizes, not only about what is invisible.
    #[arg(long)]
    structural: bool,
    /// From which score on a text counts as an injection, 1 to 100. Default: 50.
    #[arg(long, value_name = "N", value_parser = value_parser!(u8).range(1..=100))]
    threshold: Option<u8>,
    /// Tells about findings from this level on, L0 to L4.
    #[arg(long, value_name = "LEVEL", default_value = "L0")]
    level: DataLevel,
    /// Without this rule; may be given several times.
    #[arg(long, value_name = "RULE")]
    disable: Vec<String>,
    /// Takes the rules and settings of this gate's firewall, too. Without it, no config is read.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// One JSON object a line.
    #[arg(long)]
    json: bool,
    /// SARIF 2.1.0.
    #[arg(long, conflicts_with = "json")]
    sarif: bool,
    /// Writes the report to this file, not to standard output.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Findings that are known, and not told again.
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Writes the baseline anew, with all that is found now.
    #[arg(long, requires = "baseline")]
    write_baseline: bool,
    /// Comments with `portcullis:allow` or `gitleaks:allow` do not hide findings on their line.
    #[arg(long)]
    no_inline_allow: bool,
    /// Also scans what `.gitignore` and its like leave out.
    #[arg(long)]
    no_ignore: bool,
    /// Also scans hidden files that are not known for credentials.
    #[arg(long)]
    hidden: bool,
    /// Leaves out larger files in directories, and says so.
    #[arg(long, value_name = "SIZE", default_value = "256MiB", value_parser = size)]
    max_size: u64,
    /// Prints the rules in force.
    #[arg(long)]
    list_rules: bool,
    /// Checks a rule file, and that its samples are found by their rules.
    #[arg(long, value_name = "FILE", exclusive = true)]
    test_rules: Option<PathBuf>,
}

/// What a scan came to.
#[derive(Default)]
struct Summary {
    findings: usize,
    with_findings: usize,
    files: usize,
    bytes: u64,
    failed: usize,
    /// Files with more findings than are told.
    more: usize,
    binary: usize,
    too_large: usize,
    allowed: usize,
    known: usize,
}

pub(super) fn run(args: &ScanArgs) -> Outcome {
    if let Some(file) = &args.test_rules {
        return rules::test(file);
    }
    let gate = args.config.as_deref().map(crate::config::load).transpose()?.map(|config| config.filters.firewall);
    let rules = rules::load(args, gate.as_ref())?;
    if args.list_rules {
        rules::list(&rules, args.json);
        return Ok(());
    }
    let started = Instant::now();
    let baseline = args.baseline.as_deref().map(|file| Baseline::load(file, args.write_baseline)).transpose()?;
    let judge = Judge {
        rules: &rules,
        level: args.level,
        silent: Box::new(|rule| rules::is_silent(rule, args, gate.as_ref())),
        comments: !args.no_inline_allow,
        key: baseline.as_ref().map(|baseline| baseline.key.clone()),
    };
    let (form, known) = (args.form(), if args.write_baseline { None } else { baseline.as_ref() });
    let mut seen = Seen { summary: Summary::default(), all: Vec::new(), known };
    let report = |files| Report::new(form, args.report.as_deref(), files);
    let (report, ended) = if let Some(patches) = args.patches()? {
        let mut report = report(None);
        work::all(&judge, patches.sources, &mut |done| seen.take(done, &mut report));
        (report, patches.git.map_or(Ok(()), git::Git::end))
    } else {
        let sources = args.sources()?;
        let mut report = report(Some(sources.len()));
        work::all(&judge, sources.into_iter(), &mut |done| seen.take(done, &mut report));
        (report, Ok(()))
    };
    report.end(&rules)?;
    let Seen { summary, all, .. } = seen;
    let _ = writeln!(io::stderr(), "portcullis: {}", summary.said(started));
    ended?;
    if summary.failed > 0 {
        return Err(Failure::broken(format!("{} could not be scanned", summary.missed())));
    }
    if summary.more > 0 {
        return Err(Failure::broken(format!("{} with more findings than are told", count(summary.more, "file"))));
    }
    match (&args.baseline, &baseline) {
        (Some(file), Some(baseline)) if args.write_baseline => baseline.write(file, all),
        _ if summary.findings > 0 => Err(Failure::no("")),
        _ => Ok(()),
    }
}

/// A diff to scan, and the git that writes it.
struct Diff {
    sources: Box<dyn Iterator<Item = Source> + Send>,
    git: Option<git::Git>,
}

impl ScanArgs {
    fn form(&self) -> Form {
        match (self.json, self.sarif) {
            (true, _) => Form::Json,
            (_, true) => Form::Sarif,
            _ => Form::Table,
        }
    }

    /// The diff that is asked for.
    fn patches(&self) -> Outcome<Option<Diff>> {
        let from_git = match &self.since {
            _ if self.staged => git::staged()?,
            Some(revision) => git::since(revision)?,
            None => {
                let Some(file) = &self.diff else { return Ok(None) };
                let sources = match file.to_str() {
                    Some("-") => added(Patches::new(BufReader::new(io::stdin())), "<stdin>"),
                    _ => {
                        let opened = File::open(file);
                        let opened = opened.map_err(|error| Failure::broken(format!("{}: {error}", file.display())))?;
                        added(Patches::new(BufReader::new(opened)), &file.to_string_lossy())
                    }
                };
                return Ok(Some(Diff { sources, git: None }));
            }
        };
        let (git, patches) = from_git;
        Ok(Some(Diff { sources: added(patches, "git"), git: Some(git) }))
    }

    /// The files that are asked for.
    fn sources(&self) -> Outcome<Vec<Source>> {
        let own = self.baseline.iter().chain(&self.report).cloned().collect();
        let walk = Walk { ignores: !self.no_ignore, hides: !self.hidden, largest: self.max_size, own };
        let input: Arc<str> = Arc::from(self.stdin_name.as_str());
        if !self.paths.is_empty() {
            return Ok(sources::gather(&self.paths, &input, &walk));
        }
        if io::stdin().is_terminal() {
            return Err(Failure::usage("expected files or directories, `-` for standard input, or `--staged`"));
        }
        Ok(sources::gather(&[Path::new("-").to_owned()], &input, &walk))
    }
}

/// What is added by a diff; where it is none, that is told.
fn added<R: io::BufRead + Send + 'static>(patches: Patches<R>, name: &str) -> Box<dyn Iterator<Item = Source> + Send> {
    let name: Arc<str> = Arc::from(name);
    Box::new(patches.map(move |patch| match patch {
        Ok(patch) => Source::Patch(patch),
        Err(error) => Source::Unreadable(name.clone(), error.to_string()),
    }))
}

/// What was seen so far.
struct Seen<'b> {
    summary: Summary,
    /// All findings, for a baseline.
    all: Vec<Known>,
    known: Option<&'b Baseline>,
}

impl Seen<'_> {
    /// One more file.
    fn take(&mut self, done: Done<'_>, report: &mut Report) {
        let Done { file, commit, became, judged } = done;
        let shown = printable(&file);
        let summary = &mut self.summary;
        match became {
            Became::Scanned(bytes) => {
                summary.files += 1;
                summary.bytes += bytes;
            }
            Became::Binary => summary.binary += 1,
            Became::TooLarge(bytes) => {
                summary.too_large += 1;
                report.mention(&format!("{shown}: not scanned, it has {bytes} bytes (`--max-size`)"), false);
            }
            Became::Failed(why) => {
                summary.failed += 1;
                report.mention(&format!("{shown}: {}", printable(&why)), true);
            }
        }
        summary.allowed += judged.allowed;
        let before = summary.findings;
        for told in &judged.told {
            if self.known.is_some_and(|known| known.knows(told.mark.as_deref())) {
                summary.known += 1;
                continue;
            }
            summary.findings += 1;
            if let Some(mark) = &told.mark {
                let (file, rule) = (file.to_string(), told.rule.id.to_string());
                self.all.push(Known { file, line: told.from.line, rule, mark: mark.clone() });
            }
            report.tell(&file, commit.as_deref(), told);
        }
        summary.with_findings += usize::from(summary.findings > before);
        if judged.more {
            // Whatever the others are, nobody has seen them.
            summary.more += 1;
            report.mention(&format!("{shown}: more findings than are told, {}", judge::MOST), true);
        }
        report.step();
    }
}

impl Summary {
    /// In one line.
    fn said(&self, started: Instant) -> String {
        let found = match self.findings {
            0 => "nothing found".to_owned(),
            findings => format!("{} in {}", count(findings, "finding"), count(self.with_findings, "file")),
        };
        let mut said = format!(
            "{found}; {} scanned, {} bytes, {:.2} s",
            count(self.files, "file"),
            self.bytes,
            started.elapsed().as_secs_f64(),
        );
        for (number, what) in [
            (self.known, "known from the baseline"),
            (self.allowed, "allowed by a comment"),
            (self.binary, "not scanned: binary"),
            (self.too_large, "not scanned: too large"),
        ] {
            if number > 0 {
                said.push_str(&format!("; {number} {what}"));
            }
        }
        said
    }

    fn missed(&self) -> String {
        count(self.failed, "file")
    }
}

fn size(text: &str) -> Result<u64, String> {
    crate::config::size(text).ok_or_else(|| "expected a size such as `64MiB`".to_owned())
}
