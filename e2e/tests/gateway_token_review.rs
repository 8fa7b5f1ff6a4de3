//! Tokens of ServiceAccounts where the API server is asked whether they still hold. Signatures and keys are real; the API
//! server is a script.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use toolgate_e2e::kommo::Answers;
use toolgate_e2e::process::{Answer, Configuration, Gateway, Request, Socket, Start, Step, Upstream, World};

#[path = "gateway_token_review/api_server.rs"]
mod api_server;
#[path = "../../gateway/tests/support/issuer.rs"]
mod issuer;

use api_server::{ApiServer, Says};

use issuer::{Issuer, Signer};

const AUDIENCE: &str = "http://kommo-toolgate.sales.svc/mcp";
const AGENT: &str = "system:serviceaccount:sales:agent";

fn says(code: u8) -> Says {
    [Says::Holds, Says::PodGone, Says::Forbidden, Says::Nothing][usize::from(code)]
}

struct Court {
    _configuration: Configuration,
    issuer: Issuer,
    signer: Signer,
    api: ApiServer,
    says: Arc<AtomicU8>,
    tokens: Mutex<u64>,
    gateway: Gateway,
}

impl Court {
    async fn at(upstream: &str) -> Self {
        let signer = Signer::rsa("cluster-key");
        let issuer = Issuer::publishing(json!({"keys": [signer.jwk()]})).await;
        let says_now = Arc::new(AtomicU8::new(Says::Holds as u8));
        let script = says_now.clone();
        let api = ApiServer::start(AGENT, move |_| says(script.load(Ordering::SeqCst))).await;
        let configuration = Configuration::new(upstream).expect("files");
        let server = configuration.read("kommo-server.yaml").expect("is read");
        let server = server + "  gateway: {tokenReview: true}\n";
        configuration.write("kommo-server.yaml", &server).expect("is written");
        configuration.policy("kommo-sales", "tools: {get_leads: {}}").expect("is written");
        let account = "{type: ServiceAccount, serviceAccount: {name: agent, namespace: sales}}";
        let of_issuer = format!(
            "{{type: OIDC, oidc: {{issuer: '{}', audience: other, claims: {{sub: '{AGENT}'}}}}}}",
            issuer.url
        );
        for (name, subject) in [("agent", account), ("round-the-back", &of_issuer)] {
            let grant = format!(
                "apiVersion: toolgate.dev/v1alpha1\nkind: ToolGrant\nmetadata: {{name: {name}}}\n\
                 spec:\n  servers: [{{name: kommo}}]\n  subject: {subject}\n"
            );
            configuration.write(&format!("{name}.yaml"), &grant).expect("is written");
        }
        let (config, credentials) = (configuration.objects(), configuration.credentials());
        let more = ["--audience", AUDIENCE, "--cluster-issuer", &issuer.url];
        let start = Start { config: &config, credentials: Some(&credentials), log: "info", more: &more };
        let variable = api.kubeconfig();
        let gateway = Gateway::start_in(start, &[("KUBECONFIG", &variable)]).await.expect("a gateway");
        gateway.admin().until_ready().await.expect("is ready");
        let tokens = Mutex::new(0);
        Self { _configuration: configuration, issuer, signer, api, says: says_now, tokens, gateway }
    }

    /// A token that is like no other.
    fn token(&self, audience: &str) -> String {
        let mut tokens = self.tokens.lock().expect("nobody panicked");
        *tokens += 1;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later than 1970").as_secs();
        let claims = json!({
            "iss": self.issuer.url, "sub": AGENT, "aud": [audience], "iat": now, "exp": now + 600, "jti": tokens.to_string(),
        });
        self.signer.token(&claims)
    }

    fn say(&self, says: Says) {
        self.says.store(says as u8, Ordering::SeqCst);
    }

    async fn status(&self, token: &str) -> u16 {
        let request = Request::modern_call(token, "get_leads", &json!({"limit": 1}));
        self.gateway.ask(&request).await.expect("an answer").status
    }

    async fn refused(&self, reason: &str) -> f64 {
        let metrics = self.gateway.admin().metrics().await.expect("metrics");
        metrics.sum("toolgate_tokens_refused_total", &[("reason", reason)])
    }
}

