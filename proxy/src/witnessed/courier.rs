//! The way to one witness: a pinned connection with this node's key, and one request at a time.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, header};
use http_body_util::{BodyExt as _, Limited};
use portcullis_audit::{MAX_NOTE, Submission};
use portcullis_certs::{NodeKey, NodePublic};
use tokio::sync::OnceCell;
use tokio::time::timeout;

use crate::config::WitnessSettings;
use crate::door::content::Content;
use crate::door::dial;
use crate::door::link::Link;
use crate::door::signer::Signer;
use crate::refuse::VERDICT;

/// How long a submission may take, from the first byte to the last of its answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// The most that is read of an answer: cosignatures are lines of a note.
const MAX_ANSWER: usize = MAX_NOTE;

/// Carries submissions to a witness.
pub(super) struct Courier {
    settings: WitnessSettings,
    key: Arc<NodeKey>,
    /// What the witness's operator sees this gate as.
    name: String,
    way: OnceCell<(NodePublic, Link)>,
}

/// What a witness answered.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    /// The media type.
    pub(super) media: String,
    /// The code of a refusal, where a gate gave one.
    pub(super) code: Option<String>,
    pub(super) body: Bytes,
}

impl Courier {
    pub(super) fn new(settings: &WitnessSettings, key: Arc<NodeKey>, name: String) -> Self {
        Self { settings: settings.clone(), key, name, way: OnceCell::new() }
    }

    /// Who the witness is: the key with the fingerprint that the operator wrote down.
    ///
    /// # Errors
    /// A sentence, when it cannot be reached, or shows another key.
    pub(super) async fn witness(&self) -> Result<NodePublic, String> {
        Ok(self.way().await?.0)
    }

    /// Submits a checkpoint, and reads the answer to its end.
    ///
    /// # Errors
    /// A sentence, when there is none.
    pub(super) async fn submit(&self, submission: &Submission) -> Result<Reply, String> {
        let (_, link) = self.way().await?;
        let body = Bytes::from(submission.to_string());
        let request = Request::builder()
            .method(Method::POST)
            .version(http::Version::HTTP_2)
            .uri(format!("https://{}/witness/add-checkpoint", self.settings.gate))
            .header(header::CONTENT_TYPE, "application/octet-stream")
            .body(Content::from(body))
            .map_err(|error| error.to_string())?;
        match timeout(PATIENCE, carry(link, request)).await {
            Ok(reply) => reply,
            Err(_) => Err(format!("it did not answer within {} s", PATIENCE.as_secs())),
        }
    }

    async fn way(&self) -> Result<&(NodePublic, Link), String> {
        self.way
            .get_or_try_init(|| async {
                let WitnessSettings { gate, fingerprint } = &self.settings;
                let shown = dial::ask(gate).await.map_err(|error| error.to_string())?;
                if shown.fingerprint != *fingerprint {
                    return Err(format!(
                        "it shows the key {}, and `filters.audit.witnesses` names {fingerprint}; compare with \
                         `portcullis id` there",
                        shown.fingerprint
                    ));
                }
                // The fingerprint is that of this key, or it is none: nothing is believed yet that the pinned
                // connection does not prove.
                let node = NodePublic::from_node_id(shown.identity.as_str())
                    .ok()
                    .filter(|node| node.fingerprint() == *fingerprint)
                    .ok_or("its key is not a node's (Ed25519), and cannot countersign")?;
                let signer = Signer::new(Arc::clone(&self.key), node.node_id());
                Ok((node, Link::new(gate.clone(), fingerprint.clone(), signer, self.name.clone())))
            })
            .await
    }
}

async fn carry(link: &Link, request: Request<Content>) -> Result<Reply, String> {
    let answered = link.send(request).await.map_err(|error| error.to_string())?;
    let (head, body) = answered.answer.into_parts();
    let text = |name| head.headers.get(name).and_then(|value: &http::HeaderValue| value.to_str().ok());
    let media = text(header::CONTENT_TYPE).unwrap_or_default().to_owned();
    let verdict = head.headers.get(VERDICT).and_then(|value| value.to_str().ok());
    let code = verdict.and_then(|verdict| verdict.rsplit_once("code=")).map(|(_, code)| plain(code));
    let body = Limited::new(body, MAX_ANSWER).collect().await.map_err(|error| error.to_string())?.to_bytes();
    Ok(Reply { status: head.status.as_u16(), media, code, body })
}

/// As it may stand in a log.
fn plain(text: &str) -> String {
    text.chars().filter(|c| c.is_ascii_graphic()).take(64).collect()
}
