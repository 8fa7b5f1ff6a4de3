//! What the gateway logs when nobody reads it.

use std::net::SocketAddr;
use std::process::Stdio;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{ChildStderr, Command};
use toolgate_e2e::kommo::Answers;
use toolgate_e2e::process::{ALICE, Admin, PATIENCE, Request, Socket, World, gateway_binary};

const RULES: &str = "default: deny\ntools: {update_lead: {action: deny}}";
/// Far more than it takes to fill a pipe and the queue: each call is told in several lines.
const CALLS_MAX: usize = 20_000;

async fn line(lines: &mut Lines<BufReader<ChildStderr>>) -> Value {
    let line = tokio::time::timeout(PATIENCE, lines.next_line()).await.expect("a line in time");
    serde_json::from_str(&line.expect("reads").expect("a line")).expect("a whole line of JSON")
}

fn address(said: &Value) -> SocketAddr {
    said.as_str().expect("an address").parse().expect("an address")
}

#[tokio::test]
async fn a_log_that_nobody_reads_delays_no_call_and_what_it_misses_is_counted_and_told() {
    let world = World::start_with(Answers::Json, RULES, "info", &["--audit", "off"]).await.expect("a world");
    let mut command = Command::new(gateway_binary().expect("is built"));
    command.arg("--config").arg(world.configuration.objects());
    command.arg("--credentials").arg(world.configuration.credentials());
    command.args(["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--audit", "off"]);
    command.env("TOOLGATE_LOG", "trace").stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().expect("starts");
    let mut log = BufReader::new(child.stderr.take().expect("was piped")).lines();
    let listening = loop {
        let line = line(&mut log).await;
        if line["message"] == "listening" {
            break line;
        }
    };
    let admin = Admin::at(address(&listening["admin"]));
    admin.until_ready().await.expect("is ready");

    // From here on nobody reads, and every call is answered all the same.
    let dropped = async || {
        let metrics = admin.metrics().await.expect("metrics");
        metrics.sum("toolgate_log_lines_dropped_total", &[])
    };
    let mut socket = Socket::open(address(&listening["mcp"])).await.expect("connects");
    let request = Request::modern_call(ALICE, "update_lead", &json!({}));
    let mut calls = 0;
    while dropped().await < 1.0 {
        assert!(calls < CALLS_MAX, "nothing was dropped, so nothing was blocked");
        for _ in 0..50 {
            socket.send(&request.bytes()).await.expect("is sent");
            let answer = socket.answer().await.expect("an answer");
            assert_eq!(answer.verdict().as_deref(), Some("denied"));
            calls += 1;
        }
    }

    // Whoever reads again finds whole lines, and is told that some are missing.
    while line(&mut log).await["message"] != "lines are missing from this log" {}
    let id = child.id().expect("runs");
    let told = Command::new("sh").arg("-c").arg(format!("kill -TERM {id}")).status().await;
    assert!(told.expect("kill runs").success());
    while let Some(text) = log.next_line().await.expect("reads") {
        let _whole: Value = serde_json::from_str(&text).expect("a whole line of JSON");
    }
    let ended = tokio::time::timeout(PATIENCE, child.wait()).await;
    assert!(ended.expect("ends in time").expect("ends").success());
}
