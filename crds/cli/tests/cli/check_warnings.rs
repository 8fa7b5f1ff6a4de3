//! `toolgate check`: objects that do not fit together. None of it changes the exit status.

use super::run::Folder;

const SERVER: &str = "apiVersion: toolgate.dev/v1alpha1
kind: McpServer
metadata: {name: kommo}
spec:
  upstream: {url: 'http://kommo-mcp:3001/mcp'}
";
const POLICY: &str = "apiVersion: toolgate.dev/v1alpha1
kind: ToolPolicy
metadata: {name: sales}
spec:
  targetRefs: [{kind: McpServer, name: kommo}]
";

fn grant(name: &str, server: &str, digit: &str) -> String {
    format!(
        "apiVersion: toolgate.dev/v1alpha1\nkind: ToolGrant\nmetadata: {{name: {name}}}\nspec:\n  servers: [{{name: {server}}}]\n  subject: {{type: Token, token: {{sha256: \"{}\"}}}}\n",
        digit.repeat(64)
    )
}

fn warnings(documents: &[&str]) -> Vec<String> {
    let run = Folder::new().check(documents.join("---\n"));
    assert_eq!(run.status, 0, "{run:?}");
    let summary = format!("{} warning{}\n", run.lines().len(), if run.lines().len() == 1 { "" } else { "s" });
    assert!(run.stdout.ends_with(&summary), "{run:?}");
    run.lines()
        .iter()
        .map(|line| line.strip_prefix("warning: a.yaml:").expect("a warning").to_owned())
        .collect()
}

#[test]
fn objects_that_fit_together_have_no_warnings() {
    let policy = POLICY.to_owned() + "  grants: [agent]\n";
    let server = SERVER.to_owned() + "  requiredPolicies: [sales]\n";
    assert!(
        warnings(&[&server, &policy, &grant("agent", "kommo", "a"), &grant("b", "kommo", "b")]).is_empty()
    );
}

#[test]
fn a_name_of_nothing_here_is_told() {
    assert_eq!(
        warnings(&[POLICY]),
        [
            "5: ToolPolicy/sales: spec.targetRefs[0].name: no McpServer kommo in namespace default among these files"
        ]
    );
    assert_eq!(
        warnings(&[&grant("agent", "kommo", "a")]),
        [
            "5: ToolGrant/agent: spec.servers[0].name: no McpServer kommo in namespace default among these files"
        ]
    );
    let policy = POLICY.to_owned() + "  grants: [agent]\n";
    assert_eq!(
        warnings(&[SERVER, &policy]),
        ["12: ToolPolicy/sales: spec.grants[0]: no ToolGrant agent in namespace default among these files"]
    );
}

#[test]
fn another_namespace_is_another_place() {
    let policy = POLICY.replace("{name: sales}", "{name: sales, namespace: elsewhere}");
    assert_eq!(
        warnings(&[SERVER, &policy]),
        [
            "3: McpServer/kommo: metadata.name: no ToolPolicy among these files targets this server; without one every call is refused",
            "11: ToolPolicy/sales: spec.targetRefs[0].name: no McpServer kommo in namespace elsewhere among these files",
        ]
    );
    let here = SERVER.replace("{name: kommo}", "{name: kommo, namespace: default}");
    assert!(warnings(&[&here, POLICY]).is_empty());
}

#[test]
fn a_required_policy_has_to_be_here_and_target_the_server() {
    let server = SERVER.to_owned() + "  requiredPolicies: [sales, floor]\n";
    assert_eq!(
        warnings(&[&server, POLICY]),
        [
            "6: McpServer/kommo: spec.requiredPolicies[1]: no ToolPolicy floor in namespace default among these files; without it every call is refused"
        ]
    );
    let floor = POLICY.replace("sales", "floor").replace("name: kommo", "name: books");
    let books = SERVER.replace("name: kommo", "name: books");
    assert_eq!(
        warnings(&[&server, POLICY, &books, &floor]),
        [
            "6: McpServer/kommo: spec.requiredPolicies[1]: ToolPolicy floor does not target this server, so every call is refused"
        ]
    );
}

#[test]
fn a_server_needs_a_policy_that_targets_it() {
    // A grant of the server's name, named by a policy of another server, targets nothing.
    let other = POLICY.replace("name: kommo", "name: books") + "  grants: [kommo]\n";
    let books = SERVER.replace("name: kommo", "name: books");
    assert_eq!(
        warnings(&[SERVER, &books, &other, &grant("kommo", "kommo", "a")]),
        [
            "3: McpServer/kommo: metadata.name: no ToolPolicy among these files targets this server; without one every call is refused"
        ]
    );
}

#[test]
fn a_token_belongs_to_one_grant() {
    assert_eq!(
        warnings(&[SERVER, POLICY, &grant("a", "kommo", "0"), &grant("b", "kommo", "0")]),
        [
            "25: ToolGrant/b: spec.subject.token.sha256: ToolGrant a has the same token; a server that both open refuses it"
        ]
    );
}

#[test]
fn the_grant_anonymous_is_there_where_a_server_lets_anybody_in() {
    let policy = POLICY.to_owned() + "  grants: [anonymous]\n";
    let open = SERVER.to_owned() + "  gateway: {anonymous: true}\n";
    assert!(warnings(&[&open, &policy]).is_empty());
    assert_eq!(
        warnings(&[SERVER, &policy]),
        [
            "12: ToolPolicy/sales: spec.grants[0]: no server among these files that it targets has gateway.anonymous"
        ]
    );
}

#[test]
fn a_faulty_object_is_still_there() {
    let folder = Folder::new();
    let run = folder.check(format!("{SERVER}  upstraem: {{}}\n---\n{POLICY}  defualt: deny\n"));
    assert_eq!(run.status, 1);
    assert!(run.lines().iter().all(|line| !line.starts_with("warning: ")), "{run:?}");
}

#[test]
fn nothing_is_guessed_while_something_is_unread() {
    let folder = Folder::new();
    folder.write("a.yaml", POLICY);
    folder.write("broken.yaml", "a: [");
    folder.write("binary.yaml", b"\xff");
    for (other, status) in [("broken.yaml", 1), ("binary.yaml", 1), ("missing.yaml", 2)] {
        let run = folder.run(&["check", "a.yaml", other]);
        assert_eq!((run.status, run.lines().len()), (status, 1), "{run:?}");
    }
    assert_eq!(folder.run(&["check", "a.yaml", "--quiet"]).stderr, "");
}

#[test]
fn a_selector_of_nothing_here_is_told() {
    let selecting = |labels: &str| {
        grant("agent", "kommo", "a")
            .replace("{name: kommo}", &format!("{{selector: {{matchLabels: {labels}}}}}"))
    };
    let server = SERVER.replace("{name: kommo}", "{name: kommo, labels: {team: sales}}");
    assert!(warnings(&[&server, POLICY, &selecting("{team: sales}")]).is_empty());
    assert_eq!(
        warnings(&[&server, POLICY, &selecting("{team: books}")]),
        [
            "17: ToolGrant/agent: spec.servers[0].selector: selects no McpServer in namespace default among these files"
        ]
    );
}

#[test]
fn a_token_before_the_last_one_is_shared_too() {
    let rotated = grant("b", "kommo", "b")
        .replace("sha256:", &format!("previousSha256: \"{}\", sha256:", "a".repeat(64)));
    let told = warnings(&[SERVER, POLICY, &grant("agent", "kommo", "a"), &rotated]);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        told[0].contains("spec.subject.token.previousSha256: ToolGrant agent has the same token"),
        "{told:?}"
    );
}
