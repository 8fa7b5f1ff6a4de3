//! `toolgate explain`: what would be decided, and what is in force.

use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::run::{Folder, Run};

const OBJECTS: &str = "\
apiVersion: toolgate.dev/v1alpha1
kind: McpServer
metadata: {name: kommo}
spec: {upstream: {url: 'http://kommo-mcp:3001/mcp'}}
---
apiVersion: toolgate.dev/v1alpha1
kind: ToolPolicy
metadata: {name: kommo-sales}
spec:
  targetRefs: [{kind: McpServer, name: kommo}]
  tools:
    get_leads: {}
    move_lead:
      require: [{path: args.lead_id, op: gt, value: 0}]
      limits: [{counter: move_lead_rate, window: minute, max: 30, scope: grant}]
    update_lead: {action: deny, reason: not this one}
  resources: {'kommo://reports/*': {action: allow}}
  prompts: {summary: {action: approve}}
  hide: ['stop_*']
---
apiVersion: toolgate.dev/v1alpha1
kind: ToolPolicy
metadata: {name: trial}
spec:
  targetRefs: [{kind: McpServer, name: kommo}]
  mode: audit
  default: allow
  tools: {get_leads: {action: deny}}
---
apiVersion: toolgate.dev/v1alpha1
kind: ToolGrant
metadata: {name: sales-agent}
spec:
  servers: [{name: kommo}]
  subject: {type: Token, token: {sha256: '7709620e23c09893a0489cacd0125ca163b9bc99b373059b21f1c5de5b95b80a'}}
";

/// The same, as an operator puts it into a ConfigMap.
fn bundle() -> Value {
    let parts: Vec<Value> = toolgate_crds::yaml::documents(OBJECTS)
        .expect("YAML")
        .into_iter()
        .map(|document| json!({"name": document.value["metadata"]["name"], "uid": "u", "generation": 1, "revision": 1, "spec": document.value["spec"]}))
        .collect();
    json!({
        "revision": 12,
        "server": {"namespace": "sales", "name": "kommo", "uid": "u", "generation": 1, "spec": parts[0]["spec"]},
        "policies": [parts[1], parts[2]],
        "grants": [parts[3]],
    })
}

fn explain(arguments: &[&str]) -> Run {
    let folder = Folder::new();
    folder.write("a.yaml", OBJECTS);
    folder.run(&[&["explain", "a.yaml"], arguments].concat())
}

#[test]
fn a_call_is_explained_for_people() {
    let run = explain(&["--grant", "sales-agent", "--tool", "move_lead", "--arguments", "{\"lead_id\": 7}"]);
    assert_eq!((run.status, run.stderr.as_str()), (0, ""));
    assert_eq!(
        run.stdout,
        "\
ALLOWED

tool move_lead for sales-agent at default/kommo

kommo-sales says: allowed
  tools/move_lead: allow
  tools/move_lead/require/0: true, admits
    args.lead_id gt 0: true
  tools/move_lead/limits/move_lead_rate: costs 1 of 30 per minute, for this grant

trial only watches; it would say: allowed

charged, if nothing was counted before:
  kommo-sales/tools/move_lead/limits/move_lead_rate: costs 1 of 30 per minute, for this grant
"
    );
    let run = explain(&["--grant", "sales-agent", "--tool", "move_lead"]);
    assert!(
        run.stdout.starts_with("DENIED by kommo-sales/tools/move_lead/require/0\n\"needs args.lead_id gt 0")
    );
}

#[test]
fn a_call_is_explained_for_programs() {
    let run = explain(&["--grant", "sales-agent", "--tool", "get_leads", "-o", "json"]);
    let told = run.json();
    assert_eq!(
        (&told["verdict"], &told["grant"], &told["tool"]),
        (&json!({"outcome": "allowed"}), &json!("sales-agent"), &json!("get_leads"))
    );
    assert_eq!(told["policies"][1]["verdict"]["rule"], "trial/tools/get_leads/action");
    for (what, outcome) in [
        (["--resource", "kommo://reports/7"], "allowed"),
        (["--resource", "kommo://account"], "unlisted"),
        (["--prompt", "summary"], "held"),
        (["--tool", "stop_salesbot"], "hidden"),
    ] {
        let run = explain(&[&["--grant", "sales-agent", "-o", "json"], &what[..]].concat());
        assert_eq!(run.json()["verdict"]["outcome"], outcome, "{what:?}");
    }
}

#[test]
fn what_is_in_force_is_one_view() {
    let run = explain(&[]);
    assert_eq!((run.status, run.stderr.as_str()), (0, ""));
    assert_eq!(
        run.stdout,
        "\
grant sales-agent at default/kommo
  kommo-sales enforces, default deny
    hides stop_*
    resources/kommo://reports/*: allow
  trial only watches, default allow
  tools:
    get_leads: listed, allowed
    move_lead: listed, allowed
      kommo-sales/tools/move_lead/require/0: args.lead_id gt 0
      kommo-sales/tools/move_lead/limits/move_lead_rate: costs 1 of 30 per minute, for this grant
    update_lead: listed, denied by kommo-sales/tools/update_lead/action: not this one
  prompts:
    summary: listed, held by kommo-sales/prompts/summary/action: summary needs the approval of a person (approvals are not available here yet)
  everything else: unlisted, unless a glob of every policy lists it
"
    );
    assert_eq!(explain(&["-o", "json"]).json()["grants"][0]["tools"][2]["verdict"]["outcome"], "denied");
}

