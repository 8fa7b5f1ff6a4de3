//! Running a tool: from checked arguments to what the CRM does, and to the text that the agent reads.

use serde_json::{Map, Value, json};

use super::catalog;
use super::crm::{Crm, Failure, LeadChange, Owner, Page, Period};
use super::rpc::{INVALID_PARAMS, RpcError};
use super::schema;

/// Arguments of [`catalog::TOOLS`] that are not fields of a lead.
const NOT_LEAD_FIELDS: [&str; 4] = ["id", "status_id", "pipeline_id", "confirm"];

/// The greatest whole number that a JSON number of the real server carries exactly.
const MAX_WHOLE: f64 = 9_007_199_254_740_992.0;

/// The result of `tools/call`, or the JSON-RPC error for a call that names no tool.
pub(super) fn call(crm: &mut Crm, params: &Map<String, Value>) -> Result<Value, RpcError> {
    let Some(name) = params.get("name").and_then(Value::as_str) else {
        return Err(RpcError::new(INVALID_PARAMS, "Invalid params: name must be a string"));
    };
    let empty = Map::new();
    let arguments = match params.get("arguments") {
        None => &empty,
        Some(Value::Object(arguments)) => arguments,
        Some(_) => return Err(RpcError::new(INVALID_PARAMS, "Invalid params: arguments must be an object")),
    };
    let tool =
        catalog::find(name).ok_or_else(|| RpcError::new(INVALID_PARAMS, format!("Tool {name} not found")))?;
    if let Err(violations) = schema::check(tool.arguments, tool.extra, arguments) {
        let text = format!("Input validation error: Invalid arguments for tool {name}: {violations}");
        return Ok(error_result(&text));
    }
    Ok(match run(crm, name, &Given(arguments)) {
        Ok(value) => json!({"content": [{"type": "text", "text": pretty(&value)}]}),
        Err(failure) => error_result(failure.text()),
    })
}

/// A value as the real server prints it: two spaces a level.
pub(super) fn pretty(value: &Value) -> String {
    format!("{value:#}")
}

fn error_result(text: &str) -> Value {
    json!({"content": [{"type": "text", "text": text}], "isError": true})
}

fn run(crm: &mut Crm, name: &str, given: &Given) -> Result<Value, Failure> {
    match name {
        "get_account" => Ok(Crm::account()),
        "get_leads" => Ok(crm.leads(given.page(), given.text("query"))),
        "get_lead" => crm.lead(given.id("id")?),
        "create_lead" => crm.create_lead(given.lead_change()),
        "update_lead" => crm.change_lead(given.id("id")?, given.lead_change()),
        "move_lead" => {
            let change = LeadChange { fields: Map::new(), ..given.lead_change() };
            crm.change_lead(given.id("lead_id")?, change)
        }
        "get_pipelines" => {
            given.nonzero("pipeline_id").map_or_else(|| Ok(crm.pipelines()), |id| crm.pipeline(id))
        }
        "get_sales_report" => {
            Ok(crm.sales_report(Period::of_days(given.text("dateFrom"), given.text("dateTo"))))
        }
        "get_dashboard" => Ok(crm.dashboard()),
        "get_contacts" => Ok(crm.contacts(given.page())),
        "get_companies" => Ok(crm.companies(given.page())),
        "get_tasks" => Ok(crm.tasks(given.page())),
        "get_users" => Ok(crm.users()),
        "get_loss_reasons" => Ok(crm.loss_reasons()),
        "get_loss_reason" => crm.loss_reason(given.id("id")?),
        "ask_kommo" => Ok(crm.ask(given.text("question").unwrap_or_default())),
        _ => run_activity(crm, name, given),
    }
}

fn run_activity(crm: &mut Crm, name: &str, given: &Given) -> Result<Value, Failure> {
    let text = given.text("text").unwrap_or_default();
    let owner = || Owner::parse(given.text("entity_type").unwrap_or_default());
    match name {
        "create_task" => {
            let (entity, due) = (given.id("entity_id")?, given.id("complete_till")?);
            crm.create_task(owner()?, entity, text, due, given.nonzero("responsible_user_id"))
        }
        "get_notes" => crm.notes(owner()?, given.id("entity_id")?, given.page()),
        "add_note" => {
            let note_type = given.text("note_type").unwrap_or("common");
            crm.add_note(owner()?, given.id("entity_id")?, text, note_type)
        }
        "pin_note" => crm.set_pinned(owner()?, given.id("note_id")?, true),
        "unpin_note" => crm.set_pinned(owner()?, given.id("note_id")?, false),
        "run_salesbot" => crm.run_salesbot(given.id("bot_id")?, given.id("entity_id")?),
        "stop_salesbot" => crm.stop_salesbot(given.id("bot_id")?, owner()?, given.id("entity_id")?),
        _ => Err(Failure::Refused),
    }
}

