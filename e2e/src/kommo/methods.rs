//! The methods that both eras share, answered without what only one era has.

use serde_json::{Map, Value, json};

use super::crm::Crm;
use super::rpc::{INVALID_PARAMS, METHOD_NOT_FOUND, Request, RpcError};
use super::{catalog, prompts, resources, tools};

/// What the server says of itself.
pub(super) fn server_info() -> Value {
    json!({"name": "kommo-stand-in", "version": env!("CARGO_PKG_VERSION")})
}

/// What the server says it can do.
pub(super) fn capabilities() -> Value {
    json!({
        "tools": {"listChanged": true},
        "resources": {"listChanged": true},
        "prompts": {"listChanged": true},
    })
}

/// The error for a method that the era of the request does not have.
pub(super) fn unknown_method(method: &str) -> RpcError {
    RpcError::new(METHOD_NOT_FOUND, format!("Method not found: {method}"))
}

/// Answers a method that both eras share. `missing_resource` is the era's code for a resource that is not there.
pub(super) fn answer(crm: &mut Crm, request: &Request, missing_resource: i64) -> Result<Value, RpcError> {
    let params = &request.params;
    match request.method.as_str() {
        "tools/list" => Ok(catalog::list()),
        "tools/call" => tools::call(crm, params),
        "resources/list" => Ok(resources::list()),
        "resources/templates/list" => Ok(json!({"resourceTemplates": []})),
        "resources/read" => {
            let uri = text(params, "uri")?;
            let missing = || RpcError::new(missing_resource, format!("Resource {uri} not found"));
            resources::read(crm, uri).ok_or_else(missing)
        }
        "prompts/list" => Ok(prompts::list()),
        "prompts/get" => {
            let name = text(params, "name")?;
            let missing = || RpcError::new(INVALID_PARAMS, format!("Prompt {name} not found"));
            prompts::get(name).ok_or_else(missing)
        }
        method => Err(unknown_method(method)),
    }
}

/// The notification to send before the result of a tool call whose caller asked for progress.
pub(super) fn progress(request: &Request) -> Option<Value> {
    let token = request.params.get("_meta")?.get("progressToken")?;
    (request.method == "tools/call").then(|| {
        json!({
            "jsonrpc": "2.0",
            "method": "notifications/progress",
            "params": {"progressToken": token, "progress": 1, "total": 2},
        })
    })
}

fn text<'a>(params: &'a Map<String, Value>, name: &str) -> Result<&'a str, RpcError> {
    let missing = || RpcError::new(INVALID_PARAMS, format!("Invalid params: {name} must be a string"));
    params.get(name).and_then(Value::as_str).ok_or_else(missing)
}
