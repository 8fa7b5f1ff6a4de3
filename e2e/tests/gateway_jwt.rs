//! Callers by tokens that an issuer signed, at the real gateway: a cluster's issuer and an OIDC issuer on loopback.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use toolgate_e2e::kommo::Answers;
use toolgate_e2e::process::{
    ALICE, Answer, Configuration, Gateway, Request, Socket, Start, Step, Upstream, World,
};

#[path = "../../gateway/tests/support/issuer.rs"]
mod issuer;

use issuer::{Issuer, Signer};

const RULES: &str = "default: deny\ntools:\n  get_leads: {}";
/// Whom tokens of ServiceAccounts have to be for.
const AUDIENCE: &str = "http://kommo-toolgate.sales.svc/mcp";
/// The subject of the ServiceAccount `agent`.
const AGENT: &str = "system:serviceaccount:sales:agent";

fn get_leads(token: &str) -> Request {
    Request::modern_call(token, "get_leads", &json!({"limit": 1}))
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later than 1970").as_secs()
}

fn claims(issuer: &Issuer, subject: &str, audience: &str) -> Value {
    json!({"iss": issuer.url, "sub": subject, "aud": [audience], "iat": now(), "exp": now() + 600})
}

fn grant(name: &str, subject: &str, more: &str) -> String {
    format!(
        "apiVersion: toolgate.dev/v1alpha1\nkind: ToolGrant\nmetadata: {{name: {name}}}\nspec:\n  \
         servers: [{{name: kommo}}]\n  subject: {subject}\n  {more}\n"
    )
}

fn of_oidc(issuer: &Issuer, claims: &str) -> String {
    format!("{{type: OIDC, oidc: {{issuer: '{}', audience: mcp, claims: {claims}}}}}", issuer.url)
}

const OF_AGENT: &str = "{type: ServiceAccount, serviceAccount: {name: agent, namespace: sales}}";

/// A gateway with a grant to the ServiceAccount `agent` of a cluster, and one to the subject `bot` of an issuer.
struct Court {
    cluster: Issuer,
    clusters: Signer,
    idp: Issuer,
    idps: Signer,
    configuration: Configuration,
    gateway: Gateway,
}

impl Court {
    async fn at(upstream: &str) -> Self {
        let (clusters, idps) = (Signer::rsa("cluster-key"), Signer::p256("idp-key"));
        let cluster = Issuer::publishing(json!({"keys": [clusters.jwk()]})).await;
        let idp = Issuer::publishing(json!({"keys": [idps.jwk()]})).await;
        let configuration = Configuration::new(upstream).expect("files");
        configuration.policy("kommo-sales", RULES).expect("is written");
        configuration.write("agent.yaml", &grant("agent", OF_AGENT, "")).expect("is written");
        configuration.write("bot.yaml", &grant("bot", &of_oidc(&idp, "{sub: bot}"), "")).expect("is written");
        let (config, credentials) = (configuration.objects(), configuration.credentials());
        let more = ["--audience", AUDIENCE, "--cluster-issuer", &cluster.url];
        let start = Start {
            config: &config,
            credentials: Some(&credentials),
            log: "info,toolgate_gateway=debug",
            more: &more,
        };
        let gateway = Gateway::ready(start).await.expect("a gateway");
        Self { cluster, clusters, idp, idps, configuration, gateway }
    }

    fn agent(&self) -> String {
        self.clusters.token(&claims(&self.cluster, AGENT, AUDIENCE))
    }

    fn bot(&self) -> String {
        self.idps.token(&claims(&self.idp, "bot", "mcp"))
    }

    async fn ask(&self, token: &str) -> Answer {
        self.gateway.ask(&get_leads(token)).await.expect("an answer")
    }

    async fn status(&self, token: &str) -> u16 {
        self.ask(token).await.status
    }

    async fn rewrite(&self, file: &str, text: &str) {
        let before = self.gateway.admin().revision().await.expect("a revision");
        self.configuration.write(file, text).expect("is written");
        let newer = |answer: &Answer| answer.json()["revision"] != before;
        self.gateway.admin().until("/revision", "a newer revision", newer).await.expect("a newer revision");
    }
}

#[tokio::test]
async fn signed_tokens_are_whose_their_issuers_say_and_leave_no_trace() {
    let stand_in = World::stand_in(Answers::Json).await.expect("a stand-in");
    let court = Court::at(&stand_in.url()).await;
    let (agent, bot) = (court.agent(), court.bot());
    for token in [&agent, &bot, &agent, &bot] {
        let answer = court.ask(token).await;
        assert_eq!((answer.status, answer.verdict()), (200, None), "{}", answer.text());
    }
    let metrics = court.gateway.admin().metrics().await.expect("metrics");
    for caller in ["agent", "bot"] {
        let allowed = metrics.sum("toolgate_tool_calls_total", &[("grant", caller), ("verdict", "allowed")]);
        assert!((allowed - 2.0).abs() < f64::EPSILON, "{caller}: {allowed}");
    }
    assert_eq!((court.cluster.asked(), court.idp.asked()), (2, 2), "each was asked once for both documents");
    let (reached, log) = (format!("{:?}", stand_in.record()), court.gateway.log().text());
    for token in [&agent, &bot] {
        assert!(!reached.contains(token.as_str()) && !log.contains(token.as_str()));
    }
}

