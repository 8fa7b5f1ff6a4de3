//! `toolgate pin`: what is listed now, to be agreed to.

use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::run::Folder;

const ANSWER: &str = r#"{"jsonrpc": "2.0", "id": 1, "result": {"nextCursor": "b", "tools": [
    {"name": "move_lead", "description": "Moves a lead", "_meta": {"n": 1}},
    {"name": "on", "inputSchema": {"b": 1, "a": 2.0}}
]}}"#;

fn digest(text: &str) -> String {
    Sha256::digest(text).iter().fold(String::new(), |digits, byte| format!("{digits}{byte:02x}"))
}

fn move_lead() -> String {
    digest(r#"{"description":"Moves a lead","name":"move_lead"}"#)
}

#[test]
fn what_is_printed_can_be_pasted_and_is_the_same_for_each_form_of_a_list() {
    let folder = Folder::new();
    let on = digest(r#"{"inputSchema":{"a":2.0,"b":1},"name":"on"}"#);
    let wanted = format!(
        "tools:\n  \"move_lead\":\n    definitions:\n      - \"{}\"\n  \"on\":\n    definitions:\n      - \"{on}\"\n",
        move_lead()
    );
    let answer: serde_json::Value = serde_json::from_str(ANSWER).unwrap();
    // Not of the value: its numbers are what they were.
    let list = &ANSWER[ANSWER.find('[').unwrap()..=ANSWER.rfind(']').unwrap()];
    assert!(answer["result"]["tools"].is_array());
    for text in [ANSWER, list, &format!("{{\"tools\": {list}}}")] {
        let run = folder.pipe(&["pin", "-"], text);
        assert_eq!((run.status, run.stdout.as_str(), run.stderr.as_str()), (0, wanted.as_str(), ""));
    }
    let policy = format!(
        "apiVersion: toolgate.dev/v1alpha1\nkind: ToolPolicy\nmetadata: {{name: p}}\nspec:\n  targetRefs: [{{kind: McpServer, name: kommo}}]\n{}",
        wanted.lines().fold(String::new(), |spec, line| format!("{spec}  {line}\n"))
    );
    assert_eq!(folder.check(policy).status, 0);
}

#[test]
fn pages_are_put_together_and_tools_can_be_picked() {
    let folder = Folder::new();
    folder.write("a.json", ANSWER);
    folder.write("b.json", json!({"tools": [{"name": "get_lead"}]}).to_string());
    let run = folder.run(&["pin", "a.json", "b.json", "--tool", "get_lead", "--tool", "move_lead"]);
    assert_eq!(run.status, 0, "{}", run.stderr);
    assert!(
        run.stdout.contains("get_lead")
            && run.stdout.contains(&move_lead())
            && !run.stdout.contains("\"on\"")
    );
}

#[test]
fn what_is_no_list_or_says_two_things_is_refused_in_one_line() {
    let folder = Folder::new();
    folder.write("a.json", ANSWER);
    folder.write("twice.json", ANSWER.replace("Moves", "Takes"));
    for (arguments, input, said) in [
        (vec!["pin", "-"], "{", "stdin: is no JSON"),
        (vec!["pin", "-"], r#"{"result": {}}"#, "stdin: has no list of tools"),
        (vec!["pin", "-"], r#"[{"title": "x"}]"#, "stdin: has an entry without a name"),
        (vec!["pin", "-"], "[]", "no tools are listed"),
        (vec!["pin", "a.json", "--tool", "move"], "", "move is not listed"),
        (vec!["pin", "a.json", "twice.json"], "", "move_lead is there twice"),
        (vec!["pin", "-"], r#"[{"name": "a"}, {"name": "a"}]"#, "a is there twice"),
        (vec!["pin", "missing.json"], "", "missing.json: "),
    ] {
        let run = folder.pipe(&arguments, input);
        assert_eq!((run.status, run.stdout.as_str()), (2, ""), "{arguments:?}");
        assert_eq!(run.lines().len(), 1, "{}", run.stderr);
        assert!(run.stderr.contains(said), "{said}: {}", run.stderr);
    }
}

#[test]
fn an_explanation_needs_the_list_that_a_policy_agreed_to() {
    let folder = Folder::new();
    folder.write("list.json", ANSWER);
    folder.write("other.json", ANSWER.replace("Moves", "Takes"));
    let objects = format!(
        "\
apiVersion: toolgate.dev/v1alpha1
kind: McpServer
metadata: {{name: kommo}}
spec: {{upstream: {{url: 'http://kommo-mcp:3001/mcp'}}}}
---
apiVersion: toolgate.dev/v1alpha1
kind: ToolPolicy
metadata: {{name: sales}}
spec:
  targetRefs: [{{kind: McpServer, name: kommo}}]
  tools: {{move_lead: {{definitions: ['{}']}}}}
---
apiVersion: toolgate.dev/v1alpha1
kind: ToolGrant
metadata: {{name: agent}}
spec:
  servers: [{{name: kommo}}]
  subject: {{type: Token, token: {{sha256: '7709620e23c09893a0489cacd0125ca163b9bc99b373059b21f1c5de5b95b80a'}}}}
",
        move_lead()
    );
    folder.write("objects.yaml", objects);
    let explain = |more: &[&str]| {
        let arguments = ["explain", "objects.yaml", "--grant", "agent", "--tool", "move_lead"];
        folder.run(&[&arguments, more].concat())
    };
    for (more, verdict) in [
        (vec!["--listed", "list.json"], "allowed"),
        (vec!["--listed", "other.json"], "denied"),
        (vec![], "denied"),
    ] {
        let run = explain(&[&more[..], &["--expect", verdict]].concat());
        assert_eq!(run.status, 0, "{} {}", run.stdout, run.stderr);
        assert!(run.stdout.contains("tools/move_lead/definitions"), "{}", run.stdout);
    }
    let run = explain(&["--listed", "missing.json"]);
    assert_eq!(run.status, 2);
    assert!(run.stderr.contains("--listed missing.json: "), "{}", run.stderr);
}
