//! Bad edits: the last good version stays in force, and everybody hears why.

use serde_json::{Value, json};
use toolgate_e2e::process::{ALICE, Request};

use super::{RULES, get_leads, revision, until_gauge, until_refused, until_revision, world};

const HEAD: &str = "\
apiVersion: toolgate.dev/v1alpha1
kind: ToolPolicy
metadata: {name: kommo-sales}
spec:
  targetRefs: [{kind: McpServer, name: kommo}]
  default: allow
";

/// What is written below the head, and what is said of it: line, path and fault.
const BAD: [(&str, &str, &str); 8] = [
    ("an unknown key", "  toolz: {}\n", ":7: ToolPolicy/kommo-sales: spec.toolz: unknown field"),
    (
        "a duplicate key",
        "  tools:\n    get_lead: {}\n    get_lead: {action: deny}\n",
        ":9: ToolPolicy/kommo-sales: spec.tools.get_lead: duplicate key on line 9; first on line 8",
    ),
    (
        "a null",
        "  tools:\n    get_lead:\n",
        ":8: ToolPolicy/kommo-sales: spec.tools.get_lead: must not be null",
    ),
    (
        "a condition without a value",
        "  tools:\n    get_lead: {require: [{path: args.id, op: eq}]}\n",
        ":8: ToolPolicy/kommo-sales: spec.tools.get_lead.require[0]",
    ),
    (
        "a call that could never be admitted",
        "  tools:\n    get_lead: {limits: [{counter: c, window: minute, max: 1, scope: grant, cost: 2}]}\n",
        ":8: ToolPolicy/kommo-sales: spec.tools.get_lead.limits[0].cost: 2 is above max 1",
    ),
    ("a name that no tool has", "  hide: [\"get lead\"]\n", ":7: ToolPolicy/kommo-sales: spec.hide[0]: "),
    ("both spellings", "  allTools: {}\n  all_tools: {}\n", ": ToolPolicy/kommo-sales: spec."),
    ("no YAML", "  tools: {get_lead: [\n", "kommo-sales.yaml: invalid YAML: "),
];

#[tokio::test]
async fn a_bad_edit_keeps_the_last_good_one_and_is_told_with_file_line_and_path() {
    let world = world().await;
    for (what, rules, told) in BAD {
        let (before, logged) = (revision(&world.gateway).await, world.gateway.log().lines().len());
        world.configuration.write("kommo-sales.yaml", &format!("{HEAD}{rules}")).expect("is written");
        let said = until_refused(&world.gateway, told).await;
        assert!(said.starts_with("ok\n"), "{what}: it is ready and says what is wrong: {said}");
        let line = world.gateway.log().message(logged, told).await.expect("a log line");
        assert_eq!(line["level"], "ERROR", "{what}");
        assert!(line["message"].as_str().expect("a text").contains("kommo-sales.yaml"), "{what}: {line}");
        until_gauge(&world.gateway, 1).await;
        assert_eq!(revision(&world.gateway).await, before, "{what}");
        // The default of every bad edit would allow it.
        let unlisted = Request::modern_call(ALICE, "get_account", &json!({}));
        assert_eq!(world.ask(&unlisted).await.expect("an answer").error_code(), Some(-32602), "{what}");
        assert_eq!(world.ask(&get_leads()).await.expect("an answer").verdict(), None, "{what}");
    }
    world.configuration.policy("kommo-sales", RULES).expect("is written");
    let well = |answer: &toolgate_e2e::process::Answer| answer.text() == "ok\n";
    world.gateway.admin().until("/readyz", "the end of all trouble", well).await.expect("all is well");
    until_gauge(&world.gateway, 0).await;
    assert_eq!(world.reached(), vec!["get_leads"; BAD.len()]);
}

#[tokio::test]
async fn a_bad_grant_opens_nothing_and_disturbs_nobody() {
    let world = world().await;
    let before = revision(&world.gateway).await;
    world.configuration.grant("alice", ALICE, "suspendid: true").expect("is written");
    until_revision(&world.gateway, &before).await;
    until_refused(&world.gateway, "spec.suspendid: unknown field; did you mean suspended?").await;
    assert_eq!(world.ask(&get_leads()).await.expect("an answer").status, 401);
    let other = Request::modern_call(toolgate_e2e::process::BOB, "get_leads", &json!({}));
    assert_eq!(world.ask(&other).await.expect("an answer").verdict(), None);
}

#[tokio::test]
async fn a_revocation_is_not_held_back_by_another_files_fault() {
    let world = world().await;
    let broken = format!("{HEAD}  tools: {{get_lead: [\n");
    world.configuration.write("kommo-sales.yaml", &broken).expect("is written");
    until_refused(&world.gateway, "kommo-sales.yaml: invalid YAML").await;
    let before = revision(&world.gateway).await;
    world.configuration.grant("alice", ALICE, "suspended: true").expect("is written");
    until_revision(&world.gateway, &before).await;
    assert_eq!(world.ask(&get_leads()).await.expect("an answer").status, 401);
    let other = Request::modern_call(toolgate_e2e::process::BOB, "get_leads", &json!({}));
    assert_eq!(
        world.ask(&other).await.expect("an answer").verdict(),
        None,
        "the last good policy is in force"
    );
    until_refused(&world.gateway, "kommo-sales.yaml: invalid YAML").await;
}

#[tokio::test]
async fn trouble_ends_when_the_folder_is_back_as_it_was() {
    let world = world().await;
    let (objects, away) = (world.configuration.objects(), world.configuration.path().join("away"));
    let before = revision(&world.gateway).await;
    std::fs::rename(&objects, &away).expect("is moved");
    until_refused(&world.gateway, "objects: No such file or directory").await;
    assert_eq!(world.ask(&get_leads()).await.expect("an answer").verdict(), None, "what was in force stays");
    std::fs::rename(&away, &objects).expect("is moved back");
    let well = |answer: &toolgate_e2e::process::Answer| answer.text() == "ok\n";
    world.gateway.admin().until("/readyz", "the end of all trouble", well).await.expect("all is well");
    until_gauge(&world.gateway, 0).await;
    let after: Value = revision(&world.gateway).await;
    assert_eq!(after, before);
}
