//! The 23 tools as they are listed: names, descriptions, arguments, annotations.

use serde_json::{Value, json};

use super::schema::{Argument, Extra, Kind, input_schema};

/// What a tool does to the CRM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    Read,
    Write,
    /// A write that changes nothing more when it is repeated.
    RepeatableWrite,
}

/// One listed tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tool {
    pub(super) name: &'static str,
    title: &'static str,
    description: &'static str,
    effect: Effect,
    pub(super) arguments: &'static [Argument],
    pub(super) extra: Extra,
}

impl Tool {
    const fn read(
        name: &'static str,
        title: &'static str,
        description: &'static str,
        arguments: &'static [Argument],
    ) -> Self {
        Self { name, title, description, effect: Effect::Read, arguments, extra: Extra::Refused }
    }

    const fn write(
        name: &'static str,
        title: &'static str,
        description: &'static str,
        arguments: &'static [Argument],
    ) -> Self {
        Self { name, title, description, effect: Effect::Write, arguments, extra: Extra::Refused }
    }

    const fn repeatable(mut self) -> Self {
        self.effect = Effect::RepeatableWrite;
        self
    }

    const fn open(mut self) -> Self {
        self.extra = Extra::Accepted;
        self
    }

    fn listed(&self) -> Value {
        let annotations = match self.effect {
            Effect::Read => json!({"title": self.title, "readOnlyHint": true, "idempotentHint": true}),
            Effect::Write => json!({"title": self.title, "readOnlyHint": false, "destructiveHint": true}),
            Effect::RepeatableWrite => json!({
                "title": self.title, "readOnlyHint": false, "destructiveHint": true, "idempotentHint": true,
            }),
        };
        json!({
            "name": self.name,
            "title": self.title,
            "description": self.description,
            "inputSchema": input_schema(self.arguments, self.extra),
            "annotations": annotations,
        })
    }
}

/// The tool of exactly this name.
pub(super) fn find(name: &str) -> Option<&'static Tool> {
    TOOLS.iter().find(|tool| tool.name == name)
}

/// The result of `tools/list`: all tools on one page, always in the same order.
pub(super) fn list() -> Value {
    json!({"tools": TOOLS.iter().map(Tool::listed).collect::<Vec<Value>>()})
}

const LIMIT: Argument = Argument::new("limit", Kind::Number, "Entries on one page").or_number(250);
const PAGE: Argument = Argument::new("page", Kind::Number, "Page, counted from 1").or_number(1);
const CONFIRM: Argument =
    Argument::new("confirm", Kind::Boolean, "Confirms the change where that is asked for");
const STATUS: Argument =
    Argument::new("status_id", Kind::Number, "Stage of the pipeline; 142 is won, 143 is lost");
const PIPELINE: Argument =
    Argument::new("pipeline_id", Kind::Number, "Pipeline; send it with stages 142 and 143");
const NAME: Argument = Argument::new("name", Kind::Text, "Name of the lead");
const PRICE: Argument = Argument::new("price", Kind::Number, "Value of the deal, in the account's currency");
const OWNER_TYPE: Argument =
    Argument::new("entity_type", Kind::OneOf(&["leads", "contacts", "companies"]), "Kind of the entity")
        .required();
const ENTITY_TYPE: Argument =
    Argument::new("entity_type", Kind::Text, "Kind of the entity, such as leads").required();
const BOT_ENTITY_TYPE: Argument =
    Argument::new("entity_type", Kind::OneOf(&["leads"]), "Kind of the entity: leads").required();
const ENTITY: Argument = Argument::new("entity_id", Kind::Number, "Identifier of the entity").required();
const NOTE: Argument = Argument::new("note_id", Kind::Number, "Identifier of the note").required();
const BOT: Argument = Argument::new("bot_id", Kind::Number, "Identifier of the salesbot").required();

