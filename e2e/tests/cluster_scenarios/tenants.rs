//! Who writes policies cannot widen what the platform requires: not by an edit, a deletion, a second policy, a grant of his
//! own or a second server. Tried as that very person.

use serde_json::json;

use toolgate_e2e::agent::Outcome;
use toolgate_e2e::cluster::{
    Error, OTHER_TOKEN, POLICY, SERVER, Stage, World, eventually, promise, token_digest,
};

/// The policy author, and the kubectl that acts for him.
const AUTHOR: &str = "--as=author";

/// What the platform requires: nobody moves leads.
const FLOOR: &str = "
apiVersion: toolgate.dev/v1alpha1
kind: ToolPolicy
metadata: {name: floor}
spec:
  targetRefs: [{kind: McpServer, name: kommo}]
  default: allow
  tools: {move_lead: {action: deny, reason: the platform forbids it}}
";

/// What would open everything, were it not for the floor.
const WIDE: &str = "
apiVersion: toolgate.dev/v1alpha1
kind: ToolPolicy
metadata: {name: wide}
spec:
  targetRefs: [{kind: McpServer, name: kommo}]
  default: allow
  tools: {move_lead: {action: allow}}
";

/// A grant of the author's own.
const GRANT: &str = "
apiVersion: toolgate.dev/v1alpha1
kind: ToolGrant
metadata: {name: authors-own}
spec:
  servers: [{name: kommo}]
  subject: {type: Token, token: {sha256: 'DIGEST'}}
";

/// A second server of the same upstream, with the same credential, which requires nothing.
const SECOND: &str = "
apiVersion: toolgate.dev/v1alpha1
kind: McpServer
metadata: {name: second}
spec:
  upstream:
    url: http://kommo-mcp:3001/mcp
    headers: [{name: Authorization, secretKeyRef: {name: kommo-mcp, key: authorization}}]
";

/// What admission says of a required policy.
const REQUIRED: &str = "requires the policy floor";
/// What the API server says of a missing right.
const NO_RIGHT: &str = "cannot";

