//! What one looks at when something went wrong.

use super::install::RELEASE_NAMESPACE;
use super::kubectl::Kubectl;

/// The most lines of each pod's log.
const LOG_LINES: &str = "--tail=60";

/// Prints the objects, events and logs of a namespace, and the operator's log.
pub fn dump(kubectl: &Kubectl, namespace: &str) {
    let scenario = kubectl.in_namespace(namespace);
    eprintln!("----- namespace {namespace}");
    print(
        &scenario,
        &["get", "pods,services,configmaps,mcpservers,toolpolicies,toolgrants", "--output", "wide"],
    );
    print(&scenario, &["get", "mcpservers,toolpolicies,toolgrants", "--output", "yaml"]);
    print(&scenario, &["get", "events", "--sort-by=.lastTimestamp"]);
    logs(&scenario);
    eprintln!("----- operator");
    logs(&kubectl.in_namespace(RELEASE_NAMESPACE));
    eprintln!("----- end of {namespace}");
}

fn logs(kubectl: &Kubectl) {
    let pods = kubectl.items(&["pods"]).unwrap_or_default();
    for name in pods.iter().filter_map(|pod| pod["metadata"]["name"].as_str()) {
        eprintln!("----- log of {name}");
        print(kubectl, &["logs", name, "--all-containers", LOG_LINES]);
    }
}

// What cannot be had is said and does not hide the rest.
fn print(kubectl: &Kubectl, arguments: &[&str]) {
    match kubectl.attempt(arguments, "") {
        Ok(ran) => eprintln!("{}", ran.output()),
        Err(error) => eprintln!("{error}"),
    }
}
