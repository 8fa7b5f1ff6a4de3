//! How many connections there may be, and what becomes of those who are served when others want more.

use serde_json::json;
use toolgate_e2e::kommo::Answers;
use toolgate_e2e::process::{ALICE, Answer, Configuration, Gateway, Request, Socket, Start, World};

const RULES: &str = "default: deny\ntools: {get_leads: {}, update_lead: {action: deny, reason: not this}}";

fn call(tool: &str) -> Vec<u8> {
    Request::modern_call(ALICE, tool, &json!({})).bytes()
}

async fn asked(socket: &mut Socket, tool: &str) -> Answer {
    socket.send(&call(tool)).await.expect("is sent");
    socket.answer().await.expect("an answer")
}

async fn served(gateway: &Gateway) -> Socket {
    let mut socket = Socket::open(gateway.address()).await.expect("connects");
    assert_eq!(asked(&mut socket, "get_leads").await.status, 200);
    socket
}

async fn world(more: &[&str]) -> World {
    World::start_with(Answers::Json, RULES, "info", more).await.expect("a world")
}

#[tokio::test]
async fn an_address_has_as_many_connections_as_it_may_and_not_one_more() {
    let World { gateway, stand_in, configuration: _kept } = world(&["--connections-per-address", "3"]).await;
    let mut open = Vec::new();
    for _ in 0..3 {
        open.push(served(&gateway).await);
    }
    let mut one_more = Socket::open(gateway.address()).await.expect("connects");
    let _closed = one_more.send(&call("get_leads")).await;
    assert_eq!(one_more.rest().await.expect("is closed"), b"");
    let metrics = gateway.admin().metrics().await.expect("metrics");
    assert!(metrics.sum("toolgate_requests_rejected_total", &[("reason", "connections")]) > 0.5);
    for socket in &mut open {
        assert_eq!(asked(socket, "get_leads").await.status, 200, "who is served goes on");
    }
    drop(open.pop());
    // The gateway sees that the connection has ended when it does.
    loop {
        let mut socket = Socket::open(gateway.address()).await.expect("connects");
        if socket.send(&call("get_leads")).await.is_ok() && socket.answer().await.is_ok() {
            break;
        }
    }
    assert_eq!(stand_in.counts().total, 7);
}

#[tokio::test]
async fn one_more_than_there_may_be_waits_for_a_place() {
    let World { gateway, stand_in, configuration: _kept } = world(&["--connections", "2"]).await;
    let (first, mut second) = (served(&gateway).await, served(&gateway).await);
    let mut waiting = Socket::open(gateway.address()).await.expect("the system takes it");
    waiting.send(&call("get_leads")).await.expect("is sent");
    assert_eq!(asked(&mut second, "update_lead").await.verdict().as_deref(), Some("denied"));
    assert_eq!(stand_in.counts().total, 2, "who waits is not served yet");
    drop(first);
    assert_eq!(waiting.answer().await.expect("an answer").status, 200);
    assert_eq!(stand_in.counts().total, 3);
}

#[tokio::test]
async fn whoever_opens_connections_leaves_descriptors_for_those_who_are_served() {
    let stand_in = World::stand_in(Answers::Json).await.expect("a server");
    let configuration = Configuration::new(&stand_in.url()).expect("files");
    configuration.policy("kommo-sales", RULES).expect("is written");
    configuration.grant("alice", ALICE, "").expect("is written");
    let (config, credentials) = (configuration.objects(), configuration.credentials());
    let start = Start { config: &config, credentials: Some(&credentials), log: "info", more: &[] };
    let gateway = Gateway::ready_within(start, 72).await.expect("a gateway");
    let told = gateway.log().message(0, "fewer connections than wanted").await.expect("it is said");
    assert_eq!(told["connections"], 20, "{told}");
    let mut caller = served(&gateway).await;
    let mut idle = Vec::new();
    for _ in 0..100 {
        idle.push(Socket::open(gateway.address()).await.expect("the system takes it"));
    }
    for _ in 0..20 {
        assert_eq!(asked(&mut caller, "get_leads").await.status, 200);
        assert_eq!(gateway.admin().get("/livez").await.expect("an answer").status, 200);
        assert_eq!(gateway.admin().get("/readyz").await.expect("an answer").status, 200);
    }
    assert!(gateway.log().find(0, "accept").is_none(), "{}", gateway.log().text());
    drop(idle);
    drop(served(&gateway).await);
}
