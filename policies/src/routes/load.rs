//! Reading a route table, and the ones that are built in.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use serde::Deserialize;

use super::{BodyKind, ModelList, ModelPlace, Route, RouteTable, Streaming};
use crate::class::{Dialect, RouteClass, StreamFormat, UpstreamKind};
use crate::fields::{self, WrittenTable};

/// A route table that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the route table `{table}` cannot be used: {why}")]
pub struct RouteTableError {
    table: String,
    why: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    /// Says which file this is; nothing else.
    table: String,
    #[serde(default)]
    tables: HashMap<String, WrittenTable>,
    routes: Vec<WrittenRoute>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenRoute {
    name: String,
    /// One method, or several with a space between.
    method: String,
    /// One path, or several that mean the same.
    paths: Vec<String>,
    class: RouteClass,
    dialect: Dialect,
    body: Option<Body>,
    stream: Option<Stream>,
    #[serde(default)]
    model: Vec<String>,
    table: Option<String>,
    #[serde(default)]
    query: Vec<String>,
    #[serde(default)]
    lists: Vec<List>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Body {
    Blob,
    Json,
    Multipart,
    None,
}

/// How a route streams: the format, and whether it does so unless told otherwise.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Stream {
    /// NDJSON unless `stream` is false.
    Ndjson,
    /// Server-sent events when `stream` is true.
    SseAsked,
    /// Always server-sent events.
    SseAlways,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    array: String,
    names: Vec<String>,
}

impl RouteTable {
    /// Reads a table from YAML, in one file or in several.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn parse(texts: &[&str]) -> Result<Self, RouteTableError> {
        let mut routes = Vec::new();
        let mut table = String::new();
        for text in texts {
            let document: Document = serde_saphyr::from_str(text)
                .map_err(|e| RouteTableError { table: "?".to_owned(), why: e.without_snippet().to_string() })?;
            document.read(&mut routes)?;
            table.clone_from(&document.table);
        }
        RouteTable::new(routes).map_err(|why| RouteTableError { table, why })
    }
}

impl Document {
    fn read(&self, routes: &mut Vec<Arc<Route>>) -> Result<(), RouteTableError> {
        let fail = |why: String| RouteTableError { table: self.table.clone(), why };
        let tables = fields::tables(&self.tables).map_err(fail)?;
        for written in &self.routes {
            let fields = match &written.table {
                None => None,
                Some(name) => {
                    let found = tables.get(name);
                    Some(Arc::clone(found.ok_or_else(|| fail(format!("`{}` names no table `{name}`", written.name)))?))
                }
            };
            let models: Vec<_> = written
                .model
                .iter()
                .map(|text| {
                    place(text).ok_or_else(|| fail(format!("`{}`: `{text}` is no place of a model", written.name)))
                })
                .collect::<Result<_, _>>()?;
            for path in &written.paths {
                routes.push(Arc::new(Route {
                    name: written.name.as_str().into(),
                    methods: written.method.split(' ').map(Into::into).collect(),
                    path: path.as_str().into(),
                    class: written.class,
                    dialect: written.dialect,
                    body: written.body.map_or_else(|| usual_body(&written.method), meant_body),
                    stream: written.stream.map_or(Streaming::Never, meant_stream),
                    models: models.clone(),
                    fields: fields.clone(),
                    query: written.query.iter().map(|q| q.as_str().into()).collect(),
                    lists: written
                        .lists
                        .iter()
                        .map(|l| ModelList {
                            array: l.array.as_str().into(),
                            names: l.names.iter().map(|n| n.as_str().into()).collect(),
                        })
                        .collect(),
                }));
            }
        }
        Ok(())
    }
}

fn usual_body(method: &str) -> BodyKind {
    if method == "POST" { BodyKind::Json } else { BodyKind::None }
}

fn meant_body(body: Body) -> BodyKind {
    match body {
        Body::Blob => BodyKind::Blob,
        Body::Json => BodyKind::Json,
        Body::Multipart => BodyKind::Multipart,
        Body::None => BodyKind::None,
    }
}

fn meant_stream(stream: Stream) -> Streaming {
    match stream {
        Stream::Ndjson => Streaming::Asked { format: StreamFormat::Ndjson, default: true },
        Stream::SseAsked => Streaming::Asked { format: StreamFormat::Sse, default: false },
        Stream::SseAlways => Streaming::Always(StreamFormat::Sse),
    }
}

fn place(text: &str) -> Option<ModelPlace> {
    let (kind, name) = text.split_once('.')?;
    Some(match kind {
        "body" => ModelPlace::Body(name.into()),
        "form" => ModelPlace::Form(name.into()),
        "path" => ModelPlace::Path(name.into()),
        "query" => ModelPlace::Query(name.into()),
        _ => return None,
    })
}

/// The table of a kind of server. Kinds without one have an empty table: nothing gets through.
#[must_use]
pub fn builtin(kind: UpstreamKind) -> &'static Arc<RouteTable> {
    const TOOLS: &str = include_str!("../../routes/tools.yaml");
    static OLLAMA: Shipped = LazyLock::new(|| shipped(&[include_str!("../../routes/ollama.yaml"), TOOLS]));
    static LLAMACPP: Shipped = LazyLock::new(|| shipped(&[include_str!("../../routes/llamacpp.yaml"), TOOLS]));
    static OPENAI: Shipped = LazyLock::new(|| shipped(&[include_str!("../../routes/openai.yaml"), TOOLS]));
    static LLMESH: Shipped = LazyLock::new(|| shipped(&[include_str!("../../routes/llmesh.yaml"), TOOLS]));
    static NONE: Shipped = LazyLock::new(Arc::default);
    match kind {
        UpstreamKind::Ollama => &OLLAMA,
        UpstreamKind::LlamaCpp => &LLAMACPP,
        UpstreamKind::LlMesh => &LLMESH,
        UpstreamKind::OpenAi => &OPENAI,
        UpstreamKind::Mcp => &NONE,
    }
}

/// The routes that a gate answers itself, whatever stands behind it.
#[must_use]
pub fn own() -> &'static Arc<RouteTable> {
    static OWN: Shipped = LazyLock::new(|| shipped(&[include_str!("../../routes/gate.yaml")]));
    &OWN
}

type Shipped = LazyLock<Arc<RouteTable>>;

/// A shipped table is tested to be readable; if it were not, nothing would get through.
fn shipped(texts: &[&str]) -> Arc<RouteTable> {
    Arc::new(RouteTable::parse(texts).unwrap_or_default())
}
