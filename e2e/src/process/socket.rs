//! A connection that sends exactly the bytes it is given.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::PATIENCE;
use super::answer::{Answer, Length};
use super::error::ProcessError;

/// The most bytes that are kept of what the other side sends.
const KEPT_BYTES_MAX: usize = 64 * 1024 * 1024;

/// A connection that sends exactly the bytes it is given.
#[derive(Debug)]
pub struct Socket {
    stream: TcpStream,
    read: Vec<u8>,
}

impl Socket {
    /// Connects.
    ///
    /// # Errors
    /// Nobody listens there.
    pub async fn open(address: SocketAddr) -> Result<Self, ProcessError> {
        let stream = TcpStream::connect(address)
            .await
            .map_err(ProcessError::system(format!("connect to {address}")))?;
        Ok(Self::over(stream))
    }

    /// Takes a connection that is open already.
    pub fn over(stream: TcpStream) -> Self {
        // Delaying small writes could only blur what is measured.
        let _ignored = stream.set_nodelay(true);
        Self { stream, read: Vec::new() }
    }

    /// Sends bytes.
    ///
    /// # Errors
    /// The other side has closed.
    pub async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await
    }

    /// The next answer, whole.
    ///
    /// # Errors
    /// It does not come, is cut off, or is no HTTP.
    pub async fn answer(&mut self) -> Result<Answer, ProcessError> {
        let mut answer = self.head().await?;
        answer.body = match answer.length() {
            Length::Bytes(length) => self.take(length).await?,
            Length::Chunks => self.chunks().await?,
            Length::UntilClose => self.rest().await?,
        };
        Ok(answer)
    }

    /// The head of the next answer that is not 100.
    ///
    /// # Errors
    /// It does not come, or is no HTTP.
    pub async fn head(&mut self) -> Result<Answer, ProcessError> {
        loop {
            let head = self.take_until(b"\r\n\r\n").await?;
            let answer = Answer::of_head(&head)?;
            if answer.status != 100 {
                return Ok(answer);
            }
        }
    }

    /// Waits until what was not taken yet holds a text.
    ///
    /// # Errors
    /// It does not come.
    pub async fn until(&mut self, text: &str) -> Result<(), ProcessError> {
        let holds = |read: &[u8]| read.windows(text.len()).any(|window| window == text.as_bytes());
        while !holds(&self.read) {
            self.more(text).await?;
        }
        Ok(())
    }

    /// Everything until the other side closes, however it does that.
    ///
    /// # Errors
    /// It does not close.
    pub async fn rest(&mut self) -> Result<Vec<u8>, ProcessError> {
        loop {
            match self.more("the end of the connection").await {
                Ok(true) => {}
                // A reset is an end too.
                Ok(false) | Err(ProcessError::System { .. }) => return Ok(std::mem::take(&mut self.read)),
                Err(error) => return Err(error),
            }
        }
    }

    /// Whether the other side has closed, waiting for it if it has not.
    pub async fn closes(&mut self) -> bool {
        self.rest().await.is_ok()
    }

    async fn take(&mut self, length: usize) -> Result<Vec<u8>, ProcessError> {
        while self.read.len() < length {
            self.must("the rest of a body").await?;
        }
        Ok(self.read.drain(..length).collect())
    }

    async fn take_until(&mut self, end: &[u8]) -> Result<Vec<u8>, ProcessError> {
        loop {
            if let Some(at) = self.read.windows(end.len()).position(|window| window == end) {
                let taken: Vec<u8> = self.read.drain(..at + end.len()).collect();
                return Ok(taken[..at].to_vec());
            }
            self.must("the end of a head").await?;
        }
    }

    async fn chunks(&mut self) -> Result<Vec<u8>, ProcessError> {
        let mut body = Vec::new();
        loop {
            let line = self.take_until(b"\r\n").await?;
            let digits = String::from_utf8_lossy(&line).into_owned();
            let length =
                usize::from_str_radix(digits.trim(), 16).map_err(|_| ProcessError::NotHttp(digits))?;
            body.extend(self.take(length).await?);
            self.take_until(b"\r\n").await?;
            if length == 0 {
                return Ok(body);
            }
        }
    }

    async fn must(&mut self, what: &str) -> Result<(), ProcessError> {
        if self.more(what).await? {
            return Ok(());
        }
        let read = String::from_utf8_lossy(&self.read);
        Err(ProcessError::NotHttp(format!("closed before {what}, after {read:?}")))
    }

    /// Reads once; false at the end.
    async fn more(&mut self, what: &str) -> Result<bool, ProcessError> {
        if self.read.len() > KEPT_BYTES_MAX {
            return Err(ProcessError::NotHttp(format!("more than {KEPT_BYTES_MAX} bytes")));
        }
        self.read.reserve(64 * 1024);
        match tokio::time::timeout(PATIENCE, self.stream.read_buf(&mut self.read)).await {
            Ok(Ok(length)) => Ok(length > 0),
            Ok(Err(error)) => Err(ProcessError::system(format!("read {what}"))(error)),
            Err(_) => Err(self.impatient(what)),
        }
    }

    fn impatient(&self, what: &str) -> ProcessError {
        let last = format!("read so far: {:?}", String::from_utf8_lossy(&self.read));
        ProcessError::Patience { what: what.to_owned(), last }
    }
}
