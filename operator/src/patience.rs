//! Clients that do not wait for ever, and those that do not act out of turn.
//!
//! An API server, or what stands before it, may take connections and never answer. Whoever waits for it must give up
//! and try anew, or he waits long after it is back.

use std::time::Duration;

use hyper::{Method, Request};
use kube::Client;
use kube::client::Body;

use crate::lease::Tenure;
use crate::pulse::Beat;

/// How long the API server has to begin its answer.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// A request that got no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the API server did not begin to answer in {} seconds", ANSWER_TIMEOUT.as_secs())]
pub struct Silence;

/// A write that was not sent, because another operator may lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this operator does not lead any more")]
pub struct OutOfTurn;

/// The same client, which gives up after [`ANSWER_TIMEOUT`]. `beat` hears of every request.
pub fn patient(client: &Client, beat: Option<Beat>) -> Client {
    let (inner, namespace) = (client.clone(), client.default_namespace().to_owned());
    let service = tower::service_fn(move |request: Request<Body>| {
        let client = inner.clone();
        if let Some(beat) = &beat {
            beat.goes_on();
        }
        async move {
            let answer = tokio::time::timeout(ANSWER_TIMEOUT, client.send(request)).await;
            answer.unwrap_or_else(|_| Err(kube::Error::Service(Silence.into())))
        }
    });
    Client::new(service, namespace)
}

/// The same client, which writes only while this operator surely leads.
///
/// The question is asked as late as it can be: a process may have stood still for any time between the decision to
/// write and the write.
pub fn fenced(client: &Client, tenure: &Tenure) -> Client {
    let (inner, namespace, tenure) = (client.clone(), client.default_namespace().to_owned(), tenure.clone());
    let service = tower::service_fn(move |request: Request<Body>| {
        let (client, allowed) = (inner.clone(), request.method() == Method::GET || tenure.holds());
        async move {
            if allowed { client.send(request).await } else { Err(kube::Error::Service(OutOfTurn.into())) }
        }
    });
    Client::new(service, namespace)
}
