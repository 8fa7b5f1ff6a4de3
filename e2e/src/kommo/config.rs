//! What a stand-in is told when it starts.

use std::net::SocketAddr;

/// How JSON-RPC answers travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Answers {
    /// One JSON object for each request.
    #[default]
    Json,
    /// A stream of server-sent events for each request.
    Sse,
}

/// Which protocol revisions are spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Eras {
    /// All of them, each request judged by what it carries.
    #[default]
    Both,
    /// Only the stateless revision; `initialize` is refused.
    Modern,
    /// Only the session based revisions.
    Session,
}

impl Eras {
    /// Whether the stateless revision is spoken.
    pub fn has_modern(self) -> bool {
        self != Self::Session
    }

    /// Whether the session based revisions are spoken.
    pub fn has_session(self) -> bool {
        self != Self::Modern
    }
}

/// What a stand-in is told when it starts.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The bearer token that `/mcp` demands; `None` demands none.
    pub auth_token: Option<String>,
    /// How JSON-RPC answers travel.
    pub answers: Answers,
    /// Which protocol revisions are spoken.
    pub eras: Eras,
}

impl Config {
    /// A free port of the loopback interface, no token, JSON answers, both eras.
    pub fn loopback() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            auth_token: None,
            answers: Answers::default(),
            eras: Eras::default(),
        }
    }

    /// Refuses what must not start: an empty token, and other hosts reaching an endpoint without one.
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        match &self.auth_token {
            Some(token) if token.is_empty() => Err(ConfigError::EmptyToken),
            None if !self.listen.ip().is_loopback() => Err(ConfigError::OpenToOthers { listen: self.listen }),
            Some(_) | None => Ok(()),
        }
    }
}

/// Why a configuration is refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// An empty token would let an empty credential in.
    #[error("the auth token is empty: leave it out or give one")]
    EmptyToken,
    /// The address can be reached by other hosts and no token is demanded.
    #[error("{listen} is not a loopback address: it needs an auth token (--auth-token or MCP_AUTH_TOKEN)")]
    OpenToOthers {
        /// The refused address.
        listen: SocketAddr,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_hosts_need_a_token() {
        let mut config = Config { listen: SocketAddr::from(([0, 0, 0, 0], 3001)), ..Config::loopback() };
        assert_eq!(config.validate(), Err(ConfigError::OpenToOthers { listen: config.listen }));
        config.auth_token = Some("secret".to_owned());
        assert_eq!(config.validate(), Ok(()));
    }

    #[test]
    fn an_empty_token_is_refused() {
        let config = Config { auth_token: Some(String::new()), ..Config::loopback() };
        assert_eq!(config.validate(), Err(ConfigError::EmptyToken));
        assert_eq!(Config::loopback().validate(), Ok(()));
    }
}
