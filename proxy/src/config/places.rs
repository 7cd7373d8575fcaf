//! Where the config file is, and what it names whatever else is wrong with it.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{Granting, written};

/// The config file: the one that was named, else `$PORTCULLIS_CONFIG`, else `./portcullis.yaml`, else
/// `/etc/portcullis/portcullis.yaml`.
///
/// # Errors
/// A sentence with every place that was looked at.
pub(crate) fn find(named: Option<&Path>) -> Result<PathBuf, String> {
    if let Some(path) = named {
        return Ok(path.to_owned());
    }
    if let Some(path) = std::env::var_os("PORTCULLIS_CONFIG").filter(|p| !p.is_empty()) {
        return Ok(path.into());
    }
    let usual = ["./portcullis.yaml", "/etc/portcullis/portcullis.yaml"];
    usual.iter().map(PathBuf::from).find(|path| path.exists()).ok_or_else(|| {
        format!(
            "there is no config: looked at $PORTCULLIS_CONFIG, {}. `portcullis init` makes one, `--config FILE` names one",
            usual.join(", ")
        )
    })
}

/// The state directory that a config names, whatever else is wrong with it. `None` when there is none.
pub(crate) fn state_of(file: &Path) -> Option<PathBuf> {
    #[derive(Default, serde::Deserialize)]
    struct Lean {
        #[serde(default)]
        node: LeanNode,
    }
    #[derive(Default, serde::Deserialize)]
    struct LeanNode {
        state: Option<String>,
    }
    let lean: Lean = serde_saphyr::from_str(&std::fs::read_to_string(file).ok()?).unwrap_or_default();
    let folder = std::path::absolute(file).ok()?.parent()?.to_owned();
    let state: PathBuf = folder.join(lean.node.state.as_deref().unwrap_or("./state")).components().collect();
    state.is_dir().then_some(state)
}

/// Whether the grants are this gate's own, whatever else is wrong with the config.
pub(crate) fn grants_are_local(file: &Path) -> bool {
    std::fs::read_to_string(file).is_ok_and(|text| keeps_grants_local(&text))
}

fn keeps_grants_local(text: &str) -> bool {
    match serde_saphyr::from_str::<written::Config>(text) {
        Ok(written) => written.filters.policy.grants.unwrap_or_default() == Granting::Local,
        // Where a key is misspelt it may be the one that shares them.
        Err(_) => serde_saphyr::from_str::<Value>(text).is_ok_and(|value| !says_shared(&value)),
    }
}

fn says_shared(value: &Value) -> bool {
    match value {
        Value::String(word) => word.trim().eq_ignore_ascii_case("shared"),
        Value::Array(values) => values.iter().any(says_shared),
        Value::Object(values) => values.values().any(says_shared),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grants_are_local_where_nothing_else_can_be_meant() {
        for (text, local) in [
            ("", true),
            ("filters: {policy: {grants: local}, ratelimit: {store: shared}}", true),
            ("filters: {signature: {store: {url: 'redis://localhost', password: '${NOT_SET}'}}}", true),
            ("gat: {}", true),
            ("filters: {policy: {grants: shared}}", false),
            ("gat: {}\nfilters: {policy: {grants: shared}}", false),
            ("filters: {polcy: {grants: Shared}}", false),
            ("filtres: [{policy: {grants: shared}}]", false),
            ("filters: {policy: {grants: local}, ratelimt: {store: shared}}", false),
            ("filters: {policy: {grants: sharde", false),
        ] {
            assert_eq!(keeps_grants_local(&format!("upstreams: {{}}\n{text}\n")), local, "{text}");
        }
    }
}
