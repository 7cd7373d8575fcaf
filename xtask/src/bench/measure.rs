//! One cell of one arm: a run of the load client.

use std::ffi::OsStr;

use anyhow::Context;
use serde_json::Value;

use super::arm::Arm;
use super::cell::{Cell, Load};
use super::results::Sample;
use super::{Bench, THREADS};
use crate::process::{output, with_descriptors};

/// Seconds measured, and seconds before that.
const DURATION: &str = "1.2";
const WARM_UP: &str = "0.3";

pub(crate) fn measure(bench: &Bench, arm: &Arm, cell: &Cell) -> anyhow::Result<Sample> {
    measure_with(bench, arm, cell, &[])
}

/// The same with more arguments for the load client.
pub(crate) fn measure_with(bench: &Bench, arm: &Arm, cell: &Cell, more: &[&OsStr]) -> anyhow::Result<Sample> {
    let (command, path) = if cell.is_idle() { ("idle", "/api/version") } else { ("run", "/api/chat") };
    let mut load = with_descriptors(&bench.program("perf-loadgen"));
    load.arg(command).args(["--url", &arm.url(path)]);
    load.args(["-d", DURATION, "-w", WARM_UP, "--threads", &THREADS.to_string()]);
    load.args(["--tree", "--pid", &arm.pid().to_string()]);
    if let Some(tls) = &arm.tls {
        load.arg("--ca").arg(&tls.ca).arg("--cert").arg(&tls.cert).arg("--key").arg(&tls.key);
    }
    load.args(cell.arguments()).args(more);
    let report = serde_json::from_str(&output(&mut load)?).context("the load client's report")?;
    Ok(sample(cell.load, &report))
}

fn sample(load: Load, report: &Value) -> Sample {
    let number = |path: &str| report.pointer(path).and_then(Value::as_f64);
    let errors = report.get("errors").and_then(Value::as_object).into_iter().flatten();
    let mut sample = Sample {
        requests_per_s: number("/rps"),
        p50_us: number("/latency_us/p50"),
        p99_us: number("/latency_us/p99"),
        cpu_us: number("/server/cpu_us_per_req"),
        rss_kib: number("/server/rss_kib").or_else(|| number("/rss_kib")),
        errors: errors.filter_map(|(_, count)| count.as_u64()).sum(),
        error_sample: report.get("error_sample").and_then(Value::as_str).map(str::to_owned),
        ..Sample::default()
    };
    match load {
        Load::Http1 { .. } | Load::Http2 { .. } => {}
        Load::Idle { .. } => sample.kib_per_connection = number("/kib_per_conn"),
        Load::Stream { .. } => {
            sample.first_token_us = number("/first_token_us/p50");
            sample.p50_us = number("/token_delivery_us/p50");
            sample.p99_us = number("/token_delivery_us/p99");
            sample.cpu_us = number("/server/cpu_us_per_token");
        }
    }
    sample
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_report_becomes_a_sample() {
        let report = json!({
            "rps": 1000.5, "latency_us": {"p50": 10.0, "p99": 20.0},
            "server": {"cpu_us_per_req": 38.0, "cpu_us_per_token": 2.0, "rss_kib": 9000},
            "token_delivery_us": {"p50": 47.0, "p99": 179.0}, "first_token_us": {"p50": 260.0},
            "errors": {"io": 2, "status": 1}, "error_sample": "status 403",
        });
        let plain = sample(Load::Http1 { connections: 1, body: 1 }, &report);
        assert_eq!((plain.p50_us, plain.cpu_us, plain.errors), (Some(10.0), Some(38.0), 3));
        assert_eq!(plain.first_token_us, None);
        let stream = sample(Load::Stream { connections: 1 }, &report);
        assert_eq!((stream.p99_us, stream.cpu_us), (Some(179.0), Some(2.0)));
        assert_eq!(stream.first_token_us, Some(260.0));
    }
}
