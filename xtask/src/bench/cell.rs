//! The loads that every arm is put under.

use super::arm::Arm;

/// The two cells that the ratios are computed from.
pub(crate) const RATIO_CELLS: [&str; 2] = ["1 KB, 16 conn", "1 KB, 64 conn"];

/// How many tokens a streamed answer has.
pub(crate) const TOKENS: usize = 64;
/// The pause between two of them, in microseconds.
pub(crate) const GAP_US: usize = 5000;

/// The kind of load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Load {
    /// Whole answers over HTTP/1.1.
    Http1 { connections: usize, body: usize },
    /// Whole answers over HTTP/2.
    Http2 { connections: usize, streams: usize, body: usize },
    /// Open connections that were used once.
    Idle { connections: usize },
    /// Streamed answers with a pause between the tokens.
    Stream { connections: usize },
}

/// A named load.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cell {
    pub(crate) name: &'static str,
    pub(crate) load: Load,
}

const fn http1(name: &'static str, connections: usize, kib: usize) -> Cell {
    Cell { name, load: Load::Http1 { connections, body: kib * 1024 } }
}

/// What signed requests are measured under.
pub(crate) const SIGNED: Cell = http1("1 KB, 32 conn", 32, 1);

/// The cells in the order in which they run.
pub(crate) fn all(quick: bool) -> Vec<Cell> {
    let [at_16, at_64] = RATIO_CELLS;
    if quick {
        return vec![http1(at_16, 16, 1), http1(at_64, 64, 1)];
    }
    vec![
        // First, so that memory is that of a fresh process.
        Cell { name: "idle, 1000 conn", load: Load::Idle { connections: 1000 } },
        http1("1 KB, 1 conn", 1, 1),
        http1(at_16, 16, 1),
        http1(at_64, 64, 1),
        http1("4 KB, 16 conn", 16, 4),
        http1("64 KB, 16 conn", 16, 64),
        http1("1 MB, 16 conn", 16, 1024),
        Cell { name: "1 KB, h2 4x16", load: Load::Http2 { connections: 4, streams: 16, body: 1024 } },
        Cell { name: "stream, 16 x 5 ms", load: Load::Stream { connections: 16 } },
    ]
}

impl Cell {
    pub(crate) fn is_idle(&self) -> bool {
        matches!(self.load, Load::Idle { .. })
    }

    /// Whether an arm can be put under this load: the stub alone has no TLS, so no HTTP/2.
    pub(crate) fn fits(&self, arm: &Arm) -> bool {
        arm.tls.is_some() || !matches!(self.load, Load::Http2 { .. })
    }

    /// The load client's arguments, but for where and as whom.
    pub(crate) fn arguments(&self) -> Vec<String> {
        let line = match self.load {
            Load::Http1 { connections, body } => format!("-c {connections} --body-size {body}"),
            Load::Http2 { connections, streams, body } => {
                format!("--http2 --h2-streams {streams} -c {connections} --body-size {body}")
            }
            Load::Idle { connections } => format!("-c {connections} --no-body --prime --hold 1"),
            Load::Stream { connections } => format!("--stream -c {connections}"),
        };
        line.split(' ').map(str::to_owned).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ratio_cells_are_always_measured() {
        for quick in [true, false] {
            let names: Vec<_> = all(quick).into_iter().map(|cell| cell.name).collect();
            assert!(RATIO_CELLS.iter().all(|cell| names.contains(cell)), "{names:?}");
        }
    }

    #[test]
    fn sizes_are_bytes() {
        let cell = all(false).into_iter().find(|cell| cell.name == "1 MB, 16 conn").unwrap();
        assert_eq!(cell.arguments(), ["-c", "16", "--body-size", "1048576"]);
    }
}
