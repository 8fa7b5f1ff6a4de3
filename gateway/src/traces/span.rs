//! What spans say, by OpenTelemetry's conventions for MCP: one of the gateway as a server, and below it one of the gateway
//! as a client of the guarded server. What is the gateway's own is under `toolgate.`.
//!
//! No span holds an argument, a credential, a resource's URI, or a name that neither a policy nor the server's list knows.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use toolgate_policy::{Outcome, Target};

use super::Noted;
use crate::metrics::OTHER;
use crate::otlp::attribute as text;

/// `SPAN_KIND_SERVER` and `SPAN_KIND_CLIENT`.
const SERVER: u8 = 2;
const CLIENT: u8 = 3;
/// `STATUS_CODE_ERROR`.
const ERROR: u8 = 2;
/// What a name is called that nobody knows.
const UNKNOWN_NAME: &str = "_OTHER";

/// The spans of a request. One that never said what it asks for has none: it is in the audit trail.
pub(super) fn of(noted: &Noted, ended: SystemTime) -> Vec<Value> {
    let Some(asked) = &noted.asked else { return Vec::new() };
    let method = asked.method.name();
    let tool = noted.decided.as_ref().filter(|decided| decided.target == Target::Tool);
    let tool = tool.map(|decided| if decided.label == OTHER { UNKNOWN_NAME } else { &decided.label });
    let name = tool.map_or_else(|| method.to_owned(), |tool| format!("{method} {tool}"));
    let mut shared = vec![text("mcp.method.name", method), text("network.transport", "tcp")];
    shared.push(text("mcp.protocol.version", asked.era.version().name()));
    if let Some(tool) = tool {
        shared.extend([text("gen_ai.operation.name", "execute_tool"), text("gen_ai.tool.name", tool)]);
    }
    let correlation = &noted.correlation;
    let error = error_of(noted);
    let attributes = [shared.clone(), own(noted), of_error(error)].concat();
    let mut server = json!({
        "traceId": correlation.trace().to_string(),
        "spanId": correlation.span().to_string(),
        "name": name,
        "kind": SERVER,
        "startTimeUnixNano": nanoseconds(noted.began),
        "endTimeUnixNano": nanoseconds(ended),
        "attributes": attributes,
    });
    if let Some(parent) = correlation.parent {
        server["parentSpanId"] = parent.span.to_string().into();
    }
    failed(&mut server, error);
    let mut spans = vec![server];
    if let Some(upstream) = &noted.upstream {
        if let Some((host, port)) = &upstream.address {
            shared.extend([text("server.address", host), number("server.port", i64::from(*port))]);
        }
        shared.extend(of_error(upstream.error));
        let mut client = json!({
            "traceId": correlation.trace().to_string(),
            "spanId": correlation.upstream_span().to_string(),
            "parentSpanId": correlation.span().to_string(),
            "name": name,
            "kind": CLIENT,
            "startTimeUnixNano": nanoseconds(upstream.began),
            "endTimeUnixNano": nanoseconds(upstream.ended),
            "attributes": shared,
        });
        failed(&mut client, upstream.error);
        spans.push(client);
    }
    spans
}

// A refusal reaches the client as a failed tool.
fn error_of(noted: &Noted) -> Option<&'static str> {
    let refused = noted.decided.as_ref().filter(|decided| decided.outcome != Outcome::Allowed);
    let refused = refused.map(|decided| match decided.target {
        Target::Tool => "tool_error",
        Target::Resource | Target::Prompt => "403",
    });
    noted.error.or(refused).or(noted.upstream.as_ref().and_then(|upstream| upstream.error))
}

fn own(noted: &Noted) -> Vec<Value> {
    let mut attributes = vec![text("toolgate.request_id", &noted.correlation.request.to_string())];
    if let Some(in_force) = &noted.place {
        attributes.extend([
            text("toolgate.namespace", &in_force.place.namespace),
            text("toolgate.server", &in_force.place.server),
            number("toolgate.revision", in_force.place.revision),
        ]);
    }
    attributes.extend(noted.grant.as_ref().map(|grant| text("toolgate.grant", grant)));
    if let Some(decided) = &noted.decided {
        attributes.push(text("toolgate.verdict", decided.outcome.as_str()));
        attributes.extend(decided.rule.as_ref().map(|rule| text("toolgate.rule", rule)));
    }
    attributes
}

fn of_error(error: Option<&str>) -> Vec<Value> {
    error.map(|error| text("error.type", error)).into_iter().collect()
}

fn failed(span: &mut Value, error: Option<&str>) {
    if error.is_some() {
        span["status"] = json!({"code": ERROR});
    }
}

fn number(key: &str, value: i64) -> Value {
    json!({"key": key, "value": {"intValue": value.to_string()}})
}

fn nanoseconds(instant: SystemTime) -> String {
    instant.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos().to_string()
}
