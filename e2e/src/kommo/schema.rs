//! The arguments of the tools: rendered as JSON Schema for `tools/list`, and checked before a tool runs.
//!
//! Only what the 23 tools need exists. Violations are worded as a JSON Schema validator of the JavaScript world
//! words them, because that is what agents of the real server read.

use serde_json::{Map, Value, json};

/// What a value must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Number,
    Text,
    /// A day, `YYYY-MM-DD`.
    Date,
    Boolean,
    OneOf(&'static [&'static str]),
}

/// What stands in for an absent value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fallback {
    None,
    Number(u64),
    Text(&'static str),
}

/// One argument of a tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Argument {
    pub(super) name: &'static str,
    kind: Kind,
    description: &'static str,
    required: bool,
    fallback: Fallback,
}

impl Argument {
    /// An argument that may be left out.
    pub(super) const fn new(name: &'static str, kind: Kind, description: &'static str) -> Self {
        Self { name, kind, description, required: false, fallback: Fallback::None }
    }

    /// The same argument, which must be given.
    pub(super) const fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// The same argument with a number that stands in when it is absent.
    pub(super) const fn or_number(mut self, number: u64) -> Self {
        self.fallback = Fallback::Number(number);
        self
    }

    /// The same argument with a text that stands in when it is absent.
    pub(super) const fn or_text(mut self, text: &'static str) -> Self {
        self.fallback = Fallback::Text(text);
        self
    }

    fn schema(&self) -> Value {
        let mut schema = match self.kind {
            Kind::Number => json!({"type": "number"}),
            Kind::Text => json!({"type": "string"}),
            Kind::Date => json!({"type": "string", "pattern": DATE_PATTERN}),
            Kind::Boolean => json!({"type": "boolean"}),
            Kind::OneOf(choices) => json!({"type": "string", "enum": choices}),
        };
        schema["description"] = json!(self.description);
        match self.fallback {
            Fallback::None => {}
            Fallback::Number(number) => schema["default"] = json!(number),
            Fallback::Text(text) => schema["default"] = json!(text),
        }
        schema
    }

    fn violation(&self, value: &Value) -> Option<String> {
        let problem = match self.kind {
            Kind::Number if !value.is_number() => "must be number".to_owned(),
            Kind::Boolean if !value.is_boolean() => "must be boolean".to_owned(),
            Kind::Text | Kind::Date | Kind::OneOf(_) if !value.is_string() => "must be string".to_owned(),
            Kind::Date if !value.as_str().is_some_and(is_date) => {
                format!("must match pattern \"{DATE_PATTERN}\"")
            }
            Kind::OneOf(choices) if !value.as_str().is_some_and(|text| choices.contains(&text)) => {
                "must be equal to one of the allowed values".to_owned()
            }
            Kind::Number | Kind::Boolean | Kind::Text | Kind::Date | Kind::OneOf(_) => return None,
        };
        Some(format!("data/{} {problem}", self.name))
    }
}

/// Whether names outside the declared arguments are accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extra {
    Accepted,
    Refused,
}

/// The `inputSchema` of a tool with these arguments.
pub(super) fn input_schema(arguments: &[Argument], extra: Extra) -> Value {
    let properties: Map<String, Value> =
        arguments.iter().map(|argument| (argument.name.to_owned(), argument.schema())).collect();
    let required: Vec<&str> =
        arguments.iter().filter(|argument| argument.required).map(|argument| argument.name).collect();
    json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": extra == Extra::Accepted,
    })
}

/// Checks given arguments against the declared ones; `Err` is every violation, joined by commas.
pub(super) fn check(arguments: &[Argument], extra: Extra, given: &Map<String, Value>) -> Result<(), String> {
    let missing = arguments
        .iter()
        .filter(|argument| argument.required && !given.contains_key(argument.name))
        .map(|argument| format!("data must have required property '{}'", argument.name));
    let unknown = given
        .keys()
        .filter(|name| extra == Extra::Refused && !arguments.iter().any(|argument| argument.name == *name))
        .map(|_| "data must NOT have additional properties".to_owned());
    let wrong = arguments
        .iter()
        .filter_map(|argument| given.get(argument.name).and_then(|value| argument.violation(value)));
    let violations: Vec<String> = missing.chain(unknown).chain(wrong).collect();
    if violations.is_empty() { Ok(()) } else { Err(violations.join(", ")) }
}

const DATE_PATTERN: &str = r"^\d{4}-\d{2}-\d{2}$";

fn is_date(text: &str) -> bool {
    text.len() == "YYYY-MM-DD".len()
        && text.bytes().enumerate().all(|(index, byte)| match index {
            4 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARGUMENTS: &[Argument] = &[
        Argument::new("lead_id", Kind::Number, "lead").required(),
        Argument::new("entity", Kind::OneOf(&["leads", "contacts"]), "entity"),
        Argument::new("day", Kind::Date, "day"),
        Argument::new("limit", Kind::Number, "limit").or_number(250),
    ];

    fn checked(extra: Extra, given: &Value) -> Result<(), String> {
        check(ARGUMENTS, extra, given.as_object().expect("an object"))
    }

    #[test]
    fn each_violation_is_named() {
        let cases = [
            (json!({"lead_id": "1"}), "data/lead_id must be number"),
            (json!({"lead_id": null}), "data/lead_id must be number"),
            (json!({}), "data must have required property 'lead_id'"),
            (json!({"lead_id": 1, "Lead_id": 1}), "data must NOT have additional properties"),
            (
                json!({"lead_id": 1, "entity": "users"}),
                "data/entity must be equal to one of the allowed values",
            ),
            (json!({"lead_id": 1, "entity": 7}), "data/entity must be string"),
            (
                json!({"lead_id": 1, "day": "2026-1-1"}),
                r#"data/day must match pattern "^\d{4}-\d{2}-\d{2}$""#,
            ),
            (
                json!({"entity": 7, "lead_id": true}),
                "data/lead_id must be number, data/entity must be string",
            ),
        ];
        for (given, problem) in cases {
            assert_eq!(checked(Extra::Refused, &given), Err(problem.to_owned()), "{given}");
        }
    }

    #[test]
    fn good_arguments_pass_and_open_tools_take_more() {
        let given = json!({"lead_id": 12.0, "entity": "leads", "day": "2026-07-28"});
        assert_eq!(checked(Extra::Refused, &given), Ok(()));
        let more = json!({"lead_id": 12, "anything": {"at": ["all"]}});
        assert_eq!(checked(Extra::Accepted, &more), Ok(()));
    }

    #[test]
    fn the_schema_says_what_is_checked() {
        assert_eq!(
            input_schema(&ARGUMENTS[..1], Extra::Refused),
            json!({
                "type": "object",
                "properties": {"lead_id": {"type": "number", "description": "lead"}},
                "required": ["lead_id"],
                "additionalProperties": false,
            })
        );
        assert_eq!(input_schema(ARGUMENTS, Extra::Accepted)["properties"]["limit"]["default"], 250);
    }
}
