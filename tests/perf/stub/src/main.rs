//! A fast upstream for benchmarks: Ollama and OpenAI shapes over HTTP/1.1.
//!
//! One single-threaded runtime per worker, all on one port (`SO_REUSEPORT`). Whole answers are
//! rendered once at start; streamed answers carry a stamp in every token, from which the load
//! client on the same machine computes how long the token was under way. `GET /__stub/stats`
//! counts what reached the stub. The request headers `x-stub-tokens`, `x-stub-gap-us` and
//! `x-stub-delay-us` set the behaviour of one request.

mod connection;
mod replies;
mod request;

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::net::TcpSocket;
use tokio::task::LocalSet;

use crate::connection::{Stats, serve};
use crate::replies::Replies;

const USAGE: &str = "usage: perf-stub [--listen ADDR] [--threads N] [--tokens N] [--gap-us U] \
                     [--content BYTES] [--delay-us U]";

/// How an answer is paced; a request's headers may override it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// Tokens of a streamed answer.
    pub(crate) tokens: u64,
    /// Microseconds between two tokens.
    pub(crate) gap_us: u64,
    /// Microseconds before the answer starts.
    pub(crate) delay_us: u64,
}

struct Options {
    listen: SocketAddr,
    threads: usize,
    content_bytes: usize,
    pace: Pace,
}

fn main() -> anyhow::Result<()> {
    let options = parse(std::env::args().skip(1))?;
    let replies = Arc::new(Replies::render(options.content_bytes));
    let stats = Arc::new(Stats::default());
    let workers: Vec<_> = (0..options.threads)
        .map(|_| {
            let (replies, stats) = (replies.clone(), stats.clone());
            let (listen, pace) = (options.listen, options.pace);
            thread::spawn(move || listen_on(listen, pace, &replies, &stats))
        })
        .collect();
    for worker in workers {
        match worker.join() {
            Ok(result) => result?,
            Err(_) => bail!("a worker thread panicked"),
        }
    }
    Ok(())
}

fn parse(mut args: impl Iterator<Item = String>) -> anyhow::Result<Options> {
    let mut options = Options {
        listen: SocketAddr::from(([127, 0, 0, 1], 11434)),
        threads: 1,
        content_bytes: 200,
        pace: Pace { tokens: 64, gap_us: 0, delay_us: 0 },
    };
    while let Some(name) = args.next() {
        let value = args.next().with_context(|| format!("`{name}` needs a value\n{USAGE}"))?;
        let bad = || format!("bad value `{value}` for `{name}`");
        match name.as_str() {
            "--listen" => options.listen = value.parse().with_context(bad)?,
            "--threads" => options.threads = value.parse().with_context(bad)?,
            "--content" => options.content_bytes = value.parse().with_context(bad)?,
            "--tokens" => options.pace.tokens = value.parse().with_context(bad)?,
            "--gap-us" => options.pace.gap_us = value.parse().with_context(bad)?,
            "--delay-us" => options.pace.delay_us = value.parse().with_context(bad)?,
            _ => bail!("unknown option `{name}`\n{USAGE}"),
        }
    }
    Ok(options)
}

/// Accepts connections for ever on a listener of its own.
fn listen_on(addr: SocketAddr, pace: Pace, replies: &Arc<Replies>, stats: &Arc<Stats>) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, async {
        let socket = if addr.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        socket.set_reuseaddr(true)?;
        socket.set_reuseport(true)?;
        socket.bind(addr).with_context(|| format!("cannot listen on {addr}"))?;
        let listener = socket.listen(4096)?;
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    let (replies, stats) = (replies.clone(), stats.clone());
                    tokio::task::spawn_local(async move {
                        // A client that goes away ends its connection and nothing else.
                        let _ = serve(stream, pace, &replies, &stats).await;
                    });
                }
                // Out of descriptors: wait for some to be given back.
                Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
    })
}
