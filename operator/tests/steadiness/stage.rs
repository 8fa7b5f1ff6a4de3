//! An operator in front of a fake API server, with a server, policies, a grant, and gateway pods that enforce at once
//! what is in the ConfigMap. Meant for paused time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use hyper::body::Bytes;
use serde_json::{Value, json};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::sleep;
use toolgate_operator::gateways::{Gateways, ReadyPod};
use toolgate_operator::lease::{Campaign, Election};
use toolgate_operator::metrics::Metrics;
use toolgate_operator::patience::{fenced, patient};
use toolgate_operator::pulse::Pulse;
use toolgate_operator::scope::{self, Parts};

use crate::fake::Fake;
use crate::world::settings;

pub(crate) const CONFIG_MAP: &str = "/api/v1/namespaces/shop/configmaps/crm-toolgate";
pub(crate) const SERVER: &str = "/apis/toolgate.dev/v1alpha1/namespaces/shop/mcpservers/crm";
pub(crate) const POLICY: &str = "/apis/toolgate.dev/v1alpha1/namespaces/shop/toolpolicies/narrow";
pub(crate) const LEASE: &str = "/apis/coordination.k8s.io/v1/namespaces/tools/leases/one";

/// Long enough for everything that is tried again, and for what is looked at anew when nothing happens.
pub(crate) const LONG: Duration = Duration::from_mins(7);

/// An operator that runs. Dropped, it is gone in the midst of whatever it did.
pub(crate) struct Operator {
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) pulse: Pulse,
    stop: Option<oneshot::Sender<()>>,
    running: JoinHandle<()>,
}

impl Operator {
    /// One that leads without an election.
    pub(crate) fn start(fake: &Fake) -> Self {
        Self::begin(fake, None)
    }

    /// One of several.
    pub(crate) fn elected(fake: &Fake, identity: &str) -> Self {
        Self::begin(fake, Some(identity))
    }

    fn begin(fake: &Fake, identity: Option<&str>) -> Self {
        let (metrics, pulse) = (Arc::new(Metrics::new()), Pulse::default());
        let client = patient(&fake.client(), None);
        let campaign = |identity: &str| Campaign {
            namespace: "tools".to_owned(),
            lease: "one".to_owned(),
            identity: identity.to_owned(),
        };
        let election =
            identity.map(|identity| Election::new(client.clone(), campaign(identity), metrics.clone()));
        let (alone_tx, alone_rx) = watch::channel(true);
        let parts = Parts {
            client: election.as_ref().map_or(client.clone(), |election| fenced(&client, &election.tenure())),
            watching: fake.client(),
            namespace: None,
            settings: settings(),
            gateways: gateways(fake),
            metrics: metrics.clone(),
            pulse: pulse.clone(),
            identity: identity.unwrap_or("alone").to_owned(),
            leading: election.as_ref().map_or(alone_rx, Election::leading),
        };
        let (stop_tx, stop_rx) = oneshot::channel::<()>();
        let running = tokio::spawn(work(parts, election, stop_rx, alone_tx));
        Self { metrics, pulse, stop: Some(stop_tx), running }
    }

    /// Told to stop, as by SIGTERM.
    pub(crate) async fn stop(mut self) {
        let _ = self.stop.take().unwrap().send(());
        (&mut self.running).await.unwrap();
    }

    pub(crate) fn leads(&self) -> bool {
        let text = String::from_utf8(self.metrics.text()).unwrap();
        text.contains("\ntoolgate_operator_leading 1\n")
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        self.running.abort();
    }
}

async fn work(
    parts: Parts,
    election: Option<Election>,
    stop: oneshot::Receiver<()>,
    _alone: watch::Sender<bool>,
) {
    let stop = stop.map(|_| ()).boxed().shared();
    let running = scope::run(parts, || {}, stop);
    let Some(mut election) = election else { return running.await };
    tokio::select! {
        () = running => {}
        () = election.run() => {}
    }
    election.release().await;
}

/// Pods that enforce at once what is in the ConfigMap of their server.
fn gateways(fake: &Fake) -> Gateways {
    let fake = fake.clone();
    Gateways::by(move |_: ReadyPod| {
        let config_map = fake.get(CONFIG_MAP);
        let answer: BoxFuture<'static, _> = async move {
            let config_map = config_map.ok_or("cannot be reached".to_owned())?;
            let annotations = &config_map["metadata"]["annotations"];
            let revision: i64 = annotations["toolgate.dev/revision"].as_str().unwrap().parse().unwrap();
            let hash = &annotations["toolgate.dev/hash"];
            let told = json!({"server": {"uid": "uid-of-crm"}, "revision": revision, "hash": hash});
            Ok(Bytes::from(told.to_string()))
        }
        .boxed();
        answer
    })
}

/// A server with a good policy, a bad one, a grant, and two gateway pods.
pub(crate) fn shop() -> Fake {
    let fake = Fake::new();
    let targets = json!([{"kind": "McpServer", "name": "crm"}]);
    fake.put(custom("McpServer", "crm", &json!({"upstream": {"url": "http://crm-mcp:3001/mcp"}})));
    fake.put(custom("ToolPolicy", "narrow", &json!({"targetRefs": targets, "tools": {"read": {}}})));
    fake.put(custom("ToolPolicy", "wrong", &json!({"targetRefs": targets, "tols": {}})));
    let token = json!({"type": "Token", "token": {"sha256": "0".repeat(64)}});
    fake.put(custom("ToolGrant", "agent", &json!({"servers": [{"name": "crm"}], "subject": token})));
    for name in ["pod-0", "pod-1"] {
        fake.put(pod(name));
    }
    fake
}

pub(crate) fn custom(kind: &str, name: &str, spec: &Value) -> Value {
    let metadata = json!({"namespace": "shop", "name": name, "uid": format!("uid-of-{name}")});
    json!({"apiVersion": "toolgate.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec})
}

fn pod(name: &str) -> Value {
    let labels =
        json!({"app.kubernetes.io/managed-by": "toolgate-operator", "toolgate.dev/server-uid": "uid-of-crm"});
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"namespace": "shop", "name": name, "labels": labels},
        "status": {"podIP": "192.0.2.1", "conditions": [{"type": "Ready", "status": "True"}]},
    })
}

/// Somebody narrows the policy.
pub(crate) fn edit(fake: &Fake) {
    fake.edit(POLICY, |policy| policy["spec"]["tools"] = json!({"read": {}, "write": {"action": "deny"}}));
}

/// What becomes of everything in a life with one edit in it, so long after the edit.
pub(crate) async fn lived(fake: &Fake, after: Duration) -> BTreeMap<String, Value> {
    let operator = Operator::start(fake);
    sleep(Duration::from_secs(20)).await;
    edit(fake);
    sleep(after).await;
    drop(operator);
    fake.end()
}

/// A condition's status and reason.
pub(crate) fn condition(fake: &Fake, path: &str, type_: &str) -> String {
    let object = fake.get(path).unwrap();
    let conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let found = conditions.iter().find(|condition| condition["type"] == type_);
    found.map_or("absent".to_owned(), |found| {
        format!("{}/{}", found["status"].as_str().unwrap(), found["reason"].as_str().unwrap())
    })
}
