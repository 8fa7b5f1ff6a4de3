//! A gateway with grants of every kind, and every credential that could be shown to it.

use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use toolgate_e2e::kommo::{Answers, StandIn};
use toolgate_e2e::process::{Answer, Configuration, Gateway, Request, Start, World};

use super::api_server::{ApiServer, Says};
use super::issuer::{Issuer, Signer};

const RULES: &str = "default: deny\ntools: {get_leads: {}}";
/// Whom tokens of ServiceAccounts have to be for.
const AUDIENCE: &str = "http://kommo-toolgate.sales.svc/mcp";
/// Whom tokens of the issuer have to be for.
const CLIENT: &str = "mcp";
/// The ServiceAccount that the API server says it is.
const REVIEWED: &str = "system:serviceaccount:sales:good";

/// Each has a grant of every kind, with this in it.
const GRANTS: [(&str, &str); 6] = [
    ("good", "servers: [{name: kommo}]"),
    ("elsewhere", "servers: [{name: other}]"),
    ("suspended", "servers: [{name: kommo}]\n  suspended: true"),
    ("expired", "servers: [{name: kommo}]\n  expiresAt: '2026-01-01T00:00:00Z'"),
    ("twice", "servers: [{name: kommo}]"),
    ("twice", "servers: [{name: kommo}]"),
];

/// Whose word a credential is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Ours: its digest is in a grant.
    Token,
    /// A cluster's, on a ServiceAccount.
    Account,
    /// An issuer's.
    Issuer,
}

/// What is shown.
#[derive(Debug)]
pub(crate) enum Credential {
    None,
    Bearer(String),
}

/// An issuer, the key that it signed with before, and the one that it signs with now.
struct Authority {
    issuer: Issuer,
    before: Signer,
    new: Signer,
}

pub(crate) struct Court {
    stand_in: StandIn,
    configuration: Configuration,
    cluster: Authority,
    idp: Authority,
    api: ApiServer,
    gone: Arc<Mutex<String>>,
    gateway: Gateway,
}

impl Authority {
    async fn new(before: Signer, new: Signer) -> Self {
        let issuer = Issuer::publishing(json!({"keys": [before.jwk(), new.jwk()]})).await;
        Self { issuer, before, new }
    }
}

fn token(name: &str) -> String {
    format!("token-of-{name}-canary")
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later than 1970").as_secs()
}

impl Court {
    pub(crate) async fn new() -> Self {
        let stand_in = World::stand_in(Answers::Json).await.expect("a stand-in");
        let cluster = Authority::new(Signer::p256("before"), Signer::rsa("new")).await;
        let idp = Authority::new(Signer::ed25519("before"), Signer::p384("new")).await;
        let gone = Arc::<Mutex<String>>::default();
        let deleted = gone.clone();
        let says = move |token: &str| {
            if *deleted.lock().expect("nobody panicked") == token { Says::PodGone } else { Says::Holds }
        };
        let api = ApiServer::start(REVIEWED, says).await;
        let configuration = Configuration::new(&stand_in.url()).expect("files");
        let server = configuration.read("kommo-server.yaml").expect("is read");
        let other = server.replace("name: kommo}", "name: other}").replace("name: kommo\n", "name: other\n");
        assert_ne!(server, other);
        configuration.write("other-server.yaml", &other).expect("is written");
        let server = server + "  gateway: {tokenReview: true}\n";
        configuration.write("kommo-server.yaml", &server).expect("is written");
        configuration.policy("kommo-sales", RULES).expect("is written");
        for (number, (name, spec)) in GRANTS.iter().enumerate() {
            for (kind, subject) in subjects(name, &idp.issuer) {
                write(&configuration, &format!("{name}-{kind}-{number}"), spec, &subject);
            }
        }
        rotate(&configuration, &format!(", previousSha256: '{}'", digest(&token("before"))));
        let gateway = start(&configuration, &cluster, &api).await;
        Self { stand_in, configuration, cluster, idp, api, gone, gateway }
    }

    /// The credential of a row. None: there is none of this kind.
    pub(crate) fn credential(&self, kind: Kind, row: &str) -> Option<Credential> {
        let bearer = match kind {
            _ if row == "none" => return Some(Credential::None),
            Kind::Token => ours(row)?,
            Kind::Account => self.signed(&self.cluster, kind, row)?,
            Kind::Issuer if row == "of a deleted pod" => return None,
            Kind::Issuer => self.signed(&self.idp, kind, row)?,
        };
        Some(Credential::Bearer(bearer))
    }

    /// The issuers publish their new keys alone, and the grant of the rotated token has no hash but the new one. A gateway
    /// that knew the keys before believes them for a while, so another one is asked.
    pub(crate) async fn only_the_new(&mut self) {
        for authority in [&self.cluster, &self.idp] {
            authority.issuer.publish(json!({"keys": [authority.new.jwk()]}));
        }
        rotate(&self.configuration, "");
        self.gateway = start(&self.configuration, &self.cluster, &self.api).await;
    }

    pub(crate) async fn ask(&self, credential: &Credential) -> Answer {
        let request = Request::modern_call("", "get_leads", &json!({"limit": 1})).without("authorization");
        let request = match credential {
            Credential::None => request,
            Credential::Bearer(token) => request.with("authorization", &format!("Bearer {token}")),
        };
        self.gateway.ask(&request).await.expect("an answer")
    }

