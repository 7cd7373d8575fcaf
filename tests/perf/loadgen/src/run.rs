//! `run`: load for a while, then one report.

use std::time::Instant;

use anyhow::ensure;
use serde_json::{Map, Value, json};

use crate::load::{join, spawn, worker};
use crate::options::Options;
use crate::plan::{Phase, Plan};
use crate::procfs::Watch;
use crate::stats::Stats;

/// What was read from `/proc` over the measured time.
struct Spent {
    seconds: f64,
    client_cpu_us: f64,
    server_cpu_us: f64,
    server_rss_kib: u64,
}

pub(crate) fn measure(options: Options) -> anyhow::Result<Value> {
    let plan = Plan::new(options)?;
    let options = &plan.options;
    let (server, client) = (Watch::new(&options.pids, options.tree), Watch::own());
    let threads = spawn(&plan, worker);
    plan.wait_until_ready();
    ensure!(plan.failed() < options.connections, "no connection to {} could be opened", options.url);

    plan.enter(Phase::WarmUp);
    std::thread::sleep(options.warmup);
    let (server_before, client_before) = (server.cpu_us(), client.cpu_us());
    let start = Instant::now();
    plan.enter(Phase::Measure);
    std::thread::sleep(options.duration);
    let spent = Spent {
        seconds: start.elapsed().as_secs_f64(),
        client_cpu_us: client.cpu_us() - client_before,
        server_cpu_us: server.cpu_us() - server_before,
        server_rss_kib: server.rss_kib(),
    };
    plan.enter(Phase::Stop);
    Ok(report(&plan, &join(threads)?, &spent))
}

fn report(plan: &Plan, stats: &Stats, spent: &Spent) -> Value {
    let options = &plan.options;
    let requests = stats.requests.max(1) as f64;
    let status: Map<_, _> = stats.status.iter().map(|(status, count)| (status.to_string(), json!(count))).collect();
    let mut report = json!({
        "label": options.label,
        "url": options.url,
        "http2": options.http2,
        "connections": options.connections,
        "streams": options.streams(),
        "body_bytes": plan.body.len(),
        "signed": plan.signed.is_some(),
        "duration_s": spent.seconds,
        "requests": stats.requests,
        "rps": stats.latency.count() as f64 / spent.seconds,
        "status": status,
        "errors": stats.errors,
        "error_sample": stats.error_sample,
        "failed_connections": plan.failed(),
        "bytes_in": stats.bytes_in,
        "latency_us": stats.latency.report(),
        "handshake_us": stats.handshake.report(),
        "client_cpu_us_per_req": spent.client_cpu_us / requests,
    });
    let Some(fields) = report.as_object_mut() else {
        return report;
    };
    if options.stream {
        fields.insert("first_token_us".to_owned(), stats.first_token.report());
        fields.insert("token_delivery_us".to_owned(), stats.token_delivery.report());
        fields.insert("token_gap_us".to_owned(), stats.token_gap.report());
        fields.insert("tokens".to_owned(), json!(stats.tokens));
        fields.insert("tokens_per_s".to_owned(), json!(stats.tokens as f64 / spent.seconds));
    }
    if !options.pids.is_empty() {
        let server = json!({
            "cpu_us_per_req": spent.server_cpu_us / requests,
            "cpu_us_per_token": spent.server_cpu_us / stats.tokens.max(1) as f64,
            "cpu_cores": spent.server_cpu_us / 1e6 / spent.seconds,
            "rss_kib": spent.server_rss_kib,
        });
        fields.insert("server".to_owned(), server);
    }
    report
}
