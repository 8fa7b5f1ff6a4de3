//! The objects of files as far as others may refer to them, good or bad: their names, and the names they hold.

use serde_json::Value;
use toolgate_crds::{GROUP, yaml};
use toolgate_policy::{Labels, References, labels};

/// The namespace of objects that name none.
const NAMESPACE: &str = "default";

/// The kinds of object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    McpServer,
    ToolPolicy,
    ToolGrant,
}

/// An object.
#[derive(Clone, Debug)]
pub(crate) struct Object {
    pub(crate) kind: Kind,
    pub(crate) namespace: String,
    pub(crate) name: String,
    /// The file that it is in.
    pub(crate) file: String,
    /// The line of its name.
    pub(crate) line: Option<u64>,
    /// The objects that it names, all of its own namespace.
    pub(crate) references: Vec<Reference>,
    /// Its labels.
    pub(crate) labels: Labels,
    /// Of a grant: the entries that select servers by labels.
    pub(crate) selectors: Vec<Selector>,
    /// Of a grant: the digests of its tokens.
    pub(crate) digests: Vec<Place>,
    /// Of a server: whether it lets in requests without credentials.
    pub(crate) anonymous: bool,
}

/// A name of another object.
#[derive(Clone, Debug)]
pub(crate) struct Reference {
    /// What kind of object is meant.
    pub(crate) kind: Kind,
    /// The name, and where it stands.
    pub(crate) name: Place,
}

/// An entry that selects servers.
#[derive(Clone, Debug)]
pub(crate) struct Selector {
    /// What it selects.
    pub(crate) servers: References,
    /// Where it stands.
    pub(crate) path: String,
    pub(crate) line: Option<u64>,
}

/// A text, and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) text: String,
    pub(crate) path: String,
    pub(crate) line: Option<u64>,
}

/// A field of the spec with names: whose it is, where in each item the name is, and what it names.
struct Field {
    of: Kind,
    name: &'static str,
    item: Option<&'static str>,
    kind: Kind,
}

const FIELDS: [Field; 4] = [
    Field { of: Kind::McpServer, name: "requiredPolicies", item: None, kind: Kind::ToolPolicy },
    Field { of: Kind::ToolPolicy, name: "targetRefs", item: Some("name"), kind: Kind::McpServer },
    Field { of: Kind::ToolPolicy, name: "grants", item: None, kind: Kind::ToolGrant },
    Field { of: Kind::ToolGrant, name: "servers", item: Some("name"), kind: Kind::McpServer },
];

/// The objects of a text; none when it is no YAML.
pub(crate) fn read(file: &str, text: &str) -> Vec<Object> {
    let documents = yaml::documents(text).unwrap_or_default();
    documents.iter().filter_map(|document| Object::new(file, document)).collect()
}

impl Kind {
    /// Every kind.
    pub(crate) const ALL: [Self; 3] = [Self::McpServer, Self::ToolPolicy, Self::ToolGrant];

    /// The kind's name.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::McpServer => "McpServer",
            Self::ToolPolicy => "ToolPolicy",
            Self::ToolGrant => "ToolGrant",
        }
    }
}

impl Object {
    fn new(file: &str, document: &yaml::Document) -> Option<Self> {
        let value = &document.value;
        let api_version = value["apiVersion"].as_str().unwrap_or(GROUP);
        let kind = Kind::ALL.into_iter().find(|kind| value["kind"] == kind.as_str())?;
        if api_version.split('/').next() != Some(GROUP) {
            return None;
        }
        let metadata = &value["metadata"];
        let fields = FIELDS.iter().filter(|field| field.of == kind);
        let token = &value["spec"]["subject"]["token"];
        let digest =
            |field: &&str| Place::new(document, format!("spec.subject.token.{field}"), &token[field]);
        let digests = ["sha256", "previousSha256"].iter().filter_map(digest);
        Some(Self {
            kind,
            namespace: metadata["namespace"].as_str().unwrap_or(NAMESPACE).to_owned(),
            name: metadata["name"].as_str()?.to_owned(),
            file: file.to_owned(),
            line: document.line("metadata.name"),
            references: fields.flat_map(|field| field.references(document)).collect(),
            digests: digests.filter(|_| kind == Kind::ToolGrant).collect(),
            labels: labels(value),
            selectors: selectors(document).filter(|_| kind == Kind::ToolGrant).collect(),
            anonymous: value["spec"]["gateway"]["anonymous"] == true,
        })
    }

    /// Whether it names another object of its namespace.
    pub(crate) fn names(&self, kind: Kind, name: &str) -> bool {
        self.references.iter().any(|reference| reference.kind == kind && reference.name.text == name)
    }
}

impl Field {
    fn references(&self, document: &yaml::Document) -> Vec<Reference> {
        let items = document.value["spec"][self.name].as_array().map(Vec::as_slice).unwrap_or_default();
        let place = |(index, item): (usize, &Value)| {
            let path = format!("spec.{}[{index}]", self.name);
            match self.item {
                Some(field) => Place::new(document, format!("{path}.{field}"), &item[field]),
                None => Place::new(document, path, item),
            }
        };
        let places = items.iter().enumerate().filter_map(place);
        places.map(|name| Reference { kind: self.kind, name }).collect()
    }
}

fn selectors(document: &yaml::Document) -> impl Iterator<Item = Selector> {
    let items = document.value["spec"]["servers"].as_array().into_iter().flatten().enumerate();
    let selecting = items.filter(|(_, item)| item["selector"].is_object());
    selecting.map(|(index, item)| {
        let path = format!("spec.servers[{index}].selector");
        let servers = References::of_grant(&Value::Array(vec![item.clone()]));
        Selector { servers, line: document.line(&path), path }
    })
}

impl Place {
    fn new(document: &yaml::Document, path: String, value: &Value) -> Option<Self> {
        let line = document.line(&path);
        value.as_str().map(|text| Self { text: text.to_owned(), path, line })
    }
}
