//! Why gateway pods are not Ready, as far as their status says it.
//!
//! A pod's status goes through much while it starts, and to and fro while it fails. What is told of it stands still: each
//! change of a word here is a write to the API server.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{ContainerStatus, KeyToPath, Pod};

use crate::gateways::ReadyPod;

/// The most troubles that are told. Pods are made from one template, so there are rarely two.
pub const TROUBLES_MAX: usize = 3;

/// What a container waits in while the pod's volumes are not there yet, or those before it are at work.
const STARTING: [&str; 2] = ["ContainerCreating", "PodInitializing"];
/// An image that cannot be had. The kubelet says now the one and now the other.
const IMAGE: [&str; 2] = ["ErrImagePull", "ImagePullBackOff"];

/// Why gateway pods are not Ready.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    /// What is wrong with pods, each trouble once. Empty where pods merely start.
    pub troubles: Vec<String>,
    /// What a pod needs that is being created. It may be there: only the kubelet knows.
    pub needs: Option<String>,
}

impl Waiting {
    /// Looks at a server's pods, which are in the order of their names.
    pub fn of(pods: &[Arc<Pod>]) -> Self {
        let unready = || pods.iter().filter(|pod| ReadyPod::of(pod).is_none() && !is_over(pod));
        // Of several pods with one trouble the first is named, so that the others may come and go.
        let mut troubles: BTreeMap<String, String> = BTreeMap::new();
        for pod in unready() {
            if let Some(trouble) = trouble(pod) {
                troubles.entry(trouble).or_insert_with(|| name(pod));
            }
        }
        let mut troubles: Vec<String> =
            troubles.into_iter().map(|(trouble, pod)| format!("pod {pod} {trouble}")).collect();
        troubles.truncate(TROUBLES_MAX);
        Self { troubles, needs: unready().find_map(|pod| needs(pod)) }
    }
}

fn name(pod: &Pod) -> String {
    pod.metadata.name.clone().unwrap_or_default()
}

// A pod that goes, or that was evicted: another one takes its place.
pub(super) fn is_over(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    pod.metadata.deletion_timestamp.is_some() || matches!(phase, Some("Failed" | "Succeeded"))
}

fn trouble(pod: &Pod) -> Option<String> {
    unscheduled(pod).or_else(|| containers(pod).find_map(trouble_of_container))
}

fn unscheduled(pod: &Pod) -> Option<String> {
    let mut conditions = pod.status.as_ref()?.conditions.iter().flatten();
    let refused =
        conditions.find(|condition| condition.type_ == "PodScheduled" && condition.status == "False")?;
    Some(with_message("is not scheduled", refused.message.as_deref()))
}

fn containers(pod: &Pod) -> impl Iterator<Item = &ContainerStatus> {
    let statuses = pod.status.iter();
    statuses.flat_map(|status| {
        status.init_container_statuses.iter().flatten().chain(status.container_statuses.iter().flatten())
    })
}

fn trouble_of_container(container: &ContainerStatus) -> Option<String> {
    if !container.ready && container.restart_count > 0 {
        return Some(ended(container));
    }
    let waiting = container.state.as_ref()?.waiting.as_ref()?;
    let reason = waiting.reason.as_deref().filter(|reason| !STARTING.contains(reason))?;
    if IMAGE.contains(&reason) {
        return Some(format!("cannot pull the image {}", container.image));
    }
    Some(with_message(&format!("cannot start: {reason}"), waiting.message.as_deref()))
}

// Between its attempts a container waits, runs and ends; that it did end stays true of all of them.
fn ended(container: &ContainerStatus) -> String {
    let states = [container.state.as_ref(), container.last_state.as_ref()];
    let ended = states.into_iter().flatten().find_map(|state| state.terminated.as_ref());
    let how = ended.map(|ended| match ended.reason.as_deref() {
        Some(reason) if reason != "Error" => format!(" ({reason})"),
        _ => format!(" (exit code {})", ended.exit_code),
    });
    format!("is started again and again: its container {} ends{}", container.name, how.unwrap_or_default())
}

fn with_message(what: &str, message: Option<&str>) -> String {
    match message {
        Some(message) if !message.is_empty() => format!("{what}: {message}"),
        _ => what.to_owned(),
    }
}

// The kubelet says only in an event which of a pod's volumes it misses, and the operator reads no Secret.
fn needs(pod: &Pod) -> Option<String> {
    let is_starting = |container: &ContainerStatus| {
        let waiting = container.state.as_ref().and_then(|state| state.waiting.as_ref());
        let reason = waiting.and_then(|waiting| waiting.reason.as_deref());
        reason.is_some_and(|reason| STARTING.contains(&reason))
    };
    let mounted = mounted(pod);
    (trouble(pod).is_none() && !mounted.is_empty() && containers(pod).any(is_starting))
        .then(|| format!("pod {} is being created, which takes {}", name(pod), mounted.join(", ")))
}

fn mounted(pod: &Pod) -> Vec<String> {
    let volumes = pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten());
    let mut mounted: Vec<String> = volumes
        .filter_map(|volume| volume.secret.as_ref())
        .filter(|secret| secret.optional != Some(true))
        .filter_map(|secret| Some(keyed(secret.secret_name.as_ref()?, secret.items.as_deref())))
        .collect();
    mounted.sort();
    mounted.dedup();
    mounted
}

fn keyed(secret: &str, items: Option<&[KeyToPath]>) -> String {
    let keys: Vec<&str> = items.unwrap_or_default().iter().map(|item| item.key.as_str()).collect();
    if keys.is_empty() {
        return format!("the Secret {secret}");
    }
    format!("the Secret {secret} with {}", keys.join(" and "))
}

#[cfg(test)]
mod tests;
