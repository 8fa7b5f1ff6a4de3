//! Two requests in one: each attempt is followed by a marker on the same connection, and nothing but the marker may
//! reach the server.

use serde_json::json;
use toolgate_e2e::process::{ALICE, Request, Socket};

use super::Arena;

/// What is smuggled: a call that would be let through if it were read as one, so that it cannot go unnoticed.
fn smuggled() -> Vec<u8> {
    Request::modern_call(ALICE, "get_lead", &json!({"id": 4711})).bytes()
}

fn marker() -> Vec<u8> {
    Request::modern_call(ALICE, "get_leads", &json!({"query": "marker"})).bytes()
}

/// A head of a POST with these lines; it says nothing of a length.
fn head(lines: &str) -> Vec<u8> {
    let fixed = format!(
        "POST /mcp HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer {ALICE}\r\ncontent-type: application/json\r\n\
         accept: application/json, text/event-stream\r\n"
    );
    format!("{fixed}{lines}\r\n\r\n").into_bytes()
}

/// A head, and then bytes in which the smuggled request is hidden.
fn attempt(lines: &str, before: &str, after: &str) -> Vec<u8> {
    let inside = [before.as_bytes(), &smuggled(), after.as_bytes()].concat();
    let lines = lines.replace("{all}", &inside.len().to_string());
    [head(&lines), inside].concat()
}

fn lengths() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("CL.TE", attempt("content-length: {all}\r\ntransfer-encoding: chunked", "0\r\n\r\n", "")),
        ("TE.CL", attempt("transfer-encoding: chunked\r\ncontent-length: 5", "0\r\n\r\n", "")),
        ("CL 0 and TE", attempt("content-length: 0\r\ntransfer-encoding: chunked", "0\r\n\r\n", "")),
        ("two lengths, the first is 0", attempt("content-length: 0\r\ncontent-length: {all}", "", "")),
        ("two lengths, the last is 0", attempt("content-length: {all}\r\ncontent-length: 0", "", "")),
        ("two lengths in one value", attempt("content-length: {all}, 0", "", "")),
        ("a length with a sign", attempt("content-length: +{all}", "", "")),
        ("a length below zero", attempt("content-length: -1", "", "")),
        ("a length in hexadecimal", attempt("content-length: 0x10", "", "")),
        ("a length with a space", attempt("content-length: 1 0", "", "")),
        ("a length beyond 64 bits", attempt("content-length: 18446744073709551616", "", "")),
        ("a length that is not there", attempt("content-length:", "", "")),
        ("a space before the colon", attempt("content-length : {all}", "", "")),
        ("a tab before the colon", attempt("transfer-encoding\t: chunked", "0\r\n\r\n", "")),
        ("an underscore", attempt("content-length: {all}\r\ntransfer_encoding: chunked", "", "")),
        ("a folded line", attempt("content-length: 0\r\n transfer-encoding: chunked", "0\r\n\r\n", "")),
        ("a folded value", attempt("transfer-encoding:\r\n chunked", "0\r\n\r\n", "")),
        ("an unknown coding", attempt("transfer-encoding: xchunked", "0\r\n\r\n", "")),
        ("chunked is not the last", attempt("transfer-encoding: chunked, identity", "0\r\n\r\n", "")),
        ("identity", attempt("content-length: {all}\r\ntransfer-encoding: identity", "", "")),
        ("a coding in quotes", attempt("transfer-encoding: \"chunked\"", "0\r\n\r\n", "")),
        ("a vertical tab", attempt("transfer-encoding: \u{b}chunked", "0\r\n\r\n", "")),
        (
            "two codings that differ",
            attempt("transfer-encoding: chunked\r\ntransfer-encoding: x", "0\r\n\r\n", ""),
        ),
        ("a NUL in a value", attempt("x: a\0b\r\ncontent-length: 0", "", "")),
        ("a carriage return in a value", attempt("x: a\rtransfer-encoding: chunked", "0\r\n\r\n", "")),
        ("a line without a colon", attempt("nonsense\r\ncontent-length: 0", "", "")),
        ("a header without a name", attempt(": x\r\ncontent-length: 0", "", "")),
    ]
}

fn chunks() -> Vec<(&'static str, Vec<u8>)> {
    let chunk = format!("{:x}", smuggled().len());
    let chunked = "transfer-encoding: chunked";
    vec![
        ("a chunk of no length", attempt(chunked, "\r\n", "\r\n0\r\n\r\n")),
        ("a chunk's length with a sign", attempt(chunked, &format!("+{chunk}\r\n"), "\r\n0\r\n\r\n")),
        ("a chunk's length with 0x", attempt(chunked, &format!("0x{chunk}\r\n"), "\r\n0\r\n\r\n")),
        ("a chunk's length with a space", attempt(chunked, &format!(" {chunk}\r\n"), "\r\n0\r\n\r\n")),
        ("a chunk's length beyond 64 bits", attempt(chunked, "10000000000000000\r\n", "\r\n0\r\n\r\n")),
        ("a chunk's length below zero", attempt(chunked, "-1\r\n", "\r\n0\r\n\r\n")),
        ("bare line feeds round chunks", attempt(chunked, "0\n\n", "")),
        ("a bare line feed in a chunk's extension", attempt(chunked, "0;\n\r\n", "")),
        ("a chunk longer than it says", attempt(chunked, "1\r\nxx", "")),
        ("a chunk shorter than it says", attempt(chunked, "3\r\nxx\r\n0\r\n\r\n", "")),
        ("a chunk's end without a carriage return", attempt(chunked, "1\r\nx\n0\r\n\r\n", "")),
    ]
}

