//! The command line.

use std::net::SocketAddr;

use clap::{Parser, ValueEnum};
use k8s_openapi::api::networking::v1::NetworkPolicyPeer;

use crate::lease::Campaign;
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
    /// Where the audit trail of the gateways goes: stdout, off, or the collector that takes it by OTLP over HTTP.
    #[arg(long, env = "TOOLGATE_GATEWAY_AUDIT", value_parser = audit, default_value = "stdout")]
    pub gateway_audit: String,
    /// An image that a server may choose for its gateway, or what its name begins with if this ends with `/`, `:` or `@`.
    /// May be repeated; no server may choose when absent.
    #[arg(long, env = "TOOLGATE_GATEWAY_ALLOWED_IMAGES", value_delimiter = ',')]
    pub gateway_allowed_image: Vec<String>,
    /// Whether gateways get a NetworkPolicy where their server does not say.
    #[arg(long, env = "TOOLGATE_GATEWAY_NETWORK_POLICY")]
    pub gateway_network_policy: bool,
    /// Who reaches the gateways' admin port by that policy: a JSON list of peers, as a NetworkPolicy has it.
    #[arg(long, env = "TOOLGATE_GATEWAY_ADMIN_PEERS", value_parser = admin_peers, default_value = "[]")]
    pub gateway_admin_peers: AdminPeers,
    /// The collector that the gateways' spans go to by OTLP over HTTP; they trace nothing when it is empty.
    #[arg(long, env = "TOOLGATE_GATEWAY_TRACES", value_parser = traces, default_value = "")]
    pub gateway_traces: String,
    /// Gateways refuse servers and issuers in private networks.
    #[arg(long, env = "TOOLGATE_GATEWAY_REFUSE_PRIVATE_ADDRESSES")]
    pub gateway_refuse_private_addresses: bool,
    /// A namespace to look after. May be repeated; all namespaces when absent.
    #[arg(long, env = "TOOLGATE_WATCH_NAMESPACES", value_delimiter = ',')]
    pub watch_namespace: Vec<String>,
    /// Elect one leader among several operators, by a Lease. Without it never run two at a time.
    #[arg(long, env = "TOOLGATE_LEADER_ELECTION")]
    pub leader_election: bool,
    /// The Lease's name.
    #[arg(long, env = "TOOLGATE_LEASE_NAME", default_value = "toolgate-operator")]
    pub lease_name: String,
    /// The Lease's namespace; the operator's own when absent.
    #[arg(long, env = "TOOLGATE_LEASE_NAMESPACE")]
    pub lease_namespace: Option<String>,
    /// Who this operator is among several, such as its pod's name; made from the host's name when absent.
    #[arg(long, env = "TOOLGATE_IDENTITY")]
    pub identity: Option<String>,
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

/// Who reaches the gateways' admin port.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AdminPeers(Vec<NetworkPolicyPeer>);

// As strict as a gateway that is started with it.
fn is_collector(text: &str) -> bool {
    let rest = ["http://", "https://"].iter().find_map(|scheme| text.strip_prefix(scheme));
    let authority = rest.and_then(|rest| rest.split('/').next()).unwrap_or_default();
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"@?#\\\"<>^`{|}".contains(&byte);
    !authority.is_empty() && !authority.starts_with(':') && text.bytes().all(is_plain)
}

fn traces(text: &str) -> Result<String, &'static str> {
    let known = text.is_empty() || is_collector(text);
    known.then(|| text.to_owned()).ok_or("must be the URL of a collector, such as http://collector:4318")
}

// A file would be one of a pod that is gone tomorrow.
fn audit(text: &str) -> Result<String, &'static str> {
    let known = matches!(text, "stdout" | "off") || is_collector(text);
    known
        .then(|| text.to_owned())
        .ok_or("must be stdout, off, or the URL of a collector, such as http://collector:4318")
}

fn admin_peers(text: &str) -> Result<AdminPeers, serde_json::Error> {
    serde_json::from_str(text).map(AdminPeers)
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
    /// Who this operator is among several.
    pub fn identity(&self) -> String {
        self.identity.clone().unwrap_or_else(|| {
            let host = std::env::var("HOSTNAME").unwrap_or_else(|_| "operator".to_owned());
            format!("{host}-{}", std::process::id())
        })
    }

    /// The election to take part in, if any. `own` is the namespace that this operator runs in.
    pub fn campaign(&self, own: &str) -> Option<Campaign> {
        self.leader_election.then(|| Campaign {
            namespace: self.lease_namespace.clone().unwrap_or_else(|| own.to_owned()),
            lease: self.lease_name.clone(),
            identity: self.identity(),
        })
    }

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
            traces: Some(self.gateway_traces.clone()).filter(|url| !url.is_empty()),
            audit: self.gateway_audit.clone(),
            allowed_images: self.gateway_allowed_image.clone(),
            refuse_private_addresses: self.gateway_refuse_private_addresses,
            network_policy: self.gateway_network_policy,
            admin_peers: self.gateway_admin_peers.0.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::Settings;

    #[test]
    fn without_flags_there_is_no_election() {
        let settings = Settings::try_parse_from(["toolgate-operator", "--gateway-image=gateway:1"]).unwrap();
        assert!(settings.campaign("tools").is_none());
    }

    #[test]
    fn flags_become_settings() {
        let flags = [
            "toolgate-operator",
            "--gateway-image=registry.example/gateway:1",
            "--gateway-image-pull-policy=Never",
            "--gateway-image-pull-secret=one",
            "--gateway-image-pull-secret=two",
            "--gateway-audit=off",
            "--gateway-traces=http://collector:4318",
            "--gateway-allowed-image=registry.example/gateway@",
            "--gateway-network-policy",
            "--gateway-refuse-private-addresses",
            r#"--gateway-admin-peers=[{"podSelector": {"matchLabels": {"app": "prometheus"}}}]"#,
            "--watch-namespace=sales",
            "--watch-namespace=support",
            "--leader-election",
            "--lease-name=one-of-two",
            "--identity=operator-0",
        ];
        let settings = Settings::try_parse_from(flags).unwrap();
        assert_eq!(settings.watch_namespace, ["sales", "support"]);
        let campaign = settings.campaign("tools").unwrap();
        assert_eq!((campaign.namespace.as_str(), campaign.lease.as_str()), ("tools", "one-of-two"));
        assert_eq!(campaign.identity, "operator-0");
        let gateways = settings.gateways();
        assert_eq!(gateways.image, "registry.example/gateway:1");
        assert_eq!(gateways.image_pull_policy, "Never");
        assert_eq!(gateways.image_pull_secrets, ["one", "two"]);
        assert_eq!(gateways.audit, "off");
        assert_eq!(gateways.traces.as_deref(), Some("http://collector:4318"));
        assert_eq!(gateways.allowed_images, ["registry.example/gateway@"]);
        assert!(gateways.network_policy && gateways.refuse_private_addresses);
        assert_eq!(gateways.admin_peers.len(), 1);
        let broken = ["toolgate-operator", "--gateway-image=a", "--gateway-admin-peers={}"];
        assert!(Settings::try_parse_from(broken).is_err());
        for (audit, is_one) in [
            ("stdout", true),
            ("https://collector", true),
            ("http://collector:4318/otlp", true),
            ("stderr", false),
            ("/a/file", false),
            ("http://", false),
            ("http://user:secret@collector", false),
            ("http://collector?x", false),
        ] {
            let flag = format!("--gateway-audit={audit}");
            assert_eq!(
                Settings::try_parse_from(["toolgate-operator", "--gateway-image=a", &flag]).is_ok(),
                is_one
            );
        }
    }
}
