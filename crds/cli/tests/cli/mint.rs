//! `toolgate mint`.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::process::Command;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use toolgate_crds::yaml;

use super::run::{Folder, Run};

const MINT: [&str; 4] = ["mint", "sales-agent", "--server", "kommo"];

fn mint(more: &[&str]) -> Vec<String> {
    MINT.iter().chain(more).map(ToString::to_string).collect()
}

fn run(folder: &Folder, more: &[&str]) -> Run {
    folder.run(&mint(more).iter().map(String::as_str).collect::<Vec<_>>())
}

fn grant(run: &Run) -> Value {
    let mut documents = yaml::documents(&run.stdout).unwrap();
    assert_eq!((documents.len(), documents[0].errors.len()), (1, 0), "{run:?}");
    documents.remove(0).value
}

fn sha256(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().fold(String::new(), |mut digits, byte| {
        write!(digits, "{byte:02x}").unwrap();
        digits
    })
}

fn usage_error(arguments: &[&str]) -> String {
    let run = Folder::new().run(arguments);
    assert_eq!((run.status, run.stdout.as_str()), (2, ""), "{arguments:?}: {run:?}");
    run.lines()[0].to_owned()
}

#[test]
fn a_grant_goes_to_stdout_and_its_token_once_to_stderr() {
    let run = run(&Folder::new(), &[]);
    assert_eq!(run.status, 0);
    let [sentence, token] = run.lines()[..] else { panic!("{run:?}") };
    assert_eq!(
        sentence,
        "The token of ToolGrant/sales-agent is shown only this once; callers send it as \"Authorization: Bearer TOKEN\":"
    );
    assert!(token.starts_with("tg_") && token.len() == 46, "{token}");
    assert!(!run.stdout.contains(token));
    assert_eq!(
        grant(&run),
        json!({
            "apiVersion": "toolgate.dev/v1alpha1",
            "kind": "ToolGrant",
            "metadata": {"name": "sales-agent"},
            "spec": {
                "servers": [{"name": "kommo"}],
                "subject": {"type": "Token", "token": {"sha256": sha256(token)}},
            },
        })
    );
}

#[test]
fn what_is_minted_passes_the_check() {
    let folder = Folder::new();
    for format in ["yaml", "json"] {
        let options = ["-n", "sales", "--server", "books", "--expires-in", "30d", "-o", format];
        let minted = run(&folder, &options);
        let checked = folder.pipe(&["check", "-"], &minted.stdout);
        assert_eq!(checked.status, 0, "{checked:?}");
        assert_eq!(
            checked.stdout,
            "1 file (McpServer: 0, ToolPolicy: 0, ToolGrant: 1): 0 errors, 2 warnings\n"
        );
        let object = grant(&minted);
        assert_eq!(object["metadata"]["namespace"], "sales");
        assert_eq!(object["spec"]["servers"], json!([{"name": "kommo"}, {"name": "books"}]));
    }
}

#[test]
fn json_and_yaml_are_the_same_object() {
    let folder = Folder::new();
    let object = |format: &str| {
        let mut object = grant(&run(&folder, &["--expires-at", "2999-01-01T00:00:00Z", "-o", format]));
        object["spec"]["subject"]["token"]["sha256"] = "".into();
        object
    };
    let json = run(&folder, &["-o", "json"]);
    assert_eq!(json.json()["kind"], "ToolGrant");
    assert_eq!(object("yaml"), object("json"));
    assert_eq!(object("json")["spec"]["expiresAt"], "2999-01-01T00:00:00Z");
}

#[test]
fn names_that_yaml_takes_for_something_else_stay_names() {
    let folder = Folder::new();
    for name in ["on", "no", "y", "null", "true", "1e3", "0755", "0x1f", "12.5", "2027-01-31"] {
        let run = folder.run(&["mint", name, "--server", name, "--namespace", "on"]);
        assert_eq!(grant(&run)["metadata"]["name"], name);
        for line in [format!("  name: \"{name}\""), "  namespace: \"on\"".to_owned()] {
            assert!(run.stdout.lines().any(|written| written == line), "{line} in {}", run.stdout);
        }
    }
}

#[test]
fn no_two_tokens_are_alike() {
    let folder = Folder::new();
    let tokens: BTreeSet<String> = (0..4).map(|_| run(&folder, &[]).lines()[1].to_owned()).collect();
    assert_eq!(tokens.len(), 4);
}

