//! Which schemas a request itself asks its answer to fit: structured outputs, and the parameters of tools.
//!
//! Whichever dialect a route speaks, servers read the same few keys: what one of them could heed is heeded. A key in
//! another case counts, too, since servers in Go take it for the same.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::compiled::{Kept, Schema};
use super::work::SchemaError;
use crate::json::Json;

/// The most tools that one request may offer: their schemas are kept together.
const MOST_TOOLS: usize = 256;
/// Keys of requests that leave their tools to be found elsewhere: with a server's session, template or other servers.
const ELSEWHERE: [&str; 3] = ["conversation", "mcp_servers", "previous_response_id"];
/// The most expressions that the schemas of its tools may have together: each is compiled while the request is judged.
const MOST_EXPRESSIONS: usize = 192;
/// The most subschemas that all schemas of a request may have together, for the same reason: a hundred tools have a few
/// thousand.
const MOST_SUBSCHEMAS: usize = 8_192;

/// What the request asks of its answer.
#[derive(Debug, Default)]
pub struct Asked {
    /// What the answer itself must fit; all of them. Empty where it is free.
    pub(super) answer: Vec<Form>,
    /// The tools that may be called, by name, with what their arguments must fit. `None` where the request
    /// offers no tools.
    pub(super) tools: Option<BTreeMap<String, Form>>,
    /// The kinds of tools without a name that the server, or the client, brings itself.
    own: Vec<String>,
    /// How many expressions the tools' schemas have.
    expressions: usize,
    /// Whether the request says that none is to be called.
    chooses_none: bool,
    /// How many subschemas all its schemas have.
    subschemas: usize,
    /// Whether nothing may be called at all: the request offers no tools, and names no place where some are.
    mute: bool,
}

/// What a value must be.
#[derive(Clone, Debug)]
pub(super) enum Form {
    /// Any JSON value.
    Any,
    /// A JSON object.
    Object,
    /// A JSON value that fits.
    Fits(Arc<Schema>),
    /// Any text.
    Text,
}

/// Why what a request asks for cannot be watched.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unusable {
    /// A schema that is not taken: where it stands, and why.
    #[error("the schema in `{0}` cannot be used: {1}")]
    Schema(&'static str, SchemaError),
    /// A word that no server knows.
    #[error("`format` asks for a form that the gate does not know, expected `json` or a schema")]
    Format,
    /// A form that is not known.
    #[error("`{0}` asks for a form that the gate does not know, expected `text`, `json_object` or `json_schema`")]
    Kind(&'static str),
    /// A tool that cannot be told from another, or too much of them.
    #[error(
        "`tools` offers two tools of one name, more than {MOST_TOOLS}, or more than {MOST_EXPRESSIONS} expressions \
         (`pattern`, and keys of `patternProperties`) in their schemas"
    )]
    Tools,
    /// Schemas that are too large together.
    #[error("its schemas have more than {MOST_SUBSCHEMAS} subschemas together; offer fewer tools, or simpler ones")]
    Schemas,
}

impl Form {
    fn subschemas(&self) -> usize {
        match self {
            Self::Fits(schema) => schema.subschemas(),
            Self::Any | Self::Object | Self::Text => 0,
        }
    }
}

