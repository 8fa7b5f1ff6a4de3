//! Conditions on a call's arguments, in three values: what cannot be evaluated is unknown, and unknown refuses.

use regex::{Regex, RegexBuilder};
use serde_json::Value;
use toolgate_crds::{Condition as Written, FieldError, Operator, Rule};

use crate::decimal::Decimal;
use crate::json::{Json, Object};
use crate::path::{Found, Path};

/// The largest compiled regular expression, in bytes.
const REGEX_BYTES_MAX: usize = 256 * 1024;
/// The longest list of `in` and `notIn`.
pub(crate) const LIST_MAX: usize = 1000;

/// What a condition says of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Truth {
    True,
    False,
    /// An argument is missing, null, of another type, or a number that readers disagree on.
    Unknown,
}

/// How the values at a path with `[*]` are put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Quantifier {
    /// The condition holds if it does for all: in `require`.
    All,
    /// The condition holds if it does for any: in `denyIf`.
    Any,
}

/// An item of `require` or `denyIf`: conditions that all hold.
#[derive(Debug)]
pub(crate) struct Item {
    conditions: Vec<Condition>,
    pub reason: Option<String>,
}

#[derive(Debug)]
struct Condition {
    path: Path,
    test: Test,
    // As it was written, for a caller whom no reason was written for.
    text: String,
}

#[derive(Debug)]
enum Test {
    Equal { to: Scalar, wanted: bool },
    Ordered { than: Decimal, holds: fn(std::cmp::Ordering) -> bool },
    OneOf { list: Vec<Scalar>, wanted: bool },
    Exists { wanted: bool },
    Matches(Box<Regex>),
    Contains(Scalar),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Scalar {
    Bool(bool),
    Number(Decimal),
    Text(String),
}

impl Item {
    /// Compiles an item: one condition, or a group.
    pub(crate) fn new(path: &str, rule: &Rule, errors: &mut Vec<FieldError>) -> Option<Self> {
        let single = rule.path.is_some() || rule.op.is_some() || rule.value.is_some();
        let before = errors.len();
        let mut conditions = Vec::new();
        match (single, rule.conditions.is_empty()) {
            (true, true) => match (&rule.path, rule.op) {
                (Some(argument), Some(op)) => {
                    let written = Written { path: argument.clone(), op, value: rule.value.clone() };
                    conditions.extend(Condition::new(path, &written, errors));
                }
                (None, _) => errors.push(FieldError::new(format!("{path}.path"), "is required")),
                (_, None) => errors.push(FieldError::new(format!("{path}.op"), "is required")),
            },
            (false, false) => {
                for (index, written) in rule.conditions.iter().enumerate() {
                    conditions.extend(Condition::new(
                        &format!("{path}.conditions[{index}]"),
                        written,
                        errors,
                    ));
                }
            }
            _ => errors
                .push(FieldError::new(path, "must be one condition (path, op, value) or have conditions")),
        }
        (errors.len() == before).then(|| Self { conditions, reason: rule.reason.clone() })
    }

    /// Whether all its conditions hold. One that does not decides, even beside one that is unknown.
    pub(crate) fn evaluate(&self, arguments: Option<&Object<'_>>, quantifier: Quantifier) -> Truth {
        let truths = self.conditions.iter().map(|condition| condition.evaluate(arguments, quantifier));
        truths.fold(Truth::True, Truth::and)
    }

    /// Its conditions as they were written, each with what it says.
    pub(crate) fn parts(
        &self,
        arguments: Option<&Object<'_>>,
        quantifier: Quantifier,
    ) -> impl Iterator<Item = (&str, Truth)> {
        let conditions = self.conditions.iter();
        conditions.map(move |condition| (condition.text.as_str(), condition.evaluate(arguments, quantifier)))
    }
}

fn text_of(written: &Written) -> String {
    let op = serde_json::to_value(written.op).ok();
    let op = op.as_ref().and_then(Value::as_str).unwrap_or_default();
    let value = written.value.as_ref().map(|value| format!(" {value}")).unwrap_or_default();
    format!("{} {op}{value}", written.path)
}

impl std::fmt::Display for Item {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, condition) in self.conditions.iter().enumerate() {
            let and = if index > 0 { " and " } else { "" };
            write!(formatter, "{and}{}", condition.text)?;
        }
        Ok(())
    }
}

