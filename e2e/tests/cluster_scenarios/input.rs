//! A key that the types do not know is refused at the door, whichever client brings it, with its path.

use toolgate_e2e::cluster::{Error, Kubectl, World, promise};

/// The most tools of a policy, and as many limits for each as one object has room for.
const TOOLS: usize = 1000;
const LIMITS: usize = 8;

/// A way to bring an object that is not there yet.
const WAYS: [&[&str]; 6] = [
    &["apply"],
    &["apply", "--server-side"],
    &["apply", "--validate=false"],
    &["apply", "--server-side", "--validate=false"],
    &["create"],
    &["create", "--validate=false"],
];

/// A kind, a good object of it, the same with unknown keys at several depths, a patch that brings one, and the paths
/// that have to be told.
struct Case {
    resource: &'static str,
    good: &'static str,
    bad: &'static str,
    told: &'static [&'static str],
    patch: &'static str,
    patch_told: &'static str,
}

const CASES: [Case; 3] = [
    Case {
        resource: "mcpserver/one",
        good: "
apiVersion: toolgate.dev/v1alpha1
kind: McpServer
metadata: {name: one}
spec:
  upstream: {url: 'http://nowhere:1/mcp'}
  gateway: {replicas: 0}
",
        bad: "
apiVersion: toolgate.dev/v1alpha1
kind: McpServer
metadata: {name: one}
replicas: 1
spec:
  upstream:
    url: http://nowhere:1/mcp
    headers: [{name: X, secretKeyRef: {name: a, key: b, optional: true}}]
  gateway: {replicas: 0, anonymus: false}
  requiredPolicys: []
",
        told: &[
            "replicas",
            "spec.requiredPolicys",
            "spec.gateway.anonymus",
            "spec.upstream.headers[].secretKeyRef.optional",
        ],
        patch: r#"{"spec": {"gateway": {"anonymus": true}}}"#,
        patch_told: "spec.gateway.anonymus",
    },
    Case {
        resource: "toolpolicy/one",
        good: "
apiVersion: toolgate.dev/v1alpha1
kind: ToolPolicy
metadata: {name: one}
spec:
  targetRefs: [{kind: McpServer, name: elsewhere}]
  tools: {a: {}}
",
        bad: "
apiVersion: toolgate.dev/v1alpha1
kind: ToolPolicy
metadata: {name: one}
hide: [a]
spec:
  targetRefs: [{kind: McpServer, name: elsewhere, namespace: other}]
  defualt: deny
  tools:
    a: {denyif: [{path: args.x, op: exists}]}
    b: {limits: [{counter: c, window: minute, max: 1, scope: grant, scop: server}]}
  allTools: {limit: []}
",
        told: &[
            "hide",
            "spec.defualt",
            "spec.allTools.limit",
            "spec.targetRefs[].namespace",
            "spec.tools.a.denyif",
            "spec.tools.b.limits[].scop",
        ],
        patch: r#"{"spec": {"tools": {"a": {"denyif": []}}}}"#,
        patch_told: "spec.tools.a.denyif",
    },
    Case {
        resource: "toolgrant/one",
        good: "
apiVersion: toolgate.dev/v1alpha1
kind: ToolGrant
metadata: {name: one}
spec:
  servers: [{name: elsewhere}]
  subject:
    type: Token
    token: {sha256: '0000000000000000000000000000000000000000000000000000000000000000'}
",
        bad: "
apiVersion: toolgate.dev/v1alpha1
kind: ToolGrant
metadata: {name: one}
suspended: true
spec:
  servers: [{name: elsewhere, namespace: other}]
  expires: 2020-01-01T00:00:00Z
  subject:
    type: Token
    token: {sha256: '0000000000000000000000000000000000000000000000000000000000000000', salt: x}
",
        told: &["suspended", "spec.expires", "spec.servers[].namespace", "spec.subject.token.salt"],
        patch: r#"{"spec": {"suspend": true}}"#,
        patch_told: "spec.suspend",
    },
];