fn protocols() -> Vec<(&'static str, Vec<u8>)> {
    let raw = |text: &str| [text.as_bytes(), &smuggled()].concat();
    vec![
        ("HTTP/1.0 with chunks", raw("POST /mcp HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n")),
        ("HTTP/1.0", raw("GET /mcp HTTP/1.0\r\n\r\n")),
        ("HTTP/0.9", raw("GET /mcp\r\n\r\n")),
        ("HTTP/1.2", raw("POST /mcp HTTP/1.2\r\ncontent-length: 0\r\n\r\n")),
        ("HTTP/2", raw("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")),
        ("two spaces in the first line", raw("POST  /mcp HTTP/1.1\r\nhost: a\r\n\r\n")),
        ("bytes that are no HTTP", raw("\u{16}\u{3}\u{1}\u{0}nonsense\r\n\r\n")),
        ("CONNECT", raw("CONNECT 127.0.0.1:80 HTTP/1.1\r\nhost: 127.0.0.1:80\r\n\r\n")),
        ("CONNECT with a path", raw("CONNECT /mcp HTTP/1.1\r\nhost: gateway\r\n\r\n")),
        ("an upgrade", attempt("connection: upgrade\r\nupgrade: websocket\r\ncontent-length: 0", "", "")),
        (
            "an upgrade to HTTP/2",
            attempt(
                "connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABk\r\ncontent-length: 0",
                "",
                "",
            ),
        ),
    ]
}

#[tokio::test]
async fn nothing_but_the_marker_reaches_the_server() {
    let arena = Arena::new().await;
    for (what, bytes) in [lengths(), chunks(), protocols()].concat() {
        arena.world.stand_in.clear_record();
        let mut socket = Socket::open(arena.world.gateway.address()).await.expect("connects");
        // A connection that was closed already takes no more bytes; that is as good.
        let _closed = socket.send(&[bytes, marker()].concat()).await;
        let _closed = socket.send(b"\r\n\r\n").await;
        while let Ok(answer) = socket.answer().await {
            assert_ne!(answer.status, 101, "{what}");
            if answer.header("connection") == Some("close") || answer.status == 200 {
                break;
            }
        }
        // Whatever was to be served is served before a connection of a later call is.
        let last = Request::modern_call(ALICE, "get_leads", &json!({"query": "last"}));
        assert_eq!(arena.world.ask(&last).await.expect("an answer").status, 200);
        let record = arena.world.stand_in.record();
        let bodies: Vec<&str> = record.iter().map(|entry| entry.body.as_str()).collect();
        assert!(bodies.iter().all(|body| !body.contains("4711")), "{what}: {bodies:#?}");
        let strangers = bodies.iter().filter(|body| !body.contains("marker") && !body.contains("last"));
        assert_eq!(strangers.count(), 0, "{what}: {bodies:#?}");
        assert!(record.len() <= 2, "{what}: {bodies:#?}");
    }
}

/// RFC 9112 lets a recipient take a bare line feed for the end of a line. Whoever stands in front and does not would see
/// one request where the gateway sees two.
#[tokio::test]
async fn behind_a_bare_line_feed_nothing_is_read() {
    let arena = Arena::new().await;
    for lines in ["x: y\ntransfer-encoding: chunked", "transfer-encoding: chunked\nx: y", "x: y\n\n"] {
        for token in [ALICE, "nobody"] {
            arena.world.stand_in.clear_record();
            let hidden = Request::modern_call(token, "get_lead", &json!({"id": 4711})).bytes();
            let bytes = [head(lines), b"0\r\n\r\n".to_vec(), hidden, marker()].concat();
            refused_and_closed(&arena, lines, &bytes).await;
        }
    }
}

#[tokio::test]
async fn what_is_framed_in_doubt_is_refused_and_its_connection_closed() {
    let arena = Arena::new().await;
    for (what, bytes) in [lengths(), chunks()].concat() {
        arena.world.stand_in.clear_record();
        refused_and_closed(&arena, what, &[bytes, marker()].concat()).await;
    }
}

async fn refused_and_closed(arena: &Arena, what: &str, bytes: &[u8]) {
    let mut socket = Socket::open(arena.world.gateway.address()).await.expect("connects");
    let _closed = socket.send(bytes).await;
    let answer = socket.answer().await.expect("an answer");
    assert_eq!(answer.status, 400, "{what}: {}", answer.text());
    assert_eq!(socket.rest().await.expect("is closed"), b"", "{what}: nothing comes after it");
    assert_eq!(arena.world.reached(), [""; 0], "{what}");
}
