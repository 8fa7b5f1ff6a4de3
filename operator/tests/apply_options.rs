//! Children that come and go with what a server says, and the number of pods that an autoscaler takes over.

#![allow(clippy::unwrap_used, reason = "helpers of tests only")]
#![allow(dead_code, reason = "the API server in memory can do more")]

#[path = "support/api.rs"]
mod api;
#[path = "support/world.rs"]
mod world;

use std::collections::BTreeMap;
use std::sync::Arc;

use api::Api;
use hyper::Method;
use serde_json::{Value, json};
use toolgate_crds::{Autoscaling, AutoscalingType, Gateway};
use toolgate_operator::child::ChildKind;
use toolgate_operator::metrics::Metrics;
use toolgate_operator::reconcile::apply::{Applied, Making, Target, apply};
use toolgate_operator::reconcile::build::{GatewaySettings, build};
use toolgate_operator::reconcile::memory::Memory;
use toolgate_policy::Packed;
use world::{CHILD, NAMESPACE, SERVER, SERVER_UID, UPSTREAM, observed, server, settings, validated};

fn path(kind: ChildKind) -> String {
    let resource = kind.resource();
    let group = if resource.group.is_empty() { "/api" } else { "/apis" };
    let name = kind.name(SERVER, SERVER_UID);
    format!("{group}/{}/namespaces/{NAMESPACE}/{}/{name}", resource.api_version, resource.plural)
}

/// The children as watches would have them.
fn live(api: &Api) -> BTreeMap<ChildKind, Value> {
    ChildKind::ALL.into_iter().filter_map(|kind| Some((kind, api.get(&path(kind))?))).collect()
}

async fn applied(api: &Api, gateway: Gateway, settings: &GatewaySettings) -> Applied {
    let (bundle, _) = validated(&observed(server(1, UPSTREAM))).bundle.unwrap();
    let mut bundle = Arc::unwrap_or_clone(bundle);
    bundle.server.spec.gateway = Some(gateway);
    let packed = Arc::new(Packed::of(&bundle).unwrap());
    let prepared = build(&bundle, &packed, settings);
    let (client, metrics) = (api.client(), Metrics::new());
    let (namespace, owner, making) = (NAMESPACE, SERVER_UID, Making::Allowed);
    let target = Target { client: &client, metrics: &metrics, namespace, owner, making };
    // It is large, and so would be every test that awaits it.
    let whole = (Arc::new(bundle), packed);
    Box::pin(apply(&target, &prepared, whole, &live(api), &Memory::default())).await
}

/// Everything that can come and go, for a server that has all of it.
fn everything() -> Gateway {
    let gateway = json!({
        "replicas": 2,
        "networkPolicy": {"enabled": true, "serverPods": {"app": "crm"}},
        "exposure": {"ingress": {"host": "crm.example.com"}, "httpRoute": {"parentRefs": [{"name": "outer"}]}},
    });
    serde_json::from_value(gateway).unwrap()
}

#[tokio::test]
async fn what_is_wanted_no_more_is_deleted_and_nothing_else() {
    let api = Api::default();
    assert_eq!(applied(&api, everything(), &settings()).await.failures, []);
    assert_eq!(live(&api).len(), 11, "all but the autoscaler");
    api.asked();
    assert_eq!(applied(&api, everything(), &settings()).await.failures, []);
    assert!(api.asked().is_empty(), "at rest nothing is asked or written");
    let uids: Vec<Value> = live(&api).values().map(|child| child["metadata"]["uid"].clone()).collect();
    assert_eq!(applied(&api, Gateway::default(), &settings()).await.failures, []);
    let deletions: Vec<_> = api.asked().into_iter().filter(|asked| asked.method == Method::DELETE).collect();
    assert_eq!(deletions.len(), 5);
    for deletion in deletions {
        assert!(uids.contains(&deletion.body["preconditions"]["uid"]), "{deletion:?}");
    }
    assert!(live(&api).keys().all(|kind| kind.is_always_there()));
    assert_eq!(live(&api).len(), 6);
}