#[test]
fn a_token_file_is_new_and_its_owners_only() {
    let folder = Folder::new();
    let minted = run(&folder, &["--token-file", "token"]);
    assert_eq!(minted.status, 0);
    assert_eq!(minted.stderr, "The token of ToolGrant/sales-agent is in token and nowhere else.\n");
    let token = fs::read_to_string(folder.path("token")).unwrap();
    assert!(token.starts_with("tg_") && token.len() == 46, "{token:?}");
    assert!(!minted.stdout.contains(&token) && !minted.stderr.contains(&token));
    assert_eq!(grant(&minted)["spec"]["subject"]["token"]["sha256"], sha256(&token));
    assert_eq!(fs::metadata(folder.path("token")).unwrap().permissions().mode() & 0o777, 0o600);

    let again = run(&folder, &["--token-file", "token"]);
    assert_eq!((again.status, again.stdout.as_str()), (1, ""));
    assert_eq!(again.stderr, "error: --token-file token: exists already, and is not overwritten\n");
    assert_eq!(fs::read_to_string(folder.path("token")).unwrap(), token);
}

#[test]
fn a_token_file_that_cannot_be_made_leaves_nothing() {
    let folder = Folder::new();
    symlink("elsewhere", folder.path("link")).unwrap();
    let linked = run(&folder, &["--token-file", "link"]);
    assert_eq!((linked.status, linked.stdout.as_str()), (1, ""), "{linked:?}");
    assert!(!folder.path("elsewhere").exists());

    let nowhere = run(&folder, &["--token-file", "no/such/folder"]);
    assert_eq!((nowhere.status, nowhere.stdout.as_str()), (1, ""));
    assert!(nowhere.stderr.starts_with("error: --token-file no/such/folder: "), "{nowhere:?}");
}

