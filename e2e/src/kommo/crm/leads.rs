//! Leads and their way through the stages of a pipeline.

use serde_json::{Map, Value, json};

use super::{Crm, Failure, Page, fields, now_seconds, seeded};

/// Keys that a caller cannot set: they follow from what happens to the lead.
const DERIVED_KEYS: [&str; 6] = ["id", "_links", "confirm", "created_at", "updated_at", "closed_at"];

/// What is to change on a lead.
#[derive(Debug, Clone, Default, PartialEq)]
pub(in super::super) struct LeadChange {
    pub(in super::super) status: Option<u64>,
    pub(in super::super) pipeline: Option<u64>,
    /// Any other fields.
    pub(in super::super) fields: Map<String, Value>,
}

impl Crm {
    /// One page of the leads whose name holds the text, whatever its case.
    pub(in super::super) fn leads(&self, page: Page, query: Option<&str>) -> Value {
        let query = query.unwrap_or_default().to_lowercase();
        self.leads.page(page, |lead| {
            let name = lead.get("name").and_then(Value::as_str).unwrap_or_default();
            name.to_lowercase().contains(&query)
        })
    }

    pub(in super::super) fn lead(&self, id: u64) -> Result<Value, Failure> {
        self.leads.get(id).map(|lead| json!(lead))
    }

    pub(in super::super) fn create_lead(&mut self, change: LeadChange) -> Result<Value, Failure> {
        let pipeline = change.pipeline.unwrap_or(seeded::MAIN_PIPELINE);
        let status = change.status.map_or_else(|| self.first_stage(pipeline), Ok)?;
        self.check_stage(pipeline, status)?;
        let now = now_seconds();
        let mut lead = fields(json!({
            "price": 0, "responsible_user_id": seeded::FIRST_USER, "group_id": 0, "loss_reason_id": null,
            "created_by": seeded::FIRST_USER, "updated_by": seeded::FIRST_USER, "created_at": now,
            "closest_task_at": null, "is_deleted": false, "custom_fields_values": null, "score": null,
            "account_id": seeded::ACCOUNT, "labor_cost": null,
        }));
        merge(&mut lead, change.fields);
        place(&mut lead, pipeline, status, now);
        let id = self.leads.insert(lead)?;
        Ok(self.leads.changed(id))
    }

    /// Changes a lead, its stage included. Nothing changes if any part of the change is refused.
    pub(in super::super) fn change_lead(&mut self, id: u64, change: LeadChange) -> Result<Value, Failure> {
        let lead = self.leads.get(id)?;
        let current = |key: &str| lead.get(key).and_then(Value::as_u64).unwrap_or_default();
        let pipeline = change.pipeline.unwrap_or_else(|| current("pipeline_id"));
        let status = match (change.status, change.pipeline) {
            (Some(status), _) => status,
            (None, Some(pipeline)) if pipeline != current("pipeline_id") => self.first_stage(pipeline)?,
            (None, _) => current("status_id"),
        };
        self.check_stage(pipeline, status)?;
        let now = now_seconds();
        let lead = self.leads.get_mut(id)?;
        merge(lead, change.fields);
        place(lead, pipeline, status, now);
        Ok(json!({"id": id, "updated_at": now, "_links": lead.get("_links")}))
    }

    /// The first stage that people work on: the one after the incoming leads.
    fn first_stage(&self, pipeline: u64) -> Result<u64, Failure> {
        let is_editable = |stage: &&Value| stage["is_editable"] == true;
        let stage = self.stages(pipeline)?.iter().find(is_editable);
        stage.and_then(|stage| stage["id"].as_u64()).ok_or(Failure::Refused)
    }

    fn check_stage(&self, pipeline: u64, status: u64) -> Result<(), Failure> {
        let exists = self.stages(pipeline)?.iter().any(|stage| stage["id"] == status);
        if exists { Ok(()) } else { Err(Failure::Refused) }
    }

