//! Faults of what a server says of its gateway's pods, beyond the schema.

use std::collections::BTreeMap;

use toolgate_crds::strict::member;
use toolgate_crds::{Autoscaling, AutoscalingType, FieldError, Gateway, ObjectName};

/// Keys of labels that the operator sets itself, beside all of [`OWN_PREFIX`].
const OWN_LABELS: [&str; 4] = [
    "app.kubernetes.io/name",
    "app.kubernetes.io/instance",
    "app.kubernetes.io/component",
    "app.kubernetes.io/managed-by",
];
/// What keys of the operator's own begin with.
const OWN_PREFIX: &str = "toolgate.dev/";
/// The most characters of a label's value, and of the name in a key.
const NAME_CHARACTERS_MAX: usize = 63;

pub(super) fn check(gateway: &Gateway, errors: &mut Vec<FieldError>) {
    if let Some(autoscaling) = &gateway.autoscaling {
        check_autoscaling(autoscaling, gateway.replicas.is_some(), errors);
    }
    labels("spec.gateway.labels", &gateway.labels, errors);
    for key in gateway.labels.keys().filter(|key| OWN_LABELS.contains(&key.as_str())) {
        errors.push(FieldError::new(member("spec.gateway.labels", key), "is set by the operator"));
    }
    labels("spec.gateway.nodeSelector", &gateway.node_selector, errors);
    annotations("spec.gateway.annotations", &gateway.annotations, errors);
    if let Some(exposure) = &gateway.exposure {
        if let Some(service) = &exposure.service {
            annotations("spec.gateway.exposure.service.annotations", &service.annotations, errors);
        }
        if let Some(ingress) = &exposure.ingress {
            annotations("spec.gateway.exposure.ingress.annotations", &ingress.annotations, errors);
        }
    }
    if let Some(policy) = &gateway.network_policy {
        // To Kubernetes a list without anybody is everybody.
        if policy.from.as_ref().is_some_and(Vec::is_empty) {
            let message = "must name somebody; leave it out to let anybody in";
            errors.push(FieldError::new("spec.gateway.networkPolicy.from", message));
        }
        labels("spec.gateway.networkPolicy.serverPods", &policy.server_pods, errors);
    }
}

fn check_autoscaling(autoscaling: &Autoscaling, has_replicas: bool, errors: &mut Vec<FieldError>) {
    let path = "spec.gateway.autoscaling";
    if has_replicas {
        errors
            .push(FieldError::new("spec.gateway.replicas", "does not go with autoscaling, which decides it"));
    }
    let own = format!("{path}.horizontalPodAutoscaler");
    match (autoscaling.type_, &autoscaling.horizontal_pod_autoscaler) {
        (AutoscalingType::External, None) => {}
        (AutoscalingType::External, Some(_)) => {
            errors.push(FieldError::new(own, "does not belong to the type External"));
        }
        (AutoscalingType::HorizontalPodAutoscaler, None) => {
            errors.push(FieldError::new(own, "is required for the type HorizontalPodAutoscaler"));
        }
        (AutoscalingType::HorizontalPodAutoscaler, Some(scaling)) => {
            if scaling.min_replicas.is_some_and(|fewest| fewest > scaling.max_replicas) {
                errors.push(FieldError::new(
                    format!("{own}.minReplicas"),
                    format!("must be at most maxReplicas, {}", scaling.max_replicas),
                ));
            }
        }
    }
}

// A label that the API server would refuse would hold up whatever it is on.
fn labels(path: &str, labels: &BTreeMap<String, String>, errors: &mut Vec<FieldError>) {
    for (key, value) in labels {
        if let Err(message) = check_key(key) {
            errors.push(FieldError::new(member(path, key), message));
        }
        if !value.is_empty() && !is_qualified_name(value) {
            let message =
                "must be at most 63 letters, digits, - _ . and begin and end with a letter or digit";
            errors.push(FieldError::new(member(path, key), message));
        }
    }
}

fn annotations(path: &str, annotations: &BTreeMap<String, String>, errors: &mut Vec<FieldError>) {
    for key in annotations.keys() {
        if let Err(message) = check_key(key) {
            errors.push(FieldError::new(member(path, key), message));
        }
    }
}

fn check_key(key: &str) -> Result<(), &'static str> {
    if key.starts_with(OWN_PREFIX) {
        return Err("is the operator's own");
    }
    let (prefix, name) = key.split_once('/').map_or((None, key), |(prefix, name)| (Some(prefix), name));
    if !is_qualified_name(name) || prefix.is_some_and(|prefix| !ObjectName::is_valid(prefix)) {
        return Err(
            "must be a name of at most 63 letters, digits, - _ . with an optional prefix and a slash",
        );
    }
    Ok(())
}

fn is_qualified_name(name: &str) -> bool {
    let edge = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
    name.len() <= NAME_CHARACTERS_MAX
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
        && edge(name.bytes().next())
        && edge(name.bytes().last())
}

#[cfg(test)]
mod tests {
    use super::{check_key, is_qualified_name};

    #[test]
    fn a_key_at_the_limit_is_fine_and_one_past_it_is_not() {
        assert!(is_qualified_name(&"a".repeat(63)) && !is_qualified_name(&"a".repeat(64)));
        for good in ["team", "example.com/team", "A_b.c-9"] {
            assert_eq!(check_key(good), Ok(()), "{good}");
        }
        for bad in ["", "/a", "a/", "a/b/c", "-a", "a-", "Example/team", "toolgate.dev/server", "a b"] {
            assert!(check_key(bad).is_err(), "{bad}");
        }
    }
}
