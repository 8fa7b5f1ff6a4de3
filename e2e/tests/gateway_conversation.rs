//! The conversation that the product is for, through the real gateway: in every era, in both forms of answers.

use serde_json::{Map, Value, json};
use toolgate_e2e::agent::{Connection, Era, Listing, Outcome, Reply, SessionVersion, Target, Token};
use toolgate_e2e::kommo::{Answers, seeded};
use toolgate_e2e::process::{ALICE, BOB, Books, CREDENTIAL, Line, Request, Socket, World};

const RULES: &str = "\
default: deny
tools:
  get_leads: {}
  get_lead: {}
  move_lead:
    limits: [{counter: move_lead_rate, window: minute, max: 30, scope: grant}]
  update_lead: {action: deny, reason: change leads by move_lead}
  run_salesbot: {action: approve}
  create_*: {limits: [{counter: never, window: minute, max: 1, scope: grant}]}
hide: [\"stop_*\"]";

/// Every tool that a policy names.
const DECLARED: [&str; 5] = ["get_leads", "get_lead", "move_lead", "update_lead", "run_salesbot"];

const WAYS: [(Era, SessionVersion, Answers); 6] = [
    (Era::Modern, SessionVersion::V20251125, Answers::Json),
    (Era::Modern, SessionVersion::V20251125, Answers::Sse),
    (Era::Session, SessionVersion::V20251125, Answers::Json),
    (Era::Session, SessionVersion::V20251125, Answers::Sse),
    (Era::Session, SessionVersion::V20250618, Answers::Json),
    (Era::Session, SessionVersion::V20250618, Answers::Sse),
];

/// One connection, and what it was answered.
struct Talk<'a> {
    connection: &'a Connection,
    books: &'a mut Books,
}

impl Talk<'_> {
    async fn call(&mut self, tool: &str, arguments: Value) -> Reply {
        let arguments: Map<String, Value> = arguments.as_object().cloned().expect("an object");
        let reply = self.connection.call(tool, &arguments).await;
        self.books.note(tool, reply.outcome);
        reply
    }
}

fn move_lead() -> Value {
    json!({"lead_id": seeded::FIRST_LEAD, "status_id": seeded::NEGOTIATION})
}

#[tokio::test]
async fn the_conversation_is_as_the_policy_says_and_the_books_balance() {
    for (era, session_version, answers) in WAYS {
        let world = World::start(answers, RULES).await.expect("a world");
        let target = Target { session_version, ..world.target(era, ALICE) };
        let connection = Connection::open(&target).await.expect("a connection");
        let mut books = Books::new();
        converse(&mut Talk { connection: &connection, books: &mut books }).await;
        connection.close().await;

        let metrics = world.gateway.admin().metrics().await.expect("metrics");
        let lines = books.compare(&metrics, &world.stand_in.counts(), &DECLARED);
        assert_eq!(lines.len(), 7, "{lines:?}");
        assert!(lines.iter().all(Line::balances), "{era:?} {answers:?}: {lines:#?}");
        // Told by the server itself, past the gateway.
        let direct = Target {
            url: world.stand_in.url(),
            token: Some(Token::new(CREDENTIAL).expect("a token")),
            ..target
        };
        let direct = Connection::open(&direct).await.expect("a connection");
        let lead =
            direct.call("get_lead", json!({"id": seeded::FIRST_LEAD}).as_object().expect("object")).await;
        let lead: Value = serde_json::from_str(&lead.text).expect("a lead");
        assert_eq!(lead["status_id"], seeded::NEGOTIATION, "{era:?} {answers:?}");
        direct.close().await;
    }
}

async fn converse(talk: &mut Talk<'_>) {
    let names = talk.connection.list(Listing::Tools).await.expect("a list");
    // A denied tool stays listed, so that the agent hears why; a glob without an action lists nothing.
    assert_eq!(names, ["get_leads", "get_lead", "update_lead", "move_lead", "run_salesbot"]);
    for listing in [Listing::Resources, Listing::Prompts] {
        assert_eq!(talk.connection.list(listing).await.expect("a list"), [""; 0]);
    }

    assert_eq!(talk.call("get_leads", json!({"limit": 3})).await.outcome, Outcome::Allowed);
    assert_eq!(talk.call("get_lead", json!({"id": 1})).await.outcome, Outcome::ToolError);
    for _ in 0..30 {
        assert_eq!(talk.call("move_lead", move_lead()).await.outcome, Outcome::Allowed);
    }
    let limited = talk.call("move_lead", move_lead()).await;
    assert_eq!(limited.outcome, Outcome::Limited);
    assert_eq!(limited.rule(), Some("kommo-sales/tools/move_lead/limits/move_lead_rate"));
    let verdict = &limited.meta.as_ref().expect("a verdict")["toolgate.dev/verdict"];
    let wait = verdict["retryAfterSeconds"].as_u64().expect("a number");
    assert!((1..=60).contains(&wait), "{wait}");
    let full = json!({"counter": "move_lead_rate", "window": "minute", "max": 30, "remaining": 0});
    assert_eq!(verdict["limit"], full);
    assert!(limited.text.starts_with("[RATE LIMITED] "), "{}", limited.text);

    let denied = talk.call("update_lead", json!({"id": seeded::FIRST_LEAD, "price": 1})).await;
    assert_eq!(denied.outcome, Outcome::Denied);
    assert_eq!(denied.text, "[POLICY DENIED] change leads by move_lead");
    assert_eq!(denied.rule(), Some("kommo-sales/tools/update_lead/action"));
    let held = talk.call("run_salesbot", json!({})).await;
    assert_eq!(held.outcome, Outcome::Held);
    assert!(held.text.starts_with("[APPROVAL REQUIRED] "), "{}", held.text);
    for absent in ["stop_salesbot", "create_lead", "nowhere", "Get_leads", "get_leads "] {
        let reply = talk.call(absent, json!({})).await;
        assert_eq!(reply.outcome, Outcome::Unknown, "{absent}: {reply:?}");
    }
    assert_eq!(talk.call("get_leads", json!({})).await.outcome, Outcome::Allowed, "all goes on");
}

