//! Who calls: what is a credential and what is none, and whose credentials go where.

use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::net::TcpSocket;
use toolgate_e2e::kommo::Answers;
use toolgate_e2e::process::{ALICE, BOB, CREDENTIAL, Configuration, Gateway, Request, Socket, Start, World};

#[path = "gateway_identity/canaries.rs"]
mod canaries;
#[path = "gateway_identity/session.rs"]
mod session;

const RULES: &str = "default: deny\ntools:\n  get_leads: {}\n  get_lead: {}\n  update_lead: {action: deny}";

/// The token after [`ALICE`].
const NEXT: &str = "alice-next-token-canary";

/// What an unauthenticated body may cost at most: what the system buffers on the way, and one read of the gateway.
const UNREAD_BYTES_MAX: usize = 1024 * 1024;

fn get_leads(token: &str) -> Request {
    Request::modern_call(token, "get_leads", &json!({"limit": 1}))
}

async fn world() -> World {
    World::start(Answers::Json, RULES).await.expect("a world")
}

#[tokio::test]
async fn only_one_known_bearer_token_is_a_credential() {
    let world = world().await;
    let bare = get_leads(ALICE).without("authorization");
    let with = |value: &str| bare.clone().with("authorization", value);
    let known = format!("Bearer {ALICE}");
    for good in [known.clone(), format!("bearer {ALICE}"), format!("BEARER  {ALICE} ")] {
        let answer = world.ask(&with(&good)).await.expect("an answer");
        assert_eq!((answer.status, answer.verdict()), (200, None), "{good}");
    }
    let reached = world.reached().len();
    let basic = "Basic YWxpY2U6YWxpY2UtdG9rZW4tY2FuYXJ5";
    for (what, request) in [
        ("an unknown token", with("Bearer nobody-knows-this")),
        ("another case", with(&known.to_uppercase())),
        ("a prefix of a token", with(&known[..known.len() - 1])),
        ("a token and more", with(&format!("{known}x"))),
        (
            "the token's digest",
            with("Bearer 7709620e23c09893a0489cacd0125ca163b9bc99b373059b21f1c5de5b95b80a"),
        ),
        ("Basic", with(basic)),
        ("another scheme", with(&format!("Token {ALICE}"))),
        ("no scheme", with(ALICE)),
        ("an empty value", with("")),
        ("only a scheme", with("Bearer")),
        ("two tokens in one value", with(&format!("{known}, Bearer {BOB}"))),
        ("two headers", with(&known).with("authorization", &format!("Bearer {BOB}"))),
        ("the same header twice", with(&known).with("authorization", &known)),
        ("a tab", with(&format!("Bearer\t{ALICE}"))),
        ("a byte beyond ASCII", with(&format!("Bearer {ALICE}\u{e9}"))),
    ] {
        let answer = world.ask(&request).await.expect("an answer");
        assert_eq!(answer.status, 401, "{what}: {}", answer.text());
        assert_eq!(answer.header("www-authenticate"), Some("Bearer error=\"invalid_token\""), "{what}");
        assert_eq!(answer.body, b"", "{what}: nothing is told of why");
    }
    for (what, request) in [
        ("nothing", bare.clone()),
        ("a cookie", bare.clone().with("cookie", &format!("authorization={ALICE}"))),
        ("another header", bare.clone().with("x-api-key", ALICE).with("proxy-authorization", &known)),
        (
            "an identity header",
            bare.clone().with("x-forwarded-user", "alice").with("x-toolgate-grant", "alice"),
        ),
    ] {
        let answer = world.ask(&request).await.expect("an answer");
        assert_eq!((answer.status, answer.header("www-authenticate")), (401, Some("Bearer")), "{what}");
    }
    let in_the_query = get_leads(ALICE).without("authorization").to(&format!("/mcp?access_token={ALICE}"));
    assert_eq!(world.ask(&in_the_query).await.expect("an answer").status, 404);
    assert_eq!(world.reached().len(), reached, "none of these reached the server");
    let metrics = world.gateway.admin().metrics().await.expect("metrics");
    let refused = metrics.sum("toolgate_requests_rejected_total", &[("reason", "unauthenticated")]);
    assert!((refused - 19.0).abs() < f64::EPSILON, "{refused}");
}

#[tokio::test]
async fn without_a_credential_the_answer_comes_before_the_body() {
    let world = world().await;
    let length = 10 * 1024 * 1024;
    let huge = get_leads(ALICE).without("authorization").with("content-length", &length.to_string());
    let mut socket = Socket::open(world.gateway.address()).await.expect("connects");
    // Not one byte of the body is sent.
    socket.send(&huge.head()).await.expect("is sent");
    assert_eq!(socket.answer().await.expect("an answer").status, 401);

    // Nor is it asked for.
    let mut socket = Socket::open(world.gateway.address()).await.expect("connects");
    socket.send(&huge.with("expect", "100-continue").head()).await.expect("is sent");
    let everything = socket.rest().await.expect("it closes");
    assert!(everything.starts_with(b"HTTP/1.1 401 "), "{}", String::from_utf8_lossy(&everything));
}

