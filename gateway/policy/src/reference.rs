//! Which servers an object speaks of: by name, or by labels of theirs.

use std::collections::BTreeMap;

use serde_json::Value;

/// Labels by name.
pub type Labels = BTreeMap<String, String>;

/// What an object says of the servers it is for. Of a bad object: as much of it as can still be read, so that a policy
/// which never was good refuses the calls it was meant for, and a faulty grant is told of where it was meant to open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct References {
    names: Vec<String>,
    selectors: Vec<Labels>,
}

impl References {
    /// Reads a grant's list of `{name: ...}` and `{selector: {matchLabels: ...}}`.
    pub fn of_grant(references: &Value) -> Self {
        Self { selectors: items(references).filter_map(selector).collect(), ..Self::of_policy(references) }
    }

    /// Reads a policy's list of `{name: ...}`.
    pub fn of_policy(references: &Value) -> Self {
        let names = items(references).filter_map(|reference| reference["name"].as_str().map(str::to_owned));
        Self { names: names.collect(), selectors: Vec::new() }
    }

    /// Whether a server is meant.
    pub fn include(&self, name: &str, labels: &Labels) -> bool {
        let selects =
            |selector: &Labels| selector.iter().all(|(name, value)| labels.get(name) == Some(value));
        self.names.iter().any(|named| named == name) || self.selectors.iter().any(selects)
    }

    /// The servers that are named.
    pub fn names(&self) -> &[String] {
        &self.names
    }
}

/// The labels of an object.
pub fn labels(object: &Value) -> Labels {
    object["metadata"]["labels"].as_object().map(texts).unwrap_or_default()
}

fn items(references: &Value) -> impl Iterator<Item = &Value> {
    references.as_array().into_iter().flatten()
}

// One without labels selects nothing, never everything; one with a value that is no text neither.
fn selector(reference: &Value) -> Option<Labels> {
    let labels = reference["selector"]["matchLabels"].as_object()?;
    let texts = texts(labels);
    (!labels.is_empty() && texts.len() == labels.len()).then_some(texts)
}

fn texts(labels: &serde_json::Map<String, Value>) -> Labels {
    labels.iter().filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn labelled(labels: &[(&str, &str)]) -> Labels {
        labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_server_is_meant_by_its_name_or_by_all_labels_of_one_selector() {
        let references = References::of_grant(&json!([
            {"name": "crm"},
            {"selector": {"matchLabels": {"team": "sales", "tier": "live"}}},
            {"selector": {"matchLabels": {"team": "books"}}},
        ]));
        let meant = |name: &str, labels: &[(&str, &str)]| references.include(name, &labelled(labels));
        assert!(meant("crm", &[]));
        assert!(meant("desk", &[("team", "sales"), ("tier", "live"), ("more", "x")]));
        assert!(meant("desk", &[("team", "books")]));
        for labels in
            [&[][..], &[("team", "sales")], &[("tier", "live")], &[("team", "Books")], &[("crm", "")]]
        {
            assert!(!meant("desk", labels), "{labels:?}");
        }
    }

    #[test]
    fn what_cannot_be_read_means_no_server() {
        for bad in [
            json!(null),
            json!({"name": "crm"}),
            json!([{"selector": {}}, {"selector": {"matchLabels": {}}}, {"selector": {"matchLabels": []}}]),
            json!([{"selector": {"matchLabels": {"team": 1}}}, {"selector": null}, {"name": 1}, {}, "crm"]),
            json!([{"selector": {"matchLabels": {"team": "sales", "tier": null}}}]),
        ] {
            let references = References::of_grant(&bad);
            assert!(!references.include("crm", &labelled(&[("team", "sales")])), "{bad}");
            assert!(!references.include("", &Labels::new()), "{bad}");
        }
    }
}
