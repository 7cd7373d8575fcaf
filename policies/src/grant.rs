//! Grants: rights that a person gave to one caller for a time, beside the policy.

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::class::RouteClass;
use crate::identity::Identity;
use crate::policy::Ask;
use crate::scope::Scope;

/// One grant, as it stands in the file and in `grants list --json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// Its own name: `g-` and letters.
    pub id: String,
    /// Who may.
    pub identity: String,
    /// What, when and how much. Other than the scope of a credential it names its classes: an empty
    /// list is none.
    pub scope: Scope,
    /// Since when, in Unix seconds.
    pub created: i64,
    /// When a person took it back, in Unix seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked: Option<i64>,
    /// The operator's own words.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
}

impl Grant {
    /// Whether a route lies within it. A class that it does not name does not.
    #[must_use]
    pub fn covers(&self, class: RouteClass, route: &str) -> bool {
        self.scope.classes.contains(&class) && self.scope.covers(class, route)
    }

    /// Whether the model that is asked for lies within it; all of them must where the server picks one.
    #[must_use]
    pub fn fits(&self, ask: &Ask<'_>) -> bool {
        match ask.model {
            None => !ask.any_model || self.scope.covers_every_model(),
            Some(model) => self.scope.covers_model(model),
        }
    }

    /// Whether it holds at this Unix second.
    #[must_use]
    pub fn holds_at(&self, now: i64) -> bool {
        self.revoked.is_none() && self.scope.holds_at(now)
    }

    /// Whether it has ended by this Unix second, by itself or because a person took it back.
    #[must_use]
    pub fn has_ended(&self, now: i64) -> bool {
        self.revoked.is_some() || self.scope.has_ended(now)
    }

    /// When it ended or will end, in Unix seconds.
    #[must_use]
    pub fn end(&self) -> Option<i64> {
        match (self.revoked, self.scope.until) {
            (Some(revoked), Some(until)) => Some(revoked.min(until)),
            (revoked, until) => revoked.or(until),
        }
    }
}

/// Grants, found by whom they are for.
#[derive(Clone, Debug, Default)]
pub struct Grants(HashMap<Box<str>, Vec<Arc<Grant>>>);

impl Grants {
    /// These grants. The order among one caller's stays.
    pub fn new(all: impl IntoIterator<Item = Grant>) -> Self {
        let mut by_caller: HashMap<Box<str>, Vec<Arc<Grant>>> = HashMap::new();
        for grant in all {
            by_caller.entry(grant.identity.as_str().into()).or_default().push(Arc::new(grant));
        }
        Self(by_caller)
    }

    /// Those of one caller, also those that have ended.
    #[must_use]
    pub fn of(&self, identity: &Identity) -> &[Arc<Grant>] {
        self.0.get(identity.as_str()).map_or(&[], Vec::as_slice)
    }
}
