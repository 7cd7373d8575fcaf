//! How it is told: a table for people, one JSON object a line, or SARIF.

use portcullis_filters::sca::{Finding, Reason};
use portcullis_osv::{Nature, Wanted};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::weigh::{Told, What};
use crate::cli::printable::printable;
use crate::cli::{sarif, say};

/// The form of a report.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// One object a line.
    Json,
    /// SARIF 2.1.0.
    Sarif,
    /// For people.
    Table,
}

/// As many characters of a name or a version are shown in the table.
const MOST: usize = 60;
/// The columns of the table.
const COLUMNS: [&str; 7] = ["WHERE", "PACKAGE", "VERSION", "ADVISORY", "SEVERITY", "FIXED IN", "VERDICT"];
/// Which of them says how bad it is, and which is the last.
const VERDICT: usize = 6;

/// Tells all of it on standard output; `failed` is what could not be read.
pub(super) fn tell(form: Form, told: &[Told], failed: &[String]) {
    match form {
        Form::Json => told.iter().for_each(|told| say!("{}", object(told))),
        Form::Sarif => {
            let results = told.iter().map(result).collect();
            let log = sarif::log(told.iter().map(rule).collect(), results, failed);
            say!("{}", serde_json::to_string_pretty(&log).unwrap_or_default());
        }
        Form::Table if told.is_empty() => {}
        Form::Table => table(told, crate::cli::colour()),
    }
}

/// What is told of something, whatever the form.
struct Cells<'t> {
    package: Option<&'t str>,
    ecosystem: Option<&'static str>,
    version: Option<String>,
    id: &'t str,
    aliases: &'t [Box<str>],
    severity: &'static str,
    fixed: Option<&'t str>,
    code: &'static str,
}

impl<'t> Cells<'t> {
    fn of(told: &'t Told) -> Self {
        let nothing = |id| Self {
            package: None,
            ecosystem: None,
            version: None,
            id,
            aliases: &[],
            severity: "unrated",
            fixed: None,
            code: "sca.unavailable",
        };
        match &told.what {
            What::Finding(finding) => Self::finding(finding),
            What::Foreign(_) => nothing("unknown-format"),
            What::TooMany => nothing("too-many"),
            What::Unavailable { ecosystem, first, .. } => {
                Self { package: Some(first), ecosystem: Some(ecosystem.as_str()), ..nothing("unavailable") }
            }
            What::Unnamed => Self { severity: "suspect", code: "sca.vulnerable", ..nothing("unnamed-package") },
            What::Unreadable(_) => nothing("unreadable"),
        }
    }

    fn finding(finding: &'t Finding) -> Self {
        let (aliases, fixed, malicious) = match &finding.reason {
            Reason::Advisory { aliases, fixed, nature, .. } => {
                (aliases.as_slice(), fixed.as_deref(), *nature == Nature::Malicious)
            }
            _ => (&[][..], None, false),
        };
        Self {
            package: Some(&finding.written),
            ecosystem: Some(finding.package.ecosystem().as_str()),
            version: (finding.wanted != Wanted::Any).then(|| finding.wanted.to_string()),
            id: finding.reason.id(),
            aliases,
            severity: finding.reason.severity(),
            fixed,
            code: if malicious { "sca.malicious" } else { "sca.vulnerable" },
        }
    }
}

/// For programs.
fn object(told: &Told) -> Value {
    let cells = Cells::of(told);
    let others = if let What::Unavailable { others, .. } = &told.what { others.as_slice() } else { &[] };
    json!({
        "file": &*told.file,
        "line": told.from.line,
        "column": told.from.column,
        "package": cells.package,
        "ecosystem": cells.ecosystem,
        "version": cells.version,
        "id": cells.id,
        "aliases": cells.aliases,
        "severity": cells.severity,
        "fixed": cells.fixed,
        "blocks": told.blocks,
        "code": cells.code,
        "reason": told.what.sentence(),
        "others": others,
    })
}

/// For people: a line each, in columns as wide as they have to be.
fn table(told: &[Told], colour: bool) {
    let mut rows = vec![COLUMNS.map(str::to_owned)];
    rows.extend(told.iter().map(row));
    let mut widths = [0; COLUMNS.len()];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    for (number, row) in rows.iter().enumerate() {
        let blocks = number.checked_sub(1).and_then(|number| told.get(number)).map(|told| told.blocks);
        let cells: Vec<_> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        let line = cells.join("  ");
        let (begin, end) = match (colour, blocks) {
            (false, _) | (true, Some(false)) => ("", ""),
            (true, None) => ("\x1b[1m", "\x1b[0m"),
            (true, Some(true)) => ("\x1b[31m", "\x1b[0m"),
        };
        say!("{begin}{}{end}", line.trim_end());
    }
    // What is no advisory has no columns that would say what it is.
    for told in told.iter().filter(|told| !matches!(&told.what, What::Finding(f) if is_advisory(f))) {
        say!("{}:{}: {}", printable(&told.file), told.from.line, printable(&told.what.sentence()));
    }
}