#[tokio::test]
async fn what_cannot_be_verified_is_nobodys() {
    let stand_in = World::stand_in(Answers::Json).await.expect("a stand-in");
    let court = Court::at(&stand_in.url()).await;
    let good = claims(&court.idp, "bot", "mcp");
    let with = |name: &str, value: Value| {
        let mut claims = good.clone();
        claims[name] = value;
        court.idps.token(&claims)
    };
    let stranger = Signer::p256("idp-key");
    let header = |algorithm: &str, id: &str| {
        court.idps.token_with(&json!({"alg": algorithm, "kid": id}), &good.to_string())
    };
    let mut endless = good.clone();
    endless.as_object_mut().expect("claims").remove("exp");
    let tampered = court.bot().replacen('.', ".A", 1);
    for (what, token) in [
        ("malformed", "a.b.c".to_owned()),
        ("expired", with("exp", json!(now() - 31))),
        ("not yet valid", with("nbf", json!(now() + 600))),
        ("without an end", court.idps.token(&endless)),
        ("for others", with("aud", json!("other"))),
        ("of another issuer", with("iss", json!("https://idp.example.com"))),
        ("of the cluster, says another", with("iss", json!(court.cluster.url))),
        ("not the subject", with("sub", json!("robot"))),
        ("unsigned", header("none", "idp-key")),
        ("with a shared secret", header("HS256", "idp-key")),
        ("of an unknown key", header("ES256", "other")),
        ("of the cluster's key", header("ES256", "cluster-key")),
        ("tampered", tampered),
        ("forged", stranger.token(&good)),
        (
            "a ServiceAccount's for the API server",
            court.clusters.token(&claims(&court.cluster, AGENT, "api")),
        ),
        (
            "another ServiceAccount's",
            court.clusters.token(&claims(&court.cluster, "system:serviceaccount:default:agent", AUDIENCE)),
        ),
        ("a ServiceAccount by another's word", court.idps.token(&claims(&court.idp, AGENT, AUDIENCE))),
    ] {
        let answer = court.ask(&token).await;
        assert_eq!(answer.status, 401, "{what}: {}", answer.text());
        assert_eq!(answer.header("www-authenticate"), Some("Bearer error=\"invalid_token\""), "{what}");
        assert_eq!(answer.body, b"", "{what}: nothing is told of why");
    }
    assert_eq!(court.status(&court.bot()).await, 200);
    assert!(stand_in.record().iter().filter(|entry| entry.tool.is_some()).count() == 1);
    let metrics = court.gateway.admin().metrics().await.expect("metrics");
    let refused = metrics.sum("toolgate_tokens_refused_total", &[]);
    assert!((refused - 16.0).abs() < f64::EPSILON, "all but the one that only no grant describes: {refused}");
}

#[tokio::test]
async fn a_grant_that_goes_takes_its_tokens_along() {
    let stand_in = World::stand_in(Answers::Json).await.expect("a stand-in");
    let court = Court::at(&stand_in.url()).await;
    let (agent, bot) = (court.agent(), court.bot());
    assert_eq!((court.status(&agent).await, court.status(&bot).await), (200, 200));
    let of_bot = of_oidc(&court.idp, "{sub: bot}");
    court.rewrite("bot.yaml", &grant("bot", &of_bot, "suspended: true")).await;
    assert_eq!(court.status(&bot).await, 401, "a token that is kept, too");
    court.rewrite("bot.yaml", &grant("bot", &of_bot, "expiresAt: '2026-01-01T00:00:00Z'")).await;
    assert_eq!(court.status(&bot).await, 401);
    court.rewrite("bot.yaml", &grant("bot", &of_bot, "")).await;
    assert_eq!(court.status(&bot).await, 200);
    court.rewrite("twin.yaml", &grant("twin", &of_bot, "")).await;
    assert_eq!(court.status(&bot).await, 401, "of two grants it is nobody's");
    court
        .rewrite("agent.yaml", &grant("agent", "{type: ServiceAccount, serviceAccount: {name: agent}}", ""))
        .await;
    assert_eq!(court.status(&agent).await, 401);
}