impl Asked {
    /// Reads it from a request's body.
    pub(super) fn of(request: &Json<'_>, kept: &Kept) -> Result<Self, Unusable> {
        let mut asked = Self::default();
        let mut form = |place: &'static str, schema: Option<&Json<'_>>| -> Result<(), Unusable> {
            let form = form_of(place, schema, kept)?;
            asked.subschemas += form.as_ref().map_or(0, Form::subschemas);
            asked.answer.extend(form);
            if asked.subschemas > MOST_SUBSCHEMAS { Err(Unusable::Schemas) } else { Ok(()) }
        };
        // Ollama: "json", or a schema.
        match request.get_folded("format") {
            Some(Json::String(word)) if word.eq_ignore_ascii_case("json") => form("format", Some(&Json::Bool(true)))?,
            schema @ Some(Json::Object(_)) => form("format", schema)?,
            None | Some(Json::Null) => {}
            Some(Json::String(word)) if word.is_empty() => {}
            // The answer could not be held to it.
            Some(_) => return Err(Unusable::Format),
        }
        // llama.cpp's own routes.
        form("json_schema", request.get_folded("json_schema"))?;
        if let Some(wanted) = request.get_folded("response_format") {
            response_format("response_format", wanted, &mut form)?;
        }
        // Responses, and Anthropic.
        if let Some(wanted) = request.get_folded("text").and_then(|text| text.get_folded("format")) {
            response_format("text.format", wanted, &mut form)?;
        }
        let output = request.get_folded("output_config").and_then(|config| config.get_folded("format"));
        if let Some(wanted) = output.or_else(|| request.get_folded("output_format")) {
            response_format("output_format", wanted, &mut form)?;
        }
        for key in ["tools", "functions"] {
            // A list without any allows no call.
            if request.get_folded(key).is_some_and(|tools| tools.as_array().is_some()) {
                asked.tools.get_or_insert_default();
            }
            for tool in request.get_folded(key).and_then(Json::as_array).unwrap_or_default() {
                asked.offer(tool, kept)?;
            }
        }
        for key in ["tool_choice", "function_call"] {
            if let Some(wanted) = request.get_folded(key) {
                asked.choose(wanted);
            }
        }
        Ok(asked)
    }

    /// Leaves of the tools those that the request lets the model choose from. Not every server heeds it.
    fn choose(&mut self, wanted: &Json<'_>) {
        let word = |json: &Json<'_>| json.as_str().unwrap_or_default().to_ascii_lowercase();
        let kind = word(wanted.get_folded("type").unwrap_or(wanted));
        if kind == "none" {
            self.tools.iter_mut().for_each(BTreeMap::clear);
            self.own.clear();
            self.chooses_none = true;
            return;
        }
        // One, or a list of those that are allowed, which Chat Completions and Responses write in two ways.
        let inner = wanted.get_folded("allowed_tools").unwrap_or(wanted);
        let listed = inner.get_folded("tools").and_then(Json::as_array).filter(|_| kind == "allowed_tools");
        let chosen = listed.unwrap_or(std::slice::from_ref(wanted));
        let names: Vec<&str> = chosen.iter().filter_map(name_of).collect();
        if listed.is_none() && names.is_empty() {
            return;
        }
        if let Some(tools) = &mut self.tools {
            tools.retain(|name, _| names.contains(&name.as_str()));
        }
        // What has a name can be a server's own, too, unless it says that it is the client's.
        let kinds: Vec<String> = chosen.iter().filter_map(|tool| tool.get_folded("type")).map(word).collect();
        self.own.retain(|own| kinds.iter().any(|kind| own == kind || kind == "tool"));
    }

    /// Lets nothing be called where the request offers no tools. A model that calls some all the same was talked into it,
    /// and there are clients that obey.
    pub(super) fn expect_words(&mut self, request: &Json<'_>) {
        let elsewhere = ELSEWHERE.iter().any(|key| request.get_folded(key).is_some_and(|value| *value != Json::Null))
            || matches!(request.get_folded("prompt"), Some(Json::Object(_)));
        self.mute = self.tools.is_none() && (self.chooses_none || !elsewhere);
    }

    /// Whether nothing may be called at all.
    pub(super) fn is_mute(&self) -> bool {
        self.mute
    }

    /// Whether the request itself says what its answer must be like.
    pub(super) fn asks(&self) -> bool {
        !self.answer.is_empty() || self.tools.is_some()
    }

    /// Whether a call of this kind, such as `local_shell_call`, is of a tool that the request names.
    pub(super) fn brings(&self, call: &str) -> bool {
        let call = call.to_ascii_lowercase();
        let what = call.trim_end_matches("_call").trim_end_matches("_use");
        self.own.iter().any(|own| own.starts_with(what) || what == "server_tool" || what == "mcp_tool")
    }

    /// Whether there is nothing to watch for.
    pub(super) fn is_free(&self) -> bool {
        !self.asks() && !self.mute
    }

