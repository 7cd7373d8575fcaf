//! The `policy` filter: who may call which route for which model, with which fields.
//!
//! The head is judged by its route and the caller; the body by the model it names, in canonical form,
//! and by the request schema of its route. What goes on is what was judged: the canonical name, fields
//! within their bounds, and nothing that no table knows. Lists of models show a caller only what it
//! may use. While the upstream works it is asked again whether the right still holds: grants, rules and
//! scopes end.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use portcullis_policies::RouteClass;
use portcullis_policies::model::{InvalidModel, ModelName};
use portcullis_policies::policy::{Bounds, Policy};
use portcullis_policies::routes::{BodyKind, Route, Streaming};

use crate::exchange::{Caller, Facts, Head, Request};
use crate::filter::{Filter, Phase, Watch, block};
use crate::gate::AnswerShape;
use crate::json::Json;
use crate::verdict::{Code, FilterError, Outcome, Refusal, Verdict};

mod egress;
mod form;
mod judge;
mod lists;
mod rights;
mod schema;
mod splice;
mod tools;

pub use rights::GrantView;
use rights::Rights;
use schema::Limits;

/// The filter.
pub struct PolicyFilter {
    policy: Arc<Policy>,
    grants: Arc<dyn GrantView>,
}

impl PolicyFilter {
    /// A filter that follows this policy, and these grants beside it.
    #[must_use]
    pub fn new(policy: Arc<Policy>, grants: Arc<dyn GrantView>) -> Self {
        Self { policy, grants }
    }

    fn rights<'r>(&'r self, caller: &'r Caller) -> Result<Rights<'r>, Refusal> {
        Rights::of(&self.policy, &*self.grants, caller)
    }

    fn judge_head(&self, head: &Head, caller: &Caller, facts: &mut Facts) -> Result<(), Refusal> {
        let rights = self.rights(caller)?;
        rights.judge(head.route.class, &head.route.name, None)?;
        judge::target(&rights, head, facts)?;
        if !head.route.lists.is_empty() {
            set(facts.set_models(Arc::new(rights.models(head.route.class, &head.route.name))))?;
        }
        Ok(())
    }

    fn judge_json(
        &self,
        request: &Request<'_>,
        json: &Json<'_>,
        rights: &Rights<'_>,
        facts: &mut Facts,
    ) -> Result<Option<Bytes>, Refusal> {
        let head = request.head;
        let route = &head.route;
        if json.as_object().is_none() {
            return Err(Refusal::new("policy", Code::SchemaRequest, "the body must be a JSON object"));
        }
        // The schema first: a key that only looks like a known one must not pass for a missing one.
        let fields = self.policy.limits();
        let mut edits = match &route.fields {
            Some(table) => schema::check(json, table, Limits { fields, bounds: Bounds::default() })?,
            None => Vec::new(),
        };
        let (names, mut allowance) = judge::body_models(rights, json, head, facts)?;
        if let Some(what) = egress::leaves(json, &route.class) {
            let no = |no: Refusal| Refusal::new("policy", Code::PolicyEgressDenied, what).with_detail(no.detail);
            allowance.add(rights.judge(RouteClass::Egress, &route.name, None).map_err(no)?);
        }
        if let Some(table) = &route.fields
            && allowance.bounds != Bounds::default()
        {
            let limits = Limits { fields, bounds: allowance.bounds };
            edits = schema::check(json, table, limits)?;
            edits.extend(schema::fill(json, table, &route.name, allowance.bounds));
        }
        allowance.basis.iter().for_each(|basis| facts.note_basis(Arc::clone(basis)));
        tools::check(json, &allowance.tools)?;
        allowance.note(facts);
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
        match self.judge_head(head, &caller, facts) {
            Ok(()) => Ok(Verdict::Pass),
            Err(no) => block(no),
        }
    }

    async fn body(&self, request: &Request<'_>, facts: &mut Facts) -> Outcome<Bytes> {
        let caller = caller(facts)?;
        let rights = match self.rights(&caller) {
            Ok(rights) => rights,
            Err(no) => return block(no),
        };
        let judged = match (request.head.route.body, request.json) {
            (BodyKind::Json, Some(json)) => self.judge_json(request, json, &rights, facts),
            (BodyKind::Json, None) => return Err(FilterError::Failed("a JSON route without JSON".to_owned())),
            (BodyKind::Multipart, _) => judge::form(&rights, request, facts),
            (BodyKind::Blob | BodyKind::None, _) => judge::bare(&rights, request.head, facts),
        };
        match judged {
            Ok(None) => Ok(Verdict::Pass),
            Ok(Some(body)) => Ok(Verdict::Replace(body)),
            Err(refusal) => block(refusal),
        }
    }

    fn still(&self, head: &Head, facts: &Facts) -> Result<(), Refusal> {
        let caller = caller(facts).map_err(|e| Refusal::internal("policy", e.to_string()))?;
        let rights = self.rights(&caller)?.running();
        rights.judge(head.route.class, &head.route.name, facts.model()).map(drop)
    }

    fn watch(&self, head: &Head, facts: &Facts, _: &AnswerShape) -> Result<Option<Box<dyn Watch>>, FilterError> {
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
