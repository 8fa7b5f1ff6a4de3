//! Against a server that says exactly what it is told to, byte by byte.

use http_body_util::BodyExt;
use hyper::Method;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::destinations::Destinations;

const WHOLE: &str = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";
const EMPTY: &str = "HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n";

struct Server(TcpListener);

impl Server {
    async fn new() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").await.unwrap())
    }

    fn uri(&self) -> Uri {
        format!("http://{}/mcp?a=b", self.0.local_addr().unwrap()).parse().unwrap()
    }

    async fn accept(&self) -> TcpStream {
        self.0.accept().await.unwrap().0
    }
}

/// Reads one request with the body `x`.
async fn read(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    while !text.ends_with(b"\r\n\r\nx") {
        let byte = stream.read_u8().await.expect("a whole request");
        text.push(byte);
    }
    String::from_utf8(text).unwrap()
}

async fn say(stream: &mut TcpStream, text: &str) {
    stream.write_all(text.as_bytes()).await.unwrap();
}

fn pool() -> Pool {
    let _already = rustls::crypto::ring::default_provider().install_default();
    Pool::new(super::super::connector(Destinations::ANY).unwrap(), Duration::from_mins(1))
}

fn request(uri: &Uri) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::new(Bytes::from_static(b"x")));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = uri.clone();
    request
}

async fn ask(pool: &Pool, uri: &Uri) -> Result<Bytes, Unanswered> {
    let reply = pool.request(request(uri)).await?.into_body();
    Ok(reply.collect().await.map_err(Unanswered::Broken)?.to_bytes())
}

#[tokio::test]
async fn a_connection_is_used_again_when_its_answer_was_read_or_had_nothing_to_read() {
    let (server, pool) = (Server::new().await, pool());
    let uri = server.uri();
    let serving = async {
        let mut stream = server.accept().await;
        let head = read(&mut stream).await;
        assert!(head.starts_with("POST /mcp?a=b HTTP/1.1\r\n"), "{head}");
        assert!(head.contains(&format!("host: {}\r\n", server.0.local_addr().unwrap())), "{head}");
        say(&mut stream, WHOLE).await;
        read(&mut stream).await;
        say(&mut stream, EMPTY).await;
        // In pieces, and the last one long after the others.
        read(&mut stream).await;
        for piece in [&WHOLE[..20], &WHOLE[20..WHOLE.len() - 2], &WHOLE[WHOLE.len() - 2..]] {
            tokio::time::sleep(Duration::from_millis(5)).await;
            say(&mut stream, piece).await;
        }
        read(&mut stream).await;
        say(&mut stream, WHOLE).await;
        stream
    };
    let asking = async {
        let mut answers = Vec::new();
        for _ in 0..4 {
            answers.push(ask(&pool, &uri).await.unwrap());
        }
        answers
    };
    let (_stream, answers) = tokio::join!(serving, asking);
    assert_eq!(answers, ["hello", "", "hello", "hello"]);
    assert_eq!(lock(&pool.idle).len(), 1);
}

#[tokio::test]
async fn a_connection_that_the_server_closed_meanwhile_is_not_used_and_nothing_is_sent_twice() {
    let (server, pool) = (Server::new().await, pool());
    let uri = server.uri();
    let serving = async {
        for _ in 0..3 {
            let mut stream = server.accept().await;
            read(&mut stream).await;
            say(&mut stream, WHOLE).await;
        }
    };
    let asking = async {
        for _ in 0..3 {
            assert_eq!(ask(&pool, &uri).await.unwrap(), "hello");
            // As soon as the system has heard that it was closed.
            while lock(&pool.idle).iter_mut().any(|idle| idle.link.is_ready()) {
                tokio::task::yield_now().await;
            }
        }
    };
    tokio::join!(serving, asking);
}

#[tokio::test]
async fn a_server_that_hangs_up_in_place_of_an_answer_may_have_acted() {
    let (server, pool) = (Server::new().await, pool());
    let uri = server.uri();
    for answer in ["", "HTTP/1.1 200", "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhello"] {
        let serving = async {
            let mut stream = server.accept().await;
            read(&mut stream).await;
            say(&mut stream, answer).await;
        };
        let ((), asked) = tokio::join!(serving, ask(&pool, &uri));
        assert!(matches!(asked, Err(Unanswered::Broken(_))), "{answer:?}");
        assert!(lock(&pool.idle).is_empty());
    }
}

#[tokio::test]
async fn nothing_was_written_where_nobody_listens() {
    let (server, pool) = (Server::new().await, pool());
    let uri = server.uri();
    drop(server);
    assert!(matches!(ask(&pool, &uri).await, Err(Unanswered::Unconnected(_))));
    assert!(pool.touch(&uri).await.is_err());
}

#[tokio::test]
async fn an_answer_that_is_left_unread_closes_its_connection_unless_all_of_it_is_there() {
    let (server, pool) = (Server::new().await, pool());
    let uri = server.uri();
    let chunked = "HTTP/1.1 202 Accepted\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n";
    for (answer, kept) in [(chunked, true), ("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhello", false)] {
        let serving = async {
            let mut stream = server.accept().await;
            read(&mut stream).await;
            say(&mut stream, answer).await;
            stream
        };
        let (mut stream, response) = tokio::join!(serving, pool.request(request(&uri)));
        drop(response.unwrap());
        assert_eq!(lock(&pool.idle).len(), usize::from(kept), "{answer:?}");
        lock(&pool.idle).clear();
        assert!(stream.read_u8().await.is_err(), "it is closed");
    }
}

#[tokio::test]
async fn connections_to_one_endpoint_are_not_used_for_another() {
    let (one, other, pool) = (Server::new().await, Server::new().await, pool());
    for server in [&one, &other] {
        let uri = server.uri();
        let serving = async {
            let mut stream = server.accept().await;
            read(&mut stream).await;
            say(&mut stream, WHOLE).await;
            stream
        };
        let (_stream, answer) = tokio::join!(serving, ask(&pool, &uri));
        assert_eq!(answer.unwrap(), "hello");
    }
}

#[tokio::test]
async fn a_server_that_takes_a_connection_and_never_shakes_hands_is_given_up() {
    let server = Server::new().await;
    let uri = server.uri().to_string().replacen("http", "https", 1).parse().unwrap();
    let pool = Pool { deadline: Duration::from_millis(100), ..pool() };
    let (asked, _stream) = tokio::join!(ask(&pool, &uri), server.accept());
    assert!(matches!(asked, Err(Unanswered::Unconnected(error)) if error.is::<Late>()));
}
