//! What happens around leads, contacts and companies: tasks, notes, salesbots.

use serde_json::{Value, json};

use super::{Crm, Failure, LeadChange, Owner, Page, fields, now_seconds, seeded};

impl Crm {
    pub(in super::super) fn tasks(&self, page: Page) -> Value {
        self.tasks.page(page, |_| true)
    }

    /// Creates a task that is due at `complete_till`, in Unix seconds.
    pub(in super::super) fn create_task(
        &mut self,
        owner: Owner,
        entity: u64,
        text: &str,
        complete_till: u64,
        responsible_user: Option<u64>,
    ) -> Result<Value, Failure> {
        self.owner(owner, entity).map_err(|_| Failure::Refused)?;
        let responsible_user = responsible_user.unwrap_or(seeded::FIRST_USER);
        self.users.get(responsible_user).map_err(|_| Failure::Refused)?;
        let task = json!({
            "text": text, "entity_id": entity, "entity_type": owner.name(), "complete_till": complete_till,
            "is_completed": false, "responsible_user_id": responsible_user, "created_at": now_seconds(),
        });
        let id = self.tasks.insert(fields(task))?;
        Ok(self.tasks.changed(id))
    }

    /// One page of the notes of one entity.
    pub(in super::super) fn notes(&self, owner: Owner, entity: u64, page: Page) -> Result<Value, Failure> {
        self.owner(owner, entity)?;
        let is_of_entity = |note: &serde_json::Map<String, Value>| {
            note.get("entity_type").is_some_and(|name| name == owner.name())
                && note.get("entity_id").is_some_and(|id| *id == entity)
        };
        Ok(self.notes.page(page, is_of_entity))
    }

    pub(in super::super) fn add_note(
        &mut self,
        owner: Owner,
        entity: u64,
        text: &str,
        note_type: &str,
    ) -> Result<Value, Failure> {
        self.owner(owner, entity)?;
        let note = json!({
            "entity_id": entity, "entity_type": owner.name(), "note_type": note_type, "is_pinned": false,
            "created_at": now_seconds(), "params": {"text": text},
        });
        let id = self.notes.insert(fields(note))?;
        Ok(self.notes.changed(id))
    }

    /// Pins or unpins a note.
    pub(in super::super) fn set_pinned(
        &mut self,
        owner: Owner,
        id: u64,
        pinned: bool,
    ) -> Result<Value, Failure> {
        let note = self.notes.get_mut(id)?;
        if note.get("entity_type").is_none_or(|name| name != owner.name()) {
            return Err(Failure::NotFound);
        }
        note.insert("is_pinned".to_owned(), json!(pinned));
        Ok(json!({"id": id, "is_pinned": pinned}))
    }

    /// Starts a salesbot on a lead; what it does is done at once.
    pub(in super::super) fn run_salesbot(&mut self, bot: u64, lead: u64) -> Result<Value, Failure> {
        self.salesbots.get(bot)?;
        self.leads.get(lead).map_err(|_| Failure::Refused)?;
        if bot == seeded::CLOSING_BOT {
            let change = LeadChange { status: Some(seeded::LOST), ..LeadChange::default() };
            self.change_lead(lead, change)?;
        } else {
            self.add_note(Owner::Leads, lead, "Hello! How can we help?", "service_message")?;
        }
        self.running.insert((bot, lead));
        Ok(json!({"status": "accepted", "bot_id": bot, "entity_id": lead}))
    }

    /// Stops a salesbot that runs on an entity.
    pub(in super::super) fn stop_salesbot(
        &mut self,
        bot: u64,
        owner: Owner,
        entity: u64,
    ) -> Result<Value, Failure> {
        if owner != Owner::Leads || !self.running.remove(&(bot, entity)) {
            return Err(Failure::NotFound);
        }
        Ok(json!({"status": "accepted", "bot_id": bot, "entity_id": entity}))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: Page = Page { number: 1, limit: 250 };

    #[test]
    fn a_note_is_listed_and_pinned_on_its_own_entity_only() {
        let mut crm = Crm::seeded();
        let added = crm
            .add_note(Owner::Contacts, seeded::FIRST_CONTACT_PERSON, "Likes tea", "common")
            .expect("added");
        let id = added["_embedded"]["notes"][0]["id"].as_u64().expect("an identifier");
        assert_eq!(crm.set_pinned(Owner::Leads, id, true), Err(Failure::NotFound));
        crm.set_pinned(Owner::Contacts, id, true).expect("pinned");
        let notes = crm.notes(Owner::Contacts, seeded::FIRST_CONTACT_PERSON, PAGE).expect("notes");
        assert_eq!(notes["_embedded"]["notes"].as_array().map(Vec::len), Some(1));
        assert_eq!(notes["_embedded"]["notes"][0]["is_pinned"], true);
        let others = crm.notes(Owner::Leads, seeded::FIRST_LEAD, PAGE).expect("notes");
        assert_eq!(others["_embedded"]["notes"][0]["id"], seeded::FIRST_NOTE);
    }

    #[test]
    fn a_salesbot_acts_and_is_stopped_once() {
        let mut crm = Crm::seeded();
        let lead = seeded::FIRST_LEAD;
        assert_eq!(crm.stop_salesbot(seeded::CLOSING_BOT, Owner::Leads, lead), Err(Failure::NotFound));
        crm.run_salesbot(seeded::CLOSING_BOT, lead).expect("started");
        assert_eq!(crm.lead(lead).expect("a lead")["status_id"], seeded::LOST);
        crm.stop_salesbot(seeded::CLOSING_BOT, Owner::Leads, lead).expect("stopped");
        assert_eq!(crm.stop_salesbot(seeded::CLOSING_BOT, Owner::Leads, lead), Err(Failure::NotFound));
        assert_eq!(crm.run_salesbot(900, lead), Err(Failure::NotFound));
    }

    #[test]
    fn a_task_needs_an_entity_and_a_user() {
        let mut crm = Crm::seeded();
        let mut create = |entity, user| crm.create_task(Owner::Leads, entity, "Call", 1, user).is_ok();
        assert!(create(seeded::FIRST_LEAD, None));
        assert!(!create(1, None));
        assert!(!create(seeded::FIRST_LEAD, Some(1)));
        assert_eq!(crm.tasks(PAGE)["_embedded"]["tasks"].as_array().map(Vec::len), Some(5));
    }
}
