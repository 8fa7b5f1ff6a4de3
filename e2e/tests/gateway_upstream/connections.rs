//! Connections that do not come about, break, or hang; and clients that go away.

use serde_json::json;
use tokio::net::TcpListener;
use toolgate_e2e::process::{ALICE, Request, Socket, Step, Upstream};

use super::{RULES, Stage, as_json, as_stream, before, call, event, list, old_call, result};

const ONE: &str = "\
default: deny
tools:
  get_leads: {limits: [{counter: rate, window: hour, max: 1, scope: grant}]}";

#[tokio::test]
async fn a_call_that_could_not_be_sent_costs_nothing() {
    let free = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = free.local_addr().expect("an address");
    drop(free);
    let (_configuration, gateway) = before(&format!("http://{address}/mcp"), ONE, &[]).await;
    for _ in 0..3 {
        let answer = gateway.ask(&call()).await.expect("an answer");
        assert_eq!(answer.status, 502, "not limited: {}", answer.text());
        assert!(answer.text().contains("the server cannot be reached"), "{}", answer.text());
    }
    // Somebody listens there now: the one call of the hour is still to be had, and only the one.
    let listener = TcpListener::bind(address).await.expect("the port is still free");
    let served = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.expect("a connection");
        let mut socket = Socket::over(stream);
        socket.until("\"get_leads\"").await.expect("a call");
        socket.send(&as_json(&result("fine").to_string())).await.expect("is sent");
        socket.closes().await
    });
    let answer = gateway.ask(&call()).await.expect("an answer");
    assert_eq!((answer.status, answer.verdict()), (200, None), "{}", answer.text());
    assert_eq!(gateway.ask(&call()).await.expect("an answer").verdict().as_deref(), Some("limited"));
    let metrics = gateway.admin().metrics().await.expect("metrics");
    assert!((metrics.sum("toolgate_upstream_errors_total", &[("kind", "unreachable")]) - 3.0).abs() < 0.1);
    drop(gateway);
    assert!(served.await.expect("it ends"));
}

#[tokio::test]
async fn a_call_that_was_sent_costs_what_it_costs_and_is_not_sent_again() {
    let good = as_json(&result("fine").to_string());
    for (what, steps) in [
        ("closed without a word", vec![Step::Close]),
        ("reset", vec![Step::Reset]),
        ("half a head", vec![Step::Send(b"HTTP/1.1 200 OK\r\ncontent-".to_vec()), Step::Close]),
        ("half a body", vec![Step::Send(good[..good.len() - 1].to_vec()), Step::Close]),
        ("half a body and a reset", vec![Step::Send(good[..good.len() - 1].to_vec()), Step::Reset]),
        ("no HTTP", vec![Step::Send(b"SSH-2.0-nonsense\r\n\r\n".to_vec()), Step::Close]),
        (
            "a head without end",
            vec![Step::Send(b"HTTP/1.1 200 OK\r\n".to_vec()), Step::SendForEver(b"x: y\r\n".repeat(1000))],
        ),
        (
            "an upgrade",
            vec![
                Step::Send(
                    b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n".to_vec(),
                ),
                Step::Close,
            ],
        ),
    ] {
        let upstream = Upstream::start(move |_| steps.clone()).await.expect("a server");
        let stage = Stage::new(upstream, ONE, &[]).await;
        let answer = stage.ask(&call()).await;
        assert_eq!((answer.status, answer.error_code()), (502, Some(-32603)), "{what}: {}", answer.text());
        assert_eq!(stage.upstream.seen().len(), 1, "{what}: it is not sent again");
        let again = stage.ask(&call()).await;
        assert_eq!(again.verdict().as_deref(), Some("limited"), "{what}: the server may have acted");
    }
}

