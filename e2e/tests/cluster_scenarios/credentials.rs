//! Every credential at a gateway on a real Kubernetes, in one table: tokens of ours, and tokens of ServiceAccounts that the
//! API server signed, or that its own key signed for us.

use std::time::{Duration, Instant};

use serde_json::json;
use toolgate_e2e::agent::Outcome;
use toolgate_e2e::cluster::{Caller, Error, POLICY, REVIEWED, SERVER, Stage, World, promise, token_digest};

#[path = "credentials/account.rs"]
mod account;

use account::Forge;

/// What a credential opens, by its row: a token of ours, and one of a ServiceAccount. A dash: there is none of the kind.
const MATRIX: [(&str, &str, &str); 18] = [
    ("good", "allowed", "allowed"),
    ("none", "unauthorized", "unauthorized"),
    ("wrong", "unauthorized", "unauthorized"),
    ("its claims, signed again", "-", "allowed"),
    ("expired", "-", "unauthorized"),
    ("for another server", "-", "unauthorized"),
    ("for the API server", "-", "unauthorized"),
    ("for both", "-", "unauthorized"),
    ("of another issuer", "-", "unauthorized"),
    ("alg none", "-", "unauthorized"),
    ("signed by another key", "-", "unauthorized"),
    ("of another server's grant", "unauthorized", "unauthorized"),
    ("of no grant", "unauthorized", "unauthorized"),
    ("of a suspended grant", "unauthorized", "unauthorized"),
    ("of an expired grant", "unauthorized", "unauthorized"),
    ("of a pod that runs", "-", "allowed"),
    ("rotated, the one before", "allowed", "-"),
    ("rotated, the new one", "allowed", "-"),
];

/// How long the token of a deleted pod may open something, as the README has it.
const WITHDRAWN: Duration = Duration::from_mins(1);

/// Each has a ServiceAccount, a grant for that, and one for a token of its name, but for what is said of `nobody`.
const GRANTS: [(&str, &str); 5] = [
    ("good", "servers: [{name: kommo}]"),
    ("elsewhere", "servers: [{name: other}]"),
    ("suspended", "servers: [{name: kommo}]\n  suspended: true"),
    ("expired", "servers: [{name: kommo}]\n  expiresAt: \"2026-01-01T00:00:00Z\""),
    ("nobody", ""),
];

const ROTATED: &str = r#"{"spec": {"subject": {"token": {"sha256": "NEW", "previousSha256": "OLD"}}}}"#;
const ROTATION_ENDED: &str = r#"{"spec": {"subject": {"token": {"previousSha256": null}}}}"#;

pub(crate) fn only_live_credentials_open_a_server(world: &World<'_>, name: &str) -> Result<(), Error> {
    promise(name == REVIEWED, || "the chart lets another gateway ask about tokens".to_owned())?;
    let stage = world.stage(name)?;
    stage.apply_samples()?;
    patch(&stage, SERVER, r#"{"spec": {"gateway": {"tokenReview": true}}}"#)?;
    // The limit on the whole server is for other scenarios.
    patch(&stage, POLICY, r#"{"spec": {"allTools": null}}"#)?;
    grants(&stage)?;
    stage.kubectl.wait("condition=Programmed", &["toolgrant/good", "toolgrant/good-token", POLICY])?;
    stage.kubectl.rolled_out("kommo-toolgate")?;
    stage.kubectl.wait("condition=Ready", &[SERVER])?;
    let forge = Forge::new(&stage)?;
    mount(&stage, &forge)?;
    let caller = stage.caller()?;
    let mut differs = Vec::new();
    println!("  {:<28} {:<14} ServiceAccount", "credential", "token");
    for (number, row @ (what, token, account)) in MATRIX.into_iter().enumerate() {
        let seen_token = outcome(&caller, what, token, &format!("token-{number}"))?;
        let seen_account = outcome(&caller, what, account, &format!("account-{number}"))?;
        println!("  {what:<28} {seen_token:<14} {seen_account}");
        if (seen_token, seen_account) != (token, account) {
            differs.push(row);
        }
    }
    promise(differs.is_empty(), || format!("wanted otherwise: {differs:?}"))?;
    a_rotation_ends(&stage, &caller)?;
    a_suspended_grant_is_nobodys(&stage, &caller)?;
    a_deleted_pod_takes_its_token_along(&stage, &caller)
}

fn patch(stage: &Stage<'_>, object: &str, patch: &str) -> Result<(), Error> {
    stage.kubectl.run(&["patch", object, "--type", "merge", "--patch", patch])?;
    Ok(())
}

fn grants(stage: &Stage<'_>) -> Result<(), Error> {
    for (name, spec) in GRANTS {
        stage.kubectl.run(&["create", "serviceaccount", name])?;
        if spec.is_empty() {
            continue;
        }
        let grant = |name: &str, subject: &str| {
            format!(
                "apiVersion: toolgate.dev/v1alpha1\nkind: ToolGrant\nmetadata: {{name: {name}}}\nspec:\n  {spec}\n  \
                 subject: {subject}\n"
            )
        };
        let account = format!("{{type: ServiceAccount, serviceAccount: {{name: {name}}}}}");
        let token = format!("{{type: Token, token: {{sha256: \"{}\"}}}}", token_digest(&token(name)));
        stage.kubectl.apply(&grant(name, &account))?;
        stage.kubectl.apply(&grant(&format!("{name}-token"), &token))?;
    }
    let other = stage.kubectl.get(&[SERVER])?;
    let other = json!({
        "apiVersion": other["apiVersion"], "kind": other["kind"], "metadata": {"name": "other"},
        "spec": {"upstream": other["spec"]["upstream"]},
    });
    stage.kubectl.apply(&other.to_string())?;
    let grant = json!({
        "apiVersion": "toolgate.dev/v1alpha1", "kind": "ToolGrant", "metadata": {"name": "rotated"},
        "spec": {
            "servers": [{"name": "kommo"}],
            "subject": {"type": "Token", "token": {"sha256": token_digest(&token("before"))}},
        },
    });
    stage.kubectl.apply(&grant.to_string())?;
    let rotated = ROTATED.replace("NEW", &token_digest(&token("new")));
    patch(stage, "toolgrant/rotated", &rotated.replace("OLD", &token_digest(&token("before"))))
}

/// A token of ours, which opens nothing that lasts.
fn token(name: &str) -> String {
    format!("toolgate-scenario-token-{name}")
}

/// Runs a pod that holds every credential of the table.
fn mount(stage: &Stage<'_>, forge: &Forge) -> Result<(), Error> {
    stage.fill(include_str!("../../manifests/callers.yaml"), &[])?;
    stage.kubectl.wait("condition=Ready", &["pod/bound"])?;
    let mut held = serde_json::Map::new();
    for (number, (what, ..)) in MATRIX.iter().enumerate() {
        let ours = match *what {
            "good" => "good",
            "wrong" | "of no grant" => "nobody",
            "of another server's grant" => "elsewhere",
            "of a suspended grant" => "suspended",
            "of an expired grant" => "expired",
            "rotated, the one before" => "before",
            "rotated, the new one" => "new",
            _ => "there-is-none",
        };
        held.insert(format!("token-{number}"), token(ours).into());
        if let Some(account) = forge.credential(stage, what)? {
            held.insert(format!("account-{number}"), account.into());
        }
    }
    let secret =
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "callers"}, "stringData": held});
    stage.kubectl.apply(&secret.to_string())?;
    stage.kubectl.wait("condition=Ready", &["pod/callers"])?;
    Ok(())
}

