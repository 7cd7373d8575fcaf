//! The operator's log, on standard error: text on a terminal, JSON lines otherwise.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

/// These quote requests, or the addresses of requests, which may be signed, in their own messages; what matters of them is
/// said anew.
const SILENT: &str = "pingora_core=off,h2=off,rustls=off,ureq=off,ureq_proto=off";

/// Starts logging. `PORTCULLIS_LOG` sets the level, such as `debug` or `info,portcullis=debug`.
pub(crate) fn start() {
    let given = std::env::var("PORTCULLIS_LOG").unwrap_or_else(|_| "info".to_owned());
    let filter =
        EnvFilter::try_new(format!("{given},{SILENT}")).unwrap_or_else(|_| EnvFilter::new(format!("info,{SILENT}")));
    let terminal = std::io::stderr().is_terminal();
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let plain = std::env::var_os("NO_COLOR").is_some() || !terminal;
    let started = if terminal {
        builder.with_ansi(!plain).with_target(false).try_init()
    } else {
        builder.json().flatten_event(true).with_target(false).try_init()
    };
    // A second start, as in a test, changes nothing.
    drop(started);
}
