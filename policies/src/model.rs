//! Names of models, in the one form that policy compares and the upstream receives.
//!
//! Ollama takes many spellings for one model: any case, with or without its default registry,
//! namespace and tag, with a scheme in front. Policy that compares what the client wrote is walked
//! past by another spelling, so a name is brought into canonical form first, and that form is what is
//! forwarded.

use std::fmt;
use std::sync::Arc;

use crate::class::UpstreamKind;
use crate::glob::Glob;

/// The longest name that is taken, in bytes.
pub const MAX_NAME: usize = 512;
/// Ollama's own registry, which goes without saying.
const REGISTRY: &str = "registry.ollama.ai";
/// Its default namespace.
const LIBRARY: &str = "library";

/// A model's name in canonical form. For Ollama the shortest spelling with its tag, in lower case:
/// `llama3:latest`, `user/model:7b`, `hf.co/user/model:q4`. For other servers the name as it stands.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ModelName {
    text: Arc<str>,
    cloud: bool,
    foreign: bool,
}

/// A text that is no model's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidModel {
    /// Nothing is left of it.
    #[error("the model's name is empty")]
    Empty,
    /// Characters or parts that no model has.
    #[error("the model's name has a form that the gate does not take")]
    Form,
    /// Longer than [`MAX_NAME`].
    #[error("the model's name is longer than {MAX_NAME} bytes")]
    TooLong,
}

impl ModelName {
    /// Brings a name into canonical form, by the rules of the server that will read it.
    ///
    /// # Errors
    /// When it is not a name, or one that two readers could take for different models.
    pub fn canonical(raw: &str, kind: UpstreamKind) -> Result<Self, InvalidModel> {
        let raw = raw.trim();
        if raw.is_empty() {
            return Err(InvalidModel::Empty);
        }
        if raw.len() > MAX_NAME {
            return Err(InvalidModel::TooLong);
        }
        if !raw.bytes().all(|b| b.is_ascii_graphic()) || raw.contains("..") || raw.contains(['\\', '%', '"', '?', '#'])
        {
            return Err(InvalidModel::Form);
        }
        match kind {
            UpstreamKind::Ollama => ollama(raw),
            _ => Ok(Self { text: raw.into(), cloud: false, foreign: false }),
        }
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether running it leaves the machine.
    #[must_use]
    pub fn is_cloud(&self) -> bool {
        self.cloud
    }

    /// Whether it comes from another registry than Ollama's own.
    #[must_use]
    pub fn is_foreign(&self) -> bool {
        self.foreign
    }
}

impl fmt::Display for ModelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn ollama(raw: &str) -> Result<ModelName, InvalidModel> {
    let lower = raw.to_ascii_lowercase();
    let rest = lower.split_once("://").map_or(lower.as_str(), |(_, rest)| rest);
    let parts: Vec<&str> = rest.split('/').collect();
    let (host, namespace, last) = match parts.as_slice() {
        [last] => (REGISTRY, LIBRARY, *last),
        [namespace, last] => (REGISTRY, *namespace, *last),
        [host, namespace, last] => (*host, *namespace, *last),
        _ => return Err(InvalidModel::Form),
    };
    let (name, tag) = last.split_once(':').unwrap_or((last, "latest"));
    let plain = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    // A host may have a port; nothing else may have a colon.
    let host_fine = host
        .split_once(':')
        .map_or(plain(host), |(h, port)| plain(h) && !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()));
    if !host_fine || !plain(namespace) || !plain(name) || !plain(tag) {
        return Err(InvalidModel::Form);
    }
    // To a server of today it is the model without a tag, to an older one a tag like any other.
    if tag == "local" {
        return Err(InvalidModel::Form);
    }
    let cloud = tag == "cloud" || tag.ends_with("-cloud") || name.ends_with("-cloud");
    let foreign = host != REGISTRY;
    let text = if foreign {
        format!("{host}/{namespace}/{name}:{tag}")
    } else if namespace == LIBRARY {
        format!("{name}:{tag}")
    } else {
        format!("{namespace}/{name}:{tag}")
    };
    Ok(ModelName { text: text.into(), cloud, foreign })
}

/// Which models are meant: a list of patterns. An empty list means none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModelMatcher {
    allowed: Vec<Glob>,
    denied: Vec<Glob>,
    /// Every one of these lists must have it, too.
    within: Vec<Vec<Glob>>,
    cloud: bool,
}

impl ModelMatcher {
    /// The models that fit one of these patterns. One without a tag fits every tag of the model.
    #[must_use]
    pub fn new(patterns: &[Glob]) -> Self {
        Self { allowed: patterns.to_vec(), denied: Vec::new(), within: Vec::new(), cloud: false }
    }

    /// Takes these out again, and says whether models that leave the machine are in at all.
    #[must_use]
    pub fn without(mut self, patterns: &[Glob], cloud: bool) -> Self {
        self.denied = patterns.to_vec();
        self.cloud = cloud;
        self
    }

