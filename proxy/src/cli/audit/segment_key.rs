//! `portcullis audit segment-key`: the key of one segment, for somebody who is to check that segment.

use std::io::{self, Write as _};

use clap::Args;

use crate::audit_log::AuditKey;
use crate::audit_log::read::numbers;
use crate::cli::{ConfigArg, Failure, Outcome};

/// Arguments of `audit segment-key`.
#[derive(Args)]
pub(crate) struct SegmentKeyArgs {
    /// The segment: 3 for `audit-000003.jsonl`.
    number: u64,
    #[command(flatten)]
    config: ConfigArg,
}

pub(super) fn run(args: &SegmentKeyArgs) -> Outcome {
    let state = args.config.state()?;
    let key = AuditKey::load(&state).map_err(|error| Failure::broken(format!("{error:#}")))?;
    let _ = writeln!(
        io::stderr(),
        "portcullis: whoever has this key can check segment {number}, and forge its lines: give it to nobody who could \
         gain by that, and have them keep a checkpoint first (`portcullis audit checkpoint`)",
        number = args.number
    );
    let newest = numbers(&state.join("audit")).ok().and_then(|numbers| numbers.last().copied());
    if newest.is_none_or(|newest| newest < args.number) {
        let _ = writeln!(io::stderr(), "portcullis: there is no segment {} here yet", args.number);
    }
    let mut out = io::stdout().lock();
    out.write_all(key.segments().hex(args.number).as_bytes())?;
    Ok(out.write_all(b"\n")?)
}
