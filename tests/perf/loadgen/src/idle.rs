//! `idle`: what an open connection costs the server in memory.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::sleep;

use crate::clock::monotonic_ns;
use crate::load::{connect, join, spawn};
use crate::options::Options;
use crate::plan::{Phase, Plan};
use crate::procfs::Watch;

pub(crate) fn hold(options: Options) -> anyhow::Result<Value> {
    let plan = Plan::new(options)?;
    let options = &plan.options;
    let server = Watch::new(&options.pids, options.tree);
    let before = server.rss_kib();
    let threads = spawn(&plan, |plan, stats| async move {
        let mut connection = connect(&plan, &stats).await;
        if let (true, Some(open)) = (plan.options.prime, &mut connection)
            && let Err(error) = open.request(&plan, monotonic_ns()).await
        {
            stats.borrow_mut().error("io", format!("{error:#}"));
            connection = None;
        }
        plan.worker_ready(connection.is_some());
        while !plan.reached(Phase::Stop) {
            sleep(Duration::from_millis(20)).await;
        }
        drop(connection);
    });
    plan.wait_until_ready();
    std::thread::sleep(options.hold);
    let after = server.rss_kib();
    plan.enter(Phase::Stop);
    let stats = join(threads)?;
    let held = options.connections - plan.failed();
    Ok(json!({
        "label": options.label,
        "url": options.url,
        "connections": options.connections,
        "held": held,
        "rss_before_kib": before,
        "rss_kib": after,
        "kib_per_conn": (after as f64 - before as f64) / held.max(1) as f64,
        "errors": stats.errors,
        "error_sample": stats.error_sample,
        "handshake_us": stats.handshake.report(),
    }))
}
