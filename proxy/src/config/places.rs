//! Where the config file is.

use std::path::{Path, PathBuf};

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
