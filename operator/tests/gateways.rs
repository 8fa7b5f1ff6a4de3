//! Asking gateways, over loopback.

#![allow(clippy::unwrap_used, reason = "helpers of tests only")]

use std::net::IpAddr;

use k8s_openapi::api::core::v1::Pod;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use toolgate_operator::gateways::{
    ANSWER_BYTES_MAX, Answer, Enforced, EnforcedServer, Gateways, ReadyPod, SharedCounters, Standing,
};

const LOOPBACK: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

/// A gateway that answers every request with these bytes. None: it takes connections and is silent.
async fn gateway(answer: Option<Vec<u8>>) -> u16 {
    let listener = TcpListener::bind((LOOPBACK, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let mut silent = Vec::new();
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            match answer.clone() {
                Some(answer) => {
                    tokio::spawn(async move {
                        let mut request = [0; 1024];
                        let _ = stream.read(&mut request).await;
                        let _ = stream.write_all(&answer).await;
                    });
                }
                None => silent.push(stream),
            }
        }
    });
    port
}

fn http(status: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}").into_bytes()
}

async fn ask(port: u16) -> Result<Enforced, String> {
    let pod = ReadyPod { name: "pod-0".to_owned(), address: LOOPBACK };
    let mut answers = Gateways::at_port(port).ask(&[pod]).await;
    let Answer { pod, enforced } = answers.remove(0);
    assert_eq!(pod, "pod-0");
    enforced
}

fn body(padding: usize) -> String {
    let enforced = json!({
        "server": {"uid": "uid-of-crm"},
        "revision": 7,
        "hash": "ab",
        "policies": [{"name": "narrow", "uid": "u", "generation": 1}],
        "grants": [],
        "padding": "x".repeat(padding),
    });
    enforced.to_string()
}

#[tokio::test]
async fn a_gateway_says_what_it_enforces() {
    let enforced = ask(gateway(Some(http("200 OK", &body(0)))).await).await;
    let server = EnforcedServer { uid: "uid-of-crm".to_owned() };
    let (revision, hash, refused) = (7, "ab".to_owned(), Vec::new());
    let expected = Enforced { server, revision, hash, counters: None, upstream: None, tools: None, refused };
    assert_eq!(enforced, Ok(expected));
}

#[test]
fn how_a_server_stands_is_read_also_of_a_gateway_that_is_older_or_newer() {
    let read = |upstream: serde_json::Value| {
        let answer = json!({"server": {"uid": "u"}, "revision": 7, "hash": "ab", "upstream": upstream});
        let enforced: Enforced = serde_json::from_value(answer).unwrap();
        let upstream = enforced.upstream.unwrap();
        (upstream.reachable, upstream.reason)
    };
    let away = |reason: &str| read(json!({"reachable": false, "reason": reason, "message": "m"}));
    for standing in [Standing::CredentialMissing, Standing::NameNotFound, Standing::TlsFailed] {
        assert_eq!(away(standing.as_str()), (Some(false), standing));
    }
    assert_eq!(away("EatenByADog"), (Some(false), Standing::Unreachable));
    let unknown = json!({"reachable": null, "reason": "Unknown", "message": "m"});
    assert_eq!(read(unknown), (None, Standing::Unknown));
}

#[test]
fn a_store_that_is_not_known_yet_is_neither_up_nor_away() {
    let read = |counters: serde_json::Value| {
        let answer = json!({"server": {"uid": "u"}, "revision": 7, "hash": "ab", "counters": counters});
        serde_json::from_value::<Enforced>(answer).map(|enforced| enforced.counters)
    };
    for up in [Some(true), Some(false), None] {
        let shared = SharedCounters { up, message: "so".to_owned() };
        assert_eq!(read(json!({"up": up, "message": "so"})).unwrap(), Some(shared));
    }
    assert_eq!(read(json!(null)).unwrap(), None);
    assert!(read(json!({"up": "yes", "message": "so"})).is_err());
}

#[tokio::test]
async fn whatever_else_it_says_is_no_answer() {
    let cases = [
        (Some(http("503 Service Unavailable", "{}")), "answers 503"),
        (Some(http("200 OK", "{}")), "gives an unreadable answer"),
        (Some(b"SSH-2.0-x\r\n".to_vec()), "cannot be reached"),
        (None, "does not answer"),
    ];
    for (answer, expected) in cases {
        assert_eq!(ask(gateway(answer).await).await, Err(expected.to_owned()));
    }
    let port = TcpListener::bind((LOOPBACK, 0)).await.unwrap().local_addr().unwrap().port();
    assert_eq!(ask(port).await, Err("cannot be reached".to_owned()));
}

#[tokio::test]
async fn the_longest_answer_is_read_and_one_byte_more_is_not() {
    let padding = ANSWER_BYTES_MAX - body(0).len();
    assert!(ask(gateway(Some(http("200 OK", &body(padding)))).await).await.is_ok());
    let longer = ask(gateway(Some(http("200 OK", &body(padding + 1)))).await).await;
    assert_eq!(longer, Err("gives no whole answer".to_owned()));
}

#[test]
fn only_pods_that_are_ready_and_not_terminating_count() {
    let pod = |ready: &str, address: Option<&str>, deleted: Option<&str>| -> Pod {
        let pod = json!({
            "metadata": {"name": "pod-0", "deletionTimestamp": deleted},
            "status": {"podIP": address, "conditions": [{"type": "Ready", "status": ready}]},
        });
        serde_json::from_value(pod).unwrap()
    };
    let ready = ReadyPod { name: "pod-0".to_owned(), address: [10, 0, 0, 1].into() };
    assert_eq!(ReadyPod::of(&pod("True", Some("10.0.0.1"), None)), Some(ready));
    assert_eq!(ReadyPod::of(&pod("False", Some("10.0.0.1"), None)), None);
    assert_eq!(ReadyPod::of(&pod("True", None, None)), None);
    assert_eq!(ReadyPod::of(&pod("True", Some("10.0.0.1"), Some("2026-01-01T00:00:00Z"))), None);
    assert_eq!(ReadyPod::of(&Pod::default()), None);
}
