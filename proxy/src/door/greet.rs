//! The door's own question to its gate: how do I stand with you?

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use portcullis_filters::Code;

use super::carry::own_request;
use super::proof::Check;
use super::standing::Standing;
use super::{Door, clock};
use crate::refuse::VERDICT;

/// A route of every kind of upstream that costs nothing.
const QUESTION: &str = "/v1/models";
/// How long an answer may take: a door that opens waits for the first.
const PATIENCE: Duration = Duration::from_secs(10);
/// The pause between two questions grows from the first to the second while the door is kept out. Each
/// is a line in the gate's audit log.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LAST_PAUSE: Duration = Duration::from_secs(10);
/// The most that is read of a refusal.
const MAX_SENTENCE: usize = 16 * 1024;

impl Door {
    /// Asks the gate how the door stands, and notes it. The token of enrolment goes along, once.
    pub(crate) async fn greet(&self) -> Standing {
        let standing = match tokio::time::timeout(PATIENCE, self.ask()).await {
            Ok(standing) => standing,
            Err(_) => Standing::Away("it does not answer in time".to_owned()),
        };
        self.watch.note(standing.clone());
        standing
    }

    /// Asks again whenever there is reason to, and until the door is let in.
    pub(super) async fn keep_asking(self: Arc<Self>) {
        let mut pause = FIRST_PAUSE;
        loop {
            if self.watch.get() == Standing::In {
                self.doubt.notified().await;
                pause = FIRST_PAUSE;
            } else {
                // A program's request that got through is reason to ask at once.
                let _ = tokio::time::timeout(pause, self.doubt.notified()).await;
                pause = (pause * 2).min(LAST_PAUSE);
            }
            self.greet().await;
            // However many requests give reason to ask, it is asked once in a while.
            tokio::time::sleep(FIRST_PAUSE).await;
        }
    }

    async fn ask(&self) -> Standing {
        let (mut head, body) = own_request(QUESTION).into_parts();
        if let Err(refusal) = self.address_to_gate(&mut head) {
            return Standing::Away(refusal.message.into_owned());
        }
        let token = self.token.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(token) = token {
            head.headers.insert("portcullis-enroll", token);
        }
        let answered = match self.link.send(http::Request::from_parts(head, body)).await {
            Ok(answered) => answered,
            Err(error) => return Standing::from(&error),
        };
        let (answer, mut check, _room) = match self.prove(answered) {
            Ok(proven) => proven,
            Err(refusal) => return Standing::Foreign(refusal.message.into_owned()),
        };
        // The gate has seen it; until then it goes with each question.
        *self.token.lock().unwrap_or_else(PoisonError::into_inner) = None;
        let verdict = answer.headers().get(VERDICT).and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
        match Standing::of_verdict(&verdict).unwrap_or_else(|| judged(&verdict)) {
            Standing::Refused(code) => {
                let of_clocks = (code == Code::SignatureStale.as_str()).then(|| clock::differs(answer.headers()));
                Standing::Refused(match of_clocks.flatten() {
                    Some(told) => told,
                    None => sentence(answer.into_body(), &mut check).await.unwrap_or(code),
                })
            }
            standing => standing,
        }
    }
}

/// What the gate says in its refusal, in one line that a terminal can show.
async fn sentence(body: Incoming, check: &mut Check) -> Option<String> {
    let mut body = Limited::new(body, MAX_SENTENCE);
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        bytes.extend_from_slice(&check.pass(frame.ok()?));
    }
    bytes.extend_from_slice(&check.end().ok()?);
    let said: serde_json::Value = serde_json::from_slice(&bytes).ok()?;
    let message = said.pointer("/error/message")?.as_str()?;
    Some(message.chars().filter(|c| !c.is_control()).take(400).collect())
}

/// What an answer means that says nothing of the door's identity: the gate got past that, was shut, or
/// did not take the request as one.
fn judged(verdict: &str) -> Standing {
    match verdict.rsplit_once("code=").map(|(_, code)| code) {
        Some(code @ ("audit.unavailable" | "store.unavailable" | "gate.internal" | "request.internal")) => {
            Standing::Away(format!("the gate is shut ({code})"))
        }
        Some(code) if code.starts_with("request.") || code.starts_with("signature.") => {
            Standing::Refused(code.to_owned())
        }
        _ => Standing::In,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn past_the_identity_is_in() {
        for (verdict, expected) in [
            ("allow", Standing::In),
            ("block; filter=policy; code=policy.route_denied", Standing::In),
            ("block; filter=upstream; code=upstream.unavailable", Standing::In),
            ("block; filter=request; code=request.malformed", Standing::Refused("request.malformed".to_owned())),
            ("block; filter=signature; code=signature.stale", Standing::Refused("signature.stale".to_owned())),
            (
                "block; filter=audit; code=audit.unavailable",
                Standing::Away("the gate is shut (audit.unavailable)".to_owned()),
            ),
        ] {
            assert_eq!(judged(verdict), expected, "{verdict}");
        }
    }
}
