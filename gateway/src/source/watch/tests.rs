//! Bundles by mount and by watch.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use kube::Config;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use toolgate_policy::{Bundle, Candidate, Form, Inputs, Packed, render};

use super::*;
use crate::credentials::Credentials;
use crate::destinations::Destinations;
use crate::metrics::Metrics;
use crate::session::Seal;
use crate::upstream;

fn gateway() -> Arc<Gateway> {
    let (metrics, credentials) = (Metrics::new("crm").unwrap(), Credentials::new(None));
    let (seal, client) = (Seal::new().unwrap(), upstream::Client::new(Destinations::ANY).unwrap());
    Arc::new(Gateway::new(metrics, credentials, seal, client, Vec::new()))
}

#[tokio::test]
async fn an_api_server_that_hangs_keeps_no_gateway_from_being_ready() {
    let _already = rustls::crypto::ring::default_provider().install_default();
    // Connections are accepted by the system, and nobody ever answers.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    let client = Client::try_from(Config::new(url)).unwrap();
    let (gateway, followed) = (gateway(), Followed::parse("sales/crm-toolgate").unwrap());
    let waiting = gateway.readiness().unwrap_err();
    tokio::spawn(follow_by(client, gateway.clone(), followed, Duration::from_millis(1)));
    while gateway.readiness().unwrap_err() == waiting {
        tokio::task::yield_now().await;
    }
    assert_eq!(gateway.readiness(), Err("nothing was ever in force"));
}

/// An API server: what it answers at each path, and nothing else. A watch gets no event.
#[derive(Clone, Default)]
struct Fake(Arc<Mutex<BTreeMap<String, Value>>>);

impl Fake {
    fn put(&self, path: &str, object: Value) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(path.to_owned(), object);
    }

    async fn start(&self) -> Client {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        let fake = self.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(fake.clone().serve(stream));
            }
        });
        Client::try_from(Config::new(url)).unwrap()
    }

    async fn serve(self, mut stream: TcpStream) {
        let mut head = Vec::new();
        while let Ok(byte) = stream.read_u8().await {
            head.push(byte);
            if !head.ends_with(b"\r\n\r\n") {
                continue;
            }
            let text = String::from_utf8(std::mem::take(&mut head)).unwrap();
            let target = text.split(' ').nth(1).unwrap().to_owned();
            if target.contains("watch=true") {
                std::future::pending::<()>().await;
            }
            let path = target.split('?').next().unwrap();
            let found = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(path).cloned();
            let missing = json!({"kind": "Status", "status": "Failure", "code": 404, "reason": "NotFound", "message": "none"});
            let (code, body) = found.map_or((404, missing), |found| (200, found));
            let body = body.to_string();
            let answer = format!(
                "HTTP/1.1 {code} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            );
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    }
}

const FOLDER: &str = "/api/v1/namespaces/sales/configmaps";

fn object(kind: &str, name: &str, spec: &Value) -> Value {
    let metadata =
        json!({"namespace": "sales", "name": name, "uid": format!("uid-of-{name}"), "generation": 1});
    json!({"apiVersion": "toolgate.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec})
}

/// A bundle with so many tools, of which nobody can compress the reasons much.
fn rendered(tools: usize) -> Bundle {
    let server =
        Candidate::server(&object("McpServer", "crm", &json!({"upstream": {"url": "http://crm:1/mcp"}})));
    let mut state = 1_u64;
    let mut reason = || -> String {
        let letters = (0..1000).map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            char::from(b'a' + u8::try_from(state >> 33 & 15).unwrap())
        });
        letters.collect()
    };
    let entries: Vec<(String, Value)> =
        (0..tools).map(|index| (format!("t{index}"), json!({"reason": reason()}))).collect();
    let policies: Vec<_> = entries
        .chunks(900)
        .enumerate()
        .map(|(number, chunk)| {
            let tools: serde_json::Map<String, Value> = chunk.iter().cloned().collect();
            let targets = json!([{"kind": "McpServer", "name": "crm"}]);
            Candidate::policy(&object(
                "ToolPolicy",
                &format!("p{number}"),
                &json!({"targetRefs": targets, "tools": tools}),
            ))
        })
        .collect();
    let inputs =
        Inputs { server: &server, policies: &policies, grants: &[], previous: None, revision_floor: 0 };
    render(&inputs).bundle.unwrap()
}

fn config_map(name: &str, data: &Value, binary: &Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "sales", "resourceVersion": "1"},
        "data": data, "binaryData": binary,
    })
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