    /// Notes a tool that is offered. Those that a server brings itself have no parameters, and are not called by the
    /// client.
    fn offer(&mut self, tool: &Json<'_>, kept: &Kept) -> Result<(), Unusable> {
        let function = tool.get_folded("function").unwrap_or(tool);
        let kind = tool.get_folded("type").and_then(Json::as_str).unwrap_or("function");
        let named = function.get_folded("name").and_then(Json::as_str);
        let Some(name) = named.or_else(|| tool.get_folded("custom")?.get_folded("name")?.as_str()) else {
            if self.own.len() < MOST_TOOLS {
                self.own.push(kind.to_ascii_lowercase());
            }
            self.tools.get_or_insert_default();
            return Ok(());
        };
        let places = [function, tool].map(|place| [place.get_folded("parameters"), place.get_folded("input_schema")]);
        let parameters = places.into_iter().flatten().flatten().find(|parameters| **parameters != Json::Null);
        let form = match kind {
            // What has parameters is called with them, whatever it calls itself.
            "custom" if parameters.is_none() => Form::Text,
            "custom" => form_of("tools", parameters, kept)?.unwrap_or(Form::Object),
            "function" => form_of("tools", parameters, kept)?.unwrap_or(Form::Object),
            // A tool of the server's, or of Anthropic's clients, with a name.
            own => {
                self.own.push(own.to_ascii_lowercase());
                form_of("tools", parameters, kept)?.unwrap_or(Form::Object)
            }
        };
        if let Form::Fits(schema) = &form {
            self.expressions += schema.expressions();
        }
        self.subschemas += form.subschemas();
        if self.subschemas > MOST_SUBSCHEMAS {
            return Err(Unusable::Schemas);
        }
        let tools = self.tools.get_or_insert_default();
        let twice = tools.insert(name.to_owned(), form).is_some();
        if twice || tools.len() > MOST_TOOLS || self.expressions > MOST_EXPRESSIONS {
            return Err(Unusable::Tools);
        }
        Ok(())
    }
}

/// The name of a tool that is offered, or chosen.
fn name_of<'j>(tool: &'j Json<'_>) -> Option<&'j str> {
    let places = [tool.get_folded("function"), tool.get_folded("custom"), Some(tool)];
    places.into_iter().flatten().find_map(|place| place.get_folded("name").and_then(Json::as_str))
}

/// What OpenAI calls a response format: text, any JSON object, or one that fits a schema. llama.cpp takes the schema
/// beside the type, too.
fn response_format(
    place: &'static str,
    wanted: &Json<'_>,
    form: &mut impl FnMut(&'static str, Option<&Json<'_>>) -> Result<(), Unusable>,
) -> Result<(), Unusable> {
    let kind = wanted.get_folded("type").and_then(Json::as_str).unwrap_or_default().to_ascii_lowercase();
    let inner = wanted.get_folded("json_schema").and_then(|inner| inner.get_folded("schema"));
    match inner.or_else(|| wanted.get_folded("schema")) {
        schema @ Some(Json::Object(_) | Json::Bool(_)) => form(place, schema),
        _ if kind == "json_object" || kind == "json_schema" => form(place, Some(&Json::Bool(true))),
        _ if kind == "text" || *wanted == Json::Null => Ok(()),
        // Whatever it asks for, the answer could not be held to it.
        _ => Err(Unusable::Kind(place)),
    }
}

fn form_of(place: &'static str, schema: Option<&Json<'_>>, kept: &Kept) -> Result<Option<Form>, Unusable> {
    match schema {
        None | Some(Json::Null) => Ok(None),
        // What every object fits.
        Some(Json::Bool(true)) => Ok(Some(Form::Object)),
        // llama.cpp makes any value of it, where others take it for any object.
        Some(Json::Object(entries)) if entries.is_empty() && place == "json_schema" => Ok(Some(Form::Any)),
        Some(Json::Object(entries)) if entries.is_empty() => Ok(Some(Form::Object)),
        Some(schema) => {
            let mut copy;
            let mut schema = schema;
            if is_remarked(schema) {
                copy = schema.clone();
                plain(&mut copy);
                schema = &copy;
            }
            kept.compile(schema).map(|schema| Some(Form::Fits(schema))).map_err(|why| Unusable::Schema(place, why))
        }
    }
}

