//! What is decided before any JSON is read, and the record of it all.

use hyper::Method;
use serde_json::json;
use toolgate_e2e::kommo::{self, Answers, Config, Counts, Entry, Eras, MAX_BODY_BYTES};

use crate::raw::{MODERN, modern, modern_body, post, send, started};

#[tokio::test]
async fn the_record_is_read_counted_and_emptied_over_http() {
    let stand_in = started(Eras::Both, Answers::Json).await;
    let get = async |path: &str| send(&stand_in, Method::GET, path, &[], "").await;
    assert_eq!(get("/health").await.status, 200);
    let call = json!({"name": "get_account", "arguments": {}});
    modern(&stand_in, "tools/call", call.clone()).await;
    post(&stand_in, &[("X-Twice", "1"), ("x-twice", "2")], "not json").await;
    get("/elsewhere?q=1").await;

    let entries: Vec<Entry> = serde_json::from_str(&get("/record").await.text).expect("entries");
    assert_eq!(entries, stand_in.record());
    let [first, second, third] = entries.as_slice() else { panic!("{entries:?}") };
    assert_eq!((first.sequence, first.method.as_str(), first.path.as_str()), (1, "POST", "/mcp"));
    assert_eq!(
        (first.rpc_method.as_deref(), first.tool.as_deref()),
        (Some("tools/call"), Some("get_account"))
    );
    assert_eq!(first.body, modern_body("tools/call", call));
    assert_eq!(first.headers["mcp-name"], "get_account");
    assert!(first.at_ms <= second.at_ms && first.at_ms > 1_700_000_000_000);
    assert_eq!((second.body.as_str(), second.rpc_method.as_deref()), ("not json", None));
    assert_eq!(second.headers["x-twice"], "1, 2");
    assert_eq!((third.method.as_str(), third.path.as_str()), ("GET", "/elsewhere?q=1"));

    let counts: Counts = serde_json::from_str(&get("/record/counts").await.text).expect("counts");
    let by_tool = [("get_account".to_owned(), 1)].into();
    assert_eq!(counts, Counts { total: 3, by_tool, dropped: 0 });
    assert_eq!(send(&stand_in, Method::DELETE, "/record", &[], "").await.status, 200);
    assert_eq!(get("/record").await.json(), json!([]));
    assert_eq!(get("/record/counts").await.json(), json!({"total": 0, "by_tool": {}, "dropped": 0}));
}

#[tokio::test]
async fn a_credential_is_demanded_where_a_token_is_set() {
    let config = Config { auth_token: Some("secret".to_owned()), ..Config::loopback() };
    let stand_in = kommo::start(config).await.expect("a stand-in");
    let body = modern_body("tools/list", json!({}));
    let with = async |name: &str, value: &str| {
        let headers = [("mcp-protocol-version", MODERN), ("mcp-method", "tools/list"), (name, value)];
        post(&stand_in, &headers, &body).await
    };
    for (name, value) in [
        ("x-other", "secret"),
        ("authorization", "Bearer wrong"),
        ("authorization", "secret"),
        ("x-api-key", ""),
    ] {
        assert_eq!(with(name, value).await.refusal(), (401, -32001), "{name}: {value}");
    }
    assert_eq!(with("authorization", "Bearer secret").await.status, 200);
    assert_eq!(with("x-api-key", "secret").await.status, 200);
    assert_eq!(stand_in.counts().total, 6, "refused requests are on record");
}

#[tokio::test]
async fn pages_of_foreign_origins_are_refused() {
    let stand_in = started(Eras::Both, Answers::Json).await;
    let body = modern_body("tools/list", json!({}));
    for (origin, status) in [("https://example.com", 403), ("http://localhost:8080", 200)] {
        let headers = [("mcp-protocol-version", MODERN), ("mcp-method", "tools/list"), ("origin", origin)];
        assert_eq!(post(&stand_in, &headers, &body).await.status, status, "{origin}");
    }
}

#[tokio::test]
async fn a_body_at_the_bound_is_read_and_one_byte_more_is_refused() {
    let stand_in = started(Eras::Both, Answers::Json).await;
    let body = modern_body("tools/list", json!({}));
    let headers = [("mcp-protocol-version", MODERN), ("mcp-method", "tools/list")];
    let padded = |length: usize| body.clone() + &" ".repeat(length - body.len());
    assert_eq!(post(&stand_in, &headers, &padded(MAX_BODY_BYTES)).await.status, 200);
    assert_eq!(post(&stand_in, &headers, &padded(MAX_BODY_BYTES + 1)).await.status, 413);
    assert_eq!(stand_in.counts().total, 2);
}
