//! Canaries: what a client sends beside its message never reaches the server, and what the gateway shows the server
//! never reaches a client, a log or a metric.

use serde_json::json;
use toolgate_e2e::kommo::Answers;
use toolgate_e2e::process::{
    ALICE, Answer, CREDENTIAL, Configuration, Gateway, Request, Seen, Start, Step, Upstream, World,
};

use super::{RULES, get_leads};

/// A word that must be nowhere but where it was put.
const CANARY: &str = "canary-in-a-header";

/// Headers that servers, proxies and gateways are known to act on, and some that nobody knows.
const HEADERS: [&str; 44] = [
    "cookie",
    "cookie2",
    "proxy-authorization",
    "proxy-connection",
    "x-api-key",
    "x-auth-token",
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-forwarded-port",
    "x-forwarded-prefix",
    "x-forwarded-user",
    "x-forwarded-email",
    "x-forwarded-client-cert",
    "x-real-ip",
    "x-client-ip",
    "true-client-ip",
    "cf-connecting-ip",
    "via",
    "x-original-url",
    "x-rewrite-url",
    "x-original-method",
    "x-http-method-override",
    "x-http-method",
    "x-method-override",
    "x-user",
    "x-remote-user",
    "remote-user",
    "x-consumer-username",
    "x-toolgate-grant",
    "x-toolgate-approved",
    "x-envoy-original-path",
    "x-request-id",
    "referer",
    "user-agent",
    "accept-encoding",
    "accept-language",
    "range",
    "if-match",
    "last-event-id",
    "baggage",
    "traceparent",
    "x-nobody-knows-this",
];

