//! Nobody of ours may read a Secret, nobody tried, and nobody was refused anything.

use toolgate_e2e::cluster::{Audit, Error, World, promise};

/// Everything that can be done to a Secret.
const VERBS: [&str; 8] = ["get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"];

pub(crate) fn nobody_reads_secrets(world: &World<'_>, name: &str) -> Result<(), Error> {
    let stage = world.stage(name)?;
    stage.apply_samples()?;
    let gateway = format!("system:serviceaccount:{name}:kommo-toolgate");
    for user in [world.operator.user(), &gateway] {
        let user = format!("--as={user}");
        for verb in VERBS {
            let asked = ["auth", "can-i", verb, "secrets", &user];
            let ran = stage.kubectl.attempt(&asked, "")?;
            promise(ran.stdout.trim() == "no", || format!("kubectl {asked:?} says {}", ran.output()))?;
        }
    }
    no_role_names_secrets(world)?;
    let Some(audit) = Audit::of(world.cluster) else { return Ok(()) };
    let ours = |user: &str| user == world.operator.user() || user.ends_with(":kommo-toolgate");
    let records: Vec<_> = audit.records()?.into_iter().filter(|record| ours(&record.user)).collect();
    promise(!records.is_empty(), || "the audit log knows nobody of ours".to_owned())?;
    let refused: Vec<_> = records.iter().filter(|record| record.is_forbidden).collect();
    promise(refused.is_empty(), || format!("refused by the API server: {refused:?}"))?;
    let secrets: Vec<_> = records.iter().filter(|record| record.resource.starts_with("secrets")).collect();
    promise(secrets.is_empty(), || format!("asked for Secrets: {secrets:?}"))
}

fn no_role_names_secrets(world: &World<'_>) -> Result<(), Error> {
    let kubectl = &world.cluster.kubectl;
    let labelled = "--selector=app.kubernetes.io/name=toolgate";
    let mut roles = kubectl.items(&["clusterroles", labelled])?;
    roles.extend(kubectl.items(&["roles", "--all-namespaces", labelled])?);
    promise(roles.len() >= 2, || format!("too few roles of ours: {roles:?}"))?;
    for role in roles {
        for rule in role["rules"].as_array().into_iter().flatten() {
            let words = rule.to_string();
            let wide = words.contains("secrets") || words.contains("\"*\"");
            promise(!wide, || format!("{} has the rule {words}", role["metadata"]["name"]))?;
        }
    }
    Ok(())
}
