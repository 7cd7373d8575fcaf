//! `GET /api/v1/decisions`: the newest decisions, newest first, or those to come; and why one fell.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Json, Response};
use futures::Stream;
use serde::Deserialize;
use tokio::sync::broadcast::error::RecvError;

use super::{Admin, problem};
use crate::decisions::{Decision, Decisions};
use crate::explain::{self, Sources};
use crate::running::Running;

/// How many are shown where nobody says how many.
const USUAL: usize = 100;
/// How often a quiet stream shows that it lives.
const ALIVE: Duration = Duration::from_secs(15);

/// Which decisions.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    /// At most so many.
    limit: Option<usize>,
    /// `allow` or `block`.
    decision: Option<String>,
}

impl Wanted {
    fn fits(&self, decision: &Decision) -> bool {
        self.decision.as_deref().is_none_or(|word| decision.policy_decision.eq_ignore_ascii_case(word))
    }
}

pub(super) async fn list(State(admin): State<Admin>, Query(wanted): Query<Wanted>, headers: HeaderMap) -> Response {
    let decisions = &admin.running.decisions;
    let accept = headers.get(header::ACCEPT).and_then(|v| v.to_str().ok()).unwrap_or_default();
    if accept.contains("text/event-stream") {
        return Sse::new(follow(decisions, wanted)).keep_alive(KeepAlive::new().interval(ALIVE)).into_response();
    }
    let newest = decisions.newest(wanted.limit.unwrap_or(USUAL), |decision| wanted.fits(decision));
    let shown: Vec<_> = newest.iter().map(|decision| &**decision).collect();
    Json(&shown).into_response()
}

/// Decisions as they fall. A follower that is too slow is told how many it missed.
fn follow(decisions: &Decisions, wanted: Wanted) -> impl Stream<Item = Result<Event, Infallible>> + use<> {
    futures::stream::unfold((decisions.follow(), wanted), |(mut receiver, wanted)| async move {
        loop {
            let event = match receiver.recv().await {
                Ok(decision) if wanted.fits(&decision) => Event::default().json_data(&*decision).ok(),
                Ok(_) => None,
                Err(RecvError::Lagged(missed)) => Some(Event::default().event("missed").data(missed.to_string())),
                Err(RecvError::Closed) => return None,
            };
            if let Some(event) = event {
                return Some((Ok(event), (receiver, wanted)));
            }
        }
    })
}

pub(super) async fn explained(State(admin): State<Admin>, Path(id): Path<String>) -> Response {
    match admin.running.decisions.find(&id) {
        Some(decision) => Json(explain(&admin.running, &decision)).into_response(),
        None => problem(StatusCode::NOT_FOUND, "this request is not among the newest decisions"),
    }
}

fn explain(running: &Running, decision: &Decision) -> explain::Explained {
    let then = decision.policy.upgrade();
    let policy = then.clone().unwrap_or_else(|| Arc::clone(&running.current.load().config.policy));
    let grants = portcullis_filters::policy::GrantView::grants(&*running.surroundings.grants);
    let peer = running.trust.store().find(&decision.node_id).ok();
    let sources = Sources { policy: &policy, grants: &grants, peer: peer.as_ref() };
    let mut explained = explain::explain(decision, &sources);
    if then.is_none() && explained.remark.is_none() {
        explained.remark = Some("the config was reloaded since: this is what the policy in force says".to_owned());
    }
    explained
}
