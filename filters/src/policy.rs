//! The `policy` filter: who may call which route for which model, with which fields.
//!
//! The head is judged by its route and the caller; the body by the model it names, in canonical form,
//! and by the request schema of its route. What goes on is what was judged: the canonical name, fields
//! within their bounds, and nothing that no table knows. Lists of models show a caller only what it
//! may use.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use portcullis_policies::RouteClass;
use portcullis_policies::model::{InvalidModel, ModelName};
use portcullis_policies::policy::{Ask, Decision, Denial, Policy};
use portcullis_policies::routes::{BodyKind, ModelPlace, Route, Streaming};

use crate::exchange::{Caller, Facts, Head, Request};
use crate::filter::{Filter, Phase, Watch, block};
use crate::json::Json;
use crate::verdict::{Code, FilterError, Outcome, Refusal, Verdict};

mod egress;
mod form;
mod lists;
mod schema;
mod splice;

/// The filter.
pub struct PolicyFilter {
    policy: Arc<Policy>,
}

impl PolicyFilter {
    /// A filter that follows this policy.
    #[must_use]
    pub fn new(policy: Arc<Policy>) -> Self {
        Self { policy }
    }

    /// What the policy says of a route and a model.
    fn decide(&self, caller: &Caller, class: RouteClass, route: &str, model: Option<&ModelName>) -> Option<Refusal> {
        match self.policy.decide(&ask(caller, class, route, model)) {
            Decision::Allow(_) => None,
            Decision::Deny(denial, rule) => Some(denied(denial, rule, model)),
        }
    }

    /// Judges a model's name as the client wrote it.
    fn judge_model(&self, raw: &str, head: &Head, caller: &Caller) -> Result<ModelName, Refusal> {
        let model = ModelName::canonical(raw, head.upstream).map_err(not_a_model)?;
        match self.decide(caller, head.route.class, &head.route.name, Some(&model)) {
            Some(no) => Err(no),
            None => Ok(model),
        }
    }

    fn judge_json(
        &self,
        request: &Request<'_>,
        json: &Json<'_>,
        caller: &Caller,
        facts: &mut Facts,
    ) -> Result<Option<Bytes>, Refusal> {
        let head = request.head;
        let route = &head.route;
        if json.as_object().is_none() {
            return Err(Refusal::new("policy", Code::SchemaRequest, "the body must be a JSON object"));
        }
        // The schema first: a key that only looks like a known one must not pass for a missing one.
        let edits = match &route.fields {
            Some(table) => schema::check(json, table, self.policy.limits())?,
            None => Vec::new(),
        };
        let names = self.judge_body_models(json, head, caller)?;
        if let Some(what) = egress::leaves(json, &route.class)
            && self.decide(caller, RouteClass::Egress, &route.name, None).is_some()
        {
            return Err(Refusal::new("policy", Code::PolicyEgressDenied, what));
        }
        set(facts.set_streams(streams(route, json)))?;
        let renamed: Vec<_> = names.iter().filter(|(_, raw, model)| *raw != model.as_str()).collect();
        let body = match (renamed.as_slice(), edits.is_empty()) {
            ([], true) => None,
            ([(_, raw, model)], true) => splice::splice(request.body, raw, model.as_str()),
            _ => None,
        };
        let changed = !renamed.is_empty() || !edits.is_empty();
        let body = match body {
            None if changed => {
                let mut json = json.clone();
                schema::apply(&mut json, &edits);
                for (field, _, model) in renamed {
                    if let Some(value) = json.get_mut(field) {
                        *value = Json::String(model.as_str().to_owned().into());
                    }
                }
                Some(json.to_bytes().into())
            }
            spliced => spliced,
        };
        if let Some((_, _, model)) = names.into_iter().next() {
            set(facts.set_model(model))?;
        }
        Ok(body)
    }

    /// Finds and judges every model that the body names; all of them count.
    fn judge_body_models<'j>(
        &self,
        json: &'j Json<'_>,
        head: &'j Head,
        caller: &Caller,
    ) -> Result<Vec<(&'j str, &'j str, ModelName)>, Refusal> {
        let mut names: Vec<(&str, &str, ModelName)> = Vec::new();
        for place in &head.route.models {
            let ModelPlace::Body(field) = place else { continue };
            let raw = match json.get(field) {
                None | Some(Json::Null) => continue,
                Some(Json::String(raw)) => raw,
                Some(_) => {
                    return Err(Refusal::new("policy", Code::SchemaRequest, "the model's name must be a string")
                        .with_detail(format!("field {field}")));
                }
            };
            // An empty name beside another is how a client says none.
            if raw.trim().is_empty() && !names.is_empty() {
                continue;
            }
            names.push((field, raw, self.judge_model(raw, head, caller)?));
        }
        let same_thing = |field: &str| matches!(field, "model" | "name");
        let mut twice = names.iter().filter(|(field, _, _)| same_thing(field)).map(|(_, _, model)| model);
        if let (Some(one), Some(other)) = (twice.next(), twice.next())
            && one != other
        {
            return Err(Refusal::new("policy", Code::PolicyFieldDenied, "`model` and `name` name different models"));
        }
        let wanted = head.route.models.iter().any(|p| matches!(p, ModelPlace::Body(_)));
        if names.is_empty() && wanted && head.upstream == portcullis_policies::UpstreamKind::Ollama {
            return Err(Refusal::new("policy", Code::SchemaRequest, "the request names no model"));
        }
        Ok(names)
    }

    /// Judges the models in path and query, and states the target that goes on.
    fn judge_target(&self, head: &Head, caller: &Caller, facts: &mut Facts) -> Result<(), Refusal> {
        for (name, _) in &head.query {
            if !head.route.query.iter().any(|known| **known == **name) {
                return Err(Refusal::new(
                    "policy",
                    Code::PolicyFieldDenied,
                    "this route takes no such query parameter",
                ));
            }
        }
        for place in &head.route.models {
            match place {
                ModelPlace::Path(name) => {
                    let parameters = head.route.parameters(&head.path).unwrap_or_default();
                    let raw = parameters.iter().find(|(n, _)| *n == &**name).map(|(_, v)| *v);
                    let model = self.judge_model(raw.unwrap_or_default(), head, caller)?;
                    let target = head.route.path.replace(&format!("{{{name}}}"), model.as_str());
                    set(facts.set_target(target))?;
                    set(facts.set_model(model))?;
                }
                ModelPlace::Query(name) => {
                    if let Some((_, raw)) = head.query.iter().find(|(n, _)| **n == **name) {
                        set(facts.set_model(self.judge_model(raw, head, caller)?))?;
                    }
                }
                ModelPlace::Body(_) | ModelPlace::Form(_) => {}
            }
        }
        Ok(())
    }
}

