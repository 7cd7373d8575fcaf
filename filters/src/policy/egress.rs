//! What in a request would make the model server reach out by itself.

use portcullis_policies::RouteClass;

use crate::json::{Json, fold_key};

/// How deep the search goes: as deep as a body may nest.
const MAX_DEPTH: usize = crate::json::MAX_DEPTH;

/// A sentence about what leaves the machine, when something does: media that the server would fetch,
/// and search tools that it would run elsewhere.
pub(super) fn leaves(json: &Json<'_>, class: &RouteClass) -> Option<&'static str> {
    if *class == RouteClass::Egress {
        return None;
    }
    for key in ["messages", "input", "prompt"] {
        if json.get_folded(key).is_some_and(|value| fetches(value, 0)) {
            return Some("the request names media elsewhere that the server would fetch; send it as data");
        }
    }
    let tools = json.get_folded("tools").and_then(Json::as_array).unwrap_or_default();
    let searches = |tool: &Json<'_>| {
        tool.get_folded("type")
            .and_then(Json::as_str)
            .is_some_and(|kind| kind.starts_with("web_search") || kind.starts_with("web_fetch"))
    };
    tools.iter().any(searches).then_some("the request asks for a web search, which leaves the machine")
}

/// Whether a part of a message is a reference to media that is not data.
fn fetches(json: &Json<'_>, depth: usize) -> bool {
    if depth > MAX_DEPTH {
        return true;
    }
    match json {
        Json::Array(items) => items.iter().any(|item| fetches(item, depth + 1)),
        Json::Object(entries) => entries.iter().any(|(key, value)| {
            let named = matches!(
                fold_key(key).as_ref(),
                "image_url" | "input_audio" | "video_url" | "audio_url" | "file_url" | "source" | "images"
            );
            (named && refers(value)) || fetches(value, depth + 1)
        }),
        _ => false,
    }
}

/// A URL that is not `data:`, directly or under `url`.
fn refers(value: &Json<'_>) -> bool {
    match value {
        Json::String(text) => {
            let text = text.trim_start();
            text.split_once(':').is_some_and(|(scheme, _)| {
                !scheme.eq_ignore_ascii_case("data")
                    && scheme.len() <= 16
                    && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
            })
        }
        Json::Object(_) => value.get_folded("url").is_some_and(refers),
        Json::Array(items) => items.iter().any(refers),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn says(text: &str) -> bool {
        leaves(&Json::parse(text.as_bytes()).unwrap(), &RouteClass::Inference).is_some()
    }

    #[test]
    fn notices_what_the_server_would_fetch() {
        for text in [
            r#"{"messages":[{"content":[{"type":"image_url","image_url":{"url":"https://x/y.png"}}]}]}"#,
            r#"{"messages":[{"content":[{"type":"image_url","image_url":"http://x/y.png"}]}]}"#,
            r#"{"messages":[{"content":[{"type":"image_url","image_url":{"url":"file:///etc/passwd"}}]}]}"#,
            r#"{"messages":[{"content":[{"type":"image","source":{"type":"url","url":"HTTPS://x"}}]}]}"#,
            r#"{"tools":[{"type":"web_search_preview"}]}"#,
            r#"{"tools":[{"Type":"web_search_20250305","name":"get_search"}]}"#,
            r#"{"messages":[{"content":[{"type":"image_url","IMAGE_URL":{"Url":"https://x/y.png"}}]}]}"#,
        ] {
            assert!(says(text), "{text}");
        }
        for text in [
            r#"{"messages":[{"content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,AA=="}}]}]}"#,
            r#"{"messages":[{"content":"see https://example.com/image_url"}]}"#,
            r#"{"messages":[{"images":["iVBORw0KGgo="]}]}"#,
            r#"{"tools":[{"type":"function","function":{"name":"web_search"}}]}"#,
        ] {
            assert!(!says(text), "{text}");
        }
    }
}
