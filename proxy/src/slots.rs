//! How many requests a model server works on at once, as far as it says.
//!
//! llama-server lists its slots; one that does not says their number among its properties. Ollama names
//! neither: each model that is loaded counts as many as Ollama itself took on by default for years, so
//! that a healthy one never idles, and the operator's `slots` says it better. Others say nothing, and
//! then nobody waits.

use std::time::Duration;

use bytes::Bytes;
use http::Method;
use pingora_http::RequestHeader;
use pingora_timeout::timeout;
use portcullis_policies::UpstreamKind;
use serde_json::Value;

use crate::upstream::Upstream;

/// Requests at once for each loaded model of an Ollama.
const OLLAMA_PARALLEL: usize = 4;
/// The most of an answer that is read: `/slots` and `/props` may quote prompts and templates.
const MAX_ANSWER: usize = 4 * 1024 * 1024;
/// How long one question may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Asks the server and tells its queue, where the config leaves it to the server.
pub(crate) async fn learn(upstream: &Upstream) {
    if !upstream.queue.asks() {
        return;
    }
    let slots = match upstream.kind {
        UpstreamKind::LlamaCpp => match ask(upstream, "/slots").await.as_ref().and_then(listed) {
            Some(slots) => Some(slots),
            None => ask(upstream, "/props").await.as_ref().and_then(counted),
        },
        UpstreamKind::Ollama => ask(upstream, "/api/ps").await.as_ref().and_then(loaded),
        UpstreamKind::OpenAi | UpstreamKind::LlMesh | UpstreamKind::Mcp => None,
    };
    // What it said before stays in force while it does not answer.
    if let Some(slots) = slots {
        upstream.queue.learn(slots);
    }
}

fn listed(slots: &Value) -> Option<usize> {
    slots.as_array().map(Vec::len).filter(|count| *count > 0)
}

fn counted(props: &Value) -> Option<usize> {
    props.get("total_slots").and_then(Value::as_u64).and_then(|n| usize::try_from(n).ok()).filter(|n| *n > 0)
}

fn loaded(running: &Value) -> Option<usize> {
    running.get("models").and_then(Value::as_array).map(|models| models.len().max(1) * OLLAMA_PARALLEL)
}

async fn ask(upstream: &Upstream, path: &str) -> Option<Value> {
    let bytes = timeout(PATIENCE, read(upstream, path)).await.ok()??;
    serde_json::from_slice(&bytes).ok()
}

async fn read(upstream: &Upstream, path: &str) -> Option<Vec<u8>> {
    let mut head = RequestHeader::build(Method::GET, path.as_bytes(), Some(3)).ok()?;
    head.insert_header("Host", upstream.authority.as_str()).ok()?;
    head.insert_header("Connection", "close").ok()?;
    if let Some(key) = &upstream.api_key {
        head.insert_header("Authorization", format!("Bearer {}", key.expose())).ok()?;
    }
    let connection = upstream.connect(true).await.ok()?;
    let mut answer = connection.send(Box::new(head), Bytes::new()).await.ok()?;
    answer.read_response().await.ok()?;
    if !answer.get_status().is_some_and(|status| status.is_success()) {
        return None;
    }
    let mut body = Vec::new();
    while let Some(piece) = answer.read_body_ref().await.ok()? {
        body.extend_from_slice(piece);
        if body.len() > MAX_ANSWER {
            return None;
        }
    }
    Some(body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn reads_what_servers_say() {
        assert_eq!(listed(&json!([{"id": 0}, {"id": 1}])), Some(2));
        assert_eq!(listed(&json!([])), None);
        assert_eq!(listed(&json!({"error": {"code": 501}})), None);
        assert_eq!(counted(&json!({"total_slots": 4})), Some(4));
        assert_eq!(counted(&json!({"total_slots": -1})), None);
        assert_eq!(loaded(&json!({"models": []})), Some(4));
        assert_eq!(loaded(&json!({"models": [{}, {}]})), Some(8));
        assert_eq!(loaded(&json!({})), None);
    }
}
