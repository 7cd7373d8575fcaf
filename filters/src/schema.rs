//! The `schema` filter: requests and answers that have the shape that they should.
//!
//! 1. A request to one of LLMesh's tools, or to a route that the operator wrote a schema for, fits it.
//! 2. Where a request brings schemas itself (structured outputs, parameters of tools), its answer fits those.
//! 3. An answer of a tool passes every stage of [`tool`], in their order.
//! 4. In front of a model server the gate serves the tools itself ([`serve`]).
//!
//! Values are judged when they are whole; what a schema may cost is known before it is used ([`work`]).

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use portcullis_policies::model::ModelName;
use portcullis_policies::{RouteClass, UpstreamKind};

use crate::exchange::{Facts, Head, Request};
use crate::filter::{Filter, Phase, Watch, block};
use crate::gate::AnswerShape;
use crate::json::Json;
use crate::verdict::{Code, FilterError, Outcome, Refusal, Verdict};

mod arguments;
mod asked;
mod compiled;
mod cut;
mod replays;
mod said;
mod serve;
#[cfg(test)]
mod tests;
mod tool;
mod tool_watch;
mod watch;
mod whole;
mod work;

#[cfg(test)]
pub(crate) use tests::measured;

pub use asked::Asked;
pub use compiled::{Kept, Misfit, Schema};
pub use replays::Answered;
pub use tool::Call;
pub use work::SchemaError;

/// What the filter is set to.
#[derive(Clone, Debug, Default)]
pub struct SchemaSettings {
    /// Whether answers are held to the schemas that requests bring themselves.
    pub requested: bool,
    /// Schemas of single routes.
    pub routes: Vec<RouteSchema>,
    /// The model that serves the tools of LLMesh. Without one the gate serves none.
    pub tools_model: Option<String>,
}

/// What the operator holds a route to.
#[derive(Clone, Debug)]
pub struct RouteSchema {
    /// The route's name, such as `ollama.chat`.
    pub route: Arc<str>,
    /// What requests must fit.
    pub request: Option<Arc<Schema>>,
    /// What whole answers must fit.
    pub answer: Option<Arc<Schema>>,
}

/// What an answer is bound to by its request.
#[derive(Debug)]
pub enum Bound {
    /// To the schemas that the request brings.
    Asked(Arc<Asked>),
    /// To a call of a tool.
    Call(Arc<Call>),
}

/// The filter.
pub struct SchemaFilter {
    settings: SchemaSettings,
    kept: Arc<Kept>,
    answered: Arc<Answered>,
}

impl SchemaFilter {
    /// A filter with these settings. What was compiled and answered outlives a reload.
    #[must_use]
    pub fn new(settings: SchemaSettings, kept: Arc<Kept>, answered: Arc<Answered>) -> Self {
        Self { settings, kept, answered }
    }

    fn route(&self, head: &Head) -> Option<&RouteSchema> {
        self.settings.routes.iter().find(|written| written.route == head.route.name)
    }

    /// Names the model that a tool runs on, so that `policy` judges it as any other.
    fn name_model(&self, head: &Head, facts: &mut Facts) -> Result<(), Refusal> {
        if tool::of_route(&head.route.name)?.is_none() || !serves(head) {
            return Ok(());
        }
        let Some(model) = &self.settings.tools_model else {
            let message = "this gate serves no tools: its operator names no model in `filters.schema.tools.model`";
            return Err(Refusal::new("schema", Code::PolicyNoRoute, message));
        };
        let model = ModelName::canonical(model, head.upstream).map_err(|error| internal(&error.to_string()))?;
        facts.set_model(model).map_err(|error| internal(&error.to_string()))
    }

