//! The agent against the stand-in, with nothing between them: in every era, in both forms of answers.

use std::time::Duration;

use serde_json::{Map, Value, json};
use toolgate_e2e::agent::{
    Connection, Era, Listing, Outcome, Reply, SessionVersion, Target, Token, Wait, converse, parse, until,
};
use toolgate_e2e::kommo::{self, Answers, Config, Eras, StandIn, seeded};

/// Every way for the two to speak with each other.
const WAYS: [(Era, SessionVersion, Answers); 6] = [
    (Era::Modern, SessionVersion::V20251125, Answers::Json),
    (Era::Modern, SessionVersion::V20251125, Answers::Sse),
    (Era::Session, SessionVersion::V20251125, Answers::Json),
    (Era::Session, SessionVersion::V20251125, Answers::Sse),
    (Era::Session, SessionVersion::V20250618, Answers::Json),
    (Era::Session, SessionVersion::V20250618, Answers::Sse),
];

async fn started(answers: Answers) -> StandIn {
    kommo::start(Config { answers, ..Config::loopback() }).await.expect("a stand-in")
}

fn target(stand_in: &StandIn, era: Era, session_version: SessionVersion) -> Target {
    Target { url: stand_in.url(), era, session_version, token: None }
}

async fn opened(stand_in: &StandIn, era: Era, version: SessionVersion) -> Connection {
    Connection::open(&target(stand_in, era, version)).await.expect("a connection")
}

fn object(value: &Value) -> Map<String, Value> {
    value.as_object().cloned().expect("an object")
}

async fn call(connection: &Connection, tool: &str, arguments: Value) -> Reply {
    connection.call(tool, &object(&arguments)).await
}

fn parsed(reply: &Reply) -> Value {
    assert_eq!(reply.outcome, Outcome::Allowed, "{reply:?}");
    serde_json::from_str(&reply.text).expect("a JSON text")
}

/// One good call of every tool, in an order in which each finds what it needs.
fn every_tool() -> Vec<(&'static str, Value)> {
    let lead = seeded::FIRST_LEAD;
    vec![
        ("get_account", json!({})),
        ("get_leads", json!({"limit": 5, "page": 2, "query": "a"})),
        ("get_lead", json!({"id": lead})),
        ("create_lead", json!({"name": "New", "price": 10, "utm_source": "ads"})),
        ("update_lead", json!({"id": lead, "price": 99.5, "tags": ["hot"]})),
        ("move_lead", json!({"lead_id": lead, "status_id": 142, "pipeline_id": seeded::MAIN_PIPELINE})),
        ("get_pipelines", json!({"pipeline_id": seeded::RENEWALS_PIPELINE})),
        ("get_sales_report", json!({"dateFrom": "2026-07-01", "dateTo": "2026-07-31"})),
        ("get_dashboard", json!({})),
        ("get_contacts", json!({"limit": 2})),
        ("get_companies", json!({})),
        ("get_tasks", json!({"page": 1})),
        (
            "create_task",
            json!({"text": "Call", "entity_id": lead, "entity_type": "leads", "complete_till": 1_790_000_000}),
        ),
        ("get_users", json!({})),
        ("get_loss_reasons", json!({})),
        ("get_loss_reason", json!({"id": seeded::FIRST_LOSS_REASON})),
        ("get_notes", json!({"entity_type": "leads", "entity_id": lead})),
        ("add_note", json!({"entity_type": "leads", "entity_id": lead, "text": "Likes tea"})),
        ("pin_note", json!({"entity_type": "leads", "note_id": seeded::FIRST_NOTE})),
        ("unpin_note", json!({"entity_type": "leads", "note_id": seeded::FIRST_NOTE, "confirm": true})),
        ("run_salesbot", json!({"bot_id": seeded::GREETING_BOT, "entity_id": lead, "entity_type": "leads"})),
        ("stop_salesbot", json!({"bot_id": seeded::GREETING_BOT, "entity_id": lead, "entity_type": "leads"})),
        ("ask_kommo", json!({"question": "How many leads are open?"})),
    ]
}

