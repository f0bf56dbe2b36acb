//! The endpoint's connections: bounded in number and time, each served within the one thread.
//!
//! Whoever may connect is not trusted: one connection more than there may be costs the oldest one, so that connections that only
//! sit there keep nobody else out.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::TcpListener;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};

use super::page;
use crate::flow::view::View;

/// How many connections there may be. Scrapers come seconds apart and stay for milliseconds.
const MAX_CONNECTIONS: usize = 64;

/// How long the head of a request may take.
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a connection may take, the reader of the answer being slow. Prometheus itself waits for 10 s.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(15);

/// How large the head of a request may be.
const MAX_HEAD: usize = 16 * 1024;

/// How long nobody is let in after the operating system had no room for one more.
const AFTER_ERROR: Duration = Duration::from_millis(100);

/// Serves connections until `stop` is dropped.
pub async fn serve(listener: TcpListener, view: &View, stop: oneshot::Receiver<()>) -> std::io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let accepting = tokio::spawn(accept(listener, view.clone()));
    // An error is the sender's end, which is what is waited for.
    stop.await.ok();
    accepting.abort();
    // The runtime ends with this, and with it whatever connections there are.
    Ok(())
}

async fn accept(listener: tokio::net::TcpListener, view: View) {
    let mut connections: VecDeque<AbortHandle> = VecDeque::new();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                connections.retain(|connection| !connection.is_finished());
                if connections.len() >= MAX_CONNECTIONS
                    && let Some(oldest) = connections.pop_front()
                {
                    oldest.abort();
                }
                connections.push_back(tokio::spawn(connection(stream, view.clone())).abort_handle());
            }
            // No descriptor left, or the client is gone already: others are served meanwhile.
            Err(_) => sleep(AFTER_ERROR).await,
        }
    }
}

async fn connection(stream: TcpStream, view: View) {
    let service = service_fn(|request| {
        let page = page::answer(&request, &view);
        async { Ok::<_, Infallible>(page) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(MAX_HEAD)
        // What a kept connection would save is less than what it costs to keep it.
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    // What is wrong with a connection is its client's to know.
    let _ended = timeout(CONNECTION_TIMEOUT, connection).await;
}
