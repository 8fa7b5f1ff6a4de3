//! A real Redis as a process: started, stopped, frozen, emptied, and read.

use std::ffi::OsString;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

use super::PATIENCE;
use super::error::ProcessError;

#[path = "../../redis/program.rs"]
mod program;

use program::Engine;

/// What is not run where there is no store.
const WHAT: &str = "gateways that share counters";
const LOOK: Duration = Duration::from_millis(5);
// Of a log in the store, in bytes: its header, and a record for each admission.
const HEADER: usize = 64;
const RECORD: usize = 32;

/// A Redis, or a Valkey, on a port of loopback that stays its own; it is killed when this is dropped.
#[derive(Debug)]
pub struct Redis {
    engine: Engine,
    arguments: Vec<String>,
    variables: Vec<(&'static str, OsString)>,
    port: u16,
    bus: u16,
    child: Child,
}

impl Redis {
    /// Starts a Redis with further arguments, in which `{port}` stands for its port and `{bus}` for a second one. None where
    /// there is no program; it is said loudly what was not run.
    ///
    /// # Errors
    /// It does not start.
    pub async fn start(arguments: &[&str]) -> Result<Option<Self>, ProcessError> {
        Self::of(Engine::Redis, arguments, Vec::new()).await
    }

    /// Starts a Valkey, as [`Redis::start`] does.
    ///
    /// # Errors
    /// It does not start.
    pub async fn valkey(arguments: &[&str]) -> Result<Option<Self>, ProcessError> {
        Self::of(Engine::Valkey, arguments, Vec::new()).await
    }

    /// Starts a Valkey whose clock is wrong by what a file says at any time, such as `+1h`. (Debian's Redis does not bear to
    /// be shown another time.)
    ///
    /// # Errors
    /// It does not start.
    pub async fn with_clock_of(file: &Path) -> Result<Option<Self>, ProcessError> {
        let Some(mut variables) = shifted_clock(WHAT) else { return Ok(None) };
        variables.push(("FAKETIME_TIMESTAMP_FILE", file.into()));
        Self::of(Engine::Valkey, &[], variables).await
    }