#[tokio::test]
async fn a_token_that_a_grant_names_by_its_digest_is_that_grants_alone() {
    let stand_in = World::stand_in(Answers::Json).await.expect("a stand-in");
    let court = Court::at(&stand_in.url()).await;
    let bot = court.bot();
    let before = court.gateway.admin().revision().await.expect("a revision");
    court.configuration.grant("alice", &bot, "suspended: true").expect("is written");
    let newer = |answer: &Answer| answer.json()["revision"] != before;
    court.gateway.admin().until("/revision", "a newer revision", newer).await.expect("a newer revision");
    assert_eq!(court.status(&bot).await, 401, "though the issuer says that it is the bot's");
    assert_eq!(court.idp.asked(), 0);
    assert_eq!(court.status(&court.idps.token(&claims(&court.idp, "bot", "mcp"))).await, 200);
    assert_eq!(court.status(ALICE).await, 401);
}

#[tokio::test]
async fn an_open_stream_ends_with_its_grant() {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";
    let script = move |_: &_| vec![Step::Send(format!("{head}:\n\n").into_bytes()), Step::Hold];
    let upstream = Upstream::start(script).await.expect("an upstream");
    let court = Court::at(&upstream.url()).await;
    let mut socket = Socket::open(court.gateway.address()).await.expect("connects");
    socket.send(&get_leads(&court.bot()).bytes()).await.expect("is sent");
    assert_eq!(socket.head().await.expect("a head").status, 200);
    court.rewrite("bot.yaml", &grant("bot", &of_oidc(&court.idp, "{sub: robot}"), "")).await;
    socket.until("the grant was revoked").await.expect("the stream says so");
    upstream.until_left(1).await.expect("the gateway leaves the server");
}

#[tokio::test]
async fn an_issuer_that_cannot_be_asked_lets_nobody_in_and_is_said() {
    let stand_in = World::stand_in(Answers::Json).await.expect("a stand-in");
    let court = Court::at(&stand_in.url()).await;
    court.idp.publish(json!("nothing"));
    assert_eq!(court.status(&court.bot()).await, 401);
    let line = court.gateway.log().message(0, "no keys of an issuer").await.expect("it is logged");
    assert!(line["issuer"].as_str().is_some_and(|issuer| issuer.contains(&court.idp.url)), "{line}");
    let metrics = court.gateway.admin().metrics().await.expect("metrics");
    assert!(
        (metrics.sum("toolgate_tokens_refused_total", &[("reason", "no_keys")]) - 1.0).abs() < f64::EPSILON
    );
    assert_eq!(court.status(&court.agent()).await, 200, "others are let in");
}

#[tokio::test]
async fn clients_find_out_where_tokens_come_from() {
    let stand_in = World::stand_in(Answers::Json).await.expect("a stand-in");
    let court = Court::at(&stand_in.url()).await;
    let root = "/.well-known/oauth-protected-resource";
    let asked = async |path: &str| {
        let request = get_leads("").without("authorization").by("GET").to(path).saying("");
        court.gateway.ask(&request).await.expect("an answer")
    };
    assert_eq!(asked(root).await.status, 404, "no grant takes a token that is for this gateway's URL");
    let bare = get_leads("").without("authorization");
    let challenge = async || {
        let answer = court.gateway.ask(&bare).await.expect("an answer");
        answer.header("www-authenticate").map(str::to_owned).expect("a challenge")
    };
    assert_eq!(challenge().await, "Bearer");

    let of_bot =
        of_oidc(&court.idp, "{sub: bot}").replace("audience: mcp", &format!("audience: '{AUDIENCE}'"));
    court.rewrite("bot.yaml", &grant("bot", &of_bot, "")).await;
    let origin = AUDIENCE.trim_end_matches("/mcp");
    let wanted = format!("Bearer resource_metadata=\"{origin}{root}/mcp\"");
    assert_eq!(challenge().await, wanted);
    // Clients of the older revisions hear it as they come, and in a session.
    let session = Request::session_call("", Some("s"), "get_leads", &json!({}));
    for (what, request) in [
        ("initialize", Request::initialize("")),
        ("a session's stream", session.clone().by("GET").saying("")),
        ("a session's end", session.clone().by("DELETE").saying("")),
        ("a session's call", session),
    ] {
        let answer = court.gateway.ask(&request.without("authorization")).await.expect("an answer");
        assert_eq!((answer.status, answer.header("www-authenticate")), (401, Some(&*wanted)), "{what}");
    }
    for path in [root.to_owned(), format!("{root}/mcp")] {
        let answer = asked(&path).await;
        let document = json!({
            "resource": AUDIENCE,
            "authorization_servers": [court.idp.url],
            "bearer_methods_supported": ["header"],
        });
        assert_eq!((answer.status, answer.json()), (200, document), "{path}");
    }
    for other in [format!("{root}/"), format!("{root}/mcp/"), format!("{root}?x"), format!("{root}/other")] {
        assert_eq!(asked(&other).await.status, 404, "{other}");
    }
    let token = court.idps.token(&claims(&court.idp, "bot", AUDIENCE));
    assert_eq!(court.status(&token).await, 200);
}
