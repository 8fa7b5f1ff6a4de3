//! What a scrape of the running gateway has: how full limits are, and never more series than are meant.

use std::collections::BTreeMap;

use serde_json::json;
use toolgate_e2e::kommo::Answers;
use toolgate_e2e::process::{
    ALICE, Answer, BOB, Configuration, Gateway, Metrics, Redis, Request, Socket, Start, World,
};

const CALLS: &str = "toolgate_tool_calls_total";
const USED: &str = "toolgate_limit_used_ratio";
const WAIT: &str = "toolgate_limit_wait_seconds";
/// So many more scrapes tell a series that is gone.
const SCRAPES: usize = 5;
/// More grants than are looked at in one go.
const MANY: usize = 600;
/// Names that nobody knows.
const NAMES: u32 = 10_000;

const LIMITED: &str = "tools:
  get_leads:
    limits:
      - {counter: reads, window: hour, max: 4, scope: grant}
      - {counter: reads, window: day, max: 10, scope: grant}
allTools:
  limits: [{counter: all, window: day, max: 100, scope: server}]";

async fn scrape(gateway: &Gateway) -> Metrics {
    gateway.admin().metrics().await.expect("metrics")
}

async fn call(gateway: &Gateway, token: &str, tool: &str) {
    let request = Request::modern_call(token, tool, &json!({}));
    assert_eq!(gateway.ask(&request).await.expect("an answer").status, 200);
}

async fn until_newer(gateway: &Gateway, before: i64) {
    let is_newer = |answer: &Answer| answer.json()["revision"].as_i64() > Some(before);
    gateway.admin().until("/revision", "a newer revision", is_newer).await.expect("is enforced");
}

/// Counter, window and grant of each series of a gauge, and its value.
fn told(metrics: &Metrics, name: &str) -> BTreeMap<Vec<String>, f64> {
    metrics.by(name, &["policy", "counter", "window", "grant"])
}

fn key(counter: &str, window: &str, grant: &str) -> Vec<String> {
    ["kommo-sales", counter, window, grant].map(str::to_owned).to_vec()
}

#[tokio::test]
async fn ten_thousand_names_that_nobody_knows_are_one_series() {
    let world = World::start(Answers::Json, "tools: {get_leads: {}}").await.expect("a world");
    call(&world.gateway, ALICE, "no_such_tool").await;
    let before = scrape(&world.gateway).await.all();
    let mut socket = Socket::open(world.gateway.address()).await.expect("a connection");
    for index in 0..NAMES {
        let request = Request::modern_call(ALICE, &format!("made_up_{index}"), &json!({}));
        socket.send(&request.bytes()).await.expect("is sent");
        assert_eq!(socket.answer().await.expect("an answer").error_code(), Some(-32602));
    }
    let after = scrape(&world.gateway).await;
    assert_eq!(after.all(), before);
    let counted = after.sum(CALLS, &[("tool", "_other"), ("verdict", "unlisted")]);
    assert!((counted - f64::from(NAMES) - 1.0).abs() < f64::EPSILON, "each is counted: {counted}");
    assert!(after.sum("toolgate_metric_series_folded_total", &[]) < f64::EPSILON);
}

#[tokio::test]
async fn a_grant_and_a_tool_that_are_taken_away_are_told_a_few_times_more() {
    let world =
        World::start(Answers::Json, "tools: {get_leads: {}, get_pipelines: {}}").await.expect("a world");
    let of = |metrics: &Metrics| metrics.by(CALLS, &["grant", "tool"]).into_keys().collect::<Vec<_>>();
    for (token, tool) in [(ALICE, "get_leads"), (ALICE, "get_pipelines"), (BOB, "get_leads")] {
        call(&world.gateway, token, tool).await;
    }
    let all = of(&scrape(&world.gateway).await);
    assert_eq!(all.len(), 3);
    let revision = world.gateway.admin().revision().await.expect("a revision").as_i64().expect("a number");
    world.configuration.remove("grant-bob.yaml").expect("is removed");
    until_newer(&world.gateway, revision).await;
    world.configuration.policy("kommo-sales", "tools: {get_leads: {}}").expect("is written");
    until_newer(&world.gateway, revision + 1).await;
    for _ in 0..SCRAPES {
        assert_eq!(of(&scrape(&world.gateway).await), all, "what it counted last is to be seen");
    }
    assert_eq!(of(&scrape(&world.gateway).await), [["alice", "get_leads"]]);
}

