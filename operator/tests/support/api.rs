//! An API server in memory: it keeps what is applied, and everything that was asked of it.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::{Method, Request, Response};
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};

/// The API server.
#[derive(Clone, Default)]
pub(crate) struct Api(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    objects: BTreeMap<String, Value>,
    refused: Vec<String>,
    closing: bool,
    asked: Vec<Asked>,
    version: u64,
}

/// A request.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) body: Value,
}

impl Api {
    pub(crate) fn client(&self) -> Client {
        let api = self.clone();
        let service = tower::service_fn(move |request| {
            let api = api.clone();
            async move { Ok::<_, Infallible>(api.answer(request).await) }
        });
        Client::new(service, "default")
    }

    /// An object that is there already, at the path of its collection and its name.
    pub(crate) fn put(&self, path: &str, object: Value) {
        self.0.lock().unwrap().objects.insert(path.to_owned(), object);
    }

    pub(crate) fn get(&self, path: &str) -> Option<Value> {
        self.0.lock().unwrap().objects.get(path).cloned()
    }

    /// From now on writes to a path are forbidden.
    pub(crate) fn refuse(&self, path: &str) {
        self.0.lock().unwrap().refused.push(path.to_owned());
    }

    /// From now on the namespace is being deleted.
    pub(crate) fn close(&self) {
        self.0.lock().unwrap().closing = true;
    }

    /// From now on no write is forbidden.
    pub(crate) fn refuse_nothing(&self) {
        self.0.lock().unwrap().refused.clear();
    }

    pub(crate) fn remove(&self, path: &str) {
        self.0.lock().unwrap().objects.remove(path);
    }

    /// What was asked since the last time.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut self.0.lock().unwrap().asked)
    }

    /// The last parts of the paths that were written since the last time, such as `roles/crm-toolgate`.
    pub(crate) fn written(&self) -> Vec<String> {
        let writes = self.asked().into_iter().filter(|asked| asked.method != Method::GET);
        writes.map(|asked| last_two(&asked.path)).collect()
    }

    async fn answer(&self, request: Request<Body>) -> Response<Full<Bytes>> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
        let (path, query) = (head.uri.path().to_owned(), head.uri.query().unwrap_or_default().to_owned());
        let mut state = self.0.lock().unwrap();
        state.asked.push(Asked {
            method: head.method.clone(),
            path: path.clone(),
            query,
            body: body.clone(),
        });
        let answer = if head.method == Method::GET {
            state.objects.get(&path).cloned().ok_or((404, "NotFound"))
        } else if state.closing {
            Err((403, "NamespaceTerminating"))
        } else if state.refused.contains(&path) {
            Err((403, "Forbidden"))
        } else if head.method == Method::DELETE {
            state.delete(&path, &body)
        } else {
            Ok(state.apply(path.trim_end_matches("/status"), body))
        };
        response(answer)
    }
}

impl State {
    fn apply(&mut self, path: &str, mut object: Value) -> Value {
        self.version += 1;
        let known = self.objects.get(path).map(|known| known["metadata"]["uid"].clone());
        object["metadata"]["uid"] = known.unwrap_or_else(|| json!(format!("uid-of-{path}")));
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        self.objects.insert(path.to_owned(), object.clone());
        object
    }
}

impl State {
    fn delete(&mut self, path: &str, options: &Value) -> Result<Value, (u16, &'static str)> {
        let known = self.objects.get(path).ok_or((404, "NotFound"))?;
        if known["metadata"]["uid"] != options["preconditions"]["uid"] {
            return Err((409, "Conflict"));
        }
        self.objects.remove(path).ok_or((404, "NotFound"))
    }
}

fn last_two(path: &str) -> String {
    let parts: Vec<&str> = path.rsplit('/').take(2).collect();
    parts.into_iter().rev().collect::<Vec<_>>().join("/")
}

fn response(answer: Result<Value, (u16, &str)>) -> Response<Full<Bytes>> {
    let (code, body) = match answer {
        Ok(object) => (200, object),
        Err((code, reason)) => (
            code,
            json!({
                "kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": reason,
                "details": {"causes": [{"reason": reason, "message": reason, "field": ""}]},
            }),
        ),
    };
    let body = Full::new(Bytes::from(body.to_string()));
    Response::builder().status(code).header("content-type", "application/json").body(body).unwrap()
}
