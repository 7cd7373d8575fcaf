//! Lines that a difference adds to a manifest: what stands around them is not known.

use portcullis_osv::Ecosystem;

use crate::format::{Format, Hint};
use crate::found::{How, Spec};
use crate::lines::{Line, Out};
use crate::spec;
use crate::strings::strings;

/// Keys of manifests whose values look like versions.
const OWN: [&str; 4] = ["edition", "resolver", "rust-version", "version"];

/// The manifest that lines are added to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fragment {
    Cargo,
    GoMod,
    Npm,
    Requirements,
}

impl Fragment {
    /// What `+++ b/FILE` says of the lines below it.
    pub(crate) fn of(file: &str) -> Option<Self> {
        let name = file.rsplit(['/', '\\']).next().unwrap_or(file).to_ascii_lowercase();
        match name.as_str() {
            "cargo.toml" => Some(Self::Cargo),
            "package.json" => Some(Self::Npm),
            _ => match Format::of(Hint::File(&name)) {
                Some(Format::GoMod) => Some(Self::GoMod),
                Some(Format::Requirements) => Some(Self::Requirements),
                _ => None,
            },
        }
    }

    /// Takes a line that is added. An entry of which nobody knows whether it is a dependency may be one.
    pub(crate) fn line(self, line: &Line<'_>, out: &mut Out<'_>) {
        let text = line.text.trim();
        let perhaps = |spec: Spec| Spec { perhaps: true, ..spec };
        let specs: Vec<Spec> = match self {
            Self::Requirements if text.starts_with(['#', '-']) => Vec::new(),
            Self::Requirements => spec::pypi(text.split(" #").next().unwrap_or(text).trim()).into_iter().collect(),
            Self::GoMod => {
                let mut words = text.trim_start_matches("require ").split_whitespace();
                let (path, version) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
                let module = version.starts_with('v').then(|| spec::go(&format!("{path}@{version}")));
                module.flatten().into_iter().collect()
            }
            Self::Npm => match strings(text).as_slice() {
                [name, range] if text.starts_with('"') && is_version(name, range) => {
                    spec::npm_entry(name, range).map(perhaps).into_iter().collect()
                }
                _ => Vec::new(),
            },
            Self::Cargo => {
                let Some((name, value)) = text.split_once('=') else { return };
                let (name, value) = (name.trim().trim_matches('"'), value.trim());
                let version = strings(value).into_iter().next().unwrap_or_default();
                let whole = value.starts_with('"') || value.contains("version");
                let entry = whole && is_version(name, &version);
                let spec = entry.then(|| spec::cargo(&format!("{name}@{version}"))).flatten();
                spec.filter(|spec| spec.ecosystem == Ecosystem::CratesIo).map(perhaps).into_iter().collect()
            }
        };
        specs.into_iter().for_each(|spec| out.add(spec, How::Manifest, line.place.clone()));
    }
}

fn is_version(name: &str, value: &str) -> bool {
    !OWN.contains(&name)
        && (matches!(value, "latest" | "*") || value.starts_with(|c: char| c.is_ascii_digit() || "^~<>=".contains(c)))
}