pub(crate) fn unknown_keys_are_refused(world: &World<'_>, name: &str) -> Result<(), Error> {
    world.cluster.kubectl.run(&["create", "namespace", name])?;
    world.cluster.kubectl.run(&["label", "namespace", name, &format!("e2e.toolgate.dev/scenario={name}")])?;
    let kubectl = world.cluster.kubectl.in_namespace(name);
    for case in &CASES {
        for way in WAYS {
            let arguments = [way, &["--filename", "-"]].concat();
            refused(&kubectl, &arguments, case.bad, case.told)?;
            let found = kubectl.run(&["get", case.resource, "--ignore-not-found"])?;
            promise(found.is_empty(), || format!("{arguments:?} left something: {found}"))?;
        }
        an_edit_is_refused(&kubectl, case)?;
    }
    a_large_policy_is_not_refused_for_its_size(&kubectl)
}

/// The API server bounds what an admission policy may cost, and refuses what would cost more.
fn a_large_policy_is_not_refused_for_its_size(kubectl: &Kubectl) -> Result<(), Error> {
    let limits = r#"{"counter": "c", "window": "minute", "max": 1, "scope": "grant"}"#;
    let limits = [limits; LIMITS].join(", ");
    let entries = (0..TOOLS).map(|number| format!(r#""tool_{number}": {{"limits": [{limits}]}}"#));
    let entries = entries.collect::<Vec<String>>().join(", ");
    let policy = r#"{"apiVersion": "toolgate.dev/v1alpha1", "kind": "ToolPolicy", "metadata": {"name": "large"},
        "spec": {"targetRefs": [{"kind": "McpServer", "name": "elsewhere"}], "tools": {TOOLS}}}"#;
    let policy = policy.replace("TOOLS", &entries);
    let create = ["create", "--filename", "-"];
    let last = format!("tool_{}", TOOLS - 1);
    let mistyped = policy.replace(&format!(r#""{last}": {{"limits""#), &format!(r#""{last}": {{"limit""#));
    refused(kubectl, &create, &mistyped, &[&format!("spec.tools.{last}.limit")])?;
    kubectl.attempt(&create, &policy)?.success()?;
    Ok(())
}

fn an_edit_is_refused(kubectl: &Kubectl, case: &Case) -> Result<(), Error> {
    kubectl.apply(case.good)?;
    let generation = || kubectl.value(case.resource, ".metadata.generation");
    let before = generation()?;
    for kind in ["merge", "server-side", "replace"] {
        match kind {
            "merge" => {
                let patch = ["patch", case.resource, "--type", "merge", "--patch", case.patch];
                refused(kubectl, &patch, "", &[case.patch_told])?;
            }
            "replace" => refused(kubectl, &["replace", "--filename", "-"], case.bad, case.told)?,
            _ => {
                let apply = ["apply", "--server-side", "--force-conflicts", "--filename", "-"];
                refused(kubectl, &apply, case.bad, case.told)?;
            }
        }
    }
    let after = generation()?;
    promise(before == after, || format!("{} was changed: {before} to {after}", case.resource))
}

fn refused(kubectl: &Kubectl, arguments: &[&str], input: &str, told: &[&str]) -> Result<(), Error> {
    let ran = kubectl.attempt(arguments, input)?;
    let output = ran.output();
    promise(!ran.succeeded(), || format!("kubectl {arguments:?} accepted unknown keys: {output}"))?;
    let (_, list) = output.split_once("unknown field: ").unwrap_or_default();
    let mut found: Vec<&str> = list.lines().next().unwrap_or_default().split(", ").collect();
    let mut told = told.to_vec();
    found.sort_unstable();
    told.sort_unstable();
    promise(found == told, || format!("kubectl {arguments:?} has to tell of {told:?}, it says {output}"))
}
