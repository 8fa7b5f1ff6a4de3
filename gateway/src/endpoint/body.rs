//! The body of a request, whole or not at all.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::header::{self, HeaderMap};
use hyper::http::StatusCode;

use super::{Rejection, reject};
use crate::metrics::Rejected;
use crate::wire::answer::{self, Answer};

/// The largest body of a request, in bytes.
pub const BODY_BYTES_MAX: usize = 4 * 1024 * 1024;
/// How long a body may take to arrive.
const BODY_DEADLINE: Duration = Duration::from_secs(30);
/// How much of a body that is too large is read and dropped, in bytes. Most clients only look for an answer when they
/// have sent everything, and would hear of a broken connection instead.
const DROPPED_BYTES_MAX: usize = 16 * 1024 * 1024;
/// How long that may take.
const DROP_DEADLINE: Duration = Duration::from_secs(5);

/// Reads a body.
///
/// # Errors
/// 413 if it is larger than [`BODY_BYTES_MAX`], 408 if it is too slow, 400 if it breaks off.
pub(super) async fn read(mut body: Incoming, headers: &HeaderMap) -> Result<Bytes, Rejection> {
    let announced =
        headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if let Some(length) = announced.filter(|length| *length > BODY_BYTES_MAX) {
        // Who waits to be asked for the body has not sent it, and of one without end nothing is gained.
        if !headers.contains_key(header::EXPECT) && length <= BODY_BYTES_MAX + DROPPED_BYTES_MAX {
            drop_rest(&mut body).await;
        }
        return Err(reject(Rejected::Body, closing(answer::too_large(BODY_BYTES_MAX))));
    }
    match tokio::time::timeout(BODY_DEADLINE, Limited::new(&mut body, BODY_BYTES_MAX).collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            drop_rest(&mut body).await;
            Err(reject(Rejected::Body, closing(answer::too_large(BODY_BYTES_MAX))))
        }
        Ok(Err(_)) => Err(reject(Rejected::Body, closing(empty(StatusCode::BAD_REQUEST)))),
        Err(_) => Err(reject(Rejected::Body, closing(empty(StatusCode::REQUEST_TIMEOUT)))),
    }
}

async fn drop_rest(body: &mut Incoming) {
    let dropping = async {
        let mut dropped = 0;
        while let Some(Ok(frame)) = body.frame().await {
            dropped += frame.data_ref().map_or(0, Bytes::len);
            if dropped > DROPPED_BYTES_MAX {
                break;
            }
        }
    };
    // Too slow is as good as too much.
    let _elapsed = tokio::time::timeout(DROP_DEADLINE, dropping).await;
}

// Nobody knows where the next request would begin.
fn closing(answer: Answer) -> Answer {
    answer.with(header::CONNECTION, "close")
}

fn empty(status: StatusCode) -> Answer {
    Answer { status, headers: HeaderMap::new(), body: Vec::new() }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use http_body_util::Full;
    use hyper::service::service_fn;
    use hyper::{Request, Response};
    use hyper_util::rt::TokioIo;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::time::Instant;

    use super::*;

    async fn serve(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        let (parts, body) = request.into_parts();
        let status = match read(body, &parts.headers).await {
            Ok(_) => StatusCode::OK,
            Err(rejection) => rejection.answer.status,
        };
        let mut answer = Response::new(Full::default());
        *answer.status_mut() = status;
        Ok(answer)
    }

    /// What the first line of the answer is, and how long it took, when a client sends a byte each `pause`.
    async fn told(bytes: usize, pause: Duration) -> (String, Duration) {
        let (mut here, there) = tokio::io::duplex(1024);
        tokio::spawn(
            hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(there), service_fn(serve)),
        );
        let begun = Instant::now();
        let (mut reading, mut writing) = tokio::io::split(&mut here);
        let sends = async {
            let head = format!("POST /mcp HTTP/1.1\r\nhost: gateway\r\ncontent-length: {bytes}\r\n\r\n");
            writing.write_all(head.as_bytes()).await.unwrap();
            for _ in 0..bytes {
                tokio::time::sleep(pause).await;
                if writing.write_all(b"x").await.is_err() {
                    break;
                }
            }
            std::future::pending::<()>().await;
        };
        let mut line = [0; 12];
        tokio::select! {
            () = sends => {}
            read = reading.read_exact(&mut line) => {
                read.unwrap();
            }
        }
        (String::from_utf8(line.to_vec()).unwrap(), begun.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_in_drops_is_waited_for_until_its_deadline() {
        let drop = Duration::from_secs(1);
        let just = BODY_DEADLINE.as_secs().try_into().unwrap();
        assert_eq!(told(just, drop.saturating_sub(Duration::from_millis(1))).await.0, "HTTP/1.1 200");
        let (line, lasted) = told(just + 1, drop).await;
        assert_eq!((line.as_str(), lasted), ("HTTP/1.1 408", BODY_DEADLINE));
    }
}
