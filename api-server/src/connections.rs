//! Serves HTTP connections, and bounds what each of them can cost.
//!
//! A connection is *unproven* until one of its requests was authorized. Of those there are few: when one more
//! arrives, the oldest is closed, so that clients without a token cannot keep those with one out. Every head
//! of a request must arrive in time, and so must what the client reads. Buffers are small, also those of the
//! kernel, which count towards the memory limit of a container.

use std::{
    collections::BTreeMap,
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{Router, body::Body, http::Request};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    sync::Semaphore,
};
use tokio_io_timeout::TimeoutStream;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt as _;

/// Send buffer of a connection in the kernel, which keeps twice as much. It is enough for 10 MB/s over 10 ms.
const SEND_BUFFER_BYTES: u32 = 128 * 1024;

/// Buffers of a connection in this program: the largest head of a request, and what waits to be sent.
const BUFFER_BYTES: usize = 64 * 1024;

const BACKLOG: u32 = 1024;

/// Open files beside connections: the database, logs and uploads under way.
const OTHER_FILES: u64 = 512;

/// Wait after a connection could not be accepted, such as for want of file descriptors.
const ACCEPT_RETRY_INTERVAL: Duration = Duration::from_millis(100);

/// The limits of connections.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// How many there are at the same time; more wait in the kernel.
    pub connections: usize,
    /// How many of them may be unproven.
    pub unproven: usize,
    /// The longest time for the head of a request, and between two requests.
    pub head: Duration,
    /// The longest time in which a client reads nothing of what is sent to it.
    pub stalled_write: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 2048,
            unproven: 256,
            head: Duration::from_secs(20),
            stalled_write: Duration::from_mins(1),
        }
    }
}

/// The connection that a request came from; an extension of the request.
#[derive(Debug, Clone)]
pub struct ConnectionHandle {
    id: u64,
    unproven: Arc<Unproven>,
}

impl ConnectionHandle {
    /// Records that a request of the connection was authorized.
    pub fn prove(&self) {
        self.unproven.remove(self.id);
    }
}

/// The unproven connections, by age.
#[derive(Debug, Default)]
struct Unproven {
    next: AtomicU64,
    open: Mutex<BTreeMap<u64, CancellationToken>>,
}

impl Unproven {
    /// Adds a connection. Closes the oldest ones above the limit.
    fn add(self: &Arc<Self>, limit: usize) -> (ConnectionHandle, CancellationToken) {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let closed = CancellationToken::new();
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        while open.len() >= limit.max(1) {
            if let Some((_, oldest)) = open.pop_first() {
                oldest.cancel();
            }
        }
        open.insert(id, closed.clone());
        (ConnectionHandle { id, unproven: Arc::clone(self) }, closed)
    }

    fn remove(&self, id: u64) {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
    }
}

/// Raises the number of files that this process may open as far as the system lets it, and warns when that
/// is too low for the limits. Many systems start programs with 1,024.
pub fn raise_open_file_limit(limits: Limits) {
    let found = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: found.maximum, ..found }) {
        tracing::debug!(%error, "could not raise the limit of open files");
    }
    let wanted = limits.connections as u64 + OTHER_FILES;
    if let Some(allowed) = getrlimit(Resource::Nofile).current.filter(|allowed| *allowed < wanted) {
        tracing::warn!(
            "this process may open {allowed} files, which is less than the {wanted} that {} connections may \
             need; raise the limit (`ulimit -n`)",
            limits.connections
        );
    }
}

/// Listens on an address. The send buffers of its connections are small.
///
/// # Errors
/// The error of the system.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.set_send_buffer_size(SEND_BUFFER_BYTES)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Serves connections until the shutdown, then waits for the requests that are running.
pub async fn serve(listener: TcpListener, router: Router, limits: Limits, shutdown: CancellationToken) {
    let (slots, unproven) = (Arc::new(Semaphore::new(limits.connections)), Arc::new(Unproven::default()));
    let running = TaskTracker::new();
    while let Some(slot) = shutdown.run_until_cancelled(Arc::clone(&slots).acquire_owned()).await {
        let stream = match shutdown.run_until_cancelled(listener.accept()).await {
            None => break,
            Some(Ok((stream, _))) => stream,
            Some(Err(error)) => {
                tracing::warn!(%error, "could not accept a connection");
                tokio::time::sleep(ACCEPT_RETRY_INTERVAL).await;
                continue;
            }
        };
        let (handle, closed) = unproven.add(limits.unproven);
        let connection = serve_connection(stream, router.clone(), handle.clone(), limits, shutdown.clone());
        running.spawn(async move {
            let _slot = slot;
            closed.run_until_cancelled(connection).await;
            handle.prove();
        });
    }
    // Clients that connect from now on are refused.
    drop(listener);
    running.close();
    running.wait().await;
}

async fn serve_connection(
    stream: TcpStream,
    router: Router,
    handle: ConnectionHandle,
    limits: Limits,
    shutdown: CancellationToken,
) {
    let mut stream = Box::pin(TimeoutStream::new(stream));
    stream.as_mut().set_write_timeout_pinned(Some(limits.stalled_write));
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(handle.clone());
        let router = router.clone();
        async move { router.oneshot(request.map(Body::new)).await }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .max_buf_size(BUFFER_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended");
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use axum::routing::get;
    use futures::stream;
    use tokio::{io::AsyncWriteExt as _, sync::mpsc};

    use super::*;

    #[test]
    fn limit_of_open_files_is_raised_as_far_as_allowed() {
        let found = getrlimit(Resource::Nofile);
        let lower = found.maximum.map_or(4096, |maximum| maximum.min(4096));
        setrlimit(Resource::Nofile, Rlimit { current: Some(lower), ..found }).unwrap();
        raise_open_file_limit(Limits::default());
        assert_eq!(getrlimit(Resource::Nofile).current, found.maximum);
    }

    #[tokio::test]
    async fn connection_of_a_client_that_reads_nothing_is_closed() {
        let (dropped, mut ended) = mpsc::unbounded_channel::<()>();
        let endless = move || {
            let piece = (dropped, vec![b'x'; 16 * 1024]);
            let pieces = stream::repeat_with(move || {
                // Dropped with the answer.
                let _ = &piece.0;
                Ok::<_, Infallible>(piece.1.clone())
            });
            async move { Body::from_stream(pieces) }
        };
        let router = Router::new().route("/", get(endless));
        let listener = listen("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        let limits = Limits { stalled_write: Duration::from_millis(100), ..Limits::default() };
        let shutdown = CancellationToken::new();
        let server = tokio::spawn(serve(listener, router, limits, shutdown.clone()));
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        // All senders are gone: the handler's own when it was called, the answer's when it is dropped.
        shutdown.cancel();
        let closed = tokio::time::timeout(Duration::from_secs(20), ended.recv()).await;
        assert_eq!(closed.expect("the answer is dropped"), None);
        server.await.unwrap();
    }
}
