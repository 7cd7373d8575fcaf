//! The results as aligned Markdown tables.

use std::fmt::Write as _;

use super::results::{Ratios, Results, Sample};

type Cells = Vec<String>;

/// All tables and the ratios.
pub(crate) fn render(results: &Results) -> String {
    let mut text = tables(results);
    push_ratios(&mut text, results.ratios());
    text
}

/// All tables.
pub(crate) fn tables(results: &Results) -> String {
    let medians: Vec<_> = results.medians().collect();
    let mut text = String::new();
    let rows = |keep: fn(&Sample) -> bool, columns: fn(&Sample) -> Cells| -> Vec<Cells> {
        medians
            .iter()
            .filter(|(_, _, sample)| keep(sample))
            .map(|(cell, arm, sample)| {
                let names = [(*cell).to_owned(), (*arm).to_owned()];
                names.into_iter().chain(columns(sample)).collect()
            })
            .collect()
    };
    let requests = rows(|sample| !is_stream(sample) && !is_idle(sample), request_columns);
    let header = ["load", "arm", "req/s", "p50 us", "p99 us", "CPU us/req", "RSS MiB", "errors"];
    push_table(&mut text, &header, &requests);
    let header = ["load", "arm", "first token us", "p50 us", "p99 us", "CPU us/token", "errors"];
    push_table(&mut text, &header, &rows(is_stream, stream_columns));
    let header = ["load", "arm", "RSS MiB", "KiB/conn", "errors"];
    push_table(&mut text, &header, &rows(is_idle, idle_columns));
    for (cell, arm, sample) in &medians {
        if let Some(error) = &sample.error_sample {
            // Writing to a string does not fail.
            let _ = writeln!(text, "errors of {arm} at {cell}, for example: {error}");
        }
    }
    text
}

fn is_stream(sample: &Sample) -> bool {
    sample.first_token_us.is_some()
}

fn is_idle(sample: &Sample) -> bool {
    sample.kib_per_connection.is_some()
}

fn request_columns(sample: &Sample) -> Cells {
    vec![
        whole(sample.requests_per_s),
        whole(sample.p50_us),
        whole(sample.p99_us),
        tenths(sample.cpu_us),
        tenths(sample.rss_kib.map(|kib| kib / 1024.0)),
        sample.errors.to_string(),
    ]
}

fn stream_columns(sample: &Sample) -> Cells {
    vec![
        whole(sample.first_token_us),
        whole(sample.p50_us),
        whole(sample.p99_us),
        tenths(sample.cpu_us),
        sample.errors.to_string(),
    ]
}

fn idle_columns(sample: &Sample) -> Cells {
    vec![tenths(sample.rss_kib.map(|kib| kib / 1024.0)), tenths(sample.kib_per_connection), sample.errors.to_string()]
}

fn whole(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.0}"))
}

fn tenths(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.1}"))
}

/// A table with its columns padded to their widest cell; nothing when there are no rows.
fn push_table(text: &mut String, header: &[&str], rows: &[Cells]) {
    if rows.is_empty() {
        return;
    }
    let widths: Vec<usize> = header
        .iter()
        .enumerate()
        .map(|(column, name)| {
            let cells = rows.iter().filter_map(|row| row.get(column));
            cells.map(String::len).chain([name.len()]).max().unwrap_or_default()
        })
        .collect();
    let mut line = |cells: &mut dyn Iterator<Item = &str>| {
        for (column, (cell, width)) in cells.zip(&widths).enumerate() {
            // Names are set to the left, figures to the right.
            let _ = match column {
                0 | 1 => write!(text, "| {cell:<width$} "),
                _ => write!(text, "| {cell:>width$} "),
            };
        }
        text.push_str("|\n");
    };
    line(&mut header.iter().copied());
    let rule: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
    line(&mut rule.iter().map(String::as_str));
    for row in rows {
        line(&mut row.iter().map(String::as_str));
    }
    text.push('\n');
}

fn push_ratios(text: &mut String, ratios: Ratios) {
    for (name, ratio) in [
        ("requests per second, gate / floor", ratios.floor_rps),
        ("CPU per request, gate / floor", ratios.floor_cpu),
        ("CPU per request, gate / nginx", ratios.nginx_cpu),
        ("CPU per request, gate / envoy", ratios.envoy_cpu),
    ] {
        let ratio = ratio.map_or_else(|| "not measured".to_owned(), |ratio| format!("{ratio:.2}"));
        let _ = writeln!(text, "{name}: {ratio}");
    }
}

#[cfg(test)]
mod tests {
    use super::super::arm::{FLOOR, GATE};
    use super::super::cell::RATIO_CELLS;
    use super::*;

    #[test]
    fn columns_are_aligned_and_kinds_apart() {
        let mut results = Results::default();
        for (arm, cpu) in [(FLOOR, 40.0), (GATE, 104.04)] {
            let sample = Sample {
                requests_per_s: Some(20_290.4),
                cpu_us: Some(cpu),
                rss_kib: Some(9216.0),
                ..Sample::default()
            };
            results.add(RATIO_CELLS[0], arm, sample);
        }
        let stream = Sample { first_token_us: Some(960.0), ..Sample::default() };
        results.add("stream", GATE, stream);
        let text = render(&results);
        let expected = "\
| load          | arm        | req/s | p50 us | p99 us | CPU us/req | RSS MiB | errors |
| ------------- | ---------- | ----- | ------ | ------ | ---------- | ------- | ------ |
| 1 KB, 16 conn | floor mTLS | 20290 |      - |      - |       40.0 |     9.0 |      0 |
| 1 KB, 16 conn | gate       | 20290 |      - |      - |      104.0 |     9.0 |      0 |

| load   | arm  | first token us | p50 us | p99 us | CPU us/token | errors |
";
        assert!(text.starts_with(expected), "{text}");
        assert!(text.contains("CPU per request, gate / floor: 2.60\n"));
        assert!(text.contains("CPU per request, gate / nginx: not measured\n"));
        assert!(!text.contains("KiB/conn"));
    }
}
