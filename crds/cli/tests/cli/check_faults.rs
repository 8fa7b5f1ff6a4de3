//! `toolgate check`: what is refused, and how it is told.

use serde_json::{Value, json};

use super::run::Folder;

fn policy(spec: &str) -> String {
    format!(
        "apiVersion: toolgate.dev/v1alpha1\nkind: ToolPolicy\nmetadata: {{name: p}}\nspec:\n  targetRefs: [{{kind: McpServer, name: kommo}}]\n{spec}"
    )
}

fn faults(text: &[u8]) -> Vec<String> {
    let run = Folder::new().check(text);
    let faults: Vec<String> =
        run.stderr.lines().filter(|line| !line.starts_with("warning: ")).map(str::to_owned).collect();
    assert_eq!(run.status, i32::from(!faults.is_empty()), "{run:?}");
    faults
}

#[test]
fn the_samples_are_clean() {
    let run = Folder::new().run(&["check", concat!(env!("CARGO_MANIFEST_DIR"), "/../samples")]);
    assert_eq!((run.status, run.stderr.as_str()), (0, ""));
    let counts = "(McpServer: 1, ToolPolicy: 1, ToolGrant: 1): 0 errors, 0 warnings\n";
    assert!(run.stdout.ends_with(counts), "{run:?}");
}

#[test]
fn every_fault_is_told_with_its_place() {
    for (spec, told) in [
        (
            "  tools:\n    move_lead: {limits: [{counter: c, window: minute, max: 30, scope: grant}]}\n    move_lead: {}\n",
            "a.yaml:8: ToolPolicy/p: spec.tools.move_lead: duplicate key on line 8; first on line 7",
        ),
        ("  hide:\n", "a.yaml:6: ToolPolicy/p: spec.hide: must not be null; leave the field out or write {}"),
        (
            "  tools:\n    x: {denyif: []}\n",
            "a.yaml:7: ToolPolicy/p: spec.tools.x.denyif: unknown field; did you mean denyIf?",
        ),
        (
            "  tools:\n    x:\n      denyIf:\n        - {path: args.a, op: eq, value: null}\n",
            "a.yaml:9: ToolPolicy/p: spec.tools.x.denyIf[0].value: must not be null; leave the field out or write {}",
        ),
        (
            "  tools:\n    x:\n      denyIf:\n        - {path: args.a, op: eq, value: 9007199254740993}\n",
            "a.yaml:9: ToolPolicy/p: spec.tools.x.denyIf[0].value: 9007199254740993 is beyond 2^53; write it as a string",
        ),
        (
            "  allTools:\n    limits:\n      - {counter: c, window: fortnight, max: 1, scope: server}\n",
            "a.yaml:8: ToolPolicy/p: spec.allTools.limits[0].window: \"fortnight\" must match ^(second|minute|hour|day|[1-9][0-9]{0,8}[smhd])$",
        ),
        (
            "  tools:\n    get leads: {}\n",
            "a.yaml:7: ToolPolicy/p: spec.tools[\"get leads\"]: may only have letters, digits, and the characters _ - . * ?",
        ),
        (
            "  allTools:\n    limits:\n      - {counter: c, window: second, max: 1, scope: server, cost: 2}\n",
            "a.yaml:8: ToolPolicy/p: spec.allTools.limits[0].cost: 2 is above max 1: no call would ever be admitted",
        ),
    ] {
        assert_eq!(faults(policy(spec).as_bytes()), [told], "{spec}");
    }
}

#[test]
fn a_file_that_is_none_of_ours_is_refused() {
    assert_eq!(
        faults(b"apiVersion: toolgate.dev/v1alpha1\nkind: Policy\nmetadata: {name: q}\n"),
        ["a.yaml:2: Policy/q: kind: \"Policy\" is no kind of toolgate.dev/v1alpha1"]
    );
    assert_eq!(faults(b"a: 1\nb: \xff\n"), ["a.yaml:2: invalid YAML: not UTF-8"]);
    let invalid = faults(b"a: [1, 2\nb: 3\n");
    assert!(invalid.len() == 1 && invalid[0].starts_with("a.yaml: invalid YAML: "), "{invalid:?}");
    assert_eq!(
        faults(b"apiVersion: v1\nkind: List\nitems: []\n"),
        ["a.yaml:2: List: kind: a list is not read; write its items as documents"]
    );
}