#[tokio::test]
async fn a_token_holds_while_the_api_server_says_so_and_it_is_asked_once() {
    let stand_in = World::stand_in(Answers::Json).await.expect("a stand-in");
    let court = Court::at(&stand_in.url()).await;
    let token = court.token(AUDIENCE);
    for _ in 0..3 {
        assert_eq!(court.status(&token).await, 200);
    }
    let asked = court.api.reviews.seen();
    assert_eq!(asked.len(), 1, "an answer is kept for a while");
    assert!(
        asked[0].head.starts_with("POST /apis/authentication.k8s.io/v1/tokenreviews"),
        "{}",
        asked[0].head
    );
    let review: Value = serde_json::from_str(&asked[0].body).expect("JSON");
    assert_eq!(review["spec"], json!({"token": token, "audiences": [AUDIENCE]}));
    court.say(Says::PodGone);
    assert_eq!(court.status(&court.token(AUDIENCE)).await, 401, "the token of a deleted pod");
    assert!((court.refused("withdrawn").await - 1.0).abs() < f64::EPSILON);
    assert!(!court.gateway.log().text().contains(&token));
}

#[tokio::test]
async fn without_an_answer_nobody_is_let_in_and_it_is_said() {
    let stand_in = World::stand_in(Answers::Json).await.expect("a stand-in");
    let court = Court::at(&stand_in.url()).await;
    for says in [Says::Forbidden, Says::Nothing] {
        court.say(says);
        let from = court.gateway.log().lines().len();
        assert_eq!(court.status(&court.token(AUDIENCE)).await, 401, "{says:?}");
        let part =
            if says == Says::Nothing { "did not review" } else { "does not review tokens for this gateway" };
        court.gateway.log().message(from, part).await.expect("it is said");
    }
    assert!((court.refused("no_review").await - 2.0).abs() < f64::EPSILON);
    court.say(Says::Holds);
    assert_eq!(court.status(&court.token(AUDIENCE)).await, 200, "it is asked again");
}

#[tokio::test]
async fn nobody_is_asked_about_what_is_not_verified_and_no_grant_leads_round_it() {
    let stand_in = World::stand_in(Answers::Json).await.expect("a stand-in");
    let court = Court::at(&stand_in.url()).await;
    let good = court.token(AUDIENCE);
    let (signed, _) = good.rsplit_once('.').expect("three parts");
    for (what, token) in [
        ("forged", format!("{signed}.AAAA")),
        ("for others", court.token("https://kubernetes.default.svc")),
        ("no token", "rubbish".to_owned()),
        ("by a grant to the issuer itself", court.token("other")),
    ] {
        assert_eq!(court.status(&token).await, 401, "{what}");
    }
    assert_eq!(court.api.reviews.seen().len(), 0);
    let revision: Answer = court.gateway.admin().get("/revision").await.expect("an answer");
    assert_eq!(revision.json()["grants"].as_array().map(Vec::len), Some(2), "both grants are in force");
}

/// How long the token of a deleted pod may open anything, open streams included.
const WITHDRAWN: Duration = Duration::from_mins(1);

#[tokio::test]
async fn an_open_stream_ends_when_its_pod_is_gone() {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";
    let script = move |_: &_| vec![Step::Send(format!("{head}:\n\n").into_bytes()), Step::Hold];
    let upstream = Upstream::start(script).await.expect("an upstream");
    let court = Court::at(&upstream.url()).await;
    let request = Request::modern_call(&court.token(AUDIENCE), "get_leads", &json!({"limit": 1}));
    let mut socket = Socket::open(court.gateway.address()).await.expect("connects");
    socket.send(&request.bytes()).await.expect("is sent");
    assert_eq!(socket.head().await.expect("a head").status, 200);
    court.say(Says::PodGone);
    let gone = tokio::time::Instant::now();
    // Nothing is sent on it meanwhile, for longer than a socket is waited for as a rule.
    while socket.until("the grant was revoked").await.is_err() {
        assert!(gone.elapsed() < WITHDRAWN, "the stream is still open");
    }
    println!("the stream ended {:.1} s after the pod was gone", gone.elapsed().as_secs_f64());
    upstream.until_left(1).await.expect("the gateway leaves the server");
    assert!((court.refused("withdrawn").await - 1.0).abs() < f64::EPSILON);
}
