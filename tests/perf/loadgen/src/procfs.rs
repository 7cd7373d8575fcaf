//! What processes spend, read from `/proc`.

use std::collections::HashMap;
use std::fs;

/// CPU time and memory of some processes and, when asked, of their descendants.
pub(crate) struct Watch {
    roots: Vec<u32>,
    tree: bool,
}

impl Watch {
    pub(crate) fn new(roots: &[u32], tree: bool) -> Self {
        Self { roots: roots.to_vec(), tree }
    }

    /// This process alone.
    pub(crate) fn own() -> Self {
        Self::new(&[std::process::id()], false)
    }

    /// CPU time of all threads so far, in microseconds.
    pub(crate) fn cpu_us(&self) -> f64 {
        let ns: u64 = self.pids().into_iter().map(cpu_ns).sum();
        ns as f64 / 1e3
    }

    pub(crate) fn rss_kib(&self) -> u64 {
        self.pids().into_iter().filter_map(rss_kib).sum()
    }

    fn pids(&self) -> Vec<u32> {
        if !self.tree || self.roots.is_empty() {
            return self.roots.clone();
        }
        let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
        for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
            let pid = entry.file_name().to_str().and_then(|name| name.parse().ok());
            if let Some((pid, Some(parent))) = pid.map(|pid| (pid, parent(pid))) {
                children.entry(parent).or_default().push(pid);
            }
        }
        let mut found = Vec::new();
        let mut todo = self.roots.clone();
        while let Some(pid) = todo.pop() {
            found.push(pid);
            todo.extend(children.remove(&pid).unwrap_or_default());
        }
        found
    }
}

/// The scheduler's own account, exact to the nanosecond, where `/proc/PID/stat` counts ticks.
fn cpu_ns(pid: u32) -> u64 {
    fs::read_dir(format!("/proc/{pid}/task"))
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|task| {
            let text = fs::read_to_string(task.path().join("schedstat")).ok()?;
            text.split(' ').next()?.parse::<u64>().ok()
        })
        .sum()
}

fn parent(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The command's name is in brackets and may hold anything: `pid (name) state parent …`.
    let (_, rest) = stat.rsplit_once(") ")?;
    rest.split(' ').nth(1)?.parse().ok()
}

fn rss_kib(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_seen() {
        let own = Watch::own();
        let before = own.cpu_us();
        let sum = (0..5_000_000u64).fold(0, |sum, i| sum ^ std::hint::black_box(i));
        assert!(own.cpu_us() > before, "{sum}");
        assert!(own.rss_kib() > 100);
        let pid = std::process::id();
        let tree = Watch::new(&[parent(pid).unwrap()], true);
        assert!(tree.pids().contains(&pid));
    }
}
