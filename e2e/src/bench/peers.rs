//! What stands beside the gateway: a plain proxy that decides nothing, and Envoy with its filter for MCP.
//!
//! Both come from their usual packages, unpacked below `target/` by the script `fetch`. Where one is not there it is
//! left out, and the report says so.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde_json::{Value, json};

use super::program::{Launch, free_address};
use super::rules;
use crate::kommo;
use crate::process::Folder;

/// Where nginx is after it was fetched, or installed.
const NGINX: [&str; 2] = ["target/bench/nginx/usr/sbin/nginx", "/usr/sbin/nginx"];
const ENVOY: [&str; 1] = ["target/bench/envoy/envoy"];

fn find(places: &[&str]) -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    places.iter().map(|place| root.join(place)).find(|path| path.is_file())
}

/// A plain proxy with one worker and kept connections on both sides. None: there is no nginx.
pub(super) fn nginx(folder: &Folder, upstream: SocketAddr) -> anyhow::Result<Option<Launch>> {
    let Some(program) = find(&NGINX) else { return Ok(None) };
    let (address, home) = (free_address()?, folder.path().display());
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("{kind}_temp_path {home}/nginx-{kind};"))
        .join(" ");
    let configuration = format!(
        "daemon off; master_process off; worker_processes 1; pid {home}/nginx.pid; error_log stderr warn;\n\
         events {{ worker_connections 1024; }}\n\
         http {{\n  access_log off; {temporary}\n\
         \x20 keepalive_requests 1000000000; keepalive_timeout 1h; tcp_nodelay on;\n\
         \x20 upstream mcp {{ server {upstream}; keepalive 128; keepalive_requests 1000000000; }}\n\
         \x20 server {{\n    listen {address};\n\
         \x20   location / {{ proxy_pass http://mcp; proxy_http_version 1.1; proxy_set_header Connection \"\"; }}\n\
         \x20 }}\n}}\n"
    );
    let file = write(folder, "nginx.conf", &configuration)?;
    let prefix = folder.path().display().to_string();
    let command = [
        text(&program)?,
        "-p".to_owned(),
        prefix,
        "-c".to_owned(),
        file,
        "-e".to_owned(),
        "stderr".to_owned(),
    ];
    let log = folder.path().join("nginx.log");
    Ok(Some(Launch { command: command.into(), environment: Vec::new(), address, log }))
}

/// Envoy with the filter that reads MCP, tools allowed by name, and a local limit. None: there is no Envoy.
pub(super) fn envoy(folder: &Folder, upstream: SocketAddr) -> anyhow::Result<Option<Launch>> {
    let Some(program) = find(&ENVOY) else { return Ok(None) };
    let address = free_address()?;
    let configuration = envoy_configuration(address, upstream).to_string();
    let file = write(folder, "envoy.json", &configuration)?;
    let arguments =
        ["--config-path", &file, "--concurrency", "1", "--disable-hot-restart", "--log-level", "error"];
    let command = [text(&program)?].into_iter().chain(arguments.map(str::to_owned)).collect();
    let log = folder.path().join("envoy.log");
    Ok(Some(Launch { command, environment: Vec::new(), address, log }))
}

fn envoy_configuration(address: SocketAddr, upstream: SocketAddr) -> Value {
    let endpoint = |address: SocketAddr| json!({"socket_address": {"address": address.ip().to_string(), "port_value": address.port()}});
    let filter = |name: &str, kind: &str, mut config: Value| {
        config["@type"] = json!(format!("type.googleapis.com/envoy.extensions.filters.http.{kind}"));
        json!({"name": format!("envoy.filters.http.{name}"), "typed_config": config})
    };
    let filters = [
        filter("mcp", "mcp.v3.Mcp", json!({})),
        filter(
            "rbac",
            "rbac.v3.RBAC",
            json!({"rules": {"action": "ALLOW", "policies": {"tools": allowed_tools()}}}),
        ),
        filter(
            "local_ratelimit",
            "local_ratelimit.v3.LocalRateLimit",
            json!({
                "stat_prefix": "limit",
                "token_bucket": {"max_tokens": 1_000_000, "tokens_per_fill": 1_000_000, "fill_interval": "1s"},
                "filter_enabled": {"default_value": {"numerator": 100}},
                "filter_enforced": {"default_value": {"numerator": 100}},
            }),
        ),
        filter("router", "router.v3.Router", json!({})),
    ];
    let manager = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "mcp",
        "http_filters": filters,
        "route_config": {"virtual_hosts": [{"name": "mcp", "domains": ["*"],
            "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "mcp"}}]}]},
    });
    let listener = json!({"name": "mcp", "address": endpoint(address),
        "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}]});
    let cluster = json!({"name": "mcp", "type": "STATIC", "load_assignment": {"cluster_name": "mcp",
        "endpoints": [{"lb_endpoints": [{"endpoint": {"address": endpoint(upstream)}}]}]}});
    json!({"static_resources": {"listeners": [listener], "clusters": [cluster]}})
}

// The tools that the gateway allows, and the methods of the protocol that are no calls.
fn allowed_tools() -> Value {
    let read = |path: &[&str], value: &str| {
        let path: Vec<Value> = path.iter().map(|key| json!({"key": key})).collect();
        json!({"metadata": {"filter": "envoy.filters.http.mcp", "path": path, "value": {"string_match": {"exact": value}}}})
    };
    let methods =
        ["initialize", "notifications/initialized", "tools/list"].map(|method| read(&["method"], method));
    let tools = kommo::tool_names()
        .filter(|tool| !rules::hides(tool) && *tool != rules::DENIED)
        .map(|tool| read(&["params", "name"], tool));
    let permissions: Vec<Value> = methods.into_iter().chain(tools).collect();
    json!({"permissions": [{"or_rules": {"rules": permissions}}], "principals": [{"any": true}]})
}

fn write(folder: &Folder, name: &str, content: &str) -> anyhow::Result<String> {
    folder.write(name, content)?;
    text(&folder.path().join(name))
}

fn text(path: &Path) -> anyhow::Result<String> {
    path.to_str().map(str::to_owned).context("a path is no text")
}