    async fn of(
        engine: Engine,
        arguments: &[&str],
        variables: Vec<(&'static str, OsString)>,
    ) -> Result<Option<Self>, ProcessError> {
        let [port, bus] = [free_port()?, free_port()?];
        let place = |argument: &&str| {
            argument.replace("{port}", &port.to_string()).replace("{bus}", &bus.to_string())
        };
        let arguments: Vec<String> = arguments.iter().map(place).collect();
        let Some(child) = spawn(engine, &arguments, &variables, port)? else { return Ok(None) };
        let mut redis = Self { engine, arguments, variables, port, bus, child };
        redis.until_there().await?;
        Ok(Some(redis))
    }

    /// Where it is.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// The second port, for the bus of a cluster.
    pub fn bus(&self) -> u16 {
        self.bus
    }

    /// Where it is, as a server's settings say it.
    pub fn url(&self) -> String {
        format!("redis://{}", self.address())
    }

    /// Ends it at once, with all that it counted.
    ///
    /// # Errors
    /// The system refuses.
    pub async fn kill(&mut self) -> Result<(), ProcessError> {
        self.child.kill().await.map_err(ProcessError::system("kill redis-server"))
    }

    /// Starts it again after it was killed, empty.
    ///
    /// # Errors
    /// It does not start.
    pub async fn restart(&mut self) -> Result<(), ProcessError> {
        let child = spawn(self.engine, &self.arguments, &self.variables, self.port)?;
        self.child = child.ok_or_else(gone)?;
        self.until_there().await
    }

    /// Stops it from running, though its connections stay open.
    ///
    /// # Errors
    /// The system refuses.
    pub async fn freeze(&self) -> Result<(), ProcessError> {
        super::gateway::signal(self.child.id(), "STOP").await
    }

    /// Lets it run again.
    ///
    /// # Errors
    /// The system refuses.
    pub async fn thaw(&self) -> Result<(), ProcessError> {
        super::gateway::signal(self.child.id(), "CONT").await
    }

    /// Runs one command and answers what came back, as it came.
    ///
    /// # Errors
    /// There is no answer.
    pub async fn command(&self, parts: &[&[u8]]) -> Result<Vec<u8>, ProcessError> {
        let mut request = format!("*{}\r\n", parts.len()).into_bytes();
        for part in parts {
            request.extend(format!("${}\r\n", part.len()).into_bytes());
            request.extend_from_slice(part);
            request.extend_from_slice(b"\r\n");
        }
        // It closes the connection after the answer, so the answer's end needs no parser.
        request.extend_from_slice(b"*1\r\n$4\r\nQUIT\r\n");
        let talk = async {
            let mut stream = TcpStream::connect(self.address()).await?;
            stream.write_all(&request).await?;
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).await?;
            Ok(answer)
        };
        let answer =
            timeout(PATIENCE, talk).await.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()));
        let mut answer = answer.map_err(ProcessError::system("ask redis-server"))?;
        answer.truncate(answer.len().saturating_sub(b"+OK\r\n".len()));
        Ok(answer)
    }

    /// Runs a command of words.
    ///
    /// # Errors
    /// There is no answer.
    pub async fn say(&self, words: &str) -> Result<String, ProcessError> {
        let parts: Vec<&[u8]> = words.split(' ').map(str::as_bytes).collect();
        Ok(String::from_utf8_lossy(&self.command(&parts).await?).into_owned())
    }

    /// The instants of every admission that its counters still hold, in microseconds of its own clock, one list for each
    /// counter.
    ///
    /// # Errors
    /// There is no answer.
    pub async fn admissions(&self) -> Result<Vec<Vec<u64>>, ProcessError> {
        let keys = self.say("KEYS toolgate:*:counter:*").await?;
        let mut all = Vec::new();
        for key in keys.lines().filter(|line| line.starts_with("toolgate:")) {
            let answer = self.command(&[b"GET", key.as_bytes()]).await?;
            let start = answer.iter().position(|byte| *byte == b'\n').map_or(0, |end| end + 1);
            all.push(instants(&answer[start..]));
        }
        Ok(all)
    }

    async fn until_there(&mut self) -> Result<(), ProcessError> {
        let there = async {
            while TcpStream::connect(self.address()).await.is_err() {
                sleep(LOOK).await;
            }
        };
        let late = |_| ProcessError::Patience { what: "redis-server".to_owned(), last: self.url() };
        timeout(PATIENCE, there).await.map_err(late)
    }
}

fn instants(log: &[u8]) -> Vec<u64> {
    let number = |from: usize| {
        let bytes = log.get(from..from + 8).and_then(|bytes| bytes.try_into().ok());
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a log holds whole numbers"
        )]
        bytes.map(|bytes| f64::from_be_bytes(bytes) as u64)
    };
    let (head, count) = (number(0).unwrap_or_default(), number(8).unwrap_or_default());
    let places = (head..head + count).filter_map(|place| usize::try_from(place).ok());
    places.filter_map(|place| number(HEADER + place * RECORD)).collect()
}

/// Variables that make a program see another time, which `FAKETIME` says. None, said loudly, where that cannot be done.
pub fn shifted_clock(what: &str) -> Option<Vec<(&'static str, OsString)>> {
    program::shifted_clock(what)
}

fn spawn(
    engine: Engine,
    arguments: &[String],
    variables: &[(&'static str, OsString)],
    port: u16,
) -> Result<Option<Child>, ProcessError> {
    let Some(command) = engine.command(port, WHAT) else { return Ok(None) };
    let mut command = Command::from(command);
    command.args(arguments).envs(variables.iter().cloned()).kill_on_drop(true);
    command.spawn().map(Some).map_err(ProcessError::system("start a store"))
}

fn gone() -> ProcessError {
    ProcessError::system("start a store again")(std::io::ErrorKind::NotFound.into())
}

fn free_port() -> Result<u16, ProcessError> {
    let failed = || ProcessError::system("find a free port");
    let listener = StdListener::bind("127.0.0.1:0").map_err(failed())?;
    Ok(listener.local_addr().map_err(failed())?.port())
}
