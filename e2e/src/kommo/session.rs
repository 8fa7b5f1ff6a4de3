//! The session based revisions: `initialize` opens a session, and every later request names it.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};

use hyper::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::SESSION_VERSIONS;
use super::answer::{Answer, SESSION_HEADER};
use super::crm::Crm;
use super::methods;
use super::modern::VERSION_HEADER;
use super::rpc::{
    INVALID_REQUEST, Message, REFUSED, RESOURCE_NOT_FOUND, Request, RpcError, UNAUTHORIZED, result_answer,
};

/// The most sessions that are open at once; one more `initialize` is refused.
const MAX_SESSIONS: usize = 10_000;

/// Open sessions and the version that each agreed on.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    versions: BTreeMap<String, &'static str>,
    opened: u64,
}

impl Sessions {
    /// Opens a session; `None` if there are too many.
    fn open(&mut self, version: &'static str) -> Option<String> {
        if self.versions.len() >= MAX_SESSIONS {
            return None;
        }
        self.opened += 1;
        // Two keys of the process's own randomness: identifiers that nobody meets by counting.
        let half = || RandomState::new().hash_one(self.opened);
        let id = format!("{:016x}{:016x}", half(), half());
        self.versions.insert(id.clone(), version);
        Some(id)
    }

    /// Ends the session that the headers name.
    pub(super) fn close(&mut self, headers: &HeaderMap) -> Answer {
        match self.find(headers) {
            Ok((id, _)) => {
                self.versions.remove(&id);
                Answer::Empty(StatusCode::NO_CONTENT)
            }
            Err((status, error)) => Answer::Refusal(status, error.answer(&Value::Null)),
        }
    }

    /// Answers one message.
    pub(super) fn answer(&mut self, crm: &mut Crm, headers: &HeaderMap, message: &Message) -> Answer {
        if let Message::Request(request) = message
            && request.method == "initialize"
        {
            return self.initialize(headers, request);
        }
        let checked = self.find(headers).and_then(|(_, version)| check_version(headers, version));
        match (message, checked) {
            (Message::Unanswered { .. }, Ok(())) => Answer::Empty(StatusCode::ACCEPTED),
            (Message::Unanswered { .. }, Err((status, error))) => {
                Answer::Refusal(status, error.answer(&Value::Null))
            }
            (Message::Request(request), Ok(())) => answer_request(crm, request),
            (Message::Request(request), Err((status, error))) => {
                Answer::Refusal(status, error.answer(&request.id))
            }
        }
    }

    fn initialize(&mut self, headers: &HeaderMap, request: &Request) -> Answer {
        if headers.contains_key(SESSION_HEADER) {
            let error = RpcError::new(INVALID_REQUEST, "Invalid Request: the session is initialized already");
            return Answer::Refusal(StatusCode::BAD_REQUEST, error.answer(&request.id));
        }
        let requested = request.params.get("protocolVersion").and_then(Value::as_str);
        let spoken = SESSION_VERSIONS.into_iter().find(|version| Some(*version) == requested);
        let version = spoken.unwrap_or(SESSION_VERSIONS[0]);
        let Some(session) = self.open(version) else {
            let error = RpcError::new(REFUSED, "Too many sessions are open");
            return Answer::Refusal(StatusCode::SERVICE_UNAVAILABLE, error.answer(&request.id));
        };
        let result = json!({
            "protocolVersion": version,
            "capabilities": methods::capabilities(),
            "serverInfo": methods::server_info(),
        });
        Answer::Final {
            message: result_answer(&request.id, &result),
            progress: None,
            opened_session: Some(session),
        }
    }

    fn find(&self, headers: &HeaderMap) -> Result<(String, &'static str), (StatusCode, RpcError)> {
        let Some(id) = headers.get(SESSION_HEADER).and_then(|value| value.to_str().ok()) else {
            let error = RpcError::new(REFUSED, "Bad Request: Mcp-Session-Id header is required");
            return Err((StatusCode::BAD_REQUEST, error));
        };
        let unknown = || (StatusCode::NOT_FOUND, RpcError::new(UNAUTHORIZED, "Session not found"));
        self.versions.get(id).map(|version| (id.to_owned(), *version)).ok_or_else(unknown)
    }
}

fn check_version(headers: &HeaderMap, agreed: &str) -> Result<(), (StatusCode, RpcError)> {
    let said = headers.get(VERSION_HEADER).and_then(|value| value.to_str().ok());
    if said == Some(agreed) {
        return Ok(());
    }
    let said = said.unwrap_or("none");
    let text = format!("Bad Request: MCP-Protocol-Version is {said} but the session agreed on {agreed}");
    Err((StatusCode::BAD_REQUEST, RpcError::new(REFUSED, text)))
}

fn answer_request(crm: &mut Crm, request: &Request) -> Answer {
    let result = match request.method.as_str() {
        "ping" => Ok(json!({})),
        _ => methods::answer(crm, request, RESOURCE_NOT_FOUND),
    };
    match result {
        Ok(result) => Answer::Final {
            message: result_answer(&request.id, &result),
            progress: methods::progress(request),
            opened_session: None,
        },
        Err(error) => Answer::message(error.answer(&request.id)),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn sessions_are_distinct_and_one_past_the_bound_is_refused() {
        let mut sessions = Sessions::default();
        let opened: BTreeSet<String> =
            (0..MAX_SESSIONS).map_while(|_| sessions.open(SESSION_VERSIONS[0])).collect();
        assert_eq!(opened.len(), MAX_SESSIONS);
        assert_eq!(sessions.open(SESSION_VERSIONS[0]), None);
        let mut headers = HeaderMap::new();
        let one = opened.first().expect("a session").parse().expect("a value");
        headers.insert(SESSION_HEADER, one);
        assert_eq!(sessions.close(&headers), Answer::Empty(StatusCode::NO_CONTENT));
        assert!(sessions.open(SESSION_VERSIONS[0]).is_some());
    }
}
