//! The firewall's scanner and the model names: never panic on any text.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use portcullis_filters::firewall::Scanner;
use portcullis_policies::UpstreamKind;
use portcullis_policies::model::ModelName;

static SCANNER: LazyLock<Scanner> = LazyLock::new(Scanner::default);

fuzz_target!(|text: &str| {
    SCANNER.scan(text, &mut |finding| assert!(text.len() * 4 >= finding.end));
    for kind in [UpstreamKind::Ollama, UpstreamKind::LlamaCpp] {
        if let Ok(name) = ModelName::canonical(text, kind) {
            assert_eq!(ModelName::canonical(name.as_str(), kind), Ok(name));
        }
    }
});
