//! The way to a collector by OTLP over HTTP, in JSON: for spans and for the audit trail.

use std::fmt;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, StatusCode, Uri};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};

use crate::destinations::{Connector, Destinations};
use crate::upstream;

/// How long a collector may take for one request.
pub const DEADLINE: Duration = Duration::from_secs(5);
/// How much of a collector's answer is read, in bytes.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// Who says all this.
const NAME: &str = "toolgate-gateway";
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The URL of a collector, without the path of what goes there: http or https, without user and query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Base(Uri);

/// A text that is no such URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an http or https URL without user and query, such as http://collector:4318")]
pub struct InvalidBase;

/// Sends to a collector.
pub struct Collector {
    client: Client<HttpsConnector<Connector>, Full<Bytes>>,
    uri: Uri,
}

/// The collector did not take something.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Refused {
    /// Why.
    pub text: String,
    /// Whether it may take the same later.
    pub later: bool,
}

impl Base {
    /// Reads a URL. A slash at its end does not matter.
    ///
    /// # Errors
    /// When it is no plain URL.
    pub fn parse(text: &str) -> Result<Self, InvalidBase> {
        let base: Uri = text.trim_end_matches('/').parse().map_err(|_| InvalidBase)?;
        let plain = matches!(base.scheme_str(), Some("http" | "https"))
            && !text.contains(['?', '#'])
            && base.authority().is_some_and(|authority| !authority.as_str().contains('@'));
        if plain { Ok(Self(base)) } else { Err(InvalidBase) }
    }

    // What is below it. Its own path may be there already.
    fn below(&self, path: &str) -> io::Result<Uri> {
        let base = self.0.to_string();
        format!("{}{path}", base.trim_end_matches('/')).parse().map_err(io::Error::other)
    }
}

impl Collector {
    /// The way to what a collector takes at a path, such as `/v1/traces`.
    ///
    /// # Errors
    /// When the system's certificates cannot be read.
    pub fn new(base: &Base, path: &str) -> io::Result<Self> {
        let client = Client::builder(TokioExecutor::new()).build(upstream::connector(Destinations::ANY)?);
        Ok(Self { client, uri: base.below(path)? })
    }

    /// Sends one request, and waits for the answer [`DEADLINE`] at most. Answers how much of it the collector says that it
    /// will never take.
    ///
    /// # Errors
    /// When the collector does not take any of it.
    pub async fn post(&self, body: &Value) -> Result<u64, Refused> {
        let late = || Refused { text: "the collector does not answer in time".to_owned(), later: true };
        tokio::time::timeout(DEADLINE, self.there_and_back(body)).await.unwrap_or_else(|_| Err(late()))
    }

    async fn there_and_back(&self, body: &Value) -> Result<u64, Refused> {
        let mut request = Request::new(Full::new(Bytes::from(body.to_string())));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri.clone();
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let later = |error| Refused { text: upstream::chain(&error), later: true };
        let response = self.client.request(request).await.map_err(later)?;
        let status = response.status();
        // Read to the end, so that the connection can be used again. What was taken was taken, whatever it says of it.
        let read = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
        if status.is_success() {
            return Ok(read.map_or(0, |read| rejected(&read.to_bytes())));
        }
        Err(Refused { text: format!("the collector answers {status}"), later: LATER.contains(&status) })
    }
}

/// What OTLP says that may be sent again.
const LATER: [StatusCode; 4] = [
    StatusCode::TOO_MANY_REQUESTS,
    StatusCode::BAD_GATEWAY,
    StatusCode::SERVICE_UNAVAILABLE,
    StatusCode::GATEWAY_TIMEOUT,
];

// Of a request that was taken in part. Numbers of 64 bits are texts in this JSON, as a rule.
fn rejected(answer: &[u8]) -> u64 {
    let answer: Value = serde_json::from_slice(answer).unwrap_or_default();
    let counts = ["rejectedSpans", "rejectedLogRecords"].map(|member| &answer["partialSuccess"][member]);
    let number = |count: &Value| count.as_u64().or_else(|| count.as_str()?.parse().ok());
    counts.into_iter().filter_map(number).sum()
}

/// Who says what goes to a collector.
pub fn resource() -> Value {
    json!({"attributes": [attribute("service.name", NAME), attribute("service.version", VERSION)]})
}

/// By which part of it.
pub fn scope() -> Value {
    json!({"name": NAME, "version": VERSION})
}

/// A text by a name.
pub fn attribute(key: &str, text: &str) -> Value {
    json!({"key": key, "value": {"stringValue": text}})
}

impl fmt::Debug for Collector {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Collector").field(&self.uri).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_taken_in_part_is_told_as_a_number_or_as_a_text() {
        for (answer, count) in [
            ("", 0),
            ("{}", 0),
            (r#"{"partialSuccess": {}}"#, 0),
            (r#"{"partialSuccess": {"rejectedLogRecords": "3"}}"#, 3),
            (r#"{"partialSuccess": {"rejectedSpans": 2}}"#, 2),
        ] {
            assert_eq!(rejected(answer.as_bytes()), count, "{answer}");
        }
    }

    #[test]
    fn a_collector_is_a_plain_url() {
        for base in ["http://collector:4318", "http://collector:4318/"] {
            let base = Base::parse(base).unwrap();
            assert_eq!(base.below("/v1/traces").unwrap(), "http://collector:4318/v1/traces");
        }
        assert_eq!(
            Base::parse("https://c/otlp").unwrap().below("/v1/logs").unwrap(),
            "https://c/otlp/v1/logs"
        );
        for bad in
            ["", "collector:4318", "/v1", "ftp://c", "http://u:p@c", "http://c?x=1", "http://c#x", "http://"]
        {
            assert_eq!(Base::parse(bad), Err(InvalidBase), "{bad}");
        }
    }
}
