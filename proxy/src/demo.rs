//! The embedded demo model: a small server that speaks as Ollama and as OpenAI do, says plainly what
//! it is, and misbehaves when it is asked to, so that `portcullis demo` can show both directions.

mod model;
mod text;

pub(crate) use model::DemoModel;
pub(crate) use text::PACKAGE;