impl Condition {
    fn new(path: &str, written: &Written, errors: &mut Vec<FieldError>) -> Option<Self> {
        let argument = Path::parse(&written.path);
        let test = Test::new(written.op, written.value.as_ref());
        let mut report =
            |field: &str, message: String| errors.push(FieldError::new(format!("{path}.{field}"), message));
        match (argument, test) {
            (Ok(path), Ok(test)) => return Some(Self { path, test, text: text_of(written) }),
            (Err(fault), Ok(_)) => report("path", fault.to_string()),
            (Ok(_), Err(fault)) => report("value", fault),
            (Err(path), Err(value)) => {
                report("path", path.to_string());
                report("value", value);
            }
        }
        None
    }

    fn evaluate(&self, arguments: Option<&Object<'_>>, quantifier: Quantifier) -> Truth {
        let (neutral, combine): (Truth, fn(Truth, Truth) -> Truth) = match quantifier {
            Quantifier::Any if self.path.is_many() => (Truth::False, Truth::or),
            _ => (Truth::True, Truth::and),
        };
        let mut truth = neutral;
        self.path.visit(arguments, &mut |found| truth = combine(truth, self.test.evaluate(&found)));
        truth
    }
}

impl Test {
    fn new(op: Operator, value: Option<&Value>) -> Result<Self, String> {
        let ordered = |holds| Ok(Self::Ordered { than: number(value)?, holds });
        match op {
            Operator::Eq => Ok(Self::Equal { to: scalar(value)?, wanted: true }),
            Operator::Neq => Ok(Self::Equal { to: scalar(value)?, wanted: false }),
            Operator::Lt => ordered(std::cmp::Ordering::is_lt),
            Operator::Lte => ordered(std::cmp::Ordering::is_le),
            Operator::Gt => ordered(std::cmp::Ordering::is_gt),
            Operator::Gte => ordered(std::cmp::Ordering::is_ge),
            Operator::In => Ok(Self::OneOf { list: list(value)?, wanted: true }),
            Operator::NotIn => Ok(Self::OneOf { list: list(value)?, wanted: false }),
            Operator::Exists => match value {
                None => Ok(Self::Exists { wanted: true }),
                Some(Value::Bool(wanted)) => Ok(Self::Exists { wanted: *wanted }),
                Some(_) => Err("must be true or false for exists".to_owned()),
            },
            Operator::Regex => expression(value),
            Operator::Contains => Ok(Self::Contains(scalar(value)?)),
        }
    }

    fn evaluate(&self, found: &Found<'_, '_>) -> Truth {
        let value = match (self, found) {
            (Self::Exists { wanted }, found) => return Truth::from((*found != Found::Nothing) == *wanted),
            (_, Found::Nothing) => return Truth::Unknown,
            (_, Found::Value(value)) => *value,
        };
        match self {
            Self::Equal { to, wanted } => to.equals(value).is(*wanted),
            Self::OneOf { list, wanted } => {
                let truths = list.iter().map(|scalar| scalar.equals(value));
                truths.reduce(Truth::or).unwrap_or(Truth::Unknown).is(*wanted)
            }
            Self::Ordered { than, holds } => {
                match value.as_number().and_then(|number| Decimal::parse(number.text())) {
                    Some(number) => Truth::from(holds(number.cmp(than))),
                    None => Truth::Unknown,
                }
            }
            Self::Matches(expression) => match value.as_str() {
                Some(text) => Truth::from(expression.is_match(text)),
                None => Truth::Unknown,
            },
            Self::Contains(part) => contains(value, part),
            Self::Exists { .. } => Truth::Unknown,
        }
    }
}

// Items of other types are simply not the one that is looked for; a number that nobody can compare might be.
fn contains(value: &Json<'_>, part: &Scalar) -> Truth {
    match (value, part) {
        (Json::String(text), Scalar::Text(part)) => Truth::from(text.contains(part.as_str())),
        (Json::Array(items), part) => items.iter().fold(Truth::False, |truth, item| {
            let same_type = part.is_of_type(item);
            truth.or(if same_type { part.equals(item) } else { Truth::False })
        }),
        _ => Truth::Unknown,
    }
}

