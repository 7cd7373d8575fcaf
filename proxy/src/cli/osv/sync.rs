//! `portcullis osv sync`: OSV's exports, fetched and imported.
//!
//! Each export is written to a file beside the database first. Only when all of them are there, whole, are they
//! imported, in one transaction; whatever fails before leaves the database as it was.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Read, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;
use indicatif::ProgressBar;
use portcullis_osv::Ecosystem;

use super::{DatabaseArgs, import};
use crate::cli::{Failure, Outcome};
use crate::web;

/// Where OSV publishes its exports: <https://google.github.io/osv.dev/data/>.
const EXPORTS: &str = "https://osv-vulnerabilities.storage.googleapis.com";
/// How long one export may take: the largest, npm's, has some hundred megabytes.
const PATIENCE: Duration = Duration::from_secs(30 * 60);
/// A sync takes no longer than this, whatever it fetches.
const LONGEST: Duration = Duration::from_secs(24 * 3_600);
/// What the folders are called that exports are fetched into.
const PREFIX: &str = ".osv-sync-";
/// The most bytes of one export; the largest is a tenth of that.
const MOST_BYTES: u64 = 4 << 30;
/// After this long, an export has to have come at this rate, in bytes per second.
const SETTLED: Duration = Duration::from_secs(30);
const SLOWEST: u64 = 4 << 10;
/// How much is read at once.
const PIECE: usize = 256 << 10;

/// Arguments of `osv sync`.
#[derive(Args)]
pub(crate) struct SyncArgs {
    /// Only this ecosystem, such as `PyPI` or `npm`; may be given several times. Default: all that the gate knows.
    #[arg(long, value_name = "NAME", value_parser = crate::cli::sca::ecosystem)]
    ecosystem: Vec<Ecosystem>,
    /// Where the exports are: below it, `<ECOSYSTEM>/all.zip`.
    #[arg(long, value_name = "URL", default_value = EXPORTS)]
    url: String,
    /// The authorities that vouch for its server, in PEM. Default: `filters.sca.api.ca`, else the system's.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    #[command(flatten)]
    to: DatabaseArgs,
}

pub(super) fn run(args: &SyncArgs) -> Outcome {
    let place = args.to.place()?;
    let base = args.url.trim_end_matches('/');
    if !web::is_safe(base) {
        let expected = "expected `https://…`, or a server on this very machine";
        return Err(Failure::usage(format!("`{base}` is not reached by https: {expected}")));
    }
    let ca = args.ca.as_deref().or(place.ca.as_deref());
    let agent = web::agent(ca, PATIENCE).map_err(Failure::usage)?;
    let folder = folder(&place.database)?;
    let mut files = Vec::new();
    for ecosystem in chosen(&args.ecosystem) {
        let url = format!("{base}/{ecosystem}/all.zip");
        let file = folder.path().join(format!("{ecosystem}.zip"));
        let failed = |why: String| {
            Failure::broken(format!("`{url}` {why}; nothing was imported, and the database is as it was"))
        };
        fetch(&agent, &url, &file).map_err(failed)?;
        files.push(file);
    }
    let report = import::take_in(&place, &files)?;
    import::tell(&place, &report, args.to.json)
}

/// What is fetched, each once.
fn chosen(named: &[Ecosystem]) -> Vec<Ecosystem> {
    let all = if named.is_empty() { Ecosystem::ALL.to_vec() } else { named.to_vec() };
    Ecosystem::ALL.into_iter().filter(|ecosystem| all.contains(ecosystem)).collect()
}

/// A folder beside the database, which is removed with all that is in it.
fn folder(database: &Path) -> Outcome<tempfile::TempDir> {
    let beside = database.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let made = DirBuilder::new().recursive(true).mode(0o700).create(beside).and_then(|()| {
        sweep(beside)?;
        tempfile::Builder::new().prefix(PREFIX).tempdir_in(beside)
    });
    made.map_err(|error| Failure::broken(format!("cannot make a folder in `{}`: {error}", beside.display())))
}

