//! What requests and answers are held to, and the schema files that the config names.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use portcullis_filters::schema::{RouteSchema, Schema, SchemaSettings};
use portcullis_policies::{UpstreamKind, nearest, routes};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::check::Check;
use super::written::ModeWord;

/// The largest schema file, in bytes.
const MOST_BYTES: u64 = 256 << 10;
/// The most tries beyond the first: a model that answers wrongly four times does so always, and the caller waits.
const MOST_REPAIRS: u8 = 3;

/// What requests and answers are held to.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SchemaFilter {
    /// `enforce`, `shadow` or `off`.
    pub(crate) mode: Option<ModeWord>,
    /// Whether answers are held to the schemas that requests bring themselves: structured outputs, and the
    /// parameters of tools. Default: `true`.
    pub(crate) requested: Option<bool>,
    /// How often a model server is asked once more whose whole answer does not fit its schema: 0 to 3. Each try counts
    /// against the caller's limits. Default: `0`.
    pub(crate) repair: Option<u8>,
    /// JSON Schemas (draft 2020-12) of single routes, by the route's name, such as `ollama.generate`. Requests must
    /// fit, and whole answers; a route whose answers have a schema cannot stream.
    #[serde(default)]
    pub(crate) routes: BTreeMap<String, RouteFiles>,
    /// The tools of LLMesh, in front of a server that is no LLMesh node.
    #[serde(default)]
    pub(crate) tools: Tools,
}

impl SchemaFilter {
    /// Whether anything is said about it.
    pub(super) fn is_written(&self) -> bool {
        self.mode.is_some()
            || self.requested.is_some()
            || self.repair.is_some()
            || !self.routes.is_empty()
            || self.tools.model.is_some()
    }
}

/// The schema files of a route, relative to this file.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RouteFiles {
    /// What requests must fit.
    pub(crate) request: Option<String>,
    /// What whole answers must fit.
    pub(crate) answer: Option<String>,
}

/// The tools of LLMesh, served by the gate.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tools {
    /// The model that is asked. Without one the gate serves no tools.
    pub(crate) model: Option<String>,
}

/// What the filter is set to, and the files that this was read from.
#[derive(Clone, Default)]
pub(crate) struct SchemaConfig {
    pub(crate) settings: SchemaSettings,
    /// How often a server is asked once more whose answer does not fit.
    pub(crate) repair: u8,
    /// The files of each route: what requests must fit, and what answers must.
    routes: BTreeMap<String, [Option<PathBuf>; 2]>,
    pub(crate) files: Vec<PathBuf>,
}

impl SchemaConfig {
    /// As it is written in a config, with every default filled in.
    pub(crate) fn to_json(&self) -> Value {
        let routes = self.routes.iter();
        let routes: Map<_, _> = routes
            .map(|(name, [request, answer])| (name.clone(), json!({"request": request, "answer": answer})))
            .collect();
        json!({
            "requested": self.settings.requested, "repair": self.repair, "routes": routes,
            "tools": {"model": self.settings.tools_model},
        })
    }
}

