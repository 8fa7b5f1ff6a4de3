//! A server that answers what it is told to, byte by byte, and remembers what reached it.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

use super::PATIENCE;
use super::error::ProcessError;

/// The largest request that is read.
const REQUEST_BYTES_MAX: usize = 32 * 1024 * 1024;

/// One request that reached the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The head as text, without its empty line.
    pub head: String,
    /// The body as text.
    pub body: String,
}

/// What is done next on a connection after a request was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Sends bytes.
    Send(Vec<u8>),
    /// Sends the same bytes again and again until the other side is gone.
    SendForEver(Vec<u8>),
    /// Does nothing until the other side is gone.
    Hold,
    /// Does nothing until [`Upstream::go_on`] was called.
    Wait,
    /// Breaks the connection off with a reset.
    Reset,
    /// Closes the connection.
    Close,
}

type Script = dyn Fn(&Seen) -> Vec<Step> + Send + Sync;

/// A scripted server. Dropping it closes its port and all its connections.
#[derive(Debug)]
pub struct Upstream {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: AbortHandle,
}

#[derive(Debug, Default)]
struct Shared {
    seen: Mutex<Vec<Seen>>,
    /// How many requests were read.
    read: watch::Sender<usize>,
    /// How often the other side went away while it was waited for.
    left: watch::Sender<usize>,
    may_go_on: watch::Sender<bool>,
}

impl Upstream {
    /// Starts a server that does what the script says for each request.
    ///
    /// # Errors
    /// The system has no port.
    pub async fn start(
        script: impl Fn(&Seen) -> Vec<Step> + Send + Sync + 'static,
    ) -> Result<Self, ProcessError> {
        let failed = || ProcessError::system("listen on the loopback interface");
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(failed())?;
        let address = listener.local_addr().map_err(failed())?;
        let shared = Arc::new(Shared::default());
        let accepting = tokio::spawn(accept(listener, shared.clone(), Arc::new(script))).abort_handle();
        Ok(Self { address, shared, accepting })
    }

    /// A server that answers every request with the same bytes and keeps the connection.
    ///
    /// # Errors
    /// The system has no port.
    pub async fn answering(answer: impl Into<Vec<u8>>) -> Result<Self, ProcessError> {
        let answer = answer.into();
        Self::start(move |_| vec![Step::Send(answer.clone())]).await
    }

    /// The URL of its endpoint.
    pub fn url(&self) -> String {
        self.base() + "/mcp"
    }

    /// The URL that it is reached by, without a path.
    pub fn base(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Every request so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Lets every [`Step::Wait`] end, from now on.
    pub fn go_on(&self) {
        self.shared.may_go_on.send_replace(true);
    }

    /// Waits until as many requests were read.
    ///
    /// # Errors
    /// They do not come.
    pub async fn until_seen(&self, requests: usize) -> Result<(), ProcessError> {
        let mut read = self.shared.read.subscribe();
        patient(&format!("{requests} requests at the server"), read.wait_for(|read| *read >= requests)).await
    }

    /// Waits until the other side has left as many connections on which this one held or sent for ever.
    ///
    /// # Errors
    /// It does not leave.
    pub async fn until_left(&self, connections: usize) -> Result<(), ProcessError> {
        let mut left = self.shared.left.subscribe();
        patient("the end of a connection to the server", left.wait_for(|left| *left >= connections)).await
    }

    /// How many such connections the other side has left.
    pub fn left(&self) -> usize {
        *self.shared.left.borrow()
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn patient<T>(what: &str, waiting: impl Future<Output = T>) -> Result<(), ProcessError> {
    let impatient = |_| ProcessError::Patience { what: what.to_owned(), last: String::new() };
    tokio::time::timeout(PATIENCE, waiting).await.map(drop).map_err(impatient)
}

async fn accept(listener: TcpListener, shared: Arc<Shared>, script: Arc<Script>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let (shared, script) = (shared.clone(), script.clone());
        connections.spawn(async move {
            // A connection that breaks is what many scenarios are about.
            let _broken = serve(stream, &shared, &*script).await;
        });
    }
}

async fn serve(mut stream: TcpStream, shared: &Shared, script: &Script) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut read = Vec::new();
    while let Some(seen) = request(&mut stream, &mut read).await? {
        shared.seen.lock().unwrap_or_else(PoisonError::into_inner).push(seen.clone());
        let steps = script(&seen);
        shared.read.send_modify(|read| *read += 1);
        for step in steps {
            match step {
                Step::Send(bytes) => stream.write_all(&bytes).await?,
                Step::SendForEver(bytes) => {
                    while stream.write_all(&bytes).await.is_ok() {}
                    shared.left.send_modify(|left| *left += 1);
                    return Ok(());
                }
                Step::Hold => {
                    while stream.read(&mut [0; 1024]).await.is_ok_and(|length| length > 0) {}
                    shared.left.send_modify(|left| *left += 1);
                    return Ok(());
                }
                Step::Wait => {
                    let mut may_go_on = shared.may_go_on.subscribe();
                    let _gone = may_go_on.wait_for(|may| *may).await;
                }
                Step::Reset => return stream.set_zero_linger(),
                Step::Close => return Ok(()),
            }
        }
    }
    Ok(())
}

/// The next request; the gateway always tells a body's length. `None`: the other side is gone.
async fn request(stream: &mut TcpStream, read: &mut Vec<u8>) -> std::io::Result<Option<Seen>> {
    loop {
        if let Some(end) = read.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&read[..end]).into_owned();
            let length = head
                .lines()
                .filter_map(|line| line.split_once(':'))
                .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
                .and_then(|(_, length)| length.trim().parse::<usize>().ok())
                .unwrap_or_default();
            if read.len() >= end + 4 + length {
                let body = String::from_utf8_lossy(&read[end + 4..end + 4 + length]).into_owned();
                read.drain(..end + 4 + length);
                return Ok(Some(Seen { head, body }));
            }
        }
        read.reserve(64 * 1024);
        if stream.read_buf(read).await? == 0 || read.len() > REQUEST_BYTES_MAX {
            return Ok(None);
        }
    }
}
