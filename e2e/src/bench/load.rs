//! A closed loop: as many connections as are wanted, each with one request under way at any time.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{HOST, HeaderMap, HeaderValue};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::LocalSet;

use super::figure::percentile;
use super::question::{Question, opening};

/// How long one answer may take before the run is given up.
const ANSWER_PATIENCE: Duration = Duration::from_secs(20);

/// What one run saw.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sample {
    /// Answers in the window.
    pub calls: u64,
    /// Answers, at any time, that were not what they must be.
    pub errors: u64,
    /// The first of them.
    pub first_error: Option<String>,
    /// How long the window was.
    pub window: Duration,
    /// Half of all answers took no longer, in nanoseconds.
    pub p50: u64,
    /// 99 of 100 answers took no longer, in nanoseconds.
    pub p99: u64,
    /// What the slowest answer took, in nanoseconds.
    pub longest: u64,
}

/// How hard, and how long.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pressure {
    pub connections: usize,
    /// Before anything counts.
    pub warm_up: Duration,
    pub window: Duration,
}

/// One connection, in a session if the question wants one.
#[derive(Debug)]
pub(super) struct Asker {
    sender: SendRequest<Full<Bytes>>,
    headers: HeaderMap,
}

#[derive(Default)]
struct Shared {
    counting: Cell<bool>,
    ended: Cell<bool>,
    took: RefCell<Vec<u64>>,
    errors: Cell<u64>,
    first_error: RefCell<Option<String>>,
}

impl Asker {
    /// Connects, and opens a session if the question belongs to one.
    pub(super) async fn connect(address: SocketAddr, question: &Question) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await.with_context(|| format!("connect to {address}"))?;
        let _ignored = stream.set_nodelay(true);
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.context("speak HTTP")?;
        tokio::task::spawn_local(connection);
        let mut asker = Self { sender, headers: question.headers.clone() };
        asker.headers.insert(HOST, host(address)?);
        if question.session {
            asker.open_session(address).await?;
        }
        Ok(asker)
    }

    async fn open_session(&mut self, address: SocketAddr) -> anyhow::Result<()> {
        for (mut headers, body) in opening() {
            headers.insert(HOST, host(address)?);
            if let Some(session) = self.headers.get("mcp-session-id") {
                headers.insert("mcp-session-id", session.clone());
            }
            let (status, headers, body) = self.send(headers, body).await?;
            if !status.is_success() {
                bail!("opening a session was answered {status}: {}", String::from_utf8_lossy(&body));
            }
            if let Some(session) = headers.get("mcp-session-id") {
                self.headers.insert("mcp-session-id", session.clone());
            }
        }
        Ok(())
    }

    /// The answer's status and body.
    pub(super) async fn ask(&mut self, body: Bytes) -> anyhow::Result<(StatusCode, Bytes)> {
        let (status, _, body) = self.send(self.headers.clone(), body).await?;
        Ok((status, body))
    }

    async fn send(
        &mut self,
        headers: HeaderMap,
        body: Bytes,
    ) -> anyhow::Result<(StatusCode, HeaderMap, Bytes)> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = hyper::Uri::from_static("/mcp");
        *request.headers_mut() = headers;
        let answering = async {
            self.sender.ready().await?;
            let (head, body) = self.sender.send_request(request).await?.into_parts();
            Ok::<_, hyper::Error>((head.status, head.headers, body.collect().await?.to_bytes()))
        };
        answering.await.context("ask")
    }
}

/// Asks for as long as is wanted. `mark` is called when the window begins and when it ends.
pub(super) async fn run(
    address: SocketAddr,
    question: &Question,
    pressure: Pressure,
    mut mark: impl FnMut() -> anyhow::Result<()>,
) -> anyhow::Result<Sample> {
    let running = async {
        let shared = Rc::new(Shared::default());
        let mut tasks = Vec::new();
        for _ in 0..pressure.connections {
            let asker = Asker::connect(address, question).await?;
            tasks.push((asker, question.clone(), shared.clone()));
        }
        let tasks: Vec<_> = tasks
            .into_iter()
            .map(|(asker, question, shared)| tokio::task::spawn_local(ask_on(asker, question, shared)))
            .collect();
        tokio::time::sleep(pressure.warm_up).await;
        mark()?;
        shared.counting.set(true);
        let began = Instant::now();
        tokio::time::sleep(pressure.window).await;
        shared.counting.set(false);
        let window = began.elapsed();
        mark()?;
        shared.ended.set(true);
        for task in tasks {
            let last = tokio::time::timeout(ANSWER_PATIENCE, task).await;
            last.context("an answer did not come")?.context("a task of the load")?;
        }
        Ok(shared.sample(window))
    };
    LocalSet::new().run_until(running).await
}

async fn ask_on(mut asker: Asker, question: Question, shared: Rc<Shared>) {
    let mut first: Option<Bytes> = None;
    while !shared.ended.get() {
        let began = Instant::now();
        let answered = asker.ask(question.body.clone()).await;
        let took = u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        match answered {
            Ok((StatusCode::OK, body)) if is_right(&question, &mut first, &body) => {
                if shared.counting.get() {
                    shared.took.borrow_mut().push(took);
                }
            }
            Ok((status, body)) => shared.fail(&format!("{status} {}", String::from_utf8_lossy(&body))),
            Err(error) => {
                shared.fail(&format!("{error:#}"));
                return;
            }
        }
    }
}

// Bytes that were right once are right again, and to compare them costs the load little.
fn is_right(question: &Question, first: &mut Option<Bytes>, body: &Bytes) -> bool {
    if !question.differs
        && let Some(first) = first
    {
        return first == body;
    }
    let right = question.is_answered_by(body);
    if right {
        *first = Some(body.clone());
    }
    right
}

fn host(address: SocketAddr) -> anyhow::Result<HeaderValue> {
    HeaderValue::from_str(&address.to_string()).context("an address is a header")
}

impl Shared {
    fn fail(&self, what: &str) {
        self.errors.set(self.errors.get() + 1);
        self.first_error.borrow_mut().get_or_insert_with(|| what.chars().take(300).collect());
    }

    fn sample(&self, window: Duration) -> Sample {
        let mut took = self.took.take();
        took.sort_unstable();
        Sample {
            calls: took.len() as u64,
            errors: self.errors.get(),
            first_error: self.first_error.take(),
            window,
            p50: percentile(&took, 500),
            p99: percentile(&took, 990),
            longest: percentile(&took, 1000),
        }
    }
}
