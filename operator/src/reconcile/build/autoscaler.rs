//! The HorizontalPodAutoscaler of a server's gateway Deployment.

use k8s_openapi::api::autoscaling::v2::{
    CrossVersionObjectReference, HorizontalPodAutoscaler, HorizontalPodAutoscalerSpec, MetricSpec,
    MetricTarget, ResourceMetricSource,
};
use toolgate_policy::BundledServer;

use super::{child_name, metadata};

/// The use of processors that is aimed at, in percent of the request, where the server does not say.
const TARGET_CPU_PERCENT: i32 = 80;

pub(super) fn build(server: &BundledServer) -> Option<HorizontalPodAutoscaler> {
    let autoscaling = server.spec.gateway.as_ref()?.autoscaling.as_ref()?;
    let scaling = autoscaling.horizontal_pod_autoscaler.as_ref()?;
    let target = scaling.target_cpu_utilization_percentage.unwrap_or(TARGET_CPU_PERCENT);
    Some(HorizontalPodAutoscaler {
        metadata: metadata(server),
        spec: HorizontalPodAutoscalerSpec {
            min_replicas: Some(scaling.min_replicas.unwrap_or(1)),
            max_replicas: scaling.max_replicas,
            metrics: Some(vec![MetricSpec {
                type_: "Resource".to_owned(),
                resource: Some(ResourceMetricSource {
                    name: "cpu".to_owned(),
                    target: MetricTarget {
                        type_: "Utilization".to_owned(),
                        average_utilization: Some(target),
                        ..MetricTarget::default()
                    },
                }),
                ..MetricSpec::default()
            }]),
            scale_target_ref: CrossVersionObjectReference {
                api_version: Some("apps/v1".to_owned()),
                kind: "Deployment".to_owned(),
                name: child_name(server),
            },
            ..HorizontalPodAutoscalerSpec::default()
        },
        ..HorizontalPodAutoscaler::default()
    })
}