#[test]
fn a_grant_that_cannot_be_printed_takes_its_token_along() {
    let folder = Folder::new();
    let to_full_device = |more: &[&str]| {
        let arguments = mint(more);
        let mut command = folder.command(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
        Run::new(&command.stdout(File::create("/dev/full").unwrap()).output().unwrap())
    };
    for more in [&[][..], &["--token-file", "token"]] {
        let run = to_full_device(more);
        assert_eq!(run.status, 1, "{run:?}");
        assert!(run.stderr.starts_with("error: cannot write to stdout: "), "{run:?}");
        assert_eq!(run.lines().len(), 1, "{run:?}");
        assert!(!folder.path("token").exists());
    }
}

#[test]
fn a_bad_value_is_told_with_its_flag() {
    let expected = [
        (vec!["mint", "Sales", "--server", "kommo"], "'Sales' for '<NAME>'"),
        (vec!["mint", "", "--server", "kommo"], "'<NAME>'"),
        (vec!["mint", "anonymous", "--server", "kommo"], "'anonymous' for '<NAME>': is reserved"),
        (vec!["mint", "a", "--server", "kommo crm"], "'kommo crm' for '--server <SERVER>'"),
        (vec!["mint", "a", "--server", "k", "--namespace", "a.b"], "'a.b' for '--namespace <NAMESPACE>'"),
        (vec!["mint", "a", "--server", "k", "--expires-at", "soon"], "'soon' for '--expires-at <RFC3339>'"),
        (
            vec!["mint", "a", "--server", "k", "--expires-at", "2020-01-01T00:00:00Z"],
            "for '--expires-at <RFC3339>': must be in the future",
        ),
        (vec!["mint", "a", "--server", "k", "--expires-in", "30"], "'30' for '--expires-in <DURATION>'"),
        (vec!["mint", "a", "--server", "k", "--token-file", "-"], "'-' for '--token-file <FILE>'"),
        (vec!["mint", "a", "--server", "k", "-o", "xml"], "'xml' for '--output <OUTPUT>'"),
        (
            vec!["mint", "a", "--server", "k", "--expires-in", "1d", "--expires-at", "2999-01-01T00:00:00Z"],
            "'--expires-in <DURATION>' cannot be used with '--expires-at <RFC3339>'",
        ),
    ];
    for (arguments, told) in expected {
        let error = usage_error(&arguments);
        assert!(error.starts_with("error: ") && error.contains(told), "{arguments:?}: {error}");
    }
    let missing = Folder::new().run(&["mint", "a"]);
    assert!(missing.status == 2 && missing.stderr.contains("--server <SERVER>"), "{missing:?}");
}

#[test]
fn as_many_servers_as_a_grant_may_open_and_one_more() {
    let folder = Folder::new();
    let with = |count: usize| {
        let names: Vec<String> = (0..count).map(|index| format!("--server=s{index}")).collect();
        folder.run(&["mint", "a"].into_iter().chain(names.iter().map(String::as_str)).collect::<Vec<_>>())
    };
    assert_eq!(with(64).status, 0);
    let past = with(65);
    assert_eq!((past.status, past.stdout.as_str()), (2, ""));
    assert_eq!(past.stderr, "error: --server: must have at most 64 items, not 65\n");
}

#[test]
fn as_a_plugin_it_calls_itself_as_kubectl_does() {
    let folder = Folder::new();
    symlink(env!("CARGO_BIN_EXE_toolgate"), folder.path("kubectl-toolgate")).unwrap();
    let usage = |program: &str, arguments: &[&str]| {
        let run = Run::new(&Command::new(program).args(arguments).output().unwrap());
        let line = run.stdout.lines().chain(run.stderr.lines()).find(|line| line.starts_with("Usage: "));
        line.unwrap().to_owned()
    };
    let plugin = folder.path("kubectl-toolgate").display().to_string();
    assert_eq!(usage(&plugin, &["--help"]), "Usage: kubectl toolgate <COMMAND>");
    assert_eq!(usage(&plugin, &["check"]), "Usage: kubectl toolgate check <FILE|DIR|->...");
    let binary = env!("CARGO_BIN_EXE_toolgate");
    assert_eq!(usage(binary, &["check"]), "Usage: toolgate check <FILE|DIR|->...");
}

const KEPT: &str = "apiVersion: toolgate.dev/v1alpha1
kind: ToolGrant
metadata:
  name: sales-agent
  namespace: sales
  generation: 3
  resourceVersion: \"17\"
  labels: {app.kubernetes.io/part-of: crm, \"on\": \"no\"}
  annotations: {kubectl.kubernetes.io/last-applied-configuration: \"{}\", owner: jo}
spec:
  servers: [{selector: {matchLabels: {\"yes\": \"1\"}}}, {name: kommo}]
  subject: {type: Token, token: {sha256: \"SHA\"}}
  expiresAt: \"2999-01-01T00:00:00Z\"
  suspended: true
status: {servers: [kommo]}
";

#[test]
fn a_rotation_keeps_everything_and_the_token_until_now() {
    let folder = Folder::new();
    let kept = KEPT.replace("SHA", &"a".repeat(64));
    let rotate = ["mint", "sales-agent", "--rotate", "-"];
    let first = folder.pipe(&rotate, &kept);
    assert_eq!(first.status, 0, "{first:?}");
    let [advice, _, token] = first.lines()[..] else { panic!("{first:?}") };
    assert!(advice.contains("take spec.subject.token.previousSha256 out of the grant"), "{advice}");
    assert_eq!(
        grant(&first),
        json!({
            "apiVersion": "toolgate.dev/v1alpha1",
            "kind": "ToolGrant",
            "metadata": {
                "name": "sales-agent",
                "namespace": "sales",
                "labels": {"app.kubernetes.io/part-of": "crm", "on": "no"},
                "annotations": {"owner": "jo"},
            },
            "spec": {
                "servers": [{"selector": {"matchLabels": {"yes": "1"}}}, {"name": "kommo"}],
                "subject": {"type": "Token", "token": {"sha256": sha256(token), "previousSha256": "a".repeat(64)}},
                "expiresAt": "2999-01-01T00:00:00Z",
                "suspended": true,
            },
        })
    );
    assert_eq!(folder.pipe(&["check", "-"], &first.stdout).status, 0);
    let again = folder.pipe(
        &["mint", "sales-agent", "--rotate", "-", "--expires-at", "2998-01-01T00:00:00Z"],
        &first.stdout,
    );
    let spec = &grant(&again)["spec"];
    assert_eq!(
        spec["subject"]["token"]["previousSha256"],
        sha256(token),
        "the one before that is no token any more"
    );
    assert_eq!(spec["expiresAt"], "2998-01-01T00:00:00Z");
}

#[test]
fn only_a_grant_to_a_token_can_be_rotated() {
    let folder = Folder::new();
    let kept = KEPT.replace("SHA", &"a".repeat(64));
    let oidc = "{type: OIDC, oidc: {issuer: 'https://idp.example.com', audience: mcp, claims: {sub: bot}}}";
    let refused = |name: &str, text: &str| {
        folder.write("g.yaml", text);
        let run = folder.run(&["mint", name, "--rotate", "g.yaml"]);
        assert_eq!((run.status, run.stdout.as_str()), (2, ""), "{run:?}");
        run.lines()[0].to_owned()
    };
    let of = |message: &str| format!("error: --rotate g.yaml: {message}");
    assert_eq!(refused("other", &kept), of("holds 0 ToolGrants named other, and not one"));
    let issued = kept.replace(&format!("{{type: Token, token: {{sha256: \"{}\"}}}}", "a".repeat(64)), oidc);
    assert_eq!(refused("sales-agent", &issued), of("it is no grant to a token"));
    let typo = kept.replace("suspended", "suspendet");
    assert_eq!(
        refused("sales-agent", &typo),
        "error: --rotate g.yaml:14: ToolGrant/sales-agent: spec.suspendet: unknown field; did you mean suspended?"
    );
    assert!(
        folder.run(&["mint", "a", "--rotate", "nowhere.yaml"]).stderr.contains("--rotate nowhere.yaml: ")
    );
    assert!(
        usage_error(&["mint", "a", "--rotate", "-", "--server", "kommo"]).contains("cannot be used with")
    );
}
