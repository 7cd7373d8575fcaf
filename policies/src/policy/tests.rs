use proptest::prelude::*;

use super::when::Hold;
use super::*;
use crate::claims::Claims;
use crate::class::{RouteClass, UpstreamKind};
use crate::grant::{Grant, Grants};
use crate::identity::{Identity, IdentityMethod};
use crate::model::ModelName;
use crate::scope::Scope;

/// 2026-11-20T12:00:00Z, a Friday.
const FRIDAY_NOON: i64 = 1_795_176_000;

fn policy(rules: &str) -> Policy {
    parsed(&format!("version: 1\nrules:\n{rules}"))
}

fn parsed(text: &str) -> Policy {
    Policy::parse(text, "p.yaml")
        .unwrap_or_else(|e| panic!("{}\n{text}", e.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")))
}

fn model(raw: &str) -> ModelName {
    ModelName::canonical(raw, UpstreamKind::Ollama).unwrap()
}

/// A decision in one line: what, and by whom.
fn told(decision: &Decision<'_>) -> String {
    let by = |by: Basis<'_>| match by {
        Basis::Grant(grant) => grant.id.clone(),
        Basis::Rule(rule) => rule.name.to_string(),
    };
    match decision {
        Decision::Allow(allow) => format!("allow {}", by(allow.by)),
        Decision::Deny(deny) => format!("{:?} {}", deny.denial, deny.by.map_or("-".to_owned(), by)),
    }
}

/// What a caller `peer:abc`, called alice, is told.
fn alice(policy: &Policy, class: RouteClass, of: Option<&str>) -> String {
    let (identity, model) = (Identity::peer("abc"), of.map(model));
    let ask = Ask { name: Some("alice"), model: model.as_ref(), ..ask(&identity, class) };
    told(&policy.decide(&ask))
}

fn ask(identity: &Identity, class: RouteClass) -> Ask<'_> {
    Ask { now: FRIDAY_NOON, ..Ask::new(identity, IdentityMethod::Mtls, class, "ollama.chat") }
}

fn grant(id: &str, identity: &Identity, scope: Scope) -> Grant {
    Grant { id: id.to_owned(), identity: identity.to_string(), scope, created: 0, revoked: None, note: String::new() }
}

#[test]
fn nothing_means_no() {
    let none = parsed("version: 1\nrules: []\n");
    assert_eq!(alice(&none, RouteClass::Inference, Some("x")), "Route -");
    assert_eq!(alice(&none, RouteClass::Egress, None), "Egress -");
    assert_eq!(alice(&Policy::nothing(), RouteClass::Read, None), "Route -");
}

#[test]
fn the_default_runs_local_models_and_nothing_else() {
    let default = Policy::parse(DEFAULT, "default.yaml").unwrap();
    for (class, model, meant) in [
        (RouteClass::Inference, Some("llama3"), "allow approved-callers-run-local-models"),
        (RouteClass::Inference, None, "allow approved-callers-run-local-models"),
        (RouteClass::Read, None, "allow approved-callers-run-local-models"),
        (RouteClass::Inference, Some("x:cloud"), "Egress -"),
        (RouteClass::Admin, Some("llama3"), "Route -"),
        (RouteClass::Egress, None, "Egress -"),
        (RouteClass::Sensitive, None, "Route -"),
    ] {
        assert_eq!(alice(&default, class, model), meant, "{class:?} {model:?}");
    }
}

