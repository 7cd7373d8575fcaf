//! Prompts as real people send them: published prose and code, in pieces of 4 KiB.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde_json::json;

const PIECE: usize = 4096;
const PIECES: usize = 2540;

/// Of every three pieces one is prose.
const PROSE: &[&str] = &["md"];
const CODE: &[&str] = &["rs", "c", "h", "py", "js", "toml", "sh"];

/// Prints pieces of the files below a folder, spread over all of them, the same ones every time.
pub(crate) fn print(folder: &Path) -> anyhow::Result<()> {
    let mut files = Vec::new();
    collect(folder, &mut files)?;
    files.sort();
    let prose = pieces(folder, &files, PROSE, PIECES / 3)?;
    let code = pieces(folder, &files, CODE, PIECES - prose.len())?;
    for (id, text) in prose.into_iter().chain(code) {
        println!("{}", json!({ "id": id, "text": text }));
    }
    Ok(())
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            collect(&entry.path(), files)?;
        } else if kind.is_file() {
            files.push(entry.path());
        }
    }
    Ok(())
}

/// The most pieces of one file: no large crate may stand for all.
const OF_ONE_FILE: usize = 2;

fn pieces(folder: &Path, files: &[PathBuf], endings: &[&str], most: usize) -> anyhow::Result<Vec<(String, String)>> {
    let fits = |file: &&PathBuf| {
        file.extension().and_then(|ending| ending.to_str()).is_some_and(|ending| endings.contains(&ending))
    };
    let of_kind: Vec<&PathBuf> = files.iter().filter(fits).collect();
    // Every n-th file first, then the ones after them, so that a few files are taken from everywhere.
    let stride = (of_kind.len() / most.max(1)).max(1);
    let mut pieces = Vec::new();
    for first in 0..stride {
        for file in of_kind.iter().skip(first).step_by(stride) {
            let Ok(text) = fs::read_to_string(file) else { continue };
            let name = file.strip_prefix(folder).unwrap_or(file).display();
            for (number, piece) in cut(&text).take(OF_ONE_FILE).enumerate() {
                pieces.push((format!("{name}#{number}"), piece.to_owned()));
                if pieces.len() == most {
                    return Ok(pieces);
                }
            }
        }
    }
    Ok(pieces)
}

/// Whole pieces of a text, at characters' borders.
fn cut(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let end = (0..=3).map(|less| PIECE - less).find(|end| rest.is_char_boundary(*end) && rest.len() >= PIECE)?;
        let (piece, more) = rest.split_at_checked(end)?;
        rest = more;
        Some(piece)
    })
}
