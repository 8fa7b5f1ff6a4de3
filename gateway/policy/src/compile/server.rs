//! Faults of an `McpServer` beyond its schema.

use toolgate_crds::{FieldError, Header, McpServerSpec, Upstream};

/// Header names that the gateway sets itself; a fixed value for one would contradict it.
const OWN_HEADERS: [&str; 12] = [
    "host",
    "content-length",
    "content-type",
    "transfer-encoding",
    "connection",
    "accept",
    "accept-encoding",
    "upgrade",
    "mcp-session-id",
    "mcp-protocol-version",
    "mcp-method",
    "mcp-name",
];

pub(super) fn check(spec: &McpServerSpec) -> Vec<FieldError> {
    let mut errors = Vec::new();
    upstream(&spec.upstream, &mut errors);
    for (index, header) in spec.upstream.headers.iter().enumerate() {
        check_header(&format!("spec.upstream.headers[{index}]"), header, &mut errors);
    }
    if let Some(counters) = &spec.counters {
        match (&counters.memory, &counters.redis) {
            (Some(_), None) => {}
            (None, Some(_)) => {
                errors.push(FieldError::new(
                    "spec.counters.redis",
                    "is not supported yet; counters are kept in memory",
                ));
            }
            _ => errors.push(FieldError::new("spec.counters", "must have exactly one of memory and redis")),
        }
    }
    if spec.replicas() > 1 {
        let message = "more than one replica needs counters in a shared store, which is not supported yet";
        errors.push(FieldError::new("spec.gateway.replicas", message));
    }
    errors
}

fn upstream(upstream: &Upstream, errors: &mut Vec<FieldError>) {
    match (&upstream.url, &upstream.service) {
        (Some(url), None) => {
            if let Err(message) = check_url(url) {
                errors.push(FieldError::new("spec.upstream.url", message));
            }
        }
        (None, Some(_)) => {}
        _ => errors.push(FieldError::new("spec.upstream", "must have exactly one of url and service")),
    }
}

fn check_url(url: &str) -> Result<(), &'static str> {
    let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
    let rest = rest.ok_or("must begin with http:// or https://")?;
    let (authority, path) = rest.split_once('/').ok_or("must have a path, such as /mcp")?;
    if authority.is_empty() || authority.contains('@') || authority.starts_with(':') {
        return Err("must have a host, and no user");
    }
    let plain =
        |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~:[]/".contains(&byte));
    if !plain(authority) || !plain(path) {
        return Err("must have no query, fragment, escape or other special character");
    }
    if path.split('/').any(|segment| segment == "." || segment == "..") {
        return Err("must have no dot segments");
    }
    Ok(())
}

fn check_header(path: &str, header: &Header, errors: &mut Vec<FieldError>) {
    let name = header.name.to_ascii_lowercase();
    if OWN_HEADERS.contains(&name.as_str()) || name.starts_with("mcp-param-") {
        errors
            .push(FieldError::new(format!("{path}.name"), format!("{} is set by the gateway", header.name)));
    }
    if header.value.is_some() == header.secret_key_ref.is_some() {
        errors.push(FieldError::new(path, "must have exactly one of value and secretKeyRef"));
    }
    let visible = |value: &String| value.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    if header.value.as_ref().is_some_and(|value| !visible(value)) {
        errors.push(FieldError::new(
            format!("{path}.value"),
            "must have only visible ASCII characters and spaces",
        ));
    }
}
