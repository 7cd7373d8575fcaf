//! The `sca` filter (software composition analysis): what dependencies an answer brings in, and whether they may come.
//!
//! 1. Every text of an answer is looked through for dependencies: commands, manifests, imports (`portcullis_dependencies`);
//!    what a tool declares counts, too.
//! 2. Each is looked up: what advisories say of it, and whether its registry knows it ([`Advisories`]).
//! 3. What is malicious, or as bad as the operator says, ends the answer before the line that names it has left; the
//!    rest is told.
//!
//! What cannot be looked up is not let through, unless the operator says so.

use std::sync::Arc;

use crate::exchange::{Facts, Head};
use crate::filter::{Filter, Phase, Watch};
use crate::gate::AnswerShape;
use crate::schema::Bound;
use crate::verdict::FilterError;

mod declared;
mod dossier;
mod doubt;
mod judge;
mod settings;
#[cfg(test)]
mod tests;
mod text;
mod texts;
mod watch;
mod weighing;

pub use dossier::{Advisories, Dossier, Lookup, Standing, Told, Unavailable};
pub use doubt::Doubt;
pub use judge::{Finding, Judge, Reason, ScaObserver};
pub use settings::{Handling, ScaSettings};

/// The filter.
pub struct Sca {
    judge: Arc<Judge>,
}

impl Sca {
    /// A filter that judges so, by what these know.
    #[must_use]
    pub fn new(settings: ScaSettings, advisories: Arc<dyn Advisories>, observer: Arc<dyn ScaObserver>) -> Self {
        Self { judge: Arc::new(Judge::new(settings, advisories, observer)) }
    }
}

#[cfg(test)]
impl Sca {
    /// An eye on an answer of no tool.
    pub(crate) fn eye(&self) -> Box<dyn Watch> {
        Box::new(watch::AnswerWatch::new(Arc::clone(&self.judge), false))
    }
}

impl Filter for Sca {
    fn name(&self) -> &'static str {
        "sca"
    }

    fn phases(&self) -> &'static [Phase] {
        &[Phase::Reply]
    }

    fn watch(&self, head: &Head, facts: &Facts, _: &AnswerShape) -> Result<Option<Box<dyn Watch>>, FilterError> {
        // Lists and liveness name models, not packages.
        if head.route.class != portcullis_policies::RouteClass::Inference {
            return Ok(None);
        }
        let is_tool = matches!(facts.bound().map(AsRef::as_ref), Some(Bound::Call(_)));
        Ok(Some(Box::new(watch::AnswerWatch::new(Arc::clone(&self.judge), is_tool))))
    }
}
