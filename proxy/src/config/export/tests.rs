use std::path::Path;

use super::*;
use crate::config::load::parse;
use crate::config::{Config, ConfigError};

fn config(list: &str) -> Result<Config, ConfigError> {
    let text = format!(
        "upstreams: {{local: {{url: http://127.0.0.1:11434, kind: ollama}}}}\nfilters:\n  audit:\n    export:\n{list}"
    );
    parse(&text, Path::new("./portcullis.yaml"))
}

fn sinks(list: &str) -> Vec<ExportSettings> {
    config(list).unwrap_or_else(|e| panic!("{e}")).filters.audit.export
}

#[test]
fn each_kind_has_its_keys_and_its_pace() {
    let sinks = sinks(
        "      - {name: siem, to: syslog, address: 'siem.example:6514'}\n\
         \x20     - {name: near, to: syslog, address: '[::1]:601', tls: off, format: cef, every: 5s, batch_lines: 7}\n\
         \x20     - {name: archive, to: directory, path: ./archive}\n\
         \x20     - {name: far, to: s3, bucket: logs, prefix: gates/a/, endpoint: 'https://minio:9000/', access_key: a, secret_key: b}\n",
    );
    let [siem, near, archive, far] = sinks.as_slice() else { panic!("{sinks:?}") };
    let Destination::Syslog(receiver) = &siem.to else { panic!("{siem:?}") };
    assert_eq!((receiver.address().as_str(), receiver.tls, receiver.format), ("siem.example:6514", true, Format::Json));
    assert_eq!((siem.every, siem.batch_lines, siem.batch_bytes), (Duration::from_secs(1), 1_000, 1 << 20));
    let Destination::Syslog(receiver) = &near.to else { panic!("{near:?}") };
    assert_eq!((receiver.address().as_str(), receiver.tls, receiver.format), ("[::1]:601", false, Format::Cef));
    assert_eq!((near.every, near.batch_lines), (Duration::from_secs(5), 7));
    assert!(matches!(&archive.to, Destination::Directory(path) if path.is_absolute() && path.ends_with("archive")));
    let Destination::S3(bucket) = &far.to else { panic!("{far:?}") };
    assert_eq!((bucket.prefix.as_str(), bucket.region.as_str()), ("gates/a/", "us-east-1"));
    assert_eq!(bucket.endpoint.as_deref(), Some("https://minio:9000"));
    assert_eq!((far.every, far.batch_lines), (Duration::from_secs(60), 10_000));
}

#[test]
fn secrets_are_never_shown() {
    let list = "      - {name: far, to: s3, bucket: logs, access_key: AKIAX, secret_key: hunter2}\n";
    let audit = config(list).unwrap().filters.audit;
    let shown = serde_json::to_string(&audit.shown()).unwrap();
    assert!(shown.contains("\"bucket\":\"logs\"") && shown.contains(HIDDEN), "{shown}");
    for text in [shown, format!("{audit:?}")] {
        assert!(!text.contains("hunter2") && !text.contains("AKIAX"), "{text}");
    }
    let within =
        "      - {name: far, to: s3, bucket: logs, endpoint: 'https://a:hunter2@s3', access_key: a, secret_key: b}\n";
    let error = config(within).map(drop).unwrap_err().to_string();
    assert!(error.contains("no address of a server") && !error.contains("hunter2"), "{error}");
}

#[test]
fn mistakes_say_which_item_and_what_to_write() {
    let good = "      - {name: good, to: directory, path: ./a}\n";
    for (item, said) in [
        ("{name: x}", "does not say what it passes the log on to"),
        ("{to: directory, path: ./b}", "it has no name"),
        ("{name: good, to: directory, path: ./b}", "two sinks are called `good`"),
        ("{name: 'a b', to: directory, path: ./b}", "no name of a sink"),
        ("{name: '../x', to: directory, path: ./b}", "no name of a sink"),
        ("{name: x, to: directory}", "there is no directory"),
        ("{name: x, to: directory, path: ./b, bucket: abc}", "`bucket` says nothing about `to: directory`"),
        ("{name: x, to: syslog}", "there is no receiver"),
        ("{name: x, to: syslog, address: siem.example}", "expected `HOST:PORT`"),
        ("{name: x, to: syslog, address: 'siem.example:0'}", "expected `HOST:PORT`"),
        ("{name: x, to: syslog, address: 'siem.example:6514', tls: off}", "for everybody on the way to read"),
        ("{name: x, to: syslog, address: 'siem.example:6514', tls: on}", "`on` is not a word for TLS"),
        ("{name: x, to: syslog, address: 'siem.example:6514', ca: ca.pem}", "write `tls: {ca: FILE}`"),
        ("{name: x, to: syslog, address: 'siem.example:6514', tls: {ca: gone.pem}}", "is not a file"),
        ("{name: x, to: s3, access_key: a, secret_key: b}", "there is no bucket"),
        ("{name: x, to: s3, bucket: abc, access_key: a}", "who writes there"),
        ("{name: x, to: s3, bucket: abc, access_key: a, secret_key: '${NOT_SET_ANYWHERE}'}", "is not set"),
        ("{name: x, to: s3, bucket: abc, prefix: a/../b, access_key: a, secret_key: b}", "does not fit"),
        ("{name: x, to: s3, bucket: abc, endpoint: 'http://minio:9000', access_key: a, secret_key: b}", "on loopback"),
        ("{name: x, to: directory, path: ./b, batch_lines: 0}", "are no batch"),
        ("{name: x, to: directory, path: ./b, batch_bytes: 1KiB}", "expected `64KiB` to `64MiB`"),
        ("{name: x, to: directory, path: ./b, every: 25h}", "at most `24h`"),
    ] {
        let error = config(&format!("{good}      - {item}\n")).map(drop).unwrap_err().to_string();
        assert!(error.contains(said), "{item}: {error}");
    }
    let error = config(&format!("{good}      - {{name: x, to: directory, path: ''}}\n")).map(drop).unwrap_err();
    let [mistake] = error.0.as_slice() else { panic!("{error}") };
    assert!(mistake.to_string().contains("yaml:6:"), "{mistake}");
    let many: String = (0..9).map(|n| format!("      - {{name: a{n}, to: directory, path: ./a}}\n")).collect();
    assert!(config(&many).map(drop).unwrap_err().to_string().contains("more than the 8"));
}