async fn until(gateway: &Gateway, wanted: impl Fn(&Gateway) -> bool) {
    while !wanted(gateway) {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test]
async fn a_bundle_in_parts_is_in_force_once_all_of_them_are_there() {
    let _already = rustls::crypto::ring::default_provider().install_default();
    let bundle = rendered(3000);
    let Form::Shards(head, shards) = Packed::of(&bundle).unwrap().form else { unreachable!() };
    assert_eq!(shards.len(), 2);
    let (fake, gateway) = (Fake::default(), gateway());
    let committed = config_map("crm-toolgate", &json!({HEAD_KEY: head.to_json()}), &Value::Null);
    fake.put(
        FOLDER,
        json!({"kind": "ConfigMapList", "metadata": {"resourceVersion": "1"}, "items": [committed]}),
    );
    let part = |number: usize, bytes: &[u8]| {
        let place = head.places().nth(number).unwrap();
        let name = place.config_map("crm-toolgate");
        let data = json!({place.to_string(): base64(bytes)});
        fake.put(&format!("{FOLDER}/{name}"), config_map(&name, &Value::Null, &data));
    };
    part(0, &shards[0]);
    let followed = Followed::parse("sales/crm-toolgate").unwrap();
    tokio::spawn(follow_by(fake.start().await, gateway.clone(), followed, ANSWER_WAIT));
    until(&gateway, |gateway| gateway.holder.trouble().iter().any(|trouble| trouble.contains("odd-1"))).await;
    assert!(gateway.holder.current().is_none(), "half of it is nothing");
    part(1, &shards[0]);
    until(&gateway, |gateway| gateway.holder.trouble().iter().any(|trouble| !trouble.contains("odd-1")))
        .await;
    assert!(gateway.holder.current().is_none(), "a part of something else is nothing either");
    part(1, &shards[1]);
    until(&gateway, |gateway| gateway.holder.current().is_some()).await;
    assert_eq!(gateway.holder.current().unwrap().hash, bundle.hash());
    assert_eq!(gateway.holder.trouble(), [""; 0]);
}

#[test]
fn a_mount_is_read_in_whichever_form_it_is() {
    let folder = std::env::temp_dir().join(format!("toolgate-mount-{}", std::process::id()));
    let path = folder.join(BUNDLE_KEY);
    for tools in [1, 1500, 3000] {
        let _left = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        assert!(bundle::read(&path).unwrap_err().to_string().contains("bundle.json: "), "nothing is there");
        let bundle = rendered(tools);
        let write = |name: &str, bytes: &[u8]| std::fs::write(folder.join(name), bytes).unwrap();
        match Packed::of(&bundle).unwrap().form {
            Form::Text(text) => write(BUNDLE_KEY, text.as_bytes()),
            Form::Gzip(bytes) => write(GZIP_KEY, &bytes),
            Form::Shards(head, shards) => {
                write(HEAD_KEY, head.to_json().as_bytes());
                write("odd-0", &shards[0]);
                assert!(
                    bundle::read(&path).unwrap_err().to_string().contains("unreadable bundle"),
                    "half of it is there"
                );
                write("odd-1", &shards[1]);
            }
        }
        assert_eq!(bundle::read(&path).unwrap(), bundle, "{tools}");
    }
    std::fs::remove_dir_all(&folder).unwrap();
}