impl Scalar {
    fn equals(&self, value: &Json<'_>) -> Truth {
        match (self, value) {
            (Self::Bool(expected), Json::Bool(found)) => Truth::from(expected == found),
            (Self::Text(expected), Json::String(found)) => Truth::from(expected == found),
            (Self::Number(expected), Json::Number(found)) => {
                Decimal::parse(found.text()).map_or(Truth::Unknown, |found| Truth::from(*expected == found))
            }
            _ => Truth::Unknown,
        }
    }

    fn is_of_type(&self, value: &Json<'_>) -> bool {
        matches!(
            (self, value),
            (Self::Bool(_), Json::Bool(_))
                | (Self::Text(_), Json::String(_))
                | (Self::Number(_), Json::Number(_))
        )
    }
}

fn needed(value: Option<&Value>) -> Result<&Value, String> {
    value.ok_or_else(|| "is required for this operator".to_owned())
}

fn number(value: Option<&Value>) -> Result<Decimal, String> {
    match needed(value)? {
        Value::Number(number) => decimal(number),
        _ => Err("must be a number for this operator".to_owned()),
    }
}

fn decimal(number: &serde_json::Number) -> Result<Decimal, String> {
    Decimal::parse(&number.to_string())
        .ok_or_else(|| format!("{number} has more than 15 significant digits; write such ids as strings"))
}

fn scalar(value: Option<&Value>) -> Result<Scalar, String> {
    match needed(value)? {
        Value::Bool(value) => Ok(Scalar::Bool(*value)),
        Value::Number(number) => decimal(number).map(Scalar::Number),
        Value::String(text) => Ok(Scalar::Text(text.clone())),
        _ => Err("must be a string, a number or a boolean for this operator".to_owned()),
    }
}

fn list(value: Option<&Value>) -> Result<Vec<Scalar>, String> {
    let Value::Array(items) = needed(value)? else {
        return Err("must be a list for this operator".to_owned());
    };
    if items.is_empty() || items.len() > LIST_MAX {
        return Err(format!("must have 1 to {LIST_MAX} items"));
    }
    let scalars: Vec<Scalar> = items.iter().map(|item| scalar(Some(item))).collect::<Result<_, _>>()?;
    let type_of = std::mem::discriminant::<Scalar>;
    let first = scalars.first().map(type_of);
    if scalars.iter().any(|scalar| Some(type_of(scalar)) != first) {
        return Err("must have items of one type".to_owned());
    }
    Ok(scalars)
}

fn expression(value: Option<&Value>) -> Result<Test, String> {
    let Value::String(text) = needed(value)? else {
        return Err("must be a string for this operator".to_owned());
    };
    let compiled =
        RegexBuilder::new(text).size_limit(REGEX_BYTES_MAX).dfa_size_limit(REGEX_BYTES_MAX).build();
    match compiled {
        Ok(expression) => Ok(Test::Matches(Box::new(expression))),
        Err(regex::Error::CompiledTooBig(_)) => Err("is too large a regular expression".to_owned()),
        Err(_) => Err("is no regular expression".to_owned()),
    }
}

// === impl Truth ===

impl Truth {
    /// Its name, as people see it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::True => "true",
            Self::False => "false",
            Self::Unknown => "unknown",
        }
    }

    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::False, _) | (_, Self::False) => Self::False,
            (Self::Unknown, _) | (_, Self::Unknown) => Self::Unknown,
            (Self::True, Self::True) => Self::True,
        }
    }

    fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::True, _) | (_, Self::True) => Self::True,
            (Self::Unknown, _) | (_, Self::Unknown) => Self::Unknown,
            (Self::False, Self::False) => Self::False,
        }
    }

    // Unknown is neither.
    fn is(self, wanted: bool) -> Self {
        match (self, wanted) {
            (Self::Unknown, _) => Self::Unknown,
            (truth, wanted) => Self::from((truth == Self::True) == wanted),
        }
    }
}

impl From<bool> for Truth {
    fn from(holds: bool) -> Self {
        if holds { Self::True } else { Self::False }
    }
}

#[cfg(test)]
mod tests;
