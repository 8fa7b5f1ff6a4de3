//! A gateway between two callers and the Kommo stand-in: where most scenarios begin.

use super::answer::Answer;
use super::configuration::{CREDENTIAL, Configuration};
use super::error::ProcessError;
use super::gateway::{Gateway, Start};
use super::request::Request;
use super::socket::Socket;
use crate::agent::{Era, SessionVersion, Target, Token};
use crate::kommo::{self, Answers, StandIn};

/// The token of the grant `alice`.
pub const ALICE: &str = "alice-token-canary";
/// The token of the grant `bob`.
pub const BOB: &str = "bob-token-canary";

/// A gateway between two callers and the stand-in.
#[derive(Debug)]
pub struct World {
    /// The server behind the gateway; it demands the gateway's credential.
    pub stand_in: StandIn,
    /// The gateway's files.
    pub configuration: Configuration,
    /// The gateway, ready.
    pub gateway: Gateway,
}

impl World {
    /// The grants `alice` and `bob` under one policy, `kommo-sales`, with these rules.
    ///
    /// # Errors
    /// A part does not start.
    pub async fn start(answers: Answers, rules: &str) -> Result<Self, ProcessError> {
        Self::start_with(answers, rules, "info", &[]).await
    }

    /// The same with a log of another kind and further arguments for the gateway.
    ///
    /// # Errors
    /// A part does not start.
    pub async fn start_with(
        answers: Answers,
        rules: &str,
        log: &str,
        more: &[&str],
    ) -> Result<Self, ProcessError> {
        let stand_in = Self::stand_in(answers).await?;
        let configuration = Configuration::new(&stand_in.url())?;
        configuration.policy("kommo-sales", rules)?;
        configuration.grant("alice", ALICE, "")?;
        configuration.grant("bob", BOB, "")?;
        let (objects, credentials) = (configuration.objects(), configuration.credentials());
        let gateway =
            Gateway::ready(Start { config: &objects, credentials: Some(&credentials), log, more }).await?;
        Ok(Self { stand_in, configuration, gateway })
    }

    /// A stand-in that demands the gateway's credential.
    ///
    /// # Errors
    /// It does not start.
    pub async fn stand_in(answers: Answers) -> Result<StandIn, ProcessError> {
        let auth_token = Some(CREDENTIAL.to_owned());
        Ok(kommo::start(kommo::Config { auth_token, answers, ..kommo::Config::loopback() }).await?)
    }

    /// Where an agent connects to, and as whom.
    pub fn target(&self, era: Era, token: &str) -> Target {
        target(&self.gateway, era, token)
    }

    /// The answer to one request on a connection of its own.
    ///
    /// # Errors
    /// There is none.
    pub async fn ask(&self, request: &Request) -> Result<Answer, ProcessError> {
        self.gateway.ask(request).await
    }

    /// The tools that were called at the server, in order.
    pub fn reached(&self) -> Vec<String> {
        self.stand_in.record().into_iter().filter_map(|entry| entry.tool).collect()
    }
}

fn target(gateway: &Gateway, era: Era, token: &str) -> Target {
    let token = Token::new(token).expect("the tokens of scenarios are plain");
    Target { url: gateway.url(), era, session_version: SessionVersion::default(), token: Some(token) }
}

impl Gateway {
    /// Where an agent connects to, and as whom.
    pub fn target(&self, era: Era, token: &str) -> Target {
        target(self, era, token)
    }

    /// The answer to one request on a connection of its own.
    ///
    /// # Errors
    /// There is none.
    pub async fn ask(&self, request: &Request) -> Result<Answer, ProcessError> {
        let mut socket = Socket::open(self.address()).await?;
        // An answer may come before all was sent, and the connection be closed; it is there to be read all the same.
        let _closed = socket.send(&request.bytes()).await;
        socket.answer().await
    }

    /// The session that the gateway opens for a caller.
    ///
    /// # Errors
    /// It opens none.
    pub async fn open_session(&self, token: &str) -> Result<String, ProcessError> {
        let answer = self.ask(&Request::initialize(token)).await?;
        let session = answer.header("mcp-session-id").map(str::to_owned);
        session.ok_or_else(|| ProcessError::Patience {
            what: "a session".to_owned(),
            last: format!("{} {}", answer.status, answer.text()),
        })
    }
}
