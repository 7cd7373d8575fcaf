//! Lists of models show a caller only what it may use.

use std::sync::Arc;

use bytes::Bytes;
use portcullis_policies::UpstreamKind;
use portcullis_policies::model::{ModelMatcher, ModelName};
use portcullis_policies::routes::Route;

use crate::filter::Watch;
use crate::frame::{Frame, FrameBody};
use crate::json::Json;
use crate::verdict::{Outcome, Verdict};

/// Takes out of a model list what the caller may not use.
pub(super) struct ListWatch {
    route: Arc<Route>,
    models: Arc<ModelMatcher>,
    kind: UpstreamKind,
}

impl ListWatch {
    pub(super) fn new(route: Arc<Route>, models: Arc<ModelMatcher>, kind: UpstreamKind) -> Self {
        Self { route, models, kind }
    }

    /// Whether an entry may be shown: every name it carries must be granted, and it must carry one.
    fn shows(&self, entry: &Json<'_>, names: &[Arc<str>]) -> bool {
        let given: Vec<_> = names.iter().filter_map(|name| entry.get(name).and_then(Json::as_str)).collect();
        !given.is_empty()
            && given
                .iter()
                .all(|raw| ModelName::canonical(raw, self.kind).is_ok_and(|model| self.models.matches(&model)))
    }
}

impl Watch for ListWatch {
    fn frame(&mut self, _: u64, frame: &Frame<'_>) -> Outcome<Bytes> {
        let FrameBody::Json(json) = &frame.body else { return Ok(Verdict::Pass) };
        let mut filtered = None;
        for list in &self.route.lists {
            let Some(entries) = json.get(&list.array).and_then(Json::as_array) else { continue };
            if entries.iter().all(|entry| self.shows(entry, &list.names)) {
                continue;
            }
            let whole: &mut Json<'_> = filtered.get_or_insert_with(|| (*json).clone());
            if let Some(Json::Array(entries)) = whole.get_mut(&list.array) {
                entries.retain(|entry| self.shows(entry, &list.names));
            }
        }
        Ok(filtered.map_or(Verdict::Pass, |whole| Verdict::Replace(whole.to_bytes().into())))
    }

    fn replaces(&self) -> bool {
        true
    }
}