    fn judge(&self, request: &Request<'_>, facts: &mut Facts) -> Result<Option<Bytes>, Refusal> {
        let (head, Some(json)) = (request.head, request.json) else { return Ok(None) };
        if let Some(written) = self.route(head) {
            if let Some(schema) = &written.request {
                schema.check(&json.to_value()).map_err(|why| {
                    Refusal::new(
                        "schema",
                        Code::SchemaRequest,
                        format!("the request does not fit this route's schema: {why}"),
                    )
                })?;
            }
            if written.answer.is_some() && facts.streams() == Some(true) {
                let message =
                    "this route's answers are held to a schema, so they cannot be streamed; ask with `stream` false";
                return Err(Refusal::new("schema", Code::SchemaRequest, message));
            }
        }
        if let Some(tool) = tool::of_route(&head.route.name)? {
            let served = serves(head);
            let call = tool.ask(json, served)?;
            bind(facts, Bound::Call(Arc::new(call)))?;
            if !served {
                return Ok(None);
            }
            let model = facts.model().map(|model| model.as_str().to_owned()).unwrap_or_default();
            let (path, body) = serve::ask(tool, json, head.upstream, &model);
            facts.set_target(path.to_owned()).map_err(|error| internal(&error.to_string()))?;
            return Ok(Some(body.into()));
        }
        // What counts tokens, or shows a prompt, answers nothing that could fit.
        if self.settings.requested && head.route.class == RouteClass::Inference {
            let mut asked = Asked::of(json, &self.kept)
                .map_err(|why| Refusal::new("schema", Code::SchemaRequest, why.to_string()))?;
            asked.expect_words(json);
            if !asked.is_free() {
                bind(facts, Bound::Asked(Arc::new(asked)))?;
            }
        }
        Ok(None)
    }
}

#[async_trait]
impl Filter for SchemaFilter {
    fn name(&self) -> &'static str {
        "schema"
    }

    fn phases(&self) -> &'static [Phase] {
        &[Phase::Head, Phase::Body, Phase::Reply]
    }

    async fn head(&self, head: &Head, facts: &mut Facts) -> Outcome<()> {
        self.name_model(head, facts).map_or_else(block, |()| Ok(Verdict::Pass))
    }

    async fn body(&self, request: &Request<'_>, facts: &mut Facts) -> Outcome<Bytes> {
        match self.judge(request, facts) {
            Ok(None) => Ok(Verdict::Pass),
            Ok(Some(asked)) => Ok(Verdict::Replace(asked)),
            Err(refusal) => block(refusal),
        }
    }

    fn watch(&self, head: &Head, facts: &Facts, shape: &AnswerShape) -> Result<Option<Box<dyn Watch>>, FilterError> {
        let streams = shape.stream.is_some();
        match facts.bound().map(AsRef::as_ref) {
            Some(Bound::Call(call)) => {
                // What LLMesh says of a mistake is for its caller to read.
                if !shape.success && !call.served {
                    return Ok(None);
                }
                let caller = match facts.caller() {
                    Some(caller) => caller.identity.as_str().to_owned(),
                    None => head.presented.address.to_string(),
                };
                let answered = Arc::clone(&self.answered);
                let server = Arc::clone(&head.server);
                let call = Arc::clone(call);
                Ok(Some(Box::new(tool_watch::ToolWatch::new(call, answered, server, caller, shape.success))))
            }
            _ if !shape.success => Ok(None),
            bound => {
                let own = self.route(head).and_then(|written| written.answer.clone());
                Ok(match (bound, own) {
                    (Some(Bound::Asked(asked)), own) if !streams || own.is_none() => {
                        Some(Box::new(watch::AnswerWatch::new(Arc::clone(asked), own, streams, head.route.dialect)))
                    }
                    (_, Some(schema)) => Some(Box::new(whole::WholeWatch::new(schema, streams))),
                    (_, None) => None,
                })
            }
        }
    }
}

/// Whether the gate serves the tools itself.
fn serves(head: &Head) -> bool {
    head.upstream != UpstreamKind::LlMesh
}

fn bind(facts: &mut Facts, bound: Bound) -> Result<(), Refusal> {
    facts.set_bound(Arc::new(bound)).map_err(|error| internal(&error.to_string()))
}

fn internal(why: &str) -> Refusal {
    Refusal::internal("schema", why)
}

/// Whether a frame's JSON fits what the operator holds a route to.
fn fits_route(schema: &Schema, json: &Json<'_>) -> Result<(), Refusal> {
    schema.check(&json.to_value()).map_err(|why| {
        Refusal::new("schema", Code::SchemaResponse, "the answer does not fit this route's schema")
            .with_detail(why.to_string())
    })
}