#[tokio::test]
async fn all_23_tools_are_listed_in_order() {
    for (era, version, answers) in WAYS {
        let stand_in = started(answers).await;
        let connection = opened(&stand_in, era, version).await;
        let names = connection.list(Listing::Tools).await.expect("a list");
        assert_eq!(names, kommo::tool_names().collect::<Vec<&str>>(), "{era:?} {version:?} {answers:?}");
        assert_eq!(names.len(), 23);
        assert_eq!(connection.list(Listing::Resources).await.expect("a list").len(), 5);
        assert_eq!(connection.list(Listing::Prompts).await.expect("a list").len(), 4);
        connection.close().await;
    }
}

#[tokio::test]
async fn every_tool_is_called_once_and_all_of_it_is_on_record() {
    for (era, version, answers) in WAYS {
        let stand_in = started(answers).await;
        let connection = opened(&stand_in, era, version).await;
        let calls = every_tool();
        for (tool, arguments) in &calls {
            let reply = call(&connection, tool, arguments.clone()).await;
            assert_eq!(reply.outcome, Outcome::Allowed, "{era:?} {version:?} {answers:?} {reply:?}");
            serde_json::from_str::<Value>(&reply.text).expect("a JSON text");
        }
        connection.close().await;

        let called: Vec<&str> = calls.iter().map(|(tool, _)| *tool).collect();
        let record = stand_in.record();
        let recorded: Vec<&str> = record.iter().filter_map(|entry| entry.tool.as_deref()).collect();
        assert_eq!(recorded, called);
        let sequences: Vec<u64> = record.iter().map(|entry| entry.sequence).collect();
        assert_eq!(sequences, (1..=record.len() as u64).collect::<Vec<u64>>());
        let counts = stand_in.counts();
        assert_eq!((counts.total, counts.dropped), (record.len() as u64, 0));
        assert!(counts.by_tool.len() == 23 && counts.by_tool.values().all(|count| *count == 1), "{counts:?}");
        for (entry, (_, arguments)) in record.iter().filter(|entry| entry.tool.is_some()).zip(&calls) {
            let body: Value = serde_json::from_str(&entry.body).expect("a JSON body");
            assert_eq!(&body["params"]["arguments"], arguments);
        }
    }
}

#[tokio::test]
async fn each_era_is_really_spoken() {
    let stand_in = started(Answers::Json).await;
    opened(&stand_in, Era::Modern, SessionVersion::V20251125).await.close().await;
    let methods = |stand_in: &StandIn| -> Vec<(String, Option<String>)> {
        stand_in.record().into_iter().map(|entry| (entry.method, entry.rpc_method)).collect()
    };
    let post = |method: &str| ("POST".to_owned(), Some(method.to_owned()));
    assert_eq!(methods(&stand_in), [post("server/discover")]);

    stand_in.clear_record();
    let connection = opened(&stand_in, Era::Session, SessionVersion::V20250618).await;
    call(&connection, "get_account", json!({})).await;
    connection.close().await;
    let spoken = methods(&stand_in);
    for expected in [post("initialize"), post("notifications/initialized"), post("tools/call")] {
        assert!(spoken.contains(&expected), "{spoken:?}");
    }
    assert_eq!(spoken.last(), Some(&("DELETE".to_owned(), None)));
    let record = stand_in.record();
    let call = record.iter().find(|entry| entry.tool.is_some()).expect("a call");
    assert_eq!(call.headers["mcp-protocol-version"], "2025-06-18");
    assert!(call.headers.contains_key("mcp-session-id"));
}

#[tokio::test]
async fn move_lead_really_moves() {
    for (era, version, answers) in WAYS {
        let stand_in = started(answers).await;
        let connection = opened(&stand_in, era, version).await;
        let id = seeded::FIRST_LEAD;
        let before = parsed(&call(&connection, "get_lead", json!({"id": id})).await);
        assert_eq!(before["status_id"], seeded::FIRST_CONTACT);
        let moved =
            call(&connection, "move_lead", json!({"lead_id": id, "status_id": seeded::NEGOTIATION})).await;
        assert_eq!(parsed(&moved)["id"], id);
        let after = parsed(&call(&connection, "get_lead", json!({"id": id})).await);
        assert_eq!(after["status_id"], seeded::NEGOTIATION);
        connection.close().await;
    }
}

