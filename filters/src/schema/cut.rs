//! Answers that ended because the model had no tokens left, as every dialect says it.

use crate::json::Json;
use crate::verdict::{Code, Refusal};

/// Where servers say why an answer ended, and the words for "no tokens left": Ollama, `OpenAI`, Anthropic, llama.cpp.
const REASONS: [(&str, &[&str]); 4] = [
    ("done_reason", &["length"]),
    ("finish_reason", &["length"]),
    ("stop_reason", &["max_tokens", "model_context_window_exceeded"]),
    ("stop_type", &["limit"]),
];

/// Whether a frame, or a whole answer, says that the answer was cut off. One of several choices is enough.
pub(super) fn is_cut(frame: &Json<'_>) -> bool {
    match frame {
        // One answer for each prompt.
        Json::Array(answers) => answers.iter().any(one),
        answer => one(answer),
    }
}

/// What an answer is refused with that was cut off before its value was whole; `place` is where, or nothing.
pub(super) fn refusal(code: Code, place: &str) -> Refusal {
    let message = format!(
        "the answer was cut off at the token limit{place}: ask for more tokens (`num_predict`, `max_tokens`), or for less"
    );
    // The same limit cuts the next one off, too.
    Refusal::new("schema", code, message).lasts()
}

fn one(answer: &Json<'_>) -> bool {
    let choices = answer.get("choices").and_then(Json::as_array).unwrap_or_default();
    // Where the streams of Anthropic (`delta`) and Responses (`response`) say it. Ollama's `response` is a text.
    let parts = ["delta", "response"].into_iter().filter_map(|key| answer.get(key));
    std::iter::once(answer).chain(choices).chain(parts).any(says_so)
}

fn says_so(part: &Json<'_>) -> bool {
    let is = |key: &str, words: &[&str]| part.get(key).and_then(Json::as_str).is_some_and(|said| words.contains(&said));
    let incomplete = part.get("incomplete_details").and_then(|details| details.get("reason")).and_then(Json::as_str);
    REASONS.iter().any(|(key, words)| is(key, words))
        || incomplete == Some("max_output_tokens")
        // llama.cpp of old.
        || part.get("stopped_limit") == Some(&Json::Bool(true))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_dialect_says_it_in_its_own_words() {
        for (answer, cut) in [
            (r#"{"response":"{","done":true,"done_reason":"length"}"#, true),
            (r#"{"response":"{","done":true,"done_reason":"stop"}"#, false),
            (r#"{"choices":[{"finish_reason":"stop"},{"finish_reason":"length"}]}"#, true),
            (r#"{"choices":[{"finish_reason":"stop"}]}"#, false),
            (r#"{"choices":[{"finish_reason":null}]}"#, false),
            (r#"{"type":"message","stop_reason":"max_tokens"}"#, true),
            (r#"{"type":"message","stop_reason":"end_turn"}"#, false),
            (r#"{"type":"message_delta","delta":{"stop_reason":"max_tokens"}}"#, true),
            (r#"{"status":"incomplete","incomplete_details":{"reason":"max_output_tokens"}}"#, true),
            (r#"{"status":"incomplete","incomplete_details":{"reason":"content_filter"}}"#, false),
            (
                r#"{"type":"response.incomplete","response":{"incomplete_details":{"reason":"max_output_tokens"}}}"#,
                true,
            ),
            (r#"{"content":"{","stop_type":"limit"}"#, true),
            (r#"{"content":"{","stopped_limit":true}"#, true),
            (r#"{"content":"{","stop_type":"eos","stopped_limit":false}"#, false),
            (r#"[{"done_reason":"stop"},{"done_reason":"length"}]"#, true),
            // What a model says is not what its server says.
            (r#"{"message":{"content":"done_reason: length","done_reason":"length"}}"#, false),
        ] {
            assert_eq!(is_cut(&Json::parse_text(answer).unwrap()), cut, "{answer}");
        }
    }
}
