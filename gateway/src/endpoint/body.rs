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

/// Reads a body.
///
/// # Errors
/// 413 if it is larger than [`BODY_BYTES_MAX`], 408 if it is too slow, 400 if it breaks off.
pub(super) async fn read(body: Incoming, headers: &HeaderMap) -> Result<Bytes, Rejection> {
    let announced =
        headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > BODY_BYTES_MAX) {
        return Err(reject(Rejected::Body, closing(answer::too_large(BODY_BYTES_MAX))));
    }
    match tokio::time::timeout(BODY_DEADLINE, Limited::new(body, BODY_BYTES_MAX).collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            Err(reject(Rejected::Body, closing(answer::too_large(BODY_BYTES_MAX))))
        }
        Ok(Err(_)) => Err(reject(Rejected::Body, closing(empty(StatusCode::BAD_REQUEST)))),
        Err(_) => Err(reject(Rejected::Body, closing(empty(StatusCode::REQUEST_TIMEOUT)))),
    }
}

// Nobody knows where the next request would begin.
fn closing(answer: Answer) -> Answer {
    answer.with(header::CONNECTION, "close")
}

fn empty(status: StatusCode) -> Answer {
    Answer { status, headers: HeaderMap::new(), body: Vec::new() }
}