#[tokio::test]
async fn of_a_huge_body_without_a_credential_next_to_nothing_is_read() {
    let world = world().await;
    let length = 10 * 1024 * 1024;
    let small = TcpSocket::new_v4().expect("a socket");
    // What the sender's side buffers is not what the gateway read.
    small.set_send_buffer_size(16 * 1024).expect("is set");
    let stream = small.connect(world.gateway.address()).await.expect("connects");
    let mut socket = Socket::over(stream);
    let huge = get_leads("nobody").with("content-length", &length.to_string());
    socket.send(&huge.head()).await.expect("is sent");
    let piece = vec![b' '; 16 * 1024];
    let mut sent = 0;
    while sent < length && socket.send(&piece).await.is_ok() {
        sent += piece.len();
    }
    println!("of {length} bytes {sent} left the client");
    assert!(sent < UNREAD_BYTES_MAX, "{sent}");
    let next = world.ask(&get_leads(ALICE)).await.expect("an answer");
    assert_eq!(next.status, 200, "others are served");
}

#[tokio::test]
async fn a_token_of_two_grants_is_nobodys() {
    let world = world().await;
    let before = world.gateway.admin().revision().await.expect("a revision");
    world.configuration.grant("bob", ALICE, "").expect("is written");
    let newer = |answer: &toolgate_e2e::process::Answer| answer.json()["revision"] != before;
    world.gateway.admin().until("/revision", "a newer revision", newer).await.expect("a newer revision");
    assert_eq!(world.ask(&get_leads(ALICE)).await.expect("an answer").status, 401);
    assert_eq!(world.reached(), [""; 0]);
}

#[tokio::test]
async fn anonymous_is_only_who_shows_nothing() {
    let stand_in = World::stand_in(Answers::Json).await.expect("a stand-in");
    let configuration = Configuration::new(&stand_in.url()).expect("files");
    let server = configuration.read("kommo-server.yaml").expect("is read") + "  gateway: {anonymous: true}\n";
    configuration.write("kommo-server.yaml", &server).expect("is written");
    configuration.policy("kommo-sales", "tools: {get_leads: {}}\ngrants: [anonymous]").expect("is written");
    configuration.grant("alice", ALICE, "").expect("is written");
    let (config, credentials) = (configuration.objects(), configuration.credentials());
    let start = Start { config: &config, credentials: Some(&credentials), log: "info", more: &[] };
    let gateway = Gateway::ready(start).await.expect("a gateway");
    let anonymous = gateway.ask(&get_leads(ALICE).without("authorization")).await.expect("an answer");
    assert_eq!((anonymous.status, anonymous.verdict()), (200, None));
    assert_eq!(gateway.ask(&get_leads("wrong")).await.expect("an answer").status, 401);
    let alice = gateway.ask(&get_leads(ALICE)).await.expect("an answer");
    assert_eq!(alice.verdict().as_deref(), Some("denied"), "no policy binds her");
    let metrics = gateway.admin().metrics().await.expect("metrics");
    let counted = metrics.sum("toolgate_tool_calls_total", &[("grant", "anonymous"), ("verdict", "allowed")]);
    assert!((counted - 1.0).abs() < f64::EPSILON);
    assert!(!format!("{:?}", stand_in.record()).contains(ALICE));
    assert!(format!("{:?}", stand_in.record()).contains(CREDENTIAL));
}

#[tokio::test]
async fn a_rotation_shuts_nobody_out_and_ends_no_session() {
    let world = world().await;
    let edited = async |more: &str| {
        let before = world.gateway.admin().revision().await.expect("a revision");
        let digest = |token: &str| {
            let digits: Vec<String> =
                Sha256::digest(token).iter().map(|byte| format!("{byte:02x}")).collect();
            digits.concat()
        };
        let grant = format!(
            "apiVersion: toolgate.dev/v1alpha1\nkind: ToolGrant\nmetadata: {{name: alice}}\nspec:\n  \
             servers: [{{name: kommo}}]\n  subject: {{type: Token, token: {{sha256: \"{}\"{}}}}}\n",
            digest(NEXT),
            more.replace("OLD", &digest(ALICE)),
        );
        world.configuration.write("grant-alice.yaml", &grant).expect("is written");
        let newer = |answer: &toolgate_e2e::process::Answer| answer.json()["revision"] != before;
        world.gateway.admin().until("/revision", "a newer revision", newer).await.expect("a newer revision");
    };
    let call = |token: &str, session: &str| {
        Request::session_call(token, Some(session), "get_leads", &json!({"limit": 1}))
    };
    let session = world.gateway.open_session(ALICE).await.expect("a session");
    assert_eq!(world.ask(&get_leads(NEXT)).await.expect("an answer").status, 401);
    edited(", previousSha256: \"OLD\"").await;
    for token in [ALICE, NEXT] {
        let answer = world.ask(&call(token, &session)).await.expect("an answer");
        assert_eq!((answer.status, answer.verdict()), (200, None), "{token}: {}", answer.text());
    }
    edited("").await;
    assert_eq!(world.ask(&get_leads(ALICE)).await.expect("an answer").status, 401, "it is over");
    assert_eq!(world.ask(&call(NEXT, &session)).await.expect("an answer").status, 200);
    let metrics = world.gateway.admin().metrics().await.expect("metrics");
    let counted = metrics.sum("toolgate_tool_calls_total", &[("grant", "alice"), ("verdict", "allowed")]);
    assert!((counted - 3.0).abs() < f64::EPSILON, "all of them are the same caller's: {counted}");
}