#[tokio::test]
async fn no_header_of_a_client_reaches_the_server() {
    let world = World::start_with(Answers::Json, RULES, "trace", &[]).await.expect("a world");
    let session = world.gateway.open_session(ALICE).await.expect("a session");
    let mut modern = get_leads(ALICE);
    let mut legacy = Request::session_call(ALICE, Some(&session), "get_leads", &json!({"limit": 1}));
    for name in HEADERS {
        modern = modern.with(name, &format!("{CANARY}-{name}"));
        legacy = legacy.with(name, &format!("{CANARY}-{name}"));
    }
    let hop_by_hop = "close, authorization, mcp-name, mcp-protocol-version, content-type, host";
    for request in [modern.with("connection", hop_by_hop), legacy.with("connection", hop_by_hop)] {
        let answer = world.ask(&request).await.expect("an answer");
        assert_eq!((answer.status, answer.verdict()), (200, None), "{}", answer.text());
        assert!(!answer.text().contains(CANARY));
    }
    let record = format!("{:?}", world.stand_in.record());
    for secret in [CANARY, ALICE, session.as_str()] {
        assert!(!record.contains(secret), "{secret} reached the server: {record}");
    }
    let known =
        ["accept", "authorization", "content-length", "content-type", "host", "mcp-method", "mcp-name"];
    let known = [&known[..], &["mcp-protocol-version", "mcp-session-id", "traceparent"]].concat();
    for entry in world.stand_in.record() {
        let names: Vec<&str> = entry.headers.keys().map(String::as_str).collect();
        assert!(names.iter().all(|name| known.contains(name)), "{names:?}");
        assert_eq!(entry.headers["authorization"], format!("Bearer {CREDENTIAL}"));
        assert_eq!(entry.headers["host"], world.stand_in.address().to_string());
    }
    let log = world.gateway.log().text();
    for secret in [CANARY, ALICE, CREDENTIAL, session.as_str()] {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
}

#[tokio::test]
async fn an_origin_is_refused_unless_it_is_allowed_and_never_goes_on() {
    let allowed = ["--allowed-origin", "https://inspector.example.com"];
    let world = World::start_with(Answers::Json, RULES, "info", &allowed).await.expect("a world");
    for (origin, status) in [
        ("https://inspector.example.com", 200),
        ("https://evil.example.com", 403),
        ("http://inspector.example.com", 403),
        ("https://inspector.example.com.evil.example.com", 403),
        ("https://INSPECTOR.example.com", 403),
        ("http://localhost", 403),
        ("null", 403),
        ("", 403),
    ] {
        let answer = world.ask(&get_leads(ALICE).with("origin", origin)).await.expect("an answer");
        assert_eq!(answer.status, status, "{origin}");
        assert_eq!(answer.header("access-control-allow-origin"), None);
    }
    let two = get_leads(ALICE).with("origin", "https://inspector.example.com").with("origin", "null");
    assert_eq!(world.ask(&two).await.expect("an answer").status, 403);
    assert_eq!(world.reached().len(), 1);
    assert!(!format!("{:?}", world.stand_in.record()).contains("origin"));
}

#[tokio::test]
async fn the_servers_credential_reaches_no_client() {
    let world = World::start_with(Answers::Json, RULES, "debug", &[]).await.expect("a world");
    let mut heard = Vec::new();
    for request in [
        get_leads(ALICE),
        get_leads("wrong"),
        get_leads(ALICE).by("GET"),
        Request::modern(ALICE, "tools/list", json!({})),
        Request::modern(ALICE, "server/discover", json!({})),
        Request::modern(ALICE, "nonsense", json!({})),
        Request::modern_call(ALICE, "update_lead", &json!({})),
        Request::modern_call(ALICE, "nowhere", &json!({})),
    ] {
        heard.push(world.ask(&request).await.expect("an answer"));
    }
    // The server refuses the credential, and the file goes away: both are told without it.
    for (content, told) in [
        (format!("Bearer wrong-{CREDENTIAL}"), "the server does not accept the gateway's credential"),
        (format!("Bearer {CREDENTIAL}\nmore"), "the gateway has no credential for the server"),
    ] {
        world.configuration.credential(&content).expect("is written");
        heard.push(until(&world, told).await);
    }
    for path in ["/livez", "/readyz", "/metrics", "/revision", "/nowhere"] {
        heard.push(world.gateway.admin().get(path).await.expect("an answer"));
    }
    let heard =
        format!("{:?}", heard.iter().map(|answer| (&answer.headers, answer.text())).collect::<Vec<_>>());
    let log = world.gateway.log().text();
    for secret in [CREDENTIAL, ALICE] {
        assert!(!heard.contains(secret), "a client hears {secret}");
        assert!(!log.contains(secret), "{secret} is in the log");
    }
}

/// Asks until an answer says this: a credential is read again within a second.
async fn until(world: &World, told: &str) -> Answer {
    let asking = async {
        loop {
            let answer = world.ask(&get_leads(ALICE)).await.expect("an answer");
            if answer.text().contains(told) {
                return answer;
            }
        }
    };
    tokio::time::timeout(toolgate_e2e::process::PATIENCE, asking).await.expect("in time")
}

#[tokio::test]
async fn a_rotated_credential_reaches_the_server_without_a_restart() {
    let world = World::start(Answers::Json, RULES).await.expect("a world");
    assert_eq!(world.ask(&get_leads(ALICE)).await.expect("an answer").status, 200);
    world.configuration.credential("Bearer not-any-more").expect("is written");
    let refused = until(&world, "does not accept the gateway's credential").await;
    assert_eq!(refused.status, 502);
    assert_eq!(refused.header("www-authenticate"), None, "a client must not take it for its own");
    world.configuration.credential(&format!("Bearer {CREDENTIAL}")).expect("is written");
    until(&world, "Harbour Bakery").await;
}

#[tokio::test]
async fn a_secret_header_and_a_plain_one_go_with_every_request() {
    let upstream = Upstream::start(|seen: &Seen| {
        let body = if seen.head.starts_with("DELETE") { "" } else { "{}" };
        vec![Step::Send(format!("HTTP/1.1 500 no\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into())]
    })
    .await
    .expect("a server");
    let configuration = Configuration::new(&upstream.url()).expect("files");
    let server = configuration.read("kommo-server.yaml").expect("is read");
    let server = server.replace("    headers:\n", "    headers:\n      - {name: X-Plain, value: seen}\n");
    configuration.write("kommo-server.yaml", &server).expect("is written");
    configuration.policy("kommo-sales", RULES).expect("is written");
    configuration.grant("alice", ALICE, "").expect("is written");
    let (config, credentials) = (configuration.objects(), configuration.credentials());
    let start = Start { config: &config, credentials: Some(&credentials), log: "info", more: &[] };
    let gateway = Gateway::ready(start).await.expect("a gateway");
    let ping = Request::session(ALICE, None, "ping", &json!({}));
    for request in [get_leads(ALICE), Request::modern(ALICE, "tools/list", json!({})), ping] {
        assert_eq!(gateway.ask(&request.with("x-plain", "forged")).await.expect("an answer").status, 502);
    }
    assert_eq!(upstream.seen().len(), 3);
    for seen in upstream.seen() {
        let head = seen.head.to_ascii_lowercase();
        assert_eq!(head.matches("x-plain: seen").count(), 1, "{head}");
        assert_eq!(head.matches(&format!("authorization: bearer {CREDENTIAL}")).count(), 1, "{head}");
        assert!(!head.contains("forged") && !head.contains("accept-encoding"), "{head}");
    }
}
