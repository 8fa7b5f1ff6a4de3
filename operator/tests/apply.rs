//! What is written to an API server, and what is left alone.

#![allow(clippy::unwrap_used, reason = "helpers of tests only")]

#[path = "support/api.rs"]
mod api;
#[path = "support/world.rs"]
mod world;

use std::collections::BTreeMap;

use api::Api;
use hyper::Method;
use serde_json::{Value, json};
use toolgate_operator::child::ChildKind;
use toolgate_operator::metrics::Metrics;
use toolgate_operator::reconcile::apply::{Applied, Cause, Making, Target, apply};
use toolgate_operator::reconcile::build::build;
use toolgate_operator::reconcile::memory::Memory;
use toolgate_operator::reconcile::observe::Observed;
use toolgate_operator::status::Statuses;
use toolgate_operator::transitions::teller;
use world::{NAMESPACE, SERVER_UID, UPSTREAM, observed, policy, server, settings, validated};

/// Everything, in the order in which it is written.
const ALL: [&str; 6] = [
    "configmaps/crm-toolgate",
    "serviceaccounts/crm-toolgate",
    "roles/crm-toolgate",
    "rolebindings/crm-toolgate",
    "services/crm-toolgate",
    "deployments/crm-toolgate",
];

fn path(child: &str) -> String {
    let group = match child.split('/').next().unwrap() {
        "roles" | "rolebindings" => "/apis/rbac.authorization.k8s.io/v1",
        "deployments" => "/apis/apps/v1",
        _ => "/api/v1",
    };
    format!("{group}/namespaces/{NAMESPACE}/{child}")
}

/// The children as a watch would have them.
fn live(api: &Api) -> BTreeMap<ChildKind, Value> {
    let children = ChildKind::ALL.into_iter().filter(|kind| kind.is_always_there()).zip(ALL);
    children.filter_map(|(kind, child)| Some((kind, api.get(&path(child))?))).collect()
}

async fn applied(api: &Api, tools: &str, memory: &Memory) -> Applied {
    applied_to(api, tools, memory, Making::Allowed).await
}

async fn applied_to(api: &Api, tools: &str, memory: &Memory, making: Making) -> Applied {
    let observed = Observed { policies: vec![policy("narrow", 1, tools)], ..observed(server(1, UPSTREAM)) };
    let (bundle, packed) = validated(&observed).bundle.unwrap();
    let prepared = build(&bundle, &packed, &settings());
    let (client, metrics) = (api.client(), Metrics::new());
    let (namespace, owner) = (NAMESPACE, SERVER_UID);
    let target = Target { client: &client, metrics: &metrics, namespace, owner, making };
    apply(&target, &prepared, (bundle, packed), &live(api), memory).await
}

async fn first(api: &Api) -> Applied {
    applied(api, "tools: {}", &Memory::default()).await
}

#[tokio::test]
async fn everything_that_is_missing_is_applied_and_the_bundle_goes_first() {
    let api = Api::default();
    let applied = first(&api).await;
    assert_eq!(applied.failures, []);
    assert_eq!(applied.bundle.unwrap().bundle.revision, 1);
    let asked = api.asked();
    let expected: Vec<(Method, String)> =
        ALL.iter().flat_map(|child| [(Method::GET, path(child)), (Method::PATCH, path(child))]).collect();
    let found: Vec<(Method, String)> =
        asked.iter().map(|asked| (asked.method.clone(), asked.path.clone())).collect();
    assert_eq!(found, expected, "each is looked for before it is made");
    for patch in asked.iter().filter(|asked| asked.method == Method::PATCH) {
        assert_eq!(patch.query, "&force=true&fieldManager=toolgate-operator", "{}", patch.path);
        assert_eq!(patch.body["metadata"]["ownerReferences"][0]["uid"], SERVER_UID);
        assert_eq!(patch.body["metadata"].get("uid"), None);
    }
}

