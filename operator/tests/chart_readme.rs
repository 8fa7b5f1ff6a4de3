//! The table of values in the chart's README is what `values.yaml` says.
//!
//! One that has drifted is written anew, and the test fails once so that the change is seen and committed.

#![allow(clippy::unwrap_used, reason = "helpers of tests only")]

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// Where the table begins and ends.
const BEGIN: &str =
    "<!-- values: written anew by `cargo test -p toolgate-operator --test chart_readme` -->\n";
const END: &str = "<!-- end of values -->\n";

/// A value of the chart.
struct Documented {
    path: Vec<String>,
    text: String,
}

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../charts/toolgate").join(name)
}

#[test]
fn the_readme_lists_every_value() {
    let values = fs::read_to_string(file("values.yaml")).unwrap();
    let readme = fs::read_to_string(file("README.md")).unwrap();
    let (before, rest) = readme.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    let written = format!("{before}{BEGIN}{}{END}{after}", table(&values));
    if written != readme {
        fs::write(file("README.md"), written).unwrap();
        panic!(
            "the README had drifted from values.yaml and was written anew: look at the change and commit it"
        );
    }
}

fn table(values: &str) -> String {
    let defaults: Value = serde_yaml::from_str(values).unwrap();
    let mut table = String::from("\n| Value | Default | |\n|---|---|---|\n");
    for Documented { path, text } in documented(values) {
        let default = path.iter().fold(&defaults, |value, key| &value[key]);
        let default = serde_json::to_string(default).unwrap().replace('|', "\\|");
        let row = ["|", &format!("`{}`", path.join(".")), "|", &format!("`{default}`"), "|"].join(" ");
        table = [table, row, format!(" {} |\n", text.replace('|', "\\|"))].concat();
    }
    table + "\n"
}

/// Every value with a comment that begins with `# --`, in the order of the file.
fn documented(values: &str) -> Vec<Documented> {
    let mut found = Vec::new();
    let mut parents: Vec<(usize, String)> = Vec::new();
    let mut comment: Option<String> = None;
    for line in values.lines() {
        let indent = line.len() - line.trim_start().len();
        let line = line.trim();
        if let Some(text) = line.strip_prefix("# -- ") {
            comment = Some(text.to_owned());
        } else if let Some(more) = line.strip_prefix("# ") {
            if let Some(text) = &mut comment {
                *text = format!("{text} {more}");
            }
        } else if let Some((key, _)) = line.split_once(':').filter(|_| !line.starts_with('-')) {
            parents.retain(|(depth, _)| *depth < indent);
            parents.push((indent, key.to_owned()));
            if let Some(text) = comment.take() {
                let path = parents.iter().map(|(_, key)| key.clone()).collect();
                found.push(Documented { path, text });
            }
        }
    }
    found
}

#[test]
fn comments_are_found_with_their_paths() {
    let values = "a:\n  # -- one\n  # line\n  b: 1\n  # a heading\n  c:\n    # -- two | three\n    d: [x]\n# -- four\ne: {}\n";
    assert_eq!(
        table(values),
        "\n| Value | Default | |\n|---|---|---|\n| `a.b` | `1` | one line |\n| `a.c.d` | `[\"x\"]` | two \\| three |\n| `e` | `{}` | four |\n\n"
    );
}