/// Arguments that passed the check of their tool.
struct Given<'a>(&'a Map<String, Value>);

impl Given<'_> {
    fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(Value::as_str)
    }

    /// A whole number: `12.0` is 12. No entity has an identifier that is not one.
    fn id(&self, name: &str) -> Result<u64, Failure> {
        self.0.get(name).and_then(whole).ok_or(Failure::NotFound)
    }

    /// A number, where zero counts as absent, as it does in JavaScript.
    fn nonzero(&self, name: &str) -> Option<u64> {
        self.0.get(name).and_then(whole).filter(|number| *number != 0)
    }

    fn page(&self) -> Page {
        Page { number: self.nonzero("page").unwrap_or(1), limit: self.nonzero("limit").unwrap_or(250) }
    }

    fn lead_change(&self) -> LeadChange {
        let is_field = |name: &&String| !NOT_LEAD_FIELDS.contains(&name.as_str());
        let fields = self.0.iter().filter(|(name, _)| is_field(name));
        LeadChange {
            status: self.nonzero("status_id"),
            pipeline: self.nonzero("pipeline_id"),
            fields: fields.map(|(name, value)| (name.clone(), value.clone())).collect(),
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the number is whole, not negative and exact by the check before"
)]
fn whole(value: &Value) -> Option<u64> {
    let number = value.as_f64()?;
    (number.fract() == 0.0 && (0.0..=MAX_WHOLE).contains(&number)).then_some(number as u64)
}

#[cfg(test)]
mod tests {
    use super::super::seeded;
    use super::*;

    fn called(crm: &mut Crm, name: &str, arguments: &Value) -> Result<(bool, String), RpcError> {
        let params = json!({"name": name, "arguments": arguments});
        let result = call(crm, params.as_object().expect("an object"))?;
        let text = result["content"][0]["text"].as_str().expect("a text").to_owned();
        Ok((result["isError"] == true, text))
    }

    #[test]
    fn whole_numbers_are_read_whatever_their_spelling() {
        let cases = [
            (json!(12), Some(12)),
            (json!(12.0), Some(12)),
            (json!(1.2e1), Some(12)),
            (json!(12.5), None),
            (json!(-1), None),
            (json!(9_007_199_254_740_992_u64), Some(9_007_199_254_740_992)),
            (json!(1e300), None),
        ];
        for (value, expected) in cases {
            assert_eq!(whole(&value), expected, "{value}");
        }
    }

    #[test]
    fn a_pipeline_of_zero_is_ignored() {
        let mut crm = Crm::seeded();
        let arguments = json!({"lead_id": seeded::FIRST_LEAD, "status_id": 142.0, "pipeline_id": 0});
        let (is_error, text) = called(&mut crm, "move_lead", &arguments).expect("a result");
        assert!(!is_error, "{text}");
        assert_eq!(crm.lead(seeded::FIRST_LEAD).expect("a lead")["status_id"], seeded::WON);
    }

    #[test]
    fn failures_have_the_fixed_texts() {
        let mut crm = Crm::seeded();
        let missing = called(&mut crm, "get_lead", &json!({"id": 1})).expect("a result");
        assert_eq!(missing, (true, Failure::NotFound.text().to_owned()));
        let refused = json!({"lead_id": seeded::FIRST_LEAD, "status_id": 7});
        let refused = called(&mut crm, "move_lead", &refused).expect("a result");
        assert_eq!(refused, (true, Failure::Refused.text().to_owned()));
    }

    #[test]
    fn calls_that_name_no_tool_are_errors() {
        let mut crm = Crm::seeded();
        let unknown = called(&mut crm, "Move_lead", &json!({})).expect_err("an error");
        assert_eq!(unknown, RpcError::new(INVALID_PARAMS, "Tool Move_lead not found"));
        assert!(called(&mut crm, "get_leads", &json!([])).is_err());
        assert!(call(&mut crm, &Map::new()).is_err());
    }
}
