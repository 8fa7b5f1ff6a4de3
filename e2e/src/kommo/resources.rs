//! The five resources: the same data as five of the tools.

use serde_json::{Value, json};

use super::crm::{Crm, Period};
use super::tools::pretty;

const RESOURCES: [(&str, &str, &str); 5] = [
    ("kommo://reports/sales", "Sales report", "All leads by outcome, pipeline and responsible user"),
    ("kommo://pipelines", "Pipelines", "Pipelines and their stages"),
    ("kommo://loss_reasons", "Loss reasons", "Why deals are lost"),
    ("kommo://dashboard", "Dashboard", "Leads by stage, and tasks"),
    ("kommo://account", "Account", "The account"),
];

/// The result of `resources/list`.
pub(super) fn list() -> Value {
    let listed = RESOURCES.map(|(uri, name, description)| {
        json!({"uri": uri, "name": name, "description": description, "mimeType": "application/json"})
    });
    json!({"resources": listed})
}

/// The result of `resources/read`, if there is such a resource.
pub(super) fn read(crm: &Crm, uri: &str) -> Option<Value> {
    let data = match uri {
        "kommo://reports/sales" => crm.sales_report(Period::default()),
        "kommo://pipelines" => crm.pipelines(),
        "kommo://loss_reasons" => crm.loss_reasons(),
        "kommo://dashboard" => crm.dashboard(),
        "kommo://account" => Crm::account(),
        _ => return None,
    };
    Some(json!({"contents": [{"uri": uri, "mimeType": "application/json", "text": pretty(&data)}]}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_listed_resource_can_be_read_and_no_other() {
        let crm = Crm::seeded();
        for (uri, _, _) in RESOURCES {
            assert!(read(&crm, uri).is_some(), "{uri}");
        }
        assert_eq!(read(&crm, "kommo://reports/../account"), None);
    }
}
