//! The Role of a server's gateway pods: to watch the one ConfigMap with their bundle, to read its parts where it is too large
//! for one, and nothing else.

use k8s_openapi::api::rbac::v1::{PolicyRule, Role};
use toolgate_policy::{BundledServer, Shard};

use super::{child_name, metadata};

pub(super) fn build(server: &BundledServer) -> Role {
    let name = child_name(server);
    Role {
        metadata: metadata(server),
        rules: Some(vec![
            // A watch that begins with a list needs all three, also for a single name.
            config_maps(vec![name.clone()], &["get", "list", "watch"]),
            // Also while there are none: rights that come with the first large bundle would come too late for it.
            config_maps(Shard::all().map(|shard| shard.config_map(&name)).collect(), &["get"]),
        ]),
    }
}

fn config_maps(names: Vec<String>, verbs: &[&str]) -> PolicyRule {
    PolicyRule {
        api_groups: Some(vec![String::new()]),
        resources: Some(vec!["configmaps".to_owned()]),
        resource_names: Some(names),
        verbs: verbs.iter().map(|verb| (*verb).to_owned()).collect(),
        ..PolicyRule::default()
    }
}
