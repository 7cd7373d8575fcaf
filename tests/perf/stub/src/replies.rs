//! What the stub answers: whole replies rendered once, and the frames of streamed ones.

use rustix::time::{ClockId, clock_gettime};

/// The routes the stub knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    Chat,
    Generate,
    Models,
    OpenAiChat,
    Root,
    Stats,
    Tags,
    Unknown,
    Version,
}

impl Route {
    pub(crate) fn of(path: &str) -> Self {
        match path {
            "/" => Self::Root,
            "/__stub/stats" => Self::Stats,
            "/api/chat" => Self::Chat,
            "/api/generate" => Self::Generate,
            "/api/tags" => Self::Tags,
            "/api/version" => Self::Version,
            "/v1/chat/completions" => Self::OpenAiChat,
            "/v1/models" => Self::Models,
            _ => Self::Unknown,
        }
    }

    /// The dialect of the route's streams, for routes that run a model.
    pub(crate) fn dialect(self) -> Option<Dialect> {
        match self {
            Self::Chat => Some(Dialect::Chat),
            Self::Generate => Some(Dialect::Generate),
            Self::OpenAiChat => Some(Dialect::OpenAi),
            _ => None,
        }
    }
}

/// The form of a streamed answer.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Dialect {
    Chat,
    Generate,
    OpenAi,
}

impl Dialect {
    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::Chat | Self::Generate => "application/x-ndjson",
            Self::OpenAi => "text/event-stream",
        }
    }

    /// Appends one frame with a stamped token.
    pub(crate) fn token(self, out: &mut Vec<u8>) {
        let (before, after): (&[u8], &[u8]) = match self {
            Self::Chat => (
                br#"{"model":"stub","created_at":"2026-01-01T00:00:00Z","message":{"role":"assistant","content":" tok"#,
                b"\"},\"done\":false}\n",
            ),
            Self::Generate => (
                br#"{"model":"stub","created_at":"2026-01-01T00:00:00Z","response":" tok"#,
                b"\",\"done\":false}\n",
            ),
            Self::OpenAi => (
                br#"data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1767225600,"model":"stub","choices":[{"index":0,"delta":{"content":" tok"#,
                b"\"},\"finish_reason\":null}]}\n\n",
            ),
        };
        out.extend_from_slice(before);
        stamp(out, monotonic_ns());
        out.extend_from_slice(after);
    }

    pub(crate) fn last_frame(self) -> &'static [u8] {
        match self {
            Self::Chat => {
                b"{\"model\":\"stub\",\"created_at\":\"2026-01-01T00:00:00Z\",\"message\":{\"role\":\"assistant\",\"content\":\"\"},\"done\":true,\"done_reason\":\"stop\",\"total_duration\":1,\"eval_count\":1}\n"
            }
            Self::Generate => {
                b"{\"model\":\"stub\",\"created_at\":\"2026-01-01T00:00:00Z\",\"response\":\"\",\"done\":true,\"done_reason\":\"stop\",\"total_duration\":1,\"eval_count\":1}\n"
            }
            Self::OpenAi => b"data: [DONE]\n\n",
        }
    }
}

/// Every whole answer, ready to be written.
pub(crate) struct Replies {
    chat: Vec<u8>,
    generate: Vec<u8>,
    models: Vec<u8>,
    not_found: Vec<u8>,
    open_ai_chat: Vec<u8>,
    root: Vec<u8>,
    tags: Vec<u8>,
    version: Vec<u8>,
}

impl Replies {
    /// Renders the answers; those of a model hold `content_bytes` bytes of text.
    pub(crate) fn render(content_bytes: usize) -> Self {
        let words = "the quick brown fox jumps over a lazy dog and ";
        let content: String = words.chars().cycle().take(content_bytes).collect();
        let head = r#"{"model":"stub","created_at":"2026-01-01T00:00:00Z""#;
        let tail = r#""done":true,"done_reason":"stop","total_duration":1,"load_duration":1,"prompt_eval_count":1,"prompt_eval_duration":1,"eval_count":1,"eval_duration":1}"#;
        let digest = "0".repeat(64);
        Self {
            chat: json(&format!(r#"{head},"message":{{"role":"assistant","content":"{content}"}},{tail}"#)),
            generate: json(&format!(r#"{head},"response":"{content}",{tail}"#)),
            models: json(
                r#"{"object":"list","data":[{"id":"stub","object":"model","created":1767225600,"owned_by":"library"}]}"#,
            ),
            not_found: response("404 Not Found", "text/plain", "404 page not found"),
            open_ai_chat: json(&format!(
                r#"{{"id":"chatcmpl-1","object":"chat.completion","created":1767225600,"model":"stub","choices":[{{"index":0,"message":{{"role":"assistant","content":"{content}"}},"finish_reason":"stop"}}],"usage":{{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}}}"#
            )),
            root: response("200 OK", "text/plain; charset=utf-8", "Ollama is running"),
            tags: json(&format!(
                r#"{{"models":[{{"name":"stub:latest","model":"stub:latest","modified_at":"2026-01-01T00:00:00Z","size":1,"digest":"{digest}","details":{{"parent_model":"","format":"gguf","family":"llama","families":["llama"],"parameter_size":"1B","quantization_level":"Q4_0"}}}}]}}"#
            )),
            version: json(r#"{"version":"0.12.0"}"#),
        }
    }

    pub(crate) fn whole(&self, route: Route, is_post: bool) -> &[u8] {
        match route {
            Route::Chat if is_post => &self.chat,
            Route::Generate if is_post => &self.generate,
            Route::OpenAiChat if is_post => &self.open_ai_chat,
            Route::Models => &self.models,
            Route::Root => &self.root,
            Route::Tags => &self.tags,
            Route::Version => &self.version,
            _ => &self.not_found,
        }
    }
}

/// A whole JSON answer with its head.
pub(crate) fn json(body: &str) -> Vec<u8> {
    response("200 OK", "application/json; charset=utf-8", body)
}

fn response(status: &str, content_type: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// `@@` and 16 letters from `g` to `v`: nanoseconds without a digit, so that no filter on the way
/// takes the stamp for a card or telephone number.
fn stamp(out: &mut Vec<u8>, ns: u64) {
    out.extend_from_slice(b"@@");
    for nibble in (0..16).rev() {
        out.push(b'g' + ((ns >> (nibble * 4)) & 15) as u8);
    }
}

fn monotonic_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_answers_announce_their_length() {
        let replies = Replies::render(100);
        for route in [Route::Chat, Route::Generate, Route::OpenAiChat, Route::Tags, Route::Root] {
            let text = std::str::from_utf8(replies.whole(route, true)).unwrap();
            let (head, body) = text.split_once("\r\n\r\n").unwrap();
            assert!(head.ends_with(&format!("Content-Length: {}", body.len())), "{route:?}");
        }
        assert!(replies.whole(Route::Chat, false).starts_with(b"HTTP/1.1 404"));
    }

    #[test]
    fn stamps_hold_no_digit() {
        let mut out = Vec::new();
        stamp(&mut out, 0x0123_4567_89ab_cdef);
        assert_eq!(out, b"@@ghijklmnopqrstuv");
    }

    #[test]
    fn every_token_frame_is_one_line() {
        for dialect in [Dialect::Chat, Dialect::Generate, Dialect::OpenAi] {
            let mut out = Vec::new();
            dialect.token(&mut out);
            assert!(out.ends_with(b"\n"));
            assert!(memchr::memmem::find(&out, b"tok@@").is_some());
        }
    }
}
