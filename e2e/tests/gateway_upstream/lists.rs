//! Lists: whatever they come as, a client never sees what it may not know of.

use serde_json::{Value, json};
use toolgate_e2e::process::{ALICE, Answer, Request, Seen, Step};

use super::{STREAM, Stage, as_json, as_stream, call, event, http, list, names, old_call, result, tools};

/// Every text in which a lax reader could find the hidden tool.
fn shows_nothing(what: &str, answer: &Answer) {
    let text = answer.text();
    assert!(!text.contains("stop_salesbot") && !text.contains("get_account"), "{what}: {text}");
}

#[tokio::test]
async fn streams_of_every_framing_are_filtered() {
    let text = tools(7).to_string();
    let lines = serde_json::to_string_pretty(&tools(7)).expect("JSON");
    let many =
        |end: &str| lines.lines().map(|line| format!("data: {line}{end}")).collect::<Vec<_>>().concat();
    for (what, events) in [
        ("one line", format!("data: {text}\n\n")),
        ("no space", format!("data:{text}\n\n")),
        ("CRLF", format!("data: {text}\r\n\r\n")),
        ("CR", format!("data: {text}\r\r")),
        ("mixed ends", format!("event: message\rdata: {text}\r\n\n")),
        ("many lines", many("\n") + "\n"),
        ("many lines with CRLF", many("\r\n") + "\r\n"),
        ("many lines with CR", many("\r") + "\r"),
        ("a byte order mark", format!("\u{feff}data: {text}\n\n")),
        ("another event's name", format!("event: other\ndata: {text}\n\n")),
        ("an id and a retry", format!("id: 1\nretry: 5\ndata: {text}\n\n")),
        ("comments between", format!(": a\ndata: {text}\n: b\n\n")),
        ("an empty event before", format!("data\n\ndata: {text}\n\n")),
        ("unknown fields", format!("datax: {text}\nData: {text}\ndata: {text}\n\n")),
    ] {
        let stage = Stage::answering(as_stream(&events)).await;
        for request in [list(), Request::session(ALICE, None, "tools/list", &json!({}))] {
            let answer = stage.ask(&request).await;
            assert_eq!(names(&answer), ["get_leads", "update_lead"], "{what}: {}", answer.text());
            shows_nothing(what, &answer);
            assert!(
                answer.text().starts_with("event: message\ndata: ") || answer.text().starts_with(":\n\n"),
                "{what}"
            );
        }
        // The same stream answers a call.
        shows_nothing(what, &stage.ask(&call()).await);
    }
}

#[tokio::test]
async fn a_stream_in_tiny_pieces_is_filtered() {
    let mut message = tools(7);
    message["result"]["tools"][0]["description"] = json!("café \u{1f600} \u{2028}data: {}");
    let events = event(&message);
    for size in [1, 2, 3, 7] {
        let pieces: Vec<Step> =
            events.as_bytes().chunks(size).map(|piece| Step::Send(piece.to_vec())).collect();
        let steps = [vec![Step::Send(STREAM.into())], pieces, vec![Step::Close]].concat();
        let stage = Stage::doing(steps).await;
        let answer = stage.ask(&list()).await;
        assert_eq!(names(&answer), ["get_leads", "update_lead"]);
        assert_eq!(answer.json()["result"]["tools"][0]["description"], "café \u{1f600} \u{2028}data: {}");
        assert!(!answer.text().contains('\u{2028}'), "no lax reader of lines finds an end of one here");
    }
}

#[tokio::test]
async fn a_comment_hides_no_list_from_lax_readers_of_lines() {
    // Some libraries end a line at each of these, and would find an event in the rest of the comment.
    for end in ["\u{b}", "\u{c}", "\u{1c}", "\u{1d}", "\u{1e}", "\u{85}", "\u{2028}", "\u{2029}"] {
        let comment = format!(": x{end}data: {}{end}{end}\n\n", tools(7));
        let stage = Stage::answering(as_stream(comment + &event(&result("fine")))).await;
        for request in [call(), old_call()] {
            let answer = stage.ask(&request).await;
            shows_nothing("a comment", &answer);
            assert!(answer.text().starts_with(":\n\n"), "the sign of life goes on: {}", answer.text());
            assert_eq!(answer.json(), result("fine"));
        }
    }
}

