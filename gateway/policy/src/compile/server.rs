//! Faults of an `McpServer` beyond its schema.

mod gateway;

use std::time::Duration;

use toolgate_crds::{
    CertificateAuthority, Counters, FieldError, Header, McpServerSpec, RedisCounters, Upstream,
};

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

/// The longest that a server is left alone because it said that it is called too often. Then one call finds out.
pub const PAUSE_MAX: Duration = Duration::from_mins(1);

/// Where a shared store of counters is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisAddress {
    /// A name or an address.
    pub host: String,
    /// The port.
    pub port: u16,
    /// Whether it is reached over TLS.
    pub tls: bool,
}

pub(super) fn check(spec: &McpServerSpec) -> Vec<FieldError> {
    let mut errors = Vec::new();
    upstream(&spec.upstream, &mut errors);
    if spec.upstream.busy.as_ref().is_some_and(|busy| busy.pause.length() > PAUSE_MAX) {
        let message = format!("must be at most {}s", PAUSE_MAX.as_secs());
        errors.push(FieldError::new("spec.upstream.busy.pause", message));
    }
    for (index, header) in spec.upstream.headers.iter().enumerate() {
        check_header(&format!("spec.upstream.headers[{index}]"), header, &mut errors);
    }
    if let Some(authority) = spec.tls().and_then(|tls| tls.client_certificate_authority.as_ref()) {
        check_authority("spec.gateway.tls.clientCertificateAuthority", authority, &mut errors);
    }
    if let Some(counters) = &spec.counters {
        check_counters(counters, &mut errors);
    }
    let shared = spec.counters.as_ref().is_some_and(|counters| counters.redis.is_some());
    if spec.may_have_several() && !shared {
        let field = if spec.replicas().is_some() { "replicas" } else { "autoscaling" };
        let message = "more than one replica needs counters in a shared store: set spec.counters.redis";
        errors.push(FieldError::new(format!("spec.gateway.{field}"), message));
    }
    if let Some(gateway) = &spec.gateway {
        gateway::check(gateway, &mut errors);
    }
    errors
}

fn check_counters(counters: &Counters, errors: &mut Vec<FieldError>) {
    match (&counters.memory, &counters.redis) {
        (Some(_), None) => {}
        (None, Some(redis)) => check_redis("spec.counters.redis", redis, errors),
        _ => errors.push(FieldError::new("spec.counters", "must have exactly one of memory and redis")),
    }
}

fn check_redis(path: &str, redis: &RedisCounters, errors: &mut Vec<FieldError>) {
    let mut error =
        |field: &str, message: &str| errors.push(FieldError::new(format!("{path}.{field}"), message));
    if let Err(message) = RedisAddress::parse(&redis.url) {
        error("url", message);
    }
    if redis.username.is_some() && redis.secret_key_ref.is_none() {
        error("username", "needs secretKeyRef, which names its password");
    }
    if redis.username.as_ref().is_some_and(|name| !name.bytes().all(|byte| byte.is_ascii_graphic())) {
        error("username", "must have only visible ASCII characters");
    }
    if let Some(authority) = &redis.certificate_authority {
        if redis.url.starts_with("redis://") {
            error("certificateAuthority", "is of no use without TLS: the url must begin with rediss://");
        }
        check_authority(&format!("{path}.certificateAuthority"), authority, errors);
    }
}

/// Faults of where certificates are.
pub(super) fn check_authority(path: &str, authority: &CertificateAuthority, errors: &mut Vec<FieldError>) {
    if authority.secret_key_ref.is_some() == authority.config_map_key_ref.is_some() {
        errors.push(FieldError::new(path, "must have exactly one of secretKeyRef and configMapKeyRef"));
    }
}

impl RedisAddress {
    /// Reads `redis://host:port` or `rediss://host:port`.
    ///
    /// # Errors
    /// What the URL must be.
    pub fn parse(url: &str) -> Result<Self, &'static str> {
        let plain = url.strip_prefix("redis://").map(|rest| (rest, false));
        let (authority, tls) = plain
            .or_else(|| url.strip_prefix("rediss://").map(|rest| (rest, true)))
            .ok_or("must begin with redis:// or rediss://")?;
        if authority.contains('@') {
            return Err("must have no user and no password: they are username and secretKeyRef");
        }
        if authority.contains(['/', '?', '#']) {
            return Err("must have no path, query or fragment");
        }
        let no_address = "must have a host and a port, such as redis://redis:6379";
        let (host, port) = match authority.strip_prefix('[').and_then(|rest| rest.split_once("]:")) {
            Some((host, port)) => {
                host.parse::<std::net::Ipv6Addr>().map(|_| (host, port)).map_err(|_| no_address)?
            }
            None => authority.split_once(':').ok_or(no_address)?,
        };
        let is_host = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:".contains(&byte);
        let port = Some(port).filter(|port| port.bytes().all(|byte| byte.is_ascii_digit()));
        match port.and_then(|port| port.parse::<u16>().ok()) {
            Some(port @ 1..) if !host.is_empty() && host.bytes().all(is_host) => {
                Ok(Self { host: host.to_owned(), port, tls })
            }
            _ => Err(no_address),
        }
    }
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
    if let Some(authority) = &upstream.certificate_authority {
        let path = "spec.upstream.certificateAuthority";
        if !upstream.url.as_ref().is_some_and(|url| url.starts_with("https://")) {
            errors.push(FieldError::new(path, "is of no use without TLS: the url must begin with https://"));
        }
        check_authority(path, authority, errors);
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