#[test]
fn shipped_profiles_mean_what_they_say() {
    let of = |file: &str| {
        let (_, text) = SHIPPED.iter().find(|(name, _)| *name == file).unwrap();
        Policy::parse(text, file).unwrap()
    };
    let identity = Identity::peer("abc");
    let night = FRIDAY_NOON + 12 * 3600;
    for (file, profile, class, now, meant) in [
        ("default.yaml", Some("chat"), RouteClass::Inference, FRIDAY_NOON, "allow profile-chat"),
        ("default.yaml", Some("read"), RouteClass::Read, FRIDAY_NOON, "allow profile-read"),
        ("default.yaml", Some("read"), RouteClass::Inference, FRIDAY_NOON, "Route -"),
        ("default.yaml", Some("other"), RouteClass::Read, FRIDAY_NOON, "Route -"),
        ("homelab.yaml", Some("guest"), RouteClass::Inference, FRIDAY_NOON, "allow guests-by-day"),
        ("homelab.yaml", Some("guest"), RouteClass::Inference, night, "Later guests-by-day"),
        ("homelab.yaml", Some("chat"), RouteClass::Inference, night, "allow household-runs-local-models"),
        ("strict.yaml", None, RouteClass::Inference, FRIDAY_NOON, "Route -"),
        ("strict.yaml", Some("read"), RouteClass::Read, FRIDAY_NOON, "allow readers-look-in-office-hours"),
        ("strict.yaml", Some("read"), RouteClass::Read, FRIDAY_NOON + 86_400, "Later readers-look-in-office-hours"),
        ("strict.yaml", Some("read"), RouteClass::Egress, FRIDAY_NOON, "Egress nobody-leaves-the-machine"),
    ] {
        let policy = of(file);
        let ask = Ask { profile, now, ..ask(&identity, class) };
        assert_eq!(told(&policy.decide(&ask)), meant, "{file} {profile:?} {class:?}");
    }
    let homelab = of("homelab.yaml");
    let ask = Ask { profile: Some("guest"), ..ask(&identity, RouteClass::Inference) };
    let Decision::Allow(allow) = homelab.decide(&ask) else { panic!("guests may not") };
    assert_eq!(allow.by.bounds(), Bounds { max_tokens: Some(1024), max_context: None });
    assert_eq!(allow.by.tools().map(|tools| (**tools).clone()), Some(Tools::Deny));
    let Basis::Rule(rule) = allow.by else { panic!("not a rule") };
    assert_eq!((rule.limits.concurrent, rule.limits.requests.map(|r| r.to_string())), (Some(1), Some("60/m".into())));
}

#[test]
fn an_explicit_no_wins() {
    let policy = policy(concat!(
        "  - {name: yes, effect: allow, who: ['*'], classes: [inference], models: ['*']}\n",
        "  - {name: not-this, effect: deny, who: ['name:alice'], classes: [inference], models: ['secret*']}\n",
    ));
    assert_eq!(alice(&policy, RouteClass::Inference, Some("tiny")), "allow yes");
    assert_eq!(alice(&policy, RouteClass::Inference, Some("secret:7b")), "Model not-this");
    assert_eq!(alice(&policy, RouteClass::Inference, None), "allow yes");
}

#[test]
fn rules_are_about_whom_they_name() {
    let mut claims = Claims::default();
    claims.insert("groups", vec!["staff".to_owned(), "Admins".to_owned()]);
    let peer = Identity::peer("abc");
    let workload = Identity::spiffe("spiffe://td/ns/chat/sa/web").unwrap();
    let person = Identity::parse("jwt:https://idp#Alice").unwrap();
    let plain = Ask { name: Some("alice"), ..ask(&peer, RouteClass::Read) };
    let profiled = Ask { profile: Some("guest"), ..plain };
    let spiffe = ask(&workload, RouteClass::Read);
    let jwt = Ask { claims: Some(&claims), method: IdentityMethod::Jwt, ..ask(&person, RouteClass::Read) };
    for (who, asks, allowed, denied) in [
        ("*", plain, true, true),
        ("peer:abc", plain, true, true),
        ("peer:*", plain, true, true),
        ("peer:abd", plain, false, false),
        ("name:Alice", plain, true, true),
        ("name:al*", plain, true, true),
        ("name:bob", plain, false, false),
        ("method:mtls", plain, true, true),
        ("method:jwt", plain, false, false),
        ("spiffe://td/*", plain, false, false),
        ("group:team", plain, true, true),
        ("group:others", plain, false, false),
        ("profile:guest", plain, false, false),
        ("claim:groups=admins", plain, false, false),
        // A caller with a profile is nobody's `*`, and is denied by it all the same.
        ("*", profiled, false, true),
        ("method:mtls", profiled, false, true),
        ("peer:*", profiled, false, true),
        ("name:*", profiled, false, true),
        ("profile:guest", profiled, true, true),
        ("profile:gu*", profiled, true, true),
        ("profile:staff", profiled, false, false),
        ("peer:abc", profiled, true, true),
        ("peer:a*", profiled, true, true),
        ("name:alice", profiled, true, true),
        ("group:team", profiled, true, true),
        ("spiffe://td/ns/chat/*", spiffe, true, true),
        ("spiffe://td/ns/other/*", spiffe, false, false),
        ("spiffe://TD/*", spiffe, false, false),
        ("claim:groups=admins", jwt, true, true),
        ("claim:groups=adm*", jwt, true, true),
        ("claim:roles=admins", jwt, false, false),
        ("jwt:https://idp#Alice", jwt, true, true),
        ("jwt:https://idp#alice", jwt, false, false),
    ] {
        for (effect, meant) in [("allow", allowed), ("deny", denied)] {
            let policy = parsed(&format!(
                "version: 1\ngroups: {{team: ['name:alice', 'key:ci'], others: ['name:bob']}}\nrules:\n  - {{name: r, \
                 effect: {effect}, who: ['{who}'], classes: [read]}}\n"
            ));
            let said = told(&policy.decide(&asks));
            let hit = said == "allow r" || said == "Route r";
            assert_eq!(hit, meant, "{effect} {who}: {said}");
        }
    }
}

