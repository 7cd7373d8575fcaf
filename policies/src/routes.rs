//! The route tables: what every route of a model server means, as data.
//!
//! A table maps method and normalised path to a [`Route`]. What no table lists has no route, and
//! is refused: there is no deny-list anywhere.

use std::sync::Arc;

use crate::class::{Dialect, RouteClass, StreamFormat, UpstreamKind};
use crate::fields::FieldTable;

mod load;
mod table;

pub use load::{RouteTableError, builtin, own};
pub use table::{Found, RouteTable};

/// One route of a model server.
#[derive(Clone, Debug)]
pub struct Route {
    /// A stable name, such as `ollama.chat`: what policy rules and the audit log call it.
    pub name: Arc<str>,
    /// The methods it answers to, in upper case.
    pub methods: Vec<Arc<str>>,
    /// The path, with `{name}` for a segment that may be anything.
    pub path: Arc<str>,
    /// What calling it means.
    pub class: RouteClass,
    /// In whose words it answers.
    pub dialect: Dialect,
    /// What the request body is.
    pub body: BodyKind,
    /// How it streams.
    pub stream: Streaming,
    /// Where the model's name stands; the first place that holds one counts, others must agree.
    pub models: Vec<ModelPlace>,
    /// The request schema: known fields, their bounds, and what becomes of unknown ones.
    pub fields: Option<Arc<FieldTable>>,
    /// Query parameters that are let through; any other is refused.
    pub query: Vec<Arc<str>>,
    /// For model lists: where the models stand in the answer, so that it can be filtered.
    pub lists: Vec<ModelList>,
}

/// What the body of a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyKind {
    /// Raw bytes, forwarded as they are.
    Blob,
    /// A JSON object.
    Json,
    /// A multipart form.
    Multipart,
    /// No body: any is refused.
    None,
}

/// Whether and how a route streams its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Streaming {
    /// Always streams.
    Always(StreamFormat),
    /// Streams when the request's `stream` field says so; `default` holds where it is absent.
    Asked {
        /// How the stream is cut.
        format: StreamFormat,
        /// What an absent `stream` means.
        default: bool,
    },
    /// Never streams: one whole answer.
    Never,
}

impl Streaming {
    /// The format a stream of this route has, if it can stream at all.
    #[must_use]
    pub const fn format(self) -> Option<StreamFormat> {
        match self {
            Self::Always(format) | Self::Asked { format, .. } => Some(format),
            Self::Never => None,
        }
    }
}

/// A place where the name of a model stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModelPlace {
    /// A top-level field of the JSON body.
    Body(Arc<str>),
    /// A field of a multipart form.
    Form(Arc<str>),
    /// A named segment of the path.
    Path(Arc<str>),
    /// A query parameter.
    Query(Arc<str>),
}

/// The shape of a model list in an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelList {
    /// The top-level array, such as `models` or `data`.
    pub array: Arc<str>,
    /// The fields of an entry that name the model, such as `name` and `model`; all must be allowed.
    pub names: Vec<Arc<str>>,
}

/// The kinds of upstream that a table exists for.
pub const KINDS: [UpstreamKind; 4] =
    [UpstreamKind::LlamaCpp, UpstreamKind::LlMesh, UpstreamKind::Ollama, UpstreamKind::OpenAi];