#[tokio::test]
async fn at_rest_nothing_is_asked_or_written() {
    let api = Api::default();
    let memory = Memory { applied: first(&api).await.bundle, ..Memory::default() };
    api.asked();
    let again = applied(&api, "tools: {}", &memory).await;
    assert_eq!(again.failures, []);
    assert!(api.asked().is_empty());
    // After a restart neither: nothing is remembered, but all is there.
    let restarted = first(&api).await;
    assert_eq!(restarted.bundle.unwrap().hash, again.bundle.unwrap().hash);
    assert!(api.asked().is_empty());
}

#[tokio::test]
async fn an_edit_writes_the_bundle_alone_and_to_the_very_object_that_was_seen() {
    let api = Api::default();
    first(&api).await;
    api.asked();
    applied(&api, "tools: {read: {}}", &Memory::default()).await;
    let asked = api.asked();
    assert_eq!(asked.len(), 1);
    assert_eq!((&asked[0].method, asked[0].path.clone()), (&Method::PATCH, path(ALL[0])));
    assert_eq!(asked[0].body["metadata"]["uid"], format!("uid-of-{}", path(ALL[0])));
}

#[tokio::test]
async fn what_somebody_changed_or_deleted_is_put_right() {
    let api = Api::default();
    first(&api).await;
    let mut role = api.get(&path(ALL[2])).unwrap();
    role["rules"].as_array_mut().unwrap().push(json!({"verbs": ["*"], "resources": ["*"]}));
    api.put(&path(ALL[2]), role);
    let mut deployment = api.get(&path(ALL[5])).unwrap();
    deployment["spec"]["replicas"] = json!(3);
    api.put(&path(ALL[5]), deployment);
    api.asked();
    first(&api).await;
    assert_eq!(api.written(), [ALL[2], ALL[5]]);
}

#[tokio::test]
async fn without_our_own_bundle_nothing_else_is_written() {
    let api = Api::default();
    let foreign = json!({"kind": "ConfigMap", "metadata": {"name": "crm-toolgate", "uid": "theirs"}});
    api.put(&path(ALL[0]), foreign.clone());
    let applied = first(&api).await;
    assert_eq!(api.written(), Vec::<String>::new());
    assert_eq!(api.get(&path(ALL[0])), Some(foreign));
    assert!(applied.bundle.is_none());
    assert_eq!(applied.failures.len(), 1);
    assert_eq!(applied.failures[0].kind, ChildKind::ConfigMap);
    assert_eq!(applied.failures[0].cause, Cause::Foreign);
}

#[tokio::test]
async fn no_pod_runs_under_an_account_that_is_not_ours() {
    let api = Api::default();
    let owner =
        json!({"kind": "McpServer", "name": "crm", "uid": "uid-of-its-predecessor", "controller": true});
    let foreign = json!({
        "kind": "ServiceAccount",
        "metadata": {"name": "crm-toolgate", "uid": "theirs", "ownerReferences": [owner]},
    });
    api.put(&path(ALL[1]), foreign);
    let applied = first(&api).await;
    assert_eq!(api.written(), [ALL[0], ALL[2], ALL[3], ALL[4]]);
    assert!(applied.bundle.is_some());
    let told: Vec<String> = applied.failures.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "ServiceAccount/crm-toolgate: it belongs to the McpServer crm (uid-of-its-predecessor); it is left as it is"
        ]
    );
}

#[tokio::test]
async fn an_edit_comes_into_force_whatever_else_is_refused() {
    let api = Api::default();
    first(&api).await;
    for child in [ALL[2], ALL[5]] {
        let mut edited = api.get(&path(child)).unwrap();
        edited["metadata"]["annotations"] = json!({});
        api.put(&path(child), edited);
        api.refuse(&path(child));
    }
    let applied = applied(&api, "tools: {read: {}}", &Memory::default()).await;
    assert_eq!(
        api.get(&path(ALL[0])).unwrap()["data"]["bundle.json"],
        applied.bundle.unwrap().bundle.to_json()
    );
    let told: Vec<ChildKind> = applied.failures.iter().map(|failure| failure.kind).collect();
    assert_eq!(told, [ChildKind::Role, ChildKind::Deployment]);
}