#[tokio::test]
async fn errors_of_the_server_are_not_taken_for_verdicts() {
    for (era, version, answers) in WAYS {
        let stand_in = started(answers).await;
        let connection = opened(&stand_in, era, version).await;
        let invalid = call(&connection, "move_lead", json!({"lead_id": "1001", "status_id": 142})).await;
        assert_eq!(invalid.outcome, Outcome::ToolError);
        assert_eq!(
            invalid.text,
            "Input validation error: Invalid arguments for tool move_lead: data/lead_id must be number"
        );
        let unknown = call(&connection, "Move_lead", json!({})).await;
        assert_eq!(unknown.outcome, Outcome::Failed);
        let error = unknown.error.expect("an error");
        assert_eq!((error.code, error.message.as_str()), (Some(-32602), "Tool Move_lead not found"));
        let next = call(&connection, "get_account", json!({})).await;
        assert_eq!(next.outcome, Outcome::Allowed, "the connection goes on");
        connection.close().await;
    }
}

#[tokio::test]
async fn the_token_is_sent_and_a_wrong_one_is_told_apart() {
    let config = Config { auth_token: Some("right".to_owned()), ..Config::loopback() };
    let stand_in = kommo::start(config).await.expect("a stand-in");
    for era in [Era::Modern, Era::Session] {
        let with = |token: &str| Target {
            token: Some(Token::new(token).expect("a token")),
            ..target(&stand_in, era, SessionVersion::V20251125)
        };
        let wait = Wait {
            tool: "get_account".to_owned(),
            arguments: Map::new(),
            outcome: Outcome::Allowed,
            timeout: Duration::ZERO,
        };
        let refused = until(&with("wrong"), &wait).await;
        assert_eq!((refused.seen, refused.last.outcome), (false, Outcome::Unauthorized), "{refused:?}");
        let admitted = until(&with("right"), &wait).await;
        assert!(admitted.seen, "{admitted:?}");
    }
    let record = stand_in.record();
    assert!(record.iter().any(|entry| entry.headers["authorization"] == "Bearer wrong"));
}

#[tokio::test]
async fn a_change_is_waited_for_on_one_connection() {
    for era in [Era::Modern, Era::Session] {
        let stand_in = started(Answers::Json).await;
        let new_lead = seeded::FIRST_LEAD + seeded::LEADS;
        let wait = Wait {
            tool: "get_lead".to_owned(),
            arguments: object(&json!({"id": new_lead})),
            outcome: Outcome::Allowed,
            timeout: Duration::from_mins(1),
        };
        let target = target(&stand_in, era, SessionVersion::V20251125);
        let waiting = tokio::spawn(async move { until(&target, &wait).await });
        while !stand_in.counts().by_tool.contains_key("get_lead") {
            tokio::task::yield_now().await;
        }
        let other = opened(&stand_in, era, SessionVersion::V20251125).await;
        parsed(&call(&other, "create_lead", json!({"name": "New"})).await);
        let sighting = waiting.await.expect("a sighting");
        assert!(sighting.seen && sighting.calls >= 2, "{sighting:?}");
        assert_eq!(sighting.connections, 1);
        assert_eq!(sighting.calls, stand_in.counts().by_tool["get_lead"]);
        let counts = [(Outcome::Allowed, 1), (Outcome::ToolError, sighting.calls - 1)];
        assert_eq!(sighting.counts, counts.into());
        assert!(sighting.sent_unix_ms <= sighting.unix_ms);
        other.close().await;
    }
}

