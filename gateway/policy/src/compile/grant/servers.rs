//! Faults in what a grant says of the servers that it opens.

use toolgate_crds::{FieldError, ServerReference, ServerSelector};

/// The longest name and the longest value of a label, in bytes, as Kubernetes has them.
const LABEL_BYTES_MAX: usize = 63;
/// The longest prefix of a label's name, in bytes.
const LABEL_PREFIX_BYTES_MAX: usize = 253;

pub(super) fn check(references: &[ServerReference]) -> Vec<FieldError> {
    let mut errors = Vec::new();
    for (index, reference) in references.iter().enumerate() {
        let path = format!("spec.servers[{index}]");
        match (&reference.name, &reference.selector) {
            (Some(_), None) => {}
            (None, Some(selector)) => check_selector(&path, selector, &mut errors),
            _ => errors.push(FieldError::new(path, "must have exactly one of name and selector")),
        }
    }
    errors
}

fn check_selector(path: &str, selector: &ServerSelector, errors: &mut Vec<FieldError>) {
    let path = format!("{path}.selector.matchLabels");
    if selector.match_labels.is_empty() {
        errors.push(FieldError::new(&path, "must have a label: without any it would open every server"));
    }
    // No server can have such a label, so it would open nothing, and nobody would say why.
    for (name, value) in &selector.match_labels {
        if !is_label_name(name) {
            errors.push(FieldError::new(&path, format!("{name:?} is no name of a label")));
        } else if !is_label_value(value) {
            errors.push(FieldError::new(&path, format!("{value:?} is no value of a label")));
        }
    }
}

fn is_label_name(name: &str) -> bool {
    let (prefix, name) = name.split_once('/').map_or((None, name), |(prefix, name)| (Some(prefix), name));
    let is_prefix =
        |prefix: &str| prefix.len() <= LABEL_PREFIX_BYTES_MAX && toolgate_crds::ObjectName::is_valid(prefix);
    !name.is_empty() && is_label_value(name) && prefix.is_none_or(is_prefix)
}

fn is_label_value(value: &str) -> bool {
    let edge = |byte: Option<u8>| byte.is_none_or(|byte| byte.is_ascii_alphanumeric());
    value.len() <= LABEL_BYTES_MAX
        && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
        && edge(value.bytes().next())
        && edge(value.bytes().last())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_what_a_server_can_have() {
        let (longest, prefix) = ("a".repeat(LABEL_BYTES_MAX), "p".repeat(LABEL_PREFIX_BYTES_MAX));
        for name in ["team", "Team_1.x", "toolgate.dev/team", &longest, &format!("{prefix}/team")] {
            assert!(is_label_name(name), "{name}");
        }
        for name in [
            "",
            "-a",
            "a-",
            "a b",
            "/a",
            "a/",
            "a/b/c",
            "A.b/c",
            &format!("{longest}a"),
            &format!("{prefix}p/a"),
        ] {
            assert!(!is_label_name(name), "{name}");
        }
        assert!(is_label_value("") && is_label_value("v1.2_x") && is_label_value(&longest));
        assert!(!is_label_value("_a") && !is_label_value("a/b") && !is_label_value(&format!("{longest}a")));
    }
}
