//! Which requests must be signed, and what a signature must be: the words of `filters.signature`.

use std::time::Duration;

use portcullis_filters::signature::{self, Require};
use portcullis_policies::nearest;
use portcullis_signatures::Scheme;
use serde_json::{Value, json};

use super::check::Check;
use super::{Store, written};

/// What is signed, how, and where it is remembered.
#[derive(Clone, Debug)]
pub(crate) struct SignatureSettings {
    pub(crate) require: Require,
    pub(crate) filter: signature::SignatureSettings,
    /// Where used signatures are remembered.
    pub(crate) store: Store,
}

/// Every scheme there is.
const SCHEMES: [Scheme; 2] = [Scheme::Rfc9421, Scheme::Llmesh];
/// A longer window would have the gate remember for longer than its room allows.
const WINDOWS: std::ops::RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(300);
const WINDOW: Duration = Duration::from_secs(30);

impl Default for SignatureSettings {
    fn default() -> Self {
        let filter =
            signature::SignatureSettings { schemes: SCHEMES.to_vec(), window: WINDOW, audience_required: false };
        Self { require: Require::default(), filter, store: Store::default() }
    }
}

impl SignatureSettings {
    pub(super) fn check(check: &mut Check<'_>, w: &written::Signature) -> Self {
        let mut schemes = Vec::new();
        for word in w.schemes.iter().flatten() {
            match SCHEMES.into_iter().find(|scheme| scheme.as_str() == word) {
                Some(scheme) if !schemes.contains(&scheme) => schemes.push(scheme),
                Some(_) => {}
                None => {
                    let names = SCHEMES.map(|scheme| scheme.as_str());
                    let near = nearest(word, names).map(|near| format!("did you mean `{near}`?"));
                    let message = format!("`{word}` is no scheme, expected some of {}", names.join(", "));
                    check.wrong("filters.signature.schemes", message, near.as_deref());
                }
            }
        }
        if w.schemes.as_ref().is_some_and(Vec::is_empty) {
            check.wrong(
                "filters.signature.schemes",
                "the list is empty, so no signature could hold".to_owned(),
                Some("write `[rfc9421, llmesh]`; `mode: off` turns the filter off"),
            );
        }
        let audience_required = w.audience == Some(written::AudienceWord::Required);
        if w.schemes.is_none() {
            // LLMesh's signatures name no audience.
            schemes = SCHEMES.into_iter().filter(|s| !audience_required || *s == Scheme::Rfc9421).collect();
        } else if audience_required && schemes.contains(&Scheme::Llmesh) {
            check.warn(
                "`filters.signature.audience` is `required`, and LLMesh's signatures name none: none of them is let in"
                    .to_owned(),
            );
        }
        let window = check.duration("filters.signature.window", w.window.as_deref(), WINDOW.as_secs());
        if !WINDOWS.contains(&window) {
            let message = "expected between a second and five minutes".to_owned();
            check.wrong("filters.signature.window", message, Some("write `30s`"));
        }
        Self {
            require: w.require.unwrap_or_default(),
            filter: signature::SignatureSettings { schemes, window, audience_required },
            store: Store::check(check, "filters.signature.store", w.store.as_ref()),
        }
    }

    /// As it is written in a config, with every default filled in.
    pub(crate) fn to_json(&self) -> Value {
        let schemes: Vec<_> = self.filter.schemes.iter().map(|scheme| scheme.as_str()).collect();
        json!({
            "require": self.require, "schemes": schemes,
            "window": format!("{}ms", self.filter.window.as_millis()),
            "audience": if self.filter.audience_required { "required" } else { "optional" },
            "store": self.store.to_json(),
        })
    }
}