#[tokio::test]
async fn a_conversation_runs_to_its_end_and_says_what_differs() {
    let stand_in = started(Answers::Json).await;
    let connection = opened(&stand_in, Era::Modern, SessionVersion::V20251125).await;
    let script = r#"[
        {"list": "tools", "includes": ["move_lead"], "excludes": ["delete_lead"]},
        {"call": "get_lead", "arguments": {"id": 1001}, "times": 3,
         "expect": {"outcome": "allowed", "textContains": "Harbour Bakery"}},
        {"call": "get_account", "times": 2, "expect": {"outcome": "denied"}},
        {"list": "prompts", "includes": ["no_such_prompt"]},
        {"call": "get_lead", "arguments": {"id": 1}, "expect": {"outcome": "tool-error"}}
    ]"#;
    let steps = parse(script).expect("a script");
    let mut reports = Vec::new();
    let as_expected = converse(&connection, &steps, |report| reports.push(report.clone())).await;
    connection.close().await;

    assert!(!as_expected);
    let problems: Vec<Option<&str>> = reports.iter().map(|report| report.problem.as_deref()).collect();
    let [None, None, Some(third), Some(fourth), None] = problems.as_slice() else { panic!("{problems:?}") };
    assert!(third.starts_with("step 3, call 1 of 2: expected outcome denied, got allowed: "), "{third}");
    assert_eq!(*fourth, "step 4: not listed: no_such_prompt");
    assert_eq!(reports[1].counts.get(&Outcome::Allowed), Some(&3));
    assert!(reports[1].text.as_deref().is_some_and(|text| text.contains("Harbour Bakery")));
    assert_eq!(stand_in.counts().by_tool["get_lead"], 4);
}

#[tokio::test]
async fn a_patient_agent_spaces_its_calls() {
    let stand_in = started(Answers::Json).await;
    let connection = opened(&stand_in, Era::Modern, SessionVersion::V20251125).await;
    stand_in.clear_record();
    let steps = parse(r#"[{"call": "get_account", "times": 3, "everyMs": 50}]"#).expect("a script");
    converse(&connection, &steps, |_| {}).await;
    connection.close().await;
    let arrivals: Vec<u64> = stand_in.record().iter().map(|entry| entry.at_ms).collect();
    let [first, _, third] = arrivals.as_slice() else { panic!("{arrivals:?}") };
    // The second call may follow a slow first one at once; a millisecond is lost to rounding.
    assert!(third - first >= 49, "{arrivals:?}");
}

#[tokio::test]
async fn an_era_that_is_not_spoken_is_refused() {
    for (eras, era) in [(Eras::Modern, Era::Session), (Eras::Session, Era::Modern)] {
        let stand_in = kommo::start(Config { eras, ..Config::loopback() }).await.expect("a stand-in");
        let refused = Connection::open(&target(&stand_in, era, SessionVersion::V20251125)).await;
        assert!(refused.is_err(), "{eras:?}");
    }
}

#[tokio::test]
async fn waiting_outlives_a_restart_of_the_server() {
    for era in [Era::Modern, Era::Session] {
        let stand_in = started(Answers::Json).await;
        let new_lead = seeded::FIRST_LEAD + seeded::LEADS;
        let target = target(&stand_in, era, SessionVersion::V20251125);
        let wait = Wait {
            tool: "get_lead".to_owned(),
            arguments: object(&json!({"id": new_lead})),
            outcome: Outcome::Allowed,
            timeout: Duration::from_mins(1),
        };
        let waiting = tokio::spawn({
            let target = target.clone();
            async move { until(&target, &wait).await }
        });
        while !stand_in.counts().by_tool.contains_key("get_lead") {
            tokio::task::yield_now().await;
        }
        let config = Config { listen: stand_in.address(), ..Config::loopback() };
        drop(stand_in);
        let restarted = loop {
            match kommo::start(config.clone()).await {
                Ok(restarted) => break restarted,
                Err(_) => tokio::task::yield_now().await,
            }
        };
        let other = Connection::open(&target).await.expect("a connection");
        parsed(&call(&other, "create_lead", json!({"name": "New"})).await);
        let sighting = waiting.await.expect("a sighting");
        assert!(sighting.seen, "{era:?} {sighting:?}");
        assert!(restarted.counts().by_tool.contains_key("get_lead"));
        other.close().await;
    }
}
