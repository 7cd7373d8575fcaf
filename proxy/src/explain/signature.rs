//! Why a signature was not taken, and what would be.

use super::Explained;
use crate::decisions::Decision;

/// Explains a refusal of the `signature` filter.
pub(super) fn explain(decision: &Decision, explained: &mut Explained) {
    let (rule, needed) = match decision.code {
        "signature.missing" => (
            "filters.signature.require",
            "a signed request: `portcullis connect` signs by itself, `portcullis sign` shows how",
        ),
        "signature.malformed" => (
            "filters.signature.schemes",
            "exactly one signature in the form that `portcullis sign` prints; `portcullis verify` says what is wrong",
        ),
        "signature.invalid" => (
            "signature",
            "a signature over this very request, by the caller itself, for this gate: nothing on the way may change \
             the method, the host, the path, the query, the type or the body; `portcullis verify` goes through it",
        ),
        "signature.stale" => {
            ("filters.signature.window", "clocks that agree, and a signature made for this request just before")
        }
        "signature.replayed" => ("filters.signature.store", "a signature made anew: each is good once"),
        "store.unavailable" => (
            "filters.signature.store",
            "a store that answers and remembers: `portcullis doctor` says how it is; after its memory was lost, one \
             window has to pass",
        ),
        _ => ("signature", "a look into the gate's own log"),
    };
    rule.clone_into(&mut explained.rule);
    needed.clone_into(&mut explained.needed);
    if !decision.detail.is_empty() {
        explained.reason = format!("{} ({})", explained.reason, decision.detail);
    }
}
