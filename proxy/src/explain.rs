//! Why a request was decided as it was: which filter and rule, where that stands, and what would have
//! been needed. For the running gate, which remembers, and for the audit log, which says less.

use portcullis_certs::trust::Entry;
use portcullis_filters::exchange::Noted;
use portcullis_policies::model::ModelName;
use portcullis_policies::policy::{Ask, Policy};
use portcullis_policies::{Grants, Identity, RouteClass, UpstreamKind};
use serde::{Deserialize, Serialize};

use crate::decisions::Decision;
use crate::record::CLIENT_LEFT;

mod credentials;
mod limits;
mod signature;

pub(crate) use credentials::issue_command;

/// A decision, explained.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Explained {
    pub(crate) request_id: String,
    pub(crate) timestamp: String,
    pub(crate) decision: String,
    pub(crate) filter: String,
    pub(crate) code: String,
    /// Whether the filter would have refused it, and is in `shadow` mode.
    #[serde(default)]
    pub(crate) shadow: bool,
    /// How often the upstream was asked once more, because its answer did not fit a schema.
    #[serde(default)]
    pub(crate) repairs: u64,
    /// The rule, grant, check or state that decided.
    pub(crate) rule: String,
    /// Where it stands, for what stands in the policy.
    pub(crate) file: Option<String>,
    /// The line of the rule, or of `rules:` where no rule allows it.
    pub(crate) line: Option<u64>,
    pub(crate) reason: String,
    pub(crate) needed: String,
    /// The rules that come nearest to allowing it.
    pub(crate) near: Vec<NearRule>,
    pub(crate) node_id: String,
    /// The operator's label for the caller: of then, or else of now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) model: String,
    /// What was found in the request's texts, and in its answer: rules and packages, never texts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) findings: Vec<FoundRule>,
    /// What is less than certain about this.
    pub(crate) remark: Option<String>,
}

/// A rule that found something, or an advisory that speaks against a dependency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FoundRule {
    pub(crate) rule: String,
    pub(crate) code: String,
    pub(crate) level: String,
    /// What was done: `block`, `redact` or `flag`.
    pub(crate) action: String,
    /// A keyed hash of what was found; empty where that is no secret.
    pub(crate) fingerprint: String,
    /// Which package, which versions, how bad, and where it is mended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) about: Option<String>,
}

/// A rule that allows something of what was asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NearRule {
    pub(crate) rule: String,
    pub(crate) line: u64,
    /// What keeps it from allowing the request.
    pub(crate) misses: Vec<String>,
}

/// What an explanation draws on beside the decision.
pub(crate) struct Sources<'s> {
    pub(crate) policy: &'s Policy,
    pub(crate) grants: &'s Grants,
    /// The caller's entry in the trust store.
    pub(crate) peer: Option<&'s Entry>,
}

/// Explains a decision.
pub(crate) fn explain(decision: &Decision, sources: &Sources<'_>) -> Explained {
    let mut explained = Explained {
        request_id: decision.request_id.clone(),
        timestamp: format!("{:.3}", decision.timestamp),
        decision: decision.policy_decision.to_owned(),
        filter: decision.filter.to_owned(),
        code: decision.code.to_owned(),
        shadow: decision.shadow,
        repairs: decision.repairs,
        reason: decision.message.clone(),
        node_id: decision.node_id.clone(),
        name: decision.name.as_ref().or_else(|| sources.peer?.name.as_ref()).map(|name| (**name).to_owned()),
        method: decision.method.clone(),
        path: decision.path.clone(),
        model: decision.model.clone(),
        findings: decision.findings.iter().map(FoundRule::of).collect(),
        ..Explained::default()
    };
    match (decision.policy_decision, decision.filter) {
        ("BLOCK", "policy") => by_policy(decision, sources, &mut explained),
        ("BLOCK", "identity") => credentials::explain(decision, sources.peer, &mut explained),
        ("BLOCK", "signature") => signature::explain(decision, &mut explained),
        ("BLOCK", "ratelimit") => limits::explain(decision, sources, &mut explained),
        ("BLOCK", filter) => by_another(decision, filter, &mut explained),
        _ => allowed(decision, sources, &mut explained),
    }
    if explained.line.is_none() && decision.policy_decision == "BLOCK" && decision.filter == "policy" {
        // No rule is at fault: where the rules begin.
        at(&mut explained, sources.policy, sources.policy.line());
    }
    if explained.rule.is_empty() {
        decision.code.rsplit('.').next().unwrap_or_default().clone_into(&mut explained.rule);
    }
    explained
}

impl FoundRule {
    fn of(noted: &Noted) -> Self {
        Self {
            rule: (*noted.rule).to_owned(),
            code: noted.code.as_str().to_owned(),
            level: noted.level.as_str().to_owned(),
            action: noted.action.to_owned(),
            fingerprint: noted.fingerprint.clone(),
            about: noted.about.as_deref().map(str::to_owned),
        }
    }
}

