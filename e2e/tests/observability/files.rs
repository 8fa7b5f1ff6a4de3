//! The files that are tested.

use std::path::{Path, PathBuf};

use serde_json::Value;

/// The root of the project.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().expect("the project is there")
}

/// The chart's folder.
pub(crate) fn chart() -> PathBuf {
    root().join("charts/toolgate")
}

/// A file of the project.
pub(crate) fn text(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).expect(path)
}

/// The dashboards, by their files' names.
pub(crate) fn dashboards() -> Vec<(String, Value)> {
    let folder = chart().join("files/dashboards");
    let mut names: Vec<String> = std::fs::read_dir(&folder)
        .expect("there are dashboards")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("a plain name"))
        .collect();
    names.sort();
    let read = |name: String| {
        let text = std::fs::read_to_string(folder.join(&name)).expect("is read");
        let dashboard = serde_json::from_str(&text).expect(&name);
        (name, dashboard)
    };
    names.into_iter().map(read).collect()
}

/// The alerts and recording rules.
pub(crate) fn rules() -> Value {
    serde_yaml::from_str(&text("charts/toolgate/files/rules.yaml")).expect("YAML")
}

/// The elements of an array, or none.
pub(crate) fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// A text, or an empty one.
pub(crate) fn word(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
