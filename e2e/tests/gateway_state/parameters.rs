//! Arguments that are repeated in headers: what a list has taught the gateway, it compares.

use super::{ALICE, Answer, RULES, Request, Stage, Value, json};

fn call(header: Option<&str>) -> Request {
    let request = Request::modern_call(ALICE, "work", &json!({"region": "eu-1", "size": 42}));
    match header {
        Some(value) => request.with("Mcp-Param-Region", value).with("Mcp-Param-Size", "42.0"),
        None => request,
    }
}

fn tools() -> Value {
    let region = json!({"type": "string", "x-mcp-header": "Region"});
    let size = json!({"type": "integer", "x-mcp-header": "Size"});
    let schema = json!({"type": "object", "properties": {"region": region, "size": size}});
    let tools = ["work", "secret", "never"].map(|name| json!({"name": name, "inputSchema": schema}));
    json!({"resultType": "complete", "tools": tools, "ttlMs": 0, "cacheScope": "private"})
}

#[tokio::test]
async fn a_wrong_header_tells_nothing_of_a_tool_that_may_not_be_called_and_costs_nothing() {
    let stage = Stage::answering(|asked| match asked["method"].as_str() {
        Some("tools/list") => tools(),
        _ => json!({"resultType": "complete", "content": []}),
    })
    .await;
    stage
        .edit(&format!("{RULES}\nallTools: {{limits: [{{counter: c, window: hour, max: 1, scope: grant}}]}}"))
        .await;
    stage.ask(&Request::modern(ALICE, "tools/list", json!({}))).await;
    let wrong = |tool: &str| {
        let arguments = json!({"region": "eu-1", "size": 42});
        Request::modern_call(ALICE, tool, &arguments).with("Mcp-Param-Region", "us-1")
    };
    let (listed, made_up) = ("secret", "absent");
    let (hidden, absent) =
        (stage.refused(listed, &wrong(listed)).await, stage.refused(made_up, &wrong(made_up)).await);
    assert_eq!((hidden.status, hidden.error_code()), (200, Some(-32602)), "{}", hidden.text());
    let plain =
        |answer: &Answer, name: &str| answer.json()["error"]["message"].to_string().replace(name, "X");
    assert_eq!(plain(&hidden, listed), plain(&absent, made_up));
    let denied = stage.refused("never", &wrong("never")).await;
    assert_eq!(denied.verdict().as_deref(), Some("denied"), "a call that is denied is decided");
    for _ in 0..2 {
        assert_eq!(stage.refused("work", &wrong("work")).await.error_code(), Some(-32020));
    }
    let right = Request::modern_call(ALICE, "work", &json!({"region": "eu-1"}));
    assert_eq!(stage.ask(&right).await.verdict(), None, "nothing was charged before");
}

#[tokio::test]
async fn a_header_that_differs_from_its_argument_is_refused_once_the_tool_was_listed() {
    let stage = Stage::answering(|asked| match asked["method"].as_str() {
        Some("tools/list") => tools(),
        _ => json!({"resultType": "complete", "content": []}),
    })
    .await;
    // Nobody has listed the tools here yet: the server compares.
    assert_eq!(stage.ask(&call(Some("us-1"))).await.error_code(), None);
    assert!(stage.last().0.contains("mcp-param-region: us-1"), "what is not known is passed on");
    let listed = stage.ask(&Request::modern(ALICE, "tools/list", json!({}))).await;
    assert!(listed.text().contains("x-mcp-header"), "a schema stays as it is: {}", listed.text());
    for (what, request) in [
        ("another value", call(Some("us-1"))),
        ("another case", call(Some("EU-1"))),
        ("an empty header", call(Some(""))),
        ("a header that is there twice", call(Some("eu-1")).with("mcp-param-region", "eu-1")),
        ("bad base64", call(Some("=?base64?ZXUtMQ?="))),
        ("another number", call(Some("eu-1")).instead("Mcp-Param-Size", "43")),
    ] {
        let answer = stage.refused(what, &request).await;
        assert_eq!((answer.status, answer.error_code()), (400, Some(-32020)), "{what}: {}", answer.text());
    }
    assert_eq!(
        stage.ask(&call(None)).await.error_code(),
        None,
        "the server knows whether it has to be there"
    );
    for value in ["eu-1", " eu-1 ", "=?base64?ZXUtMQ==?="] {
        assert_eq!(
            stage.ask(&call(Some(value)).with("Mcp-Param-Other", "x")).await.error_code(),
            None,
            "{value}"
        );
        let head = stage.last().0;
        assert!(head.contains("mcp-param-region: eu-1\r\n") && head.contains("mcp-param-other: x"), "{head}");
    }
}