fn allowed(decision: &Decision, sources: &Sources<'_>, explained: &mut Explained) {
    if let Some(by) = &decision.allowed_by {
        explained.rule = (**by).to_owned();
        if let Some(line) = sources.policy.line_of(by) {
            at(explained, sources.policy, line);
        }
        explained.reason = format!("`{by}` allows it");
    }
    let filter = decision.filter;
    let more = if decision.shadow {
        let detail = if decision.detail.is_empty() { String::new() } else { format!(" ({})", decision.detail) };
        format!("in shadow mode: `{filter}` would have refused it with {}{detail}", decision.code)
    } else if decision.code == CLIENT_LEFT {
        "the client left before the answer ended".to_owned()
    } else if !decision.code.is_empty() {
        format!("what the {filter} found did not refuse it")
    } else {
        return;
    };
    explained.reason = if explained.reason.is_empty() { more } else { format!("{}; {more}", explained.reason) };
}

fn by_policy(decision: &Decision, sources: &Sources<'_>, explained: &mut Explained) {
    match decision.code {
        "policy.unknown_route" => {
            explained.rule = "route table".to_owned();
            explained.needed = "nothing that can be configured: what no route table lists is always refused".to_owned();
        }
        "policy.no_route" => {
            explained.rule = format!("routes ({})", decision.detail);
            explained.needed = "a rule under `routes:` in the config that leads this class to an upstream".to_owned();
        }
        "policy.route_denied" | "policy.model_denied" | "policy.egress_denied" | "policy.expired" => {
            if decision.detail.starts_with("the scope of") {
                (explained.rule, explained.needed) = credentials::too_narrow(decision);
            } else {
                denied(decision, sources, explained);
            }
        }
        "policy.field_denied" if decision.detail.starts_with("tools") => {
            explained.rule = decision.detail.clone();
            explained.needed =
                "the tool's name under `tools: {allow: […]}` of the rule that allows the request".to_owned();
            if let Some(line) = decision.allowed_by.as_deref().and_then(|rule| sources.policy.line_of(rule)) {
                at(explained, sources.policy, line);
            }
        }
        _ => {
            let route = decision.route.as_deref().unwrap_or("the route");
            explained.rule = format!("request schema of {route}");
            explained.needed = "a request that fits it; schemas are part of the release".to_owned();
        }
    }
}

/// Asks the policy again, as it was asked then.
fn denied(decision: &Decision, sources: &Sources<'_>, explained: &mut Explained) {
    let (Some(caller), Some(route)) = (&decision.caller, &decision.route) else {
        explained.rule.clone_from(&decision.detail);
        return;
    };
    let mut holder = caller;
    while let Some(delegator) = &holder.delegator {
        holder = delegator;
    }
    // The canonical form is canonical for every kind of server but Ollama as it stands.
    let model = (!decision.model.is_empty()).then(|| ModelName::canonical(&decision.model, UpstreamKind::Ollama).ok());
    let model = model.flatten();
    let known = RouteClass::ALL.into_iter().find(|class| class.as_str() == decision.route_class);
    let leaves = decision.code == "policy.egress_denied" && !model.as_ref().is_some_and(ModelName::is_cloud);
    let class = if leaves { RouteClass::Egress } else { known.unwrap_or(RouteClass::Inference) };
    let ask = Ask {
        name: holder.name.as_deref(),
        profile: holder.profile.as_deref(),
        claims: holder.claims.as_deref(),
        model: model.as_ref().filter(|_| !leaves),
        now: decision.timestamp.as_second(),
        ..Ask::new(&holder.identity, holder.method, class, route)
    }
    .with(sources.grants);
    let said = sources.policy.explain(&ask);
    if said.allowed {
        explained.rule.clone_from(&decision.detail);
        explained.remark = Some("the policy or the grants have changed since: asked now, they allow it".to_owned());
        return;
    }
    explained.rule = said.by.unwrap_or_else(|| "no rule allows it".to_owned());
    explained.reason = said.reason;
    explained.needed = said.needed;
    explained.near = said
        .near
        .into_iter()
        .map(|near| NearRule {
            rule: near.rule,
            line: near.line,
            misses: near.misses.into_iter().map(str::to_owned).collect(),
        })
        .collect();
    if said.line > 0 {
        at(explained, sources.policy, said.line);
    }
}