    fn stages(&self, pipeline: u64) -> Result<&[Value], Failure> {
        let pipeline = self.pipelines.get(pipeline).map_err(|_| Failure::Refused)?;
        let stages = pipeline.get("_embedded").and_then(|embedded| embedded["statuses"].as_array());
        stages.map(Vec::as_slice).ok_or(Failure::Refused)
    }
}

fn merge(lead: &mut Map<String, Value>, changed: Map<String, Value>) {
    lead.extend(changed.into_iter().filter(|(key, _)| !DERIVED_KEYS.contains(&key.as_str())));
}

fn place(lead: &mut Map<String, Value>, pipeline: u64, status: u64, now: u64) {
    let is_closed = status == seeded::WON || status == seeded::LOST;
    let closed_before = lead.get("status_id").is_some_and(|before| *before == status);
    if !is_closed {
        lead.insert("closed_at".to_owned(), Value::Null);
    } else if !closed_before {
        lead.insert("closed_at".to_owned(), json!(now));
    }
    lead.insert("pipeline_id".to_owned(), json!(pipeline));
    lead.insert("status_id".to_owned(), json!(status));
    lead.insert("updated_at".to_owned(), json!(now));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(status: u64, pipeline: Option<u64>) -> LeadChange {
        LeadChange { status: Some(status), pipeline, ..LeadChange::default() }
    }

    #[test]
    fn closing_a_lead_stamps_it_and_reopening_clears_the_stamp() {
        let mut crm = Crm::seeded();
        crm.change_lead(seeded::FIRST_LEAD, to(seeded::LOST, None)).expect("moved");
        let lead = crm.lead(seeded::FIRST_LEAD).expect("a lead");
        assert_eq!(lead["status_id"], seeded::LOST);
        assert!(lead["closed_at"].is_u64());
        crm.change_lead(seeded::FIRST_LEAD, to(seeded::NEGOTIATION, None)).expect("moved");
        assert!(crm.lead(seeded::FIRST_LEAD).expect("a lead")["closed_at"].is_null());
    }

    #[test]
    fn a_refused_move_changes_nothing() {
        let mut crm = Crm::seeded();
        let before = crm.lead(seeded::FIRST_LEAD);
        for change in [to(999, None), to(seeded::REVIEW, None), to(seeded::WON, Some(99))] {
            assert_eq!(crm.change_lead(seeded::FIRST_LEAD, change), Err(Failure::Refused));
        }
        assert_eq!(crm.change_lead(1, to(seeded::WON, None)), Err(Failure::NotFound));
        assert_eq!(crm.lead(seeded::FIRST_LEAD), before);
    }

    #[test]
    fn another_pipeline_alone_means_its_first_stage() {
        let mut crm = Crm::seeded();
        let change = LeadChange { pipeline: Some(seeded::RENEWALS_PIPELINE), ..LeadChange::default() };
        crm.change_lead(seeded::FIRST_LEAD, change).expect("moved");
        assert_eq!(crm.lead(seeded::FIRST_LEAD).expect("a lead")["status_id"], seeded::REVIEW);
    }

    #[test]
    fn a_created_lead_keeps_extra_fields_but_not_derived_ones() {
        let mut crm = Crm::seeded();
        let extra = fields(json!({"name": "New", "utm_source": "ads", "id": 5, "created_at": 1}));
        let created =
            crm.create_lead(LeadChange { fields: extra, ..LeadChange::default() }).expect("created");
        let id = created["_embedded"]["leads"][0]["id"].as_u64().expect("an identifier");
        assert_eq!(id, seeded::FIRST_LEAD + seeded::LEADS);
        let lead = crm.lead(id).expect("a lead");
        assert_eq!((&lead["utm_source"], &lead["status_id"]), (&json!("ads"), &json!(seeded::FIRST_CONTACT)));
        assert_ne!(lead["created_at"], 1);
    }
}