/// What a call with a credential came to.
fn outcome(caller: &Caller<'_>, what: &str, wanted: &str, key: &str) -> Result<&'static str, Error> {
    if wanted == "-" {
        return Ok("-");
    }
    let caller = if what == "none" { caller.without_token() } else { caller.at("callers", key) };
    Ok(caller.call("get_lead", &json!({"id": 1001}))?.outcome.name())
}

fn row(what: &str) -> usize {
    MATRIX.iter().position(|(known, ..)| *known == what).unwrap_or_default()
}

fn a_rotation_ends(stage: &Stage<'_>, caller: &Caller<'_>) -> Result<(), Error> {
    patch(stage, "toolgrant/rotated", ROTATION_ENDED)?;
    stage.kubectl.wait("condition=Programmed", &["toolgrant/rotated"])?;
    let lead = json!({"id": 1001});
    let at = |what| caller.at("callers", &format!("token-{}", row(what)));
    at("rotated, the one before").until("get_lead", &lead, Outcome::Unauthorized)?;
    at("rotated, the new one").expect("get_lead", &lead, Outcome::Allowed)?;
    println!("  rotated, only the new: the one before is unauthorized, the new one allowed");
    Ok(())
}

fn a_suspended_grant_is_nobodys(stage: &Stage<'_>, caller: &Caller<'_>) -> Result<(), Error> {
    let lead = json!({"id": 1001});
    for (grant, key) in [("good", "account"), ("good-token", "token")] {
        let object = format!("toolgrant/{grant}");
        let own = caller.at("callers", &format!("{key}-{}", row("good")));
        for (suspended, outcome) in [("true", Outcome::Unauthorized), ("false", Outcome::Allowed)] {
            patch(stage, &object, &format!(r#"{{"spec": {{"suspended": {suspended}}}}}"#))?;
            let sighting = own.until("get_lead", &lead, outcome)?;
            println!("  {object} suspended: {suspended}: {} after {} calls", outcome.name(), sighting.calls);
        }
    }
    Ok(())
}

fn a_deleted_pod_takes_its_token_along(stage: &Stage<'_>, caller: &Caller<'_>) -> Result<(), Error> {
    let own = caller.at("callers", &format!("account-{}", row("of a pod that runs")));
    own.expect("get_lead", &json!({"id": 1001}), Outcome::Allowed)?;
    stage.kubectl.run(&["delete", "pod", "bound"])?;
    let deleted = Instant::now();
    own.until("get_lead", &json!({"id": 1001}), Outcome::Unauthorized)?;
    let took = deleted.elapsed();
    println!("  of a pod that was deleted: unauthorized {:.1} s after it was gone", took.as_secs_f64());
    promise(took <= WITHDRAWN, || format!("its token opened the server for {} s more", took.as_secs()))?;
    let another = caller.at("callers", &format!("account-{}", row("good")));
    another.expect("get_lead", &json!({"id": 1001}), Outcome::Allowed)?;
    Ok(())
}
