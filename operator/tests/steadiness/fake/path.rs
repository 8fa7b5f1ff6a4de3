//! What a request is about.

/// A collection, an object of it, or a part of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Path {
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) plural: String,
    pub(crate) namespace: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) part: Option<String>,
}

impl Path {
    pub(crate) fn parse(path: &str) -> Self {
        let mut parts = path.trim_matches('/').split('/').map(str::to_owned);
        let mut next = || parts.next();
        let core = next().unwrap() == "api";
        let group = if core { String::new() } else { next().unwrap() };
        let version = next().unwrap();
        let mut plural = next().unwrap();
        let mut namespace = None;
        if plural == "namespaces" {
            namespace = next();
            plural = next().unwrap();
        }
        Self { group, version, plural, namespace, name: next(), part: next() }
    }

    /// Such as `apps/deployments`, or `/pods` of the core group.
    pub(crate) fn collection(&self) -> String {
        format!("{}/{}", self.group, self.plural)
    }

    /// Where an object is kept.
    pub(crate) fn of(object: &serde_json::Value) -> String {
        let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        let api_version = text(&object["apiVersion"]);
        let root = if api_version.contains('/') { "apis" } else { "api" };
        let kind = text(&object["kind"]).to_lowercase();
        let plural = match kind.strip_suffix('y') {
            Some(stem) => format!("{stem}ies"),
            None if kind.ends_with('s') => format!("{kind}es"),
            None => format!("{kind}s"),
        };
        let (namespace, name) = (text(&object["metadata"]["namespace"]), text(&object["metadata"]["name"]));
        format!("/{root}/{api_version}/namespaces/{namespace}/{plural}/{name}")
    }

    pub(crate) fn object(&self) -> String {
        let root = if self.group.is_empty() { "/api".to_owned() } else { format!("/apis/{}", self.group) };
        let (version, plural) = (&self.version, &self.plural);
        let namespace = self.namespace.as_deref().unwrap_or_default();
        let name = self.name.as_deref().unwrap_or_default();
        format!("{root}/{version}/namespaces/{namespace}/{plural}/{name}")
    }
}
