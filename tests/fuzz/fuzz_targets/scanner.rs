//! The firewall's rules and the model names: never panic on any text, and places lie within it.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use portcullis_firewall::{Direction, Origin, Rules, Scratch, Selection, Text};
use portcullis_policies::UpstreamKind;
use portcullis_policies::model::ModelName;

static RULES: LazyLock<Rules> = LazyLock::new(|| Rules::load(true, &[], &Selection::default()).ok().expect("rules"));

fuzz_target!(|text: &str| {
    let texts = [Text { text, origin: Origin::User, flows: false }];
    let _ = RULES.scan(&texts, Direction::Request, &mut Scratch::default(), &mut |finding| {
        assert!(text.get(finding.span.clone()).is_some() && text.get(finding.secret.clone()).is_some());
    });
    for kind in [UpstreamKind::Ollama, UpstreamKind::LlamaCpp] {
        if let Ok(name) = ModelName::canonical(text, kind) {
            assert_eq!(ModelName::canonical(name.as_str(), kind), Ok(name));
        }
    }
});
