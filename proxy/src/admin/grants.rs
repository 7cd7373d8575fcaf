//! `/api/v1/grants`: rights for a time, as the `grants` commands give them.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use portcullis_policies::glob::Glob;
use portcullis_policies::{Grant, Identity, Rate, RouteClass, Scope};
use serde::Deserialize;

use super::{Admin, problem};
use crate::grants::{self, GrantError};
use crate::running::Running;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    #[serde(default)]
    all: bool,
}

/// What is to be granted, in the words of `grants add`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    id: String,
    #[serde(default)]
    routes: Vec<String>,
    #[serde(default)]
    models: Vec<Glob>,
    max_tokens: Option<u64>,
    max_context: Option<u64>,
    requests: Option<Rate>,
    tokens: Option<Rate>,
    concurrent: Option<u32>,
    budget: Option<u64>,
    #[serde(rename = "for")]
    ttl: Option<String>,
    until: Option<String>,
    #[serde(default)]
    note: String,
}

pub(super) async fn list(State(admin): State<Admin>, Query(wanted): Query<Wanted>) -> Response {
    let all = admin.running.surroundings.grants.list(wanted.all);
    Json(all.iter().map(grants::shown).collect::<Vec<_>>()).into_response()
}

pub(super) async fn add(State(admin): State<Admin>, Json(asked): Json<Asked>) -> Response {
    let running = Arc::clone(&admin.running);
    answered(tokio::task::spawn_blocking(move || grant(&running, asked)).await, StatusCode::CREATED)
}

pub(super) async fn revoke(State(admin): State<Admin>, Path(id): Path<String>) -> Response {
    let running = Arc::clone(&admin.running);
    answered(tokio::task::spawn_blocking(move || running.surroundings.grants.revoke(&id)).await, StatusCode::OK)
}

fn grant(running: &Running, asked: Asked) -> Result<Grant, GrantError> {
    let meant = |why: String| GrantError::Meaning(why);
    let identity = match running.trust.store().find(&asked.id) {
        Ok(entry) => Identity::parse(&entry.id).map_err(|e| meant(e.to_string()))?,
        Err(nobody) => Identity::parse(&asked.id).map_err(|_| meant(nobody.to_string()))?,
    };
    let until = match (asked.until, asked.ttl) {
        (Some(until), None) => {
            let bad = |_| meant("`until` is no time, expected such as `2026-12-24T18:00:00Z`".to_owned());
            Some(until.parse::<jiff::Timestamp>().map_err(bad)?.as_second())
        }
        (None, Some(ttl)) => Some(grants::ends_after(&ttl).map_err(meant)?),
        _ => {
            return Err(meant(
                "expected either `for`, such as `8h`, or `until`, such as `2026-12-24T18:00:00Z`".into(),
            ));
        }
    };
    let class = |word: &String| RouteClass::ALL.into_iter().find(|class| class.as_str() == word);
    let scope = Scope {
        classes: grants::or_usual(asked.routes.iter().filter_map(class).collect()),
        routes: asked.routes.iter().filter(|word| class(word).is_none()).map(|word| Glob::new(word)).collect(),
        models: asked.models,
        until,
        max_tokens: asked.max_tokens,
        max_context: asked.max_context,
        requests: asked.requests,
        tokens: asked.tokens,
        concurrent: asked.concurrent,
        budget: asked.budget,
        ..Scope::default()
    };
    running.surroundings.grants.add(&identity, scope, &asked.note)
}

fn answered(outcome: Result<Result<Grant, GrantError>, tokio::task::JoinError>, done: StatusCode) -> Response {
    match outcome {
        Ok(Ok(grant)) => (done, Json(grants::shown(&grant))).into_response(),
        Ok(Err(error @ GrantError::Meaning(_))) => problem(StatusCode::UNPROCESSABLE_ENTITY, &error.to_string()),
        Ok(Err(error @ GrantError::Nobody(_))) => problem(StatusCode::NOT_FOUND, &error.to_string()),
        Ok(Err(error @ GrantError::Full)) => problem(StatusCode::CONFLICT, &error.to_string()),
        Ok(Err(error @ GrantError::Shared(_))) => problem(StatusCode::SERVICE_UNAVAILABLE, &error.to_string()),
        Ok(Err(error @ GrantError::Ledger(_))) => problem(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
        Err(_) => problem(StatusCode::INTERNAL_SERVER_ERROR, "the change was cut off"),
    }
}
