//! `toolgate check`: files, folders and stdin.

use std::fs::{self, File};
use std::os::unix::fs::symlink;

use toolgate_crds::yaml::FILE_BYTES_MAX;

use super::run::{Folder, Run};

const FOREIGN: &str = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\n";
const FAULTY: &str = "apiVersion: toolgate.dev/v1alpha1\nkind: Policy\nmetadata: {name: q}\n";

fn told(run: &Run) -> (i32, Vec<&str>) {
    (run.status, run.lines())
}

#[test]
fn objects_of_other_groups_are_skipped_with_a_note() {
    let run = Folder::new().check(FOREIGN);
    assert_eq!(told(&run), (0, vec!["note: a.yaml: Secret/s: skipped, because it is of another API group"]));
    assert_eq!(
        run.stdout,
        "1 file (McpServer: 0, ToolPolicy: 0, ToolGrant: 0): 0 errors, 0 warnings; 1 object of other API groups skipped\n"
    );
}

#[test]
fn what_cannot_be_read_is_status_2_and_keeps_nothing_else_from_being_checked() {
    let folder = Folder::new();
    folder.write("a.yaml", FAULTY);
    fs::create_dir(folder.path("empty")).unwrap();
    let run = folder.run(&["check", "missing.yaml", "a.yaml", "empty"]);
    assert_eq!(
        told(&run),
        (
            2,
            vec![
                "empty: no *.yaml, *.yml or *.json file in this folder (-R looks into folders below it)",
                "missing.yaml: No such file or directory (os error 2)",
                "a.yaml:2: Policy/q: kind: \"Policy\" is no kind of toolgate.dev/v1alpha1",
            ]
        )
    );
    assert_eq!(run.stdout, "1 file (McpServer: 0, ToolPolicy: 0, ToolGrant: 0): 3 errors, 0 warnings\n");
}

#[test]
fn nothing_at_all_is_not_clean() {
    let folder = Folder::new();
    let nothing = vec!["toolgate check: there is nothing to check: no object in any file"];
    assert_eq!(told(&folder.pipe(&["check", "-"], "")), (2, nothing.clone()));
    assert_eq!(told(&folder.check("# only a comment\n---\n")), (2, nothing));
    assert_eq!(folder.run(&["check"]).status, 2);
}

#[test]
fn stdin_is_read_once() {
    let run = Folder::new().pipe(&["check", "-", "-"], FAULTY);
    assert_eq!(
        told(&run),
        (1, vec!["stdin:2: Policy/q: kind: \"Policy\" is no kind of toolgate.dev/v1alpha1"])
    );
}

#[test]
fn a_folder_is_its_files_and_with_recursive_those_below() {
    let folder = Folder::new();
    for name in ["f/a.yaml", "f/b.yml", "f/c.json", "f/d.txt", "f/e/f.yaml"] {
        folder.write(name, "{apiVersion: toolgate.dev/v1alpha1, kind: Policy, metadata: {name: q}}");
    }
    // A circle that nobody walks round.
    symlink("..", folder.path("f/e/up")).unwrap();
    let files = |arguments: &[&str]| {
        let run = folder.run(arguments);
        assert_eq!(run.status, 1, "{run:?}");
        run.lines().iter().map(|line| line.split(':').next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(files(&["check", "f"]), ["f/a.yaml", "f/b.yml", "f/c.json"]);
    assert_eq!(files(&["check", "-R", "f"]), ["f/a.yaml", "f/b.yml", "f/c.json", "f/e/f.yaml"]);
    assert_eq!(files(&["check", "f/d.txt"]), ["f/d.txt"]);
}

#[test]
fn a_file_that_is_named_twice_is_read_once() {
    let folder = Folder::new();
    folder.write("f/a.yaml", FAULTY);
    let run = folder.run(&["check", "f", "f/a.yaml", "./f/../f/a.yaml"]);
    assert_eq!(run.lines().len(), 1, "{run:?}");
}

#[test]
fn a_link_that_leads_nowhere_is_told() {
    let folder = Folder::new();
    folder.write("f/a.yaml", FOREIGN);
    symlink("nowhere", folder.path("f/b.yaml")).unwrap();
    let run = folder.run(&["check", "-q", "f"]);
    assert_eq!(told(&run), (2, vec!["f/b.yaml: No such file or directory (os error 2)"]));
}

#[test]
fn json_with_tabs_is_read() {
    let folder = Folder::new();
    folder.write("a.json", "{\n\t\"apiVersion\": \"toolgate.dev/v1alpha1\",\n\t\"kind\": \"Policy\",\n\t\"metadata\": {\"name\": \"q\"}\n}\n");
    let run = folder.run(&["check", "a.json"]);
    assert_eq!(
        told(&run),
        (1, vec!["a.json:3: Policy/q: kind: \"Policy\" is no kind of toolgate.dev/v1alpha1"])
    );
}

#[test]
fn a_large_file_is_read_up_to_the_bound_and_not_past_it() {
    let folder = Folder::new();
    let of_bytes = |bytes: usize| format!("{FOREIGN}#{}", " ".repeat(bytes - FOREIGN.len() - 1));
    for bytes in [2 * 1024 * 1024, FILE_BYTES_MAX] {
        assert_eq!(folder.check(of_bytes(bytes)).status, 0, "{bytes}");
    }
    let past = folder.check(of_bytes(FILE_BYTES_MAX + 1));
    assert_eq!(told(&past), (1, vec!["a.yaml: more than 4194304 bytes; so much is never read"]));
    let endless = folder.run(&["check", "/dev/zero"]);
    assert_eq!(told(&endless), (1, vec!["/dev/zero: more than 4194304 bytes; so much is never read"]));
}

#[test]
fn two_mebibytes_of_tools_are_counted_and_refused() {
    let tools: Vec<String> = (0..110_000).map(|index| format!("    tool_{index:06}: {{}}\n")).collect();
    let tools = tools.concat();
    assert!(tools.len() > 2 * 1024 * 1024);
    let run = Folder::new().check(format!(
        "apiVersion: toolgate.dev/v1alpha1\nkind: ToolPolicy\nmetadata: {{name: p}}\nspec:\n  targetRefs: [{{kind: McpServer, name: k}}]\n  tools:\n{tools}"
    ));
    assert_eq!(
        run.lines()[0],
        "a.yaml:6: ToolPolicy/p: spec.tools: must have at most 1000 entries, not 110000"
    );
    assert_eq!(run.status, 1);
}

#[test]
fn as_many_files_as_are_checked_and_one_more() {
    let folder = Folder::new();
    for index in 0..1000 {
        folder.write(&format!("f/{index:04}.yaml"), FOREIGN);
    }
    let full = folder.run(&["check", "-q", "f"]);
    assert_eq!(told(&full), (0, Vec::new()));
    folder.write("f/1000.yaml", FOREIGN);
    let past = folder.run(&["check", "-q", "f"]);
    assert_eq!(told(&past), (2, vec!["f/1000.yaml: too many files; at most 1000 are checked at once"]));
}

#[test]
fn findings_that_cannot_be_written_are_not_clean() {
    let folder = Folder::new();
    folder.write("a.yaml", FOREIGN);
    for output in ["text", "json"] {
        let mut command = folder.command(&["check", "a.yaml", "-o", output]);
        let run = Run::new(&command.stdout(File::create("/dev/full").unwrap()).output().unwrap());
        assert_eq!(run.status, 2, "{run:?}");
        assert!(run.lines().last().unwrap().starts_with("error: cannot write what was found: "), "{run:?}");
    }
}