#[tokio::test]
async fn what_belongs_to_somebody_else_is_not_deleted() {
    let api = Api::default();
    let theirs = json!({"kind": "NetworkPolicy", "metadata": {"name": CHILD, "uid": "theirs"}});
    api.put(&path(ChildKind::NetworkPolicy), theirs.clone());
    assert_eq!(applied(&api, Gateway::default(), &settings()).await.failures, []);
    assert_eq!(api.get(&path(ChildKind::NetworkPolicy)), Some(theirs));
}

#[tokio::test]
async fn a_deletion_that_is_refused_is_told_and_tried_again() {
    let api = Api::default();
    applied(&api, everything(), &settings()).await;
    api.refuse(&path(ChildKind::Ingress));
    let refused = applied(&api, Gateway::default(), &settings()).await;
    let kinds: Vec<ChildKind> = refused.failures.iter().map(|failure| failure.kind).collect();
    assert_eq!(kinds, [ChildKind::Ingress]);
    api.refuse_nothing();
    assert_eq!(applied(&api, Gateway::default(), &settings()).await.failures, []);
    assert_eq!(live(&api).len(), 6);
}

#[tokio::test]
async fn an_object_that_took_the_name_meanwhile_is_not_deleted() {
    let api = Api::default();
    applied(&api, everything(), &settings()).await;
    let mut seen = live(&api);
    let mut successor = seen.remove(&ChildKind::Ingress).unwrap();
    successor["metadata"]["uid"] = json!("another");
    let behind = Behind { api: &api, successor: successor.clone() };
    behind.delete_after_replacement().await;
    assert_eq!(api.get(&path(ChildKind::Ingress)), Some(successor));
}

/// A cache that still has the object that was there before.
struct Behind<'a> {
    api: &'a Api,
    successor: Value,
}

impl Behind<'_> {
    async fn delete_after_replacement(&self) {
        let before = live(self.api);
        self.api.put(&path(ChildKind::Ingress), self.successor.clone());
        let (bundle, packed) = validated(&observed(server(1, UPSTREAM))).bundle.unwrap();
        let prepared = build(&bundle, &packed, &settings());
        let (client, metrics) = (self.api.client(), Metrics::new());
        let (namespace, owner, making) = (NAMESPACE, SERVER_UID, Making::Allowed);
        let target = Target { client: &client, metrics: &metrics, namespace, owner, making };
        let applied = apply(&target, &prepared, (bundle, packed), &before, &Memory::default()).await;
        assert_eq!(applied.failures, []);
    }
}

#[tokio::test]
async fn an_autoscaler_takes_over_the_pods_that_are_there() {
    let api = Api::default();
    applied(&api, Gateway { replicas: Some(5), ..Gateway::default() }, &settings()).await;
    api.asked();
    let autoscaling = Autoscaling { type_: AutoscalingType::External, horizontal_pod_autoscaler: None };
    let scaled = Gateway { autoscaling: Some(autoscaling), ..Gateway::default() };
    applied(&api, scaled.clone(), &settings()).await;
    let to_deployment = |api: &Api| {
        let asked = api.asked().into_iter();
        let asked =
            asked.filter(|asked| asked.method == Method::PATCH && asked.path == path(ChildKind::Deployment));
        asked.map(|asked| (asked.query, asked.body["spec"]["replicas"].clone())).collect::<Vec<_>>()
    };
    let manager = |name: &str| format!("&force=true&fieldManager={name}");
    assert_eq!(
        to_deployment(&api),
        [(manager("toolgate-operator-replicas"), json!(5)), (manager("toolgate-operator"), Value::Null)]
    );
    // From now on whatever the autoscaler says is left alone.
    let mut deployment = api.get(&path(ChildKind::Deployment)).unwrap();
    deployment["spec"]["replicas"] = json!(9);
    api.put(&path(ChildKind::Deployment), deployment.clone());
    applied(&api, scaled.clone(), &settings()).await;
    assert_eq!(to_deployment(&api), []);
    deployment["spec"]["template"]["spec"]["serviceAccountName"] = json!("another");
    api.put(&path(ChildKind::Deployment), deployment);
    applied(&api, scaled, &settings()).await;
    assert_eq!(to_deployment(&api), [(manager("toolgate-operator"), Value::Null)]);
}