    /// Leaves only what also fits one of these.
    #[must_use]
    pub fn within(mut self, patterns: &[Glob]) -> Self {
        self.within.push(patterns.to_vec());
        self
    }

    /// The same without models that leave the machine.
    #[must_use]
    pub fn at_home(mut self) -> Self {
        self.cloud = false;
        self
    }

    /// Whether a model is meant.
    #[must_use]
    pub fn matches(&self, model: &ModelName) -> bool {
        (self.cloud || !model.is_cloud())
            && fits(&self.allowed, model)
            && !fits(&self.denied, model)
            && self.within.iter().all(|patterns| fits(patterns, model))
    }
}

/// Whether a model fits one of these patterns.
pub(crate) fn fits(patterns: &[Glob], model: &ModelName) -> bool {
    let text = model.as_str();
    // The tag is what follows the last colon, if no slash comes after it.
    let untagged = text.rsplit_once(':').filter(|(_, tag)| !tag.contains('/')).map_or(text, |(name, _)| name);
    patterns.iter().any(|p| p.matches(text) || (!p.as_str().contains(':') && p.matches(untagged)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn name(raw: &str) -> ModelName {
        ModelName::canonical(raw, UpstreamKind::Ollama).unwrap()
    }

    #[test]
    fn rule_05_every_spelling_has_one_form() {
        for raw in [
            "llama3",
            "LLaMA3",
            " llama3 ",
            "llama3:latest",
            "library/llama3",
            "registry.ollama.ai/library/llama3",
            "https://registry.ollama.ai/library/LLAMA3:LATEST",
            "ollama://llama3",
        ] {
            assert_eq!(name(raw).as_str(), "llama3:latest", "{raw}");
        }
        assert_eq!(name("User/Foo").as_str(), "user/foo:latest");
        assert_eq!(name("hf.co/u/m:Q4").as_str(), "hf.co/u/m:q4");
        assert!(name("example.com:5000/u/m").is_foreign());
        assert!(!name("user/foo").is_foreign());
        assert_eq!(ModelName::canonical(" Tiny.gguf ", UpstreamKind::LlamaCpp).unwrap().as_str(), "Tiny.gguf");
    }

    #[test]
    fn every_spelling_of_a_cloud_model_is_one() {
        for raw in [
            "gpt-oss:120b-cloud",
            "GPT-OSS:120B-CLOUD",
            "qwen:cloud",
            "qwen:Cloud",
            "library/qwen:cloud",
            "https://registry.ollama.ai/library/qwen:cloud",
            "user/qwen:cloud",
            " qwen:cloud",
            "qwen-cloud",
        ] {
            assert!(name(raw).is_cloud(), "{raw}");
        }
        for raw in ["qwen", "cloud", "cloudy:7b", "cloud/x"] {
            assert!(!name(raw).is_cloud(), "{raw}");
        }
    }

    #[test]
    fn refuses_what_could_be_two_names() {
        for raw in [
            "",
            "  ",
            "a/b/c/d",
            "a:b:c",
            "qwen:cloud:local",
            "a b",
            "../x",
            "a\\b",
            "a\u{0}",
            "lläma",
            "\u{212a}imi",
            "a//b",
            "/a",
            "a/",
            ":tag",
            "a:",
            "a%2fb",
            "a@sha256:0",
            "x?y",
            "x#y",
        ] {
            assert!(ModelName::canonical(raw, UpstreamKind::Ollama).is_err(), "{raw:?}");
        }
        assert!(ModelName::canonical(&"a".repeat(MAX_NAME + 1), UpstreamKind::LlamaCpp).is_err());
    }

    #[test]
    fn patterns_fit_with_and_without_tags() {
        let of = |patterns: &[&str]| ModelMatcher::new(&patterns.iter().map(|p| Glob::new(p)).collect::<Vec<_>>());
        assert!(of(&["llama3"]).matches(&name("llama3:8b")));
        assert!(of(&["llama3*"]).matches(&name("llama3.2:8b")));
        assert!(!of(&["llama3:8b"]).matches(&name("llama3")));
        assert!(!of(&["llama3"]).matches(&name("llama3.2")));
        assert!(!of(&[]).matches(&name("llama3")));
        assert!(!of(&["*"]).matches(&name("x:cloud")));
        assert!(of(&["*"]).without(&[], true).matches(&name("x:cloud")));
        assert!(!of(&["*"]).without(&[Glob::new("x")], true).matches(&name("x:1")));
    }

    proptest! {
        #[test]
        fn canonical_is_canonical(raw in "[a-zA-Z0-9:/._-]{0,40}") {
            if let Ok(name) = ModelName::canonical(&raw, UpstreamKind::Ollama) {
                prop_assert_eq!(ModelName::canonical(name.as_str(), UpstreamKind::Ollama), Ok(name));
            }
        }
    }
}