#[tokio::test]
async fn a_server_that_hangs_holds_nobody_else_up_and_ends_in_time() {
    let upstream = Upstream::start(|seen| {
        if seen.body.contains("tools/list") {
            vec![Step::Send(as_json(&super::tools(7).to_string()))]
        } else {
            vec![Step::Hold]
        }
    });
    let stage = Stage::new(upstream.await.expect("a server"), RULES, &["--answer-seconds", "1"]).await;
    let mut hanging = Socket::open(stage.gateway.address()).await.expect("connects");
    hanging.send(&call().bytes()).await.expect("is sent");
    stage.upstream.until_seen(1).await.expect("it hangs");
    for _ in 0..20 {
        assert_eq!(stage.ask(&list()).await.status, 200);
    }
    let answer = hanging.answer().await.expect("an answer");
    assert_eq!(answer.status, 502);
    assert!(answer.text().contains("the server did not answer in time"), "{}", answer.text());
    stage.upstream.until_left(1).await.expect("the gateway leaves");
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n{";
    let upstream =
        Upstream::start(move |_| vec![Step::Send(head.into()), Step::Hold]).await.expect("a server");
    let stage = Stage::new(upstream, RULES, &["--answer-seconds", "1"]).await;
    let answer = stage.ask(&call()).await;
    assert!(answer.text().contains("the server did not finish its answer in time"), "{}", answer.text());
}

#[tokio::test]
async fn a_client_that_goes_away_cancels_in_2026_07_28() {
    let stage = Stage::doing(vec![Step::Hold]).await;
    for calls in 1..=2 {
        let mut socket = Socket::open(stage.gateway.address()).await.expect("connects");
        socket.send(&call().bytes()).await.expect("is sent");
        stage.upstream.until_seen(calls).await.expect("the call is under way");
        drop(socket);
        stage.upstream.until_left(calls).await.expect("the server sees the close");
    }
    // The same with an answer that has begun.
    let stage = Stage::doing(vec![Step::Send(as_stream(": x\n\n")), Step::Hold]).await;
    let mut socket = Socket::open(stage.gateway.address()).await.expect("connects");
    socket.send(&call().bytes()).await.expect("is sent");
    socket.until(":\n\n").await.expect("the sign of life");
    assert_eq!(stage.upstream.left(), 0);
    drop(socket);
    stage.upstream.until_left(1).await.expect("the server sees the close");
}

#[tokio::test]
async fn before_2026_07_28_a_client_that_goes_away_cancels_nothing() {
    let answer = as_json(&result("fine").to_string());
    let begun = [Step::Send(answer[..10].to_vec()), Step::Wait, Step::Send(answer[10..].to_vec())];
    let silent = [Step::Wait, Step::Send(answer.clone())];
    for steps in [silent.to_vec(), begun.to_vec()] {
        let stage = Stage::doing(steps).await;
        let mut socket = Socket::open(stage.gateway.address()).await.expect("connects");
        socket.send(&old_call().bytes()).await.expect("is sent");
        stage.upstream.until_seen(1).await.expect("the call is under way");
        drop(socket);
        // By the time that these are answered the gateway has long seen that the client is gone.
        for _ in 0..50 {
            let denied = Request::modern_call(ALICE, "update_lead", &json!({}));
            assert_eq!(stage.ask(&denied).await.verdict().as_deref(), Some("denied"));
        }
        stage.upstream.go_on();
        let finished = |answer: &toolgate_e2e::process::Answer| {
            answer
                .text()
                .contains("toolgate_tool_call_duration_seconds_count{server=\"kommo\",verdict=\"allowed\"} 1")
        };
        stage
            .gateway
            .admin()
            .until("/metrics", "the end of the call", finished)
            .await
            .expect("it is finished");
        assert!(stage.errors("broken").await < 0.5);
    }
}

#[tokio::test]
async fn answers_come_as_they_are_written() {
    let progress = json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progress": 1}});
    for request in [call(), old_call()] {
        let last = event(&result("fine"));
        let steps = vec![Step::Send(as_stream(event(&progress))), Step::Wait, Step::Send(last.into_bytes())];
        let stage = Stage::doing(steps).await;
        let mut socket = Socket::open(stage.gateway.address()).await.expect("connects");
        socket.send(&request.bytes()).await.expect("is sent");
        socket.until("notifications/progress").await.expect("it does not wait for the answer");
        stage.upstream.go_on();
        socket.until("fine").await.expect("the answer");
    }
}

#[tokio::test]
async fn no_caller_is_answered_with_what_is_anothers() {
    let upstream = Upstream::start(|seen| {
        let asked = seen.body.split("marker-").nth(1).and_then(|rest| rest.split('"').next());
        vec![Step::Send(as_json(&result(&format!("echo-{}", asked.unwrap_or_default())).to_string()))]
    });
    let stage = Stage::new(upstream.await.expect("a server"), RULES, &[]).await;
    let address = stage.gateway.address();
    let callers = (0..16).map(|caller| async move {
        let mut socket = Socket::open(address).await.expect("connects");
        for number in 0..60 {
            let marker = format!("marker-{caller}-{number}");
            let request = Request::modern_call(ALICE, "get_leads", &json!({"query": marker}));
            socket.send(&request.bytes()).await.expect("is sent");
            let text = socket.answer().await.expect("an answer").text();
            assert!(text.contains(&format!("\"echo-{caller}-{number}\"")), "{marker}: {text}");
        }
    });
    futures::future::join_all(callers).await;
    assert_eq!(stage.upstream.seen().len(), 16 * 60);
}

/// What answers there hands out credentials, and whoever writes a server's URL could have them sent to an agent.
#[tokio::test]
async fn a_server_at_an_address_of_the_link_or_of_a_cloud_is_never_connected_to() {
    for url in [
        "http://169.254.169.254/mcp",
        "http://[::ffff:169.254.169.254]/mcp",
        "http://0xa9fea9fe/mcp",
        "http://0.0.0.0:1/mcp",
    ] {
        let (_configuration, gateway) = before(url, RULES, &[]).await;
        let answer = gateway.ask(&call()).await.expect("an answer");
        assert_eq!(answer.status, 502, "{url}: {}", answer.text());
        let metrics = gateway.admin().metrics().await.expect("metrics");
        assert!(metrics.sum("toolgate_upstream_errors_total", &[("kind", "unreachable")]) > 0.5, "{url}");
        let logged = gateway.log().message(0, "the server cannot be reached").await.expect("is logged");
        let detail = logged["detail"].as_str().expect("why");
        assert!(detail.contains("gateways do not connect to"), "{url}: {detail}");
    }
}