    pub(crate) fn reached(&self) -> usize {
        self.stand_in.record().iter().filter(|entry| entry.tool.is_some()).count()
    }

    fn signed(&self, authority: &Authority, kind: Kind, row: &str) -> Option<String> {
        let Authority { issuer, before, new } = authority;
        let (prefix, audience) = match kind {
            Kind::Account => ("system:serviceaccount:sales:", AUDIENCE),
            _ => ("", CLIENT),
        };
        let of = |name: &str| {
            json!({
                "iss": issuer.url, "sub": format!("{prefix}{name}"), "aud": [audience], "iat": now(),
                "exp": now() + 600,
            })
        };
        let good = of("good");
        let with = |name: &str, value: Value| {
            let mut claims = good.clone();
            claims[name] = value;
            new.token(&claims)
        };
        let headed = |algorithm: &str, id: &str| {
            new.token_with(&json!({"alg": algorithm, "kid": id}), &good.to_string())
        };
        Some(match row {
            "good" | "rotated: the new one" | "rotated, only the new: the new one" => new.token(&good),
            "wrong" => "a.b.c".to_owned(),
            "expired" => with("exp", json!(now() - 31)),
            "not valid yet" => with("nbf", json!(now() + 600)),
            "without an end" => {
                let mut endless = good.clone();
                endless.as_object_mut().expect("claims").remove("exp");
                new.token(&endless)
            }
            "for another audience" => with("aud", json!(["https://kubernetes.default.svc"])),
            "for this audience and another" => with("aud", json!([audience, "another"])),
            "of another issuer" => with("iss", json!("https://elsewhere.example.com")),
            "alg none" => headed("none", "new"),
            "alg HS256" => headed("HS256", "new"),
            "of a key that is not published" => headed(new.algorithm(), "unknown"),
            "signed by another key" => {
                let stranger = match kind {
                    Kind::Account => Signer::p256("before"),
                    _ => Signer::p384("new"),
                };
                stranger.token(&good)
            }
            "bent after it was signed" => new.token(&good).replacen('.', ".A", 1),
            "of another server's grant" => new.token(&of("elsewhere")),
            "of no grant" => new.token(&of("nobody")),
            "of two grants" => new.token(&of("twice")),
            "of a suspended grant" => new.token(&of("suspended")),
            "of an expired grant" => new.token(&of("expired")),
            "of a deleted pod" => {
                let token = with("jti", json!("of a deleted pod"));
                self.gone.lock().expect("nobody panicked").clone_from(&token);
                token
            }
            "rotated: the one before" | "rotated, only the new: the one before" => before.token(&good),
            _ => return None,
        })
    }
}

fn ours(row: &str) -> Option<String> {
    let name = match row {
        "good" => "good",
        "wrong" => "nothing-like-it",
        "of another server's grant" => "elsewhere",
        "of no grant" => "nobody",
        "of two grants" => "twice",
        "of a suspended grant" => "suspended",
        "of an expired grant" => "expired",
        "rotated: the one before" | "rotated, only the new: the one before" => "before",
        "rotated: the new one" | "rotated, only the new: the new one" => "new",
        _ => return None,
    };
    Some(token(name))
}

fn subjects(name: &str, issuer: &Issuer) -> [(&'static str, String); 3] {
    let oidc = format!("{{issuer: '{}', audience: {CLIENT}, claims: {{sub: {name}}}}}", issuer.url);
    [
        ("token", format!("{{type: Token, token: {{sha256: '{}'}}}}", digest(&token(name)))),
        ("account", format!("{{type: ServiceAccount, serviceAccount: {{name: {name}, namespace: sales}}}}")),
        ("issuer", format!("{{type: OIDC, oidc: {oidc}}}")),
    ]
}

fn digest(token: &str) -> String {
    Configuration::digest(token)
}

fn write(configuration: &Configuration, name: &str, spec: &str, subject: &str) {
    let text = format!(
        "apiVersion: toolgate.dev/v1alpha1\nkind: ToolGrant\nmetadata: {{name: {name}}}\nspec:\n  {spec}\n  \
         subject: {subject}\n"
    );
    configuration.write(&format!("{name}.yaml"), &text).expect("is written");
}

fn rotate(configuration: &Configuration, more: &str) {
    let subject = format!("{{type: Token, token: {{sha256: '{}'{more}}}}}", digest(&token("new")));
    write(configuration, "rotated", "servers: [{name: kommo}]", &subject);
}

async fn start(configuration: &Configuration, cluster: &Authority, api: &ApiServer) -> Gateway {
    let (config, credentials) = (configuration.objects(), configuration.credentials());
    let more = ["--server", "kommo", "--audience", AUDIENCE, "--cluster-issuer", &cluster.issuer.url];
    let start = Start { config: &config, credentials: Some(&credentials), log: "info", more: &more };
    let kubeconfig = api.kubeconfig();
    let gateway = Gateway::start_in(start, &[("KUBECONFIG", &kubeconfig)]).await.expect("a gateway");
    gateway.admin().until_ready().await.expect("is ready");
    gateway
}