#[test]
fn routes_and_models_can_be_named() {
    let policy = policy(
        "  - {name: r, effect: allow, who: ['*'], classes: [inference], routes: ['ollama.embed'], models: ['*']}\n  - \
         {name: m, effect: allow, who: ['*'], classes: [read], models: ['llama3*']}\n",
    );
    assert_eq!(alice(&policy, RouteClass::Inference, Some("x")), "Route -");
    assert_eq!(alice(&policy, RouteClass::Read, Some("x")), "Model -");
    assert_eq!(alice(&policy, RouteClass::Read, Some("llama3.2:1b")), "allow m");
}

#[test]
fn what_has_ended_is_told_from_what_never_was() {
    let rules = policy(concat!(
        "  - {name: past, effect: allow, who: ['*'], classes: [read], when: {until: '2026-11-20T12:00:00Z'}}\n",
        "  - {name: soon, effect: allow, who: ['*'], classes: [admin], when: {from: '2026-11-20T12:00:01Z'}}\n",
        "  - {name: no-more, effect: deny, who: ['*'], classes: [inference], when: {until: '2026-11-20'}}\n",
        "  - {name: not-yet, effect: deny, who: ['*'], classes: [inference], when: {from: '2026-11-21'}}\n",
        "  - {name: yes, effect: allow, who: ['*'], classes: [inference]}\n",
    ));
    assert_eq!(alice(&rules, RouteClass::Read, None), "Expired past");
    assert_eq!(alice(&rules, RouteClass::Admin, None), "Later soon");
    assert_eq!(alice(&rules, RouteClass::Inference, None), "allow yes");
    let identity = Identity::peer("abc");
    let tomorrow = Ask { now: FRIDAY_NOON + 86_400, ..ask(&identity, RouteClass::Inference) };
    assert_eq!(told(&rules.decide(&tomorrow)), "Route not-yet", "a deny that begins to hold");
    let before = Ask { now: FRIDAY_NOON - 1, ..ask(&identity, RouteClass::Read) };
    assert_eq!(told(&rules.decide(&before)), "allow past");
}

#[test]
fn a_grant_gives_one_caller_a_right_for_a_time_and_a_deny_wins_over_it() {
    let rules = policy("  - {name: no, effect: deny, who: ['*'], classes: [inference], models: ['secret']}\n");
    let (abc, other) = (Identity::peer("abc"), Identity::peer("other"));
    let scope = Scope {
        classes: vec![RouteClass::Inference],
        until: Some(FRIDAY_NOON + 10),
        max_tokens: Some(7),
        ..Scope::default()
    };
    let grants = Grants::new([grant("g-1", &abc, scope.clone())]);
    let (tiny, secret, cloud) = (model("tiny"), model("secret"), model("x:cloud"));
    let asks = |identity, model, now| Ask { model, now, ..ask(identity, RouteClass::Inference) }.with(&grants);
    for (identity, model, now, meant) in [
        (&abc, Some(&tiny), FRIDAY_NOON, "allow g-1"),
        (&abc, None, FRIDAY_NOON + 9, "allow g-1"),
        (&abc, Some(&tiny), FRIDAY_NOON + 10, "Expired g-1"),
        (&abc, Some(&secret), FRIDAY_NOON, "Model no"),
        (&abc, Some(&cloud), FRIDAY_NOON, "Egress -"),
        (&other, Some(&tiny), FRIDAY_NOON, "Route -"),
    ] {
        assert_eq!(told(&rules.decide(&asks(identity, model, now))), meant, "{identity} {model:?} {now}");
    }
    let revoked = Grants::new([Grant { revoked: Some(5), ..grant("g-1", &abc, scope.clone()) }]);
    assert_eq!(told(&rules.decide(&ask(&abc, RouteClass::Inference).with(&revoked))), "Expired g-1");
    let wide = Scope { classes: vec![RouteClass::Inference, RouteClass::Egress], ..scope };
    let wide = Grants::new([grant("g-2", &abc, wide)]);
    let leaves = Ask { model: Some(&cloud), ..ask(&abc, RouteClass::Inference) }.with(&wide);
    assert_eq!(told(&rules.decide(&leaves)), "allow g-2");
}

