//! What becomes of a finding: the rule's own word, the config's, and the policy's.

use portcullis_firewall::{Action, Direction, Kind, Rule};
use portcullis_policies::policy::Handling;

use super::settings::{FirewallSettings, RuleAction, Watchfulness};

/// What is done about findings, by the settings.
pub(super) struct Stance {
    settings: FirewallSettings,
}

impl Stance {
    pub(super) fn new(settings: FirewallSettings) -> Self {
        Self { settings }
    }

    /// What is done about a finding of this rule in a text that goes `way`; `None` where it is nobody's
    /// business.
    pub(super) fn action(&self, rule: &Rule, way: Direction) -> Option<Action> {
        let action = self.least(rule, self.configured(rule))?;
        // A model writes paths all day: in answers, structure is only told.
        let only_told = way == Direction::Response && rule.kind == Kind::Structural;
        Some(if only_told { Action::Flag } else { action })
    }

    /// What the config says, or else the rule itself, or else its level.
    fn configured(&self, rule: &Rule) -> Option<Action> {
        let settings = &self.settings;
        if let Some(action) = settings.actions.get(&*rule.id) {
            return Some((*action).into());
        }
        let watchful = match rule.kind {
            Kind::Secret => None,
            // It is in force because the config or the policy wants it.
            Kind::Pii => return handled(settings.pii),
            Kind::Injection => settings.injection.action,
            Kind::Structural => settings.structural,
        };
        match watchful {
            Some(Watchfulness::Off) => None,
            Some(Watchfulness::Flag) => Some(Action::Flag),
            Some(Watchfulness::Block) => Some(Action::Block),
            None => Some(rule.action.unwrap_or(by_level(rule.level >= settings.block_at))),
        }
    }

    /// The stricter of what the config says and what the policy asks for at least. What is taken out is not
    /// there any more: the policy's level has nothing against it.
    fn least(&self, rule: &Rule, configured: Option<Action>) -> Option<Action> {
        let floor = self.settings.floor;
        let kind = floor.pii.filter(|_| rule.kind == Kind::Pii).and_then(handled);
        let strictest = stricter(configured, kind);
        let above = floor.block_at.is_some_and(|level| rule.level >= level);
        if above && strictest != Some(Action::Redact) { Some(Action::Block) } else { strictest }
    }
}

fn stricter(one: Option<Action>, other: Option<Action>) -> Option<Action> {
    let strictness = |action| match action {
        None => 0,
        Some(Action::Flag) => 1,
        Some(Action::Redact) => 2,
        Some(Action::Block) => 3,
    };
    if strictness(other) > strictness(one) { other } else { one }
}

fn by_level(blocks: bool) -> Action {
    if blocks { Action::Block } else { Action::Flag }
}

fn handled(handling: Handling) -> Option<Action> {
    match handling {
        Handling::Off => None,
        Handling::Flag => Some(Action::Flag),
        Handling::Redact => Some(Action::Redact),
        Handling::Block => Some(Action::Block),
    }
}

impl From<RuleAction> for Action {
    fn from(action: RuleAction) -> Self {
        match action {
            RuleAction::Block => Self::Block,
            RuleAction::Flag => Self::Flag,
            RuleAction::Redact => Self::Redact,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::settings::InjectionSettings;
    use super::*;
    use portcullis_policies::DataLevel::{self, L2, L3, L4};
    use portcullis_policies::policy::FirewallFloor;

    fn rule(kind: Kind, level: DataLevel, action: Option<Action>) -> Rule {
        Rule { id: "r".into(), description: "".into(), kind, level, action, direction: Direction::Both }
    }

    fn said(settings: &FirewallSettings, rule: &Rule) -> Option<Action> {
        Stance::new(settings.clone()).action(rule, Direction::Request)
    }

    #[test]
    fn the_nearest_word_counts_and_else_the_level() {
        let usual = FirewallSettings::default();
        for (kind, level, own, action) in [
            (Kind::Secret, L4, None, Some(Action::Block)),
            (Kind::Secret, L3, None, Some(Action::Block)),
            (Kind::Secret, L2, None, Some(Action::Flag)),
            (Kind::Secret, L4, Some(Action::Redact), Some(Action::Redact)),
            (Kind::Injection, L2, None, Some(Action::Flag)),
            (Kind::Structural, L2, None, Some(Action::Flag)),
            (Kind::Pii, L2, None, None),
        ] {
            assert_eq!(said(&usual, &rule(kind, level, own)), action, "{kind:?} {level} {own:?}");
        }
        let mut set = usual.clone();
        set.actions.insert("r".to_owned(), RuleAction::Flag);
        assert_eq!(said(&set, &rule(Kind::Secret, L4, Some(Action::Block))), Some(Action::Flag));
        let set = FirewallSettings { pii: Handling::Redact, structural: Some(Watchfulness::Off), ..usual.clone() };
        assert_eq!(said(&set, &rule(Kind::Pii, L2, None)), Some(Action::Redact));
        assert_eq!(said(&set, &rule(Kind::Structural, L4, None)), None);
        let injection = InjectionSettings { threshold: 50, action: Some(Watchfulness::Block) };
        let set = FirewallSettings { injection, ..usual };
        assert_eq!(said(&set, &rule(Kind::Injection, L2, None)), Some(Action::Block));
    }

    #[test]
    fn the_stricter_of_config_and_policy_counts() {
        let floor = FirewallFloor { block_at: Some(L2), pii: Some(Handling::Block) };
        let mut set = FirewallSettings { floor, structural: Some(Watchfulness::Off), ..FirewallSettings::default() };
        assert_eq!(said(&set, &rule(Kind::Structural, L2, None)), Some(Action::Block));
        assert_eq!(said(&set, &rule(Kind::Injection, L2, None)), Some(Action::Block));
        assert_eq!(said(&set, &rule(Kind::Injection, DataLevel::L1, None)), Some(Action::Flag));
        assert_eq!(said(&set, &rule(Kind::Pii, L2, None)), Some(Action::Block));
        assert_eq!(said(&set, &rule(Kind::Secret, L4, Some(Action::Redact))), Some(Action::Redact));
        set.floor = FirewallFloor { block_at: None, pii: Some(Handling::Flag) };
        set.pii = Handling::Redact;
        assert_eq!(said(&set, &rule(Kind::Pii, L2, None)), Some(Action::Redact));
    }

    #[test]
    fn structure_is_only_told_in_answers() {
        let set = FirewallSettings { structural: Some(Watchfulness::Block), ..FirewallSettings::default() };
        let stance = Stance::new(set);
        assert_eq!(stance.action(&rule(Kind::Structural, L2, None), Direction::Response), Some(Action::Flag));
        assert_eq!(stance.action(&rule(Kind::Structural, L2, None), Direction::Request), Some(Action::Block));
    }
}
