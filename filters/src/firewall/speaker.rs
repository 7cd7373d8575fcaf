//! Who says what in a request, and what of it the model reads: by role, by the kind of an item, by the
//! field. What none of them tells is from nobody known, which is judged the strictest.

use portcullis_firewall::Origin;

use super::Value;

/// What is known of the place where a value stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Context {
    /// Who says it.
    pub(super) origin: Origin,
    /// Whether it is something that is said, rather than how the request is made.
    pub(super) said: bool,
}

impl Context {
    /// The context of what is inside this object: its role or its type may say who speaks.
    pub(super) fn of_object(self, object: &[(std::borrow::Cow<'_, str>, Value<'_>)]) -> Self {
        let (mut role, mut kind) = (None, None);
        for (key, value) in object {
            if key.eq_ignore_ascii_case("role") {
                role = value.as_str();
            } else if key.eq_ignore_ascii_case("type") {
                kind = value.as_str();
            }
        }
        let origin = match (role.map(of_role), kind.and_then(of_kind)) {
            // A tool's result may stand in a message of the user's.
            (_, Some(origin)) | (Some(origin), None) => origin,
            (None, None) => self.origin,
        };
        Self { origin, ..self }
    }

    /// The context of what stands under this key.
    pub(super) fn under(self, key: &str) -> Self {
        let field = FIELDS.iter().find(|(name, _)| key.eq_ignore_ascii_case(name));
        let said = match field {
            Some(_) => true,
            None => self.said && !is_label(key),
        };
        let origin = match field {
            Some((_, Some(origin))) if !self.said => *origin,
            _ if !self.said && ["tools", "functions"].iter().any(|tools| key.eq_ignore_ascii_case(tools)) => {
                Origin::System
            }
            _ => self.origin,
        };
        Self { origin, said }
    }
}

fn of_role(role: &str) -> Origin {
    let is = |words: &[&str]| words.iter().any(|word| role.eq_ignore_ascii_case(word));
    if is(&["user", "human"]) {
        Origin::User
    } else if is(&["system", "developer"]) {
        Origin::System
    } else if is(&["assistant", "model", "ai"]) {
        Origin::Answer
    } else if is(&["tool", "function", "ipython", "observation", "documents", "context"]) {
        Origin::Tool
    } else {
        Origin::Unknown
    }
}

/// Items and parts whose type says who speaks: OpenAI's Responses and Anthropic's content blocks.
fn of_kind(kind: &str) -> Option<Origin> {
    match kind {
        "tool_use" | "server_tool_use" | "function_call" | "custom_tool_call" | "reasoning" | "thinking"
        | "redacted_thinking" => Some(Origin::Answer),
        "document" | "search_result" | "file" | "input_file" | "resource" => Some(Origin::Tool),
        kind if kind.ends_with("_result") || kind.ends_with("_output") || kind.ends_with("_call") => Some(Origin::Tool),
        _ => None,
    }
}

/// Fields under which something is said, and who says it where no role does.
const FIELDS: [(&str, Option<Origin>); 40] = [
    ("arguments", None),
    ("body", None),
    ("choices", None),
    ("content", None),
    ("context", Some(Origin::Tool)),
    ("data", None),
    ("document", Some(Origin::Tool)),
    ("documents", Some(Origin::Tool)),
    ("input", Some(Origin::User)),
    ("input_extra", Some(Origin::Tool)),
    ("input_prefix", Some(Origin::User)),
    ("input_suffix", Some(Origin::User)),
    ("instruction", Some(Origin::System)),
    ("instructions", Some(Origin::System)),
    ("inputs", Some(Origin::User)),
    ("message", None),
    ("messages", Some(Origin::Unknown)),
    ("output", None),
    ("parameters", None),
    ("params", None),
    ("parts", None),
    ("payload", None),
    ("prefix", Some(Origin::User)),
    ("prompt", Some(Origin::User)),
    ("prompts", Some(Origin::User)),
    ("query", Some(Origin::User)),
    ("question", Some(Origin::User)),
    ("reasoning", None),
    ("reasoning_content", None),
    ("refusal", None),
    ("result", None),
    ("response", Some(Origin::Answer)),
    ("suffix", Some(Origin::User)),
    ("summary", None),
    ("system", Some(Origin::System)),
    ("template", Some(Origin::System)),
    ("text", None),
    ("texts", None),
    ("thinking", None),
    ("transcript", None),
];

/// Keys whose values name things, inside of what is said.
fn is_label(key: &str) -> bool {
    const LABELS: [&str; 20] = [
        "cache_control",
        "call_id",
        "detail",
        "encoding_format",
        "file_id",
        "filename",
        "format",
        "id",
        "index",
        "media_type",
        "mime_type",
        "mimetype",
        "model",
        "name",
        "object",
        "role",
        "status",
        "tool_call_id",
        "tool_use_id",
        "type",
    ];
    LABELS.iter().any(|label| key.eq_ignore_ascii_case(label))
}

/// Keys of the dialects, that say nothing about what stands under them.
pub(super) fn is_vocabulary(key: &str) -> bool {
    is_label(key)
        || FIELDS.iter().any(|(name, _)| key.eq_ignore_ascii_case(name))
        || ["description", "images", "keep_alive", "title", "tool_choice", "url", "user"].contains(&key)
}

/// Which part of a request's outermost object the model reads first: 0, 1, then 2.
pub(super) fn rank(key: &str) -> u8 {
    let is = |words: &[&str]| words.iter().any(|word| key.eq_ignore_ascii_case(word));
    if is(&["system", "instructions", "template"]) {
        0
    } else if is(&["suffix", "input_suffix"]) {
        2
    } else {
        1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_says_more_than_a_role() {
        let nobody = Context { origin: Origin::Unknown, said: true };
        for (text, origin) in [
            (r#"{"role":"user","content":"x"}"#, Origin::User),
            (r#"{"content":"x","Role":"TOOL"}"#, Origin::Tool),
            (r#"{"role":"developer"}"#, Origin::System),
            (r#"{"role":"martian"}"#, Origin::Unknown),
            (r#"{"role":"user","type":"tool_result"}"#, Origin::Tool),
            (r#"{"type":"function_call_output"}"#, Origin::Tool),
            (r#"{"type":"function_call"}"#, Origin::Answer),
            (r#"{"type":"text"}"#, Origin::Unknown),
            (r#"{"role":7}"#, Origin::Unknown),
        ] {
            let json = Value::parse(text.as_bytes()).unwrap();
            assert_eq!(nobody.of_object(json.as_object().unwrap()).origin, origin, "{text}");
        }
    }

    #[test]
    fn a_field_speaks_for_itself_only_where_nobody_does() {
        let outside = Context { origin: Origin::Unknown, said: false };
        assert_eq!(outside.under("system").origin, Origin::System);
        assert_eq!(outside.under("prompt").origin, Origin::User);
        assert!(outside.under("prompt").said && !outside.under("model").said);
        let said = Context { origin: Origin::Tool, said: true };
        assert_eq!(said.under("system").origin, Origin::Tool, "a tool that says `system` is still a tool");
        assert!(said.under("anything").said && !said.under("tool_call_id").said);
    }
}
