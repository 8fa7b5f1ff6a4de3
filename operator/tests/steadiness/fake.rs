//! A Kubernetes API server in memory: lists in pages, watches, server-side apply with its preconditions, statuses,
//! deletions. It can be told to misbehave in every way that one over a network does.

mod answer;
mod path;
mod store;
mod stream;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::Bytes;
use hyper::{Method, Request, Response};
use kube::Client;
use kube::client::Body;
use serde_json::Value;
use tokio::sync::watch;

pub(crate) use answer::Answer;
pub(crate) use path::Path;
pub(crate) use store::Change;
use store::Store;

/// The API server.
#[derive(Clone)]
pub(crate) struct Fake(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    /// Counts what open watches have to look at.
    stirred: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    store: Store,
    asked: Vec<Asked>,
    plan: Option<Plan>,
    away: Option<Away>,
    /// All outages: a connection that was open in one is dead.
    outages: Vec<Away>,
    /// Collections whose watches are behind.
    held: BTreeSet<String>,
    lost: Option<Lost>,
}

type Plan = Box<dyn FnMut(&Asked) -> Option<Fault> + Send>;
type Lost = Box<dyn FnMut(&Change) -> bool + Send>;

/// A request.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// How many there were before.
    pub(crate) number: usize,
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) body: Value,
}

/// What goes wrong with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It is answered with this status and not done.
    Status(u16),
    /// The connection breaks before anything is done.
    Broken,
    /// It is done, and the connection breaks before the answer.
    AnswerLost,
    /// It is taken, not done, and never answered.
    Silence,
}

/// How the API server is away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Away {
    /// Connections are refused, and open ones break.
    Refusing,
    /// Connections are taken and never answered; open ones fall silent, and stay so when it is back.
    Hanging,
}

/// No answer.
#[derive(Debug)]
pub(crate) struct Broken;

impl Fake {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Shared { state: Mutex::default(), stirred: watch::Sender::new(0) }))
    }

    pub(crate) fn client(&self) -> Client {
        let fake = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let fake = fake.clone();
            async move {
                let (head, body) = request.into_parts();
                let body = body.collect().await.unwrap().to_bytes();
                fake.serve(head.method, &head.uri, body)
                    .await
                    .map_err(|Broken| std::io::Error::other("broken"))
            }
        });
        Client::new(service, "default")
    }

    /// An object that somebody else writes: made, or changed. Its generation and version are counted here.
    pub(crate) fn put(&self, object: Value) {
        self.state().store.put(object);
        self.stir();
    }

    /// An object that somebody else changes.
    pub(crate) fn edit(&self, path: &str, change: impl FnOnce(&mut Value)) {
        let mut object = self.get(path).unwrap();
        change(&mut object);
        self.put(object);
    }

    pub(crate) fn get(&self, path: &str) -> Option<Value> {
        self.state().store.get(&Path::parse(path)).cloned()
    }

    /// Every object, by path, without what differs from run to run.
    pub(crate) fn end(&self) -> std::collections::BTreeMap<String, Value> {
        self.state().store.end()
    }

    /// What goes wrong from now on.
    pub(crate) fn plan(&self, plan: impl FnMut(&Asked) -> Option<Fault> + Send + 'static) {
        self.state().plan = Some(Box::new(plan));
    }

    pub(crate) fn nothing_goes_wrong(&self) {
        let mut state = self.state();
        (state.plan, state.lost) = (None, None);
    }

    /// From now on it is away.
    pub(crate) fn go(&self, away: Away) {
        let mut state = self.state();
        state.away = Some(away);
        state.outages.push(away);
        drop(state);
        self.stir();
    }

    pub(crate) fn come_back(&self) {
        self.state().away = None;
        self.stir();
    }

    /// Events that match are lost: no watch ever sees them.
    pub(crate) fn lose(&self, lost: impl FnMut(&Change) -> bool + Send + 'static) {
        self.state().lost = Some(Box::new(lost));
    }

    /// Watches of a collection, such as `toolgate.dev/toolpolicies`, are behind from now on.
    pub(crate) fn hold(&self, collection: &str) {
        self.state().held.insert(collection.to_owned());
    }

    pub(crate) fn release(&self, collection: &str) {
        self.state().held.remove(collection);
        self.stir();
    }

    /// Forgets all changes until now: a watch that has not seen them has to list anew.
    pub(crate) fn compact(&self) {
        self.state().store.compact();
        self.stir();
    }

    /// Breaks every open watch.
    pub(crate) fn cut(&self) {
        self.state().outages.push(Away::Refusing);
        self.stir();
    }

    /// What was asked since the last time.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut self.state().asked)
    }

    /// Everything that became of the objects of a collection, such as `/configmaps`, in order.
    pub(crate) fn changes(&self, collection: &str) -> Vec<Value> {
        let state = self.state();
        let changes = state.store.after(0).unwrap().iter().filter(|change| change.collection == collection);
        changes.map(|change| change.object.clone()).collect()
    }

    pub(crate) async fn serve(
        &self,
        method: Method,
        uri: &hyper::Uri,
        body: Bytes,
    ) -> Result<Response<Answer>, Broken> {
        let asked = Asked {
            number: 0,
            method,
            path: uri.path().to_owned(),
            query: uri.query().unwrap_or_default().to_owned(),
            body: serde_json::from_slice(&body).unwrap_or(Value::Null),
        };
        let fault = self.fault(asked.clone());
        match fault {
            None => Ok(self.answer(&asked)),
            Some(Fault::Status(code)) => Ok(answer::failure(code, "as planned")),
            Some(Fault::Broken) => Err(Broken),
            Some(Fault::AnswerLost) => {
                self.answer(&asked);
                Err(Broken)
            }
            Some(Fault::Silence) => {
                tokio::time::sleep(Duration::from_hours(24)).await;
                Err(Broken)
            }
        }
    }

    fn fault(&self, mut asked: Asked) -> Option<Fault> {
        let mut state = self.state();
        asked.number = state.store.next_request();
        state.asked.push(asked.clone());
        match state.away {
            Some(Away::Refusing) => return Some(Fault::Broken),
            Some(Away::Hanging) => return Some(Fault::Silence),
            None => {}
        }
        let mut plan = state.plan.take();
        let fault = plan.as_mut().and_then(|plan| plan(&asked));
        state.plan = plan;
        fault
    }

    fn answer(&self, asked: &Asked) -> Response<Answer> {
        if asked.method == Method::GET && asked.query.contains("watch=true") {
            return stream::watch(self, asked);
        }
        let answer = answer::answer(&mut self.state().store, asked);
        if asked.method != Method::GET {
            self.stir();
        }
        answer
    }

    fn stir(&self) {
        self.0.stirred.send_modify(|count| *count += 1);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap()
    }
}

impl Asked {
    /// A line that is the same in every run, such as `PATCH configmaps/crm-toolgate`.
    pub(crate) fn what(&self) -> String {
        let parts: Vec<&str> = self.path.rsplit('/').take(2).collect();
        let watch = if self.query.contains("watch=true") { " (watch)" } else { "" };
        format!("{} {}{watch}", self.method, parts.into_iter().rev().collect::<Vec<_>>().join("/"))
    }

    pub(crate) fn is_write(&self) -> bool {
        self.method != Method::GET
    }
}
