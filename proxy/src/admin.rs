//! The operator's own listener: health, metrics, status, peers. Loopback only, on its own thread, so
//! that a busy gate can still be asked how it is.
//!
//! Everything but health and metrics needs the admin token. `Host` and `Origin` are checked on every
//! route: a web page that rebinds its name to this machine gets nothing.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context as _;
use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{delete, get, post};
use serde_json::{Value, json};
use subtle::ConstantTimeEq as _;

use crate::running::Running;

mod decisions;
mod grants;

/// The admin listener's state.
#[derive(Clone)]
struct Admin {
    running: Arc<Running>,
    token: Arc<str>,
    address: SocketAddr,
}

/// Opens the admin listener.
///
/// # Errors
/// When the address cannot be bound.
pub(crate) fn bind(listen: SocketAddr) -> anyhow::Result<std::net::TcpListener> {
    let socket = std::net::TcpListener::bind(listen).with_context(|| {
        format!(
            "cannot listen on {listen} (admin.listen): is another program using this port? Choose another, or stop it"
        )
    })?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// Serves until the task is dropped.
pub(crate) async fn serve(socket: std::net::TcpListener, running: Arc<Running>, token: Arc<str>) -> anyhow::Result<()> {
    let address = socket.local_addr()?;
    let admin = Admin { running, token, address };
    let guarded = Router::new()
        .route("/api/v1/status", get(status))
        .route("/api/v1/peers", get(peers))
        .route("/api/v1/peers/{id}/approve", post(approve))
        .route("/api/v1/peers/{id}/revoke", post(revoke))
        .route("/api/v1/decisions", get(decisions::list))
        .route("/api/v1/decisions/{id}", get(decisions::explained))
        .route("/api/v1/grants", get(grants::list).post(grants::add))
        .route("/api/v1/grants/{id}", delete(grants::revoke))
        .route("/api/v1/audit/status", get(audit_status))
        .route("/api/v1/reload", post(reload))
        .route_layer(middleware::from_fn_with_state(admin.clone(), authorised));
    let open = Router::new()
        .route("/livez", get(alive))
        .route("/healthz", get(alive))
        .route("/startupz", get(started))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics));
    let app = open
        .merge(guarded)
        .fallback(nothing)
        .layer(middleware::from_fn_with_state(admin.clone(), at_home))
        .with_state(admin);
    axum::serve(tokio::net::TcpListener::from_std(socket)?, app).await?;
    Ok(())
}

/// Refuses a request whose `Host` is not this listener's, or that another origin's page sent.
async fn at_home(State(admin): State<Admin>, request: Request, next: Next) -> Response {
    if !is_home(request.headers(), admin.address) {
        return problem(StatusCode::FORBIDDEN, "the Host or Origin header is not this listener's own");
    }
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    ] {
        headers.insert(name, header::HeaderValue::from_static(value));
    }
    response
}

fn is_home(headers: &HeaderMap, address: SocketAddr) -> bool {
    let text = |name| headers.get(name).map(|v| v.to_str().unwrap_or("?"));
    let port = address.port();
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned(), "[::1]".to_owned(), address.ip().to_string()];
    let ours = |name: &str| names.iter().any(|own| name == format!("{own}:{port}") || (port == 80 && name == own));
    text(header::HOST).is_some_and(ours)
        && text(header::ORIGIN).is_none_or(|origin| origin.strip_prefix("http://").is_some_and(ours))
}

/// Lets a request through that carries the admin token.
async fn authorised(State(admin): State<Admin>, headers: HeaderMap, request: Request, next: Next) -> Response {
    let given = headers
        .get(header::AUTHORIZATION)
        .and_then(|v| v.to_str().ok())
        .and_then(|v| v.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map_or("", |(_, token)| token.trim());
    if !bool::from(given.as_bytes().ct_eq(admin.token.as_bytes())) {
        let mut response = problem(
            StatusCode::UNAUTHORIZED,
            "this needs the admin token: `Authorization: Bearer` and the text in state/admin.token",
        );
        response.headers_mut().insert(header::WWW_AUTHENTICATE, header::HeaderValue::from_static("Bearer"));
        return response;
    }
    next.run(request).await
}

async fn alive() -> Json<Value> {
    Json(json!({"status": "ok"}))
}

async fn started(State(admin): State<Admin>) -> Response {
    said(admin.running.started())
}

async fn ready(State(admin): State<Admin>) -> Response {
    said(admin.running.ready())
}

/// 200, or 503 with the reasons.
fn said(reasons: Vec<String>) -> Response {
    if reasons.is_empty() {
        Json(json!({"status": "ok"})).into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, Json(json!({"status": "not ready", "reasons": reasons}))).into_response()
    }
}

async fn metrics(State(admin): State<Admin>) -> Response {
    match admin.running.exposition() {
        Ok(text) => ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response(),
        Err(error) => problem(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

async fn status(State(admin): State<Admin>) -> Json<Value> {
    Json(admin.running.status())
}

async fn peers(State(admin): State<Admin>) -> Json<Value> {
    Json(admin.running.peers())
}

async fn audit_status(State(admin): State<Admin>) -> Json<Value> {
    Json(admin.running.audit_status())
}

async fn approve(State(admin): State<Admin>, Path(id): Path<String>) -> Response {
    decided(admin.running.approve(&id))
}

async fn revoke(State(admin): State<Admin>, Path(id): Path<String>) -> Response {
    decided(admin.running.revoke(&id))
}

fn decided(outcome: Result<Value, String>) -> Response {
    match outcome {
        Ok(peer) => Json(peer).into_response(),
        Err(error) => problem(StatusCode::NOT_FOUND, &error),
    }
}

async fn reload(State(admin): State<Admin>) -> Response {
    let running = Arc::clone(&admin.running);
    match tokio::task::spawn_blocking(move || running.reload()).await {
        Ok(Ok(generation)) => Json(json!({"status": "ok", "generation": generation})).into_response(),
        Ok(Err(error)) => problem(StatusCode::UNPROCESSABLE_ENTITY, &error),
        Err(_) => problem(StatusCode::INTERNAL_SERVER_ERROR, "the reload was cut off"),
    }
}

async fn nothing() -> Response {
    problem(StatusCode::NOT_FOUND, "there is nothing here")
}

fn problem(status: StatusCode, what: &str) -> Response {
    (status, Json(json!({"error": what}))).into_response()
}
