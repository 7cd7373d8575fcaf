//! Finds the models that a request names, wherever they stand, and holds each against the caller's rights.

use bytes::Bytes;
use portcullis_policies::model::ModelName;
use portcullis_policies::routes::ModelPlace;

use super::rights::{Allowance, Rights};
use super::{not_a_model, set, shown};
use crate::exchange::{Facts, Head, Request};
use crate::json::Json;
use crate::verdict::{Code, Refusal};

/// A model that the body names: the field, the name as it stands there, and its canonical form.
pub(super) type Named<'j> = (&'j str, &'j str, ModelName);

/// Judges a form. It is not written anew, so only a name that is canonical already goes on.
pub(super) fn form(rights: &Rights<'_>, request: &Request<'_>, facts: &mut Facts) -> Result<Option<Bytes>, Refusal> {
    let raw = super::form::model(request)?;
    let (model, allowance) = judge_model(rights, &raw, request.head, facts)?;
    if model.as_str() != raw && request.head.upstream == portcullis_policies::UpstreamKind::Ollama {
        return Err(Refusal::new(
            "policy",
            Code::SchemaRequest,
            format!("a form must name its model in canonical form: `{}`", shown(&model)),
        ));
    }
    allowance.note(facts);
    set(facts.set_model(model))?;
    Ok(None)
}

/// Judges a request whose body names nothing.
pub(super) fn bare(rights: &Rights<'_>, head: &Head, facts: &mut Facts) -> Result<Option<Bytes>, Refusal> {
    let allowance = rights.judge(head.route.class, &head.route.name, facts.model())?;
    allowance.note(facts);
    Ok(None)
}

/// Finds and judges every model that the body names; all of them count.
pub(super) fn body_models<'j>(
    rights: &Rights<'_>,
    json: &'j Json<'_>,
    head: &'j Head,
    facts: &mut Facts,
) -> Result<(Vec<Named<'j>>, Allowance), Refusal> {
    let mut names: Vec<Named<'_>> = Vec::new();
    let mut allowance = Allowance::default();
    let mut is_empty = false;
    let same_thing = |field: &str| matches!(field, "model" | "name");
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
        // An empty name beside another is how a client says none: the stock command line asks to show
        // `{"model": "", "name": "llama3"}`.
        if raw.trim().is_empty() && same_thing(field) {
            is_empty = true;
            continue;
        }
        let (model, allowed) = judge_model(rights, raw, head, facts)?;
        allowance.add(allowed);
        names.push((field, raw, model));
    }
    let mut twice = names.iter().filter(|(field, _, _)| same_thing(field)).map(|(_, _, model)| model);
    if let (Some(one), Some(other)) = (twice.next(), twice.next())
        && one != other
    {
        return Err(Refusal::new("policy", Code::PolicyFieldDenied, "`model` and `name` name different models"));
    }
    let wanted = head.route.models.iter().any(|p| matches!(p, ModelPlace::Body(_)));
    let must = is_empty || head.upstream == portcullis_policies::UpstreamKind::Ollama;
    if names.is_empty() && wanted && must {
        return Err(Refusal::new("policy", Code::SchemaRequest, "the request names no model"));
    }
    if names.is_empty() {
        let (class, route) = (head.route.class, &head.route.name);
        allowance.add(match facts.model() {
            None if wanted => rights.judge_any_model(class, route)?,
            model => rights.judge(class, route, model)?,
        });
    }
    Ok((names, allowance))
}

/// Judges the models in path and query, and states the target that goes on.
pub(super) fn target(rights: &Rights<'_>, head: &Head, facts: &mut Facts) -> Result<(), Refusal> {
    for (name, _) in &head.query {
        if !head.route.query.iter().any(|known| **known == **name) {
            return Err(Refusal::new("policy", Code::PolicyFieldDenied, "this route takes no such query parameter"));
        }
    }
    for place in &head.route.models {
        match place {
            ModelPlace::Path(name) => {
                let parameters = head.route.parameters(&head.path).unwrap_or_default();
                let raw = parameters.iter().find(|(n, _)| *n == &**name).map(|(_, v)| *v);
                let (model, _) = judge_model(rights, raw.unwrap_or_default(), head, facts)?;
                let target = head.route.path.replace(&format!("{{{name}}}"), model.as_str());
                set(facts.set_target(target))?;
                set(facts.set_model(model))?;
            }
            ModelPlace::Query(name) => {
                if let Some((_, raw)) = head.query.iter().find(|(n, _)| **n == **name) {
                    let (model, _) = judge_model(rights, raw, head, facts)?;
                    set(facts.set_model(model))?;
                }
            }
            ModelPlace::Body(_) | ModelPlace::Form(_) => {}
        }
    }
    Ok(())
}

/// Judges a model's name as the client wrote it.
fn judge_model(
    rights: &Rights<'_>,
    raw: &str,
    head: &Head,
    facts: &mut Facts,
) -> Result<(ModelName, Allowance), Refusal> {
    let model = ModelName::canonical(raw, head.upstream).map_err(not_a_model)?;
    facts.ask(&model);
    let allowance = rights.judge(head.route.class, &head.route.name, Some(&model))?;
    Ok((model, allowance))
}