#[async_trait]
impl Filter for PolicyFilter {
    fn name(&self) -> &'static str {
        "policy"
    }

    fn phases(&self) -> &'static [Phase] {
        &[Phase::Head, Phase::Body, Phase::Reply]
    }

    async fn head(&self, head: &Head, facts: &mut Facts) -> Outcome<()> {
        let caller = caller(facts)?;
        if let Some(no) = self.decide(&caller, head.route.class, &head.route.name, None) {
            return block(no);
        }
        if let Err(no) = self.judge_target(head, &caller, facts) {
            return block(no);
        }
        if !head.route.lists.is_empty() {
            let models = self.policy.models_for(&ask(&caller, head.route.class, &head.route.name, None));
            facts.set_models(Arc::new(models))?;
        }
        Ok(Verdict::Pass)
    }

    async fn body(&self, request: &Request<'_>, facts: &mut Facts) -> Outcome<Bytes> {
        let caller = caller(facts)?;
        let judged = match (request.head.route.body, request.json) {
            (BodyKind::Json, Some(json)) => self.judge_json(request, json, &caller, facts),
            (BodyKind::Json, None) => return Err(FilterError::Failed("a JSON route without JSON".to_owned())),
            (BodyKind::Multipart, _) => {
                let named = form::model(request);
                named.and_then(|raw| {
                    let model = self.judge_model(&raw, request.head, &caller)?;
                    // The form is not written anew, so only a name that is canonical already goes on.
                    if model.as_str() != raw && request.head.upstream == portcullis_policies::UpstreamKind::Ollama {
                        return Err(Refusal::new(
                            "policy",
                            Code::SchemaRequest,
                            format!("a form must name its model in canonical form: `{}`", shown(&model)),
                        ));
                    }
                    set(facts.set_model(model))?;
                    Ok(None)
                })
            }
            (BodyKind::Blob | BodyKind::None, _) => Ok(None),
        };
        match judged {
            Ok(None) => Ok(Verdict::Pass),
            Ok(Some(body)) => Ok(Verdict::Replace(body)),
            Err(refusal) => block(refusal),
        }
    }

    fn watch(&self, head: &Head, facts: &Facts) -> Result<Option<Box<dyn Watch>>, FilterError> {
        if head.route.lists.is_empty() {
            return Ok(None);
        }
        let Some(models) = facts.models() else {
            return Err(FilterError::Failed("a model list without the granted models".to_owned()));
        };
        Ok(Some(Box::new(lists::ListWatch::new(Arc::clone(&head.route), Arc::clone(models), head.upstream))))
    }
}

fn caller(facts: &Facts) -> Result<Caller, FilterError> {
    facts
        .caller()
        .cloned()
        .ok_or_else(|| FilterError::Failed("no filter before `policy` established the caller".to_owned()))
}

fn ask<'a>(caller: &'a Caller, class: RouteClass, route: &'a str, model: Option<&'a ModelName>) -> Ask<'a> {
    Ask { identity: &caller.identity, name: caller.name.as_deref(), method: caller.method, class, route, model }
}

fn denied(denial: Denial, rule: Option<&str>, model: Option<&ModelName>) -> Refusal {
    let refusal = match denial {
        Denial::Egress => Refusal::new(
            "policy",
            Code::PolicyEgressDenied,
            "this would leave the machine, and no grant of yours allows that",
        ),
        Denial::Model => Refusal::new(
            "policy",
            Code::PolicyModelDenied,
            model.map_or("the model is not granted to you".into(), |m| {
                format!("the model `{}` is not granted to you", shown(m))
            }),
        ),
        Denial::Route => Refusal::new("policy", Code::PolicyRouteDenied, "no grant of yours allows this route"),
    };
    refusal.with_detail(rule.map_or_else(|| "no rule allows it".to_owned(), |rule| format!("rule `{rule}`")))
}

/// A canonical name as it may stand in a message.
fn shown(model: &ModelName) -> String {
    model.as_str().chars().take(64).collect()
}

fn not_a_model(error: InvalidModel) -> Refusal {
    Refusal::new("policy", Code::SchemaRequest, error.to_string())
}

/// Whether the answer will stream, by the route and the request's own word.
fn streams(route: &Route, json: &Json<'_>) -> bool {
    match route.stream {
        Streaming::Always(_) => true,
        Streaming::Never => false,
        Streaming::Asked { default, .. } => json.get("stream").and_then(Json::as_bool).unwrap_or(default),
    }
}

/// A fact that was stated twice is a broken chain, and blocks as one.
fn set(stated: Result<(), FilterError>) -> Result<(), Refusal> {
    stated.map_err(|e| Refusal::internal("policy", e.to_string()))
}

#[cfg(test)]
mod tests;