/// Removes what a sync left behind that was killed: folders that are older than any sync may take.
fn sweep(beside: &Path) -> io::Result<()> {
    for entry in fs::read_dir(beside)? {
        let entry = entry?;
        let ours = entry.file_name().to_string_lossy().starts_with(PREFIX) && entry.file_type()?.is_dir();
        let age = || entry.metadata().and_then(|data| data.modified()).ok()?.elapsed().ok();
        if ours && age().is_some_and(|age| age > LONGEST) {
            // It is no reason to fetch nothing when it cannot be removed.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
    Ok(())
}

/// Fetches an export into a file. An error is what the server did.
fn fetch(agent: &ureq::Agent, url: &str, path: &Path) -> Result<(), String> {
    let mut answer = agent.get(url).call().map_err(|error| format!("cannot be fetched: {error}"))?;
    let status = answer.status();
    if status != 200 {
        return Err(format!("answered {status}, expected an export, a zip archive"));
    }
    let said = answer.headers().get("content-length").and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    let body = answer.body_mut().with_config().limit(MOST_BYTES + 1).reader();
    let mut file = File::create_new(path).map_err(|error| format!("cannot be stored: {error}"))?;
    let bar = import::bar("{msg} {wide_bar} {bytes}/{total_bytes}, {bytes_per_sec}");
    bar.set_message(url.to_owned());
    bar.set_length(said.unwrap_or_default());
    let came = pour(body, &mut file, &bar);
    bar.finish_and_clear();
    let came = came?;
    if said.is_some_and(|said| said != came) {
        return Err(format!("broke off after {came} bytes of {}", said.unwrap_or_default()));
    }
    let mut magic = [0; 4];
    let is_archive =
        File::open(path).and_then(|mut file| file.read_exact(&mut magic)).is_ok() && magic.starts_with(b"PK");
    if !is_archive {
        return Err("answered what is no zip archive".to_owned());
    }
    Ok(())
}

/// Writes what comes to a file, and counts it.
fn pour(mut from: impl Read, to: &mut File, bar: &ProgressBar) -> Result<u64, String> {
    let started = Instant::now();
    let mut piece = vec![0; PIECE];
    let mut came = 0u64;
    loop {
        let read = match from.read(&mut piece) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(format!("broke off after {came} bytes: {error}")),
            Ok(0) => break,
            Ok(read) => read,
        };
        came += read as u64;
        if came > MOST_BYTES {
            return Err(format!("has more than {MOST_BYTES} bytes, far more than any export"));
        }
        let elapsed = started.elapsed();
        if elapsed > SETTLED && came / elapsed.as_secs().max(1) < SLOWEST {
            return Err(format!("is too slow: {came} bytes in {} s", elapsed.as_secs()));
        }
        to.write_all(piece.get(..read).unwrap_or_default()).map_err(|error| format!("cannot be stored: {error}"))?;
        bar.set_position(came);
    }
    to.sync_all().map_err(|error| format!("cannot be stored: {error}"))?;
    Ok(came)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_sync_left_is_swept_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let names = [".osv-sync-old", ".osv-sync-new", "other"];
        names.iter().for_each(|name| fs::create_dir(dir.path().join(name)).unwrap());
        for old in [".osv-sync-old", "other"] {
            let long_ago = std::time::SystemTime::now() - LONGEST * 2;
            File::open(dir.path().join(old)).unwrap().set_modified(long_ago).unwrap();
        }
        let made = folder(&dir.path().join("osv.redb")).unwrap();
        let there = |name: &str| dir.path().join(name).exists();
        assert_eq!(names.map(there), [false, true, true]);
        assert!(made.path().starts_with(dir.path()));
    }

    #[test]
    fn each_ecosystem_is_fetched_once() {
        assert_eq!(chosen(&[]), Ecosystem::ALL);
        assert_eq!(chosen(&[Ecosystem::PyPi, Ecosystem::Npm, Ecosystem::PyPi]), [Ecosystem::Npm, Ecosystem::PyPi]);
    }
}
