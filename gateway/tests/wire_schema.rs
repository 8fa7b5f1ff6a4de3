//! The table of methods against what the official SDKs ship of the specification's schemas: a method that a revision
//! has and the table lacks fails, and so does one that a newer pinned SDK brings.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use toolgate_gateway::wire::era::{Era, Version};
use toolgate_gateway::wire::method::{Method, Sender, ServerRequest, Shape};

/// Where `e2e/sdks/fetch` installs the SDKs of other languages.
const SDKS: &str = "../target/sdks";
/// Makes it a failure that they are not there.
const REQUIRE: &str = "TOOLGATE_REQUIRE_SDKS";

/// What the Rust SDK has beyond the revisions: of extensions that the gateway does not know, so it refuses them.
const REFUSED_EXTENSIONS: [&str; 4] =
    ["notifications/elicitation/response", "resources/directory/read", "skills/get", "skills/list"];

fn shape(name: &str) -> Shape {
    if name.starts_with("notifications/") { Shape::Notification } else { Shape::Request }
}

fn knows(name: &str, sender: Sender, era: Era) -> bool {
    Method::parse(name, shape(name), sender, era).is_some()
}

fn knows_of_any(name: &str, era: Era) -> bool {
    knows(name, Sender::Client, era) || knows(name, Sender::Server, era)
}

fn era(version: Version) -> Era {
    match version {
        Version::V2026_07_28 => Era::Modern,
        version => Era::Session { version: Some(version) },
    }
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).expect("an SDK's file can be read")
}

/// The quoted words that follow `before`, white space aside.
fn quoted_after<'t>(text: &'t str, before: &'t str) -> impl Iterator<Item = &'t str> {
    text.split(before).skip(1).filter_map(|rest| {
        let rest = rest.trim_start();
        let quote = rest.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
        rest[1..].split(quote).next()
    })
}

/// The Rust SDK's sources, which the scenarios are built with.
fn rmcp() -> PathBuf {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).expect("cargo's own JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    let rmcp = packages.iter().find(|package| package["name"] == "rmcp").expect("rmcp is a dependency");
    Path::new(rmcp["manifest_path"].as_str().expect("a path")).parent().expect("a folder").to_path_buf()
}

/// A file of the SDKs of other languages. Where they are not, it is said loudly what was not run.
fn installed(needed_for: &str, path: impl Fn(&Path) -> Option<PathBuf>) -> Option<String> {
    let found = path(&Path::new(env!("CARGO_MANIFEST_DIR")).join(SDKS)).filter(|path| path.is_file());
    if found.is_none() {
        // Not by a macro: what those print is shown of failures only.
        let told = format!("\nNOT RUN: {needed_for}: no SDKs; e2e/sdks/fetch installs them\n");
        std::io::stderr().write_all(told.as_bytes()).expect("standard error is open");
        assert!(env::var_os(REQUIRE).is_none_or(|value| value != "1"), "{REQUIRE}=1 makes this a failure");
    }
    found.map(|path| read(&path))
}

fn python(sdks: &Path, file: &str) -> Option<PathBuf> {
    let libraries = fs::read_dir(sdks.join("python-2/lib")).ok()?;
    let mut versions = libraries.filter_map(Result::ok).map(|version| version.path());
    versions.find_map(|version| {
        Some(version.join("site-packages/mcp_types").join(file)).filter(|file| file.is_file())
    })
}

#[test]
fn the_table_has_every_method_of_the_rust_sdk() {
    let model = read(&rmcp().join("src/model.rs"));
    let names: BTreeSet<&str> = quoted_after(&model, "Method =").collect();
    assert!(names.len() > 30, "the SDK's model is written in another way: {names:?}");
    let unknown: Vec<&str> = names
        .into_iter()
        .filter(|name| {
            !knows_of_any(name, Era::Modern) && !Version::ALL.iter().any(|v| knows_of_any(name, era(*v)))
        })
        .collect();
    assert_eq!(unknown, REFUSED_EXTENSIONS, "give each method a handling, or say why it is refused");
}

#[test]
fn the_table_has_every_method_of_the_schemas_as_the_python_sdk_generates_them() {
    for (file, version) in [("_v2025_11_25", Version::V2025_11_25), ("_v2026_07_28", Version::V2026_07_28)] {
        let wanted = format!("the table of methods against the schema of {version}");
        let Some(schema) = installed(&wanted, |sdks| python(sdks, &format!("{file}/__init__.py"))) else {
            return;
        };
        let names: BTreeSet<&str> = quoted_after(&schema, "method: Literal[").collect();
        assert!(names.len() >= 20, "the schema is written in another way: {names:?}");
        // In 2026-07-28 what a server asks stands inside a result and is no message of its own.
        let asked = |name: &str| version == Version::V2026_07_28 && ServerRequest::parse(name).is_some();
        let unknown: Vec<&str> =
            names.into_iter().filter(|name| !knows_of_any(name, era(version)) && !asked(name)).collect();
        assert_eq!(unknown, [""; 0], "{version}");
    }
}

#[test]
fn the_table_lets_each_side_of_each_revision_send_what_the_python_sdk_does() {
    let wanted = "the table of methods by revision and sender";
    let Some(text) = installed(wanted, |sdks| python(sdks, "methods.py")) else { return };
    let maps = [
        ("CLIENT_REQUESTS", Sender::Client),
        ("CLIENT_NOTIFICATIONS", Sender::Client),
        ("SERVER_REQUESTS", Sender::Server),
        ("SERVER_NOTIFICATIONS", Sender::Server),
    ];
    let mut rows = 0;
    for (map, sender) in maps {
        let entries = text.split(&format!("\n{map}: Final")).nth(1).and_then(|rest| rest.split("\n)").next());
        for line in entries.expect("the SDK has its maps under other names").lines() {
            let Some((name, version)) =
                line.trim().strip_prefix("(\"").and_then(|rest| rest.split_once("\", \""))
            else {
                continue;
            };
            let Some(version) = version.split('"').next().and_then(Version::parse) else { continue };
            rows += 1;
            assert!(knows(name, sender, era(version)), "{sender:?} sends {name} in {version}");
        }
    }
    assert!(rows > 100, "the maps are written in another way: {rows} rows");
}

#[test]
fn the_table_has_every_method_of_the_schema_in_the_typescript_sdk() {
    let wanted = "the table of methods against the schema in the TypeScript SDK";
    let path = "node_modules/@modelcontextprotocol/sdk/dist/esm/spec.types.d.ts";
    let Some(schema) = installed(wanted, |sdks| Some(sdks.join(path))) else { return };
    let names: BTreeSet<&str> = quoted_after(&schema, "method: ").collect();
    assert!(names.len() >= 30, "the schema is written in another way: {names:?}");
    let session = era(Version::V2025_11_25);
    let unknown: Vec<&str> = names.into_iter().filter(|name| !knows_of_any(name, session)).collect();
    assert_eq!(unknown, [""; 0]);
}
