//! The firewall's rules, compiled once for as long as nothing changes them.

use std::sync::{Arc, Mutex, PoisonError};

use portcullis_firewall::Rules;

use crate::config::{ConfigError, FirewallConfig};

/// The most rules that are named in the log as not in force.
const NAMED: usize = 20;

/// The rules in force, and what they were compiled from. It outlives a reload.
#[derive(Default)]
pub(crate) struct RuleBook(Mutex<Option<(FirewallConfig, Arc<Rules>)>>);

impl RuleBook {
    /// The rules of a config.
    ///
    /// # Errors
    /// When its rule files do not hold. The rules that were compiled before stay.
    pub(crate) fn rules(&self, config: &FirewallConfig) -> Result<Arc<Rules>, ConfigError> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, rules)) = kept.as_ref().filter(|(known, _)| known.same_rules(config)) {
            return Ok(Arc::clone(rules));
        }
        let rules = Arc::new(config.compile()?);
        let report = rules.report();
        for inactive in report.inactive.iter().take(NAMED) {
            tracing::warn!("A firewall rule is not in force: {inactive}");
        }
        if report.inactive.len() > NAMED {
            let more = report.inactive.len() - NAMED;
            tracing::warn!(more, "More firewall rules are not in force; `portcullis check` names them.");
        }
        for unknown in report.unknown_keys.iter().take(NAMED) {
            tracing::warn!("A rule file of the firewall has a key that does nothing: {unknown}");
        }
        tracing::info!(rules = report.active, "The firewall's rules are compiled.");
        *kept = Some((config.clone(), Arc::clone(&rules)));
        Ok(rules)
    }
}
