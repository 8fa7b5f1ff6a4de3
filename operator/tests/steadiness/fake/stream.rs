//! Watches.

use std::time::Duration;

use futures::{StreamExt, stream};
use http_body_util::{BodyExt, StreamBody};
use hyper::Response;
use hyper::body::{Bytes, Frame};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::answer::{Answer, parameter, selected};
use super::path::Path;
use super::{Asked, Away, Fake};

/// One watch.
struct Watch {
    fake: Fake,
    path: Path,
    query: String,
    seen: u64,
    until: Instant,
    outages: usize,
}

/// What a watch does next.
enum Next {
    Line(Value),
    Last(Value),
    Wait,
    Cut,
    Silent,
}

pub(super) fn watch(fake: &Fake, asked: &Asked) -> Response<Answer> {
    let seconds = parameter(&asked.query, "timeoutSeconds").and_then(|text| text.parse().ok()).unwrap_or(290);
    let seen = parameter(&asked.query, "resourceVersion").and_then(|text| text.parse().ok()).unwrap_or(0);
    let watch = Watch {
        fake: fake.clone(),
        path: Path::parse(&asked.path),
        query: asked.query.clone(),
        seen,
        until: Instant::now() + Duration::from_secs(seconds),
        outages: fake.state().outages.len(),
    };
    let lines = stream::unfold(Some(watch), |watch| async move { watch?.line().await });
    let frames = lines.map(|line| Ok(Frame::data(Bytes::from(line))));
    Response::new(StreamBody::new(frames).boxed_unsync())
}

impl Watch {
    async fn line(mut self) -> Option<(String, Option<Self>)> {
        let mut stirred = self.fake.0.stirred.subscribe();
        loop {
            stirred.borrow_and_update();
            match self.next() {
                Next::Line(line) => return Some((format!("{line}\n"), Some(self))),
                Next::Last(line) => return Some((format!("{line}\n"), None)),
                Next::Cut => return None,
                Next::Silent => std::future::pending::<()>().await,
                Next::Wait => {}
            }
            tokio::select! {
                _ = stirred.changed() => {}
                () = tokio::time::sleep_until(self.until) => return None,
            }
        }
    }

    fn next(&mut self) -> Next {
        let mut state = self.fake.state();
        match state.outages.get(self.outages) {
            Some(Away::Refusing) => return Next::Cut,
            Some(Away::Hanging) => return Next::Silent,
            None => {}
        }
        if state.held.contains(&self.path.collection()) {
            return Next::Wait;
        }
        let Some(changes) = state.store.after(self.seen) else {
            let gone = json!({"kind": "Status", "status": "Failure", "code": 410, "reason": "Expired", "message": "old"});
            return Next::Last(json!({"type": "ERROR", "object": gone}));
        };
        let changes = changes.to_vec();
        for change in changes {
            self.seen = change.version;
            let here = self.path.namespace.is_none()
                || change.object["metadata"]["namespace"].as_str() == self.path.namespace.as_deref();
            let concerns =
                change.collection == self.path.collection() && here && selected(&change.object, &self.query);
            let mut lost = state.lost.take();
            let is_lost = concerns && lost.as_mut().is_some_and(|lost| lost(&change));
            state.lost = lost;
            if concerns && !is_lost {
                return Next::Line(json!({"type": change.kind, "object": change.object}));
            }
        }
        Next::Wait
    }
}
