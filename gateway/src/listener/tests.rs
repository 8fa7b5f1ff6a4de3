//! Deadlines of connections, on a clock that only goes on while everybody waits.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::time::Instant;

use super::patience::WRITE_DEADLINE;
use super::*;

/// The most that is on its way between the two ends.
const ON_THE_WAY: usize = 1024;
/// What every request is answered with: more than fits on the way.
const ANSWER_BYTES: usize = 64 * 1024;
/// One whole request.
const REQUEST: &[u8] = b"POST /mcp HTTP/1.1\r\nhost: gateway\r\ncontent-length: 2\r\n\r\n{}";

async fn answer(request: Request<Incoming>) -> Response<Full<Bytes>> {
    let _read = request.into_body().collect().await;
    Response::new(Full::new(Bytes::from(vec![b'x'; ANSWER_BYTES])))
}

/// One end of a served connection, and when the serving ends.
fn served() -> (DuplexStream, tokio::task::JoinHandle<Instant>) {
    let (here, there) = tokio::io::duplex(ON_THE_WAY);
    let serving = tokio::spawn(async move {
        let graceful = GracefulShutdown::new();
        converse(there, None, graceful.watcher(), answer).await;
        Instant::now()
    });
    (here, serving)
}

#[tokio::test(start_paused = true)]
async fn a_head_that_does_not_end_is_waited_for_until_its_deadline() {
    for beginning in [&b""[..], b"POST", b"POST /mcp HTTP/1.1\r\nhost: gateway\r\n", &REQUEST[..50]] {
        let begun = Instant::now();
        let (mut here, serving) = served();
        here.write_all(beginning).await.unwrap();
        let mut told = Vec::new();
        here.read_to_end(&mut told).await.unwrap();
        let lasted = serving.await.unwrap() - begun;
        assert!((HEAD_DEADLINE..HEAD_DEADLINE * 2).contains(&lasted), "{lasted:?} after {beginning:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_head_in_drops_is_not_waited_for_longer() {
    let begun = Instant::now();
    let (mut here, serving) = served();
    for byte in b"POST /mcp HTTP/1.1\r\nhost: gateway\r\nx: ".iter().chain(std::iter::repeat(&b'x')) {
        tokio::time::sleep(Duration::from_secs(1)).await;
        if here.write_all(&[*byte]).await.is_err() {
            break;
        }
    }
    let lasted = serving.await.unwrap() - begun;
    assert!((HEAD_DEADLINE..HEAD_DEADLINE * 2).contains(&lasted), "{lasted:?}");
}

#[tokio::test(start_paused = true)]
async fn who_reads_nothing_is_waited_for_until_the_deadline() {
    let begun = Instant::now();
    let (mut here, serving) = served();
    here.write_all(REQUEST).await.unwrap();
    assert_eq!(serving.await.unwrap() - begun, WRITE_DEADLINE);
}

#[tokio::test(start_paused = true)]
async fn who_reads_slowly_gets_all_of_it() {
    let (mut here, _serving) = served();
    here.write_all(REQUEST).await.unwrap();
    let mut got = 0;
    let mut piece = [0; ON_THE_WAY];
    while got < ANSWER_BYTES {
        tokio::time::sleep(WRITE_DEADLINE.saturating_sub(Duration::from_millis(1))).await;
        got += here.read(&mut piece).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn who_stops_reading_in_the_middle_is_waited_for_from_then_on() {
    let (mut here, serving) = served();
    here.write_all(REQUEST).await.unwrap();
    let mut piece = [0; ON_THE_WAY];
    tokio::time::sleep(WRITE_DEADLINE / 2).await;
    here.read_exact(&mut piece).await.unwrap();
    let stopped = Instant::now();
    assert_eq!(serving.await.unwrap() - stopped, WRITE_DEADLINE);
}
