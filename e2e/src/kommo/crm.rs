//! The CRM behind the tools: accounts, leads, pipelines, contacts, tasks, notes. It answers in the shapes of the
//! Kommo API, forgets nothing while it runs, and starts from the same state every time.

mod activity;
mod collection;
mod leads;
mod reports;
mod seed;
pub mod seeded;

use std::collections::BTreeSet;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value, json};

use collection::Collection;

pub(super) use leads::LeadChange;
pub(super) use reports::Period;

/// Why the Kommo API refused, in the fixed words that the real server passes on: no status code is exposed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// The API answered 404.
    NotFound,
    /// The API answered 400 or anything else without words of its own.
    Refused,
}

impl Failure {
    /// The text for the agent.
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::NotFound => "O recurso solicitado não foi encontrado no Kommo.",
            Self::Refused => "A API do Kommo não conseguiu concluir a operação.",
        }
    }
}

/// A kind of entity that carries notes and tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    Leads,
    Contacts,
    Companies,
}

impl Owner {
    /// The kind of this name in the API.
    pub(super) fn parse(name: &str) -> Result<Self, Failure> {
        match name {
            "leads" => Ok(Self::Leads),
            "contacts" => Ok(Self::Contacts),
            "companies" => Ok(Self::Companies),
            _ => Err(Failure::Refused),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Leads => "leads",
            Self::Contacts => "contacts",
            Self::Companies => "companies",
        }
    }
}

/// Which part of a list is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Page {
    /// Counted from 1.
    pub(super) number: u64,
    pub(super) limit: u64,
}

/// All state.
#[derive(Debug)]
pub(super) struct Crm {
    leads: Collection,
    pipelines: Collection,
    contacts: Collection,
    companies: Collection,
    tasks: Collection,
    notes: Collection,
    users: Collection,
    loss_reasons: Collection,
    salesbots: Collection,
    /// Salesbot and lead.
    running: BTreeSet<(u64, u64)>,
}

impl Crm {
    /// The state that every stand-in starts from.
    pub(super) fn seeded() -> Self {
        seed::crm()
    }

    pub(super) fn account() -> Value {
        json!({
            "id": seeded::ACCOUNT, "name": "Northwind Sales", "subdomain": "northwind", "country": "US",
            "currency": "USD", "current_user_id": seeded::FIRST_USER, "timezone": "UTC",
            "_links": {"self": {"href": "/api/v4/account"}},
        })
    }

    pub(super) fn contacts(&self, page: Page) -> Value {
        self.contacts.page(page, |_| true)
    }

    pub(super) fn companies(&self, page: Page) -> Value {
        self.companies.page(page, |_| true)
    }

    pub(super) fn users(&self) -> Value {
        self.users.all()
    }

    pub(super) fn loss_reasons(&self) -> Value {
        self.loss_reasons.all()
    }

    pub(super) fn loss_reason(&self, id: u64) -> Result<Value, Failure> {
        self.loss_reasons.get(id).map(|reason| json!(reason))
    }

    pub(super) fn pipelines(&self) -> Value {
        self.pipelines.all()
    }

    pub(super) fn pipeline(&self, id: u64) -> Result<Value, Failure> {
        self.pipelines.get(id).map(|pipeline| json!(pipeline))
    }

    fn owner(&self, owner: Owner, id: u64) -> Result<&Map<String, Value>, Failure> {
        match owner {
            Owner::Leads => self.leads.get(id),
            Owner::Contacts => self.contacts.get(id),
            Owner::Companies => self.companies.get(id),
        }
    }
}

/// Now, in Unix seconds.
fn now_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs())
}

/// An object literal as a map.
fn fields(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Map::new(),
    }
}
