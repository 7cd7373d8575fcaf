//! Samples, their medians, and the ratios between the arms.

use serde_json::{Value, json};

use super::arm::{ENVOY, FLOOR, GATE, NGINX};
use super::cell::RATIO_CELLS;

/// What one cell of one arm showed; in streams, times and CPU are per token.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Sample {
    pub(crate) requests_per_s: Option<f64>,
    pub(crate) p50_us: Option<f64>,
    pub(crate) p99_us: Option<f64>,
    pub(crate) cpu_us: Option<f64>,
    pub(crate) rss_kib: Option<f64>,
    pub(crate) first_token_us: Option<f64>,
    pub(crate) kib_per_connection: Option<f64>,
    pub(crate) errors: u64,
    pub(crate) error_sample: Option<String>,
}

/// The samples of one cell of one arm.
struct Row {
    cell: &'static str,
    arm: &'static str,
    samples: Vec<Sample>,
}

/// Everything that was measured, in the order of the first repetition.
#[derive(Default)]
pub(crate) struct Results {
    rows: Vec<Row>,
}

impl Results {
    pub(crate) fn add(&mut self, cell: &'static str, arm: &'static str, sample: Sample) {
        match self.rows.iter_mut().find(|row| row.cell == cell && row.arm == arm) {
            Some(row) => row.samples.push(sample),
            None => self.rows.push(Row { cell, arm, samples: vec![sample] }),
        }
    }

    /// Cell, arm and the medians over the repetitions.
    pub(crate) fn medians(&self) -> impl Iterator<Item = (&'static str, &'static str, Sample)> {
        self.rows.iter().map(|row| (row.cell, row.arm, median_sample(&row.samples)))
    }

    pub(crate) fn ratios(&self) -> Ratios {
        let cpu = |sample: &Sample| sample.cpu_us;
        Ratios {
            floor_rps: self.gate_against(FLOOR, |sample| sample.requests_per_s),
            floor_cpu: self.gate_against(FLOOR, cpu),
            nginx_cpu: self.gate_against(NGINX, cpu),
            envoy_cpu: self.gate_against(ENVOY, cpu),
        }
    }

    /// The gate's figure over a peer's: per cell of the medians, then the median of the cells.
    fn gate_against(&self, peer: &str, figure: impl Fn(&Sample) -> Option<f64>) -> Option<f64> {
        let of = |cell: &str, arm: &str| {
            let row = self.rows.iter().find(|row| row.cell == cell && row.arm == arm)?;
            figure(&median_sample(&row.samples)).filter(|figure| *figure > 0.0)
        };
        median(RATIO_CELLS.iter().filter_map(|cell| Some(of(cell, GATE)? / of(cell, peer)?)))
    }

    /// The object that `--json` prints.
    pub(crate) fn json(&self, repetitions: usize, threads: usize) -> Value {
        let cells: Vec<_> = self
            .medians()
            .map(|(cell, arm, sample)| {
                json!({
                    "cell": cell,
                    "arm": arm,
                    "rps": sample.requests_per_s,
                    "p50_us": sample.p50_us,
                    "p99_us": sample.p99_us,
                    "cpu_us": sample.cpu_us,
                    "rss_kib": sample.rss_kib,
                    "first_token_us": sample.first_token_us,
                    "kib_per_conn": sample.kib_per_connection,
                    "errors": sample.errors,
                })
            })
            .collect();
        let ratios = self.ratios();
        json!({
            "repetitions": repetitions,
            "threads": threads,
            "ratios": {
                "default_chain_vs_floor_rps": ratios.floor_rps,
                "default_chain_vs_floor_cpu": ratios.floor_cpu,
                "default_chain_vs_nginx_cpu": ratios.nginx_cpu,
                "default_chain_vs_envoy_cpu": ratios.envoy_cpu,
            },
            "cells": cells,
        })
    }
}

/// The gate's default chain against each peer, at 1 KB; `None` where a peer is missing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Ratios {
    pub(crate) floor_rps: Option<f64>,
    pub(crate) floor_cpu: Option<f64>,
    pub(crate) nginx_cpu: Option<f64>,
    pub(crate) envoy_cpu: Option<f64>,
}

fn median_sample(samples: &[Sample]) -> Sample {
    let of = |figure: fn(&Sample) -> Option<f64>| median(samples.iter().filter_map(figure));
    Sample {
        requests_per_s: of(|sample| sample.requests_per_s),
        p50_us: of(|sample| sample.p50_us),
        p99_us: of(|sample| sample.p99_us),
        cpu_us: of(|sample| sample.cpu_us),
        rss_kib: of(|sample| sample.rss_kib),
        first_token_us: of(|sample| sample.first_token_us),
        kib_per_connection: of(|sample| sample.kib_per_connection),
        errors: samples.iter().map(|sample| sample.errors).sum(),
        error_sample: samples.iter().find_map(|sample| sample.error_sample.clone()),
    }
}

fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = *values.get(middle)?;
    if values.len() % 2 == 1 {
        return Some(upper);
    }
    Some((values.get(middle - 1)? + upper) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(rps: f64, cpu: f64) -> Sample {
        Sample { requests_per_s: Some(rps), cpu_us: Some(cpu), errors: 1, ..Sample::default() }
    }

    #[test]
    fn medians_of_odd_even_and_no_values() {
        assert_eq!(median([3.0, 1.0, 2.0].into_iter()), Some(2.0));
        assert_eq!(median([4.0, 1.0].into_iter()), Some(2.5));
        assert_eq!(median(std::iter::empty()), None);
    }

    #[test]
    fn ratios_are_medians_over_both_cells() {
        let [at_16, at_64] = RATIO_CELLS;
        let mut results = Results::default();
        for (cell, gate_cpu) in [(at_16, 60.0), (at_64, 100.0)] {
            for noise in [0.0, 900.0, -9.0] {
                results.add(cell, FLOOR, sample(20_000.0 + noise, 40.0));
                results.add(cell, GATE, sample(10_000.0, gate_cpu + noise));
            }
        }
        let ratios = results.ratios();
        assert_eq!(ratios.floor_cpu, Some(2.0));
        assert_eq!(ratios.floor_rps, Some(0.5));
        assert_eq!((ratios.nginx_cpu, ratios.envoy_cpu), (None, None));
        assert_eq!(results.medians().next().unwrap().2.errors, 3);
    }

    #[test]
    fn the_json_names_every_ratio() {
        let json = Results::default().json(3, 2);
        let ratios = json["ratios"].as_object().unwrap();
        assert_eq!(ratios.len(), 4);
        assert!(ratios["default_chain_vs_floor_rps"].is_null());
    }
}
