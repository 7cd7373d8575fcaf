//! The demo model's server.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use futures::stream;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::text::Wish;

/// What it is called.
pub(crate) const MODEL: &str = "demo:latest";
/// The pace of its words.
const PACE: Duration = Duration::from_millis(15);

/// What reached the model.
#[derive(Default)]
pub(crate) struct Seen {
    /// Prompts that it was asked to answer.
    pub(crate) prompts: AtomicUsize,
}

/// A running demo model. Stops when it is dropped.
pub(crate) struct DemoModel {
    port: u16,
    seen: Arc<Seen>,
    _stop: oneshot::Sender<()>,
}

impl DemoModel {
    /// Starts one on a free loopback port, on a thread of its own.
    ///
    /// # Errors
    /// When no port or thread is to be had.
    pub(crate) fn start() -> std::io::Result<Self> {
        let socket = std::net::TcpListener::bind("127.0.0.1:0")?;
        socket.set_nonblocking(true)?;
        let port = socket.local_addr()?.port();
        let seen = Arc::new(Seen::default());
        let (stop, stopped) = oneshot::channel::<()>();
        let app = app(Arc::clone(&seen));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        std::thread::Builder::new().name("demo-model".to_owned()).spawn(move || {
            runtime.block_on(async move {
                let Ok(listener) = tokio::net::TcpListener::from_std(socket) else { return };
                tokio::select! {
                    _ = axum::serve(listener, app) => {}
                    _ = stopped => {}
                }
            });
        })?;
        Ok(Self { port, seen, _stop: stop })
    }

    /// Where it listens.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// What reached it.
    pub(crate) fn seen(&self) -> &Seen {
        &self.seen
    }
}

fn app(seen: Arc<Seen>) -> Router {
    let ollama_list = || async {
        let details = json!({"format": "none", "family": "demo", "families": ["demo"], "parameter_size": "0", "quantization_level": "none"});
        Json(
            json!({"models": [{"name": MODEL, "model": MODEL, "modified_at": now(), "size": 0, "digest": "demo", "details": details}]}),
        )
    };
    Router::new()
        .route("/", get(|| async { "Portcullis's demo model is running" }))
        .route("/api/version", get(|| async { Json(json!({"version": "0.0.0-demo"})) }))
        .route("/api/tags", get(ollama_list))
        .route("/api/ps", get(ollama_list))
        .route("/api/show", post(|| async { Json(json!({"details": {"family": "demo"}, "model_info": {}, "capabilities": ["completion"]})) }))
        .route("/api/chat", post(chat))
        .route("/api/generate", post(generate))
        .route("/v1/models", get(|| async { Json(json!({"object": "list", "data": [{"id": MODEL, "object": "model", "created": 0, "owned_by": "portcullis-demo"}]})) }))
        .route("/v1/chat/completions", post(openai))
        .with_state(seen)
}

async fn chat(State(seen): State<Arc<Seen>>, body: Bytes) -> Response {
    ollama(&seen, &body, |text| ("message", json!({"role": "assistant", "content": text})))
}

async fn generate(State(seen): State<Arc<Seen>>, body: Bytes) -> Response {
    ollama(&seen, &body, |text| ("response", json!(text)))
}

/// An answer in Ollama's words: streamed unless the request says otherwise.
fn ollama(seen: &Seen, body: &[u8], piece: fn(&str) -> (&'static str, Value)) -> Response {
    seen.prompts.fetch_add(1, Ordering::Relaxed);
    let text = String::from_utf8_lossy(body).into_owned();
    let wish = Wish::of(&text);
    let tokens = wish.tokens();
    let line = move |text: &str, done: bool, count: usize| {
        let (key, value) = piece(text);
        let mut line = json!({"model": MODEL, "created_at": now(), "done": done});
        if let Some(object) = line.as_object_mut() {
            object.insert(key.to_owned(), value);
            if done {
                object.insert("done_reason".to_owned(), json!("stop"));
                for key in ["total_duration", "load_duration", "prompt_eval_duration", "eval_duration"] {
                    object.insert(key.to_owned(), json!(1_000_000));
                }
                object.insert("prompt_eval_count".to_owned(), json!(8));
                object.insert("eval_count".to_owned(), json!(count));
            }
        }
        line
    };
    if !asked_to_stream(&text, true) {
        if wish == Wish::Break {
            return ([(header::CONTENT_TYPE, "application/json")], "{\"message\": oops").into_response();
        }
        return Json(line(&tokens.concat(), true, tokens.len())).into_response();
    }
    let count = tokens.len();
    let mut frames: Vec<String> = tokens.iter().map(|t| format!("{}\n", line(t, false, 0))).collect();
    if wish == Wish::Break {
        frames.truncate(3);
        frames.push("this is no JSON\n".to_owned());
    }
    frames.push(format!("{}\n", line("", true, count)));
    paced("application/x-ndjson", frames)
}

/// An answer in OpenAI's words: whole unless the request says otherwise.
async fn openai(State(seen): State<Arc<Seen>>, body: Bytes) -> Response {
    seen.prompts.fetch_add(1, Ordering::Relaxed);
    let text = String::from_utf8_lossy(&body).into_owned();
    let tokens = Wish::of(&text).tokens();
    let usage = json!({"prompt_tokens": 8, "completion_tokens": tokens.len(), "total_tokens": tokens.len() + 8});
    if !asked_to_stream(&text, false) {
        let message = json!({"role": "assistant", "content": tokens.concat()});
        return Json(json!({
            "id": "chatcmpl-demo", "object": "chat.completion", "created": 0, "model": MODEL,
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": usage,
        }))
        .into_response();
    }
    let event = |delta: Value, finish: Value| {
        let choice = json!({"index": 0, "delta": delta, "finish_reason": finish});
        format!(
            "data: {}\n\n",
            json!({"id": "chatcmpl-demo", "object": "chat.completion.chunk", "created": 0, "model": MODEL, "choices": [choice]})
        )
    };
    let mut frames: Vec<String> = tokens.iter().map(|t| event(json!({"content": t}), Value::Null)).collect();
    frames.push(event(json!({}), json!("stop")));
    frames.push("data: [DONE]\n\n".to_owned());
    paced("text/event-stream", frames)
}

fn asked_to_stream(body: &str, usual: bool) -> bool {
    serde_json::from_str::<Value>(body).ok().and_then(|v| v.get("stream").and_then(Value::as_bool)).unwrap_or(usual)
}

/// A stream at the pace of words.
fn paced(media: &'static str, frames: Vec<String>) -> Response {
    let frames = stream::unfold(frames.into_iter(), |mut frames| async move {
        let frame = frames.next()?;
        tokio::time::sleep(PACE).await;
        Some((Ok::<_, Infallible>(Bytes::from(frame)), frames))
    });
    ([(header::CONTENT_TYPE, media)], Body::from_stream(frames)).into_response()
}

fn now() -> String {
    jiff::Timestamp::now().to_string()
}
