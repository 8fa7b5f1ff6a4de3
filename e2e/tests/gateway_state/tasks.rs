//! Tasks: 2025-11-25's, and the extension of 2026-07-28.

use super::{ALICE, BOB, RULES, Request, Stage, Value, json};

const DENIED: &str = "\
default: deny
tools: {work: {action: deny, reason: no more}, other: {}}
serverRequests: [elicitation]";

/// A server that makes a task of every call that asks for one, and answers for tasks whose id is its own.
async fn stage() -> Stage {
    Stage::answering(|asked| {
        let task = json!({"taskId": "own-task-id", "status": "working", "createdAt": "t", "lastUpdatedAt": "t", "ttl": 60000});
        let related = json!({"io.modelcontextprotocol/related-task": {"taskId": "own-task-id"}});
        match asked["method"].as_str().unwrap_or_default() {
            "tools/call" if asked["params"]["_meta"].get("io.modelcontextprotocol/protocolVersion").is_some() => {
                let mut made = task;
                made["resultType"] = json!("task");
                made
            }
            "tools/call" => json!({"task": task}),
            "tasks/result" => json!({"content": [{"type": "text", "text": "worked"}], "_meta": related}),
            "initialize" => {
                let tasks = json!({"list": {}, "cancel": {}, "requests": {"tools": {"call": {}}}});
                json!({"protocolVersion": "2025-11-25", "capabilities": {"tasks": tasks}, "serverInfo": {}})
            }
            _ => task,
        }
    })
    .await
}

async fn made(stage: &Stage, token: &str, session: &str) -> String {
    let call = json!({"name": "work", "arguments": {}, "task": {"ttl": 60000}});
    let answer = stage.ask(&Request::session(token, Some(session), "tools/call", &call)).await;
    answer.json()["result"]["task"]["taskId"].as_str().expect("a task").to_owned()
}

async fn made_modern(stage: &Stage, token: &str) -> String {
    let answer = stage.ask(&Request::modern_call(token, "work", &json!({}))).await;
    assert_eq!(answer.json()["result"]["resultType"], "task", "{}", answer.text());
    answer.json()["result"]["taskId"].as_str().expect("a task").to_owned()
}

fn about(token: &str, session: &str, method: &str, task: &str) -> Request {
    Request::session(token, Some(session), method, &json!({"taskId": task}))
}

fn about_modern(token: &str, method: &str, task: &str) -> Request {
    Request::modern(token, method, json!({"taskId": task, "inputResponses": {}})).with("mcp-name", task)
}

#[tokio::test]
async fn a_task_is_of_who_made_it() {
    let stage = stage().await;
    let (mine, his) = (
        stage.gateway.open_session(ALICE).await.expect("a session"),
        stage.gateway.open_session(BOB).await.expect("a session"),
    );
    let task = made(&stage, ALICE, &mine).await;
    assert!(!task.contains("own-task-id"));
    for method in ["tasks/get", "tasks/result", "tasks/cancel"] {
        let answer = stage.ask(&about(ALICE, &mine, method, &task)).await;
        assert_eq!(stage.last().1["params"]["taskId"], "own-task-id", "{method}");
        assert!(!answer.text().contains("own-task-id") && answer.text().contains(&task), "{}", answer.text());
        for (what, request) in [
            ("another grant's task", about(BOB, &his, method, &task)),
            ("the server's own id", about(ALICE, &mine, method, "own-task-id")),
            ("no task", about(ALICE, &mine, method, "")),
            ("a session for a task", about(ALICE, &mine, method, &mine)),
            ("a task of another make", about(ALICE, &mine, method, &task[1..])),
        ] {
            let refused = stage.refused(what, &request).await;
            assert_eq!(refused.error_code(), Some(-32602), "{what}: {}", refused.text());
        }
    }
}

#[tokio::test]
async fn a_task_of_the_extension_is_of_who_made_it_and_named_by_its_header() {
    let stage = stage().await;
    let task = made_modern(&stage, ALICE).await;
    for method in ["tasks/get", "tasks/update", "tasks/cancel"] {
        let answer = stage.ask(&about_modern(ALICE, method, &task)).await;
        assert_eq!(answer.json()["result"]["taskId"], *task, "{method}: {}", answer.text());
        let (head, body) = stage.last();
        assert!(head.contains("mcp-name: own-task-id"), "{head}");
        assert_eq!(body["params"]["taskId"], "own-task-id");
        stage.refused("another grant's task", &about_modern(BOB, method, &task)).await;
        stage.refused("the server's own id", &about_modern(ALICE, method, "own-task-id")).await;
        let lying = about_modern(ALICE, method, &task).instead("mcp-name", "other");
        assert_eq!(stage.refused("a lying Mcp-Name", &lying).await.error_code(), Some(-32020));
    }
    // What the extension does not have.
    for method in ["tasks/list", "tasks/result"] {
        let answer = stage.refused(method, &Request::modern(ALICE, method, json!({"taskId": task}))).await;
        assert_eq!((answer.status, answer.error_code()), (404, Some(-32601)), "{method}");
    }
}

