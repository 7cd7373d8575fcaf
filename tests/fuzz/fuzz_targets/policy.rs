//! Documents that operators write: never panic, whatever stands in them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis_policies::policy::Policy;
use portcullis_policies::routes::RouteTable;

fuzz_target!(|text: &str| {
    let _ = Policy::parse(text, "policy.yaml");
    let _ = RouteTable::parse(text);
});
