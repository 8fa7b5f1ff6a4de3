//! The first start: nothing good means alive, not ready, and every call refused.

use serde_json::json;
use toolgate_e2e::kommo::{Answers, StandIn};
use toolgate_e2e::process::{ALICE, Answer, Configuration, Gateway, ProcessError, Request, Start, World};

use super::{RULES, get_leads, started, until_gauge};

async fn written(policy: Option<&str>, server: Option<&str>) -> (StandIn, Configuration) {
    let stand_in = World::stand_in(Answers::Json).await.expect("a stand-in");
    let configuration = Configuration::new(&stand_in.url()).expect("files");
    configuration.grant("alice", ALICE, "").expect("is written");
    if let Some(policy) = policy {
        configuration.write("kommo-sales.yaml", policy).expect("is written");
    }
    if let Some(server) = server {
        configuration.write("kommo-server.yaml", server).expect("is written");
    }
    (stand_in, configuration)
}

#[tokio::test]
async fn with_nothing_good_it_is_alive_not_ready_and_refuses_every_call() {
    let bad_policy = "apiVersion: toolgate.dev/v1alpha1\nkind: ToolPolicy\nmetadata: {name: kommo-sales}\n\
                      spec: {targetRefs: [{kind: McpServer, name: kommo}], default: allow, toolz: {}}\n";
    let bad_server =
        "apiVersion: toolgate.dev/v1alpha1\nkind: McpServer\nmetadata: {name: kommo}\nspec: {}\n";
    let no_yaml = "a: [\n";
    for (what, policy, server, status) in [
        ("no policy", None, None, 200),
        ("a bad policy", Some(bad_policy), None, 200),
        ("a policy that is no YAML", Some(no_yaml), None, 503),
        ("a bad server", None, Some(bad_server), 503),
        ("a server that is no YAML", None, Some(no_yaml), 503),
        ("no server", None, Some("# nothing\n"), 503),
    ] {
        let (stand_in, configuration) = written(policy, server).await;
        let gateway = started(&configuration, &[]).await;
        let ready = gateway.admin().get("/readyz").await.expect("an answer");
        assert_eq!(ready.status, 503, "{what}: {}", ready.text());
        assert_eq!(gateway.admin().get("/livez").await.expect("an answer").status, 200, "{what}");
        let answer = gateway.ask(&get_leads()).await.expect("an answer");
        assert_eq!(answer.status, status, "{what}: {}", answer.text());
        // A JSON-RPC error that does not say of which request leaves clients waiting for one that does.
        assert!(status != 503 || answer.json().is_null(), "{what}: {}", answer.text());
        assert!(status != 200 || answer.verdict().as_deref() == Some("denied"), "{what}: {}", answer.text());
        assert_eq!(stand_in.record().len(), 0, "{what}");

        // Good files make it ready without a restart.
        drop(stand_in);
        recovers(&configuration, &gateway, what).await;
    }
}

async fn recovers(configuration: &Configuration, gateway: &Gateway, what: &str) {
    let stand_in = World::stand_in(Answers::Json).await.expect("a stand-in");
    let good = Configuration::new(&stand_in.url()).expect("files");
    configuration.policy("kommo-sales", RULES).expect("is written");
    let server = good.read("kommo-server.yaml").expect("is read");
    configuration.write("kommo-server.yaml", &server).expect("is written");
    gateway.admin().until_ready().await.expect(what);
    let well = |answer: &Answer| answer.text() == "ok\n";
    gateway.admin().until("/readyz", "the end of all trouble", well).await.expect(what);
    until_gauge(gateway, 0).await;
    assert_eq!(gateway.ask(&get_leads()).await.expect("an answer").verdict(), None, "{what}");
    let metrics = gateway.admin().metrics().await.expect("metrics");
    let counted = metrics.sum("toolgate_tool_calls_total", &[("server", "kommo"), ("verdict", "allowed")]);
    assert!(
        (counted - 1.0).abs() < f64::EPSILON,
        "{what}: it is counted under the server's name: {metrics:?}"
    );
}

#[tokio::test]
async fn a_wrong_command_line_ends_with_one_clear_line() {
    let two = "apiVersion: toolgate.dev/v1alpha1\nkind: McpServer\nmetadata: {name: other}\n\
               spec: {upstream: {url: \"http://127.0.0.1:1/mcp\"}}\n";
    let (_stand_in, configuration) = written(None, None).await;
    configuration.write("other-server.yaml", two).expect("is written");
    let objects = configuration.objects();
    let nowhere = configuration.path().join("nowhere");
    for (config, told) in [
        (&objects, "name one of the servers with --server: kommo, other"),
        (&nowhere, "nowhere: No such file or directory"),
    ] {
        let start = Start { config, credentials: None, log: "info", more: &[] };
        let mut gateway = Gateway::start(start).await.expect("it listens before it reads");
        let status = gateway.ended().await.expect("it ends");
        assert_eq!(status.code(), Some(1));
        assert!(gateway.log().text().contains(told), "{}", gateway.log().text());
    }
    let other = started(&configuration, &["--server", "other"]).await;
    let revision = other.admin().get("/revision").await.expect("an answer");
    assert_eq!(revision.json()["server"]["name"], "other");
    // Its grant opens another server.
    assert_eq!(other.ask(&get_leads()).await.expect("an answer").status, 401);
    let anonymous = Request::modern("", "tools/list", json!({})).without("authorization");
    assert_eq!(other.ask(&anonymous).await.expect("an answer").status, 401);
    let error =
        Gateway::start(Start { config: &objects, credentials: None, log: "info", more: &["--nonsense"] });
    assert!(matches!(error.await, Err(ProcessError::Ended { .. })));
}
