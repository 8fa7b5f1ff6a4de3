//! Rights: those of the operator, in the chart, and those that it gives to gateways.

#![allow(clippy::unwrap_used, reason = "helpers of tests only")]

#[path = "support/world.rs"]
mod world;

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};
use toolgate_operator::child::ChildKind;
use toolgate_operator::reconcile::build::build;
use toolgate_policy::SHARDS_MAX;
use world::{UPSTREAM, observed, server, settings, validated};

/// A right, as group, resource and verb.
type Right = (String, String, String);

fn rights(rules: &Value) -> BTreeSet<Right> {
    let texts = |rule: &Value, field: &str| -> Vec<String> {
        let texts = rule[field].as_array().unwrap().iter();
        texts.map(|text| text.as_str().unwrap().to_owned()).collect()
    };
    let mut rights = BTreeSet::new();
    for rule in rules.as_array().unwrap() {
        for group in texts(rule, "apiGroups") {
            for resource in texts(rule, "resources") {
                for verb in texts(rule, "verbs") {
                    rights.insert((group.clone(), resource.clone(), verb));
                }
            }
        }
    }
    rights
}

/// The rules of the operator's role, wherever it is bound.
fn operator() -> BTreeSet<Right> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../charts/toolgate/files/operator-rules.yaml");
    rights(&serde_yaml::from_str(&std::fs::read_to_string(file).unwrap()).unwrap())
}

fn gateway() -> Value {
    let (bundle, packed) = validated(&observed(server(1, UPSTREAM))).bundle.unwrap();
    json!(build(&bundle, &packed, &settings()).role)["rules"].clone()
}

#[test]
fn nobody_has_a_right_to_secrets_or_to_everything() {
    let all: Vec<Right> = operator().into_iter().chain(rights(&gateway())).collect();
    assert!(all.len() > 20);
    for (group, resource, verb) in all {
        assert!(!resource.starts_with("secrets"), "{group}/{resource}: {verb}");
        assert!(group != "*" && !resource.contains('*') && verb != "*", "{group}/{resource}: {verb}");
        assert!(!["escalate", "bind", "impersonate"].contains(&verb.as_str()), "{resource}: {verb}");
    }
}

#[test]
fn what_gateways_are_given_the_operator_has() {
    let missing: Vec<Right> = rights(&gateway()).difference(&operator()).cloned().collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn a_gateway_is_given_its_own_bundle_by_name() {
    let rules = gateway();
    assert_eq!(rules[0]["resourceNames"], json!(["crm-toolgate"]));
    let parts = rules[1]["resourceNames"].as_array().unwrap();
    assert_eq!(parts.len(), 2 * usize::from(SHARDS_MAX));
    assert!(parts.iter().all(|name| name.as_str().unwrap().starts_with("crm-toolgate-")), "{parts:?}");
    assert_eq!((rules[1]["verbs"].clone(), rules.as_array().unwrap().len()), (json!(["get"]), 2));
}

#[test]
fn the_operator_may_write_every_child_and_every_status() {
    let operator = operator();
    let has = |group: &str, resource: &str, verb: &str| {
        operator.contains(&(group.to_owned(), resource.to_owned(), verb.to_owned()))
    };
    for kind in ChildKind::ALL {
        let resource = kind.resource();
        for verb in ["get", "list", "watch", "create", "patch"] {
            assert!(has(&resource.group, &resource.plural, verb), "{kind}: {verb}");
        }
        // Only what comes and goes with a server's own words is ever deleted by us.
        assert_eq!(has(&resource.group, &resource.plural, "delete"), !kind.is_always_there(), "{kind}");
    }
    for plural in ["mcpservers", "toolpolicies", "toolgrants"] {
        for verb in ["list", "watch"] {
            assert!(has("toolgate.dev", plural, verb), "{plural}: {verb}");
        }
        assert!(has("toolgate.dev", &format!("{plural}/status"), "patch"));
        assert!(!has("toolgate.dev", plural, "patch"), "{plural}");
    }
}
