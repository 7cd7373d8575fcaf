//! In whose words a refusal is said, and where an upstream says how many tokens it took.

use bytes::Bytes;
use portcullis_policies::{Dialect, StreamFormat};
use serde_json::json;

use crate::json::Json;
use crate::verdict::Refusal;

/// The body of a refusal that is the whole answer, in the dialect of the route that was called.
/// Its media type is always `application/json`.
#[must_use]
pub fn whole(dialect: Dialect, refusal: &Refusal, request_id: &str) -> Bytes {
    body(dialect, refusal, request_id).to_string().into()
}

/// The end of a stream that is refused midway, in its dialect: never silence.
#[must_use]
pub fn midstream(dialect: Dialect, format: StreamFormat, refusal: &Refusal, request_id: &str) -> Bytes {
    let body = body(dialect, refusal, request_id);
    match (format, dialect) {
        (StreamFormat::Ndjson, _) => format!("{body}\n"),
        (StreamFormat::Sse, Dialect::Anthropic) => format!("event: error\ndata: {body}\n\n"),
        (StreamFormat::Sse, Dialect::OpenAi) => format!("data: {body}\n\ndata: [DONE]\n\n"),
        (StreamFormat::Sse, Dialect::Ollama | Dialect::Plain) => format!("data: {body}\n\n"),
    }
    .into()
}

fn body(dialect: Dialect, refusal: &Refusal, request_id: &str) -> serde_json::Value {
    let code = refusal.code.as_str();
    // A door refuses what no gate ever saw: there is no id then.
    let request = if request_id.is_empty() { String::new() } else { format!(", request {request_id}") };
    let sentence = format!("portcullis: {} ({code}{request})", refusal.message);
    match dialect {
        Dialect::Anthropic => {
            json!({"type": "error", "error": {"type": "permission_error", "message": sentence}})
        }
        Dialect::Ollama => json!({ "error": sentence }),
        Dialect::OpenAi => json!({
            "error": {"message": sentence, "type": "portcullis_refused", "code": code, "param": null}
        }),
        Dialect::Plain => {
            json!({"error": code, "detail": refusal.message, "request_id": request_id})
        }
    }
}

/// Tokens, as the upstream itself counts them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Tokens of the prompt.
    pub input: u64,
    /// Tokens of the answer.
    pub output: u64,
}

impl Usage {
    /// Takes in what a frame says; later frames of a stream repeat and complete earlier ones.
    pub fn read(&mut self, frame: &Json<'_>) {
        // Several answers in one: all of them were work.
        if let Json::Array(answers) = frame {
            let mut sum = Self::default();
            for answer in answers {
                let mut one = Self::default();
                one.read_one(answer);
                sum.input = sum.input.saturating_add(one.input);
                sum.output = sum.output.saturating_add(one.output);
            }
            (self.input, self.output) = (self.input.max(sum.input), self.output.max(sum.output));
        } else {
            self.read_one(frame);
        }
    }

    fn read_one(&mut self, frame: &Json<'_>) {
        // One walk over what stands there: most frames say nothing of it.
        for (key, value) in frame.as_object().unwrap_or_default() {
            match (value, key.as_ref()) {
                // Ollama's last object; llama-server's own routes.
                (Json::Number(_), "prompt_eval_count" | "tokens_evaluated") => self.take(value.as_u64(), None),
                (Json::Number(_), "eval_count" | "tokens_predicted") => self.take(None, value.as_u64()),
                (Json::Object(_), "usage") => self.read_usage(value),
                // Anthropic's and Responses' events carry it one level down.
                (Json::Object(_), "message" | "response") => {
                    if let Some(usage) = value.get("usage") {
                        self.read_usage(usage);
                    }
                }
                (Json::Object(_), "timings") => {
                    let number = |key| value.get(key).and_then(Json::as_u64);
                    self.take(number("prompt_n"), number("predicted_n"));
                }
                _ => {}
            }
        }
    }

    /// What OpenAI and Anthropic call usage.
    fn read_usage(&mut self, usage: &Json<'_>) {
        let number = |key| usage.get(key).and_then(Json::as_u64);
        self.take(number("prompt_tokens"), number("completion_tokens"));
        self.take(number("input_tokens"), number("output_tokens"));
    }

    fn take(&mut self, input: Option<u64>, output: Option<u64>) {
        self.input = self.input.max(input.unwrap_or(0));
        self.output = self.output.max(output.unwrap_or(0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::Code;

    fn refusal() -> Refusal {
        Refusal::new("policy", Code::PolicyModelDenied, "the model is not granted")
    }

    #[test]
    fn every_dialect_says_it_whole() {
        let said = |dialect| String::from_utf8(whole(dialect, &refusal(), "R1").to_vec()).unwrap();
        assert_eq!(
            said(Dialect::Ollama),
            r#"{"error":"portcullis: the model is not granted (policy.model_denied, request R1)"}"#
        );
        assert_eq!(
            said(Dialect::OpenAi),
            r#"{"error":{"code":"policy.model_denied","message":"portcullis: the model is not granted (policy.model_denied, request R1)","param":null,"type":"portcullis_refused"}}"#
        );
        assert_eq!(
            said(Dialect::Anthropic),
            r#"{"error":{"message":"portcullis: the model is not granted (policy.model_denied, request R1)","type":"permission_error"},"type":"error"}"#
        );
        assert_eq!(
            said(Dialect::Plain),
            r#"{"detail":"the model is not granted","error":"policy.model_denied","request_id":"R1"}"#
        );
    }

    #[test]
    fn every_dialect_ends_a_stream() {
        let said = |dialect, format| String::from_utf8(midstream(dialect, format, &refusal(), "R1").to_vec()).unwrap();
        assert!(said(Dialect::Ollama, StreamFormat::Ndjson).ends_with("}\n"));
        assert!(said(Dialect::OpenAi, StreamFormat::Sse).ends_with("}\n\ndata: [DONE]\n\n"));
        assert!(said(Dialect::Anthropic, StreamFormat::Sse).starts_with("event: error\ndata: {"));
    }

    #[test]
    fn reads_usage_in_every_dialect() {
        for (text, input, output) in [
            (r#"{"done":true,"prompt_eval_count":5,"eval_count":7}"#, 5, 7),
            (r#"{"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}"#, 1, 2),
            (r#"{"type":"message_start","message":{"usage":{"input_tokens":9,"output_tokens":1}}}"#, 9, 1),
            (r#"{"content":"","stop":true,"tokens_predicted":4,"tokens_evaluated":3}"#, 3, 4),
            (r#"{"usage":null}"#, 0, 0),
            (r#"[{"tokens_predicted":4,"tokens_evaluated":3},{"tokens_predicted":5,"tokens_evaluated":1},7]"#, 4, 9),
            (r#"{"usage":{"prompt_tokens":-1,"completion_tokens":"x"}}"#, 0, 0),
        ] {
            let mut usage = Usage::default();
            usage.read(&Json::parse(text.as_bytes()).unwrap());
            assert_eq!(usage, Usage { input, output }, "{text}");
        }
    }
}
