//! `kubectl explain` has words for every field.

use serde_json::Value;

use toolgate_e2e::cluster::{Error, Kubectl, World, promise};

/// What kubectl says instead of a description.
const NOTHING: &str = "<no description>";

pub(crate) fn every_field_is_explained(world: &World<'_>, _name: &str) -> Result<(), Error> {
    let kubectl = &world.cluster.kubectl;
    let mut unexplained = Vec::new();
    for kind in ["mcpserver", "toolpolicy", "toolgrant"] {
        let text = kubectl.run(&["explain", kind])?;
        promise(!text.contains("generated") && !text.contains(NOTHING), || {
            format!("kubectl explain {kind}: {text}")
        })?;
    }
    let mut levels = 0;
    for crd in kubectl.items(&["crds", "--selector=app.kubernetes.io/instance=toolgate"])? {
        let plural = crd["spec"]["names"]["plural"].as_str().unwrap_or_default();
        let schema = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
        let mut paths = Vec::new();
        object_levels(plural, schema, &mut paths);
        levels += paths.len();
        for (path, fields) in paths {
            unexplained.extend(without_words(kubectl, &path, &fields)?);
        }
    }
    promise(levels > 20, || format!("only {levels} object levels were found"))?;
    promise(unexplained.is_empty(), || format!("kubectl explain says nothing of {unexplained:?}"))
}

/// The paths of all objects in a schema, as `kubectl explain` takes them, and the fields of each.
fn object_levels(path: &str, schema: &Value, found: &mut Vec<(String, Vec<String>)>) {
    if let Some(properties) = schema["properties"].as_object() {
        // The API server's own fields are explained by itself.
        let own = properties
            .iter()
            .filter(|(name, _)| !["metadata", "apiVersion", "kind"].contains(&name.as_str()));
        let own: Vec<_> = own.collect();
        found.push((path.to_owned(), own.iter().map(|(name, _)| (*name).clone()).collect()));
        for (name, property) in own {
            object_levels(&format!("{path}.{name}"), property, found);
        }
    }
    object_levels_below(path, &schema["items"], found);
    object_levels_below(path, &schema["additionalProperties"], found);
}

fn object_levels_below(path: &str, schema: &Value, found: &mut Vec<(String, Vec<String>)>) {
    if schema.is_object() {
        object_levels(path, schema, found);
    }
}

fn without_words(kubectl: &Kubectl, path: &str, fields: &[String]) -> Result<Vec<String>, Error> {
    let text = kubectl.run(&["explain", path])?;
    let lines: Vec<&str> = text.lines().collect();
    let is_explained = |field: &&String| {
        let head = format!("  {field}\t<");
        let below = lines.iter().position(|line| line.starts_with(&head)).and_then(|at| lines.get(at + 1..));
        // Permitted values may stand between a field and its words.
        let words = below.into_iter().flatten().find(|line| !line.starts_with("  enum: "));
        words.is_some_and(|words| !words.trim().is_empty() && words.trim() != NOTHING)
    };
    let unexplained = fields.iter().filter(|field| !is_explained(field));
    Ok(unexplained.map(|field| format!("{path}.{field}")).collect())
}
