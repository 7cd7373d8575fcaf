//! Go's `go.mod` and `go.sum`, line by line.

use portcullis_osv::Ecosystem;

use crate::found::{How, Remote, Spec};
use crate::lines::{Line, Out};
use crate::spec;

/// Follows a module's file.
#[derive(Clone, Debug, Default)]
pub(crate) struct GoLines {
    block: Option<Block>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Block {
    Replace,
    Require,
    Other,
}

impl GoLines {
    pub(crate) fn is_active(&self) -> bool {
        self.block.is_some()
    }

    pub(crate) fn line(&mut self, line: &Line<'_>, out: &mut Out<'_>) {
        let text = line.text.split("//").next().unwrap_or_default().trim();
        let mut words = text.split_whitespace();
        let (first, second) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        if self.block.is_some() && text == ")" {
            self.block = None;
        } else if second == "(" && words.next().is_none() {
            self.block = match first {
                "require" => Some(Block::Require),
                "replace" => Some(Block::Replace),
                "exclude" | "retract" | "tool" => Some(Block::Other),
                _ => None,
            };
        } else if let Some(block) = self.block {
            block.entry(text, line, out);
        } else if first == "require" {
            Block::Require.entry(text.trim_start_matches("require").trim(), line, out);
        } else if first == "replace" && text.contains("=>") {
            Block::Replace.entry(text.trim_start_matches("replace").trim(), line, out);
        } else if let Some(sum) = words.next().filter(|sum| sum.starts_with("h1:"))
            && second.starts_with('v')
            && !second.ends_with("/go.mod")
            && sum.len() > 3
            && let Some(spec) = spec::go(&format!("{first}@{second}"))
        {
            out.add(spec, How::Lock, line.place.clone());
        }
    }
}

impl Block {
    fn entry(self, text: &str, line: &Line<'_>, out: &mut Out<'_>) {
        let spec = match self {
            Self::Require => {
                let Some((path, version)) = text.split_once(char::is_whitespace) else { return };
                spec::go(&format!("{path}@{}", version.trim()))
            }
            Self::Replace => {
                let Some((from, to)) = text.split_once("=>") else { return };
                let from = from.split_whitespace().next().unwrap_or_default();
                let to = to.trim();
                match to.split_once(char::is_whitespace) {
                    Some((path, version)) => spec::go(&format!("{path}@{}", version.trim())),
                    None => Some(Spec::remote(Ecosystem::Go, from, Remote::File(to.to_owned()))),
                }
            }
            Self::Other => None,
        };
        if let Some(spec) = spec {
            out.add(spec, How::Manifest, line.place.clone());
        }
    }
}