fn is_advisory(finding: &Finding) -> bool {
    matches!(finding.reason, Reason::Advisory { .. })
}

fn row(told: &Told) -> [String; COLUMNS.len()] {
    let cells = Cells::of(told);
    let also = cells.aliases.iter().find(|alias| alias.starts_with("CVE-") && &***alias != cells.id);
    let id = also.map_or_else(|| cells.id.to_owned(), |cve| format!("{} {cve}", cells.id));
    let package = match (cells.package, cells.ecosystem) {
        (Some(package), Some(ecosystem)) => format!("{} ({ecosystem})", short(package)),
        _ => "-".to_owned(),
    };
    let version = match (&cells.version, &told.what) {
        (Some(version), _) => short(version),
        (None, What::Finding(_)) => "any".to_owned(),
        (None, _) => "-".to_owned(),
    };
    let mut row = [
        format!("{}:{}", printable(&told.file), told.from.line),
        package,
        version,
        printable(&id),
        cells.severity.to_owned(),
        cells.fixed.map_or_else(|| "-".to_owned(), short),
        String::new(),
    ];
    if let Some(verdict) = row.get_mut(VERDICT) {
        (if told.blocks { "blocked" } else { "told" }).clone_into(verdict);
    }
    row
}

/// A name or a version, as much of it as fits.
fn short(text: &str) -> String {
    let mut out = printable(&text.chars().take(MOST).collect::<String>());
    if text.chars().nth(MOST).is_some() {
        out.push('…');
    }
    out
}

/// A result of SARIF.
fn result(told: &Told) -> Value {
    let cells = Cells::of(told);
    // The same dependency has the same one, wherever in its file it stands.
    let what = json!([&*told.file, cells.ecosystem, cells.package, cells.version, cells.id]);
    let print = data_encoding::HEXLOWER.encode(&Sha256::digest(what.to_string().as_bytes()));
    json!({
        "ruleId": cells.id,
        "level": if told.blocks { "error" } else { "warning" },
        "message": {"text": format!("{}.", told.what.sentence())},
        "locations": [{"physicalLocation": {
            "artifactLocation": sarif::artifact(&told.file),
            "region": {"startLine": told.from.line, "startColumn": told.from.column},
        }}],
        "partialFingerprints": {"portcullis/v1": print},
        "properties": {
            "package": cells.package, "ecosystem": cells.ecosystem, "version": cells.version, "fixed": cells.fixed,
            "severity": cells.severity, "code": cells.code,
        },
    })
}

/// A rule of SARIF: an advisory, or one of the other things that can speak against a dependency.
fn rule(told: &Told) -> Value {
    let cells = Cells::of(told);
    let advisory = matches!(&told.what, What::Finding(finding) if is_advisory(finding));
    let (title, help) = match cells.id {
        id if advisory => {
            let aliases: String = cells.aliases.iter().map(|alias| format!(", {alias}")).collect();
            let what = if cells.severity == "malicious" { "A malicious package" } else { "A known vulnerability" };
            let help = "Take the first version that is mended, or another package; what is malicious has to go.";
            (format!("{what}: {id}{aliases}."), help)
        }
        "disguised-name" => ("A name with letters that look like others.".to_owned(), "Write the package's own name."),
        "remote-source" => {
            ("A package from elsewhere than its registry.".to_owned(), "Look at what comes from there, and pin it.")
        }
        "resembling-name" => {
            ("A name that looks like a far better known one.".to_owned(), "Make sure that it is the package you mean.")
        }
        "unknown-package" => (
            "A package that its registry does not know.".to_owned(),
            "It may be made up: whoever registers the name decides what is installed. Find the package that is meant.",
        ),
        "unreadable" => ("A part that cannot be read.".to_owned(), "Mend it: what it brings in cannot be looked up."),
        "unknown-format" => {
            ("A file of a kind that is not known.".to_owned(), "Name the lock file of a tool that is known instead.")
        }
        "too-many" => ("More dependencies than are judged.".to_owned(), "Divide the file."),
        _ => (
            "Dependencies that cannot be looked up.".to_owned(),
            "Bring the database up to date with `portcullis osv sync`, or make OSV's API reachable.",
        ),
    };
    let mut rule = json!({
        "id": cells.id,
        "shortDescription": {"text": title},
        "help": {"text": format!("{title} {help}")},
        "defaultConfiguration": {"level": if told.blocks { "error" } else { "warning" }},
        "properties": {"tags": ["security", "dependency"], "security-severity": score(cells.severity)},
    });
    if let (true, Some(rule)) = (advisory, rule.as_object_mut()) {
        let id: String = cells.id.chars().filter(|c| c.is_ascii_alphanumeric() || "-_.:".contains(*c)).collect();
        rule.insert("helpUri".to_owned(), format!("https://osv.dev/vulnerability/{id}").into());
    }
    rule
}

/// A number for a severity, as code hosts sort by.
fn score(severity: &str) -> &'static str {
    match severity {
        "malicious" => "10.0",
        "critical" => "9.5",
        "high" => "8.0",
        "low" => "2.0",
        _ => "5.0",
    }
}
