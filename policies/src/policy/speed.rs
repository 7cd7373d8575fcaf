//! How long a decision takes, beside looking at every rule in turn. Run it by `cargo xtask bench --policy`.

use std::hint::black_box;
use std::time::Instant;

use super::when::Hold;
use super::*;
use crate::class::{RouteClass, UpstreamKind};
use crate::identity::{Identity, IdentityMethod};
use crate::model::ModelName;

/// How many times a batch of decisions is measured; the median counts.
const ROUNDS: usize = 301;

/// Callers that the rules name, each in its own way, and some that none names.
struct Case {
    identity: Identity,
    name: Option<String>,
    profile: Option<String>,
    model: ModelName,
}

impl Case {
    fn ask(&self) -> Ask<'_> {
        Ask {
            name: self.name.as_deref(),
            profile: self.profile.as_deref(),
            model: Some(&self.model),
            now: 1_795_176_000,
            ..Ask::new(&self.identity, IdentityMethod::Mtls, RouteClass::Inference, "ollama.chat")
        }
    }
}

/// Rules as a large operator has them: most name callers, some everybody; some deny, some hold at times.
fn named(count: usize) -> Policy {
    let rules = (0..count).map(|n| {
        let who = match n % 5 {
            0 => format!("peer:node{n}"),
            1 => format!("name:user{n}"),
            2 => format!("profile:team{n}"),
            3 => format!("spiffe://td/ns/{n}/*"),
            _ => format!("key:ci{n}"),
        };
        match n % 50 {
            7 => {
                format!("  - {{name: r{n}, effect: deny, who: ['*'], classes: [inference], models: ['secret{n}*']}}\n")
            }
            9 => format!(
                "  - {{name: r{n}, effect: allow, who: ['{who}'], classes: [inference], when: {{hours: '00:00-23:59', \
                 days: [mon..sun], timezone: Europe/Berlin}}}}\n"
            ),
            _ => format!("  - {{name: r{n}, effect: allow, who: ['{who}'], classes: [inference, read]}}\n"),
        }
    });
    read(rules)
}

/// The worst there is: every rule is about everybody, each for a model of its own.
fn general(count: usize) -> Policy {
    let rule =
        |n| format!("  - {{name: r{n}, effect: allow, who: ['*'], classes: [inference], models: ['model{n}*']}}\n");
    read((0..count).map(rule))
}

fn read(rules: impl Iterator<Item = String>) -> Policy {
    Policy::parse(&format!("version: 1\nrules:\n{}", rules.collect::<String>()), "p.yaml").unwrap()
}

fn cases(count: usize) -> Vec<Case> {
    let mut cases = Vec::new();
    for n in (0..count).step_by((count / 64).max(1)) {
        let name = (n % 5 == 1).then(|| format!("user{n}"));
        let profile = (n % 5 == 2).then(|| format!("team{n}"));
        let identity = match n % 5 {
            3 => Identity::spiffe(&format!("spiffe://td/ns/{n}/sa/web")).unwrap(),
            4 => Identity::parse(&format!("key:ci{n}")).unwrap(),
            _ => Identity::peer(&format!("node{n}")),
        };
        let model = ModelName::canonical(&format!("model{n}:8b"), UpstreamKind::Ollama).unwrap();
        cases.push(Case { identity, name, profile, model });
    }
    let stranger = ModelName::canonical("other:8b", UpstreamKind::Ollama).unwrap();
    cases.push(Case { identity: Identity::peer("nobody"), name: None, profile: None, model: stranger });
    cases
}

/// Looks at every rule in turn, without an index.
fn in_turn(policy: &Policy, ask: &Ask<'_>) -> Option<u32> {
    let mut allowed = None;
    for (rule, n) in policy.rules.iter().zip(0u32..) {
        let covers = rule.classes.contains(&ask.class) && rule.covers_route(ask.route) && rule.fits(ask);
        if !rule.shadow && covers && rule.is_about(ask) && rule.hold(ask.now) == Hold::Now {
            if !rule.allows {
                return None;
            }
            allowed = allowed.or(Some(n));
        }
    }
    allowed
}

fn by_index<'a>(policy: &'a Policy, ask: &Ask<'a>) -> Option<u64> {
    match policy.decide(ask) {
        Decision::Allow(Allow { by: Basis::Rule(rule), .. }) => Some(rule.line),
        _ => None,
    }
}

/// The median time of one decision, in nanoseconds.
fn median<T>(cases: &[Case], decide: impl Fn(&Ask<'_>) -> T) -> f64 {
    let mut rounds: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let began = Instant::now();
            for case in cases {
                black_box(decide(black_box(&case.ask())));
            }
            began.elapsed().as_nanos() as f64 / cases.len() as f64
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    rounds[ROUNDS / 2]
}

#[test]
fn the_index_finds_what_looking_at_every_rule_finds() {
    for policy in [named(200), general(200)] {
        for case in cases(200) {
            let ask = case.ask();
            let first_rule = 3;
            assert_eq!(by_index(&policy, &ask), in_turn(&policy, &ask).map(|n| u64::from(n) + first_rule));
        }
    }
}

#[test]
#[ignore = "a measurement, for release builds: `cargo xtask bench --policy`"]
fn speed() {
    println!("{:>8}  {:<18} {:>12} {:>14} {:>8}", "rules", "about", "index ns", "in turn ns", "ratio");
    for count in [10, 100, 1_000, 10_000] {
        for (about, policy) in [("named callers", named(count)), ("everybody", general(count))] {
            let cases = cases(count);
            let index = median(&cases, |ask| by_index(&policy, &Ask { ..*ask }).is_some());
            let turn = median(&cases, |ask| in_turn(&policy, ask).is_some());
            println!("{count:>8}  {about:<18} {index:>12.0} {turn:>14.0} {:>8.1}", turn / index);
        }
    }
}
