//! A load client for proxies in front of model servers.
//!
//! `run` sends requests in a closed loop over HTTP/1.1 or HTTP/2, plain or with mTLS, signed or
//! not, streamed or not; `idle` holds connections open; `certs` writes the throw-away PKI that the
//! benchmarked proxies share. With `--pid` it watches what the server process spends. Every
//! command prints one JSON object.

mod certs;
mod chunked;
mod clock;
mod connection;
mod h1;
mod h2_client;
mod idle;
mod load;
mod options;
mod plan;
mod procfs;
mod run;
mod sign;
mod stats;
mod stream;
mod tls;

use crate::options::Command;

fn main() -> anyhow::Result<()> {
    let report = match options::parse(std::env::args().skip(1))? {
        Command::Certs { dir } => certs::write_pki(&dir)?,
        Command::Idle(options) => idle::hold(options)?,
        Command::Run(options) => run::measure(options)?,
    };
    println!("{report}");
    Ok(())
}