#[tokio::test]
async fn odd_entries_of_a_list_do_not_pass() {
    let mut message = tools(7);
    let odd = [
        json!({"name": "stop_salesbot"}),
        json!({"name": "get_leads", "Name": "stop_salesbot"}),
        json!({"Name": "stop_salesbot"}),
        json!({"name": ["stop_salesbot"]}),
        json!({"title": "stop_salesbot"}),
        json!("stop_salesbot"),
        json!(["stop_salesbot"]),
        Value::Null,
        json!({"name": "get_leads\u{0}", "title": "stop_salesbot"}),
        json!({"name": "get_leads ", "title": "stop_salesbot"}),
        json!({"name": "g\u{435}t_leads", "title": "stop_salesbot"}),
    ];
    message["result"]["tools"].as_array_mut().expect("a list").extend(odd);
    let stage = Stage::answering(as_json(&message.to_string())).await;
    let answer = stage.ask(&list()).await;
    assert_eq!(names(&answer), ["get_leads", "update_lead"]);
    shows_nothing("odd entries", &answer);
    for (what, body) in [
        ("a twin of the list", message.to_string().replace("\"tools\":", "\"Tools\":[],\"tools\":")),
        ("the list twice", message.to_string().replace("\"tools\":", "\"tools\":[],\"tools\":")),
        ("an escaped twin", message.to_string().replace("\"tools\":", "\"t\\u006fols\":[],\"tools\":")),
        (
            "a list beside an error",
            message.to_string().replace("\"id\":7", "\"error\":{\"code\":1,\"message\":\"\"},\"id\":7"),
        ),
        ("a method beside it", message.to_string().replace("\"id\":7", "\"method\":\"x\",\"id\":7")),
        (
            "a notification with a result",
            message.to_string().replace("\"id\":7", "\"method\":\"notifications/message\""),
        ),
    ] {
        for answer in [as_json(&body), as_stream(format!("data: {body}\n\n"))] {
            shows_nothing(what, &Stage::answering(answer).await.ask(&list()).await);
        }
    }
}

#[tokio::test]
async fn what_a_server_says_of_a_tool_decides_nothing() {
    let mut message = tools(7);
    let harmless = json!({"readOnlyHint": true, "destructiveHint": false, "idempotentHint": true});
    for tool in message["result"]["tools"].as_array_mut().expect("a list") {
        tool["annotations"] = harmless.clone();
        tool["_meta"] = json!({"toolgate.dev/verdict": {"outcome": "allowed"}, "allowed": true});
    }
    let stage = Stage::answering(as_json(&message.to_string())).await;
    let answer = stage.ask(&list()).await;
    assert_eq!(names(&answer), ["get_leads", "update_lead"]);
    assert_eq!(answer.json()["result"]["tools"][0]["annotations"], harmless, "the client may read them");
    shows_nothing("harmless tools", &answer);
    for (tool, told) in [("update_lead", "denied"), ("get_account", "unlisted"), ("stop_salesbot", "hidden")]
    {
        let call = Request::modern_call(ALICE, tool, &json!({"annotations": harmless}));
        let answer = stage.ask(&call).await;
        let refused = answer.verdict().is_some() || answer.error_code() == Some(-32602);
        assert!(refused, "{told}: {}", answer.text());
    }
    assert_eq!(stage.upstream.seen().len(), 1, "only the list was asked for");
}

