use portcullis_policies::glob::Glob;
use portcullis_policies::{Grant, Identity, IdentityMethod, UpstreamKind};

use super::*;

const NOON: i64 = 1_795_176_000;

struct World(Arc<Grants>);

impl GrantView for World {
    fn grants(&self) -> Arc<Grants> {
        Arc::clone(&self.0)
    }

    fn now(&self) -> i64 {
        NOON
    }
}

fn policy() -> Policy {
    let text = concat!(
        "version: 1\n",
        "rules:\n",
        "  - {name: alice, effect: allow, who: ['name:alice'], classes: [inference, egress], max_tokens: 100, limits: \
         {requests: 60/m}}\n",
        "  - {name: ci, effect: allow, who: ['key:ci'], classes: [inference, read]}\n",
        "  - {name: not-mallory, effect: deny, who: ['name:mallory'], classes: [inference]}\n",
        "  - {name: night, effect: allow, who: ['name:owl'], classes: [inference], when: {hours: '22:00-06:00'}}\n",
    );
    Policy::parse(text, "p.yaml").unwrap()
}

fn caller(id: &str, name: Option<&str>, scopes: Vec<Scope>) -> Caller {
    Caller {
        name: name.map(Into::into),
        scopes: scopes.into_iter().map(Arc::new).collect(),
        ..Caller::new(Identity::parse(id).unwrap(), IdentityMethod::Mtls)
    }
}

fn judge(caller: &Caller, class: RouteClass, model: &str) -> Result<Allowance, Refusal> {
    let (policy, model) = (policy(), ModelName::canonical(model, UpstreamKind::Ollama).unwrap());
    Rights::of(&policy, &World(Arc::default()), caller)?.judge(class, "ollama.chat", Some(&model))
}

fn code(caller: &Caller, class: RouteClass, model: &str) -> &'static str {
    judge(caller, class, model).map_or_else(|no| no.code.as_str(), |_| "allow")
}

#[test]
fn a_scope_only_takes_away() {
    use RouteClass::{Inference, Read};
    let ci = |scope| caller("key:ci", None, vec![scope]);
    let some = || Scope { name: Some("key:ci".into()), ..Scope::default() };
    for (scope, class, model, meant) in [
        (some(), Inference, "tiny", "allow"),
        (some(), RouteClass::Admin, "tiny", "policy.route_denied"),
        (Scope { classes: vec![Inference], ..some() }, Read, "tiny", "policy.route_denied"),
        (Scope { classes: vec![RouteClass::Admin], ..some() }, RouteClass::Admin, "tiny", "policy.route_denied"),
        (Scope { routes: vec![Glob::new("openai.*")], ..some() }, Inference, "tiny", "policy.route_denied"),
        (Scope { models: vec![Glob::new("tiny")], ..some() }, Inference, "tiny:7b", "allow"),
        (Scope { models: vec![Glob::new("tiny")], ..some() }, Inference, "big", "policy.model_denied"),
        (Scope { until: Some(NOON), ..some() }, Inference, "tiny", "policy.expired"),
        (Scope { until: Some(NOON + 1), ..some() }, Inference, "tiny", "allow"),
        (Scope { from: Some(NOON + 1), ..some() }, Inference, "tiny", "policy.route_denied"),
    ] {
        assert_eq!(code(&ci(scope.clone()), class, model), meant, "{scope:?}");
    }
    let both = vec![Scope { max_tokens: Some(9), ..some() }, Scope { max_tokens: Some(5), budget: Some(7), ..some() }];
    let allowance = judge(&caller("key:ci", None, both), Inference, "tiny").unwrap();
    assert_eq!(allowance.bounds.max_tokens, Some(5));
    assert_eq!(allowance.quotas.len(), 1);
    assert_eq!((allowance.quotas[0].key.as_str(), allowance.quotas[0].budget), ("key:ci", Some(7)));
}

#[test]
fn a_scope_for_local_work_does_not_reach_models_that_leave() {
    let local = Scope { classes: vec![RouteClass::Inference], ..Scope::default() };
    let wide = Scope { classes: vec![RouteClass::Inference, RouteClass::Egress], ..Scope::default() };
    let alice = |scope| caller("peer:a", Some("alice"), vec![scope]);
    assert_eq!(code(&alice(wide), RouteClass::Inference, "x:cloud"), "allow");
    assert_eq!(code(&alice(local), RouteClass::Inference, "x:cloud"), "policy.egress_denied");
}