#[tokio::test]
async fn another_grant_has_a_quota_of_its_own_and_a_new_connection_has_none() {
    let world = World::start(Answers::Json, RULES).await.expect("a world");
    for _ in 0..30 {
        let answer = world.ask(&Request::modern_call(ALICE, "move_lead", &move_lead())).await;
        assert_eq!(answer.expect("an answer").verdict(), None);
    }
    let session = world.gateway.open_session(ALICE).await.expect("a session");
    let again = [
        Request::modern_call(ALICE, "move_lead", &move_lead()),
        Request::session_call(ALICE, Some(&session), "move_lead", &move_lead()),
    ];
    for request in again {
        let answer = world.ask(&request).await.expect("an answer");
        assert_eq!(
            answer.verdict().as_deref(),
            Some("limited"),
            "a new connection, session or era is no quota"
        );
    }
    let other = world.ask(&Request::modern_call(BOB, "move_lead", &move_lead())).await.expect("an answer");
    assert_eq!(other.verdict(), None);
    assert_eq!(world.reached().len(), 31);
}

#[tokio::test]
async fn hidden_unlisted_and_unknown_tools_are_answered_with_the_same_bytes() {
    let world = World::start(Answers::Json, RULES).await.expect("a world");
    let session = world.gateway.open_session(ALICE).await.expect("a session");
    // Hidden and there, hidden and not there, unlisted and there, nowhere: names of one length.
    let names = ["stop_salesbot", "stop_a_lead_x", "get_companies", "no_such_tool_"];
    let ask = async |request: Request, name: &str| {
        let answer = world.ask(&request).await.expect("an answer");
        // Both are another one for each request, whatever it asks for.
        let differing = ["date", "toolgate-request-id"];
        let headers: Vec<_> =
            answer.headers.into_iter().filter(|(header, _)| !differing.contains(&header.as_str())).collect();
        (answer.status, headers, String::from_utf8(answer.body).expect("text").replace(name, "NAME"))
    };
    let mut modern = Vec::new();
    let mut legacy = Vec::new();
    for name in names {
        modern.push(ask(Request::modern_call(ALICE, name, &json!({})), name).await);
        legacy.push(ask(Request::session_call(ALICE, Some(&session), name, &json!({})), name).await);
    }
    let body = r#"{"jsonrpc":"2.0","id":7,"error":{"code":-32602,"message":"Unknown tool: NAME"}}"#;
    for answers in [modern, legacy] {
        assert_eq!((answers[0].0, answers[0].2.as_str()), (200, body));
        assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:#?}");
    }
    assert_eq!(world.reached(), [""; 0]);
}

#[tokio::test]
async fn two_thousand_tool_names_are_one_series() {
    let world = World::start(Answers::Json, RULES).await.expect("a world");
    let mut socket = Socket::open(world.gateway.address()).await.expect("connects");
    for number in 0..2_000 {
        let request = Request::modern_call(ALICE, &format!("tool_{number}"), &json!({}));
        socket.send(&request.bytes()).await.expect("is sent");
        assert_eq!(socket.answer().await.expect("an answer").error_code(), Some(-32602));
    }
    let metrics = world.gateway.admin().metrics().await.expect("metrics");
    assert_eq!(metrics.count("toolgate_tool_calls_total"), 1);
    let other = metrics.sum("toolgate_tool_calls_total", &[("tool", "_other"), ("verdict", "unlisted")]);
    assert!((other - 2_000.0).abs() < f64::EPSILON);
}

#[tokio::test]
async fn of_calls_that_come_at_once_exactly_as_many_pass_as_may() {
    let world = World::start(Answers::Json, RULES).await.expect("a world");
    let address = world.gateway.address();
    let callers = (0..20).map(|_| async move {
        let mut socket = Socket::open(address).await.expect("connects");
        let mut passed = 0;
        for _ in 0..10 {
            let call = Request::modern_call(ALICE, "move_lead", &move_lead());
            socket.send(&call.bytes()).await.expect("is sent");
            passed += u32::from(socket.answer().await.expect("an answer").verdict().is_none());
        }
        passed
    });
    let passed: u32 = futures::future::join_all(callers).await.into_iter().sum();
    assert_eq!((passed, world.reached().len()), (30, 30));
}
