use serde_json::json;

use super::*;
use crate::json;

fn compiled(rule: &Value) -> Result<Item, String> {
    let rule: Rule = serde_json::from_value(rule.clone()).unwrap();
    let mut errors = Vec::new();
    Item::new("r", &rule, &mut errors).ok_or_else(|| FieldError::join(&errors))
}

fn truth(rule: &Value, arguments: &str, quantifier: Quantifier) -> Truth {
    let parsed = json::parse(arguments.as_bytes()).unwrap();
    compiled(rule).unwrap().evaluate(parsed.as_object(), quantifier)
}

fn one(op: &str, value: &Value, argument: &str) -> Truth {
    let rule = json!({"path": "args.x", "op": op, "value": value});
    truth(&rule, &format!("{{\"x\":{argument}}}"), Quantifier::All)
}

const ARGUMENTS: [&str; 9] = ["143", "143.0", "\"143\"", "true", "null", "[143]", "{}", "1e400", "\"xaby\""];

/// One line for each operator: what it says of each of [`ARGUMENTS`], by first letter.
#[test]
fn every_operator_over_every_type() {
    for (op, value, expected) in [
        ("eq", json!(143), "T T U U U U U U U"),
        ("eq", json!("143"), "U U T U U U U U F"),
        ("eq", json!(true), "U U U T U U U U U"),
        ("neq", json!(143), "F F U U U U U U U"),
        ("neq", json!("x"), "U U T U U U U U T"),
        ("lt", json!(143.5), "T T U U U U U U U"),
        ("lt", json!(143), "F F U U U U U U U"),
        ("lte", json!(143), "T T U U U U U U U"),
        ("gt", json!(-1), "T T U U U U U U U"),
        ("gte", json!(144), "F F U U U U U U U"),
        ("in", json!([1, 143]), "T T U U U U U U U"),
        ("in", json!(["a"]), "U U F U U U U U F"),
        ("notIn", json!([1, 143]), "F F U U U U U U U"),
        ("notIn", json!(["a"]), "U U T U U U U U T"),
        ("exists", json!(true), "T T T T F T T T T"),
        ("exists", json!(false), "F F F F T F F F F"),
        ("regex", json!("ab"), "U U F U U U U U T"),
        ("regex", json!("^143$"), "U U T U U U U U F"),
        ("contains", json!("ab"), "U U F U U F U U T"),
        ("contains", json!(143.0), "U U U U U T U U U"),
    ] {
        let said: Vec<&str> = ARGUMENTS
            .iter()
            .map(|argument| match one(op, &value, argument) {
                Truth::True => "T",
                Truth::False => "F",
                Truth::Unknown => "U",
            })
            .collect();
        assert_eq!(said.join(" "), expected, "{op} {value} over {ARGUMENTS:?}");
    }
}

#[test]
fn a_missing_argument_is_unknown_to_all_but_exists() {
    for op in ["eq", "neq", "in", "notIn", "regex", "contains"] {
        let value = if op.ends_with("in") || op.ends_with("In") { json!(["a"]) } else { json!("a") };
        assert_eq!(
            truth(&json!({"path": "args.x", "op": op, "value": value}), "{}", Quantifier::All),
            Truth::Unknown
        );
    }
    assert_eq!(truth(&json!({"path": "args.x", "op": "exists"}), "{}", Quantifier::All), Truth::False);
}

#[test]
fn a_false_condition_decides_beside_an_unknown_one() {
    let guarded = json!({"conditions": [
        {"path": "args.amount", "op": "exists"},
        {"path": "args.amount", "op": "gt", "value": 100},
    ]});
    assert_eq!(truth(&guarded, "{}", Quantifier::Any), Truth::False);
    assert_eq!(truth(&guarded, "{\"amount\":\"many\"}", Quantifier::Any), Truth::Unknown);
    assert_eq!(truth(&guarded, "{\"amount\":101}", Quantifier::Any), Truth::True);
}

#[test]
fn many_values_are_all_in_require_and_any_in_deny_if() {
    let rule = || json!({"path": "args.items[*].price", "op": "gt", "value": 100});
    for (items, all, any) in [
        ("[{\"price\":101},{\"price\":102}]", Truth::True, Truth::True),
        ("[{\"price\":101},{\"price\":1}]", Truth::False, Truth::True),
        ("[{\"price\":1},{}]", Truth::False, Truth::Unknown),
        ("[{\"price\":101},{}]", Truth::Unknown, Truth::True),
        ("[]", Truth::True, Truth::False),
        ("7", Truth::Unknown, Truth::Unknown),
    ] {
        let arguments = format!("{{\"items\":{items}}}");
        assert_eq!(truth(&rule(), &arguments, Quantifier::All), all, "{items}");
        assert_eq!(truth(&rule(), &arguments, Quantifier::Any), any, "{items}");
    }
}

#[test]
fn what_cannot_be_evaluated_is_refused_when_compiled() {
    for (rule, fault) in [
        (json!({}), "r: must be one condition (path, op, value) or have conditions"),
        (json!({"op": "eq", "value": 1}), "r.path: is required"),
        (json!({"path": "args.a", "value": 1}), "r.op: is required"),
        (json!({"path": "args.a", "op": "eq"}), "r.value: is required for this operator"),
        (
            json!({"path": "args.a", "op": "eq", "value": 1, "conditions": [{"path": "args.a", "op": "exists"}]}),
            "r: must be one condition (path, op, value) or have conditions",
        ),
        (
            json!({"conditions": [{"path": "a", "op": "lt", "value": "1"}]}),
            "r.conditions[0].path: must begin with args; r.conditions[0].value: must be a number for this operator",
        ),
        (json!({"path": "args.a", "op": "in", "value": []}), "r.value: must have 1 to 1000 items"),
        (json!({"path": "args.a", "op": "in", "value": [1, "1"]}), "r.value: must have items of one type"),
        (
            json!({"path": "args.a", "op": "eq", "value": [1]}),
            "r.value: must be a string, a number or a boolean for this operator",
        ),
        (
            json!({"path": "args.a", "op": "eq", "value": 1_234_567_890_123_456_i64}),
            "r.value: 1234567890123456 has more than 15 significant digits; write such ids as strings",
        ),
        (json!({"path": "args.a", "op": "regex", "value": "("}), "r.value: is no regular expression"),
        (
            json!({"path": "args.a", "op": "regex", "value": "(a{1000}){1000}"}),
            "r.value: is too large a regular expression",
        ),
        (json!({"path": "args.a", "op": "exists", "value": 1}), "r.value: must be true or false for exists"),
    ] {
        assert_eq!(compiled(&rule).unwrap_err(), fault, "{rule}");
    }
    let list = |length: usize| json!({"path": "args.a", "op": "in", "value": vec![1; length]});
    assert!(compiled(&list(LIST_MAX)).is_ok() && compiled(&list(LIST_MAX + 1)).is_err());
}
