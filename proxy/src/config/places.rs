//! Where the config file is, and what it names whatever else is wrong with it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{Config, Granting, written};

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

/// Where a running gate is asked, and what it keeps: so much is to be had of a config that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Running {
    /// The config file.
    pub(crate) file: PathBuf,
    pub(crate) state: PathBuf,
    /// The admin listener.
    pub(crate) admin: SocketAddr,
}

impl From<&Config> for Running {
    fn from(config: &Config) -> Self {
        Self { file: config.file.clone(), state: config.node.state.clone(), admin: config.admin.listen }
    }
}

impl Running {
    /// What a config names whatever else is wrong with it. `None` where it cannot be read, or where what it says
    /// of these two does not hold: the token of the admin listener is not shown to a port that was guessed.
    pub(crate) fn of(file: &Path) -> Option<Self> {
        #[derive(serde::Deserialize)]
        struct Lean {
            #[serde(default)]
            node: Node,
            #[serde(default)]
            admin: Admin,
        }
        #[derive(Default, serde::Deserialize)]
        struct Node {
            state: Option<String>,
        }
        #[derive(Default, serde::Deserialize)]
        struct Admin {
            listen: Option<String>,
        }
        let lean: Lean = serde_saphyr::from_str(&std::fs::read_to_string(file).ok()?).ok()?;
        let file = std::path::absolute(file).ok()?;
        let state: PathBuf =
            file.parent()?.join(lean.node.state.as_deref().unwrap_or("./state")).components().collect();
        let admin = match lean.admin.listen.as_deref().map(|text| text.replacen("localhost:", "127.0.0.1:", 1)) {
            None => ADMIN.into(),
            Some(text) => text.parse().ok()?,
        };
        (state.is_dir() && SocketAddr::ip(&admin).is_loopback()).then_some(Self { file, state, admin })
    }
}

/// Where the admin listener is unless something else is said.
pub(crate) const ADMIN: ([u8; 4], u16) = ([127, 0, 0, 1], 9901);

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
    fn where_a_gate_is_asked_is_known_of_a_config_that_does_not_hold() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("p.yaml");
        let of = |text: &str| {
            std::fs::write(&file, text).unwrap();
            Running::of(&file).map(|running| (running.state, running.admin.to_string()))
        };
        assert_eq!(of("nod: {}\n"), None, "there is no state");
        std::fs::create_dir_all(folder.path().join("state")).unwrap();
        std::fs::create_dir_all(folder.path().join("kept")).unwrap();
        let usual = Some((folder.path().join("state"), "127.0.0.1:9901".to_owned()));
        for text in ["", "nod: {}\n", "gate: {listen: nowhere}\nchain: [polcy]\n"] {
            assert_eq!(of(text), usual, "{text}");
        }
        let said = of("node: {state: ./kept, nam: x}\nadmin: {listen: 'localhost:9', x: 1}\nupstreams: 5\n");
        assert_eq!(said, Some((folder.path().join("kept"), "127.0.0.1:9".to_owned())));
        for text in ["node: [", "admin: {listen: 192.0.2.1:9901}\n", "admin: {listen: here}\n", "node: {state: gone}\n"]
        {
            assert_eq!(of(text), None, "{text}");
        }
    }

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
