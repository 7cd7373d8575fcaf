//! Documents that operators write: never panic, whatever stands in them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis_policies::policy::{Ask, Policy};
use portcullis_policies::routes::RouteTable;
use portcullis_policies::{Identity, IdentityMethod, RouteClass};

fuzz_target!(|text: &str| {
    if let Ok(policy) = Policy::parse(text, "policy.yaml") {
        let caller = Identity::peer("abc");
        for class in RouteClass::ALL {
            let ask = Ask::new(&caller, IdentityMethod::Mtls, class, "ollama.chat");
            let _ = (policy.decide(&ask), policy.explain(&ask), policy.models_for(&ask));
        }
        let _ = policy.warnings(&[], 0);
    }
    let _ = RouteTable::parse(text);
});