/// Keywords that clients in Go write with `null` where they have nothing to say.
const UNSAID: [&str; 6] = ["$defs", "description", "enum", "items", "properties", "required"];
/// Under these stand values, and no schemas.
const VALUES: [&str; 4] = ["const", "default", "enum", "examples"];

/// Whether `plain` takes an entry of a schema out: a remark of OpenAPI's, which member tells the alternatives apart, or
/// a keyword that says nothing.
fn is_remark(key: &str, value: &Json<'_>) -> bool {
    let remark = key == "discriminator" && value.get("propertyName").is_some();
    remark || (*value == Json::Null && UNSAID.contains(&key))
}

/// Whether there is anything for `plain` to take out.
fn is_remarked(schema: &Json<'_>) -> bool {
    match schema {
        Json::Array(items) => items.iter().any(is_remarked),
        Json::Object(entries) => entries
            .iter()
            .any(|(key, value)| is_remark(key, value) || (!VALUES.contains(&key.as_ref()) && is_remarked(value))),
        Json::Bool(_) | Json::Null | Json::Number(_) | Json::String(_) => false,
    }
}

/// Takes out what says nothing of the values that fit.
fn plain(schema: &mut Json<'_>) {
    match schema {
        Json::Array(items) => items.iter_mut().for_each(plain),
        Json::Object(entries) => {
            entries.retain(|(key, value)| !is_remark(key, value));
            let schemas = entries.iter_mut().filter(|(key, _)| !VALUES.contains(&key.as_ref()));
            schemas.for_each(|(_, value)| plain(value));
        }
        Json::Bool(_) | Json::Null | Json::Number(_) | Json::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Asked, Unusable> {
        Asked::of(&Json::parse(text.as_bytes()).unwrap(), &Kept::default())
    }

    #[test]
    fn every_dialect_s_way_to_ask_is_heard() {
        let schema = r#"{"type":"object","required":["a"]}"#;
        for (text, forms) in [
            (r#"{"format":"json"}"#.to_owned(), 1),
            (r#"{"Format":"JSON"}"#.to_owned(), 1),
            (r#"{"format":""}"#.to_owned(), 0),
            (format!(r#"{{"format":{schema}}}"#), 1),
            (format!(r#"{{"json_schema":{schema}}}"#), 1),
            (r#"{"response_format":{"type":"text"}}"#.to_owned(), 0),
            (r#"{"response_format":{"type":"json_object"}}"#.to_owned(), 1),
            (format!(r#"{{"response_format":{{"type":"json_object","schema":{schema}}}}}"#), 1),
            (
                format!(
                    r#"{{"response_format":{{"type":"json_schema","json_schema":{{"name":"x","schema":{schema}}}}}}}"#
                ),
                1,
            ),
            (format!(r#"{{"text":{{"format":{{"type":"json_schema","name":"x","schema":{schema}}}}}}}"#), 1),
            (format!(r#"{{"output_config":{{"format":{{"type":"json_schema","schema":{schema}}}}}}}"#), 1),
            (format!(r#"{{"format":{schema},"response_format":{{"type":"json_object"}}}}"#), 2),
            (r#"{"text":"just words"}"#.to_owned(), 0),
            (r#"{"format":null}"#.to_owned(), 0),
        ] {
            assert_eq!(read(&text).unwrap().answer.len(), forms, "{text}");
        }
    }

    #[test]
    fn tools_of_every_dialect_are_offered() {
        for text in [
            r#"{"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object"}}},{"type":"web_search"}]}"#,
            r#"{"tools":[{"type":"function","name":"f","parameters":{"type":"object"}}]}"#,
            r#"{"tools":[{"name":"f","input_schema":{"type":"object"}}]}"#,
            r#"{"functions":[{"name":"f"}]}"#,
        ] {
            let tools = read(text).unwrap().tools.expect(text);
            assert_eq!(tools.keys().collect::<Vec<_>>(), ["f"], "{text}");
        }
        assert!(read("{}").unwrap().is_free());
        assert!(read(r#"{"tools":[]}"#).unwrap().tools.is_some_and(|tools| tools.is_empty()));
        assert_eq!(read(r#"{"tools":[{"name":"f"},{"function":{"name":"f"}}]}"#).unwrap_err(), Unusable::Tools);
    }

    #[test]
    fn a_custom_tool_with_parameters_is_held_to_them() {
        for (tool, is_text) in [
            (r#"{"type":"custom","name":"sh"}"#, true),
            (r#"{"type":"custom","custom":{"name":"sh","format":{"type":"text"}}}"#, true),
            (r#"{"type":"custom","name":"sh","input_schema":null}"#, true),
            (r#"{"type":"custom","name":"sh","input_schema":{"type":"object","required":["a"]}}"#, false),
            (r#"{"type":"custom","name":"sh","parameters":{"type":"object","required":["a"]}}"#, false),
            (r#"{"type":"custom","name":"sh","Input_Schema":{"type":"object","required":["a"]}}"#, false),
            (r#"{"type":"custom","function":{"name":"sh"},"parameters":{"required":["a"]}}"#, false),
        ] {
            let tools = read(&format!(r#"{{"tools":[{tool}]}}"#)).unwrap().tools.unwrap();
            let Some(form) = tools.get("sh") else { panic!("{tool}") };
            assert_eq!(matches!(form, Form::Text), is_text, "{tool}");
            assert_eq!(matches!(form, Form::Fits(_)), !is_text, "{tool}");
        }
    }

    #[test]
    fn only_what_may_be_chosen_is_called() {
        let tools = r#"[{"type":"function","function":{"name":"f"}},{"type":"custom","name":"g"},{"name":"h"},
            {"type":"web_search"}]"#;
        for (choice, names, brings) in [
            (r#""tool_choice":"none""#, "", false),
            (r#""Tool_Choice":"NONE""#, "", false),
            (r#""tool_choice":{"type":"none"}"#, "", false),
            (r#""function_call":"none""#, "", false),
            (r#""tool_choice":null"#, "fgh", true),
            (r#""tool_choice":"auto""#, "fgh", true),
            (r#""tool_choice":"required""#, "fgh", true),
            (r#""tool_choice":{"type":"any"}"#, "fgh", true),
            (r#""tool_choice":{"type":"auto","disable_parallel_tool_use":true}"#, "fgh", true),
            (r#""tool_choice":{"type":"function","function":{"name":"f"}}"#, "f", false),
            (r#""tool_choice":{"type":"function","name":"f"}"#, "f", false),
            (r#""function_call":{"name":"f"}"#, "f", false),
            (r#""tool_choice":{"type":"custom","custom":{"name":"g"}}"#, "g", false),
            (r#""tool_choice":{"type":"tool","name":"h"}"#, "h", true),
            (r#""tool_choice":{"type":"tool","name":"other"}"#, "", true),
            (
                r#""tool_choice":{"type":"allowed_tools","mode":"auto","tools":[{"type":"function","name":"f"},{"type":"web_search"}]}"#,
                "f",
                true,
            ),
            (
                r#""tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"auto","tools":[{"type":"function","function":{"name":"h"}}]}}"#,
                "h",
                false,
            ),
            (r#""tool_choice":{"type":"allowed_tools","tools":[]}"#, "", false),
        ] {
            let asked = read(&format!(r#"{{"tools":{tools},{choice}}}"#)).unwrap();
            let left: String = asked.tools.iter().flat_map(BTreeMap::keys).map(String::as_str).collect();
            assert_eq!((&*left, asked.brings("web_search_call")), (names, brings), "{choice}");
        }
        for (choice, mute) in [("none", true), ("auto", false)] {
            let text = format!(r#"{{"tool_choice":"{choice}","previous_response_id":"r"}}"#);
            let mut asked = read(&text).unwrap();
            asked.expect_words(&Json::parse(text.as_bytes()).unwrap());
            assert_eq!(asked.is_mute(), mute, "whatever stands elsewhere");
        }
    }

    #[test]
    fn a_keyword_that_says_nothing_is_none() {
        let text = r#"{"format":{"type":"object","required":null,"description":null,"$defs":null,"enum":null,
            "properties":{"a":{"type":"array","items":null,"properties":null},"b":{"const":{"items":null}}}}}"#;
        let asked = read(text).unwrap();
        let [Form::Fits(schema)] = &asked.answer[..] else { panic!("{asked:?}") };
        for (value, fits) in [
            (serde_json::json!({"a": [1], "b": {"items": null}}), true),
            (serde_json::json!({"b": {}}), false),
            (serde_json::json!({"a": 7}), false),
            (serde_json::json!([]), false),
        ] {
            assert_eq!(schema.check(&value).is_ok(), fits, "{value}");
        }
        assert!(read(r#"{"format":{"type":null}}"#).is_err());
    }

    #[test]
    fn what_openapi_remarks_is_no_reason_to_refuse() {
        let text = r#"{"format":{"oneOf":[{"type":"object"}],"discriminator":{"propertyName":"kind"}}}"#;
        assert_eq!(read(text).unwrap().answer.len(), 1);
        assert!(read(r#"{"response_format":{"type":"JSON_OBJECT"}}"#).unwrap().answer.len() == 1);
        assert_eq!(
            read(r#"{"response_format":{"type":"structural_tag"}}"#).unwrap_err(),
            Unusable::Kind("response_format")
        );
    }

    #[test]
    fn a_schema_that_cannot_be_watched_is_refused() {
        let no = read(r#"{"format":{"$ref":"https://example.com/s.json"}}"#).unwrap_err();
        assert!(
            no.to_string().starts_with("the schema in `format` cannot be used: it refers to another document"),
            "{no}"
        );
        assert!(read(r#"{"tools":[{"name":"f","input_schema":{"type":"nonsense"}}]}"#).is_err());
        assert!(read(r#"{"format":{"type":7}}"#).is_err());
        for format in [r#""yaml""#, "true", "7", "[]"] {
            assert_eq!(read(&format!(r#"{{"format":{format}}}"#)).unwrap_err(), Unusable::Format, "{format}");
        }
    }

    #[test]
    fn tools_are_bounded_by_number_and_expressions() {
        let offers = |count: usize, each: usize| {
            let tool = |n: usize| {
                let keys: Vec<_> = (0..each).map(|k| format!(r#""^{n}-{k}":{{}}"#)).collect();
                format!(r#"{{"name":"f{n}","input_schema":{{"patternProperties":{{{}}}}}}}"#, keys.join(","))
            };
            read(&format!(r#"{{"tools":[{}]}}"#, (0..count).map(tool).collect::<Vec<_>>().join(",")))
        };
        assert!(offers(MOST_TOOLS, 0).is_ok());
        assert_eq!(offers(MOST_TOOLS + 1, 0).unwrap_err(), Unusable::Tools);
        assert!(offers(MOST_EXPRESSIONS / 2, 2).is_ok());
        assert_eq!(offers(MOST_EXPRESSIONS / 2 + 1, 2).unwrap_err(), Unusable::Tools);
    }

    #[test]
    fn schemas_are_bounded_by_what_they_hold_together() {
        let schema = |n: usize, size: usize| {
            let properties: Vec<_> = (1..size).map(|p| format!(r#""{p}":{{}}"#)).collect();
            format!(r#"{{"title":"{n}","properties":{{{}}}}}"#, properties.join(","))
        };
        let asks = |tools: usize, size: usize, more: &str| {
            let tool = |n: usize| format!(r#"{{"name":"f{n}","input_schema":{}}}"#, schema(n, size));
            read(&format!(r#"{{"tools":[{}]{more}}}"#, (0..tools).map(tool).collect::<Vec<_>>().join(","))).map(drop)
        };
        assert_eq!(asks(8, MOST_SUBSCHEMAS / 8, ""), Ok(()));
        let answer = format!(r#","format":{}"#, schema(8, 1));
        assert_eq!(asks(8, MOST_SUBSCHEMAS / 8, &answer), Err(Unusable::Schemas));
        assert_eq!(asks(9, MOST_SUBSCHEMAS / 8, ""), Err(Unusable::Schemas));
    }
}
