//! The four tools of LLMesh: what they are asked, and what must hold of an answer, in this order.
//!
//! 1. It is at most 512,000 bytes.
//! 2. It is one JSON object.
//! 3. It fits the tool's schema.
//! 4. It echoes the caller's nonce.
//! 5. It is about the task that was asked for, and what it says it looked at is what was sent.
//! 6. No answer to this nonce came before, from this server to this caller.
//!
//! What it brings in is judged after that, by `sca`.

use std::collections::HashMap;
use std::sync::LazyLock;

use portcullis_policies::schemas;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::compiled::Schema;
use crate::json::Json;
use crate::verdict::{Code, Refusal};

/// The largest answer of a tool, in bytes.
pub(super) const MOST_BYTES: usize = 512_000;

/// One of the four tools.
#[derive(Debug)]
pub(super) struct Tool {
    pub(super) name: &'static str,
    request: Schema,
    answer: Schema,
    /// The answer's schema as it is written.
    pub(super) written: Value,
}

/// What one call of a tool is held against.
#[derive(Debug)]
pub struct Call {
    pub(super) tool: &'static Tool,
    pub(super) task: Box<str>,
    pub(super) nonce: Box<str>,
    /// The field that must hold a digest, and the digest that it must hold.
    pub(super) echo: Option<(&'static str, String)>,
    /// Whether the gate asks the model itself.
    pub(super) served: bool,
}

/// The tool that a route calls, where it calls one.
///
/// # Errors
/// When its schema does not compile: it is tested to, so that is a broken build.
pub(super) fn of_route(route: &str) -> Result<Option<&'static Tool>, Refusal> {
    static TOOLS: LazyLock<Option<HashMap<&'static str, Tool>>> = LazyLock::new(all);
    let Some(name) = route.strip_prefix("llmesh.") else { return Ok(None) };
    let tools = TOOLS.as_ref().ok_or_else(|| Refusal::internal("schema", "the schemas of the tools do not compile"))?;
    Ok(tools.get(name))
}

fn all() -> Option<HashMap<&'static str, Tool>> {
    let read = |text: &str| serde_json::from_str::<Value>(text).ok();
    schemas::TOOLS
        .iter()
        .map(|tool| {
            let written = read(tool.answer)?;
            let answer = Schema::compile(&written).ok()?;
            let request = Schema::compile(&read(tool.request)?).ok()?;
            Some((tool.name, Tool { name: tool.name, request, answer, written }))
        })
        .collect()
}

impl Tool {
    /// Judges what it is asked.
    pub(super) fn ask(&'static self, request: &Json<'_>, served: bool) -> Result<Call, Refusal> {
        self.request.check(&request.to_value()).map_err(|why| {
            Refusal::new(
                "schema",
                Code::SchemaRequest,
                format!("the request does not fit the tool `{}`: {why}", self.name),
            )
        })?;
        let text = |key: &str| request.get(key).and_then(Json::as_str);
        Ok(Call {
            tool: self,
            task: text("task_id").unwrap_or_default().into(),
            nonce: text("caller_nonce").unwrap_or_default().into(),
            echo: echo(self.name, &text)?,
            served,
        })
    }
}

/// Which digest the answer must echo: of what was sent, which must be the one that the caller says, where it says one.
fn echo<'j>(tool: &str, text: &impl Fn(&str) -> Option<&'j str>) -> Result<Option<(&'static str, String)>, Refusal> {
    let (what, said, field) = match tool {
        "review_code" => ("code", "code_sha256", "code_sha256_echo"),
        "critique_output" => ("candidate_output", "candidate_sha256", "candidate_output_sha256_echo"),
        _ => return Ok(None),
    };
    let sent = text(what).map(|sent| data_encoding::HEXLOWER.encode(&Sha256::digest(sent.as_bytes())));
    match (sent, text(said)) {
        (Some(sent), Some(said)) if sent != said => Err(Refusal::new(
            "schema",
            Code::SchemaRequest,
            format!("`{said_name}` is not the SHA-256 of `{what}`", said_name = said_field(tool)),
        )),
        (Some(digest), _) => Ok(Some((field, digest))),
        (None, Some(said)) => Ok(Some((field, said.to_owned()))),
        (None, None) => Ok(None),
    }
}

fn said_field(tool: &str) -> &'static str {
    if tool == "review_code" { "code_sha256" } else { "candidate_sha256" }
}

impl Call {
    /// The task that it is about: a UUID, checked.
    #[must_use]
    pub fn task(&self) -> &str {
        &self.task
    }

    /// Judges an answer that was read; `first` says whether it is the first to this nonce, and is asked last.
    pub(super) fn judge(&self, answer: &Value, first: impl FnOnce() -> bool) -> Result<(), Refusal> {
        let no = |code, message: &'static str| Refusal::new("schema", code, message);
        if !answer.is_object() {
            return Err(no(Code::SchemaNotJson, "the tool's answer must be a JSON object, and is not"));
        }
        self.tool.answer.check(answer).map_err(|why| {
            no(Code::SchemaResponse, "the tool's answer does not fit its schema").with_detail(why.to_string())
        })?;
        let said = |key: &str| answer.get(key).and_then(Value::as_str).unwrap_or_default();
        if said("caller_nonce_echo") != &*self.nonce {
            return Err(no(
                Code::SchemaNonceMismatch,
                "the tool's answer is not to this request: it echoes another nonce",
            ));
        }
        if said("task_id") != &*self.task {
            return Err(no(Code::SchemaTaskId, "the tool's answer is about another task"));
        }
        if let Some((field, digest)) = &self.echo
            && said(field) != digest
        {
            return Err(no(Code::SchemaResponse, "the tool's answer is about another text than the one that was sent")
                .with_detail(format!("field {field}")));
        }
        if !first() {
            return Err(replayed());
        }
        Ok(())
    }
}

/// The refusal of an answer to a nonce that was answered.
pub(super) fn replayed() -> Refusal {
    let message = "an answer to this nonce came before; use a new one for every request";
    Refusal::new("schema", Code::SchemaReplayed, message)
}
