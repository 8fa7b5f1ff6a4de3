//! Where the trail goes, and what happens when it cannot.

use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};
use toolgate_e2e::kommo::Answers;
use toolgate_e2e::process::{ALICE, Folder, Seen, Step, Upstream, World};

use super::{RULES, ask, call, world};

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[tokio::test]
async fn a_flood_of_bad_tokens_does_not_flood_the_trail_and_is_counted_whole() {
    const REQUESTS: usize = 120;
    let mut world = world().await;
    for _ in 0..REQUESTS {
        assert_eq!(ask(&world, &call("nobody", "get_leads", &json!({}))).await.status, 401);
    }
    world.gateway.terminate().await.expect("is told");
    world.gateway.ended().await.expect("ends");
    let lines = lines(&world.gateway.audit().text());
    let omitted: u64 = lines.iter().filter_map(|line| line["lines"].as_u64()).sum();
    let rejected = lines.iter().filter(|line| line["event"] == "rejected").count();
    assert_eq!(rejected as u64 + omitted, REQUESTS as u64, "{lines:?}");
    // In each second at most twenty are told.
    let mut by_second = std::collections::BTreeMap::new();
    for line in lines.iter().filter(|line| line["event"] == "rejected") {
        *by_second.entry(line["time"].as_str().expect("a time")[..19].to_owned()).or_insert(0_usize) += 1;
    }
    // Its seconds are not the wall's, so two of them may touch one.
    assert!(by_second.values().all(|count| *count <= 40), "{by_second:?}");
}

#[tokio::test]
async fn a_file_gets_every_line_and_the_end_of_the_process_writes_the_rest() {
    let folder = Folder::new().expect("a folder");
    let path = folder.path().join("audit.jsonl");
    let path_text = path.to_str().expect("UTF-8").to_owned();
    let more = ["--audit", &path_text, "--audit-file-bytes", "4096"];
    let mut world = World::start_with(Answers::Json, RULES, "info", &more).await.expect("a world");
    for _ in 0..30 {
        ask(&world, &call(ALICE, "get_leads", &json!({"limit": 1}))).await;
    }
    world.gateway.terminate().await.expect("is told");
    world.gateway.ended().await.expect("ends");
    assert_eq!(world.gateway.audit().text(), "", "nothing is on stdout");
    let mut texts = vec![std::fs::read_to_string(&path).expect("is there")];
    for number in 1..=5 {
        texts.extend(std::fs::read_to_string(format!("{path_text}.{number}")));
    }
    assert!(texts.len() > 1, "a full file made place");
    assert_eq!(lines(&texts.concat()).len(), 30);
}

#[tokio::test]
async fn without_a_trail_nothing_is_written() {
    let mut world =
        World::start_with(Answers::Json, RULES, "info", &["--audit", "off"]).await.expect("a world");
    let answer = ask(&world, &call(ALICE, "update_lead", &json!({}))).await;
    assert!(answer.header("toolgate-request-id").is_some());
    world.gateway.terminate().await.expect("is told");
    world.gateway.ended().await.expect("ends");
    assert_eq!(world.gateway.audit().text(), "");
}