#[tokio::test]
async fn a_task_made_before_a_deny_is_not_fetched_after_it() {
    let stage = stage().await;
    let session = stage.gateway.open_session(ALICE).await.expect("a session");
    let (task, modern) = (made(&stage, ALICE, &session).await, made_modern(&stage, ALICE).await);
    let requests = [
        about(ALICE, &session, "tasks/get", &task),
        about(ALICE, &session, "tasks/result", &task),
        about_modern(ALICE, "tasks/get", &modern),
        about_modern(ALICE, "tasks/update", &modern),
    ];
    for request in &requests {
        assert_eq!(stage.ask(request).await.error_code(), None);
    }
    stage.edit(DENIED).await;
    for request in &requests {
        let answer = stage.refused("a task of a denied tool", request).await;
        assert_eq!(answer.verdict().as_deref(), Some("denied"), "{}", answer.text());
    }
    stage.edit("default: deny\ntools: {other: {}}\nserverRequests: [elicitation]").await;
    for request in &requests {
        let answer = stage.refused("a task of an unlisted tool", request).await;
        assert_eq!(answer.error_code(), Some(-32602), "{}", answer.text());
    }
    stage.edit(RULES).await;
    assert_eq!(stage.ask(&requests[0]).await.error_code(), None);
}

#[tokio::test]
async fn a_call_that_asks_for_a_task_is_decided_as_the_call_it_is() {
    let stage = stage().await;
    let session = stage.gateway.open_session(ALICE).await.expect("a session");
    for (tool, code, verdict) in [("never", 403, Some("denied")), ("nowhere", -32602, None)] {
        let call = json!({"name": tool, "arguments": {}, "task": {}});
        let answer = stage.refused(tool, &Request::session(ALICE, Some(&session), "tools/call", &call)).await;
        assert_eq!(
            (answer.error_code(), answer.verdict().as_deref()),
            (Some(code), verdict),
            "{}",
            answer.text()
        );
    }
    let metrics = stage.gateway.admin().metrics().await.expect("metrics");
    let denied = metrics.sum("toolgate_tool_calls_total", &[("tool", "never"), ("verdict", "denied")]);
    assert!((denied - 1.0).abs() < f64::EPSILON, "it is counted as a call");
}

#[tokio::test]
async fn a_list_of_tasks_is_neither_served_nor_promised() {
    let stage = stage().await;
    let opened = stage.ask(&Request::initialize(ALICE)).await;
    let tasks = &opened.json()["result"]["capabilities"]["tasks"];
    assert_eq!(*tasks, json!({"cancel": {}, "requests": {"tools": {"call": {}}}}));
    let session = opened.header("mcp-session-id").expect("a session").to_owned();
    let list = Request::session(ALICE, Some(&session), "tasks/list", &json!({}));
    assert_eq!(stage.refused("tasks/list", &list).await.verdict().as_deref(), Some("denied"));
}

#[tokio::test]
async fn nothing_is_said_in_the_name_of_another_ones_task() {
    let stage = stage().await;
    let session = stage.gateway.open_session(ALICE).await.expect("a session");
    let task = made(&stage, ALICE, &session).await;
    let related = |task: &str| {
        let meta = json!({"io.modelcontextprotocol/related-task": {"taskId": task}});
        let call = json!({"name": "work", "arguments": {}, "_meta": meta});
        Request::session(ALICE, Some(&session), "tools/call", &call)
    };
    stage.ask(&related(&task)).await;
    let meta = stage.last().1["params"]["_meta"].clone();
    assert_eq!(meta, json!({"io.modelcontextprotocol/related-task": {"taskId": "own-task-id"}}));
    stage.refused("the server's own id", &related("own-task-id")).await;
}

#[tokio::test]
async fn a_server_that_answers_with_a_task_that_was_not_asked_for_is_not_believed() {
    let stage = Stage::answering(|asked| match asked["method"].as_str() {
        Some("tasks/get") => {
            json!({"resultType": "complete", "taskId": "of-somebody-else", "status": "working"})
        }
        Some("prompts/get") => json!({"resultType": "task", "taskId": "a", "status": "working"}),
        _ => json!({"resultType": "task", "taskId": Value::Null, "status": "working"}),
    })
    .await;
    stage.edit("default: allow").await;
    for request in [
        Request::modern_call(ALICE, "work", &json!({})),
        Request::modern(ALICE, "prompts/get", json!({"name": "p"})),
    ] {
        let answer = stage.ask(&request).await;
        assert_eq!(answer.status, 502, "{}", answer.text());
    }
}
