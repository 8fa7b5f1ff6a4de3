//! What a client keeps for the server, and brings back: tasks, the state of calls in several rounds, events of streams.
//! Each is of the grant that got it and of what it was got for, and is decided on again whenever it comes.

use serde_json::{Value, json};
use toolgate_e2e::process::{
    ALICE, Answer, BOB, Configuration, Gateway, Request, Seen, Start, Step, Upstream,
};

#[path = "gateway_state/parameters.rs"]
mod parameters;
#[path = "gateway_state/resumption.rs"]
mod resumption;
#[path = "gateway_state/rounds.rs"]
mod rounds;
#[path = "gateway_state/tasks.rs"]
mod tasks;

const RULES: &str = "\
default: deny
tools: {work: {}, other: {}, never: {action: deny, reason: not this}}
serverRequests: [elicitation]";

/// A gateway with two callers before a scripted server.
struct Stage {
    upstream: Upstream,
    gateway: Gateway,
    configuration: Configuration,
}

impl Stage {
    async fn new(script: impl Fn(&Seen) -> Vec<Step> + Send + Sync + 'static) -> Self {
        let upstream = Upstream::start(script).await.expect("a server");
        let configuration = Configuration::new(&upstream.url()).expect("files");
        configuration.policy("rules", RULES).expect("is written");
        configuration.grant("alice", ALICE, "").expect("is written");
        configuration.grant("bob", BOB, "").expect("is written");
        let (config, credentials) = (configuration.objects(), configuration.credentials());
        let start = Start { config: &config, credentials: Some(&credentials), log: "info", more: &[] };
        let gateway = Gateway::ready(start).await.expect("a gateway");
        Self { upstream, gateway, configuration }
    }

    /// A server that answers each request with the message that `answer` makes of it.
    async fn answering(answer: impl Fn(&Value) -> Value + Send + Sync + 'static) -> Self {
        Self::new(move |seen| {
            let asked: Value = serde_json::from_str(&seen.body).unwrap_or_default();
            let body = json!({"jsonrpc": "2.0", "id": asked["id"], "result": answer(&asked)}).to_string();
            let head =
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nmcp-session-id: server-session\r\n";
            vec![Step::Send(format!("{head}content-length: {}\r\n\r\n{body}", body.len()).into_bytes())]
        })
        .await
    }

    async fn ask(&self, request: &Request) -> Answer {
        self.gateway.ask(request).await.expect("an answer")
    }

    /// What reached the server last.
    fn last(&self) -> (String, Value) {
        let seen = self.upstream.seen().pop().expect("a request");
        (seen.head.to_ascii_lowercase(), serde_json::from_str(&seen.body).unwrap_or_default())
    }

    /// Writes the policy anew and waits until it is in force.
    async fn edit(&self, rules: &str) {
        let before = self.gateway.admin().revision().await.expect("a revision");
        self.configuration.policy("rules", rules).expect("is written");
        let changed = |answer: &Answer| answer.json()["revision"].as_i64() > before.as_i64();
        self.gateway.admin().until("/revision", "a new revision", changed).await.expect("is enforced");
    }

    /// Asks for what must not reach the server.
    async fn refused(&self, what: &str, request: &Request) -> Answer {
        let before = self.upstream.seen().len();
        let answer = self.ask(request).await;
        assert_eq!(self.upstream.seen().len(), before, "{what} reached the server");
        let refused = answer.status != 200 || answer.error_code().is_some() || answer.verdict().is_some();
        assert!(refused, "{what}: {}", answer.text());
        answer
    }
}
