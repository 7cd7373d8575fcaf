//! The workers: one task per connection (or HTTP/2 stream), spread over the threads.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::anyhow;
use tokio::task::{LocalSet, spawn_local};
use tokio::time::sleep;

use crate::clock::monotonic_ns;
use crate::connection::Connection;
use crate::plan::{Phase, Plan};
use crate::stats::Stats;

/// Attempts to connect before a worker gives up.
const ATTEMPTS: usize = 20;

/// How long requests in flight at the end may still take.
const GRACE: Duration = Duration::from_secs(5);

/// Starts `worker` once per connection; a thread's workers share its statistics.
pub(crate) fn spawn<F>(
    plan: &Arc<Plan>,
    worker: impl Fn(Arc<Plan>, Rc<RefCell<Stats>>) -> F + Clone + Send + 'static,
) -> Vec<JoinHandle<anyhow::Result<Stats>>>
where
    F: Future<Output = ()> + 'static,
{
    let connections = plan.options.connections;
    let threads = plan.options.threads.min(connections);
    (0..threads)
        .map(|thread| {
            let (plan, worker) = (plan.clone(), worker.clone());
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
                let stats = Rc::new(RefCell::new(Stats::new()?));
                LocalSet::new().block_on(&runtime, async {
                    let tasks: Vec<_> = (thread..connections)
                        .step_by(threads)
                        .map(|_| spawn_local(worker(plan.clone(), stats.clone())))
                        .collect();
                    while !plan.reached(Phase::Stop) {
                        sleep(Duration::from_millis(5)).await;
                    }
                    // Requests in flight get a moment, then they are left behind.
                    let rest = async {
                        for task in tasks {
                            let _ = task.await;
                        }
                    };
                    let _ = tokio::time::timeout(GRACE, rest).await;
                });
                Rc::try_unwrap(stats).map(RefCell::into_inner).map_err(|_| anyhow!("a worker did not end"))
            })
        })
        .collect()
}

/// Waits for the threads and adds up what they saw.
pub(crate) fn join(threads: Vec<JoinHandle<anyhow::Result<Stats>>>) -> anyhow::Result<Stats> {
    let mut all = Stats::new()?;
    for thread in threads {
        all.merge(thread.join().map_err(|_| anyhow!("a load thread panicked"))??)?;
    }
    Ok(all)
}

/// Connects, waits for the start and sends requests until the end.
pub(crate) async fn worker(plan: Arc<Plan>, stats: Rc<RefCell<Stats>>) {
    let mut connection = None;
    // With `--new-conn` the connection is part of what is timed.
    if !plan.options.new_conn {
        connection = connect(&plan, &stats).await;
    }
    plan.worker_ready(connection.is_some() || plan.options.new_conn);
    while !plan.reached(Phase::WarmUp) {
        sleep(Duration::from_millis(2)).await;
    }
    let others: Vec<_> = (1..plan.options.streams())
        .map(|_| {
            let connection = connection.as_ref().and_then(Connection::another_stream);
            spawn_local(drive(plan.clone(), stats.clone(), connection))
        })
        .collect();
    drive(plan, stats, connection).await;
    for task in others {
        let _ = task.await;
    }
}

/// Opens a connection, with patience for a server that is still starting.
pub(crate) async fn connect(plan: &Plan, stats: &RefCell<Stats>) -> Option<Connection> {
    for attempt in 1..=ATTEMPTS {
        match Connection::open(plan).await {
            Ok((connection, handshake)) => {
                stats.borrow_mut().handshake.record(handshake);
                return Some(connection);
            }
            Err(error) if attempt == ATTEMPTS => {
                stats.borrow_mut().error("connect", format!("{error:#}"));
            }
            Err(_) => sleep(Duration::from_millis(50)).await,
        }
    }
    None
}

async fn drive(plan: Arc<Plan>, stats: Rc<RefCell<Stats>>, mut connection: Option<Connection>) {
    while !plan.reached(Phase::Stop) {
        let mut start = monotonic_ns();
        let mut open = match connection.take() {
            Some(open) => open,
            None => match Connection::open(&plan).await {
                Ok((open, handshake)) => {
                    if plan.measuring() {
                        stats.borrow_mut().handshake.record(handshake);
                    }
                    if !plan.options.new_conn {
                        start = monotonic_ns();
                    }
                    open
                }
                Err(error) => {
                    if plan.measuring() {
                        stats.borrow_mut().error("connect", format!("{error:#}"));
                    }
                    sleep(Duration::from_millis(5)).await;
                    continue;
                }
            },
        };
        let result = open.request(&plan, start).await;
        let end = monotonic_ns();
        match result {
            Ok(response) => {
                if !response.close && !plan.options.new_conn {
                    connection = Some(open);
                }
                if plan.measuring() {
                    let mut stats = stats.borrow_mut();
                    stats.requests += 1;
                    stats.bytes_in += response.bytes;
                    *stats.status.entry(response.status).or_default() += 1;
                    if response.status == plan.options.expect {
                        stats.latency.record(end.saturating_sub(start));
                    } else {
                        stats.error("status", format!("status {}", response.status));
                    }
                    if let Some(stream) = &response.stream {
                        stats.stream(stream);
                    }
                }
            }
            Err(error) => {
                if plan.measuring() {
                    stats.borrow_mut().error("io", format!("{error:#}"));
                }
                sleep(Duration::from_millis(1)).await;
            }
        }
    }
}
