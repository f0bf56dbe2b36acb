//! The endpoint that Prometheus scrapes (`metrics.listener`): a thread of its own, from open to close.
//!
//! A port that is taken costs the endpoint, never the forwarding: that is a problem which status and log tell, and the next reload
//! tries again.

mod connections;
mod families;
mod page;
mod text;

use std::net::{SocketAddr, TcpListener, ToSocketAddrs as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use tokio::runtime;
use tokio::sync::oneshot;

use crate::config::ListenAddress;
use crate::config::names::Key;
use crate::flow::endpoint::{Endpoint, Listening};
use crate::flow::view::View;

/// The endpoint, if there is one.
#[derive(Default)]
pub struct Exporter {
    /// Held by whoever starts and stops it.
    running: Mutex<Option<Running>>,
    listening: Arc<Mutex<Listening>>,
}

struct Running {
    address: ListenAddress,
    thread: JoinHandle<()>,
    /// Dropped, it stops the thread.
    _stop: oneshot::Sender<()>,
}

impl Endpoint for Exporter {
    fn listen(&self, address: &ListenAddress, view: &View) {
        let mut running = self.running();
        if let Some(running) = &*running
            && running.address == *address
            && !running.thread.is_finished()
        {
            return;
        }
        // First: the next address may be the same port of another host.
        end(running.take());
        match self.start(address, view) {
            Ok((started, at)) => {
                *running = Some(started);
                set(&self.listening, Listening::At(at));
            }
            Err(problem) => fail(&self.listening, view, address, &problem.to_string()),
        }
    }

    fn stop(&self) {
        end(self.running().take());
        set(&self.listening, Listening::Off);
    }

    fn listening(&self) -> Listening {
        self.listening.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Exporter {
    fn start(&self, address: &ListenAddress, view: &View) -> std::io::Result<(Running, SocketAddr)> {
        let listener = bind(address)?;
        listener.set_nonblocking(true)?;
        let at = listener.local_addr()?;
        let runtime = runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
        let (stop, stopped) = oneshot::channel();
        let (view, listening, told) = (view.clone(), Arc::clone(&self.listening), address.clone());
        let serve = move || {
            let all = || runtime.block_on(connections::serve(listener, &view, stopped));
            // A panic ends the endpoint and nothing else.
            let ended = catch_unwind(AssertUnwindSafe(all));
            let problem = match ended {
                Ok(Ok(())) => return,
                Ok(Err(error)) => error.to_string(),
                Err(_) => "the endpoint has crashed".to_owned(),
            };
            fail(&listening, &view, &told, &problem);
        };
        let thread = std::thread::Builder::new().name("emq_kafka_http".to_owned()).spawn(serve)?;
        Ok((Running { address: address.clone(), thread, _stop: stop }, at))
    }

    fn running(&self) -> MutexGuard<'_, Option<Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        end(self.running().take());
    }
}

/// The first of the host's addresses that can be listened at.
fn bind(address: &ListenAddress) -> std::io::Result<TcpListener> {
    let candidates: Vec<SocketAddr> = (address.host.as_str(), address.port).to_socket_addrs()?.collect();
    TcpListener::bind(candidates.as_slice())
}

fn end(running: Option<Running>) {
    if let Some(Running { thread, _stop: stop, .. }) = running {
        drop(stop);
        // It catches its own panics.
        thread.join().ok();
    }
}

fn set(listening: &Mutex<Listening>, now: Listening) {
    *listening.lock().unwrap_or_else(PoisonError::into_inner) = now;
}

fn fail(listening: &Mutex<Listening>, view: &View, address: &ListenAddress, problem: &str) {
    let text = format!(
        "{}: cannot serve metrics at {address}: {problem}. Records are still forwarded; a reload tries again",
        Key("metrics.listener")
    );
    view.shared.notices.push("setting metrics.listener", text.clone());
    set(listening, Listening::Failed(text));
}
