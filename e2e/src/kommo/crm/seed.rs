//! The state that every stand-in starts from.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::collection::Collection;
use super::{Crm, fields, seeded};

/// When everything seeded was created, in Unix seconds: 2026-07-28 00:00 UTC.
const CREATED_AT: u64 = 1_785_196_800;

const DAY_SECONDS: u64 = 86_400;

/// A fresh CRM.
pub(super) fn crm() -> Crm {
    Crm {
        leads: filled("leads", "/api/v4/leads", seeded::FIRST_LEAD, leads()),
        pipelines: filled("pipelines", "/api/v4/leads/pipelines", seeded::MAIN_PIPELINE, pipelines()),
        contacts: filled("contacts", "/api/v4/contacts", seeded::FIRST_CONTACT_PERSON, contacts()),
        companies: filled("companies", "/api/v4/companies", seeded::FIRST_COMPANY, companies()),
        tasks: filled("tasks", "/api/v4/tasks", seeded::FIRST_TASK, tasks()),
        notes: filled("notes", "/api/v4/leads/notes", seeded::FIRST_NOTE, notes()),
        users: filled("users", "/api/v4/users", seeded::FIRST_USER, users()),
        loss_reasons: filled(
            "loss_reasons",
            "/api/v4/leads/loss_reasons",
            seeded::FIRST_LOSS_REASON,
            loss_reasons(),
        ),
        salesbots: filled("bots", "/api/v4/bots", seeded::GREETING_BOT, salesbots()),
        running: BTreeSet::new(),
    }
}

fn filled(name: &'static str, path: &'static str, first_id: u64, items: Vec<Value>) -> Collection {
    let mut collection = Collection::new(name, path, first_id);
    for item in items {
        collection.insert(fields(item)).expect("the seed is smaller than a collection may be");
    }
    collection
}

fn pipelines() -> Vec<Value> {
    let stage = |pipeline: u64, id: u64, name: &str, sort: u64, incoming: bool| {
        json!({
            "id": id, "name": name, "sort": sort, "pipeline_id": pipeline, "account_id": seeded::ACCOUNT,
            "is_editable": !incoming && sort < 10_000, "type": u8::from(incoming), "color": "#99ccff",
        })
    };
    let pipeline = |id: u64, name: &str, sort: u64, stages: &[(u64, &str)]| {
        let open = stages.iter().enumerate().map(|(index, (status, label))| {
            let sort = u64::try_from(index).unwrap_or(u64::MAX).saturating_add(1).saturating_mul(10);
            stage(id, *status, label, sort, index == 0)
        });
        let closed = [
            stage(id, seeded::WON, "Closed - won", 10_000, false),
            stage(id, seeded::LOST, "Closed - lost", 11_000, false),
        ];
        json!({
            "name": name, "sort": sort, "is_main": id == seeded::MAIN_PIPELINE, "is_unsorted_on": true,
            "is_archive": false, "account_id": seeded::ACCOUNT,
            "_embedded": {"statuses": open.chain(closed).collect::<Vec<Value>>()},
        })
    };
    vec![
        pipeline(
            seeded::MAIN_PIPELINE,
            "Sales",
            1,
            &[
                (seeded::INCOMING, "Incoming leads"),
                (seeded::FIRST_CONTACT, "First contact"),
                (seeded::NEGOTIATION, "Negotiation"),
                (seeded::PROPOSAL, "Proposal"),
            ],
        ),
        pipeline(
            seeded::RENEWALS_PIPELINE,
            "Renewals",
            2,
            &[(201, "Incoming leads"), (seeded::REVIEW, "Review"), (203, "Offer")],
        ),
    ]
}

fn leads() -> Vec<Value> {
    const NAMES: [&str; 12] = [
        "Harbour Bakery",
        "Linden Books",
        "Polar Cycles",
        "Quarry Stone",
        "Sable Print",
        "Tidewater Foods",
        "Umber Paints",
        "Vale Orchards",
        "Willow Toys",
        "Xenon Lights",
        "Yarrow Herbs",
        "Zephyr Kites",
    ];
    const STAGES: [u64; 4] = [seeded::FIRST_CONTACT, seeded::NEGOTIATION, seeded::PROPOSAL, seeded::WON];
    let leads = NAMES.iter().zip(STAGES.iter().cycle()).zip(0u64..);
    let lead = |((name, status), index): ((&&str, &u64), u64)| {
        let created_at = CREATED_AT + index * DAY_SECONDS;
        json!({
            "name": name, "price": 1_000 * (index + 1), "status_id": status,
            "pipeline_id": seeded::MAIN_PIPELINE, "responsible_user_id": seeded::FIRST_USER + index % 3,
            "group_id": 0, "loss_reason_id": null, "created_by": seeded::FIRST_USER,
            "updated_by": seeded::FIRST_USER, "created_at": created_at, "updated_at": created_at,
            "closed_at": (*status == seeded::WON).then_some(created_at), "closest_task_at": null,
            "is_deleted": false, "custom_fields_values": null, "score": null,
            "account_id": seeded::ACCOUNT, "labor_cost": null,
        })
    };
    leads.map(lead).collect()
}

fn contacts() -> Vec<Value> {
    ["Ana Prado", "Bruno Reis", "Carla Dias", "Davi Melo", "Elisa Nunes", "Fabio Lima"]
        .iter()
        .map(|name| json!({"name": name, "account_id": seeded::ACCOUNT, "created_at": CREATED_AT}))
        .collect()
}

fn companies() -> Vec<Value> {
    ["Harbour Group", "Linden Media", "Polar Sports"]
        .iter()
        .map(|name| json!({"name": name, "account_id": seeded::ACCOUNT, "created_at": CREATED_AT}))
        .collect()
}

fn tasks() -> Vec<Value> {
    ["Call back", "Send the offer", "Prepare the demo", "Check the contract"]
        .iter()
        .zip(0u64..)
        .map(|(text, index)| {
            json!({
                "text": text, "entity_id": seeded::FIRST_LEAD + index, "entity_type": "leads",
                "complete_till": CREATED_AT + index * DAY_SECONDS, "is_completed": index == 3,
                "responsible_user_id": seeded::FIRST_USER, "created_at": CREATED_AT,
            })
        })
        .collect()
}

fn notes() -> Vec<Value> {
    vec![json!({
        "entity_id": seeded::FIRST_LEAD, "entity_type": "leads", "note_type": "common", "is_pinned": false,
        "created_at": CREATED_AT, "params": {"text": "Asked for an offer by phone."},
    })]
}

fn users() -> Vec<Value> {
    ["Marina Alves", "Nuno Costa", "Olga Petrova"]
        .iter()
        .map(|name| json!({"name": name, "lang": "en", "rights": {"is_active": true}}))
        .collect()
}

fn loss_reasons() -> Vec<Value> {
    ["Too expensive", "Chose a competitor", "No answer", "Not needed any more"]
        .iter()
        .zip(1u64..)
        .map(|(name, sort)| json!({"name": name, "sort": sort, "created_at": CREATED_AT, "updated_at": CREATED_AT}))
        .collect()
}

fn salesbots() -> Vec<Value> {
    vec![json!({"name": "Greeting"}), json!({"name": "Close as lost"})]
}
