//! One connection to an MCP endpoint, through the official SDK.

use std::error::Error;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rmcp::model::{
    CallToolRequestParams, ClientCapabilities, ClientConfig, ClientRequest, Implementation,
    ListPromptsRequest, ListResourcesRequest, ListToolsRequest, PaginatedRequestParams, ProtocolVersion,
    ServerResult,
};
use rmcp::model::{CallToolResponse, CallToolResult};
use rmcp::service::{ClientInitializeError, RunningService};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::streamable_http_client::{
    AuthRequiredError, StreamableHttpClientTransportConfig, StreamableHttpError,
};
use rmcp::{ClientLifecycleMode, RoleClient, ServiceError, serve_client_with_lifecycle};
use serde_json::{Map, Value};

use super::reply::{Outcome, Reply};

/// The most pages of one list that are read.
pub const MAX_PAGES: usize = 100;

/// How long to wait for the answer to one request, and for a connection to be opened.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// Which lifecycle a connection has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Era {
    /// 2026-07-28: `server/discover`, then requests that carry everything themselves.
    Modern,
    /// Before: `initialize`, then a session.
    Session,
}

/// The revision that a session is opened with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum SessionVersion {
    /// 2025-11-25.
    #[default]
    #[value(name = "2025-11-25")]
    V20251125,
    /// 2025-06-18.
    #[value(name = "2025-06-18")]
    V20250618,
    /// 2025-03-26.
    #[value(name = "2025-03-26")]
    V20250326,
}

/// A bearer token. It does not show itself when printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// A token of visible ASCII characters; white space around it is cut off.
    ///
    /// # Errors
    ///
    /// If nothing is left, or if anything else than visible ASCII is.
    pub fn new(text: &str) -> Result<Self, TokenError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(TokenError::Empty);
        }
        if text.bytes().all(|byte| byte.is_ascii_graphic()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(TokenError::Characters)
        }
    }

    /// The token that a file holds.
    ///
    /// # Errors
    ///
    /// If the file cannot be read or holds no token.
    pub fn read(path: &Path) -> Result<Self, TokenError> {
        let failed = |source| TokenError::Read { path: path.to_owned(), source };
        Self::new(&std::fs::read_to_string(path).map_err(failed)?)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Token(..)")
    }
}

/// Why a text is no token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// There is nothing.
    #[error("the token is empty")]
    Empty,
    /// A header could not carry it.
    #[error("the token has characters other than visible ASCII")]
    Characters,
    /// The file cannot be read.
    #[error("cannot read the token from {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
}

/// Where to connect, and as whom.
#[derive(Debug, Clone)]
pub struct Target {
    /// The URL of the endpoint, plain http.
    pub url: String,
    /// Which lifecycle the connection has.
    pub era: Era,
    /// The revision to open a session with; without meaning in the modern era.
    pub session_version: SessionVersion,
    /// The credential; `None` sends none.
    pub token: Option<Token>,
}

/// What can be listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Listing {
    /// Tools, by name.
    Tools,
    /// Resources, by URI.
    Resources,
    /// Prompts, by name.
    Prompts,
}

