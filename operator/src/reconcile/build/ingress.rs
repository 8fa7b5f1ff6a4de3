//! The Ingress that leads to a server's gateways from outside the cluster.

use k8s_openapi::api::networking::v1::{
    HTTPIngressPath, HTTPIngressRuleValue, Ingress, IngressBackend, IngressRule, IngressServiceBackend,
    IngressSpec, IngressTLS, ServiceBackendPort,
};
use toolgate_policy::BundledServer;

use super::{PUBLIC_PATHS, child_name, metadata};
use crate::reconcile::build::service_port;

pub(super) fn build(server: &BundledServer) -> Option<Ingress> {
    let wanted = server.spec.exposure()?.ingress.as_ref()?;
    let path = |path: &&str| HTTPIngressPath {
        path: Some((*path).to_owned()),
        path_type: "Exact".to_owned(),
        backend: IngressBackend {
            service: Some(IngressServiceBackend {
                name: child_name(server),
                port: Some(ServiceBackendPort {
                    number: Some(service_port(server)),
                    ..ServiceBackendPort::default()
                }),
            }),
            ..IngressBackend::default()
        },
    };
    let tls = wanted.tls.as_ref().map(|tls| {
        vec![IngressTLS {
            hosts: Some(vec![wanted.host.clone()]),
            secret_name: Some(tls.secret_name.to_string()),
        }]
    });
    let mut metadata = metadata(server);
    metadata.annotations = (!wanted.annotations.is_empty()).then(|| wanted.annotations.clone());
    Some(Ingress {
        metadata,
        spec: Some(IngressSpec {
            ingress_class_name: wanted.class_name.as_ref().map(ToString::to_string),
            rules: Some(vec![IngressRule {
                host: Some(wanted.host.clone()),
                http: Some(HTTPIngressRuleValue { paths: PUBLIC_PATHS.iter().map(path).collect() }),
            }]),
            tls,
            ..IngressSpec::default()
        }),
        ..Ingress::default()
    })
}