/// All tools, in the order in which they are listed.
pub(super) const TOOLS: &[Tool] = &[
    Tool::read("get_account", "Account", "Shows the account: name, currency, country.", &[]),
    Tool::read(
        "get_leads",
        "Leads",
        "Lists leads page by page, optionally those whose name holds a text.",
        &[LIMIT, PAGE, Argument::new("query", Kind::Text, "Text to look for")],
    ),
    Tool::read(
        "get_lead",
        "Lead",
        "Shows one lead.",
        &[Argument::new("id", Kind::Number, "Identifier of the lead").required()],
    ),
    Tool::write(
        "create_lead",
        "Create lead",
        "Creates a lead, in any stage of any pipeline. Other fields of a lead may be given too.",
        &[NAME.required(), PRICE, STATUS, PIPELINE, CONFIRM],
    )
    .open(),
    Tool::write(
        "update_lead",
        "Update lead",
        "Changes fields of a lead, its stage among them. Other fields of a lead may be given too.",
        &[
            Argument::new("id", Kind::Number, "Identifier of the lead").required(),
            NAME,
            PRICE,
            STATUS,
            PIPELINE,
            Argument::new("loss_reason_id", Kind::Number, "Why the deal was lost"),
            CONFIRM,
        ],
    )
    .open(),
    Tool::write(
        "move_lead",
        "Move lead",
        "Moves a lead to a stage, of another pipeline if one is named.",
        &[
            Argument::new("lead_id", Kind::Number, "Identifier of the lead").required(),
            STATUS.required(),
            PIPELINE,
            CONFIRM,
        ],
    ),
    Tool::read(
        "get_pipelines",
        "Pipelines",
        "Lists pipelines and their stages, or shows one of them.",
        &[PIPELINE],
    ),
    Tool::read(
        "get_sales_report",
        "Sales report",
        "Adds up the leads of a period by outcome, pipeline and responsible user.",
        &[
            Argument::new("dateFrom", Kind::Date, "First day of the period"),
            Argument::new("dateTo", Kind::Date, "Last day of the period"),
        ],
    ),
    Tool::read("get_dashboard", "Dashboard", "Shows open, won and lost leads by stage, and tasks.", &[]),
    Tool::read("get_contacts", "Contacts", "Lists contacts page by page.", &[LIMIT, PAGE]),
    Tool::read("get_companies", "Companies", "Lists companies page by page.", &[LIMIT, PAGE]),
    Tool::read("get_tasks", "Tasks", "Lists tasks page by page.", &[LIMIT, PAGE]),
    Tool::write(
        "create_task",
        "Create task",
        "Creates a task on a lead, contact or company.",
        &[
            Argument::new("text", Kind::Text, "What is to be done").required(),
            ENTITY,
            ENTITY_TYPE,
            Argument::new("complete_till", Kind::Number, "When it is due, in Unix seconds").required(),
            Argument::new("responsible_user_id", Kind::Number, "Who is to do it"),
            CONFIRM,
        ],
    )
    .open(),
    Tool::read("get_users", "Users", "Lists the users of the account.", &[]),
    Tool::read("get_loss_reasons", "Loss reasons", "Lists the reasons for which deals are lost.", &[]),
    Tool::read(
        "get_loss_reason",
        "Loss reason",
        "Shows one reason for which deals are lost.",
        &[Argument::new("id", Kind::Number, "Identifier of the loss reason").required()],
    ),
    Tool::read(
        "get_notes",
        "Notes",
        "Lists the notes of a lead, contact or company.",
        &[OWNER_TYPE, ENTITY, LIMIT, PAGE],
    ),
    Tool::write(
        "add_note",
        "Add note",
        "Adds a note to a lead, contact or company.",
        &[
            OWNER_TYPE,
            ENTITY,
            Argument::new("text", Kind::Text, "The note").required(),
            Argument::new("note_type", Kind::Text, "Kind of note").or_text("common"),
            CONFIRM,
        ],
    ),
    Tool::write("pin_note", "Pin note", "Pins a note.", &[OWNER_TYPE, NOTE, CONFIRM]).repeatable(),
    Tool::write("unpin_note", "Unpin note", "Unpins a note.", &[OWNER_TYPE, NOTE, CONFIRM]).repeatable(),
    Tool::write(
        "run_salesbot",
        "Run salesbot",
        "Starts a salesbot on a lead: it acts on its own from then on.",
        &[BOT, ENTITY, BOT_ENTITY_TYPE, CONFIRM],
    ),
    Tool::write(
        "stop_salesbot",
        "Stop salesbot",
        "Stops a salesbot that runs on a lead.",
        &[BOT, ENTITY, ENTITY_TYPE, CONFIRM],
    ),
    Tool::read(
        "ask_kommo",
        "Ask Kommo",
        "Answers a plain question about leads, pipelines, contacts and tasks by its keywords.",
        &[Argument::new("question", Kind::Text, "The question").required()],
    ),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn there_are_23_tools_of_which_9_write() {
        let names: BTreeSet<&str> = TOOLS.iter().map(|tool| tool.name).collect();
        assert_eq!(names.len(), 23);
        assert_eq!(TOOLS.iter().filter(|tool| tool.effect != Effect::Read).count(), 9);
    }

    #[test]
    fn only_three_tools_take_undeclared_arguments() {
        let open: Vec<&str> =
            TOOLS.iter().filter(|tool| tool.extra == Extra::Accepted).map(|tool| tool.name).collect();
        assert_eq!(open, ["create_lead", "update_lead", "create_task"]);
    }

    #[test]
    fn annotations_follow_the_effect_and_every_write_takes_confirm() {
        for tool in TOOLS {
            let listed = tool.listed();
            let annotations = &listed["annotations"];
            let writes = tool.effect != Effect::Read;
            assert_eq!(annotations["readOnlyHint"], !writes, "{}", tool.name);
            assert_eq!(annotations.get("destructiveHint").is_some(), writes, "{}", tool.name);
            assert_eq!(
                annotations.get("idempotentHint").is_some(),
                tool.effect != Effect::Write,
                "{}",
                tool.name
            );
            assert_eq!(listed["inputSchema"]["properties"].get("confirm").is_some(), writes, "{}", tool.name);
        }
    }
}
