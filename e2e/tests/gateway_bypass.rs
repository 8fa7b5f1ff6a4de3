//! Every known way round a lax gateway, against a server that records all it receives and would run most of them.
//!
//! `get_leads` is allowed, `update_lead` is denied, `stop_salesbot` is hidden. Whatever a row sends, no call of the
//! denied or the hidden tool may ever be on the server's record.

use serde_json::json;
use toolgate_e2e::kommo::Answers;
use toolgate_e2e::process::{ALICE, Answer, Request, World};

#[path = "gateway_bypass/bodies.rs"]
mod bodies;
#[path = "gateway_bypass/headers.rs"]
mod headers;
#[path = "gateway_bypass/smuggling.rs"]
mod smuggling;
#[path = "gateway_bypass/targets.rs"]
mod targets;

const RULES: &str = "\
default: deny
tools:
  get_leads: {}
  get_lead: {}
  update_lead: {action: deny, reason: not this}
hide: [\"stop_*\"]";

/// What an attempt has to be told.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Told {
    /// A status without more.
    Status(u16),
    /// A status with a JSON-RPC error.
    Error(u16, i64),
    /// The verdict on the denied tool.
    Denied,
    /// That there is no such tool.
    Unknown,
}

/// Which era a request is made for.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Era {
    Modern,
    Session,
}

impl Era {
    const BOTH: [Self; 2] = [Self::Modern, Self::Session];

    /// The `_meta` member of a request.
    fn meta(self) -> &'static str {
        match self {
            Self::Modern => {
                r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#
            }
            Self::Session => r#""_meta":{}"#,
        }
    }

    /// The text of a proper call.
    fn call(self, tool: &str) -> String {
        let meta = self.meta();
        format!(
            r#"{{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{{"name":"{tool}","arguments":{{}},{meta}}}}}"#
        )
    }

    /// A call with any body whose headers say that it calls `tool`.
    fn saying(self, session: &str, tool: &str, body: impl Into<Vec<u8>>) -> Request {
        let request = match self {
            Self::Modern => Request::modern_call(ALICE, tool, &json!({})),
            Self::Session => Request::session_call(ALICE, Some(session), tool, &json!({})),
        };
        request.saying(body)
    }
}

/// A gateway under attack.
struct Arena {
    world: World,
    session: String,
}

impl Arena {
    async fn new() -> Self {
        let world = World::start(Answers::Json, RULES).await.expect("a world");
        let session = world.gateway.open_session(ALICE).await.expect("a session");
        world.stand_in.clear_record();
        Self { world, session }
    }

    /// Sends a request and compares what is told and what reached the server: nothing.
    async fn expect(&self, what: &str, request: &Request, told: Told) {
        let before = self.world.stand_in.counts().total;
        let answer = self.world.ask(request).await.expect(what);
        let said = match told {
            Told::Error(..) => Told::Error(answer.status, answer.error_code().unwrap_or_default()),
            Told::Denied if denied(&answer) => Told::Denied,
            Told::Unknown if answer.text().contains("Unknown tool: ") => Told::Unknown,
            Told::Denied | Told::Unknown | Told::Status(_) => Told::Status(answer.status),
        };
        assert_eq!(said, told, "{what}: {} {}", answer.status, answer.text());
        let record = self.world.stand_in.record();
        assert_eq!(
            self.world.stand_in.counts().total,
            before,
            "{what} reached the server: {:?}",
            record.last()
        );
    }

    /// Sends a request that must be let through, and nothing else with it.
    async fn passes(&self, what: &str, request: &Request, tool: &str) {
        let before = self.world.reached().len();
        let answer = self.world.ask(request).await.expect(what);
        assert_eq!((answer.status, answer.verdict()), (200, None), "{what}: {}", answer.text());
        assert_eq!(self.world.reached()[before..], [tool], "{what}");
    }
}

fn denied(answer: &Answer) -> bool {
    answer.status == 200 && answer.verdict().as_deref() == Some("denied")
}

#[tokio::test]
async fn the_rows_are_worth_something() {
    let arena = Arena::new().await;
    for era in Era::BOTH {
        let request = |tool: &str| era.saying(&arena.session, tool, era.call(tool));
        arena.passes("the allowed tool", &request("get_leads"), "get_leads").await;
        arena.expect("the denied tool", &request("update_lead"), Told::Denied).await;
        arena.expect("the hidden tool", &request("stop_salesbot"), Told::Unknown).await;
    }
}
