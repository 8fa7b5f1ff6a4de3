//! Why requests were refused before it was known what they ask for.

/// Why a request was refused before it was known what it asks for. A closed set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejected {
    /// As many connections of one address as there may be.
    Connections,
    /// The handshake of TLS failed, or took too long.
    Handshake,
    /// No credential that a live grant knows.
    Unauthenticated,
    /// The origin may not call.
    Origin,
    /// Not the endpoint, or not a method of it.
    Endpoint,
    /// Not JSON, too large, too slow.
    Body,
    /// No JSON-RPC message, or headers that contradict it.
    Malformed,
    /// A method that is not in the table, or that policy does not open.
    Method,
    /// Another caller's session, or none that is known.
    Session,
    /// As much goes on as may of one grant.
    GrantBusy,
    /// As much goes on as may of all grants together.
    ServerBusy,
    /// Nothing is in force yet.
    Unavailable,
}

impl Rejected {
    /// The reason's label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connections => "connections",
            Self::Handshake => "handshake",
            Self::Unauthenticated => "unauthenticated",
            Self::Origin => "origin",
            Self::Endpoint => "endpoint",
            Self::Body => "body",
            Self::Malformed => "malformed",
            Self::Method => "method",
            Self::Session => "session",
            Self::GrantBusy => "grant_busy",
            Self::ServerBusy => "server_busy",
            Self::Unavailable => "unavailable",
        }
    }
}