/// Ways to get round the floor, and what has to be said of each.
const ATTEMPTS: [(&[&str], &str); 11] = [
    (&["delete", "toolpolicy", "floor"], REQUIRED),
    (&["delete", "toolpolicies", "--field-selector=metadata.name=floor"], REQUIRED),
    (&["label", "toolpolicy", "floor", "team=mine"], REQUIRED),
    (&["annotate", "toolpolicy", "floor", "note=mine"], REQUIRED),
    (&["patch", "toolpolicy", "floor", "--type=merge", r#"--patch={"spec": {"mode": "audit"}}"#], REQUIRED),
    (
        &["patch", "toolpolicy", "floor", "--type=merge", r#"--patch={"spec": {"grants": ["nobody"]}}"#],
        REQUIRED,
    ),
    (
        &[
            "patch",
            "toolpolicy",
            "floor",
            "--type=merge",
            r#"--patch={"spec": {"tools": {"move_lead": {"action": "allow"}}}}"#,
        ],
        REQUIRED,
    ),
    (
        &[
            "patch",
            "toolpolicy",
            "floor",
            "--type=json",
            r#"--patch=[{"op": "replace", "path": "/spec/targetRefs/0/name", "value": "second"}]"#,
        ],
        REQUIRED,
    ),
    (&["patch", SERVER, "--type=merge", r#"--patch={"spec": {"requiredPolicies": null}}"#], NO_RIGHT),
    (&["delete", SERVER], NO_RIGHT),
    (&["get", "secrets"], NO_RIGHT),
];

pub(crate) fn tenants_only_narrow(world: &World<'_>, name: &str) -> Result<(), Error> {
    let stage = world.stage(name)?;
    let kubectl = &stage.kubectl;
    stage.apply_samples()?;
    kubectl.apply(FLOOR)?;
    let require = r#"--patch={"spec": {"requiredPolicies": ["floor"]}}"#;
    kubectl.run(&["patch", SERVER, "--type=merge", require])?;
    kubectl.run(&[
        "create",
        "rolebinding",
        "author",
        "--clusterrole=toolgate-policy-author",
        "--user=author",
    ])?;
    kubectl.wait("condition=Ready", &[SERVER])?;
    in_force(&stage)?;
    for (attempt, told) in ATTEMPTS {
        refused(&stage, attempt, "", told)?;
    }
    refused(&stage, &["apply", "--filename", "-"], SECOND, NO_RIGHT)?;
    refused(&stage, &["replace", "--filename", "-"], &FLOOR.replace("deny", "allow"), REQUIRED)?;
    in_force(&stage)?;
    more_of_his_own_opens_nothing(&stage)?;
    a_missing_floor_is_not_his_to_lay(&stage)?;
    built_in_roles(&stage)
}

/// Runs a command as the author. It has to be refused, with these words.
fn refused(stage: &Stage<'_>, arguments: &[&str], input: &str, told: &str) -> Result<(), Error> {
    let arguments = [&[AUTHOR], arguments].concat();
    // The API server learns of a server that requires a policy, and of a role, a moment after they are written.
    let mut output = String::new();
    let is_refused = eventually("a refusal", || {
        let ran = stage.kubectl.attempt(&arguments, input)?;
        output = ran.output();
        Ok(!ran.succeeded() && output.contains(told))
    });
    is_refused
        .map_err(|_| Error::Broken(format!("kubectl {arguments:?} has to be refused ({told}): {output}")))
}

fn in_force(stage: &Stage<'_>) -> Result<(), Error> {
    let caller = stage.caller()?;
    let reply = caller.expect("move_lead", &move_lead(), Outcome::Denied)?;
    promise(reply.rule() == Some("floor/tools/move_lead/action"), || format!("another rule: {reply:?}"))?;
    caller.expect("get_lead", &json!({"id": 1001}), Outcome::Allowed)?;
    Ok(())
}

fn move_lead() -> serde_json::Value {
    json!({"lead_id": 1001, "status_id": 103, "confirm": true})
}

fn more_of_his_own_opens_nothing(stage: &Stage<'_>) -> Result<(), Error> {
    let apply = [AUTHOR, "apply", "--filename", "-"];
    stage.kubectl.attempt(&apply, WIDE)?.success()?;
    stage.kubectl.attempt(&apply, &GRANT.replace("DIGEST", &token_digest(OTHER_TOKEN)))?.success()?;
    stage.kubectl.run(&[AUTHOR, "delete", POLICY])?;
    stage.kubectl.wait("condition=Programmed", &["toolpolicy/wide", "toolgrant/authors-own"])?;
    eventually("the deleted policy has left", || {
        let names = stage.kubectl.value(SERVER, ".status.policies[*].name")?;
        Ok(names == "floor wide")
    })?;
    in_force(stage)?;
    let own = stage.caller()?.with_token("other-agent");
    own.expect("move_lead", &move_lead(), Outcome::Denied)?;
    own.expect("get_lead", &json!({"id": 1001}), Outcome::Allowed)?;
    Ok(())
}

fn a_missing_floor_is_not_his_to_lay(stage: &Stage<'_>) -> Result<(), Error> {
    stage.kubectl.run(&["delete", "toolpolicy", "floor"])?;
    let caller = stage.caller()?;
    caller.until("get_lead", &json!({"id": 1001}), Outcome::Denied)?;
    refused(stage, &["create", "--filename", "-"], &WIDE.replace("wide", "floor"), REQUIRED)?;
    stage.kubectl.apply(FLOOR)?;
    stage.kubectl.wait("condition=Programmed", &["toolpolicy/floor"])?;
    in_force(stage)
}

/// `edit` gives neither servers nor policies, `view` sees both.
fn built_in_roles(stage: &Stage<'_>) -> Result<(), Error> {
    for role in ["edit", "view"] {
        let (role_name, user) = (format!("--clusterrole={role}"), format!("--user={role}or"));
        stage.kubectl.run(&["create", "rolebinding", &format!("{role}or"), &role_name, &user])?;
    }
    let may = |user: &str, verb: &str, resource: &str| -> Result<bool, Error> {
        let ran = stage.kubectl.attempt(&["auth", "can-i", verb, resource, &format!("--as={user}")], "")?;
        Ok(ran.stdout.trim() == "yes")
    };
    eventually("the built-in roles see what there is", || {
        Ok(may("viewor", "list", "mcpservers.toolgate.dev")?
            && may("editor", "list", "toolpolicies.toolgate.dev")?)
    })?;
    for (user, resource) in [
        ("editor", "mcpservers"),
        ("editor", "toolpolicies"),
        ("viewor", "toolgrants"),
        ("author", "mcpservers"),
    ] {
        let may = may(user, "create", &format!("{resource}.toolgate.dev"))?;
        promise(!may, || format!("{user} may create {resource}"))?;
    }
    Ok(())
}