#[test]
fn what_was_passed_on_is_judged_for_whom_it_came_from() {
    let passed = |name: Option<&str>, scope: Scope, from: Caller| Caller {
        delegator: Some(Arc::new(from)),
        ..caller("peer:b", name, vec![scope])
    };
    let alice = || caller("peer:a", Some("alice"), vec![]);
    let hour = || Scope { until: Some(NOON + 3600), max_tokens: Some(50), ..Scope::default() };
    let allowance = judge(&passed(None, hour(), alice()), RouteClass::Inference, "tiny").unwrap();
    assert_eq!((allowance.bounds.max_tokens, allowance.basis.as_deref()), (Some(50), Some("alice")));
    assert_eq!(allowance.quotas[0].key, "rule:alice peer:a", "it counts for whom the right is");
    let nobody = caller("peer:n", None, vec![]);
    assert_eq!(code(&passed(Some("alice"), hour(), nobody), RouteClass::Inference, "tiny"), "policy.route_denied");
    assert_eq!(code(&passed(Some("mallory"), hour(), alice()), RouteClass::Inference, "tiny"), "policy.route_denied");
    let ended = Scope { until: Some(NOON), ..Scope::default() };
    assert_eq!(code(&passed(None, ended, alice()), RouteClass::Inference, "tiny"), "policy.expired");
    let narrow = Caller { scopes: vec![Arc::new(Scope { models: vec![Glob::new("tiny")], ..hour() })], ..alice() };
    assert_eq!(code(&passed(None, hour(), narrow), RouteClass::Inference, "big"), "policy.model_denied");
    let mut deep = alice();
    for _ in 0..MAX_HANDS {
        deep = passed(None, hour(), deep);
    }
    assert_eq!(code(&deep, RouteClass::Inference, "tiny"), "allow");
    assert_eq!(code(&passed(None, hour(), deep), RouteClass::Inference, "tiny"), "policy.route_denied");
}

#[test]
fn a_right_that_is_not_now_has_ended_for_what_runs() {
    let (policy, owl) = (policy(), caller("peer:o", Some("owl"), vec![]));
    let rights = || Rights::of(&policy, &World(Arc::default()), &owl).unwrap();
    let said = |rights: Rights<'_>| rights.judge(RouteClass::Inference, "ollama.chat", None).err().map(|no| no.code);
    assert_eq!(said(rights()), Some(Code::PolicyRouteDenied));
    assert_eq!(said(rights().running()), Some(Code::PolicyExpired));
}

#[test]
fn lists_show_what_every_scope_reaches() {
    let policy = policy();
    let scope = Scope { models: vec![Glob::new("tiny")], ..Scope::default() };
    let ci = caller("key:ci", None, vec![scope]);
    let models = Rights::of(&policy, &World(Arc::default()), &ci).unwrap().models(RouteClass::Read, "ollama.tags");
    let matches = |raw: &str| models.matches(&ModelName::canonical(raw, UpstreamKind::Ollama).unwrap());
    assert!(matches("tiny") && !matches("big") && !matches("tiny:cloud"));
}

#[test]
fn a_grant_is_counted_by_its_name() {
    let grant = Grant {
        id: "g-1".to_owned(),
        identity: "peer:g".to_owned(),
        scope: Scope {
            classes: vec![RouteClass::Read],
            concurrent: Some(1),
            until: Some(NOON + 1),
            ..Scope::default()
        },
        created: 0,
        revoked: None,
        note: String::new(),
    };
    let (policy, guest) = (policy(), caller("peer:g", None, vec![]));
    let world = World(Arc::new(Grants::new([grant])));
    let rights = Rights::of(&policy, &world, &guest).unwrap();
    let allowance = rights.judge(RouteClass::Read, "ollama.tags", None).unwrap();
    assert_eq!(allowance.quotas[0].key, "grant:g-1");
    assert_eq!(allowance.basis.as_deref(), Some("grant:g-1"));
}
