//! The project's own laws, held by a test: where things are, how large they get, and what they may not mention.

#![allow(clippy::unwrap_used, reason = "helpers of tests only")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The longest source file, in lines.
const LINES_MAX: usize = 400;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

/// Every file that belongs to the project, by its path from the root.
fn files() -> Vec<String> {
    let arguments = ["ls-files", "--cached", "--others", "--exclude-standard"];
    let listed =
        Command::new("git").args(arguments).current_dir(root()).output().expect("git lists the files");
    assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
    let paths = String::from_utf8(listed.stdout).unwrap();
    paths.lines().filter(|path| root().join(path).is_file()).map(str::to_owned).collect()
}

fn text(path: &str) -> String {
    String::from_utf8_lossy(&fs::read(root().join(path)).unwrap()).into_owned()
}

#[test]
fn the_top_level_holds_the_rooms_and_nothing_else() {
    let rooms = ["operator", "gateway", "charts", "crds", "e2e", ".ci"];
    for path in files() {
        if let Some((room, _)) = path.split_once('/') {
            assert!(rooms.contains(&room), "{path} is in no room of the project");
        }
    }
}

#[test]
fn no_source_file_is_longer_than_a_reader_can_hold() {
    let long: Vec<String> = files()
        .into_iter()
        .filter(|path| Path::new(path).extension().is_some_and(|end| end == "rs"))
        .map(|path| (text(&path).lines().count(), path))
        .filter(|(lines, _)| *lines > LINES_MAX)
        .map(|(lines, path)| format!("{path}: {lines} lines"))
        .collect();
    assert!(long.is_empty(), "{long:#?}");
}

#[test]
fn no_module_is_called_mod() {
    assert_eq!(files().into_iter().find(|path| path.ends_with("/mod.rs")), None);
}

#[test]
fn the_project_speaks_of_itself_alone() {
    // In pieces, or this list would be its own first finding.
    let foreign = [
        ["/work", "/"],
        ["/root", "/"],
        ["shared/", "design"],
        ["shared/", "reference"],
        ["regis", "try.npmjs"],
    ];
    let foreign: Vec<String> = foreign.iter().map(|pieces| pieces.concat()).collect();
    for path in files().into_iter().filter(|path| !path.ends_with("Cargo.lock") && !path.ends_with("go.sum"))
    {
        let text = text(&path);
        for word in &foreign {
            assert!(!text.contains(word.as_str()), "{path} mentions {word}");
        }
    }
}

#[test]
fn one_cryptography_provider_and_one_kube() {
    let lock = text("Cargo.lock");
    let versions = |name: &str| lock.matches(&format!("\nname = \"{name}\"\n")).count();
    for name in ["aws-lc-sys", "openssl-sys", "serde_yml"] {
        assert_eq!(versions(name), 0, "{name} is in the dependency tree");
    }
    for name in ["kube", "k8s-openapi", "schemars", "rustls", "hyper"] {
        assert_eq!(versions(name), 1, "{name}");
    }
}

#[test]
fn every_make_target_that_is_written_about_exists() {
    let makefile = text("Makefile");
    for document in
        files().into_iter().filter(|path| Path::new(path).extension().is_some_and(|end| end == "md"))
    {
        let text = text(&document);
        for mention in text.split("`make ").skip(1) {
            let target: String =
                mention.chars().take_while(|c| c.is_ascii_lowercase() || *c == '-').collect();
            assert!(makefile.contains(&format!("\n{target}:")), "{document} speaks of `make {target}`");
        }
    }
}