#[tokio::test]
async fn how_full_limits_are_is_told_with_the_time_until_there_is_room() {
    let world = World::start(Answers::Json, LIMITED).await.expect("a world");
    assert_eq!(scrape(&world.gateway).await.count(USED), 0, "nothing holds anything");
    call(&world.gateway, ALICE, "get_leads").await;
    call(&world.gateway, BOB, "get_leads").await;
    for _ in 0..4 {
        call(&world.gateway, ALICE, "get_leads").await;
    }
    are_told(&scrape(&world.gateway).await);
}

#[tokio::test]
async fn gateways_that_share_a_store_tell_what_all_of_them_charged() {
    let Some(redis) = Redis::start(&[]).await.expect("Redis") else { return };
    let stand_in = World::stand_in(Answers::Json).await.expect("a stand-in");
    let configuration = Configuration::new(&stand_in.url()).expect("files");
    configuration.counters(&format!("{{url: '{}'}}", redis.url())).expect("files");
    configuration.policy("kommo-sales", LIMITED).expect("files");
    configuration.grant("alice", ALICE, "").expect("files");
    configuration.grant("bob", BOB, "").expect("files");
    let (config, credentials) = (configuration.objects(), configuration.credentials());
    let more = ["--counters-deadline-milliseconds", "1000"];
    let start = Start { config: &config, credentials: Some(&credentials), log: "info", more: &more };
    let [first, second] =
        [Gateway::ready(start).await.expect("a gateway"), Gateway::ready(start).await.expect("another")];
    for gateway in [&first, &second] {
        gateway.admin().until_it_counts().await.expect("the store is there");
    }
    call(&first, ALICE, "get_leads").await;
    call(&second, BOB, "get_leads").await;
    for gateway in [&first, &second, &first, &second] {
        call(gateway, ALICE, "get_leads").await;
    }
    for gateway in [&first, &second] {
        are_told(&scrape(gateway).await);
    }
}

/// After five calls of alice, one of them limited, and one of bob.
fn are_told(metrics: &Metrics) {
    let used = told(metrics, USED);
    let expected = [
        (key("all", "day", ""), 0.05),
        (key("reads", "day", "alice"), 0.4),
        (key("reads", "day", "bob"), 0.1),
        (key("reads", "hour", "alice"), 1.0),
        (key("reads", "hour", "bob"), 0.25),
    ];
    assert_eq!(used, BTreeMap::from(expected));
    let waits = told(metrics, WAIT);
    assert_eq!(waits.keys().collect::<Vec<_>>(), used.keys().collect::<Vec<_>>());
    for (key, wait) in waits {
        let is_full = key[1..] == ["reads", "hour", "alice"];
        assert_eq!(wait > 0.0, is_full, "{key:?} {wait}");
        assert!(wait <= 3600.0, "{key:?} {wait}");
    }
}

#[tokio::test]
async fn of_many_grants_those_that_hold_something_are_told() {
    let world = World::start(Answers::Json, LIMITED).await.expect("a world");
    let revision = world.gateway.admin().revision().await.expect("a revision").as_i64().expect("a number");
    let grant = world.configuration.read("grant-alice.yaml").expect("is read");
    // Each with a token of nobody's: that of alice's grant, but for some digits.
    let digest =
        grant.split("sha256: \"").nth(1).and_then(|rest| rest.get(..64)).expect("a digest").to_owned();
    let another = |index: usize| {
        let other = format!("{index:08x}{}", &digest[8..]);
        grant.replace("{name: alice}", &format!("{{name: agent-{index}}}")).replace(&digest, &other)
    };
    let many: Vec<String> = (0..MANY).map(another).collect();
    world.configuration.write("many.yaml", &many.join("---\n")).expect("is written");
    until_newer(&world.gateway, revision).await;
    // Bob's comes after all of these.
    call(&world.gateway, BOB, "get_leads").await;
    let used = told(&scrape(&world.gateway).await, USED);
    let grants: Vec<&str> = used.keys().map(|key| key[3].as_str()).collect();
    assert_eq!(grants, ["", "bob", "bob"]);
}