#[tokio::test]
async fn a_bundle_that_cannot_be_written_leaves_the_last_one_in_force() {
    let api = Api::default();
    let before = first(&api).await.bundle.unwrap();
    let memory = Memory { applied: Some(before.clone()), ..Memory::default() };
    api.refuse(&path(ALL[0]));
    let applied = applied(&api, "tools: {read: {}}", &memory).await;
    assert_eq!(applied.bundle.unwrap().hash, before.hash);
    assert_eq!(applied.failures[0].cause, Cause::Refused);
}

#[tokio::test]
async fn of_a_server_that_is_being_deleted_what_is_there_is_kept_up_to_date_and_nothing_made_anew() {
    let api = Api::default();
    let never_there = applied_to(&api, "tools: {}", &Memory::default(), Making::ServerLeaves).await;
    assert_eq!(api.written(), Vec::<String>::new());
    assert!(never_there.bundle.is_none() && never_there.failures.is_empty());
    first(&api).await;
    api.remove(&path(ALL[4]));
    api.asked();
    let applied = applied_to(&api, "tools: {read: {}}", &Memory::default(), Making::ServerLeaves).await;
    assert_eq!(api.written(), [ALL[0]]);
    assert!(applied.bundle.is_some());
}

#[tokio::test]
async fn in_a_namespace_that_is_being_deleted_nothing_is_asked_for_what_is_missing() {
    let api = Api::default();
    api.close();
    let found_out = first(&api).await;
    assert_eq!(found_out.failures[0].cause, Cause::Closing);
    api.asked();
    let known = applied_to(&api, "tools: {}", &Memory::default(), Making::NamespaceCloses).await;
    assert_eq!(known.failures[0].cause, Cause::Closing);
    assert!(api.asked().is_empty());
}

#[tokio::test]
async fn whatever_write_was_the_last_before_a_crash_the_end_is_the_same() {
    let whole = Api::default();
    first(&whole).await;
    for writes in 0..=ALL.len() {
        let api = Api::default();
        for child in &ALL[writes..] {
            api.refuse(&path(child));
        }
        first(&api).await;
        assert_eq!(live(&api).len(), writes, "the others were refused");
        api.refuse_nothing();
        let applied = first(&api).await;
        assert_eq!(applied.failures, []);
        let contents = |api: &Api| live(api).into_values().map(without_version).collect::<Vec<_>>();
        assert_eq!(contents(&api), contents(&whole), "after {writes} writes");
    }
}

fn without_version(mut object: Value) -> Value {
    object["metadata"]["resourceVersion"] = Value::Null;
    object
}

#[tokio::test]
async fn a_status_is_not_written_twice_before_the_first_is_seen() {
    let api = Api::default();
    let statuses =
        Statuses::new(api.client(), std::sync::Arc::new(Metrics::new()), teller(api.client(), "alone").0);
    let mut object = (*policy("narrow", 1, "")).clone();
    object.metadata.resource_version = Some("0".to_owned());
    let status = json!({"observedGeneration": 1});
    statuses.write(&object, &status).await.unwrap();
    let asked = api.asked();
    assert_eq!(asked.len(), 1);
    assert_eq!(
        asked[0].path,
        format!("/apis/toolgate.dev/v1alpha1/namespaces/{NAMESPACE}/toolpolicies/narrow/status")
    );
    assert_eq!(
        asked[0].body,
        json!({
            "apiVersion": "toolgate.dev/v1alpha1",
            "kind": "ToolPolicy",
            "metadata": {"name": "narrow", "namespace": NAMESPACE, "uid": "uid-of-narrow"},
            "status": status,
        })
    );
    statuses.write(&object, &status).await.unwrap();
    assert!(api.asked().is_empty(), "the cache is behind");
    object.metadata.resource_version = Some("1".to_owned());
    statuses.write(&object, &status).await.unwrap();
    assert_eq!(api.asked().len(), 1, "the cache has caught up");
}