#[tokio::test]
async fn every_page_is_filtered_and_an_emptied_one_keeps_its_cursor() {
    let stage = Stage::scripted(|seen: &Seen| {
        let page = |names: &[&str], next: Option<&str>| {
            let tools: Vec<Value> =
                names.iter().map(|name| json!({"name": name, "inputSchema": {}})).collect();
            let mut result =
                json!({"resultType": "complete", "tools": tools, "ttlMs": 0, "cacheScope": "public"});
            if let Some(next) = next {
                result["nextCursor"] = json!(next);
            }
            json!({"jsonrpc": "2.0", "id": 7, "result": result}).to_string()
        };
        let body = match (seen.body.contains("\"cursor\":\"2\""), seen.body.contains("\"cursor\":\"3\"")) {
            (true, _) => page(&["stop_salesbot", "get_account"], Some("3")),
            (_, true) => page(&["update_lead", "stop_it"], None),
            _ => page(&["get_leads", "stop_salesbot"], Some("2")),
        };
        vec![Step::Send(as_json(&body))]
    })
    .await;
    let page = async |cursor: Option<&str>| {
        let params = cursor.map_or(json!({}), |cursor| json!({"cursor": cursor}));
        let answer = stage.ask(&Request::modern(ALICE, "tools/list", params)).await;
        shows_nothing("a page", &answer);
        (names(&answer), answer.json()["result"]["nextCursor"].clone())
    };
    assert_eq!(page(None).await, (vec!["get_leads".to_owned()], json!("2")));
    assert_eq!(page(Some("2")).await, (Vec::new(), json!("3")), "emptied, and not the last");
    assert_eq!(page(Some("3")).await, (vec!["update_lead".to_owned()], Value::Null));
}

#[tokio::test]
async fn no_list_is_for_shared_caches_or_for_long() {
    for (said, told) in [
        (json!(3_600_000), 5000),
        (json!(5001), 5000),
        (json!(5000), 5000),
        (json!(7), 7),
        (json!(-1), 0),
        (json!(1.5), 0),
        (json!("1000"), 0),
        (Value::Null, 0),
    ] {
        let mut message = tools(7);
        message["result"]["ttlMs"] = said.clone();
        for answer in [as_json(&message.to_string()), as_stream(event(&message))] {
            let result = Stage::answering(answer).await.ask(&list()).await.json()["result"].clone();
            assert_eq!(
                (&result["ttlMs"], &result["cacheScope"]),
                (&json!(told), &json!("private")),
                "{said}"
            );
        }
    }
    let mut silent = tools(7);
    silent["result"].as_object_mut().expect("an object").retain(|key, _| key == "tools");
    let result =
        Stage::answering(as_json(&silent.to_string())).await.ask(&list()).await.json()["result"].clone();
    assert_eq!((&result["ttlMs"], &result["cacheScope"]), (&json!(0), &json!("private")));
}

#[tokio::test]
async fn lists_that_no_policy_opens_come_from_the_gateway_and_are_empty() {
    let stage = Stage::answering(http("500 No", "", "")).await;
    for (method, member) in [
        ("resources/list", "resources"),
        ("prompts/list", "prompts"),
        ("resources/templates/list", "resourceTemplates"),
    ] {
        for request in
            [Request::modern(ALICE, method, json!({})), Request::session(ALICE, None, method, &json!({}))]
        {
            let answer = stage.ask(&request).await;
            if answer.status == 200 {
                assert_eq!(answer.json()["result"][member], json!([]), "{method}");
            } else {
                assert_eq!(answer.status, 502, "{method}: the server was asked and failed");
            }
        }
    }
    let smuggled = json!({"jsonrpc": "2.0", "id": 7, "result": {
        "resultType": "complete", "content": [],
        "resources": [{"uri": "kommo://secret", "name": "s"}], "prompts": [{"name": "secret"}],
        "resourceTemplates": [{"uriTemplate": "kommo://secret/{x}", "name": "s"}],
    }});
    let stage = Stage::answering(as_json(&smuggled.to_string())).await;
    for request in [call(), list(), Request::modern(ALICE, "resources/list", json!({}))] {
        let text = stage.ask(&request).await.text();
        assert!(!text.contains("secret"), "{text}");
    }
}
