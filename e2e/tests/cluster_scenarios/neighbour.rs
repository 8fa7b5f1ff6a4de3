//! A second release that looks after one namespace, with nothing beyond namespaces, and the chart's own store.

use serde_json::json;

use toolgate_e2e::agent::Outcome;
use toolgate_e2e::cluster::{Error, Neighbour, POLICY, SERVER, Store, World, eventually, promise, samples};

/// The second release and its namespace.
const RELEASE: &str = "toolgate-second";
/// How many gateways count in the store.
const GATEWAYS: usize = 2;

pub(crate) fn a_second_release_keeps_to_its_namespaces(world: &World<'_>, name: &str) -> Result<(), Error> {
    let watched = world.stage(name)?;
    let other = world.stage(&format!("{name}-not"))?;
    let store = Store::image(world.cluster)?;
    let settings = [
        format!("watchNamespaces={{{name}}}"),
        "crds.enabled=false".to_owned(),
        "admission.enabled=false".to_owned(),
        "userRoles.create=false".to_owned(),
        "redis.enabled=true".to_owned(),
        format!("redis.image.registry={}", store.registry),
        format!("redis.image.repository={}", store.name),
        format!("redis.image.tag={}", store.tag),
    ];
    let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
    let play = |neighbour: &Neighbour| {
        other.kubectl.run(&["apply", "--filename", &samples()])?;
        watched.apply_samples()?;
        let counters = json!({"redis": {"url": format!("redis://{RELEASE}-redis.{RELEASE}.svc:6379")}});
        let patch = json!({"spec": {"counters": counters, "gateway": {"replicas": GATEWAYS}}}).to_string();
        watched.kubectl.run(&["patch", SERVER, "--type", "merge", "--patch", &patch])?;
        eventually("as many gateways serve and count in the chart's store", || {
            let condition = ".status.conditions[?(@.type==\"CountersAvailable\")].status";
            Ok(watched.kubectl.value(SERVER, condition)? == "True" && watched.gateways()?.len() == GATEWAYS)
        })?;
        watched.kubectl.wait("condition=Programmed", &[POLICY])?;
        watched.caller()?.expect("get_leads", &json!({}), Outcome::Allowed)?;
        watched.caller()?.expect("update_lead", &json!({"id": 1001}), Outcome::Denied)?;
        let untouched = other.kubectl.run(&["get", "deployments,configmaps", "--output", "name"])?;
        promise(!untouched.contains("kommo-toolgate"), || format!("what is not watched has {untouched}"))?;
        neighbour.keeps_to_itself(&world.operator)
    };
    let operator = format!("{RELEASE}/{RELEASE}-operator");
    world.operator.admitting(&operator, || {
        // Else the first release would look after everything.
        world.operator.away(|| world.operator.beside(RELEASE, &settings, play))
    })?;
    // The first one takes over what the second one left.
    other.kubectl.wait("condition=Ready", &[SERVER])?;
    Ok(())
}