#[test]
fn all_faults_of_all_files_are_told_at_once() {
    let folder = Folder::new();
    folder.write("a.yaml", policy("  tools:\n    a: {}\n    a: {}\n  defualt: deny\n  hdie: []\n"));
    folder.write("b.yaml", "apiVersion: toolgate.dev/v1alpha1\nkind: ToolGrant\nmetadata: {name: anonymous}\nspec:\n  servers: [{name: kommo}]\n  subject: {type: Token, token: {sha256: \"0\"}}\n");
    let run = folder.run(&["check", "a.yaml", "b.yaml", "--quiet"]);
    assert_eq!((run.status, run.stdout.as_str()), (1, ""));
    assert_eq!(
        run.lines(),
        [
            "a.yaml:8: ToolPolicy/p: spec.tools.a: duplicate key on line 8; first on line 7",
            "a.yaml:9: ToolPolicy/p: spec.defualt: unknown field; did you mean default?",
            "a.yaml:10: ToolPolicy/p: spec.hdie: unknown field; did you mean hide?",
            "b.yaml:6: ToolGrant/anonymous: spec.subject.token.sha256: \"0\" must match ^[0-9a-f]{64}$",
        ]
    );
}

#[test]
fn of_two_objects_with_one_name_the_second_is_told() {
    let folder = Folder::new();
    folder.write("a.yaml", policy(""));
    folder.write("b.yaml", policy(""));
    let run = folder.run(&["check", "-q", "a.yaml", "b.yaml"]);
    assert_eq!(
        (run.status, run.lines()[..].to_vec()),
        (1, vec!["b.yaml:3: ToolPolicy/p: metadata.name: is used by another object of this kind"])
    );
}

#[test]
fn a_fault_is_one_line_whatever_the_file_holds() {
    let text = "apiVersion: toolgate.dev/v1alpha1\nkind: \"\\e[2J\\nx\"\nmetadata: {name: q}\n";
    let run = Folder::new().check(text);
    assert_eq!(run.lines().len(), 1, "{run:?}");
    assert!(!run.stderr.contains('\u{1b}'), "{run:?}");
    assert!(run.stderr.starts_with("a.yaml:2: \\u{1b}[2J\\nx/q: kind: "), "{run:?}");
}

#[test]
fn programs_read_one_array() {
    let folder = Folder::new();
    folder.write(
        "a.yaml",
        policy("  defualt: deny\n") + "---\napiVersion: v1\nkind: Secret\nmetadata: {name: s}\n",
    );
    let run = folder.run(&["check", "a.yaml", "-o", "json"]);
    assert_eq!((run.status, run.stderr.as_str()), (1, ""));
    let error = json!({
        "severity": "error",
        "file": "a.yaml",
        "line": 6,
        "object": "ToolPolicy/p",
        "path": "spec.defualt",
        "message": "unknown field; did you mean default?",
    });
    let warning = json!({
        "severity": "warning",
        "file": "a.yaml",
        "line": 5,
        "object": "ToolPolicy/p",
        "path": "spec.targetRefs[0].name",
        "message": "no McpServer kommo in namespace default among these files",
    });
    let note = json!({
        "severity": "note",
        "file": "a.yaml",
        "line": null,
        "object": "Secret/s",
        "path": "",
        "message": "skipped, because it is of another API group",
    });
    assert_eq!(run.json(), json!([error, warning, note]));
    let quiet = folder.run(&["check", "a.yaml", "-o", "json", "--quiet"]);
    assert_eq!((quiet.status, quiet.json()), (1, json!([error])));
    folder.write("a.yaml", policy(""));
    let clean = folder.run(&["check", "a.yaml", "-o", "json", "--quiet"]);
    assert_eq!((clean.status, clean.json()), (0, Value::Array(Vec::new())));
}
