//! What becomes of a finding: the rule's own word, the config's, and the policy's.

use portcullis_firewall::{Action, Direction, Kind, Rule};
use portcullis_policies::policy::Handling;

use super::settings::{FirewallSettings, RuleAction, Watchfulness};

/// What is done about findings, by the settings.
pub(super) struct Stance {
    settings: FirewallSettings,
}

/// What is done about a finding, and whether anybody said so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Decision {
    pub(super) action: Action,
    /// Nobody named the rule or its kind: its level alone decided. Nothing is ever taken out by level.
    pub(super) by_level: bool,
}

impl Decision {
    /// Whether the finding passes where its secret is taken out with another one: what is to be kept in is its
    /// level, and that is not there any more.
    pub(super) fn yields(self) -> bool {
        self.by_level && self.action == Action::Block
    }

    /// Somebody's word.
    const fn said(action: Action) -> Self {
        Self { action, by_level: false }
    }

    const fn by_level(action: Action) -> Self {
        Self { action, by_level: true }
    }
}

impl Stance {
    pub(super) fn new(settings: FirewallSettings) -> Self {
        Self { settings }
    }

    /// What is done about a finding of this rule in a text that goes `way`, and whether anybody said so; `None`
    /// where it is nobody's business.
    pub(super) fn decide(&self, rule: &Rule, way: Direction) -> Option<Decision> {
        let decision = self.least(rule, self.configured(rule))?;
        // A model writes paths all day: in answers, structure is only told.
        let only_told = way == Direction::Response && rule.kind == Kind::Structural;
        Some(if only_told { Decision::said(Action::Flag) } else { decision })
    }

    /// The same, without who says so.
    pub(super) fn action(&self, rule: &Rule, way: Direction) -> Option<Action> {
        self.decide(rule, way).map(|decision| decision.action)
    }

    /// What the config says, or else the rule itself, or else its level.
    fn configured(&self, rule: &Rule) -> Option<Decision> {
        let settings = &self.settings;
        if let Some(action) = settings.actions.get(&*rule.id) {
            return Some(Decision::said((*action).into()));
        }
        let watchful = match rule.kind {
            Kind::Secret => None,
            // It is in force because the config or the policy wants it.
            Kind::Pii => return handled(settings.pii).map(Decision::said),
            Kind::Injection => settings.injection.action,
            Kind::Structural => settings.structural,
        };
        match watchful {
            Some(Watchfulness::Off) => None,
            Some(Watchfulness::Flag) => Some(Decision::said(Action::Flag)),
            Some(Watchfulness::Block) => Some(Decision::said(Action::Block)),
            None => Some(rule.action.map_or(by_level(rule.level >= settings.block_at), Decision::said)),
        }
    }

    /// The stricter of what the config says and what the policy asks for at least. What is taken out is not
    /// there any more: the policy's level has nothing against it.
    fn least(&self, rule: &Rule, configured: Option<Decision>) -> Option<Decision> {
        let floor = self.settings.floor;
        let kind = floor.pii.filter(|_| rule.kind == Kind::Pii).and_then(handled).map(Decision::said);
        let strictest = stricter(configured, kind);
        let above = floor.block_at.is_some_and(|level| rule.level >= level);
        let passes = matches!(strictest.map(|decision| decision.action), None | Some(Action::Flag));
        if above && passes { Some(Decision::by_level(Action::Block)) } else { strictest }
    }
}

fn stricter(one: Option<Decision>, other: Option<Decision>) -> Option<Decision> {
    let strictness = |decision: Option<Decision>| match decision.map(|decision| decision.action) {
        None => 0,
        Some(Action::Flag) => 1,
        Some(Action::Redact) => 2,
        Some(Action::Block) => 3,
    };
    if strictness(other) > strictness(one) { other } else { one }
}

fn by_level(blocks: bool) -> Decision {
    Decision::by_level(if blocks { Action::Block } else { Action::Flag })
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
    fn what_blocks_by_its_level_alone_yields() {
        let yields = |settings: &FirewallSettings, rule: &Rule| {
            Stance::new(settings.clone()).decide(rule, Direction::Request).unwrap().yields()
        };
        let usual = FirewallSettings::default();
        assert!(yields(&usual, &rule(Kind::Secret, L3, None)));
        assert!(!yields(&usual, &rule(Kind::Secret, L2, None)), "it does not block");
        assert!(!yields(&usual, &rule(Kind::Secret, L3, Some(Action::Block))), "its own word");
        let mut named = usual.clone();
        named.actions.insert("r".to_owned(), RuleAction::Block);
        assert!(!yields(&named, &rule(Kind::Secret, L3, None)), "the operator's word");
        let by_kind = FirewallSettings { structural: Some(Watchfulness::Block), ..usual.clone() };
        assert!(!yields(&by_kind, &rule(Kind::Structural, L3, None)));
        let floor = FirewallFloor { block_at: Some(L2), pii: Some(Handling::Block) };
        let mut floored = FirewallSettings { floor, ..usual };
        assert!(yields(&floored, &rule(Kind::Secret, L2, None)), "the policy's level is a level");
        assert!(!yields(&floored, &rule(Kind::Pii, L2, None)), "the policy's word on a kind is its word");
        assert!(!yields(&floored, &rule(Kind::Secret, L3, Some(Action::Block))));
        floored.actions.insert("r".to_owned(), RuleAction::Flag);
        assert!(yields(&floored, &rule(Kind::Secret, L3, None)), "told by the config, blocked by the policy's level");
    }

    #[test]
    fn structure_is_only_told_in_answers() {
        let set = FirewallSettings { structural: Some(Watchfulness::Block), ..FirewallSettings::default() };
        let stance = Stance::new(set);
        assert_eq!(stance.action(&rule(Kind::Structural, L2, None), Direction::Response), Some(Action::Flag));
        assert_eq!(stance.action(&rule(Kind::Structural, L2, None), Direction::Request), Some(Action::Block));
    }
}
