//! The gateway's own port: health, metrics, revision.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;

use super::PATIENCE;
use super::answer::Answer;
use super::error::ProcessError;
use super::metrics::Metrics;
use super::socket::Socket;

/// The pause between two looks at something that has no way to say that it changed.
const LOOK: Duration = Duration::from_millis(2);

/// A gateway's own port.
#[derive(Debug, Clone, Copy)]
pub struct Admin {
    address: SocketAddr,
}

impl Admin {
    /// The port at an address.
    pub fn at(address: SocketAddr) -> Self {
        Self { address }
    }

    /// Where it is.
    pub fn address(self) -> SocketAddr {
        self.address
    }

    /// What a path of it answers.
    ///
    /// # Errors
    /// There is no answer.
    pub async fn get(self, path: &str) -> Result<Answer, ProcessError> {
        let request = format!("GET {path} HTTP/1.1\r\nhost: admin\r\nconnection: close\r\n\r\n");
        let mut socket = Socket::open(self.address).await?;
        socket.send(request.as_bytes()).await.map_err(ProcessError::system("ask the admin port"))?;
        socket.answer().await
    }

    /// All metrics.
    ///
    /// # Errors
    /// There is no answer.
    pub async fn metrics(self) -> Result<Metrics, ProcessError> {
        Ok(Metrics::parse(&self.get("/metrics").await?.text()))
    }

    /// The revision that is enforced; null if there is none.
    ///
    /// # Errors
    /// There is no answer.
    pub async fn revision(self) -> Result<Value, ProcessError> {
        Ok(self.get("/revision").await?.json()["revision"].clone())
    }

    /// Waits until the gateway says that it is ready.
    ///
    /// # Errors
    /// It does not in time.
    pub async fn until_ready(self) -> Result<(), ProcessError> {
        self.until("/readyz", "ready", |answer| answer.status == 200).await.map(drop)
    }

    /// Waits until the gateway says that its shared store answers.
    ///
    /// # Errors
    /// It does not in time.
    pub async fn until_it_counts(self) -> Result<(), ProcessError> {
        let counts = |answer: &Answer| answer.text().contains("counters: the shared store answers");
        self.until("/readyz", "the shared store answers", counts).await.map(drop)
    }

    /// Waits until the answer of a path is as wanted; `what` says for people what is waited for.
    ///
    /// # Errors
    /// It is not in time.
    pub async fn until(
        self,
        path: &str,
        what: &str,
        wanted: impl Fn(&Answer) -> bool,
    ) -> Result<Answer, ProcessError> {
        let started = tokio::time::Instant::now();
        loop {
            let answer = self.get(path).await?;
            if wanted(&answer) {
                return Ok(answer);
            }
            if started.elapsed() > PATIENCE {
                let last = format!("{path} last said {}: {}", answer.status, answer.text());
                return Err(ProcessError::Patience { what: what.to_owned(), last });
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}