fn gzip(text: &str) -> String {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    STANDARD.encode(encoder.finish().unwrap())
}

#[test]
fn a_bundle_says_the_same_as_the_files_it_came_from() {
    let folder = Folder::new();
    let text = bundle().to_string();
    let config_map = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "kommo-toolgate", "namespace": "sales"},
        "data": {"bundle.json": text},
    });
    let yaml = format!(
        "apiVersion: v1\ndata:\n  bundle.json: '{}'\nkind: ConfigMap\nmetadata:\n  name: kommo-toolgate\n",
        text.replace('\'', "''")
    );
    let call = ["explain", "-", "--grant", "sales-agent", "--tool", "update_lead", "-o", "json"];
    let compressed =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "binaryData": {"bundle.json.gz": gzip(&text)}});
    let digest = Sha256::digest(text.as_bytes());
    let digest: Vec<String> = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let head = json!({"hash": digest.concat(), "half": "odd", "shards": 1}).to_string();
    let parts = json!({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "v1", "kind": "ConfigMap", "data": {"bundle.shards.json": head}},
        {"apiVersion": "v1", "kind": "ConfigMap", "binaryData": {"odd-0": gzip(&text)}},
    ]});
    for input in [text.clone(), config_map.to_string(), yaml, compressed.to_string(), parts.to_string()] {
        let told = folder.pipe(&call, &input).json();
        assert_eq!((&told["revision"], &told["namespace"]), (&json!(12), &json!("sales")));
        assert_eq!(told["verdict"]["rule"], "kommo-sales/tools/update_lead/action");
    }
    let broken = folder.pipe(&call, &text.replace("\"generation\"", "\"generatoin\""));
    assert_eq!(broken.status, 2, "{broken:?}");
    assert!(broken.stderr.starts_with("error: stdin: unreadable bundle: "), "{broken:?}");
    let other = folder.pipe(&["explain", "-", "--server", "other"], &text);
    assert_eq!(
        other.stderr,
        "error: no McpServer in what was read is the one that was named; there are: sales/kommo\n"
    );
}

#[test]
fn an_expectation_that_is_not_met_is_status_1() {
    let call = ["--grant", "sales-agent", "--tool", "update_lead", "--expect"];
    assert_eq!(explain(&[&call[..], &["denied"]].concat()).status, 0);
    let unmet = explain(&[&call[..], &["allowed"]].concat());
    assert_eq!((unmet.status, unmet.stderr.as_str()), (1, "error: expected allowed, and it is denied\n"));
    assert_eq!(explain(&[&call[..], &["no"]].concat()).status, 2);
}

#[test]
fn what_cannot_be_explained_is_status_2_and_says_why() {
    for (arguments, told) in [
        (
            vec!["--grant", "nobody"],
            "error: there is no grant nobody that opens kommo; there are: sales-agent\n",
        ),
        (
            vec!["--grant", "sales-agent", "--tool", "t", "--arguments", "[]"],
            "error: --arguments must be a JSON object\n",
        ),
        (
            vec!["--server", "other"],
            "error: no McpServer in what was read is the one that was named; there are: default/kommo\n",
        ),
    ] {
        let run = explain(&arguments);
        assert_eq!((run.status, run.stderr.as_str()), (2, told), "{arguments:?}");
    }
    let twice = explain(&["--grant", "sales-agent", "--tool", "t", "--arguments", "{\"a\":1,\"a\":2}"]);
    assert!(
        twice.stderr.starts_with("error: --arguments is no JSON that a gateway would read: "),
        "{twice:?}"
    );
    for wrong in [
        vec!["--tool", "t"],
        vec!["--grant", "sales-agent", "--tool", "t", "--prompt", "p"],
        vec!["--arguments", "{}"],
    ] {
        assert_eq!(explain(&wrong).status, 2, "{wrong:?}");
    }
    let folder = Folder::new();
    assert_eq!(folder.pipe(&["explain", "-"], "").stderr, "error: there is no McpServer in what was read\n");
    assert_eq!(folder.run(&["explain", "missing.yaml"]).status, 2);
}

#[test]
fn faults_are_told_and_leave_in_force_what_they_leave_in_force_at_a_gateway() {
    let folder = Folder::new();
    folder.write("a.yaml", OBJECTS.replace("hide:", "hdie:"));
    let run =
        folder.run(&["explain", "a.yaml", "--grant", "sales-agent", "--tool", "get_leads", "-o", "json"]);
    assert_eq!(run.status, 0);
    assert!(run.lines()[0].contains("spec.hdie: unknown field"), "{run:?}");
    assert_eq!(run.json()["verdict"]["rule"], "kommo-sales/(not valid)");
}
