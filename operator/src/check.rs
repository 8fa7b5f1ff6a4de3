//! `toolgate-operator check-http URL...`: whether each URL answers 200. For `helm test`, which then needs no other image.

use std::time::Duration;

use clap::Parser;
use http_body_util::Empty;
use hyper::body::Bytes;
use hyper::{Request, StatusCode, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;

/// The first word of the command line that asks for this in place of the operator.
pub const COMMAND: &str = "check-http";

/// How long a URL has until it answers as it should.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long one answer may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// The wait before a URL is asked again.
const PAUSE: Duration = Duration::from_millis(500);

/// Succeeds when every URL answers 200.
#[derive(Clone, Debug, Parser)]
#[command(name = "toolgate-operator check-http", version)]
pub struct Check {
    /// An http URL. All of them have to answer 200 within half a minute.
    #[arg(required = true)]
    pub urls: Vec<Uri>,
}

/// Why a check failed.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{url}: {message}")]
pub struct CheckError {
    url: Uri,
    message: String,
}

/// Asks each URL until it answers 200.
///
/// # Errors
/// For the first URL that does not in time, with its last answer.
pub async fn run(check: &Check) -> Result<(), CheckError> {
    for url in &check.urls {
        within(url, PATIENCE).await?;
    }
    Ok(())
}

async fn within(url: &Uri, patience: Duration) -> Result<(), CheckError> {
    let mut last = "was not asked".to_owned();
    let asking = async {
        while let Err(message) = ask(url).await {
            last = message;
            tokio::time::sleep(PAUSE).await;
        }
    };
    let in_time = tokio::time::timeout(patience, asking).await;
    in_time.map_err(|_| CheckError { url: url.clone(), message: last })
}

async fn ask(url: &Uri) -> Result<(), String> {
    let client: Client<_, Empty<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let request = Request::get(url).body(Empty::new()).map_err(|error| error.to_string())?;
    let answer = tokio::time::timeout(ANSWER_TIMEOUT, client.request(request)).await;
    let answer = answer.map_err(|_| "does not answer".to_owned())?.map_err(|error| error.to_string())?;
    if answer.status() == StatusCode::OK { Ok(()) } else { Err(format!("answers {}", answer.status())) }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use hyper::Uri;
    use tokio::net::TcpListener;

    use super::{Check, run, within};
    use crate::http;
    use crate::metrics::Metrics;
    use crate::pulse::Pulse;

    #[tokio::test]
    async fn what_answers_passes_and_what_does_not_is_named() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let metrics = Arc::new(Metrics::new());
        let server = tokio::spawn(http::serve(listener, metrics.clone(), Pulse::default()));
        let url = |path: &str| format!("http://{address}{path}").parse::<Uri>().unwrap();
        run(&Check { urls: vec![url("/livez"), url("/metrics")] }).await.unwrap();
        let patience = Duration::from_millis(50);
        let unready = within(&url("/readyz"), patience).await.unwrap_err();
        assert_eq!(unready.to_string(), format!("{}: answers 503 Service Unavailable", url("/readyz")));
        metrics.set_ready();
        assert_eq!(within(&url("/readyz"), patience).await, Ok(()));
        server.abort();
    }
}
