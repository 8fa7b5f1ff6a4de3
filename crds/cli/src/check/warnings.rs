//! What does not fit together between objects, whether or not each is good by itself.
//!
//! Objects refer to others of their own namespace only, so each namespace is looked at alone.

use std::collections::{BTreeMap, BTreeSet};

use toolgate_crds::FieldError;
use toolgate_policy::ANONYMOUS;

use super::Fault;
use super::finding::{Finding, Severity};
use super::objects::{Kind, Object, Place, Reference};

/// The objects by what others call them.
type Index<'a> = BTreeMap<(Kind, &'a str, &'a str), &'a Object>;

/// Every warning, object by object.
pub(crate) fn find(objects: &[Object]) -> Vec<Finding> {
    let index: Index<'_> =
        objects.iter().map(|object| ((object.kind, &*object.namespace, &*object.name), object)).collect();
    let policies = objects.iter().filter(|object| object.kind == Kind::ToolPolicy);
    let targeted: BTreeSet<(&str, &str)> = policies.flat_map(targets).collect();
    let mut tokens: BTreeMap<(&str, &str), &Object> = BTreeMap::new();
    let mut found = Vec::new();
    for object in objects {
        let references = object.references.iter();
        found.extend(references.filter_map(|reference| dangling(object, reference, &index)));
        if object.kind == Kind::McpServer && !targeted.contains(&(&object.namespace, &object.name)) {
            found.push(untargeted(object));
        }
        found.extend(unmatched(object, objects));
        for digest in &object.digests {
            let first = tokens.entry((&object.namespace, &digest.text)).or_insert(object);
            if first.name != object.name {
                found.push(shared(object, digest, first));
            }
        }
    }
    found
}

// The servers that a policy targets, by namespace and name.
fn targets(policy: &Object) -> impl Iterator<Item = (&str, &str)> {
    let servers = policy.references.iter().filter(|reference| reference.kind == Kind::McpServer);
    servers.map(|reference| (&*policy.namespace, &*reference.name.text))
}

fn dangling(object: &Object, reference: &Reference, index: &Index<'_>) -> Option<Finding> {
    let Reference { kind, name } = reference;
    let known = index.get(&(*kind, &object.namespace, &name.text));
    let missing =
        format!("no {} {} in namespace {} among these files", kind.as_str(), name.text, object.namespace);
    let message = match (object.kind, known) {
        (Kind::McpServer, None) => format!("{missing}; without it every call is refused"),
        (Kind::McpServer, Some(policy)) if !policy.names(Kind::McpServer, &object.name) => {
            format!("ToolPolicy {} does not target this server, so every call is refused", name.text)
        }
        (_, Some(_)) => return None,
        (Kind::ToolPolicy, None) if *kind == Kind::ToolGrant && name.text == ANONYMOUS => {
            if lets_anybody_in(object, index) {
                return None;
            }
            "no server among these files that it targets has gateway.anonymous".to_owned()
        }
        (Kind::ToolPolicy | Kind::ToolGrant, None) => missing,
    };
    Some(warning(object, name, message))
}

fn lets_anybody_in(policy: &Object, index: &Index<'_>) -> bool {
    targets(policy)
        .filter_map(|(namespace, name)| index.get(&(Kind::McpServer, namespace, name)))
        .any(|server| server.anonymous)
}

fn unmatched<'a>(grant: &'a Object, objects: &'a [Object]) -> impl Iterator<Item = Finding> + 'a {
    let servers =
        objects.iter().filter(|object| object.kind == Kind::McpServer && object.namespace == grant.namespace);
    let unmatched = grant.selectors.iter().filter(move |selector| {
        !servers.clone().any(|server| selector.servers.include(&server.name, &server.labels))
    });
    unmatched.map(|selector| {
        let message = format!("selects no McpServer in namespace {} among these files", grant.namespace);
        let place = Place { text: String::new(), path: selector.path.clone(), line: selector.line };
        warning(grant, &place, message)
    })
}

fn untargeted(server: &Object) -> Finding {
    let place = Place { text: server.name.clone(), path: "metadata.name".to_owned(), line: server.line };
    warning(
        server,
        &place,
        "no ToolPolicy among these files targets this server; without one every call is refused".to_owned(),
    )
}

fn shared(grant: &Object, digest: &Place, first: &Object) -> Finding {
    let message = format!("ToolGrant {} has the same token; a server that both open refuses it", first.name);
    warning(grant, digest, message)
}

fn warning(object: &Object, place: &Place, message: String) -> Finding {
    let fault = Fault {
        file: object.file.clone(),
        line: place.line,
        object: format!("{}/{}", object.kind.as_str(), object.name),
        error: FieldError::new(&place.path, message),
    };
    Finding { severity: Severity::Warning, fault }
}
