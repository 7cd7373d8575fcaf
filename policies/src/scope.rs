//! What a credential allows at most: the part of a caller's rights that it carries.
//!
//! A scope never gives anything: it is held against a request beside the policy, and both must agree.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::class::RouteClass;
use crate::glob::Glob;
use crate::model::{ModelName, fits};
use crate::rate::Rate;

/// What may be done at most. An empty list, and a number that is missing, bound nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Scope {
    /// What it belongs to, such as `key:ci`: what is counted is counted under this name. Never written.
    #[serde(skip)]
    pub name: Option<Arc<str>>,
    /// Classes of routes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<RouteClass>,
    /// Patterns of route names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<Glob>,
    /// Patterns of canonical model names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<Glob>,
    /// From this Unix second on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<i64>,
    /// Until this Unix second, which is no more in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<i64>,
    /// Tokens of one answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u64>,
    /// Tokens of one context.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_context: Option<u64>,
    /// Requests in a span of time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests: Option<Rate>,
    /// Tokens in a span of time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<Rate>,
    /// Requests at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrent: Option<u32>,
    /// Tokens in all, ever.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget: Option<u64>,
}

impl Scope {
    /// Whether a route lies within it.
    #[must_use]
    pub fn covers(&self, class: RouteClass, route: &str) -> bool {
        (self.classes.is_empty() || self.classes.contains(&class))
            && (self.routes.is_empty() || self.routes.iter().any(|glob| glob.matches(route)))
    }

    /// Whether a model lies within it.
    #[must_use]
    pub fn covers_model(&self, model: &ModelName) -> bool {
        self.models.is_empty() || fits(&self.models, model)
    }

    /// Whether every model lies within it.
    #[must_use]
    pub fn covers_every_model(&self) -> bool {
        self.models.is_empty() || self.models.iter().any(|glob| glob.as_str() == "*")
    }

    /// Whether it holds at this Unix second.
    #[must_use]
    pub fn holds_at(&self, now: i64) -> bool {
        self.from.is_none_or(|from| now >= from) && self.until.is_none_or(|until| now < until)
    }

    /// Whether it has ended by this Unix second.
    #[must_use]
    pub fn has_ended(&self, now: i64) -> bool {
        self.until.is_some_and(|until| now >= until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::class::UpstreamKind;

    #[test]
    fn bounds_what_it_names_and_nothing_else() {
        let model = |raw| ModelName::canonical(raw, UpstreamKind::Ollama).unwrap();
        let all = Scope::default();
        assert!(all.covers(RouteClass::Admin, "x") && all.covers_model(&model("y")) && all.holds_at(0));
        let some: Scope = serde_json::from_str(
            r#"{"classes":["inference"],"routes":["ollama.*"],"models":["llama3*"],"from":10,"until":20,"tokens":"5/m"}"#,
        )
        .unwrap();
        assert!(some.covers(RouteClass::Inference, "ollama.chat"));
        assert!(!some.covers(RouteClass::Read, "ollama.chat") && !some.covers(RouteClass::Inference, "openai.chat"));
        assert!(some.covers_model(&model("llama3:8b")) && !some.covers_model(&model("qwen")));
        assert!(!some.holds_at(9) && some.holds_at(10) && some.holds_at(19) && !some.holds_at(20));
        assert!(some.has_ended(20) && !some.has_ended(19) && !all.has_ended(i64::MAX));
        let text = serde_json::to_string(&some).unwrap();
        assert_eq!(serde_json::from_str::<Scope>(&text).unwrap(), some);
        assert!(
            serde_json::from_str::<Scope>(r#"{"model":["x"]}"#).is_err(),
            "a word that is not known bounds nothing"
        );
    }
}
