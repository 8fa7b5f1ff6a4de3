//! TLS by a Secret on a real Kubernetes: turned on while agents call, followed when the Secret is edited, with clients that
//! are known by their certificates.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::runtime::{Builder, Runtime};
use toolgate_e2e::agent::Outcome;
use toolgate_e2e::cluster::{Error, Forwarded, SAMPLE_TOKEN, SERVER, Stage, World, eventually, promise};

#[path = "../gateway_tls/https.rs"]
mod https;

use https::{Authority, Https, Leaf, get_leads};

const BOT: &str = "spiffe://example.com/ns/sales/sa/bot";
const GATEWAY: &str = "service/kommo-toolgate";
const TLS_PORT: u16 = 443;

const GRANT: &str = "
apiVersion: toolgate.dev/v1alpha1
kind: ToolGrant
metadata: {name: bot}
spec:
  servers: [{name: kommo}]
  subject: {type: Certificate, certificate: {uri: 'spiffe://example.com/ns/sales/sa/bot'}}
";

/// How long an edit of a Secret may take to reach a pod: the kubelet looks after a minute, and after its cache has heard.
const FOLLOWED: Duration = Duration::from_mins(3);
/// Calls without TLS while there is no pod with it.
const CALLS: usize = 5;
const LOOK: Duration = Duration::from_millis(500);

/// What one connection says, in a runtime of its own: scenarios are threads.
struct Client<'a> {
    runtime: Runtime,
    host: String,
    authority: &'a Authority,
}

impl Client<'_> {
    fn open(&self, forward: &Forwarded, client: Option<&Leaf>) -> std::io::Result<Https> {
        self.runtime.block_on(Https::to(forward.address(), &self.host, self.authority, client))
    }

    /// The status of a call on a connection of its own.
    fn status(&self, forward: &Forwarded, client: Option<&Leaf>, token: Option<&str>) -> Result<u16, Error> {
        let broken = |error: std::io::Error| Error::Broken(format!("a call by TLS: {error}"));
        let mut https = self.open(forward, client).map_err(broken)?;
        Ok(self.runtime.block_on(https.ask(&get_leads(token))).map_err(broken)?.0)
    }
}

pub(crate) fn tls_is_served_by_a_secret(world: &World<'_>, name: &str) -> Result<(), Error> {
    let stage = world.stage(name)?;
    stage.apply_samples()?;
    let host = format!("kommo-toolgate.{name}.svc");
    let (authority, clients) = (Authority::new("authority"), Authority::new("clients"));
    let (first, second) = (authority.server_of(&host), authority.server_of(&host));
    let ca = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "callers-ca"}, "data": {"ca.crt": clients.pem()}});
    stage.kubectl.apply(&ca.to_string())?;
    stage.kubectl.apply(GRANT)?;
    turn_on(&stage, &first)?;
    let url = stage.kubectl.value(SERVER, ".status.url")?;
    promise(url == format!("https://{host}/mcp"), || format!("the server's URL is {url}"))?;

    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|source| Error::File { path: "a runtime".to_owned(), source })?;
    let client = Client { runtime, host, authority: &authority };
    let forward = Forwarded::to(&stage.kubectl, GATEWAY, TLS_PORT)?;
    let bot = clients.client(&[BOT], &[]);
    let other = clients.client(&["spiffe://example.com/ns/sales/sa/other"], &[]);
    let mut differs = Vec::new();
    for (what, certificate, token, wanted) in [
        ("a token", None, Some(SAMPLE_TOKEN), 200),
        ("nothing", None, None, 401),
        ("a wrong token", None, Some("wrong"), 401),
        ("a certificate that a grant names", Some(&bot), None, 200),
        ("that, and a token", Some(&bot), Some(SAMPLE_TOKEN), 401),
        ("a certificate that no grant names", Some(&other), None, 401),
        ("that, and a token", Some(&other), Some(SAMPLE_TOKEN), 200),
    ] {
        let seen = client.status(&forward, certificate, token)?;
        println!("  by TLS with {what}: {seen}");
        if seen != wanted {
            differs.push((what, seen, wanted));
        }
    }
    promise(differs.is_empty(), || format!("seen and wanted: {differs:?}"))?;
    let stranger = Authority::new("clients").client(&[BOT], &[]);
    promise(client.status(&forward, Some(&stranger), None).is_err(), || {
        "a certificate that nobody vouches for was served".to_owned()
    })?;
    a_new_certificate_is_followed(&stage, &client, &first, &second)
}

