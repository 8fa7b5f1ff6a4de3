//! Whether the server can be reached, as a gateway tells the operator: by what calls saw, else by a look of its own, of which
//! not one byte is a request.

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use toolgate_e2e::process::{ALICE, Answer, Configuration, Gateway, Request, Start, Upstream};

const RULES: &str = "default: deny\ntools: {get_leads: {}}";
const OK: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}";
const UNAUTHORIZED: &str = "HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n";

async fn before(url: &str, more: &[&str]) -> (Configuration, Gateway) {
    let configuration = Configuration::new(url).expect("files");
    configuration.policy("kommo-sales", RULES).expect("is written");
    configuration.grant("alice", ALICE, "").expect("is written");
    let gateway = started(&configuration, more).await;
    (configuration, gateway)
}

async fn started(configuration: &Configuration, more: &[&str]) -> Gateway {
    let (config, credentials) = (configuration.objects(), configuration.credentials());
    let start = Start { config: &config, credentials: Some(&credentials), log: "info", more };
    Gateway::ready(start).await.expect("a gateway")
}

async fn until(gateway: &Gateway, reason: &str) -> Value {
    let told = |answer: &Answer| answer.json()["upstream"]["reason"] == reason;
    let answer = gateway.admin().until("/revision", reason, told).await.expect(reason);
    answer.json()["upstream"].clone()
}

/// A port at which nobody listens.
async fn free_port() -> std::net::SocketAddr {
    let free = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    free.local_addr().expect("an address")
}

#[tokio::test]
async fn a_server_is_seen_to_come_and_go_without_a_call() {
    let address = free_port().await;
    let (_configuration, gateway) = before(&format!("http://{address}/mcp"), &["--reach-seconds", "1"]).await;
    let away = until(&gateway, "ConnectionRefused").await;
    let message = "the server refuses connections";
    assert_eq!(away, json!({"reachable": false, "reason": "ConnectionRefused", "message": message}));
    let ready = gateway.admin().get("/readyz").await.expect("an answer");
    assert_eq!(
        (ready.status, ready.text().as_str()),
        (200, "ok\nupstream: the server refuses connections\n")
    );
    let upstream = TcpListener::bind(address).await.expect("the port is still free");
    assert_eq!(until(&gateway, "Reachable").await["reachable"], true);
    drop(upstream);
    until(&gateway, "ConnectionRefused").await;
}

#[tokio::test]
async fn a_look_is_no_request() {
    let upstream = Upstream::answering(OK).await.expect("a server");
    let (_configuration, gateway) = before(&upstream.url(), &["--reach-seconds", "1"]).await;
    until(&gateway, "Reachable").await;
    assert_eq!(upstream.seen(), []);
}

#[tokio::test]
async fn why_it_cannot_be_reached_is_said_in_one_word() {
    let plain = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let with_tls = format!("https://{}/mcp", plain.local_addr().expect("an address"));
    // Whoever says hello by TLS hears something else.
    let _answering = tokio::spawn(async move {
        while let Ok((mut stream, _)) = plain.accept().await {
            let _gone = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        }
    });
    for (url, reason) in [
        ("http://nobody-has-this-name.invalid/mcp", "NameNotFound"),
        ("http://169.254.169.254/latest/meta-data", "AddressRefused"),
        (with_tls.as_str(), "TlsFailed"),
    ] {
        let (_configuration, gateway) = before(url, &["--reach-seconds", "1"]).await;
        assert_eq!(until(&gateway, reason).await["reachable"], false);
    }
}

#[tokio::test]
async fn a_credential_that_cannot_be_read_is_named() {
    let upstream = Upstream::answering(OK).await.expect("a server");
    let configuration = Configuration::new(&upstream.url()).expect("files");
    configuration.policy("kommo-sales", RULES).expect("is written");
    let nothing = configuration.path().join("nothing");
    let config = configuration.objects();
    let start =
        Start { config: &config, credentials: Some(&nothing), log: "info", more: &["--reach-seconds", "1"] };
    let gateway = Gateway::ready(start).await.expect("a gateway");
    let told = until(&gateway, "CredentialMissing").await;
    let message = told["message"].as_str().expect("a message");
    assert!(message.contains(" of the Secret kommo-mcp cannot be read: "), "{message}");
}

#[tokio::test]
async fn what_calls_see_is_known_without_a_look() {
    let upstream = Upstream::answering(UNAUTHORIZED).await.expect("a server");
    let (_configuration, gateway) = before(&upstream.url(), &[]).await;
    let unknown = until(&gateway, "Unknown").await;
    assert_eq!(unknown["reachable"], Value::Null, "nobody looks");
    let call = Request::modern_call(ALICE, "get_leads", &json!({}));
    for expected in ["Reachable", "Reachable", "CredentialRefused"] {
        assert_eq!(gateway.ask(&call).await.expect("an answer").status, 502);
        until(&gateway, expected).await;
    }
}

#[tokio::test]
async fn the_tools_that_the_server_lists_are_counted_over_its_pages() {
    let upstream = Upstream::start(|seen| {
        let request: Value = serde_json::from_str(&seen.body).expect("a message");
        let page = |names: &[&str], next: Option<&str>| {
            let tools: Vec<Value> =
                names.iter().map(|name| json!({"name": name, "inputSchema": {"type": "object"}})).collect();
            let mut result =
                json!({"tools": tools, "resultType": "complete", "ttlMs": 0, "cacheScope": "private"});
            if let Some(next) = next {
                result["nextCursor"] = json!(next);
            }
            let body = json!({"jsonrpc": "2.0", "id": request["id"], "result": result}).to_string();
            let length = body.len();
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
            );
            vec![toolgate_e2e::process::Step::Send((head + &body).into_bytes())]
        };
        match request["params"]["cursor"].as_str() {
            None => page(&["get_leads", "stop_all"], Some("second")),
            Some(_) => page(&["hidden"], None),
        }
    })
    .await
    .expect("a server");
    let (_configuration, gateway) = before(&upstream.url(), &[]).await;
    let tools =
        || async { gateway.admin().get("/revision").await.expect("an answer").json()["tools"].clone() };
    assert_eq!(tools().await, Value::Null);
    let list = async |params: Value| {
        gateway.ask(&Request::modern(ALICE, "tools/list", params)).await.expect("an answer")
    };
    let first = list(json!({})).await;
    assert_eq!(first.json()["result"]["nextCursor"], "second");
    assert_eq!(tools().await, Value::Null, "there is more");
    list(json!({"cursor": "second"})).await;
    assert_eq!(tools().await["count"], 3, "what no caller may see is there all the same");
}