fn by_another(decision: &Decision, filter: &str, explained: &mut Explained) {
    let detail = decision.detail.as_str();
    explained.rule = detail.strip_prefix("rule ").unwrap_or(detail).to_owned();
    explained.needed = match (filter, decision.code) {
        ("firewall", "firewall.internal") => "a text that takes less work to judge".to_owned(),
        ("firewall", _) => "a text without it, or another `filters.firewall` setting".to_owned(),
        ("sca", "sca.unavailable") => {
            "an advisory database that can be read and is young enough: `portcullis osv status`".to_owned()
        }
        ("sca", _) => "an answer without that dependency, or in a version that is mended".to_owned(),
        ("schema", "policy.no_route") => "a model that serves the tools: `filters.schema.tools.model`".to_owned(),
        ("schema", "schema.request") => "a request that fits its schema".to_owned(),
        ("schema", "schema.replayed") => "a new `caller_nonce` for every request".to_owned(),
        ("schema", "schema.response" | "schema.not_json") if decision.message.contains(" was cut off ") => {
            "more tokens for the answer, or a request for less".to_owned()
        }
        ("schema", "schema.response" | "schema.not_json") => {
            "a model that answers in the shape that was asked for; `filters.schema.repair` asks it again".to_owned()
        }
        ("schema", _) => "a model that answers in the shape that was asked for".to_owned(),
        ("request", "request.unsupported_media") => media(&decision.message).to_owned(),
        ("request", _) => "a request that is well-formed and within the gate's limits".to_owned(),
        ("upstream", _) => "a model server that answers as it should".to_owned(),
        _ => "a look into the gate's own log".to_owned(),
    };
}

/// The header that a request lacks, by what its sender was told.
fn media(message: &str) -> &'static str {
    if message.contains("Content-Encoding") {
        "the header `Content-Encoding: gzip` or `zstd`, as the body is packed, or none for a plain body"
    } else if message.contains("multipart/form-data") {
        "the header `Content-Type: multipart/form-data; boundary=…`"
    } else if message.is_empty() {
        "the header `Content-Type: application/json` (for an upload, `multipart/form-data`), and no \
         `Content-Encoding` but `gzip` or `zstd`"
    } else {
        "the header `Content-Type: application/json`"
    }
}

fn at(explained: &mut Explained, policy: &Policy, line: u64) {
    explained.file = Some(policy.file().to_owned());
    explained.line = Some(line);
}

/// The caller of an entry of the audit log, as far as the log and the trust store know it.
pub(crate) fn caller_of(
    node_id: &str,
    method: &str,
    peer: Option<&Entry>,
) -> Option<portcullis_filters::exchange::Caller> {
    use portcullis_policies::IdentityMethod;
    let identity = Identity::parse(node_id).ok()?;
    let method = IdentityMethod::ALL.into_iter().find(|known| known.as_str() == method)?;
    Some(portcullis_filters::exchange::Caller {
        name: peer.and_then(|p| p.name.as_deref()).map(Into::into),
        profile: peer.and_then(|p| p.profile.as_deref()).map(Into::into),
        ..portcullis_filters::exchange::Caller::new(identity, method)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(decision: &Decision) -> String {
        let (policy, grants) = (Policy::nothing(), Grants::default());
        explain(decision, &Sources { policy: &policy, grants: &grants, peer: None }).reason
    }

    fn passed(filter: &'static str, code: &'static str) -> Decision {
        Decision { policy_decision: "ALLOW", filter, code, ..Decision::default() }
    }

    #[test]
    fn a_caller_is_called_as_the_operator_does() {
        let (policy, grants) = (Policy::nothing(), Grants::default());
        let peer: Entry = serde_json::from_value(serde_json::json!({
            "id": "peer:a", "name": "alice", "fingerprint": "aa:bb", "state": "approved", "first_seen": "",
        }))
        .unwrap();
        let decision = Decision { node_id: "peer:a".to_owned(), ..passed("", "") };
        let name =
            |decision: &Decision, peer| explain(decision, &Sources { policy: &policy, grants: &grants, peer }).name;
        assert_eq!(name(&decision, None), None);
        assert_eq!(name(&decision, Some(&peer)).as_deref(), Some("alice"));
        let then = Decision { name: Some("anna".into()), ..decision };
        assert_eq!(name(&then, Some(&peer)).as_deref(), Some("anna"), "as it was then");
    }

    #[test]
    fn only_what_a_shadow_refused_is_told_as_that() {
        let told = passed("firewall", "firewall.injection");
        assert_eq!(reason(&told), "what the firewall found did not refuse it");
        let by = Decision { allowed_by: Some("all".into()), ..told.clone() };
        assert_eq!(reason(&by), "`all` allows it; what the firewall found did not refuse it");
        let tried = Decision { shadow: true, ..passed("sca", "sca.vulnerable") };
        assert_eq!(reason(&tried), "in shadow mode: `sca` would have refused it with sca.vulnerable");
        let tried = Decision { detail: "GHSA-1".to_owned(), allowed_by: Some("all".into()), ..tried };
        let said = "`all` allows it; in shadow mode: `sca` would have refused it with sca.vulnerable (GHSA-1)";
        assert_eq!(reason(&tried), said);
        assert_eq!(reason(&passed("request", CLIENT_LEFT)), "the client left before the answer ended");
        assert_eq!(reason(&passed("", "")), "");
    }
}
