//! What an edit and a new server take, and what a rolling update and rest cost, on a real Kubernetes.
//!
//! The API server is asked over `kubectl proxy` and the gateway over `kubectl port-forward`, each on a connection that is
//! open already, so that no start of a program is measured. Figures are read by people.

mod api;
mod edits;
mod rest;
mod rolling;
mod servers;

use std::time::Duration;

use serde_json::{Value, json};

use crate::cluster::{Cluster, Error, Images, Operator, Stage, dump};

use api::Api;

/// The namespace that all of it happens in.
const NAMESPACE: &str = "bench";

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// How many edits of a policy.
    pub edits: usize,
    /// How many servers are made, one after the other.
    pub servers: usize,
    /// How many calls there are during the rolling updates.
    pub calls: u32,
    /// How long it rests.
    pub rest: Duration,
}

/// Installs the chart and measures. `stage` hears what is being done.
///
/// # Errors
/// When a part does not come up, or something does not happen at all.
pub fn run(cluster: &Cluster, plan: Plan, told: impl Fn(&str)) -> Result<Value, Error> {
    cluster.kubectl.run(&["delete", "namespace", NAMESPACE, "--ignore-not-found"])?;
    let images = Images::provide(cluster)?;
    told("installs the chart");
    let operator = Operator::install(cluster, &images)?;
    let stage = Stage::set(cluster, &images, NAMESPACE)?;
    let measured = measure(&operator, &stage, plan, told);
    if measured.is_err() {
        dump(&cluster.kubectl, NAMESPACE);
    }
    measured
}

fn measure(
    operator: &Operator<'_>,
    stage: &Stage<'_>,
    plan: Plan,
    told: impl Fn(&str),
) -> Result<Value, Error> {
    stage.apply_samples()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|source| Error::File { path: "a runtime".to_owned(), source })?;
    let api = Api::of(&stage.kubectl, NAMESPACE)?;
    told("edits a policy");
    let edits = runtime.block_on(edits::measure(&api, stage, plan.edits))?;
    told("makes servers");
    let servers = runtime.block_on(servers::measure(&api, plan.servers))?;
    drop(api);
    told("replaces gateways under load");
    let rolling = rolling::measure(stage, plan.calls)?;
    told("rests");
    let rest = rest::measure(operator, stage.cluster, plan.rest)?;
    Ok(json!({"edits": edits, "servers": servers, "rollingUpdate": rolling, "rest": rest}))
}

/// Median, 99th percentile and most of some times, in milliseconds.
fn told(mut times: Vec<Duration>) -> Value {
    times.sort();
    let at = |per_hundred: usize| {
        let index = (times.len() * per_hundred).div_ceil(100).saturating_sub(1);
        times.get(index).map(|time| (time.as_secs_f64() * 10_000.0).round() / 10.0)
    };
    json!({"count": times.len(), "p50Ms": at(50), "p99Ms": at(99), "mostMs": at(100)})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_what_was_measured() {
        let times = (1..=100).rev().map(Duration::from_millis).collect();
        assert_eq!(told(times), json!({"count": 100, "p50Ms": 50.0, "p99Ms": 99.0, "mostMs": 100.0}));
        assert_eq!(told(Vec::new()), json!({"count": 0, "p50Ms": null, "p99Ms": null, "mostMs": null}));
    }
}
