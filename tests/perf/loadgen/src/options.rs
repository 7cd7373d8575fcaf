//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail, ensure};

const USAGE: &str = "\
perf-loadgen run  --url URL [options]      closed-loop load
perf-loadgen idle --url URL -c N [options] hold N connections and report the server's memory
perf-loadgen certs DIR                     write ca, server and client certificates (P-256)

transport: --http2  --h2-streams N  --ca F  --cert F --key F  --insecure  --sni NAME
           --new-conn (a connection and a full handshake for each request)
load:      -c N  -d SECONDS  -w WARMUP  --threads N
request:   --method M  --body-size BYTES  --no-body  --api ollama|generate|openai  --model NAME
           --stream  -H 'Name: value' (repeat)  --stub-tokens N  --stub-gap-us U
           --expect STATUS (default 200)
signing:   --sign-key PEM  --audience NODE-ID  --presign N (requests that are signed before the load
           begins; default 20,000 for each second)
watch:     --pid PID (repeat)  --tree (with its descendants)
other:     --label TEXT  --hold SECONDS (idle)  --prime (idle: one request for each connection)";

/// What to do.
#[derive(Debug)]
pub(crate) enum Command {
    Certs { dir: PathBuf },
    Idle(Options),
    Run(Options),
}

/// Everything about a measurement.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) url: String,
    pub(crate) http2: bool,
    pub(crate) h2_streams: usize,
    pub(crate) ca: Option<String>,
    pub(crate) cert: Option<String>,
    pub(crate) key: Option<String>,
    pub(crate) insecure: bool,
    pub(crate) sni: Option<String>,
    pub(crate) new_conn: bool,
    pub(crate) connections: usize,
    pub(crate) duration: Duration,
    pub(crate) warmup: Duration,
    pub(crate) threads: usize,
    pub(crate) method: Option<String>,
    pub(crate) body_size: usize,
    pub(crate) no_body: bool,
    pub(crate) api: String,
    pub(crate) model: String,
    pub(crate) stream: bool,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) expect: u16,
    pub(crate) sign_key: Option<String>,
    pub(crate) audience: Option<String>,
    pub(crate) presign: Option<usize>,
    pub(crate) pids: Vec<u32>,
    pub(crate) tree: bool,
    pub(crate) label: String,
    pub(crate) hold: Duration,
    pub(crate) prime: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            url: String::new(),
            http2: false,
            h2_streams: 1,
            ca: None,
            cert: None,
            key: None,
            insecure: false,
            sni: None,
            new_conn: false,
            connections: 1,
            duration: Duration::from_secs(3),
            warmup: Duration::from_millis(500),
            threads: 1,
            method: None,
            body_size: 1024,
            no_body: false,
            api: "ollama".to_owned(),
            model: "stub".to_owned(),
            stream: false,
            headers: Vec::new(),
            expect: 200,
            sign_key: None,
            audience: None,
            presign: None,
            pids: Vec::new(),
            tree: false,
            label: String::new(),
            hold: Duration::from_secs(1),
            prime: false,
        }
    }
}

impl Options {
    /// Streams per connection: more than one only with HTTP/2.
    pub(crate) fn streams(&self) -> usize {
        if self.http2 { self.h2_streams } else { 1 }
    }
}

/// Reads the command line without the program's name.
pub(crate) fn parse(mut args: impl Iterator<Item = String>) -> anyhow::Result<Command> {
    let command = args.next().context(USAGE)?;
    match command.as_str() {
        "certs" => Ok(Command::Certs { dir: args.next().context(USAGE)?.into() }),
        "idle" => Ok(Command::Idle(parse_options(args)?)),
        "run" => Ok(Command::Run(parse_options(args)?)),
        _ => bail!("{USAGE}"),
    }
}

fn parse_options(mut args: impl Iterator<Item = String>) -> anyhow::Result<Options> {
    let mut options = Options::default();
    while let Some(name) = args.next() {
        let mut value = || args.next().with_context(|| format!("`{name}` needs a value"));
        let bad = || format!("bad value for `{name}`");
        let seconds = |value: String| {
            let seconds = value.parse().with_context(bad)?;
            Duration::try_from_secs_f64(seconds).with_context(bad)
        };
        match name.as_str() {
            "--url" => options.url = value()?,
            "--http2" => options.http2 = true,
            "--h2-streams" => options.h2_streams = value()?.parse().with_context(bad)?,
            "--ca" => options.ca = Some(value()?),
            "--cert" => options.cert = Some(value()?),
            "--key" => options.key = Some(value()?),
            "--insecure" => options.insecure = true,
            "--sni" => options.sni = Some(value()?),
            "--new-conn" => options.new_conn = true,
            "-c" => options.connections = value()?.parse().with_context(bad)?,
            "-d" => options.duration = seconds(value()?)?,
            "-w" => options.warmup = seconds(value()?)?,
            "--threads" => options.threads = value()?.parse().with_context(bad)?,
            "--method" => options.method = Some(value()?),
            "--body-size" => options.body_size = value()?.parse().with_context(bad)?,
            "--no-body" => options.no_body = true,
            "--api" => options.api = value()?,
            "--model" => options.model = value()?,
            "--stream" => options.stream = true,
            "-H" => {
                let header = value()?;
                let (name, value) = header.split_once(':').with_context(bad)?;
                let value = value.trim().to_owned();
                options.headers.push((name.trim().to_ascii_lowercase(), value));
            }
            "--stub-tokens" => options.headers.push(("x-stub-tokens".to_owned(), value()?)),
            "--stub-gap-us" => options.headers.push(("x-stub-gap-us".to_owned(), value()?)),
            "--expect" => options.expect = value()?.parse().with_context(bad)?,
            "--sign-key" => options.sign_key = Some(value()?),
            "--audience" => options.audience = Some(value()?),
            "--presign" => options.presign = Some(value()?.parse().with_context(bad)?),
            "--pid" => options.pids.push(value()?.parse().with_context(bad)?),
            "--tree" => options.tree = true,
            "--label" => options.label = value()?,
            "--hold" => options.hold = seconds(value()?)?,
            "--prime" => options.prime = true,
            _ => bail!("unknown option `{name}`\n{USAGE}"),
        }
    }
    ensure!(!options.url.is_empty(), "--url is needed\n{USAGE}");
    ensure!(
        options.connections > 0 && options.threads > 0 && options.h2_streams > 0,
        "-c, --threads and --h2-streams must be at least 1"
    );
    Ok(options)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> anyhow::Result<Command> {
        parse(line.split(' ').map(str::to_owned))
    }

    #[test]
    fn a_run_is_read() {
        let line = "run --url http://a/ -c 16 -d 1.2 --http2 --h2-streams 4 --pid 7 -H A:b";
        let Command::Run(options) = parsed(line).unwrap() else {
            panic!("not a run");
        };
        assert_eq!((options.connections, options.streams()), (16, 4));
        assert_eq!(options.duration, Duration::from_millis(1200));
        assert_eq!(options.pids, [7]);
        assert_eq!(options.headers, [("a".to_owned(), "b".to_owned())]);
    }

    #[test]
    fn mistakes_are_named() {
        for line in ["fly", "run", "run --url", "run --url x -c 0"] {
            assert!(parsed(line).is_err(), "{line}");
        }
        let error = parsed("run --url x --threads many").unwrap_err();
        assert!(format!("{error:#}").contains("--threads"));
    }
}
