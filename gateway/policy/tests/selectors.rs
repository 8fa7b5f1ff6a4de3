//! Grants that open servers by their labels.

#[path = "support/court.rs"]
mod court;

use court::{object, rendered};
use toolgate_crds::{McpServerSpec, ToolGrantSpec};
use toolgate_policy::{Bundle, Candidate};

fn labelled(labels: &str) -> Candidate<McpServerSpec> {
    let mut object = object("McpServer", "crm", 1, "upstream: {url: 'http://crm:3001/mcp'}");
    object["metadata"]["labels"] = serde_yaml::from_str(labels).expect("labels");
    Candidate::server(&object)
}

fn selecting(servers: &str) -> Candidate<ToolGrantSpec> {
    let token = format!("{{type: Token, token: {{sha256: '{}'}}}}", "01".repeat(32));
    Candidate::grant(&object("ToolGrant", "robot", 1, &format!("servers: {servers}\nsubject: {token}")))
}

#[test]
fn a_selector_follows_the_labels_of_servers() {
    let grants = [selecting("[{name: desk}, {selector: {matchLabels: {team: sales, tier: live}}}]")];
    assert_eq!(grants[0].errors(), []);
    let opened =
        |labels: &str, previous: Option<&Bundle>| rendered(&labelled(labels), &[], &grants, previous).bundle;
    let before = opened("{team: sales}", None).expect("a bundle");
    assert_eq!(before.grants.len(), 0);
    let opened_to = opened("{team: sales, tier: live, more: x}", Some(&before)).expect("a bundle");
    assert_eq!((opened_to.grants.len(), opened_to.revision), (1, before.revision + 1));
    let closed = opened("{team: sales, tier: dead}", Some(&opened_to)).expect("a bundle");
    assert_eq!((closed.grants.len(), closed.revision), (0, before.revision + 2));
}

#[test]
fn an_entry_is_a_name_or_a_selector_and_a_selector_has_labels() {
    for (servers, fault) in [
        ("[{}]", "spec.servers[0]: must have exactly one of name and selector"),
        (
            "[{name: crm, selector: {matchLabels: {a: b}}}]",
            "spec.servers[0]: must have exactly one of name and selector",
        ),
        ("[{selector: {}}]", "spec.servers[0].selector.matchLabels: is required"),
        (
            "[{selector: {matchLabels: {}}}]",
            "spec.servers[0].selector.matchLabels: must have at least 1 entries",
        ),
        (
            "[{selector: {matchLabel: {a: b}}}]",
            "spec.servers[0].selector.matchLabel: unknown field; did you mean matchLabels?",
        ),
        (
            "[{selector: {matchLabels: {a b: c}}}]",
            "spec.servers[0].selector.matchLabels: \"a b\" is no name of a label",
        ),
        (
            "[{selector: {matchLabels: {a: 'b c'}}}]",
            "spec.servers[0].selector.matchLabels: \"b c\" is no value of a label",
        ),
    ] {
        let grant = selecting(servers);
        assert!(
            grant.errors().iter().any(|error| error.to_string() == fault),
            "{servers}: {:?}",
            grant.errors()
        );
        let bundle = rendered(&labelled("{a: b}"), &[], &[grant], None).bundle.expect("a bundle");
        assert_eq!(bundle.grants, [], "{servers}");
    }
}
