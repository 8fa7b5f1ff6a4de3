//! Requests as a client would send them, to be bent by a scenario before they go out.

use serde_json::{Value, json};

/// The revision without sessions.
const MODERN: &str = "2026-07-28";
/// The last revision with sessions.
const SESSION: &str = "2025-11-25";
/// The id of every request that is made here.
pub(super) const ID: u64 = 7;

/// A request, part by part. [`Request::bytes`] adds `Host` and `Content-Length` where they are wanting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The method.
    pub method: String,
    /// What stands between method and version.
    pub target: String,
    /// Names and values, in order.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Request {
    /// A proper request of 2026-07-28.
    pub fn modern(token: &str, method: &str, mut params: Value) -> Self {
        params["_meta"]["io.modelcontextprotocol/protocolVersion"] = json!(MODERN);
        params["_meta"]["io.modelcontextprotocol/clientCapabilities"] = json!({});
        let name = params["name"].as_str().or(params["uri"].as_str()).map(str::to_owned);
        let body = json!({"jsonrpc": "2.0", "id": ID, "method": method, "params": params});
        let mut request = Self::post(token, &body.to_string())
            .with("mcp-protocol-version", MODERN)
            .with("mcp-method", method);
        if let Some(name) = name {
            request = request.with("mcp-name", &name);
        }
        request
    }

    /// A proper tool call of 2026-07-28.
    pub fn modern_call(token: &str, tool: &str, arguments: &Value) -> Self {
        Self::modern(token, "tools/call", json!({"name": tool, "arguments": arguments}))
    }

    /// A proper request of 2025-11-25, of a session if there is one.
    pub fn session(token: &str, session: Option<&str>, method: &str, params: &Value) -> Self {
        let body = json!({"jsonrpc": "2.0", "id": ID, "method": method, "params": params});
        let request = Self::post(token, &body.to_string()).with("mcp-protocol-version", SESSION);
        match session {
            Some(session) => request.with("mcp-session-id", session),
            None => request,
        }
    }

    /// A proper tool call of 2025-11-25.
    pub fn session_call(token: &str, session: Option<&str>, tool: &str, arguments: &Value) -> Self {
        Self::session(token, session, "tools/call", &json!({"name": tool, "arguments": arguments}))
    }

    /// The `initialize` of 2025-11-25.
    pub fn initialize(token: &str) -> Self {
        let params = json!({"protocolVersion": SESSION, "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}});
        let body = json!({"jsonrpc": "2.0", "id": ID, "method": "initialize", "params": params});
        Self::post(token, &body.to_string())
    }

    /// A POST of any body with what every client sends.
    pub fn post(token: &str, body: &str) -> Self {
        let request = Self {
            method: "POST".to_owned(),
            target: "/mcp".to_owned(),
            headers: Vec::new(),
            body: body.as_bytes().to_vec(),
        };
        request
            .with("content-type", "application/json")
            .with("accept", "application/json, text/event-stream")
            .with("authorization", &format!("Bearer {token}"))
    }

    /// The same request with one more header.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same request without a header.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        self
    }

    /// The same request with another value for a header.
    #[must_use]
    pub fn instead(self, name: &str, value: &str) -> Self {
        self.without(name).with(name, value)
    }

    /// The same request with another target.
    #[must_use]
    pub fn to(mut self, target: &str) -> Self {
        target.clone_into(&mut self.target);
        self
    }

    /// The same request with another method.
    #[must_use]
    pub fn by(mut self, method: &str) -> Self {
        method.clone_into(&mut self.method);
        self
    }

    /// The same request with another body.
    #[must_use]
    pub fn saying(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// The same request with a text of its body replaced. The text must be there.
    #[must_use]
    pub fn replacing(self, from: &str, to: &str) -> Self {
        let body = String::from_utf8_lossy(&self.body).into_owned();
        assert!(body.contains(from), "{from:?} is not in {body}");
        self.saying(body.replacen(from, to, 1))
    }

    /// The head, its empty line included.
    pub fn head(&self) -> Vec<u8> {
        let has = |name: &str| self.headers.iter().any(|(known, _)| known.eq_ignore_ascii_case(name));
        let mut lines = vec![format!("{} {} HTTP/1.1", self.method, self.target)];
        if !has("host") {
            lines.push("host: gateway".to_owned());
        }
        if !has("content-length") && !has("transfer-encoding") {
            lines.push(format!("content-length: {}", self.body.len()));
        }
        lines.extend(self.headers.iter().map(|(name, value)| format!("{name}: {value}")));
        (lines.join("\r\n") + "\r\n\r\n").into_bytes()
    }

    /// Everything that goes over the wire.
    pub fn bytes(&self) -> Vec<u8> {
        [self.head(), self.body.clone()].concat()
    }
}