/// Reads and compiles what the config names.
pub(super) fn check(check: &mut Check<'_>, w: &SchemaFilter, kinds: &[UpstreamKind]) -> SchemaConfig {
    let names: Vec<_> =
        kinds.iter().flat_map(|kind| routes::builtin(*kind).iter()).map(|route| Arc::clone(&route.name)).collect();
    let mut own = Vec::new();
    for (name, files) in &w.routes {
        let key = format!("filters.schema.routes.{name}");
        if !names.iter().any(|known| **known == **name) {
            let near = nearest(name, names.iter().map(AsRef::as_ref)).map(|near| format!("did you mean `{near}`?"));
            check.wrong(&key, format!("no upstream has a route `{name}`"), near.as_deref());
            continue;
        }
        if files.request.is_none() && files.answer.is_none() {
            let hint = Some("write `{request: FILE}` or `{answer: FILE}`");
            check.wrong(&key, "it names no schema, expected `request`, `answer` or both".to_owned(), hint);
        }
        let mut read = |file: &Option<String>| file.as_deref().and_then(|file| compile(check, &key, file));
        own.push(RouteSchema {
            route: name.as_str().into(),
            request: read(&files.request),
            answer: read(&files.answer),
        });
    }
    let model = w.tools.model.clone().filter(|model| !model.trim().is_empty());
    let path = |file: &Option<String>| file.as_deref().map(|file| check.path(file));
    let routes: BTreeMap<_, _> =
        w.routes.iter().map(|(name, files)| (name.clone(), [path(&files.request), path(&files.answer)])).collect();
    let files = routes.values().flatten().flatten().cloned().collect();
    let repair = w.repair.unwrap_or_default();
    if repair > MOST_REPAIRS {
        let message = format!("`{repair}` is too often, expected 0 to {MOST_REPAIRS}");
        check.wrong("filters.schema.repair", message, Some("write `1`"));
    }
    SchemaConfig {
        repair,
        settings: SchemaSettings { requested: w.requested.unwrap_or(true), routes: own, tools_model: model },
        routes,
        files,
    }
}

fn compile(check: &mut Check<'_>, key: &str, file: &str) -> Option<Arc<Schema>> {
    let path = check.path(file);
    let shown = path.display().to_string();
    let wrong = |check: &mut Check<'_>, why: String| {
        check.wrong(key, format!("`{shown}` {why}"), None);
        None
    };
    let text = match std::fs::metadata(&path).and_then(|meta| Ok((meta.len(), std::fs::read_to_string(&path)?))) {
        Ok((size, text)) if size <= MOST_BYTES => text,
        Ok(_) => return wrong(check, format!("is larger than {MOST_BYTES} bytes")),
        Err(error) => return wrong(check, format!("cannot be read: {error}")),
    };
    let written = match serde_json::from_str(&text) {
        Ok(written) => written,
        Err(error) => return wrong(check, format!("is no JSON: {error}")),
    };
    match Schema::compile(&written) {
        Ok(schema) => Some(Arc::new(schema)),
        Err(why) => wrong(check, format!("is no schema that can be used: {why}")),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::{Config, ConfigError, load};
    use super::SchemaConfig;

    fn parse(text: &str, folder: &Path) -> Result<Config, ConfigError> {
        let text =
            format!("filters:\n  schema: {text}\nupstreams:\n  local: {{url: http://127.0.0.1:11434, kind: ollama}}\n");
        load::parse(&text, &folder.join("p.yaml"))
    }

    #[test]
    fn schema_files_are_read_and_compiled() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write("good.json", r#"{"required": ["prompt"]}"#);
        write("bad.json", r#"{"type": "nonsense"}"#);
        write("remote.json", r#"{"$ref": "https://example.com/s.json"}"#);
        write("no.json", "{");
        let config =
            parse("{routes: {ollama.generate: {request: good.json}}, tools: {model: tiny}, repair: 2}", folder.path());
        let SchemaConfig { settings, repair, .. } = config.unwrap().filters.schema;
        assert_eq!(repair, 2);
        assert!(settings.requested && settings.routes.len() == 1 && settings.tools_model.as_deref() == Some("tiny"));
        for (text, words) in [
            ("{routes: {ollama.generat: {request: good.json}}}", "did you mean `ollama.generate`?"),
            ("{routes: {ollama.generate: {}}}", "names no schema"),
            ("{routes: {ollama.generate: {request: none.json}}}", "cannot be read"),
            ("{routes: {ollama.generate: {answer: bad.json}}}", "is no schema that can be used"),
            ("{routes: {ollama.generate: {answer: remote.json}}}", "refers to another document"),
            ("{routes: {ollama.generate: {answer: no.json}}}", "is no JSON"),
            ("{repair: 4}", "expected 0 to 3"),
            ("{requestd: true}", "did you mean `requested`?"),
        ] {
            let said = parse(text, folder.path()).err().expect(text).to_string();
            assert!(said.contains(words), "{text}: {said}");
        }
    }
}
