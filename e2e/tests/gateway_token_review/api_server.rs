//! An API server of the tests' own that reviews tokens as it is told to.
#![allow(dead_code, reason = "each test file uses its part")]

use serde_json::{Value, json};
use toolgate_e2e::process::{Folder, Seen, Step, Upstream};

/// What it says of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Says {
    Holds,
    PodGone,
    Forbidden,
    Nothing,
}

/// An API server, and a kubeconfig that leads to it.
pub(crate) struct ApiServer {
    pub(crate) reviews: Upstream,
    folder: Folder,
}

impl ApiServer {
    /// Says of each token what a function says; that it is this user's if it holds.
    pub(crate) async fn start(
        user: &'static str,
        says: impl Fn(&str) -> Says + Send + Sync + 'static,
    ) -> Self {
        let script = move |seen: &Seen| {
            let review: Value = serde_json::from_str(&seen.body).unwrap_or_default();
            let said = says(review["spec"]["token"].as_str().unwrap_or_default());
            reviewed(review, user, said)
        };
        let reviews = Upstream::start(script).await.expect("an API server");
        let folder = Folder::new().expect("a folder");
        let kubeconfig = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "c",
            "clusters": [{"name": "c", "cluster": {"server": reviews.url().replace("/mcp", "")}}],
            "users": [{"name": "u", "user": {}}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        });
        folder.write("kubeconfig", &kubeconfig.to_string()).expect("is written");
        Self { reviews, folder }
    }

    /// For the variable `KUBECONFIG`.
    pub(crate) fn kubeconfig(&self) -> std::path::PathBuf {
        self.folder.path().join("kubeconfig")
    }
}

fn reviewed(mut review: Value, user: &str, said: Says) -> Vec<Step> {
    let (status, body) = match said {
        Says::Nothing => return vec![Step::Hold],
        Says::Forbidden => {
            let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
                                "message": "forbidden", "reason": "Forbidden", "code": 403});
            ("403 Forbidden", status)
        }
        Says::Holds | Says::PodGone => {
            let holds = said == Says::Holds;
            review["status"] = json!({"authenticated": holds});
            if holds {
                review["status"]["user"] = json!({"username": user});
                review["status"]["audiences"] = review["spec"]["audiences"].clone();
            }
            ("201 Created", review)
        }
    };
    let body = body.to_string();
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    vec![Step::Send((head + &body).into_bytes())]
}
