//! HTTP/2 on the `h2` crate.

use anyhow::Context;
use bytes::Bytes;
use h2::client::{Builder, SendRequest};

use crate::clock::monotonic_ns;
use crate::connection::{Io, Response};
use crate::plan::Plan;
use crate::stream::StreamRecord;

pub(crate) async fn handshake(io: Io) -> anyhow::Result<SendRequest<Bytes>> {
    let (send, connection) = Builder::new()
        .initial_window_size(1 << 20)
        .initial_connection_window_size(8 << 20)
        .max_send_buffer_size(4 << 20)
        .handshake(io)
        .await
        .context("HTTP/2 handshake")?;
    // Requests see the connection's end themselves.
    tokio::task::spawn_local(async move { drop(connection.await) });
    Ok(send)
}

pub(crate) async fn request(send: &mut SendRequest<Bytes>, plan: &Plan, start: u64) -> anyhow::Result<Response> {
    let scheme = if plan.target.tls.is_some() { "https" } else { "http" };
    let uri = format!("{scheme}://{}{}", plan.target.authority, plan.target.path);
    let mut builder = http::Request::builder().method(plan.method.as_str()).uri(uri);
    if !plan.body.is_empty() {
        builder = builder.header("content-type", "application/json").header("content-length", plan.body.len());
    }
    for (name, value) in &plan.options.headers {
        builder = builder.header(name, value);
    }
    if let Some(signed) = &plan.signed {
        for (name, value) in signed.take()? {
            builder = builder.header(name, value);
        }
    }
    std::future::poll_fn(|cx| send.poll_ready(cx)).await?;
    let (response, mut body) = send.send_request(builder.body(())?, plan.body.is_empty())?;
    if !plan.body.is_empty() {
        body.send_data(plan.body.clone(), true)?;
    }
    let (parts, mut data) = response.await?.into_parts();
    let mut stream = plan.options.stream.then(|| StreamRecord::new(start));
    let mut bytes = 0;
    while let Some(part) = data.data().await {
        let part = part?;
        bytes += part.len() as u64;
        data.flow_control().release_capacity(part.len())?;
        if let Some(stream) = &mut stream {
            stream.feed(&part, monotonic_ns());
        }
    }
    Ok(Response { status: parts.status.as_u16(), bytes, close: false, stream })
}
