//! Bounds of the running gateway, at the bound and one past it.

use serde_json::{Value, json};
use toolgate_e2e::agent::{Connection, Era, Outcome};
use toolgate_e2e::kommo::Answers;
use toolgate_e2e::process::{ALICE, Answer, Request, Socket, World};

const RULES: &str = "default: allow";
const BODY_BYTES_MAX: usize = 4 * 1024 * 1024;
const HEADERS_MAX: usize = 100;
const HEAD_BYTES_MAX: usize = 64 * 1024;
const TOKEN_BYTES_MAX: usize = 8192;
const ID_BYTES_MAX: usize = 1024;
const NAME_BYTES_MAX: usize = 128;
const DEPTH_MAX: usize = 64;

async fn world() -> World {
    World::start(Answers::Json, RULES).await.expect("a world")
}

async fn ask(world: &World, request: &Request) -> Answer {
    world.ask(request).await.expect("an answer")
}

fn get_leads(arguments: &Value) -> Request {
    Request::modern_call(ALICE, "get_leads", arguments)
}

/// A proper call whose body has exactly this length.
fn of_length(length: usize) -> Request {
    let room = get_leads(&json!({"query": ""})).body.len();
    let request = get_leads(&json!({"query": "x".repeat(length - room)}));
    assert_eq!(request.body.len(), length);
    request
}

#[tokio::test]
async fn bodies() {
    let world = world().await;
    let chunked = |request: Request| {
        let pieces = request
            .body
            .chunks(100_000)
            .map(|piece| [format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat());
        let body = [pieces.collect::<Vec<_>>().concat(), b"0\r\n\r\n".to_vec()].concat();
        request.with("transfer-encoding", "chunked").saying(body)
    };
    let largest = of_length(BODY_BYTES_MAX);
    assert_eq!(ask(&world, &largest).await.status, 200);
    assert_eq!(ask(&world, &chunked(largest)).await.status, 200);
    assert_eq!(world.reached().len(), 2);
    // Of what is too large nothing is judged, whatever stands within the bound.
    let hidden = of_length(BODY_BYTES_MAX - 10).body;
    let padded = get_leads(&json!({})).saying([hidden, vec![b' '; 11]].concat());
    for (what, request) in [
        ("one past", of_length(BODY_BYTES_MAX + 1)),
        ("white space past", padded),
        ("one past, in pieces", chunked(of_length(BODY_BYTES_MAX + 1))),
    ] {
        let answer = ask(&world, &request).await;
        assert_eq!((answer.status, answer.header("connection")), (413, Some("close")), "{what}");
    }
    let announced = get_leads(&json!({})).with("content-length", "99999999999");
    let mut socket = Socket::open(world.gateway.address()).await.expect("connects");
    socket.send(&announced.head()).await.expect("is sent");
    assert_eq!(socket.answer().await.expect("an answer before the body").status, 413);
    assert_eq!(world.reached().len(), 2);
}

#[tokio::test]
async fn heads() {
    let world = world().await;
    let request = get_leads(&json!({}));
    let own =
        String::from_utf8(request.head()).expect("text").lines().filter(|line| line.contains(": ")).count();
    let with = |count: usize| {
        (own..count).fold(request.clone(), |request, index| request.with(&format!("x-{index}"), ""))
    };
    assert_eq!(ask(&world, &with(HEADERS_MAX)).await.status, 200);
    assert_eq!(ask(&world, &with(HEADERS_MAX + 1)).await.status, 431);
    // The library counts what it has read when it looks, so the exact byte is not to be had.
    let long = |length: usize| request.clone().with("x", &"y".repeat(length));
    assert_eq!(ask(&world, &long(HEAD_BYTES_MAX - 2048)).await.status, 200);
    assert_eq!(ask(&world, &long(2 * HEAD_BYTES_MAX)).await.status, 431);
    let target = request.clone().to(&format!("/{}", "x".repeat(2 * HEAD_BYTES_MAX)));
    assert!(matches!(ask(&world, &target).await.status, 404 | 414 | 431));
    assert_eq!(world.reached().len(), 2);
    assert_eq!(ask(&world, &request).await.status, 200, "others are served");
}

#[tokio::test]
async fn tokens() {
    let world = world().await;
    let before = world.gateway.admin().revision().await.expect("a revision");
    let token = |length: usize| "t".repeat(length);
    world.configuration.grant("long", &token(TOKEN_BYTES_MAX), "").expect("is written");
    world.configuration.grant("longer", &token(TOKEN_BYTES_MAX + 1), "").expect("is written");
    let both = |answer: &Answer| {
        answer.json()["revision"] != before
            && answer.json()["grants"].as_array().is_some_and(|all| all.len() == 4)
    };
    world.gateway.admin().until("/revision", "both grants", both).await.expect("both grants");
    for (length, status) in [(TOKEN_BYTES_MAX, 200), (TOKEN_BYTES_MAX + 1, 401)] {
        let request = Request::modern_call(&token(length), "get_leads", &json!({}));
        assert_eq!(ask(&world, &request).await.status, status, "{length}");
    }
}

#[tokio::test]
async fn messages() {
    let world = world().await;
    let id = |length: usize| {
        get_leads(&json!({})).replacing("\"id\":7", &format!("\"id\":\"{}\"", "i".repeat(length)))
    };
    assert_eq!(ask(&world, &id(ID_BYTES_MAX)).await.json()["id"], "i".repeat(ID_BYTES_MAX));
    assert_eq!(ask(&world, &id(ID_BYTES_MAX + 1)).await.error_code(), Some(-32600));
    let named = |length: usize| Request::modern_call(ALICE, &"n".repeat(length), &json!({}));
    let told =
        |answer: Answer| answer.json()["error"]["message"].as_str().map(str::to_owned).unwrap_or_default();
    assert!(told(ask(&world, &named(NAME_BYTES_MAX)).await).starts_with("Tool nnn"), "the server is asked");
    assert!(told(ask(&world, &named(NAME_BYTES_MAX + 1)).await).starts_with("Unknown tool: nnn"));
    // The message, its params and its arguments are three.
    let deep = |depth: usize| {
        let value = format!("{}1{}", "[".repeat(depth - 3), "]".repeat(depth - 3));
        get_leads(&json!({})).replacing("\"arguments\":{}", &format!("\"arguments\":{{\"query\":{value}}}"))
    };
    assert_eq!(ask(&world, &deep(DEPTH_MAX)).await.status, 200);
    assert_eq!(ask(&world, &deep(DEPTH_MAX + 1)).await.error_code(), Some(-32700));
    let parameters = |count: usize| {
        (0..count)
            .fold(get_leads(&json!({})), |request, index| request.with(&format!("mcp-param-{index}"), "x"))
    };
    assert_eq!(ask(&world, &parameters(64)).await.status, 200);
    assert_eq!(ask(&world, &parameters(65)).await.error_code(), Some(-32020));
    assert_eq!(world.reached().len(), 4);
}

#[tokio::test]
async fn a_real_client_hears_that_its_body_is_too_large() {
    let world = world().await;
    for era in [Era::Modern, Era::Session] {
        for length in [BODY_BYTES_MAX, 4 * BODY_BYTES_MAX] {
            let connection = Connection::open(&world.target(era, ALICE)).await.expect("a connection");
            let arguments = json!({"query": "x".repeat(length)});
            let reply = connection.call("get_leads", arguments.as_object().expect("an object")).await;
            assert_eq!(reply.outcome, Outcome::Failed);
            assert!(reply.words().contains("413"), "{era:?} {length}: {}", reply.words());
        }
    }
    assert_eq!(world.reached(), [""; 0]);
}
