//! The listening side: connections in, a handle out.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::{AbortHandle, JoinSet};

use super::config::{Config, ConfigError};
use super::http::{self, Shared};
use super::record::{Counts, Entry};

/// The most connections served at once; more wait to be accepted.
const MAX_CONNECTIONS: usize = 1_024;

/// How long a client may take to send a request's head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// How long to wait after an accept failed, for example for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A running stand-in. Dropping it closes its port and all its connections.
#[derive(Debug)]
pub struct StandIn {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: AbortHandle,
}

impl StandIn {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of its MCP endpoint.
    pub fn url(&self) -> String {
        format!("http://{}/mcp", self.address)
    }

    /// All recorded requests, oldest first: what `GET /record` answers.
    pub fn record(&self) -> Vec<Entry> {
        http::lock(&self.shared.record).entries().cloned().collect()
    }

    /// What `GET /record/counts` answers.
    pub fn counts(&self) -> Counts {
        http::lock(&self.shared.record).counts().clone()
    }

    /// Empties the record, as `DELETE /record` does.
    pub fn clear_record(&self) {
        http::lock(&self.shared.record).clear();
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Why a stand-in did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration is refused.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The address cannot be listened on.
    #[error("cannot listen on {listen}")]
    Listen {
        /// The address.
        listen: SocketAddr,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
}

/// Starts a stand-in on the current runtime. It accepts connections when this returns.
///
/// # Errors
///
/// If the configuration is refused or its address cannot be listened on.
pub async fn start(config: Config) -> Result<StandIn, StartError> {
    config.validate()?;
    let listen = config.listen;
    let failed = |source| StartError::Listen { listen, source };
    let listener = TcpListener::bind(listen).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let shared = Arc::new(Shared::new(config));
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let accepting = tokio::spawn(accept(listener, Arc::clone(&shared), room)).abort_handle();
    Ok(StandIn { address, shared, accepting })
}

/// Accepts until it is dropped; the connections go with it.
async fn accept(listener: TcpListener, shared: Arc<Shared>, room: Arc<Semaphore>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else { return };
        while connections.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((stream, _)) => {
                let shared = Arc::clone(&shared);
                connections.spawn(async move {
                    serve(stream, &shared).await;
                    drop(permit);
                });
            }
            Err(error) => {
                eprintln!("cannot accept a connection: {error}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn serve(stream: TcpStream, shared: &Shared) {
    // Answers are written in small pieces; waiting to join them would only delay them.
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request| http::answer(shared, request));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service);
    // A client that breaks its connection off is no event here: its request is in the record.
    let _ = connection.await;
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    async fn ask(address: SocketAddr) -> TcpStream {
        let mut stream = TcpStream::connect(address).await.expect("connects");
        stream.write_all(b"GET /health HTTP/1.1\r\nhost: kommo\r\n\r\n").await.expect("is sent");
        stream
    }

    async fn is_answered(stream: &mut TcpStream) -> bool {
        let mut start = [0; 12];
        stream.read_exact(&mut start).await.is_ok() && &start == b"HTTP/1.1 200"
    }

    #[tokio::test]
    async fn one_connection_past_the_bound_waits_for_room() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("listens");
        let address = listener.local_addr().expect("an address");
        let room = Arc::new(Semaphore::new(2));
        let shared = Arc::new(Shared::new(Config::loopback()));
        let accepting = tokio::spawn(accept(listener, shared, Arc::clone(&room)));
        let mut first = ask(address).await;
        let mut second = ask(address).await;
        assert!(is_answered(&mut first).await && is_answered(&mut second).await);
        assert_eq!(room.available_permits(), 0);
        let mut third = ask(address).await;
        drop(first);
        assert!(is_answered(&mut third).await, "it is answered once there is room");
        assert_eq!(room.available_permits(), 0, "and not before");
        accepting.abort();
    }
}