#[test]
fn a_rule_in_shadow_is_noted_and_has_no_effect() {
    let policy = policy(concat!(
        "  - {name: yes, effect: allow, who: ['*'], classes: [inference]}\n",
        "  - {name: tried-no, effect: deny, mode: shadow, who: ['*'], classes: [inference], models: ['big*']}\n",
        "  - {name: tried-yes, effect: allow, mode: shadow, who: ['*'], classes: [admin]}\n",
    ));
    let (identity, big, tiny) = (Identity::peer("abc"), model("big"), model("tiny"));
    let shadow = |class, model| {
        let ask = Ask { model, ..ask(&identity, class) };
        match policy.decide(&ask) {
            Decision::Allow(Allow { shadow, .. }) => ("allow", shadow.map(|rule| rule.name.to_string())),
            Decision::Deny(Deny { shadow, .. }) => ("deny", shadow.map(|rule| rule.name.to_string())),
        }
    };
    assert_eq!(shadow(RouteClass::Inference, Some(&big)), ("allow", Some("tried-no".to_owned())));
    assert_eq!(shadow(RouteClass::Inference, Some(&tiny)), ("allow", None));
    assert_eq!(shadow(RouteClass::Admin, Some(&tiny)), ("deny", Some("tried-yes".to_owned())));
}

#[test]
fn an_explanation_names_the_rule_its_line_and_what_is_missing() {
    let text = concat!(
        "version: 1\n",
        "rules:\n",
        "  - {name: chat, effect: allow, who: ['name:bob'], classes: [inference]}\n",
        "  - name: no-pulls\n",
        "    effect: deny\n",
        "    who: ['*']\n",
        "    classes: [admin]\n",
    );
    let policy = parsed(text);
    let identity = Identity::peer("abc");
    let denied = policy.explain(&ask(&identity, RouteClass::Admin));
    assert_eq!((denied.by.as_deref(), denied.line), (Some("no-pulls"), 4));
    assert!(denied.needed.contains("explicit deny"), "{denied:?}");
    let nothing = policy.explain(&ask(&identity, RouteClass::Inference));
    assert_eq!((nothing.by.as_deref(), nothing.line), (None, 2));
    assert_eq!(nothing.near, [Near { rule: "chat".to_owned(), line: 3, misses: vec!["the caller"] }]);
    assert!(nothing.needed.contains("portcullis grants add peer:abc --routes inference"), "{nothing:?}");
    let allowed = policy.explain(&Ask { name: Some("bob"), ..ask(&identity, RouteClass::Inference) });
    assert_eq!((allowed.allowed, allowed.by.as_deref()), (true, Some("chat")));
}

const WHO: [&str; 14] = [
    "*",
    "peer:abc",
    "peer:a*",
    "peer:*",
    "key:ci",
    "name:alice",
    "name:al*",
    "name:*",
    "profile:chat",
    "profile:*",
    "method:mtls",
    "claim:groups=admins",
    "group:team",
    "spiffe://td/*",
];
const MODELS: [&str; 7] = ["*", "llama3*", "llama3:8b", "tiny", "?iny", "*:8b", "secret*"];
const CLASSES: [&str; 3] = ["inference", "read", "egress"];
const TIMES: [&str; 5] = [
    "",
    ", when: {until: '2026-11-20'}",
    ", when: {from: '2026-11-21'}",
    ", when: {hours: '11:00-13:00'}",
    ", when: {days: [sat..sun]}",
];