/// Why a connection was not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The HTTP client cannot be made.
    #[error("cannot make an HTTP client")]
    Client(#[source] reqwest::Error),
    /// The handshake or the discovery failed.
    #[error("cannot open a connection")]
    Lifecycle(#[source] Box<ClientInitializeError>),
    /// Nothing came back in time.
    #[error("no connection within {} s", ANSWER_TIMEOUT.as_secs())]
    Timeout,
}

impl OpenError {
    /// What the failure means for a call that was to be made.
    pub(super) fn outcome(&self) -> Outcome {
        match self {
            Self::Lifecycle(error) => {
                if let ClientInitializeError::TransportError { error, .. } = error.as_ref() {
                    transport_outcome(error.error.as_ref())
                } else {
                    Outcome::Failed
                }
            }
            Self::Client(_) | Self::Timeout => Outcome::Failed,
        }
    }
}

/// An open connection.
#[derive(Debug)]
pub struct Connection {
    client: RunningService<RoleClient, ClientConfig>,
}

impl Connection {
    /// Opens a connection: discovers, or opens a session.
    ///
    /// # Errors
    ///
    /// If the endpoint cannot be reached, refuses, or speaks another revision.
    pub async fn open(target: &Target) -> Result<Self, OpenError> {
        let Target { url, era, session_version, token } = target;
        // Neither a proxy nor a redirect may come between: what is measured is the endpoint that was named.
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .tcp_nodelay(true)
            .build()
            .map_err(OpenError::Client)?;
        let mut config = StreamableHttpClientTransportConfig::with_uri(url.as_str());
        if let Some(Token(token)) = token {
            config = config.auth_header(token);
        }
        let transport = StreamableHttpClientTransport::with_client(http, config);
        let (lifecycle, version) = match era {
            Era::Modern => {
                let preferred_versions = vec![ProtocolVersion::V_2026_07_28];
                (ClientLifecycleMode::Discover { preferred_versions }, ProtocolVersion::V_2026_07_28)
            }
            Era::Session => (ClientLifecycleMode::Initialize, protocol_version(*session_version)),
        };
        let identity = Implementation::new("toolgate-agent", env!("CARGO_PKG_VERSION"));
        let client =
            ClientConfig::new(ClientCapabilities::default(), identity).with_protocol_version(version);
        let opening = serve_client_with_lifecycle(client, transport, lifecycle);
        let opened = tokio::time::timeout(ANSWER_TIMEOUT, opening).await.map_err(|_| OpenError::Timeout)?;
        opened.map(|client| Self { client }).map_err(|error| OpenError::Lifecycle(Box::new(error)))
    }

    /// Whether the connection is of no use any more.
    pub fn is_closed(&self) -> bool {
        self.client.is_closed() || self.client.peer().is_transport_closed()
    }

    /// Calls a tool once. Whatever happens is a reply.
    pub async fn call(&self, tool: &str, arguments: &Map<String, Value>) -> Reply {
        let params = CallToolRequestParams::new(tool.to_owned()).with_arguments(arguments.clone());
        match tokio::time::timeout(ANSWER_TIMEOUT, self.client.call_tool_once(params)).await {
            Ok(Ok(CallToolResponse::Complete(result))) => result_reply(tool, result),
            Ok(Ok(_)) => {
                let message = "the answer is neither a result nor an error".to_owned();
                Reply::no_answer(tool, Outcome::Failed, message)
            }
            Ok(Err(ServiceError::McpError(error))) => Reply::rpc_error(tool, error.code.0, &error.message),
            Ok(Err(error)) => Reply::no_answer(tool, service_outcome(&error), words(&error)),
            Err(_) => {
                let message = format!("no answer within {} s", ANSWER_TIMEOUT.as_secs());
                Reply::no_answer(tool, Outcome::Failed, message)
            }
        }
    }

    /// Lists names anew, all pages of them: nothing that the SDK keeps from before is used.
    ///
    /// # Errors
    ///
    /// If the endpoint answers with an error or not at all, or has more than [`MAX_PAGES`] pages.
    pub async fn list(&self, listing: Listing) -> Result<Vec<String>, ServiceError> {
        let mut names = Vec::new();
        let mut cursor = None;
        for _ in 0..MAX_PAGES {
            let params = PaginatedRequestParams::default().with_cursor(cursor);
            let asked = self.client.peer().send_request(list_request(listing, params));
            let timeout = |_| ServiceError::Timeout { timeout: ANSWER_TIMEOUT };
            let page = tokio::time::timeout(ANSWER_TIMEOUT, asked).await.map_err(timeout)??;
            let (page, next) = list_page(page)?;
            names.extend(page);
            if next.is_none() {
                return Ok(names);
            }
            cursor = next;
        }
        Err(ServiceError::UnexpectedResponse)
    }

    /// Closes the connection, ending its session if it has one.
    pub async fn close(mut self) {
        // A session that could not be ended runs out at the other side; there is nothing to do about it here.
        let _ = self.client.close_with_timeout(ANSWER_TIMEOUT).await;
    }
}

fn protocol_version(version: SessionVersion) -> ProtocolVersion {
    match version {
        SessionVersion::V20251125 => ProtocolVersion::V_2025_11_25,
        SessionVersion::V20250618 => ProtocolVersion::V_2025_06_18,
        SessionVersion::V20250326 => ProtocolVersion::V_2025_03_26,
    }
}

fn list_request(listing: Listing, params: PaginatedRequestParams) -> ClientRequest {
    match listing {
        Listing::Tools => ClientRequest::ListToolsRequest(ListToolsRequest::with_param(params)),
        Listing::Resources => ClientRequest::ListResourcesRequest(ListResourcesRequest::with_param(params)),
        Listing::Prompts => ClientRequest::ListPromptsRequest(ListPromptsRequest::with_param(params)),
    }
}

fn list_page(page: ServerResult) -> Result<(Vec<String>, Option<String>), ServiceError> {
    match page {
        ServerResult::ListToolsResult(page) => {
            Ok((page.tools.into_iter().map(|tool| tool.name.into_owned()).collect(), page.next_cursor))
        }
        ServerResult::ListResourcesResult(page) => {
            Ok((page.resources.into_iter().map(|resource| resource.uri).collect(), page.next_cursor))
        }
        ServerResult::ListPromptsResult(page) => {
            Ok((page.prompts.into_iter().map(|prompt| prompt.name).collect(), page.next_cursor))
        }
        _ => Err(ServiceError::UnexpectedResponse),
    }
}

fn result_reply(tool: &str, result: CallToolResult) -> Reply {
    let texts: Vec<&str> =
        result.content.iter().filter_map(|block| block.as_text()).map(|text| text.text.as_str()).collect();
    let text = texts.join("\n");
    Reply::result(tool, result.is_error.unwrap_or(false), text, result.meta.map(|meta| meta.0))
}

fn service_outcome(error: &ServiceError) -> Outcome {
    match error {
        ServiceError::TransportSend(error) => transport_outcome(error.error.as_ref()),
        _ => Outcome::Failed,
    }
}

/// Tells a refused credential from every other failure, with and without a challenge.
fn transport_outcome(error: &(dyn Error + 'static)) -> Outcome {
    let mut causes = std::iter::successors(Some(error), |cause| (*cause).source());
    let is_unauthorized = causes.any(|cause| {
        let http = cause.downcast_ref::<StreamableHttpError<reqwest::Error>>();
        let without_challenge = match http {
            Some(StreamableHttpError::UnexpectedServerResponse(text)) => text.starts_with("HTTP 401"),
            _ => false,
        };
        without_challenge || cause.is::<AuthRequiredError>()
    });
    if is_unauthorized { Outcome::Unauthorized } else { Outcome::Failed }
}

/// An error and all its causes in one line.
pub(super) fn words(error: &(dyn Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |cause| (*cause).source());
    causes.map(ToString::to_string).collect::<Vec<String>>().join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_visible_ascii_and_never_shown() {
        assert_eq!(Token::new(" tg_1\n").expect("a token"), Token("tg_1".to_owned()));
        assert_eq!(format!("{:?}", Token("tg_1".to_owned())), "Token(..)");
        assert!(matches!(Token::new(" \n"), Err(TokenError::Empty)));
        assert!(matches!(Token::new("tg 1"), Err(TokenError::Characters)));
        assert!(matches!(Token::new("tg\u{e9}"), Err(TokenError::Characters)));
    }
}
