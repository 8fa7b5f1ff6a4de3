//! Prometheus' own judgement of the rules.

use std::process::Command;

use crate::files;
use crate::programs::program;

fn promtool(arguments: &[&str]) {
    let Some(promtool) = program("promtool", "the judgement of promtool on the rules") else { return };
    let output = Command::new(promtool)
        .args(arguments)
        .current_dir(files::chart().join("files"))
        .output()
        .expect("promtool runs");
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("SUCCESS"), "{said}");
}

#[test]
fn the_rules_are_sound() {
    promtool(&["check", "rules", "--lint=all", "--lint-fatal", "rules.yaml"]);
}

#[test]
fn the_alerts_fire_when_they_should_and_keep_quiet_when_they_should() {
    promtool(&["test", "rules", "rules.test.yaml"]);
}
