//! A grant that ends by itself, at its instant.

use std::path::Path;

use serde_json::json;
use toolgate_e2e::process::{
    ALICE, Configuration, Folder, Gateway, Request, Socket, Start, Step, Upstream, shifted_clock,
};

use super::{RULES, until_revision};

/// When it ends, and what brings a clock of today beyond that.
const ENDS: &str = "expiresAt: '2099-01-01T00:00:00Z'";
const BEYOND: &str = "+90y";

#[tokio::test]
async fn a_grant_ends_at_its_instant_for_calls_and_for_open_streams() {
    let Some(shifted) = shifted_clock("a grant that expires while a gateway runs") else { return };
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";
    let script = move |_: &_| vec![Step::Send(format!("{head}:\n\n").into_bytes()), Step::Hold];
    let upstream = Upstream::start(script).await.expect("an upstream");
    let configuration = Configuration::new(&upstream.url()).expect("files");
    configuration.policy("kommo-sales", RULES).expect("is written");
    configuration.grant("alice", ALICE, ENDS).expect("is written");
    let clock = Folder::new().expect("a folder");
    clock.write("shift", "+0").expect("is written");
    let file = clock.path().join("shift");
    let variables = shifted.iter().map(|(name, value)| (*name, Path::new(value)));
    let variables: Vec<(&str, &Path)> = variables.chain([("FAKETIME_TIMESTAMP_FILE", &*file)]).collect();
    let (config, credentials) = (configuration.objects(), configuration.credentials());
    let start = Start { config: &config, credentials: Some(&credentials), log: "info", more: &[] };
    let gateway = Gateway::start_in(start, &variables).await.expect("a gateway");
    gateway.admin().until_ready().await.expect("is ready");

    let request = Request::modern_call(ALICE, "get_leads", &json!({}));
    let mut stream = Socket::open(gateway.address()).await.expect("connects");
    stream.send(&request.bytes()).await.expect("is sent");
    assert_eq!(stream.head().await.expect("a head").status, 200);
    clock.write("next", BEYOND).expect("is written");
    std::fs::rename(clock.path().join("next"), &file).expect("is renamed");
    assert_eq!(gateway.ask(&request).await.expect("an answer").status, 401);
    // Open streams are looked at each half minute, and whenever a new law comes into force.
    let before = gateway.admin().revision().await.expect("a revision");
    configuration.policy("kommo-sales", &format!("{RULES}\nhide: [nothing]")).expect("is written");
    until_revision(&gateway, &before).await;
    stream.until("the grant was revoked").await.expect("the stream says so");
    upstream.until_left(1).await.expect("the gateway leaves the server");
}
