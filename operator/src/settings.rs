//! The command line.

use std::net::SocketAddr;

use clap::{Parser, ValueEnum};

use crate::reconcile::build::GatewaySettings;

/// Reconciles McpServers, ToolPolicies and ToolGrants into gateways.
#[derive(Clone, Debug, Parser)]
#[command(name = "toolgate-operator", version)]
pub struct Settings {
    /// The image of the gateways.
    #[arg(long, env = "TOOLGATE_GATEWAY_IMAGE")]
    pub gateway_image: String,
    /// When the image of the gateways is pulled.
    #[arg(long, env = "TOOLGATE_GATEWAY_IMAGE_PULL_POLICY", value_enum, default_value = "IfNotPresent")]
    pub gateway_image_pull_policy: PullPolicy,
    /// A Secret, in the namespace of each server, that the image of the gateways is pulled with. May be repeated.
    #[arg(long, env = "TOOLGATE_GATEWAY_IMAGE_PULL_SECRETS", value_delimiter = ',')]
    pub gateway_image_pull_secret: Vec<String>,
    /// A namespace to look after. May be repeated; all namespaces when absent.
    #[arg(long, env = "TOOLGATE_WATCH_NAMESPACES", value_delimiter = ',')]
    pub watch_namespace: Vec<String>,
    /// Where probes and metrics are served.
    #[arg(long, env = "TOOLGATE_LISTEN", default_value = "0.0.0.0:8080")]
    pub listen: SocketAddr,
    /// How log lines are written.
    #[arg(long, env = "TOOLGATE_LOG_FORMAT", value_enum, default_value = "json")]
    pub log_format: LogFormat,
    /// What is logged, such as `info` or `toolgate_operator=debug,warn`.
    #[arg(long, env = "TOOLGATE_LOG", default_value = "info")]
    pub log: String,
}

/// When an image is pulled, as Kubernetes names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "PascalCase")]
pub enum PullPolicy {
    /// At every start of a pod.
    Always,
    /// Where the node does not have it.
    IfNotPresent,
    /// Not at all.
    Never,
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

impl Settings {
    /// How gateway pods are run.
    pub fn gateways(&self) -> GatewaySettings {
        let policy = match self.gateway_image_pull_policy {
            PullPolicy::Always => "Always",
            PullPolicy::IfNotPresent => "IfNotPresent",
            PullPolicy::Never => "Never",
        };
        GatewaySettings {
            image: self.gateway_image.clone(),
            image_pull_policy: policy.to_owned(),
            image_pull_secrets: self.gateway_image_pull_secret.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::Settings;

    #[test]
    fn flags_become_settings() {
        let flags = [
            "toolgate-operator",
            "--gateway-image=registry.example/gateway:1",
            "--gateway-image-pull-policy=Never",
            "--gateway-image-pull-secret=one",
            "--gateway-image-pull-secret=two",
            "--watch-namespace=sales",
            "--watch-namespace=support",
        ];
        let settings = Settings::try_parse_from(flags).unwrap();
        assert_eq!(settings.watch_namespace, ["sales", "support"]);
        let gateways = settings.gateways();
        assert_eq!(gateways.image, "registry.example/gateway:1");
        assert_eq!(gateways.image_pull_policy, "Never");
        assert_eq!(gateways.image_pull_secrets, ["one", "two"]);
    }
}