/// Nobody reads the gateway's stdout, so that a pipe's 64 KiB are full after a hundred lines or two.
#[tokio::test]
async fn a_trail_that_nobody_reads_delays_no_call() {
    const CALLS: usize = 600;
    let world = World::start_with(Answers::Json, RULES, "info", &["--audit", "off"]).await.expect("a world");
    let (objects, credentials) = (world.configuration.objects(), world.configuration.credentials());
    let mut command =
        tokio::process::Command::new(toolgate_e2e::process::gateway_binary().expect("is built"));
    command.arg("--config").arg(&objects).arg("--credentials").arg(&credentials);
    command.args(["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
    let mut child =
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true).spawn().expect("starts");
    let unread = child.stdout.take();
    let log = toolgate_e2e::process::Log::of(child.stderr.take().expect("was piped"));
    let listening = log.message(0, "listening").await.expect("listens");
    let address = listening["mcp"].as_str().expect("an address").parse().expect("an address");
    let mut socket = toolgate_e2e::process::Socket::open(address).await.expect("connects");
    let request = call(ALICE, "update_lead", &json!({}));
    for _ in 0..CALLS {
        socket.send(&request.bytes()).await.expect("is sent");
        let answer = socket.answer().await.expect("an answer");
        assert_eq!(answer.verdict().as_deref(), Some("denied"));
    }
    drop(socket);
    // It ends as well, though the last lines find no reader.
    let id = child.id().expect("runs");
    let killed = tokio::process::Command::new("sh").arg("-c").arg(format!("kill -TERM {id}")).status().await;
    assert!(killed.expect("kill runs").success());
    let ended = tokio::time::timeout(toolgate_e2e::process::PATIENCE, child.wait()).await;
    assert!(ended.expect("ends in time").expect("ends").success());
    log.message(0, "the end of the audit trail could not be written in time").await.expect("it is said");
    drop(unread);
}

/// The log records that a collector got, in order, of requests that it took.
fn records(seen: &[Seen]) -> Vec<Value> {
    let mut records = Vec::new();
    for Seen { head, body } in seen {
        assert!(head.starts_with("POST /v1/logs HTTP/1.1"), "{head}");
        assert!(head.contains("content-type: application/json"), "{head}");
        let body: Value = serde_json::from_str(body).expect("JSON");
        let logs = &body["resourceLogs"][0];
        assert_eq!(logs["resource"]["attributes"][0]["value"]["stringValue"], "toolgate-gateway");
        records.extend(logs["scopeLogs"][0]["logRecords"].as_array().expect("records").clone());
    }
    records
}

fn answer(status: &str) -> Vec<Step> {
    vec![Step::Send(format!("HTTP/1.1 {status}\r\ncontent-length: 2\r\n\r\n{{}}").into_bytes())]
}

#[tokio::test]
async fn a_collector_gets_every_line_as_a_record_of_its_trace_and_is_asked_again_when_it_is_busy() {
    let busy = AtomicBool::new(true);
    let script =
        move |_: &Seen| answer(if busy.swap(false, Ordering::SeqCst) { "503 not now" } else { "200 OK" });
    let collector = Upstream::start(script).await.expect("a collector");
    let more = ["--audit", &*collector.base()];
    let mut world = World::start_with(Answers::Json, RULES, "info", &more).await.expect("a world");
    let id = ask(&world, &call(ALICE, "get_leads", &json!({"limit": 1}))).await;
    let id = id.header("toolgate-request-id").expect("an id").to_owned();
    collector.until_seen(2).await.expect("it is sent again");
    ask(&world, &call(ALICE, "update_lead", &json!({}))).await;
    world.gateway.terminate().await.expect("is told");
    world.gateway.ended().await.expect("ends");
    assert_eq!(world.gateway.audit().text(), "", "nothing is on stdout");
    let seen = collector.seen();
    assert_eq!(seen[0].body, seen[1].body, "the same again");
    let records = records(&seen[1..]);
    let line = |record: &Value| -> Value {
        serde_json::from_str(record["body"]["stringValue"].as_str().expect("a line")).expect("JSON")
    };
    let verdicts: Vec<Value> = records.iter().map(|record| line(record)["verdict"].clone()).collect();
    assert_eq!(verdicts, ["allowed", "denied"]);
    assert_eq!(records[0]["eventName"], "toolgate.audit");
    assert_eq!((&records[0]["traceId"], &records[0]["spanId"]), (&json!(id), &json!(id[..16])));
    // The fraction of a second is the same in both, in microseconds here and nanoseconds there.
    let told = line(&records[0])["time"].as_str().expect("a time").to_owned();
    let nanoseconds = records[0]["timeUnixNano"].as_str().expect("a text");
    assert_eq!((&told[20..26], nanoseconds.len()), (&nanoseconds[10..16], 19), "{told} and {nanoseconds}");
}

#[tokio::test]
async fn what_a_collector_will_never_take_is_lost_counted_and_told() {
    let refusing = Arc::new(AtomicBool::new(true));
    let refuses = refusing.clone();
    let script = move |_: &Seen| answer(if refuses.load(Ordering::SeqCst) { "400 never" } else { "200 OK" });
    let collector = Upstream::start(script).await.expect("a collector");
    let more = ["--audit", &*collector.base()];
    let world = World::start_with(Answers::Json, RULES, "info", &more).await.expect("a world");
    ask(&world, &call(ALICE, "get_leads", &json!({}))).await;
    collector.until_seen(1).await.expect("it is sent");
    world.gateway.log().message(0, "will not take decisions").await.expect("a log line");
    let dropped = "toolgate_audit_lines_dropped_total";
    let metrics = world.gateway.admin().metrics().await.expect("metrics");
    assert!((metrics.sum(dropped, &[]) - 1.0).abs() < f64::EPSILON);
    refusing.store(false, Ordering::SeqCst);
    ask(&world, &call(ALICE, "get_leads", &json!({}))).await;
    collector.until_seen(2).await.expect("it is sent");
    let records = records(&collector.seen()[1..]);
    let first: Value =
        serde_json::from_str(records[0]["body"]["stringValue"].as_str().expect("a line")).expect("JSON");
    assert_eq!(
        (&first["event"], &first["lines"], &first["because"]),
        (&json!("omitted"), &json!(1), &json!("sink"))
    );
}