/// Makes the Secret, or edits it, as cert-manager does.
fn hold(stage: &Stage<'_>, leaf: &Leaf) -> Result<(), Error> {
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls", "metadata": {"name": "kommo-tls"},
        "stringData": {"tls.crt": leaf.certificate_pem(), "tls.key": leaf.key_pem()},
    });
    stage.kubectl.apply(&secret.to_string())?;
    Ok(())
}

/// Turns TLS on before its Secret is there. So no pod with TLS can be ready, and those without are called on as before.
fn turn_on(stage: &Stage<'_>, leaf: &Leaf) -> Result<(), Error> {
    let (caller, arguments) = (stage.caller()?, json!({"id": 1001}));
    caller.expect("get_lead", &arguments, Outcome::Allowed)?;
    let authority = json!({"configMapKeyRef": {"name": "callers-ca", "key": "ca.crt"}});
    let tls = json!({"secretName": "kommo-tls", "clientCertificateAuthority": authority});
    let patch = json!({"spec": {"gateway": {"tls": tls}}}).to_string();
    stage.kubectl.run(&["patch", SERVER, "--type", "merge", "--patch", &patch])?;
    eventually("a pod with TLS waits for its Secret", || Ok(stage.gateways()?.len() == 2))?;
    eventually("the server has its new URL", || {
        Ok(stage.kubectl.value(SERVER, ".status.url")?.starts_with("https://"))
    })?;
    for _ in 0..CALLS {
        caller.expect("get_lead", &arguments, Outcome::Allowed)?;
    }
    hold(stage, leaf)?;
    // kubectl may forward to a pod that is going, and that one has no TLS.
    stage.rolled_out(1)?;
    stage.kubectl.wait("condition=Ready", &[SERVER])?;
    caller.expect("get_lead", &arguments, Outcome::Failed)?;
    Ok(())
}

fn a_new_certificate_is_followed(
    stage: &Stage<'_>,
    client: &Client<'_>,
    first: &Leaf,
    second: &Leaf,
) -> Result<(), Error> {
    let broken = |error: std::io::Error| Error::Broken(format!("a connection by TLS: {error}"));
    let forward = Forwarded::to(&stage.kubectl, GATEWAY, TLS_PORT)?;
    let mut old = client.open(&forward, None).map_err(broken)?;
    promise(old.seen() == first.der(), || "another certificate is shown".to_owned())?;
    let pod = stage.gateway()?;
    hold(stage, second)?;
    let edited = Instant::now();
    loop {
        // An open connection is not touched by it.
        let status = client.runtime.block_on(old.ask(&get_leads(Some(SAMPLE_TOKEN)))).map_err(broken)?.0;
        promise(status == 200, || format!("an open connection is answered {status}"))?;
        let fresh = client.open(&forward, None).map_err(broken)?;
        if fresh.seen() == second.der() {
            break;
        }
        promise(edited.elapsed() < FOLLOWED, || "the edited Secret is never used".to_owned())?;
        thread::sleep(LOOK);
    }
    println!("  an edited Secret was used after {:.1} s, by the same pod", edited.elapsed().as_secs_f64());
    let status = client.runtime.block_on(old.ask(&get_leads(Some(SAMPLE_TOKEN)))).map_err(broken)?.0;
    promise(status == 200, || format!("an open connection is answered {status}"))?;
    promise(stage.gateway()? == pod, || "the pod was replaced".to_owned())
}
