//! TLS of a gateway's listener, in the objects that run it.

#![allow(clippy::unwrap_used, reason = "helpers of tests only")]

#[path = "support/world.rs"]
mod world;

use serde_json::{Value, json};
use toolgate_operator::reconcile::build::{Prepared, build, url};
use world::{UPSTREAM, observed, server, settings, validated};

fn prepared(gateway: &str) -> (Prepared, String) {
    let spec = format!("{UPSTREAM}\ngateway: {gateway}");
    let (bundle, packed) = validated(&observed(server(1, &spec))).bundle.unwrap();
    (build(&bundle, &packed, &settings()), url(&bundle.server))
}

fn pod(prepared: &Prepared) -> Value {
    json!(prepared.deployment)["spec"]["template"]["spec"].clone()
}

fn named(list: &Value, name: &str) -> Value {
    list.as_array().unwrap().iter().find(|item| item["name"] == name).cloned().unwrap_or(Value::Null)
}

fn after(arguments: &Value, flag: &str) -> Value {
    let arguments = arguments.as_array().unwrap();
    let at = arguments.iter().position(|argument| argument == flag);
    at.map_or(Value::Null, |at| arguments[at + 1].clone())
}

#[test]
fn without_tls_nothing_of_it_is_there() {
    let (prepared, url) = prepared("{}");
    let pod = pod(&prepared);
    assert_eq!(url, "http://crm-toolgate.shop.svc/mcp");
    assert_eq!(json!(prepared.service)["spec"]["ports"][0]["port"], 80);
    assert_eq!(named(&pod["volumes"], "tls"), Value::Null);
    assert_eq!(after(&pod["containers"][0]["args"], "--tls"), Value::Null);
}

#[test]
fn the_certificate_is_mounted_by_name_and_the_url_is_the_audience() {
    let (prepared, url) = prepared("{tls: {secretName: crm-tls}}");
    let (pod, service) = (pod(&prepared), json!(prepared.service));
    let container = &pod["containers"][0];
    assert_eq!(url, "https://crm-toolgate.shop.svc/mcp");
    assert_eq!(after(&container["args"], "--audience"), url);
    // Each port leads to pods that speak as it says: while pods are replaced, also to those that have no TLS yet.
    let ports = json!([
        {"name": "mcp-tls", "port": 443, "protocol": "TCP", "targetPort": "mcp-tls"},
        {"name": "mcp", "port": 80, "protocol": "TCP", "targetPort": "mcp"},
    ]);
    assert_eq!(service["spec"]["ports"], ports);
    assert_eq!(container["ports"][0], json!({"name": "mcp-tls", "containerPort": 8080, "protocol": "TCP"}));
    let items = json!([{"key": "tls.crt", "path": "tls.crt"}, {"key": "tls.key", "path": "tls.key"}]);
    let volume = named(&pod["volumes"], "tls");
    assert_eq!((&volume["secret"]["secretName"], &volume["secret"]["items"]), (&json!("crm-tls"), &items));
    let mount = named(&container["volumeMounts"], "tls");
    assert_eq!(after(&container["args"], "--tls"), mount["mountPath"]);
    // A mount by path would never see a renewed certificate.
    assert_eq!((&mount["readOnly"], &mount["subPath"]), (&json!(true), &Value::Null));
    assert_eq!(after(&container["args"], "--client-ca"), Value::Null);
    assert_eq!(container["readinessProbe"]["httpGet"]["scheme"], "HTTP", "probes stay without TLS");
}

#[test]
fn authorities_of_clients_come_from_a_secret_or_a_config_map() {
    for (kind, source) in [("secret", "secretKeyRef"), ("configMap", "configMapKeyRef")] {
        let authority = format!("{{{source}: {{name: callers, key: bundle.pem}}}}");
        let tls = format!("{{tls: {{secretName: crm-tls, clientCertificateAuthority: {authority}}}}}");
        let pod = pod(&prepared(&tls).0);
        let volume = named(&pod["volumes"], "client-ca");
        let name = if kind == "secret" { &volume[kind]["secretName"] } else { &volume[kind]["name"] };
        assert_eq!(name, "callers");
        assert_eq!(volume[kind]["items"], json!([{"key": "bundle.pem", "path": "ca.crt"}]));
        let container = &pod["containers"][0];
        let mount = named(&container["volumeMounts"], "client-ca");
        let file = format!("{}/ca.crt", mount["mountPath"].as_str().unwrap());
        assert_eq!(after(&container["args"], "--client-ca"), file);
    }
}

#[test]
fn an_authority_is_named_in_one_way() {
    for authority in ["{}", "{secretKeyRef: {name: a, key: b}, configMapKeyRef: {name: a, key: b}}"] {
        let spec = format!(
            "{UPSTREAM}\ngateway: {{tls: {{secretName: crm-tls, clientCertificateAuthority: {authority}}}}}"
        );
        let validated = validated(&observed(server(1, &spec)));
        assert_eq!(
            validated.server.errors[0].to_string(),
            "spec.gateway.tls.clientCertificateAuthority: must have exactly one of secretKeyRef and configMapKeyRef"
        );
    }
}