prop_compose! {
    fn rules()(rules in prop::collection::vec(
        (any::<bool>(), prop::collection::vec(0..WHO.len(), 1..3), 0..CLASSES.len(),
         prop::collection::vec(0..MODELS.len(), 1..3), 0..TIMES.len(), 0..8u8), 0..24)) -> Policy {
        let mut text = "version: 1\ngroups: {team: ['name:alice', 'key:ci']}\nrules:\n".to_owned();
        if rules.is_empty() {
            text = text.replace("rules:\n", "rules: []\n");
        }
        for (n, (allows, who, class, models, time, seldom)) in rules.into_iter().enumerate() {
            let list = |all: &[&str], chosen: &[usize]| {
                chosen.iter().map(|at| format!("'{}'", all[*at])).collect::<Vec<_>>().join(", ")
            };
            let effect = if allows { "allow" } else { "deny" };
            let mode = if seldom == 0 { ", mode: shadow" } else { "" };
            let routes = if seldom == 1 { ", routes: ['ollama.*']" } else { "" };
            text.push_str(&format!(
                "  - {{name: r{n}, effect: {effect}{mode}, who: [{}], classes: [{}]{routes}, models: [{}]{}}}\n",
                list(&WHO, &who), CLASSES[class], list(&MODELS, &models), TIMES[time]
            ));
        }
        parsed(&text)
    }
}

/// The same decision, by looking at every rule in turn.
fn naively(policy: &Policy, ask: &Ask<'_>) -> String {
    let rules = || policy.rules.iter().filter(|r| !r.shadow && r.classes.contains(&ask.class));
    let covers = |r: &&Rule| r.covers_route(ask.route) && r.is_about(ask);
    let route = if ask.class == RouteClass::Egress { "Egress" } else { "Route" };
    let denies = |r: &&Rule| !r.allows && covers(r) && r.fits(ask) && r.hold(ask.now) == Hold::Now;
    if let Some(rule) = rules().find(denies) {
        return format!("{} {}", if rule.every_model() { route } else { "Model" }, rule.name);
    }
    let allowing: Vec<_> = rules().filter(|r| r.allows).filter(covers).collect();
    let with = |hold: Hold| allowing.iter().find(|r| r.hold(ask.now) == hold && r.fits(ask));
    match (with(Hold::Now), with(Hold::Ended), with(Hold::Later)) {
        (Some(rule), ..) => format!("allow {}", rule.name),
        (None, Some(_), _) => "Expired".to_owned(),
        (None, None, Some(_)) => "Later".to_owned(),
        (None, None, None) if allowing.iter().any(|r| r.hold(ask.now) == Hold::Now) => "Model -".to_owned(),
        (None, None, None) => format!("{route} -"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn the_index_decides_as_every_rule_in_turn_would(
        policy in rules(),
        identity in prop::sample::select(vec!["peer:abc", "peer:xyz", "key:ci", "spiffe://td/a"]),
        name in prop::option::of(prop::sample::select(vec!["alice", "Alina", "bob"])),
        profile in prop::option::of(prop::sample::select(vec!["chat", "other"])),
        claim in any::<bool>(),
        class in prop::sample::select(vec![RouteClass::Inference, RouteClass::Read, RouteClass::Egress]),
        of in prop::option::of(prop::sample::select(vec!["llama3:8b", "llama3.2:1b", "tiny", "secret", "other:8b"])),
        route in prop::sample::select(vec!["ollama.chat", "openai.chat"]),
        any_model in any::<bool>(),
    ) {
        let (identity, of) = (Identity::parse(identity).unwrap(), of.map(model));
        let mut claims = Claims::default();
        claims.insert("groups", vec!["admins".to_owned()]);
        let ask = Ask {
            name, profile, claims: claim.then_some(&claims), model: of.as_ref(), route, any_model,
            ..ask(&identity, class)
        };
        let said = told(&policy.decide(&ask));
        let said = ["Expired", "Later"].into_iter().find(|word| said.starts_with(word)).unwrap_or(&said);
        prop_assert_eq!(said, naively(&policy, &ask));
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in "(version: 1\n)?(rules:|groups:|limits:)?[ -~\n]{0,120}") {
        let _ = Policy::parse(&text, "p.yaml");
    }
}
