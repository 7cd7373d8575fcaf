//! What kind of thing a route does, and in whose words it answers.

use serde::{Deserialize, Serialize};

/// What calling a route means. A route that no table lists has no class: it is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RouteClass {
    /// Changes state: pull, push, create, delete, load, unload. Needs a grant that names it.
    Admin,
    /// Leaves the machine. Denied unless a grant names it.
    Egress,
    /// Runs a model.
    Inference,
    /// Liveness; answered by the gate itself.
    Public,
    /// Metadata.
    Read,
    /// Read-only, but leaks other users' data or the host.
    Sensitive,
    /// Has the gate countersign a checkpoint of the caller's own audit log; answered by the gate itself.
    Witness,
}

impl RouteClass {
    /// Every class, in alphabetical order.
    pub const ALL: [Self; 7] =
        [Self::Admin, Self::Egress, Self::Inference, Self::Public, Self::Read, Self::Sensitive, Self::Witness];

    /// The word for it in config, audit and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Egress => "egress",
            Self::Inference => "inference",
            Self::Public => "public",
            Self::Read => "read",
            Self::Sensitive => "sensitive",
            Self::Witness => "witness",
        }
    }

    /// Whether the gate answers such a route itself: no server behind it hears of the request.
    #[must_use]
    pub const fn is_own(self) -> bool {
        matches!(self, Self::Public | Self::Witness)
    }
}

/// The API family a route belongs to: how it says an error, whole and mid-stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Dialect {
    /// `/v1/messages`.
    Anthropic,
    /// Ollama's own routes below `/api`.
    Ollama,
    /// OpenAI-compatible routes.
    OpenAi,
    /// Everything else.
    #[default]
    Plain,
}

impl Dialect {
    /// The dialect a path most likely speaks, for answers given before a route is known.
    #[must_use]
    pub fn of_path(path: &str) -> Self {
        if path == "/v1/messages" || path.starts_with("/v1/messages/") {
            Self::Anthropic
        } else if path.starts_with("/api/") {
            Self::Ollama
        } else if path.starts_with("/v1/") {
            Self::OpenAi
        } else {
            Self::Plain
        }
    }
}

/// How a streamed answer is cut into frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StreamFormat {
    /// One JSON object a line: `application/x-ndjson`.
    Ndjson,
    /// Server-sent events: `text/event-stream`.
    Sse,
}

/// What kind of server stands behind the gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum UpstreamKind {
    /// llama.cpp's `llama-server`.
    LlamaCpp,
    /// An LLMesh node.
    LlMesh,
    /// An MCP server.
    Mcp,
    /// Ollama.
    Ollama,
    /// Any server of the OpenAI API.
    OpenAi,
}

impl UpstreamKind {
    /// The word for it in config.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::LlamaCpp => "llamacpp",
            Self::LlMesh => "llmesh",
            Self::Mcp => "mcp",
            Self::Ollama => "ollama",
            Self::OpenAi => "openai",
        }
    }
}
